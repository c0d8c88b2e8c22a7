"""Measures of trust on masks drawn by hand; intervals by score hold the share of further outlines that they promise."""

import dataclasses
import importlib
import json
import pathlib

import numpy as np
import pytest
from refusals import refuses

from crass_tf.geometry import Letterbox
from crass_tf.inference.segmenter import Outline, Segmentation
from crass_tf.measurement import quality
from crass_tf.measurement.quality import EXPECTED, TRUST_NAME, UNKNOWN, Trust
from crass_tf.radiographs.radiograph import Radiograph


def labels(right=(10, 20, 30), left=(10, 60, 30), height=100, width=110):
    """Two bars of 8 rows: (top row, first column, columns) of each side."""
    drawn = np.zeros((height, width), np.uint8)
    for label, (top, first, columns) in ((1, right), (2, left)):
        drawn[top : top + 8, first : first + columns] = label
    return drawn


@pytest.mark.parametrize(
    "drawn, failed",
    [
        # 240 pixels each; 70 columns from end to end: 240 / 4900 = 0.049 of the square, 70 / 110 = 0.64 of the width.
        (labels(), set()),
        # 240 to 112 pixels: more than twice.
        (labels(left=(10, 60, 14)), {"symmetry"}),
        # Rows 90 to 97 of 100.
        (labels(right=(90, 20, 30), left=(90, 60, 30)), {"position"}),
        # 70 columns of 1000 are 0.07 of the width.
        (labels(width=1000), {"position"}),
        # Thin as a line: 8 x 30 pixels in the square of 300 columns.
        (labels(left=(10, 290, 30), width=400), {"area"}),
        (labels(left=(10, 60, 0)), {"both_found", "symmetry", "area"}),
        (np.zeros((50, 60), np.uint8), {"both_found", "area", "position", "symmetry"}),
    ],
)
def test_what_fails(drawn, failed):
    assert {name for name, passed in quality.checks(drawn).items() if not passed} == failed


def test_stability_border_confidence_and_score_by_hand():
    # Above 3/4: one pixel; above 1/4: three.
    assert quality.stability(np.array([[0.9, 0.7], [0.3, 0.1]])) == pytest.approx(1 / 3)
    assert quality.stability(np.ones((2, 2))) == 1
    assert quality.stability(np.full((2, 2), 0.1)) == 0
    probability = np.zeros((20, 20))
    probability[5:15, 5:15] = 1
    assert quality.border_confidence(probability) == 1
    assert quality.border_confidence(0.5 + (probability - 0.5) * 0.2) == pytest.approx(0.2)
    assert quality.border_confidence(np.zeros((20, 20))) == 0
    good = dict.fromkeys(("both_found", "area"), True)
    for flaws, expected in (({}, 0.9), ({"area": False}, 0.72), (dict.fromkeys(good, False), 0.576)):
        assert quality.score(0.9, good | flaws) == pytest.approx(expected)


def outlines(count, seed):
    """Scores, and overlaps that vary more where the score is low."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.5, 1, count)
    iou = np.clip(scores - (1 - scores) * rng.exponential(0.5, count), 0, 1)
    return scores, iou, (1 - iou) / 4


@pytest.fixture(scope="module")
def fit():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(pathlib.Path(__file__).parents[2] / "benchmarks")
        yield importlib.import_module("trust").fit


def test_intervals_cover_what_they_say_overall_and_for_low_scores(fit):
    trust = fit(*outlines(2000, 0), groups=8)
    scores, iou, contour = outlines(4000, 1)
    seen = scores > trust.scores[0]
    scores, iou, contour = scores[seen], iou[seen], contour[seen]
    found = [trust.expect(score, 4.0) for score in scores]
    within = np.array([e["iou_low"] <= value <= e["iou_high"] for e, value in zip(found, iou)])
    assert abs(within.mean() - 0.9) < 0.02 and abs(within[scores < 0.6].mean() - 0.9) < 0.05
    # The square root of 4 square millimetres is 2 mm.
    near = [e["contour_mm_low"] - 1e-3 <= 2 * value <= e["contour_mm_high"] + 1e-3 for e, value in zip(found, contour)]
    assert abs(np.mean(near) - 0.9) < 0.02
    assert trust.expect(0.4, 4.0) == UNKNOWN
    low, high = trust.expect(0.55, None), trust.expect(0.99, None)
    assert low["iou_high"] - low["iou_low"] > 3 * (high["iou_high"] - high["iou_low"])
    assert low["contour_mm_expected"] is None and low["iou_expected"] < high["iou_expected"]
    refuses("found 59 outlines, expected at least 60 for 3 groups", fit, *outlines(59, 0))


# For scores of 0.5 and more, and of 0.8 and more.
TRUST = Trust(0.9, [0.5, 0.8], [[0.3, 0.6, 0.8], [0.7, 0.9, 0.95]], [[0.0, 0.2, 0.4], [0.0, 0.05, 0.1]])


def test_the_file_of_intervals(tmp_path):
    assert Trust.load(tmp_path / TRUST_NAME) is None
    (tmp_path / TRUST_NAME).write_text(json.dumps(dataclasses.asdict(TRUST)))
    assert Trust.load(tmp_path / TRUST_NAME) == TRUST
    for broken in ("{", "[]", json.dumps(dataclasses.asdict(TRUST) | {"iou": [[0, 1, 2]]})):
        (tmp_path / TRUST_NAME).write_text(broken)
        refuses("found no intervals by score", Trust.load, tmp_path / TRUST_NAME)


def test_a_segmentation_says_what_to_expect_of_what_was_found():
    radiograph = Radiograph(np.zeros((32, 64), np.uint8), (0.5, 0.5), "a")
    box, logits = Letterbox.fit((32, 64), (32, 64)), np.full((2, 32, 64), -9, np.float32)
    logits[0, 10:14, 5:25] = 9
    found = Segmentation(radiograph, tuple(Outline(each, box, 0.9) for each in logits), TRUST).quality
    # 80 pixels of 0.25 square millimetres: contour errors in the square root of 20 mm2, 4.472 mm.
    assert [found["right"][name] for name in EXPECTED] == [0.7, 0.9, 0.95, 0.0, 0.224, 0.447]
    assert all(found["left"][name] is None for name in EXPECTED)
