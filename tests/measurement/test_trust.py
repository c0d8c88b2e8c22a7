"""Intervals by score hold the share of further outlines that they promise."""

import dataclasses
import json

import numpy as np
import pytest

from crass_tf.common.files import InputError
from crass_tf.geometry import Letterbox
from crass_tf.inference.segmenter import Outline, Segmentation
from crass_tf.measurement.quality import EXPECTED, TRUST_NAME, UNKNOWN, Trust
from crass_tf.radiographs.radiograph import Radiograph


def outlines(count, seed):
    """Scores, and overlaps that vary more where the score is low."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.5, 1, count)
    iou = np.clip(scores - (1 - scores) * rng.exponential(0.5, count), 0, 1)
    return scores, iou, (1 - iou) / 4


def test_intervals_cover_what_they_say_overall_and_for_low_scores():
    trust = Trust.fit(*outlines(2000, 0))
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


def test_too_few_outlines_are_refused():
    with pytest.raises(InputError, match="found 159 outlines, expected at least 160 for 8 groups"):
        Trust.fit(*outlines(159, 0))


def test_file(tmp_path):
    trust = Trust.fit(*outlines(200, 0))
    assert Trust.load(tmp_path / TRUST_NAME) is None
    (tmp_path / TRUST_NAME).write_text(json.dumps(dataclasses.asdict(trust)))
    assert Trust.load(tmp_path / TRUST_NAME) == trust
    for broken in ("{", "[]", json.dumps(dataclasses.asdict(trust) | {"iou": [[0, 1, 2]]})):
        (tmp_path / TRUST_NAME).write_text(broken)
        with pytest.raises(InputError, match="found no intervals by score"):
            Trust.load(tmp_path / TRUST_NAME)


def test_a_segmentation_says_what_to_expect_of_what_was_found():
    trust = Trust.fit(*outlines(200, 0))
    radiograph = Radiograph(np.zeros((32, 64), np.uint8), (0.5, 0.5), "a")
    box, logits = Letterbox.fit((32, 64), (32, 64)), np.full((2, 32, 64), -9, np.float32)
    logits[0, 10:14, 5:25] = 9
    found = Segmentation(radiograph, tuple(Outline(each, box, 0.9) for each in logits), trust).quality
    assert {name: found["right"][name] for name in EXPECTED} == trust.expect(0.9, 20.0)
    assert all(found["left"][name] is None for name in EXPECTED)
