"""The chest's midline, from the radiograph's own symmetry."""

import cv2
import numpy as np

from crass_tf.common.types import Spacing
from crass_tf.measurement.measures import scale

# The axis is looked for on the radiograph at this width, and at most so many times this height, which no chest has; in
# this part of its height, by these tilts, and not further from its centre than this part of its width.
WIDTH = 128
TALLEST = 4
ROWS = (0.05, 0.7)
TILTS_DEG = np.arange(-9.0, 9.1, 1.5)
OFF_CENTRE = 0.2
# Standard deviations in pixels of WIDTH of what is smoothed away, and of the neighbourhood by which contrast is evened.
NOISE, NEIGHBOURHOOD = 2.0, 8.0
# Grey levels: where contrast is less than this, there is nothing to compare.
FLAT = 4.0
# By how much the whole weighs against what an axis leaves in view: without, half a chest would be symmetric enough.
WHOLE = 0.25
# What benchmarks/measures.py measured on JSRT: against halfway between the lungs' outer borders at half their height
# (124 radiographs), and against the spinous processes near the clavicles' height (37).
ERROR_MM = {
    "lungs": {"median": 1.2, "percentile_95": 2.6},
    "spine": {"median": 3.0, "percentile_95": 6.5},
}


def find(image: np.ndarray, spacing_mm: Spacing | None = None) -> np.ndarray:
    """Returns the chest's axis of mirror symmetry: float64 `[2, 2]`, its (x, y) on the first row and on the last.

    The grey values, their contrast evened, are compared with their mirror image about every axis near the centre; the
    best one counts. Clavicles are not asked. Where there is nothing to compare, it is the image's centre line.
    `ERROR_MM` says what to expect; in a rotated patient the spine lies elsewhere.

    Args:
        image: uint8 `[H, W]`.
        spacing_mm: `(row, column)` or None.
    """
    unit = scale(spacing_mm)
    height = round(image.shape[0] / image.shape[1] * WIDTH * unit[1] / unit[0])
    size = WIDTH, min(max(height, 2), TALLEST * WIDTH)
    even = _evened(cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32))
    x, tilt_deg = _best_axis(even)
    turn = np.vstack([_rotation(even.shape, tilt_deg), (0, 0, 1)])
    # Two points of the upright axis of the turned image, brought back.
    line = (np.linalg.inv(turn) @ np.array([[x, x], [0, size[1] - 1], [1, 1]]))[:2].T
    line = (line + 0.5) * (image.shape[1] / size[0], image.shape[0] / size[1]) - 0.5
    # One row has a line, too.
    y = np.array([0.0, max(image.shape[0] - 1.0, 1.0)])
    slope = (line[1, 0] - line[0, 0]) / (line[1, 1] - line[0, 1])
    return np.stack([line[0, 0] + slope * (y - line[0, 1]), y], axis=1)


def _evened(image):
    """Returns grey values float32 `[h, w]` without their local mean and contrast."""
    image = cv2.GaussianBlur(image, (0, 0), NOISE)
    mean = cv2.GaussianBlur(image, (0, 0), NEIGHBOURHOOD)
    contrast = np.sqrt(cv2.GaussianBlur((image - mean) ** 2, (0, 0), NEIGHBOURHOOD))
    return (image - mean) / (contrast + FLAT)


def _best_axis(image):
    """Returns the upright axis of mirror symmetry once the image is turned: its x, and the turn in degrees."""
    found = [_upright_axis(_turned(image, tilt)) for tilt in TILTS_DEG]
    place, _ = _peak([likeness for _, likeness in found])
    return (
        float(np.interp(place, np.arange(len(found)), [x for x, _ in found])),
        float(np.interp(place, np.arange(len(found)), TILTS_DEG)),
    )


def _turned(image, tilt_deg):
    """Returns the rows of an image that are compared, turned about the middle of them."""
    turned = cv2.warpAffine(image, _rotation(image.shape, tilt_deg), image.shape[::-1])
    top, bottom = (round(share * image.shape[0]) for share in ROWS)
    return turned[top : max(bottom, top + 1)]


def _rotation(size, tilt_deg):
    centre = (size[1] - 1) / 2, sum(ROWS) / 2 * size[0]
    return cv2.getRotationMatrix2D(centre, tilt_deg, 1)


def _upright_axis(rows):
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
    place, best = _peak(likeness)
    return (sums[0] + place) / 2, best


def _peak(values):
    """Returns the place of the largest value, by a parabola through its neighbours, and the value; flat: the middle."""
    values = np.asarray(values, np.float64)
    if np.ptp(values) < 1e-9:
        return (len(values) - 1) / 2, float(values[0])
    place = int(np.argmax(values))
    if not 0 < place < len(values) - 1:
        return float(place), float(values[place])
    before, at, after = values[place - 1 : place + 2]
    bend = before - 2 * at + after
    return place + (0.5 * (before - after) / bend if bend < 0 else 0.0), float(at)
