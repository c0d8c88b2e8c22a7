"""Contours and masks drawn on radiographs. Colours are blue, green, red, as OpenCV has them."""

from collections.abc import Sequence

import cv2
import numpy as np

from crass_tf.common.types import Spacing
from crass_tf.geometry import LEFT, RIGHT
from crass_tf.measurement.measures import CentreLine, to_line
from crass_tf.measurement.quality import SIDES

RIGHT_COLOUR = (60, 160, 255)  # orange
LEFT_COLOUR = (255, 190, 60)  # light blue
TRUTH_COLOUR = (90, 220, 90)  # green
MIDLINE_COLOUR = (80, 240, 240)  # yellow
CASING_COLOUR = (40, 40, 40)
# Fractional bits of fixed-point coordinates.
SHIFT = 4
SIDE_COLOURS = {RIGHT: RIGHT_COLOUR, LEFT: LEFT_COLOUR}


def overlay(
    image: np.ndarray, labels: np.ndarray, mask_gt: np.ndarray | None = None, *, thickness: int | None = None
) -> np.ndarray:
    """Returns a radiograph with both clavicles outlined, each in its side's colour.

    Args:
        image: uint8 `[H, W]`.
        labels: uint8 `[H, W]`, 0 background, 1 right clavicle, 2 left clavicle.
        mask_gt: optional true mask `[H, W]`, outlined in green below the others.
        thickness: of the lines, in pixels; None: as `line_thickness` says.

    Returns:
        uint8 `[H, W, 3]`.
    """
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    truth = [] if mask_gt is None else [(mask_gt > 0, TRUTH_COLOUR)]
    for mask, colour in truth + [(labels == side, colour) for side, colour in SIDE_COLOURS.items()]:
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, contours, -1, colour, thickness or line_thickness(image), cv2.LINE_AA)
    return canvas


def draw_measures(
    canvas: np.ndarray,
    centre_lines: dict[str, CentreLine | None],
    midline: np.ndarray,
    spacing_mm: Spacing | None = None,
) -> np.ndarray:
    """Draws centre lines, medial ends, the midline and the ways from the ends to it onto a canvas; returns the canvas.

    Args:
        canvas: uint8 `[H, W, 3]`, changed in place.
        centre_lines: `{"right": measures.CentreLine or None, "left": ...}`.
        midline: `[2, 2]`, two points (x, y) of it.
        spacing_mm: `(row, column)` or None, by which the ways are perpendicular.
    """
    # Thinner than outlines: with its casing a line is three times as thick.
    thickness = max(1, round(0.6 * line_thickness(canvas)))
    _draw_line(canvas, midline, MIDLINE_COLOUR, thickness)
    for name, line in centre_lines.items():
        if line is not None:
            end, colour = line.points[0], SIDE_COLOURS[SIDES[name]]
            _draw_line(canvas, [end, end + to_line(end, midline, spacing_mm)], MIDLINE_COLOUR, thickness)
            _draw_line(canvas, line.points, colour, thickness)
            for radius, fill in ((3 * thickness, CASING_COLOUR), (2 * thickness, colour)):
                cv2.circle(canvas, _to_fixed_point(end), _to_fixed_point(radius), fill, cv2.FILLED, cv2.LINE_AA, SHIFT)
    return canvas


def line_thickness(image: np.ndarray) -> int:
    """Returns the thickness of lines on an image `[H, W, ...]` in pixels: equal on all images once displayed."""
    return max(1, round(max(image.shape[:2]) / 340))


def sheet(pictures: Sequence[np.ndarray], columns: int, width: int) -> np.ndarray:
    """Returns pictures (uint8 [H, W, 3]) as one picture in rows of `columns`, each scaled to `width` pixels."""
    sizes = [(width, round(picture.shape[0] * width / picture.shape[1])) for picture in pictures]
    tiles = [cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p, size in zip(pictures, sizes)]
    height = max(len(tile) for tile in tiles)
    tiles = [cv2.copyMakeBorder(t, 0, height - len(t), 0, 0, cv2.BORDER_CONSTANT) for t in tiles]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])


def _draw_line(canvas, points, colour, thickness):
    """Draws a line in a dark casing, so that it shows on a bright spine and on a dark windpipe."""
    for width, shade in ((3 * thickness, CASING_COLOUR), (thickness, colour)):
        cv2.polylines(canvas, [_to_fixed_point(points)[:, None]], False, shade, width, cv2.LINE_AA, SHIFT)


def _to_fixed_point(value):
    """Returns coordinates in OpenCV's fixed-point form: whole numbers of 1 / 2^SHIFT pixels."""
    return np.round(np.multiply(value, 2**SHIFT)).astype(np.int32)
