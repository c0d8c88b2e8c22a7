"""Measures of trust, on masks and probabilities drawn by hand."""

import numpy as np
import pytest

from crass_tf.measurement import quality


def labels(right=(10, 20, 30), left=(10, 60, 30), height=100, width=110):
    """Two bars of 8 rows: (top row, first column, columns) of each side."""
    drawn = np.zeros((height, width), np.uint8)
    for label, (top, first, columns) in ((1, right), (2, left)):
        drawn[top : top + 8, first : first + columns] = label
    return drawn


def test_plausible_bars_pass_all_checks():
    # 240 pixels each; 70 columns from end to end: 240 / 4900 = 0.049 of the square, 70 / 110 = 0.64 of the width.
    assert quality.checks(labels()) == dict.fromkeys(("both_found", "area", "position", "symmetry"), True)


@pytest.mark.parametrize(
    "drawn, failed",
    [
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


def test_stability_by_hand():
    # Above 3/4: one pixel; above 1/4: three.
    assert quality.stability(np.array([[0.9, 0.7], [0.3, 0.1]])) == pytest.approx(1 / 3)
    assert quality.stability(np.ones((2, 2))) == 1
    assert quality.stability(np.full((2, 2), 0.1)) == 0


def test_border_confidence_by_hand():
    probability = np.zeros((20, 20))
    probability[5:15, 5:15] = 1
    assert quality.border_confidence(probability) == 1
    assert quality.border_confidence(0.5 + (probability - 0.5) * 0.2) == pytest.approx(0.2)
    assert quality.border_confidence(np.zeros((20, 20))) == 0


def test_score_falls_with_each_flaw():
    good = dict.fromkeys(("both_found", "area"), True)
    assert quality.score(0.9, good) == pytest.approx(0.9)
    assert quality.score(0.9, good | {"area": False}) == pytest.approx(0.72)
    assert quality.score(0.9, dict.fromkeys(good, False)) == pytest.approx(0.576)
