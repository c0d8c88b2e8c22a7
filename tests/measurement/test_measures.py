"""Centre lines and what follows from them on bands of known measures; the midline on pictures of a known axis."""

import cv2
import numpy as np
import pytest

from crass_tf.measurement.measures import centre_line, find_midline, medial_distances, of_clavicle, scale, to_line


def rectangle(length_mm, width_mm, angle_deg, spacing_mm=(1, 1), centre=(200, 150), size=(300, 400)):
    """A field in millimetres from the border of a rectangle, positive inside; its right end is higher by the angle."""
    y, x = np.mgrid[: size[0], : size[1]]
    x, y = (x - centre[0]) * spacing_mm[1], (y - centre[1]) * spacing_mm[0]
    turn = np.deg2rad(angle_deg)
    along, across = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    return np.minimum(length_mm / 2 - abs(along), width_mm / 2 - abs(across)).astype(np.float32)


@pytest.mark.parametrize("angle_deg", [0, 20, -35, 50])
def test_a_tilted_rectangle(angle_deg):
    field = rectangle(120, 24, angle_deg)
    line = centre_line(field, (0, 0), towards=1)
    assert line.length(scale(None)) == pytest.approx(120, abs=0.01)
    assert line.width(scale(None)) == pytest.approx(24, abs=0.01)
    assert line.angle_deg == pytest.approx(angle_deg, abs=0.01)
    half = 60 * np.array([np.cos(np.deg2rad(angle_deg)), -np.sin(np.deg2rad(angle_deg))])
    np.testing.assert_allclose(line.points[[0, -1]], [[200, 150] - half, [200, 150] + half], atol=0.01)
    # Without spacing nothing is in millimetres.
    found = of_clavicle(line)
    assert found["length_mm"] is None and found["width_mm"] is None
    assert found["length_pixels"] == pytest.approx(120, abs=0.01)
    # To image left the angle is that of the left end.
    back = centre_line(field, (0, 0), towards=-1)
    assert back.points[0][0] > back.points[-1][0] and back.angle_deg == pytest.approx(-angle_deg, abs=0.01)


def test_on_pixels_that_are_no_squares_all_is_measured_in_millimetres():
    spacing_mm = (0.5, 0.25)
    line = centre_line(rectangle(50, 12, 30, spacing_mm), (0, 0), 1, spacing_mm)
    found = of_clavicle(line)
    assert found["length_mm"] == pytest.approx(50, abs=0.01)
    assert found["width_mm"] == pytest.approx(12, abs=0.01)
    assert found["angle_deg"] == pytest.approx(30, abs=0.01)
    # 50 mm x cos 30 = 43.30 mm or 173.2 columns; 50 mm x sin 30 = 25 mm or 50 rows; together 180.28 pixels.
    assert found["length_pixels"] == pytest.approx(180.28, abs=0.05)
    # Across: 12 x sin 30 = 6 mm or 24 columns, 12 x cos 30 = 10.392 mm or 20.785 rows; together 31.75 pixels.
    assert found["width_pixels"] == pytest.approx(31.75, abs=0.05)
    # From (200, 150) half of 173.2 columns back and half of 50 rows down.
    np.testing.assert_allclose(found["medial_end"], [200 - 86.6, 175], atol=0.05)
    np.testing.assert_allclose(found["lateral_end"], [200 + 86.6, 125], atol=0.05)


def test_a_curved_band_is_measured_along_its_curve():
    # A quarter of nothing: 1 radian of a ring of radius 150 and width 24, around (200, 300), upright.
    y, x = np.mgrid[:300, :400]
    radius, angle = np.hypot(x - 200, y - 300), np.arctan2(300 - y, x - 200)
    field = np.minimum(12 - abs(radius - 150), 150 * (0.5 - abs(angle - np.pi / 2)))
    line = centre_line(field, (0, 0), towards=-1)
    assert line.length(scale(None)) == pytest.approx(150, rel=0.003)
    assert line.width(scale(None)) == pytest.approx(24, rel=0.003)
    assert line.angle_deg == pytest.approx(0, abs=0.1)
    # Within 18 of an end it goes on straight, which leaves the circle by 18 x 18 / 300 = 1.1.
    np.testing.assert_allclose(np.hypot(*(line.points - [200, 300]).T), 150, atol=1.3)
    np.testing.assert_allclose(np.hypot(*(line.points[16:-16] - [200, 300]).T), 150, atol=0.3)
    assert (np.diff(line.points[:, 0]) < 0).all()


def test_a_thick_end_does_not_bend_the_line():
    # A bar of 100 x 16 with a head of 20 x 40 at its medial end: 12 above it and 12 below.
    bar = rectangle(100, 16, 0, centre=(160, 100), size=(200, 300))
    head = rectangle(20, 40, 0, centre=(120, 100), size=(200, 300))
    line = centre_line(np.maximum(bar, head), (0, 0), towards=1)
    np.testing.assert_allclose(line.points[:, 1], 100, atol=0.01)
    assert line.length(scale(None)) == pytest.approx(100, abs=0.01)


def test_a_clavicle_of_a_large_radiograph():
    # A field of more than a million pixels is measured on a coarser grid; what is returned are its own pixels.
    field = rectangle(1400, 300, 15, centre=(800, 500), size=(1000, 1600))
    line = centre_line(field, (10, 20), towards=1)
    assert line.length(scale(None)) == pytest.approx(1400, abs=1)
    assert line.width(scale(None)) == pytest.approx(300, abs=1)
    np.testing.assert_allclose(line.points[[0, -1]].mean(axis=0), [810, 520], atol=0.5)


@pytest.mark.parametrize("size", [(3, 32_766), (1, 500)])
def test_a_radiograph_that_is_all_clavicle(size):
    line = centre_line(np.ones(size, np.float32), (0, 0), towards=1)
    assert line.length(scale(None)) == pytest.approx(size[1], abs=0.1)
    assert line.width(scale(None)) == pytest.approx(size[0], abs=0.1)


def test_the_largest_shape_counts_up_to_the_border_and_the_corner_is_added():
    field = np.maximum(rectangle(120, 24, 10, centre=(150, 100)), rectangle(20, 6, 0, centre=(330, 250)))
    line = centre_line(field, (1000, 2000), towards=1)
    np.testing.assert_allclose(line.points.mean(axis=0), [1150, 2100], atol=0.05)
    # 100 x 20 around (20, 50): cut off where the image begins, at x = -0.5.
    line = centre_line(rectangle(100, 20, 0, centre=(20, 50), size=(100, 120)), (0, 0), towards=1)
    np.testing.assert_allclose(line.points[[0, -1]], [[-0.5, 50], [70, 50]], atol=0.05)


@pytest.mark.parametrize(
    "field",
    [np.full((10, 10), -1.0), np.pad(np.ones((1, 1)), 4, constant_values=-1), 20 - np.hypot(*np.mgrid[-30:31, -30:31])],
    ids=["nothing", "one pixel", "a disc"],
)
def test_without_a_direction_there_is_no_line(field):
    assert centre_line(field.astype(np.float32), (0, 0), 1) is None
    assert set(of_clavicle(None).values()) == {None}


def test_the_perpendicular_to_a_line():
    # To the upright line x = 10 it is level; to the diagonal through (0, 0), from (4, 0), it ends in (2, 2).
    np.testing.assert_allclose(to_line((4, 7), [(10, 0), (10, 99)]), [6, 0])
    np.testing.assert_allclose(to_line((4, 0), [(0, 0), (5, 5)]), [-2, 2])
    # Rows of 2 mm: the diagonal of the pixels is steeper, (1, 2) in millimetres. From (5, 0) mm it is (1, 2) mm that
    # is nearest: -4 columns, 1 row.
    np.testing.assert_allclose(to_line((5, 0), [(0, 0), (5, 5)], (2, 1)), [-4, 1])


def level_lines(spacing_mm=None, right_end=170, left_end=220):
    """Clavicles of a field [300, 400] that end medially at these columns."""
    lines = {}
    for name, medial, towards in (("right", right_end, -1), ("left", left_end, 1)):
        field = rectangle(100, 20, 0, centre=(medial + 50 * towards, 150))
        lines[name] = centre_line(field, (0, 0), towards, spacing_mm)
    return lines


def test_distances_of_the_medial_ends():
    found = medial_distances(level_lines((0.5, 0.5)), np.array([[200.0, 0], [200, 299]]), (0.5, 0.5))
    pixels = {"right_pixels": 30, "left_pixels": 20, "difference_pixels": 10, "ratio": 2 / 3}
    assert found == pytest.approx(pixels | {"right_mm": 15, "left_mm": 10, "difference_mm": 5}, abs=0.05)
    # An end beyond the midline has a negative distance.
    found = medial_distances(level_lines(), np.array([[165.0, 0], [165, 299]]))
    assert found["right_pixels"] == pytest.approx(-5, abs=0.05) and found["left_pixels"] == pytest.approx(55, abs=0.05)
    assert found["ratio"] == pytest.approx(-5 / 55, abs=0.01)
    assert found["right_mm"] is found["left_mm"] is found["difference_mm"] is None
    # One clavicle alone has its distance.
    found = medial_distances(level_lines((1, 1)) | {"left": None}, np.array([[200.0, 0], [200, 299]]), (1, 1))
    assert found["right_mm"] == pytest.approx(30, abs=0.05)
    assert found["left_mm"] is found["difference_mm"] is found["ratio"] is None


def chest(axis, size=(256, 256), tilt_deg=0.0, spread=1.0):
    """Two dark lungs and a bright spine, mirrored at column `axis`, turned about the middle; `spread` widens it."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    turn, y = np.deg2rad(tilt_deg), y - size[0] / 2
    x, y = (x - axis) * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - (x - axis) * np.sin(turn)
    x, y = x / spread, y * 256 / size[0]
    lungs = sum(np.exp(-(((x - side * 50) / 28) ** 2) - (y / 80) ** 2) for side in (-1, 1))
    return np.round(150 - 110 * lungs + 40 * np.exp(-((x / 9) ** 2))).astype(np.uint8)


@pytest.mark.parametrize(
    "axis, tilt_deg, atol", [(127.5, 0, 1), (113, 0, 1), (150, 0, 1), (130, 4, 2.5), (130, -7, 2.5)]
)
def test_an_upright_or_tilted_axis(axis, tilt_deg, atol):
    line = find_midline(chest(axis, tilt_deg=tilt_deg))
    # The axis goes through (axis, 128), and the picture's x axis was turned by the angle.
    shift = 128 * np.tan(np.deg2rad(tilt_deg))
    np.testing.assert_allclose(line, [[axis + shift, 0], [axis - shift, 255]], atol=atol)


def test_uneven_exposure_and_pixels_that_are_no_squares_do_not_move_the_midline():
    # The grey values fall by half from image left to image right.
    image = chest(120) * np.linspace(1, 0.5, 256)
    np.testing.assert_allclose(find_midline(image.astype(np.uint8))[:, 0], 120, atol=2)
    # Twice as many columns, of half the width.
    line = find_midline(chest(240, (256, 512), spread=2), (1.0, 0.5))
    np.testing.assert_allclose(line, [[240, 0], [240, 255]], atol=2)


def test_the_mirror_image_has_the_mirrored_axis():
    image = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (200, 256), np.uint8), (0, 0), 6)
    image = cv2.addWeighted(image, 0.3, chest(118, (200, 256)), 0.7, 0)
    there, back = find_midline(image), find_midline(np.ascontiguousarray(image[:, ::-1]))
    np.testing.assert_allclose(255 - back[:, 0], there[:, 0], atol=1)


@pytest.mark.parametrize("size", [(300, 200), (2, 500), (5000, 1), (1, 7)])
def test_where_there_is_nothing_to_compare_it_is_the_centre(size):
    line, middle = find_midline(np.full(size, 80, np.uint8)), (size[1] - 1) / 2
    # One row has a line, too.
    np.testing.assert_allclose(line, [[middle, 0], [middle, max(size[0] - 1, 1)]], atol=0.01)
