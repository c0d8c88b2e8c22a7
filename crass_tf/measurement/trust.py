"""What a score is worth: the overlap and the contour error to expect of an outline, each with an interval.

Outlines whose truth is known are sorted by score and put into groups of equal size. An outline gets the interval of the
group that its score lies in, which holds the given share of that group: split conformal prediction for each group, see
Vovk et al., Algorithmic Learning in a Random World, 2005, chapter 4.
"""

from __future__ import annotations

import bisect
import dataclasses
import json
import pathlib

import numpy as np

from crass_tf.common.files import InputError, read_text

NAME = "trust.json"
COVERAGE = 0.9
GROUPS = 8
# Below this quantile of the scores that were seen, too few were.
RARE = 0.02
# The lower end of the interval, the median, the upper end; of the IoU and of the mean contour distance.
EXPECTED = ("iou_low", "iou_expected", "iou_high", "contour_mm_low", "contour_mm_expected", "contour_mm_high")
UNKNOWN: dict[str, float | None] = dict.fromkeys(EXPECTED)


@dataclasses.dataclass(frozen=True)
class Trust:
    """Intervals by score; `trust.json` beside a model holds them.

    Attributes:
        coverage: the share of outlines that lie in their intervals.
        scores: the least score of each group, ascending; below the first one nothing is known.
        iou: `[(low, median, high), ...]` for each group.
        contour: the same of the mean contour distance / square root of the outline's area, both in one unit.
    """

    coverage: float
    scores: list[float]
    iou: list[list[float]]
    contour: list[list[float]]

    @classmethod
    def fit(
        cls, scores: np.ndarray, iou: np.ndarray, contour: np.ndarray, coverage: float = COVERAGE, groups: int = GROUPS
    ) -> Trust:
        """Returns the intervals that outlines with known truth give; float `[N]` each.

        Raises:
            InputError: for too few outlines, of which no interval of that coverage can be made.
        """
        least = int(np.ceil(round(2 / (1 - coverage), 6)))
        if len(scores) < groups * least:
            raise InputError(f"found {len(scores)} outlines, expected at least {groups * least} for {groups} groups")
        parts = np.array_split(np.argsort(scores, kind="stable"), groups)
        edges = [float(np.quantile(scores, RARE)), *(float(scores[part[0]]) for part in parts[1:])]
        return cls(coverage, edges, *([_interval(each[part], coverage) for part in parts] for each in (iou, contour)))

    @classmethod
    def load(cls, path: pathlib.Path) -> Trust | None:
        """Returns what a `trust.json` holds, None where there is no such file; InputError for another content."""
        if not path.is_file():
            return None
        try:
            found = cls(**json.loads(read_text(path)))
            groups = len(found.scores)
            if np.shape(found.iou) != (groups, 3) or np.shape(found.contour) != (groups, 3):
                raise ValueError(f"not three figures for each of {groups} groups")
            return found
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


def _interval(values, coverage):
    """Returns `[low, median, high]`; a further value lies within with at least that probability."""
    ordered, outside = np.sort(values), (1 - coverage) / 2
    low = int(np.floor(outside * (len(ordered) + 1))) - 1
    return [round(float(each), 4) for each in (ordered[low], np.median(ordered), ordered[len(ordered) - 1 - low])]
