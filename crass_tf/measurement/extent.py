"""How far to the side a clavicle is marked: observers of different studies cut it at different places."""

import numpy as np

from crass_tf.common.types import Spacing
from crass_tf.measurement import measures

# By how much of its length an outline in the convention of SCR is prolonged. Of six pictures of CRASS that its authors
# show, the clavicles reach 0.25 (standard deviation 0.07) further.
EXTENTS = {"scr": 0.0, "crass": 0.25}
DEFAULT_EXTENT = "scr"
# The direction and the width at the lateral end are those of this part of the centre line and of the cross-sections.
TAIL = 0.5
# Overlap of the added part with the outline, in widths of the outline.
OVERLAP = 0.15
# Pixels of background around the prolonged outline.
MARGIN = 2


def prolong(
    box: tuple[slice, slice],
    logits: np.ndarray,
    share: float,
    towards: int,
    native: tuple[int, int],
    spacing_mm: Spacing | None,
) -> tuple[tuple[slice, slice], np.ndarray]:
    """Returns an outline, `(box, logits)`, prolonged in a straight line beyond its lateral end.

    Where no centre line can be laid through the outline, it is returned as it is.

    Args:
        box: slices of the radiograph's rows and columns.
        logits: float32 `[h, w]` there, above 0 inside.
        share: the length of the added part, in lengths of the centre line.
        towards: where the lateral end is: -1 image left, 1 image right.
        native: `(height, width)` of the radiograph.
        spacing_mm: `(row, column)` or None.
    """
    corner = np.array([part.start for part in box[::-1]], np.float32)
    line = measures.centre_line(logits, corner, towards, spacing_mm)
    if line is None:
        return box, logits
    unit = measures.scale(spacing_mm)
    end, direction, width = _lateral_end(line, unit)
    start, length = end - OVERLAP * width * direction, OVERLAP * width + share * line.length(unit)
    last = (end + direction * (length + width)) / unit
    larger = _enlarge_box(box, last, native)
    rows, columns = (np.arange(part.start, part.stop) for part in larger)
    x, y = (columns * unit[0] - start[0])[None], (rows * unit[1] - start[1])[:, None]
    along, across = x * direction[0] + y * direction[1], y * direction[0] - x * direction[1]
    inside = np.minimum(width / 2 - abs(across), np.minimum(along, length - along))
    # From millimetres to pixels, so that the border has the steepness of an outline's.
    prolonged = np.clip(inside / unit.mean(), -4, 4).astype(np.float32)
    old = tuple(slice(b.start - a.start, b.stop - a.start) for a, b in zip(larger, box))
    prolonged[old] = np.maximum(prolonged[old], logits)
    return larger, prolonged


def _lateral_end(line, unit):
    """Returns the end, the direction there and the width, in the unit's lengths, float64 `[2]`, `[2]` and a number."""
    points, sections = line.points * unit, line.sections * unit
    tail = points[-max(2, round(TAIL * len(points))) :]
    direction = tail[-1] - tail[0]
    widths = np.hypot(*(sections[:, 1] - sections[:, 0]).T)
    return points[-1], direction / np.hypot(*direction), widths[-max(1, round(TAIL * len(widths))) :].mean()


def _enlarge_box(box, point, native):
    """Returns the smallest box that holds a box and a point (x, y) with a margin, within the radiograph."""
    rows, columns = (
        slice(max(0, min(part.start, int(place) - MARGIN)), min(side, max(part.stop, int(place) + MARGIN + 1)))
        for part, place, side in zip(box, point[::-1], native)
    )
    return rows, columns
