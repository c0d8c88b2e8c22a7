"""Contours and masks drawn on radiographs. Colours are blue, green, red, as OpenCV has them."""

from collections.abc import Sequence

import cv2
import numpy as np

from crass_tf.geometry import LEFT, RIGHT

RIGHT_COLOUR = (60, 160, 255)  # orange
LEFT_COLOUR = (255, 190, 60)  # light blue
TRUTH_COLOUR = (90, 220, 90)  # green
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
