"""Outlines lie where a field crosses zero, to a part of a pixel."""

import cv2
import numpy as np
import pytest

from crass_tf.measurement.contours import SPECK, area, outlines, remove_specks


def block(inside=1.0, outside=-1.0):
    """A field [6, 8] with 2 rows and 4 columns inside: rows 2 and 3, columns 1 to 4."""
    field = np.full((6, 8), outside, np.float32)
    field[2:4, 1:5] = inside
    return field


def test_a_block_by_hand():
    (line,) = outlines(block())
    # Halfway between -1 and 1: above the four columns at y = 1.5, right of both rows at x = 4.5, and so on, clockwise.
    above, below = [[x, 1.5] for x in (1, 2, 3, 4)], [[x, 3.5] for x in (4, 3, 2, 1)]
    assert line.dtype == np.float32
    assert line.tolist() == [*above, [4.5, 2], [4.5, 3], *below, [0.5, 3], [0.5, 2]]
    # 4 x 2 pixels less four corners of 0.5 x 0.5 / 2.
    assert area(line) == pytest.approx(7.5)
    # From 1 to -3 it is zero after a quarter of the way.
    (line,) = outlines(block(inside=1, outside=-3))
    assert line.min(axis=0).tolist() == [0.75, 1.75] and line.max(axis=0).tolist() == [4.25, 3.25]


def test_the_border_ends_a_shape_and_a_hole_runs_the_other_way():
    (line,) = outlines(np.full((3, 5), 7.0, np.float32))
    assert line.min(axis=0).tolist() == [-0.5, -0.5] and line.max(axis=0).tolist() == [4.5, 2.5]
    assert outlines(np.full((3, 5), -7.0, np.float32)) == []
    field = np.ones((7, 7), np.float32)
    field[3, 3] = -1
    outer, hole = outlines(field)
    # 7 x 7 less four corners of 1/8; a diamond with diagonals of 1.
    assert area(outer) == pytest.approx(48.5) and area(hole) == pytest.approx(-0.5)


@pytest.mark.parametrize("corners", [[(1, 1), (2, 2)], [(1, 2), (2, 1)]])
def test_pixels_that_meet_at_a_corner_are_one(corners):
    field = np.full((4, 4), -1, np.float32)
    for corner in corners:
        field[corner] = 1
    (line,) = outlines(field)
    # Two diamonds of 1/2 and the square of 1 between them less two corners of 1/8 ... in all 1.5.
    assert area(line) == pytest.approx(1.5)


def test_a_disc_to_a_hundredth_of_a_pixel():
    y, x = np.mgrid[:120, :160]
    (line,) = outlines(50 - np.hypot(x - 80.3, y - 60.6))
    np.testing.assert_allclose(np.hypot(*(line - [80.3, 60.6]).T), 50, atol=0.01)
    assert area(line) == pytest.approx(np.pi * 50**2, rel=2e-4)


def test_noise_has_an_outline_around_each_of_its_components():
    field = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    lines = outlines(field)
    components = cv2.connectedComponents((field > 0).astype(np.uint8), connectivity=8)[0] - 1
    assert sum(area(line) > 0 for line in lines) == components
    # All lines together pass each edge between a pixel above zero and one below once, the border's included.
    inside = np.pad(field > 0, 1)
    crossed = (inside[:, 1:] != inside[:, :-1]).sum() + (inside[1:] != inside[:-1]).sum()
    assert sum(map(len, lines)) == crossed
    sizes = [abs(area(line)) for line in lines]
    assert sizes == sorted(sizes, reverse=True)


def test_specks_and_small_holes_change_sign():
    field = np.full((40, 60), -2.0, np.float32)
    field[:20, 10:50] = 3  # 800 pixels, up to the border
    clean = field.copy()
    np.testing.assert_array_equal(remove_specks(clean), clean)
    field[10:12, 20:22], field[30, 5:9] = -1, 5  # a hole of 4 pixels, a part of 4
    found = remove_specks(field)
    np.testing.assert_array_equal(found > 0, clean > 0)
    assert found[10, 20] == 1 and found[30, 5] == -5
    # A bay opens to the ground around; a part of a twentieth counts as a fragment of bone.
    field = clean.copy()
    field[19, 20:24], field[24:26, 10:34] = -2, 3
    assert SPECK * 848 < 48
    np.testing.assert_array_equal(remove_specks(field), field)
    # Nothing, and everything, are as they were.
    for value in (-1, 1):
        np.testing.assert_array_equal(remove_specks(np.full((4, 5), value, np.float32)), value)
