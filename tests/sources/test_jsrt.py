"""Radiographs and masks in the form of the JSRT and SCR data bases, written here, are read as those define them."""

import shutil

import numpy as np
import pytest
from refusals import refuses

from crass_tf.sources import open_jsrt
from crass_tf.sources.jsrt import BYTES, read_img, repeat_pixels
from crass_tf.sources.source import STOPS


@pytest.fixture
def folder(tmp_path, write_jsrt):
    """Two radiographs in fold1, one in fold2; all zeros, masks without pixels: enough for whatever is not decoded."""
    for name, fold in (("JPCLN001", "fold1"), ("JPCNN002", "fold1"), ("JPCLN002", "fold2")):
        write_jsrt(tmp_path, name, fold)
    return tmp_path


def ids(examples):
    return [example.image_id for example in examples]


def img(folder, name="JPCLN001"):
    return folder / f"JSRT/All247images/{name}.IMG"


def gif(folder, name="JPCLN001", fold="fold1", side="left"):
    return folder / f"SCR/{fold}/masks/{side} clavicle/{name}.gif"


def move(path, to):
    to.parent.mkdir(parents=True, exist_ok=True)
    return path.rename(to)


class TestListed:
    def test_recommended_layout(self, folder):
        source = open_jsrt(folder).checked()
        splits = {fold: ids(examples) for fold, examples in source.splits.items()}
        assert splits == {"fold1": ["JPCLN001", "JPCNN002"], "fold2": ["JPCLN002"]}
        # The patient's right first.
        assert source.labelled[0].mask_paths == (gif(folder, side="right"), gif(folder, side="left"))
        assert source.unlabelled == []
        assert source.fallback_mm == (0.175, 0.175)
        assert source.remarks == [f"{folder}: found 3 radiographs with masks; JSRT/SCR as published has 247"]

    def test_any_nesting_and_case(self, folder):
        move(img(folder), folder / "jpcln001.img")
        move(img(folder, "JPCNN002"), folder / "a/b/JPCNN002.Img")
        for side in ("left", "right"):
            move(gif(folder, side=side), folder / f"scratch/Fold1/Masks/{side.title()} Clavicle/JPCLN001.GIF")
        source = open_jsrt(folder).checked()
        assert ids(source.splits["fold1"]) == ["JPCNN002", "jpcln001"]
        assert len(source.labelled) == 3

    def test_what_is_of_no_concern(self, folder):
        for name in ("heart/JPCLN001.gif", "left lung/JPCLN001.gif", "left clavicle/._JPCLN001.gif"):
            path = folder / "SCR/fold1/masks" / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"")
        (folder / "JSRT/All247images/._JPCLN001.IMG").write_bytes(b"")
        # A second observer's masks, say.
        gif(folder, fold="fold3").parent.mkdir(parents=True)
        shutil.copy(gif(folder), gif(folder, fold="fold3"))
        (folder / "CRASS12/image").mkdir(parents=True)
        assert len(open_jsrt(folder).checked().labelled) == 3

    def test_links_to_folders(self, folder, tmp_path_factory):
        other = tmp_path_factory.mktemp("other")
        for name in ("JSRT", "SCR"):
            (other / name).symlink_to(folder / name)
        # A link back to where the search came from: each folder counts once.
        (folder / "JSRT/back").symlink_to(other)
        assert len(open_jsrt(other).checked().labelled) == 3

    def test_one_fold(self, folder):
        for path in folder.rglob("*"):
            if path.stem in ("JPCLN001", "JPCNN002"):
                path.unlink()
        splits = open_jsrt(folder).checked().splits
        assert list(splits) == ["fold2"] and ids(splits["fold2"]) == ["JPCLN002"]

    def test_no_radiograph_is_decoded_before_it_is_built(self, folder):
        source = open_jsrt(folder)
        assert (source.grey_scale().offset, source.grey_scale().bits) == (0, 12)
        assert source.fingerprint()


class TestFindings:
    def test_mask_without_image(self, folder):
        names = ("JPCLN001", "JPCNN002")
        for name in names:
            img(folder, name).unlink()
        text = f"found a mask of no radiograph, expected an .IMG of that name in {folder}"
        findings = [found for found in open_jsrt(folder).findings if found.kind == "mask without image"]
        assert [(found.severity, found.image_ids, found.text) for found in findings] == [
            (STOPS, (name,), f"{gif(folder, name, side='right')}: {text}") for name in names
        ]

    @pytest.mark.parametrize("side, other", [("left", "right"), ("right", "left")])
    def test_one_side(self, folder, side, other):
        missing, there = gif(folder, side=side), gif(folder, side=other)
        missing.unlink()
        refuses(f"^{missing}: file not found, expected because {there} is there$", open_jsrt(folder).checked)

    def test_in_both_folds(self, folder, write_jsrt):
        write_jsrt(folder, "JPCLN001", "fold2")
        path = gif(folder, fold="fold2", side="right")
        refuses(f"^{path}: found a mask of a radiograph that fold1 has too, expected", open_jsrt(folder).checked)
        assert ids(open_jsrt(folder).labelled) == ["JPCNN002", "JPCLN002"]

    def test_image_without_masks(self, folder):
        for side in ("left", "right"):
            gif(folder, "JPCLN002", "fold2", side).unlink()
        source = open_jsrt(folder).checked()
        assert f"{folder}: 1 radiograph is without masks; left out: JPCLN002" in source.remarks
        assert ids(source.examples) == ["JPCLN001", "JPCNN002"]

    def test_two_files_of_one_name(self, folder):
        second = folder / "JSRT/Nodule154images/jpcln001.IMG"
        second.parent.mkdir()
        second.symlink_to(img(folder))
        refuses(f"{second}: found {img(folder)} too, expected one file a name", open_jsrt(folder).checked)

    def test_number_of_bytes(self, folder):
        with img(folder).open("r+b") as file:
            file.truncate(BYTES - 2)
        text = f"{img(folder)}: found 8388606 bytes, expected 8388608: 2048 x 2048 pixels of 16 bits"
        for read in (lambda path: open_jsrt(folder).checked(), read_img):
            refuses(text, read, img(folder))

    @pytest.mark.parametrize(
        "remove, expected",
        [
            ("JSRT", r"found no \*.IMG, expected \*.IMG of the JSRT data base and \{fold1,fold2\}/masks/\{right clavi"),
            ("SCR", r"found no masks of clavicles, expected \*.IMG of the JSRT data base"),
            ("", "folder not found, expected a folder with"),
        ],
    )
    def test_nothing_there(self, folder, tmp_path_factory, remove, expected):
        if remove:
            (folder / remove).rename(tmp_path_factory.mktemp("away") / remove)
        refuses(expected, open_jsrt, folder if remove else folder / "nowhere")


class TestPixels:
    def test_a_value_of_more_than_12_bits(self, tmp_path):
        path = tmp_path / "JPCLN001.IMG"
        path.write_bytes(np.full((2048, 2048), 4096, ">u2").tobytes())
        refuses("JPCLN001.IMG: found the value 4096, expected at most 4095", read_img, path)

    @pytest.mark.parametrize("side", [2048, 512, 1])
    def test_other_whole_parts(self, side):
        mask = np.zeros((side, side), np.uint8)
        mask[side // 4 :, side // 2] = 1
        repeated = repeat_pixels("a.gif", mask, (2048, 2048))
        np.testing.assert_array_equal(repeated, np.kron(mask, np.ones((2048 // side, 2048 // side), np.uint8)))

    @pytest.mark.parametrize("size", [(1000, 1024), (1024, 2048), (1024, 1000), (4096, 4096)])
    def test_any_other_size(self, size):
        found = rf"a.gif: found a mask of {size[0]} x {size[1]} pixels \(rows x columns\)"
        expected = "expected its radiograph's 2048 x 2048 or that divided by a who"
        refuses(f"{found}, {expected}", repeat_pixels, "a.gif", np.zeros(size, np.uint8), (2048, 2048))
