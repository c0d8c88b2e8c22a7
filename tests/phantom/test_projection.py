import numpy as np
import pytest

from crass_tf.phantom.projection import Tube, View, ellipsoid, lay, turn_matrix

STRAIGHT = np.eye(3)


def view(size=64, spacing_mm=1.0, centre_mm=(0.0, 0.0), turn=STRAIGHT, roll=0.0):
    return View(size, spacing_mm, centre_mm, turn, roll)


def rod(radius, cortex=0.0, core=1.0):
    points = np.array([[-60.0, 0.5, 0], [60, 0.5, 0]])
    return Tube(points, np.full(2, radius), np.full(2, radius), cortex, 1.0, core)


def test_pixels_and_grid_are_inverse_and_nearer_to_the_focus_is_larger():
    tilted = view(size=96, spacing_mm=0.7, centre_mm=(10.0, 50.0), roll=0.2)
    x, y = tilted.grid
    points = np.stack([x[20, 30:33], y[20, 30:33], np.zeros(3)], 1)
    np.testing.assert_allclose(tilted.pixels(points), [[30, 20], [31, 20], [32, 20]], atol=1e-3)
    # Focus 1700 mm behind z = 0: at z = 170 everything is 1 / 0.9 times as large
    assert view().frontal(np.array([[9.0, 18.0, 170.0]])) == pytest.approx(np.array([[10, 20]]))


def test_a_rod_has_the_chords_of_a_circle_and_a_hollow_one_lacks_its_core():
    # Rows lie at y = 0.5 + k: the chord at k is 2 sqrt(64 - k^2)
    column = lay(view(), [rod(8.0)])[:, 32]
    for k in (0, 3, 6):
        assert column[32 + k] == pytest.approx(2 * np.sqrt(64 - k * k), rel=0.03)
    assert column[32 + 9] == 0
    # Through the axis of a shell of 2 mm round nothing: 4 mm
    assert lay(view(), [rod(8.0, cortex=2.0, core=0.0)])[32, 32] == pytest.approx(4, rel=0.06)


def test_a_silhouette_ends_at_pixel_centres_and_a_tube_beside_the_picture_leaves_no_trace():
    # Pixel centres at y - 0.5 = -8..8 lie within 8.3: 17 rows
    silhouette = lay(view(), [rod(8.3)], hard=True) > 0
    assert silhouette[:, 32].sum() == 17
    away = Tube(np.array([[500.0, 0, 0], [600, 0, 0]]), np.full(2, 5.0), np.full(2, 5.0), 0, 1, 1)
    assert not lay(view(), [away]).any()


def test_ellipsoid_chords_whose_width_and_depth_a_right_angle_swaps():
    frame = view(centre_mm=(0.5, 0.5))
    chords = ellipsoid(frame, (0, 0, 0), (20, 10, 15))
    x, y = frame.grid
    expected = 30 * np.sqrt(np.maximum(1 - (x / 20) ** 2 - (y / 10) ** 2, 0))
    np.testing.assert_allclose(chords, expected, atol=0.02)
    turned = ellipsoid(view(turn=turn_matrix(0, np.pi / 2)), (0, 0, 0), (20, 10, 15))
    assert turned.max() == pytest.approx(40, rel=0.01)
