"""The original release, written here in every form it may come in, is read as the published folder is."""

import numpy as np
import pytest
from metaimages import write_mhd
from refusals import refuses

from crass_tf.radiographs.formats.png import write_png
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


def test_one_grey_scale_for_all_radiographs(crass12):
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


def test_both_forms_in_one_folder(crass12):
    write_png(crass12 / "image/0000.PNG", grey(0, 255, np.uint8))
    write_png(crass12 / "mask/0000.PNG", box(3))
    refuses("found 1 radiographs with masks, expected at least 2", open_crass12(crass12).checked)
