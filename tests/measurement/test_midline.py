"""The midline is the axis of mirror symmetry, on pictures whose axis is known."""

import cv2
import numpy as np
import pytest

from crass_tf.measurement.measures import find_midline


def chest(axis, size=(256, 256), tilt_deg=0.0, spread=1.0):
    """Two dark lungs and a bright spine, mirrored at column `axis`, turned about the middle; `spread` widens it."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    turn, y = np.deg2rad(tilt_deg), y - size[0] / 2
    x, y = (x - axis) * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - (x - axis) * np.sin(turn)
    x, y = x / spread, y * 256 / size[0]
    lungs = sum(np.exp(-(((x - side * 50) / 28) ** 2) - (y / 80) ** 2) for side in (-1, 1))
    return np.round(150 - 110 * lungs + 40 * np.exp(-((x / 9) ** 2))).astype(np.uint8)


@pytest.mark.parametrize("axis", [127.5, 113, 150])
def test_an_upright_axis(axis):
    line = find_midline(chest(axis))
    np.testing.assert_allclose(line, [[axis, 0], [axis, 255]], atol=1)


@pytest.mark.parametrize("tilt_deg", [4, -7])
def test_a_tilted_axis(tilt_deg):
    line = find_midline(chest(130, tilt_deg=tilt_deg))
    # The axis goes through (130, 128), and the picture's x axis was turned by the angle.
    shift = 128 * np.tan(np.deg2rad(tilt_deg))
    np.testing.assert_allclose(line, [[130 + shift, 0], [130 - shift, 255]], atol=2.5)


def test_uneven_exposure_does_not_move_it():
    # The grey values fall by half from image left to image right.
    image = chest(120) * np.linspace(1, 0.5, 256)
    np.testing.assert_allclose(find_midline(image.astype(np.uint8))[:, 0], 120, atol=2)


def test_pixels_that_are_no_squares():
    # Twice as many columns, of half the width.
    line = find_midline(chest(240, (256, 512), spread=2), (1.0, 0.5))
    np.testing.assert_allclose(line, [[240, 0], [240, 255]], atol=2)


def test_the_mirror_image_has_the_mirrored_axis():
    image = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (200, 256), np.uint8), (0, 0), 6)
    image = cv2.addWeighted(image, 0.3, chest(118, (200, 256)), 0.7, 0)
    there, back = find_midline(image), find_midline(np.ascontiguousarray(image[:, ::-1]))
    np.testing.assert_allclose(255 - back[:, 0], there[:, 0], atol=1)


@pytest.mark.parametrize("size", [(300, 200), (2, 500), (5000, 1)])
def test_where_there_is_nothing_to_compare_it_is_the_centre(size):
    line = find_midline(np.full(size, 80, np.uint8))
    middle = (size[1] - 1) / 2
    np.testing.assert_allclose(line, [[middle, 0], [middle, size[0] - 1]], atol=0.01)


def test_one_row_has_a_line():
    np.testing.assert_allclose(find_midline(np.full((1, 7), 80, np.uint8)), [[3, 0], [3, 1]], atol=0.01)
