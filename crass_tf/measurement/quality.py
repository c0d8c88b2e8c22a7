"""How far a segmentation can be trusted: what was found, whether it is plausible, what its score is worth."""

from __future__ import annotations

import bisect
import dataclasses
import json
import pathlib
from typing import Any

import cv2
import numpy as np

from crass_tf.common.files import InputError, read_text
from crass_tf.common.types import Spacing
from crass_tf.geometry import LEFT, RIGHT, bounding_box

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
# A clavicle with a lower score is left out. The 124 odd-numbered JSRT radiographs have 0.8 and more, drawn pictures
# that are no radiographs below 0.5.
LEAST_SCORE = 0.5
# A clavicle with a lower score gets a second look. After that it has `SECOND_SCORE` at most: the largest of several
# scores promises more than one.
SURE_SCORE, SECOND_SCORE = 0.8, 0.79
# Width, in model pixels, of the band along the outline in which `border_confidence` is measured.
BORDER = 5
# Numbers of `Trust`.
TRUST_NAME = "trust.json"
# The lower end of the interval, the median, the upper end; of the IoU and of the mean contour distance.
EXPECTED = ("iou_low", "iou_expected", "iou_high", "contour_mm_low", "contour_mm_expected", "contour_mm_high")
UNKNOWN: dict[str, float | None] = dict.fromkeys(EXPECTED)


def sides(
    labels: np.ndarray, spacing_mm: Spacing | None, scores: dict[str, float], trust: Trust | None = None
) -> dict[str, dict[str, Any]]:
    """Returns what was found by side: `{"right": {"found", "area_pixels", "area_mm2", "score", ...}, "left": {...}}`.

    `scores` are of the sides that have one. Behind the score stand `EXPECTED`, None each for a clavicle that was not
    found and without a `trust`.
    """
    areas = _count_pixels(labels[bounding_box(labels)])
    return {name: _side(area, spacing_mm, scores.get(name), trust) for name, area in zip(SIDES, areas)}


def checks(labels: np.ndarray) -> dict[str, bool]:
    """Returns which properties of the clavicles in labels uint8 `[H, W]` are plausible, `{name: bool}`."""
    rows, columns = box = bounding_box(labels)
    areas = _count_pixels(labels[box])
    if not any(areas):
        return {"both_found": False, "area": False, "position": False, "symmetry": False}
    width = columns.stop - columns.start
    shares = [area / width**2 for area in areas if area]
    return {
        "both_found": all(areas),
        "area": all(_is_within(share, AREA_SHARE) for share in shares),
        "position": _is_within((rows.start + rows.stop - 1) / 2 / labels.shape[0], HEIGHT_SHARE)
        and _is_within(width / labels.shape[1], WIDTH_SHARE),
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

    It is what `stability` returned; each of `checks` that failed costs a fifth.
    """
    return stability * 0.8 ** sum(not passed for passed in checks.values())


@dataclasses.dataclass(frozen=True)
class Trust:
    """What a score is worth: intervals of overlap and contour error by score; `trust.json` beside a model holds them.

    Outlines whose truth is known are sorted by score and put into groups of equal size. An outline gets the interval of
    the group that its score lies in, which holds the given share of that group: split conformal prediction for each
    group, see Vovk et al., Algorithmic Learning in a Random World, 2005, chapter 4.
    """

    coverage: float  # the share of outlines that lie in their intervals
    scores: list[float]  # the least one of each group, ascending; below the first one nothing is known
    iou: list[list[float]]  # `[(low, median, high), ...]` for each group
    contour: list[list[float]]  # the same of mean contour distance / square root of the outline's area, in one unit

    @classmethod
    def load(cls, path: pathlib.Path) -> Trust | None:
        """Returns what a `trust.json` holds, None where there is no such file; InputError for another content."""
        if not path.is_file():
            return None
        try:
            intervals = cls(**json.loads(read_text(path)))
            groups = len(intervals.scores)
            if np.shape(intervals.iou) != (groups, 3) or np.shape(intervals.contour) != (groups, 3):
                raise ValueError(f"not three figures for each of {groups} groups")
            return intervals
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{path}: found no intervals by score ({error}); remove the file, or copy it again"
            ) from None

    def expect(self, score: float, area_mm2: float | None) -> dict[str, float | None]:
        """Returns what to expect of an outline: `EXPECTED`, None where the score is lower than those that were seen.

        Without an area the contour error is None.
        """
        group = bisect.bisect_right(self.scores, score) - 1
        if group < 0:
            return dict(UNKNOWN)
        unit_mm = None if area_mm2 is None else float(np.sqrt(area_mm2))
        contour = [None if unit_mm is None else round(value * unit_mm, 3) for value in self.contour[group]]
        return dict(zip(EXPECTED, [*self.iou[group], *contour]))


def _count_pixels(labels):
    """Returns the number of pixels of each of `SIDES`."""
    return [int(np.count_nonzero(labels == label)) for label in SIDES.values()]


def _side(pixels, spacing_mm, score, trust):
    area_mm2 = None if spacing_mm is None else pixels * spacing_mm[0] * spacing_mm[1]
    expected = trust.expect(score, area_mm2) if trust and pixels and score is not None else UNKNOWN
    return {"found": pixels > 0, "area_pixels": pixels, "area_mm2": area_mm2, "score": score} | expected


def _is_within(value, limits):
    return bool(limits[0] <= value <= limits[1])
