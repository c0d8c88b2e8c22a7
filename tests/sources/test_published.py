import math
import shutil

import numpy as np
import pytest
from refusals import refuses

from crass_tf.radiographs.formats.png import write_png
from crass_tf.sources import open_crass12


def write_pair(crass12, name, height, width, spacing_mm=None):
    write_png(crass12 / "image" / f"{name}.PNG", np.zeros((height, width), np.uint8), spacing_mm)
    write_png(crass12 / "mask" / f"{name}.PNG", np.zeros((height, width), np.uint8))


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
    def resolve(self, manual_dir, option_mm=None):
        """Returns `(spacing_mm, source)` of the validation radiograph."""
        source = open_crass12(manual_dir).checked()
        _, header_mm, _, _ = source.read(source.splits["validation"][0])
        return source.asked_spacing(option_mm).resolve(header_mm)

    def test_order(self, manual_dir, crass12):
        assert self.resolve(manual_dir) == (None, "unknown")
        (crass12 / "spacing.json").write_text('{"spacing_mm": [0.4, 0.3]}')
        assert self.resolve(manual_dir) == ((0.4, 0.3), "CRASS12/spacing.json")
        write_pair(crass12, "0004", 64, 80, spacing_mm=(0.5, 0.2))
        # The header counts whole pixels per metre: 1000 / 0.5 = 2000 and 1000 / 0.2 = 5000 are whole.
        assert self.resolve(manual_dir) == ((0.5, 0.2), "file header")
        assert self.resolve(manual_dir, (0.7, 0.6)) == ((0.7, 0.6), "as asked for")

    def test_documented_spacing_of_large_radiographs(self, manual_dir, crass12):
        for name in ("0001", "0002", "0003", "0004"):
            write_pair(crass12, name, 1500, 1520)
        spacing_mm, source = self.resolve(manual_dir)
        assert spacing_mm == (0.25, 0.25) and "documented" in source
        write_pair(crass12, "0002", 1499, 1520)
        assert self.resolve(manual_dir) == (None, "unknown")

    @pytest.mark.parametrize(
        "content",
        ["", "0.35", "[0.35, 0.35]", '{"spacing": [1, 1]}', '{"spacing_mm": 0.35}', '{"spacing_mm": [0.35]}']
        + ['{"spacing_mm": [0.35, 0]}', '{"spacing_mm": [0.35, NaN]}', '{"spacing_mm": ["0.35", "0.35"]}'],
    )
    def test_bad_spacing_file(self, manual_dir, crass12, content):
        (crass12 / "spacing.json").write_text(content)
        refuses(r"CRASS12/spacing\.json.*expected", self.resolve, manual_dir)

    @pytest.mark.parametrize("option_mm", [(0.35,), (0.35, -1), (0.35, math.inf), 0.35, "0.35"])
    def test_bad_option(self, manual_dir, option_mm):
        refuses("spacing_mm: found .* expected two lengths", self.resolve, manual_dir, option_mm)


def test_fingerprint_tells_changes(manual_dir, crass12):
    def fingerprint(option_mm=None):
        source = open_crass12(manual_dir).checked()
        return source.fingerprint(source.asked_spacing(option_mm))

    first = fingerprint()
    assert fingerprint() == first
    assert fingerprint((1, 1)) != first
    (crass12 / "train.txt").write_text("0003\n0001.PNG\n0002\n")
    assert fingerprint() == first
    shutil.copy(crass12 / "mask/0002.PNG", crass12 / "mask/0001.PNG")
    assert fingerprint() != first
