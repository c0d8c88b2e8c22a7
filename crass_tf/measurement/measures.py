"""What is measured: centre line, length, width and angle of a clavicle, and how far it lies from the chest's midline.

Everything is measured in millimetres where the pixel spacing is known, on pixels that are no squares, too; otherwise in
pixels. Points are (x, y) in native pixels, (0, 0) is the centre of the first pixel.
"""

import dataclasses
from typing import Any

import cv2
import numpy as np

from crass_tf.common.types import Spacing

# Cross-sections of a clavicle, and the degree of the polynomials that make a smooth line of their middles: beyond an S
# with two bends, lines follow the corners of a medial end instead.
SECTIONS = 64
DEGREE = 3
# Least distance of a cross-section from the ends, in its lengths; nearer to an end it runs into it.
CLEAR = 0.5
# Number of points, from an end of the curve, that give its direction there.
TANGENT = 4
# Number of times that the line is fitted to the middles of cross-sections perpendicular to the previous line.
ROUNDS = 4
# A field with more pixels is measured on a coarser grid. No clavicle is that large, but an outline in a picture that
# is no radiograph may be.
MOST_PIXELS = 1_000_000
# Most samples across the width of a clavicle; samples are at least half a pixel apart.
FINENESS = 64
# A shape that is shorter than so many times its width has no direction.
LEAST_ELONGATION = 1.5
# The keys of `of_clavicle`.
OF_CLAVICLE = ("length_mm", "length_pixels", "width_mm", "width_pixels", "angle_deg", "medial_end", "lateral_end")

# The midline is looked for on the radiograph at this width, and at most so many times this height, which no chest has;
# in this part of its height, by these tilts, and not further from its centre than this part of its width.
MIDLINE_WIDTH = 128
TALLEST = 4
ROWS = (0.05, 0.7)
TILTS_DEG = np.arange(-9.0, 9.1, 1.5)
OFF_CENTRE = 0.2
# Standard deviations, in pixels of the smaller radiograph, of what is smoothed away and of the neighbourhood by which
# contrast is evened.
NOISE, NEIGHBOURHOOD = 2.0, 8.0
# Grey levels: where contrast is less than this, there is nothing to compare.
FLAT = 4.0
# Exponent of all pixels' energy beside that of the pixels in view; at 0 half a chest would be symmetric enough.
WHOLE = 0.25
# What benchmarks/measures.py measured on JSRT: against halfway between the lungs' outer borders at half their height
# (124 radiographs), and against the spinous processes near the clavicles' height (37).
MIDLINE_ERROR_MM = {"lungs": {"median": 1.2, "percentile_95": 2.6}, "spine": {"median": 3.0, "percentile_95": 6.5}}


@dataclasses.dataclass(frozen=True, eq=False)
class CentreLine:
    """The middle of one clavicle, from its medial end to its lateral one.

    Attributes:
        points: float32 `[N, 2]`, (x, y) in native pixels, evenly spaced; the first and the last lie on the outline.
        sections: float32 `[M, 2, 2]`, both ends of cross-sections perpendicular to the line, without those nearer to
            an end than half their length, which the end may cut off.
        spacing_mm: `(row, column)`, or None where unknown.
    """

    points: np.ndarray
    sections: np.ndarray
    spacing_mm: tuple[float, float] | None

    @property
    def angle_deg(self) -> float:
        """Angle to the horizontal of the straight line between both ends; positive where the lateral one is higher."""
        x, y = (self.points[-1] - self.points[0]) * scale(self.spacing_mm)
        return float(np.rad2deg(np.arctan2(-y, abs(x))))

    def length(self, unit: np.ndarray) -> float:
        """Returns the length along the line; `unit` is the (x, y) size of a pixel, see `scale`."""
        return float(_length(self.points * unit))

    def width(self, unit: np.ndarray) -> float:
        """Returns the mean length of the cross-sections; `unit` as for `length`."""
        return float(np.hypot(*((self.sections[:, 1] - self.sections[:, 0]) * unit).T).mean())


def scale(spacing_mm: Spacing | None) -> np.ndarray:
    """Returns the size (x, y) of a pixel, float64 `[2]`: in millimetres, or in pixels where the spacing is None."""
    return np.ones(2) if spacing_mm is None else np.array(spacing_mm[::-1], np.float64)


def centre_line(
    field: np.ndarray, corner: np.ndarray, towards: int, spacing_mm: Spacing | None = None
) -> CentreLine | None:
    """Returns the `CentreLine` of one clavicle, or None where the shape is no band: as wide as long, or too crooked.

    A polynomial curve is fitted to the middles of its perpendicular cross-sections, `ROUNDS` times; beyond the last
    whole cross-sections it is straight up to the outline.

    Args:
        field: float32 `[h, w]`, above zero inside; of several shapes the largest one counts.
        corner: (x, y) of its first pixel in the radiograph.
        towards: where the lateral end is: -1 image left, 1 image right.
        spacing_mm: `(row, column)` or None.
    """
    field, step = _reduce_field(field)
    largest = _crop_to_largest(field)
    if largest is None:
        return None
    field, inner = largest
    unit = scale(spacing_mm) * step
    line, width = _fit_straight_line(field, unit, towards)
    if _length(line) < LEAST_ELONGATION * width:
        return None
    for number in range(ROUNDS + 1):
        sections, whole = _cut_sections(field, line, unit, width)
        if whole.sum() <= DEGREE:
            return None
        if number < ROUNDS:
            width = np.hypot(*(sections[whole, 1] - sections[whole, 0]).T).mean()
            line = _extend_to_outline(field, _fit_smooth_line(line, sections.mean(axis=1), whole), unit, width)
    if (_sample(field, line[1:-1], unit) <= 0).any():
        return None
    native = ((part / unit + inner + 0.5) * step - 0.5 + corner for part in (line, sections[whole]))
    points, sections = (part.astype(np.float32) for part in native)
    return CentreLine(points, sections, spacing_mm)


def of_clavicle(line: CentreLine | None) -> dict[str, Any]:
    """Returns what a `CentreLine` says of its clavicle; None for all where there is no line.

    The keys are `OF_CLAVICLE`; the ends are (x, y) in native pixels. Lengths in millimetres are None where the
    spacing is unknown.
    """
    if line is None:
        return dict.fromkeys(OF_CLAVICLE)
    units = line.spacing_mm and scale(line.spacing_mm), scale(None)
    lengths = [None if unit is None else size(unit) for size in (line.length, line.width) for unit in units]
    return dict(zip(OF_CLAVICLE, (*lengths, line.angle_deg, line.points[0].tolist(), line.points[-1].tolist())))


def medial_distances(
    lines: dict[str, CentreLine | None], midline: np.ndarray | None, spacing_mm: Spacing | None = None
) -> dict[str, float | None]:
    """Returns how far the medial ends of both clavicles lie from the midline.

    `{"right_pixels", "left_pixels", "difference_pixels", "right_mm", "left_mm", "difference_mm", "ratio"}`: distances
    along the perpendicular, negative beyond the midline; the right one less the left one; and the smaller one over
    the larger one, of those in millimetres where these are known. None for what is not known. An error of the midline
    counts twice in the difference. `lines` are `{"right": CentreLine or None, "left": ...}`, `midline` is what
    `find_midline` returned.
    """
    distances, ratio = {}, None
    for suffix, unit in (("pixels", scale(None)), ("mm", None if spacing_mm is None else scale(spacing_mm))):
        right, left = (_measure_to_midline(lines[name], midline, spacing_mm, unit) for name in ("right", "left"))
        distances |= {f"right_{suffix}": right, f"left_{suffix}": left, f"difference_{suffix}": None}
        if right is not None and left is not None:
            distances[f"difference_{suffix}"] = right - left
            ratio = min(right, left) / max(right, left) if max(right, left) > 0 else ratio
    return distances | {"ratio": ratio}


def find_midline(image: np.ndarray, spacing_mm: Spacing | None = None) -> np.ndarray:
    """Returns the chest's axis of mirror symmetry: float64 `[2, 2]`, its (x, y) on the first row and on the last.

    The grey values, their contrast evened, are compared with their mirror image about every axis near the centre; the
    best one counts. Clavicles are not used. Where there is nothing to compare, it is the centre line of the image,
    uint8 `[H, W]`. `MIDLINE_ERROR_MM` says what to expect; in a rotated patient the spine lies elsewhere.
    """
    unit = scale(spacing_mm)
    height = round(image.shape[0] / image.shape[1] * MIDLINE_WIDTH * unit[1] / unit[0])
    size = MIDLINE_WIDTH, min(max(height, 2), TALLEST * MIDLINE_WIDTH)
    even = _even_contrast(cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32))
    x, tilt_deg = _find_best_axis(even)
    turn = np.vstack([_rotation(even.shape, tilt_deg), (0, 0, 1)])
    # Two points of the upright axis, mapped back from the turned image.
    line = (np.linalg.inv(turn) @ np.array([[x, x], [0, size[1] - 1], [1, 1]]))[:2].T
    line = (line + 0.5) * (image.shape[1] / size[0], image.shape[0] / size[1]) - 0.5
    # An image of one row has a line, too.
    y = np.array([0.0, max(image.shape[0] - 1.0, 1.0)])
    slope = (line[1, 0] - line[0, 0]) / (line[1, 1] - line[0, 1])
    return np.stack([line[0, 0] + slope * (y - line[0, 1]), y], axis=1)


def to_line(point: np.ndarray, line: np.ndarray, spacing_mm: Spacing | None = None) -> np.ndarray:
    """Returns the perpendicular from a point (x, y) to a line, two of its points `[2, 2]`, as a vector (x, y).

    All in native pixels; but what is perpendicular shows in millimetres only, hence the spacing.
    """
    unit = scale(spacing_mm)
    point, first, second = (np.asarray(p, np.float64) * unit for p in (point, *line))
    along = (second - first) / np.hypot(*(second - first))
    return (first + along * ((point - first) @ along) - point) / unit


def _measure_to_midline(line, midline, spacing_mm, unit):
    """Returns how far a line's medial end lies from the midline on its own side, in `unit`; None for None."""
    if line is None or unit is None:
        return None
    way, outward = to_line(line.points[0], midline, spacing_mm), line.points[-1] - line.points[0]
    return float(-np.hypot(*(way * unit)) * np.sign(way[0] * outward[0]))


def _reduce_field(field):
    """Returns a field of at most `MOST_PIXELS`, and how many of the given pixels (x, y) one of its own stands for."""
    height, width = field.shape
    if field.size <= MOST_PIXELS:
        return field, np.ones(2)
    factor = (MOST_PIXELS / field.size) ** 0.5
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(field, size, interpolation=cv2.INTER_AREA), np.array([width, height]) / size


def _crop_to_largest(field):
    """Returns the field around its largest shape, below zero at its border, and its corner (x, y); None without one."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats((field > 0).astype(np.uint8))
    if count < 2:
        return None
    part = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    left, top, width, height, _ = stats[part]
    first_x, first_y = max(left - 2, 0), max(top - 2, 0)
    box = slice(first_y, top + height + 2), slice(first_x, left + width + 2)
    field = np.where((parts[box] == part) | (parts[box] == 0), field[box], -np.abs(field[box]))
    return framed(field), np.array([first_x - 1, first_y - 1])


def _fit_straight_line(field, unit, towards):
    """Returns the line `[N, 2]` along a shape's longest direction, the lateral end last, and the shape's mean width."""
    y, x = np.nonzero(field > 0)
    points = np.stack([x, y], axis=1) * unit
    mean = points.mean(axis=0)
    direction = np.linalg.eigh(np.cov((points - mean).T, bias=True))[1][:, 1]
    direction *= np.copysign(1, direction[0] * towards)
    along = (points - mean) @ direction
    # A pixel's own size, so that one alone has a length.
    length = np.ptp(along) + unit.min()
    return mean + np.outer(np.linspace(along.min(), along.max(), SECTIONS), direction), len(x) * unit.prod() / length


def _cut_sections(field, line, unit, width):
    """Returns the cross-sections `[N, 2, 2]` at the points of a line, and which of them are whole, bool `[N]`."""
    tangents = np.gradient(line, axis=0)
    tangents /= np.hypot(*tangents.T)[:, None]
    normals = np.stack([-tangents[:, 1], tangents[:, 0]], axis=1)
    reach = np.arange(-1.5 * width, 1.5 * width, _choose_step(unit, width))
    values = _sample(field, line[:, None] + normals[:, None] * reach[:, None], unit)
    low, high, bounded = _find_run(values)
    offsets = np.stack([np.interp(edge, np.arange(len(reach)), reach) for edge in (low, high)], axis=1)
    along = _measure_arc_lengths(line)
    needed = CLEAR * np.maximum(np.ptp(offsets, axis=1), width)
    whole = bounded & (along > needed) & (along < along[-1] - needed)
    return line[:, None] + normals[:, None] * offsets[..., None], whole


def framed(field: np.ndarray) -> np.ndarray:
    """Returns a field `[H, W]` as float32 `[H + 2, W + 2]` whose border is below zero.

    What is above zero at the field's border is as far below it beyond: it crosses zero at the outer edge of its pixels.
    """
    field = cv2.copyMakeBorder(field.astype(np.float32), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    for border in (field[0], field[-1], field[:, 0], field[:, -1]):
        border[:] = -np.abs(border)
    return field


def _find_run(values):
    """Returns where rows `[N, M]` cross zero around the run above zero nearest to their middle, and whether they do.

    These are column numbers, float `[N]` each, and bool `[N]`.
    """
    place = np.arange(values.shape[1])
    inside = values > 0
    nearest = np.argmin(np.where(inside, np.abs(place - len(place) // 2), len(place)), axis=1)[:, None]
    low = np.where(~inside & (place < nearest), place, -1).max(axis=1)
    high = np.where(~inside & (place > nearest), place, len(place)).min(axis=1)
    bounded = inside.any(axis=1) & (low >= 0) & (high < len(place))
    low, high = np.where(bounded, low, 0), np.where(bounded, high, 1)
    return low + _interpolate_zero(values, low, low + 1), high - _interpolate_zero(values, high, high - 1), bounded


def _interpolate_zero(values, outer, inner):
    """Returns where rows `[N, M]` are zero between two columns, as a share of the way from the first, 0 to 1."""
    rows = np.arange(len(values))
    outside, inside = np.minimum(values[rows, outer], 0), np.maximum(values[rows, inner], 0)
    return outside / np.minimum(outside - inside, -np.finfo(np.float32).tiny)


def _fit_smooth_line(line, middles, whole):
    """Returns the polynomial curve `[N, 2]` through middles of whole cross-sections, `[N, 2]`; for these alone."""
    along = _measure_arc_lengths(line)
    fitted = np.polynomial.Polynomial.fit
    first, last = along[whole][[0, -1]]
    inner = np.linspace(first, last, SECTIONS)
    return np.stack([fitted(along[whole], axis, DEGREE)(inner) for axis in middles[whole].T], axis=1)


def _extend_to_outline(field, line, unit, width):
    """Returns a line `[N, 2]` that goes on straight at both ends to where the field is zero; evenly spaced again."""
    # Farther than the distance from the last whole cross-section to the end of the clavicle.
    reach = np.arange(0, 3 * width + _length(line) * 4 / SECTIONS, _choose_step(unit, width))[:, None]
    ends = []
    for end, inner in ((line[0], line[TANGENT]), (line[-1], line[-1 - TANGENT])):
        ray = end + reach * (end - inner) / np.hypot(*(end - inner))
        values = _sample(field, ray, unit)
        outside = max(1, int(np.argmax(values <= 0)))
        share = 1 - _interpolate_zero(values[None], [outside], [outside - 1])
        ends.append(ray[outside - 1] + share * (ray[outside] - ray[outside - 1]))
    line = np.concatenate([ends[:1], line, ends[1:]])
    along = _measure_arc_lengths(line)
    even = np.linspace(0, along[-1], SECTIONS)
    return np.stack([np.interp(even, along, axis) for axis in line.T], axis=1)


def _sample(field, points, unit):
    """Returns the field at points `[..., 2]` of (x, y), in millimetres, bilinearly; its border continues outside."""
    # OpenCV's remap rounds to 1/32 of a pixel, and takes neither long lists nor wide fields.
    x, y = np.moveaxis(points / unit, -1, 0)
    x, y = np.clip(x, 0, field.shape[1] - 1), np.clip(y, 0, field.shape[0] - 1)
    left, top = np.minimum(x.astype(int), field.shape[1] - 2), np.minimum(y.astype(int), field.shape[0] - 2)
    x, y = x - left, y - top
    corner = top * field.shape[1] + left
    a, b, c, d = (field.ravel()[corner + step] for step in (0, 1, field.shape[1], field.shape[1] + 1))
    return (a * (1 - x) + b * x) * (1 - y) + (c * (1 - x) + d * x) * y


def _choose_step(unit, width):
    """Returns how far apart a clavicle of a width is sampled, in the units of both."""
    return max(unit.min() / 2, width / FINENESS)


def _measure_arc_lengths(line):
    """Returns the arc length of a line `[N, 2]` up to each of its points, `[N]`."""
    return np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])


def _length(line):
    return _measure_arc_lengths(line)[-1]


def _even_contrast(image):
    """Returns grey values float32 `[h, w]` without their local mean and contrast."""
    image = cv2.GaussianBlur(image, (0, 0), NOISE)
    mean = cv2.GaussianBlur(image, (0, 0), NEIGHBOURHOOD)
    contrast = np.sqrt(cv2.GaussianBlur((image - mean) ** 2, (0, 0), NEIGHBOURHOOD))
    return (image - mean) / (contrast + FLAT)


def _find_best_axis(image):
    """Returns the upright axis of mirror symmetry once the image is turned: its x, and the turn in degrees."""
    axes, likeness = zip(*(_find_upright_axis(_turn_image(image, tilt)) for tilt in TILTS_DEG))
    place, _ = _find_peak(likeness)
    return [float(np.interp(place, np.arange(len(axes)), values)) for values in (axes, TILTS_DEG)]


def _turn_image(image, tilt_deg):
    """Returns the rows of an image that are compared, turned about the middle of them."""
    turned = cv2.warpAffine(image, _rotation(image.shape, tilt_deg), image.shape[::-1])
    top, bottom = (round(share * image.shape[0]) for share in ROWS)
    return turned[top : max(bottom, top + 1)]


def _rotation(size, tilt_deg):
    centre = (size[1] - 1) / 2, sum(ROWS) / 2 * size[0]
    return cv2.getRotationMatrix2D(centre, tilt_deg, 1)


def _find_upright_axis(rows):
    """Returns x of the upright axis about which rows `[h, w]` are most like their mirror image, and how like."""
    width = rows.shape[1]
    # Products of each pixel and its mirror image, added up for all axes at once: a convolution of rows with themselves.
    spectrum = np.fft.rfft(rows, 2 * width, axis=1)
    products = np.fft.irfft((spectrum**2).sum(axis=0), 2 * width)
    squares = np.concatenate([[0], np.cumsum((rows**2).sum(axis=0))])
    # An axis at x pairs columns that add up to 2 x.
    furthest = round(2 * width * OFF_CENTRE)
    sums = np.arange(width - 1 - furthest, width + furthest)
    first, last = np.maximum(0, sums - width + 1), np.minimum(width - 1, sums)
    in_view = squares[last + 1] - squares[first]
    likeness = products[sums] / np.maximum(in_view ** (1 - WHOLE) * squares[-1] ** WHOLE, 1e-6)
    place, best = _find_peak(likeness)
    return (sums[0] + place) / 2, best


def _find_peak(values):
    """Returns the position of the largest value, by a parabola, and the value; the middle of equal values."""
    values = np.asarray(values, np.float64)
    if np.ptp(values) < 1e-9:
        return (len(values) - 1) / 2, float(values[0])
    place = int(np.argmax(values))
    if not 0 < place < len(values) - 1:
        return float(place), float(values[place])
    before, at, after = values[place - 1 : place + 2]
    bend = before - 2 * at + after
    return place + (0.5 * (before - after) / bend if bend < 0 else 0.0), float(at)
