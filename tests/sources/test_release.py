"""The original release, written here in every form it may come in, is read as the published folder is."""

import numpy as np
import pytest
import SimpleITK as sitk
from metaimages import write_mhd
from refusals import refuses

from crass_tf.radiographs.formats.png import write_png
from crass_tf.radiographs.radiograph import read_grey
from crass_tf.sources import open_crass12


def grey(low, high, dtype):
    return np.linspace(low, high, 80 * 64).reshape(64, 80).astype(dtype)


def box(top):
    mask = np.zeros((64, 80), np.uint8)
    mask[top : top + 4, 10:30] = 255
    return mask


@pytest.fixture
def crass12(tmp_path):
    """Five radiographs with masks, in `data_train`, and two without, in `data_test`."""
    folder = tmp_path / "CRASS12"
    for number in range(5):
        write_mhd(folder / "data_train" / f"000{number}.mhd", grey(0, 4000 + number, np.uint16), (0.25, 0.2))
        write_mhd(folder / "mask_mhd" / f"000{number}.mhd", box(number))
    for number in (8, 9):
        write_mhd(folder / "data_test" / f"000{number}.mhd", grey(0, 900, np.uint16))
    return folder


def ids(examples):
    return [example.image_id for example in examples]


class TestRecognised:
    def test_split_files_outrank_the_derived_split(self, crass12):
        (crass12 / "train.txt").write_text("0000.mhd\n0001.PNG\n")
        (crass12 / "val.txt").write_text("0004\n")
        source = open_crass12(crass12).checked()
        assert ids(source.splits["validation"]) == ["0004"]
        assert "2 radiographs are left out, in neither train.txt nor val.txt: 0002, 0003" in " ".join(source.remarks)

    def test_one_grey_scale_for_all_radiographs(self, crass12):
        source = open_crass12(crass12)
        # 4004 is the largest value: 12 bits, for the radiographs whose own values would fit into 10 bits, too.
        assert (source.grey_scale().offset, source.grey_scale().bits) == (0, 12)
        pixels, *_ = source.read(source.unlabelled[0])
        assert source.grey_scale().to_grey8(pixels).max() == round(900 * 255 / 4095)


class TestSides:
    @pytest.mark.parametrize(
        "right, left", [("0000_right", "0000_left"), ("0000_RIGHT", "0000_Left"), ("right/0000", "left/0000")]
    )
    def test_two_files(self, crass12, right, left):
        (crass12 / "mask_mhd/0000.mhd").unlink()
        write_mhd(crass12 / "mask_mhd" / f"{right}.mhd", box(8))
        write_mhd(crass12 / "mask_mhd" / f"{left}.mhd", box(40))
        source = open_crass12(crass12).checked()
        *_, masks, _ = source.read(source.labelled[0])
        np.testing.assert_array_equal(masks[0] * 255, box(8))
        np.testing.assert_array_equal(masks[1] * 255, box(40))

    def test_names_with_separators(self, crass12):
        """`0001_2_left` belongs to `0001_2`, not to `0001`."""
        write_mhd(crass12 / "data_train/0001_2.mhd", grey(0, 9, np.uint8))
        for side in ("left", "right"):
            write_mhd(crass12 / f"mask_mhd/0001_2_{side}.mhd", box(8))
        found = {example.image_id: len(example.mask_paths) for example in open_crass12(crass12).checked().labelled}
        assert found["0001_2"] == 2 and found["0001"] == 1


class TestPixels:
    @pytest.mark.parametrize(
        "low, high, dtype, expected",
        [
            # 12 bits, nothing negative.
            (0, 4095, np.int16, (0, 12)),
            # -1000 needs 2048 more; then 5000 at most, so 14 bits.
            (-1000, 2952, np.int16, (2048, 14)),
            (-32768, 32767, np.int16, (32768, 16)),
            (-128, 127, np.int8, (128, 8)),
            (0, 200, np.uint16, (0, 8)),
        ],
    )
    def test_scale(self, tmp_path, low, high, dtype, expected):
        for number in range(2):
            write_mhd(tmp_path / f"data_train/{number}.mhd", grey(low, high, dtype))
            write_mhd(tmp_path / f"mask_mhd/{number}.mhd", box(9))
        source = open_crass12(tmp_path).checked()
        scale = source.grey_scale()
        assert (scale.offset, scale.bits) == expected
        pixels, *_ = source.read(source.labelled[0])
        np.testing.assert_array_equal(scale.to_uint16(pixels), pixels.astype(int) + expected[0])
        grey8 = (pixels + float(expected[0])) * 255 / (2 ** expected[1] - 1)
        np.testing.assert_allclose(scale.to_grey8(pixels).astype(float), grey8, atol=0.51)

    def test_spacing_of_1_mm_is_no_measurement_and_one_slice_no_volume(self, tmp_path):
        image = sitk.GetImageFromArray(grey(0, 255, np.uint8)[None])
        sitk.WriteImage(image, str(tmp_path / "a.mhd"))
        pixels, spacing_mm = read_grey(tmp_path / "a.mhd")
        assert pixels.shape == (64, 80) and spacing_mm is None


def test_both_forms_in_one_folder(crass12):
    write_png(crass12 / "image/0000.PNG", grey(0, 255, np.uint8))
    write_png(crass12 / "mask/0000.PNG", box(3))
    refuses("found 1 radiographs with masks, expected at least 2", open_crass12(crass12).checked)
