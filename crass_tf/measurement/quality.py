"""How far a segmentation can be trusted: what was found, whether it is plausible, and one score that ranks results."""

from typing import Any

import cv2
import numpy as np

from crass_tf.common.types import Spacing
from crass_tf.geometry import LEFT, RIGHT, bounding_box
from crass_tf.measurement.trust import UNKNOWN, Trust

SIDES = {"right": RIGHT, "left": LEFT}
# Each plausible range holds every mask of the 100 training radiographs of JSRT/SCR with a margin of a quarter or more.
# Width of both clavicles, end to end, / width of the radiograph; a tenth means that most of it is frame.
WIDTH_SHARE = (0.12, 1.0)
# One clavicle's area / (width of both clavicles)^2.
AREA_SHARE = (0.012, 0.09)
# Larger clavicle's area / smaller clavicle's area.
SYMMETRY = 2.0
# Of the clavicles' centre, from the top, in the radiograph's height.
HEIGHT_SHARE = (0.0, 0.6)
# Score of one clavicle below which it is none. The 124 odd-numbered JSRT radiographs have 0.8 and more, drawn pictures
# that are no radiographs below 0.5.
LEAST_SCORE = 0.5
# Width in model pixels of the band along the outline in which the network has to be sure.
BORDER = 5


def sides(
    labels: np.ndarray, spacing_mm: Spacing | None, scores: dict[str, float | None], trust: Trust | None = None
) -> dict[str, dict[str, Any]]:
    """Returns what was found by side: `{"right": {"found", "area_pixels", "area_mm2", "score", ...}, "left": {...}}`.

    Behind the score stand `trust.EXPECTED`, None each for a clavicle that is not found and without a `trust`.
    """
    areas = _areas(labels[bounding_box(labels)])
    return {name: _side(area, spacing_mm, scores[name], trust) for name, area in zip(SIDES, areas)}


def checks(labels: np.ndarray) -> dict[str, bool]:
    """Returns which properties of the found clavicles are plausible, `{name: bool}`.

    Args:
        labels: uint8 `[H, W]`, 0 background, 1 right clavicle, 2 left clavicle.
    """
    rows, columns = box = bounding_box(labels)
    areas = _areas(labels[box])
    if not any(areas):
        return {"both_found": False, "area": False, "position": False, "symmetry": False}
    width = columns.stop - columns.start
    shares = [area / width**2 for area in areas if area]
    return {
        "both_found": all(areas),
        "area": all(_within(share, AREA_SHARE) for share in shares),
        "position": _within((rows.start + rows.stop - 1) / 2 / labels.shape[0], HEIGHT_SHARE)
        and _within(width / labels.shape[1], WIDTH_SHARE),
        "symmetry": all(areas) and max(areas) <= SYMMETRY * min(areas),
    }


def stability(probability: np.ndarray) -> float:
    """Returns the IoU of the masks of probabilities `[h, w]` above 3/4 and above 1/4; 0 where both are empty.

    The closer they are, the less does it matter where the border between clavicle and background is drawn. Of the
    scores that were compared on changed training radiographs it ranked them best by their IoU with the truth.

    Source: the stability score of Kirillov et al., Segment Anything, ICCV 2023.
    """
    narrow, wide = (np.count_nonzero(probability > level) for level in (0.75, 0.25))
    return narrow / max(wide, 1)


def border_confidence(probability: np.ndarray) -> float:
    """Returns how sure probabilities `[h, w]` are along the outline: 0 where all is one half, 1 where all is 0 or 1."""
    mask = (probability > 0.5).astype(np.uint8)
    band = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((BORDER, BORDER), np.uint8)) > 0
    return float(np.abs(2 * probability[band] - 1).mean()) if band.any() else 0.0


def score(stability: float, checks: dict[str, bool]) -> float:
    """Returns one figure from 0 to 1 that ranks results by their IoU with the truth, for a model without scores.

    Args:
        stability: what `stability` returned.
        checks: what `checks` returned; each that fails costs a fifth.
    """
    return stability * 0.8 ** sum(not passed for passed in checks.values())


def _areas(labels):
    """Returns the number of pixels of each of `SIDES`."""
    return [int(np.count_nonzero(labels == label)) for label in SIDES.values()]


def _side(pixels, spacing_mm, score, trust):
    area_mm2 = None if spacing_mm is None else pixels * spacing_mm[0] * spacing_mm[1]
    expected = trust.expect(score, area_mm2) if trust and pixels and score is not None else UNKNOWN
    return {"found": pixels > 0, "area_pixels": pixels, "area_mm2": area_mm2, "score": score} | expected


def _within(value, limits):
    return bool(limits[0] <= value <= limits[1])
