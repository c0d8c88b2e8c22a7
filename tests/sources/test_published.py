import shutil

import numpy as np
import pytest
from refusals import refuses

from crass_tf.radiographs.formats.png import write_png
from crass_tf.sources import open_crass12


def write_pair(crass12, name, height, width):
    for kind in ("image", "mask"):
        write_png(crass12 / kind / f"{name}.PNG", np.zeros((height, width), np.uint8))


class TestSplits:
    def test_dots_in_names_and_small_suffixes(self, manual_dir, crass12):
        for kind in ("image", "mask"):
            (crass12 / kind / "0001.PNG").rename(crass12 / kind / "site.a.1.png")
            (crass12 / kind / "0002.PNG").rename(crass12 / kind / "site.a.2.PNG")
        (crass12 / "train.txt").write_text("site.a.1\nsite.a.2.PNG\n")
        train = open_crass12(manual_dir).checked().splits["train"]
        assert [example.image_id for example in train] == ["site.a.1", "site.a.2"]

    def test_remarks(self, manual_dir, crass12):
        write_pair(crass12, "extra", 64, 80)
        write_png(crass12 / "image" / "bare.PNG", np.zeros((64, 80), np.uint8))
        write_png(crass12 / "mask" / "stray.PNG", np.zeros((64, 80), np.uint8))
        source = open_crass12(manual_dir).checked()
        assert source.remarks == [
            f"{crass12}: found 5 radiographs with masks; CRASS12 as published has 284",
            f"{crass12}: 1 radiograph is left out, in neither train.txt nor val.txt: extra",
            f"{crass12}: 1 radiograph is without a mask; they become the config unlabelled: bare",
            f"{crass12}/mask/stray.PNG: found a mask of no radiograph; left out",
        ]
        assert [example.image_id for example in source.unlabelled] == ["bare"]


def test_crass12_itself_given(crass12):
    assert open_crass12(crass12).checked().folder == crass12
    refuses("nowhere: folder not found", open_crass12, crass12 / "nowhere")


class TestSpacing:
    def test_documented_spacing_of_large_radiographs(self, manual_dir, crass12):
        for name in ("0001", "0002", "0003", "0004"):
            write_pair(crass12, name, 1500, 1520)
        source = open_crass12(manual_dir).checked()
        said = "CRASS12's documented 0.25 mm is assumed where no header says another"
        assert source.fallback_mm == (0.25, 0.25)
        assert f"{crass12}: {said}, as all sides have 1500 pixels or more" in source.remarks
        write_pair(crass12, "0002", 1499, 1520)
        assert open_crass12(manual_dir).checked().fallback_mm is None

    @pytest.mark.parametrize("content", ["[0.35, 0.35]", '{"spacing": [1, 1]}', '{"spacing_mm": ["0.35", "0.35"]}'])
    def test_bad_spacing_file(self, manual_dir, crass12, content):
        (crass12 / "spacing.json").write_text(content)
        refuses(r"CRASS12/spacing\.json.*expected", open_crass12(manual_dir).checked)


def test_fingerprint_tells_changes(manual_dir, crass12):
    def fingerprint(option_mm=None):
        return open_crass12(manual_dir).checked().fingerprint(option_mm)

    first = fingerprint()
    assert fingerprint() == first
    assert fingerprint((1, 1)) != first
    (crass12 / "train.txt").write_text("0003\n0001.PNG\n0002\n")
    assert fingerprint() == first
    shutil.copy(crass12 / "mask/0002.PNG", crass12 / "mask/0001.PNG")
    assert fingerprint() != first
