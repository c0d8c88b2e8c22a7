"""Where the graph lays strips, against hand-worked places, OpenCV and `geometry.Strip`."""

import cv2
import keras
import numpy as np
import pytest
from drawn import bar_of

from crass_tf.geometry import OUTSIDE_LOGIT, Strip
from crass_tf.measurement.metrics import iou
from crass_tf.model import strips

SIZE, STRIP = (64, 96), (32, 64)


def bar(cx, cy, length, thickness, angle_deg, size=SIZE):
    return bar_of(size, (cx, cy), length, thickness, angle_deg).astype(np.float32)


def located(left, right, image_size=SIZE):
    probability = np.stack([left, right], axis=-1)[None]
    return [np.asarray(part) for part in strips.locate(probability, image_size)]


@pytest.mark.parametrize("angle_deg", [-35, -10, 0, 20, 35])
def test_a_bar_is_found_where_it_lies_and_how_it_runs(angle_deg):
    centre, axis, length = located(bar(25, 30, 30, 6, angle_deg), bar(70, 30, 24, 6, -angle_deg))
    np.testing.assert_allclose(centre[0], [[25, 30], [70, 30]], atol=0.3)
    expected = [[np.cos(np.deg2rad(a)), np.sin(np.deg2rad(a))] for a in (angle_deg, -angle_deg)]
    np.testing.assert_allclose(axis[0], expected, atol=0.03)
    np.testing.assert_allclose(length[0], [30, 24], rtol=0.06)


def test_a_speck_far_away_does_not_move_the_strip_and_nothing_gives_the_middle_and_no_nan():
    clean = bar(25, 30, 30, 6, 0)
    speck = clean.copy()
    # 16 of 200 pixels.
    speck[56:60, 88:92] = 1
    for found, expected in zip(located(speck, clean), located(clean, clean)):
        np.testing.assert_allclose(found, expected, atol=0.1)
    centre, axis, length = located(np.zeros(SIZE, np.float32), np.zeros(SIZE, np.float32))
    np.testing.assert_allclose(centre[0], [[47.5, 31.5]] * 2, atol=1e-3)
    np.testing.assert_allclose(length[0], strips.LEAST_LENGTH * 96)
    assert np.isfinite(axis).all()


def test_a_coarser_grid_has_the_same_field_of_view():
    # Each pixel of 32 x 48 covers 2 x 2 of the image: pixel (12, 15) is the image's (24.5, 30.5).
    centre, _, length = located(bar(12, 15, 14, 3, 0, (32, 48)), bar(35, 15, 14, 3, 0, (32, 48)))
    np.testing.assert_allclose(centre[0], [[24.5, 30.5], [70.5, 30.5]], atol=1e-3)
    np.testing.assert_allclose(length[0], 30, rtol=0.05)


def test_the_graph_lays_the_strips_that_training_lays():
    masks = bar(25, 30, 30, 6, 20), bar(70, 28, 26, 6, -15)
    found = np.asarray(strips.matrices(*located(*masks), STRIP))[0]
    for matrix, mask, mirrored in zip(found, masks, (False, True)):
        expected = np.array(Strip.around(mask.astype(np.uint8), STRIP, mirrored).matrix)
        # Within half a pixel of the strip at its corners.
        corners = np.array([[0, 0, 1], [95, 0, 1], [0, 63, 1], [95, 63, 1]], float)
        np.testing.assert_allclose(matrix[:, :2], expected[:, :2], atol=0.02)
        np.testing.assert_allclose(corners @ matrix.T, corners @ expected.T, atol=1)


def cut(image, matrices):
    return np.asarray(strips.cut(image[None, :, :, None].astype(np.float32), np.float32(matrices)[None], STRIP))[0]


def test_a_cut_by_hand():
    # Two columns to the right and one row down, enlarged twice: strip pixel (x, y) is image (x / 2 + 2, y / 2 + 1).
    image = np.arange(64 * 96).reshape(64, 96) % 251
    found = cut(image, [[[2, 0, -4], [0, 2, -2]]] * 2)[0]
    assert found[0, 0] == image[1, 2]
    # Half way between two pixels the right or the lower one.
    assert found[0, 1] == image[1, 3]
    assert found[1, 1] == image[2, 3]


@pytest.mark.parametrize("shift", [0, -60, 70])
def test_a_cut_equals_opencvs_with_nearest_pixels(shift):
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, SIZE).astype(np.uint8), (0, 0), 3)
    matrices = np.asarray(strips.matrices(*located(bar(25, 30, 30, 6, 20), bar(70, 28, 26, 6, -15)), STRIP))[0].copy()
    matrices[:, 0, 2] += shift
    for found, matrix in zip(cut(image, matrices), matrices):
        expected = cv2.warpAffine(image.astype(np.float32), matrix, STRIP[::-1], flags=cv2.INTER_NEAREST)
        # OpenCV rounds coordinates to 1/1024 of a pixel: where they lie half way, it may read the neighbour.
        same = found == expected
        assert same.mean() > 0.97
        # The blurred noise changes by at most 8 a pixel.
        assert np.abs(found - expected)[(found > 0) & (expected > 0)].max() < 2 * 8


def test_logits_are_laid_back_where_they_were_cut():
    masks = bar(25, 30, 30, 8, 20), bar(70, 28, 26, 8, -15)
    matrices = np.asarray(strips.matrices(*located(*masks), STRIP))
    logits = np.stack([cv2.warpAffine(20 * m - 10, matrix, STRIP[::-1]) for m, matrix in zip(masks, matrices[0])])
    placed = np.asarray(strips.place(logits[None], matrices, SIZE, 1))[0]
    assert placed.shape == (64, 96, 2)
    for side, mask in enumerate(masks):
        assert iou(placed[..., side] > 0, mask) > 0.9
    # The lower corners lie in neither strip.
    assert placed[63, 0].tolist() == placed[63, 95].tolist() == [OUTSIDE_LOGIT] * 2


def test_half_the_rows_and_columns_are_block_means_places():
    # Shifts only: blocks of 2 x 2 have their centre at (0.5, 0.5), whose nearest pixel is (1, 1). The first strip is
    # the image's left half, its mean at column 0.5585 * 32 - 0.5 = 17.4; the second one the right half, at 49.4: the
    # border lies between the columns 32 and 34.
    logits = np.arange(2 * 32 * 32, dtype=np.float32).reshape(1, 2, 32, 32)
    matrices = np.float32([[[[1, 0, 0], [0, 1, 0]], [[1, 0, -32], [0, 1, 0]]]])
    placed = np.asarray(strips.place(logits, matrices, (32, 64), 2))[0]
    np.testing.assert_array_equal(placed[:, :16, 0], logits[0, 0, 1::2, 1::2])
    np.testing.assert_array_equal(placed[:, 17:, 1], logits[0, 1, 1::2, 3::2])
    assert np.all(placed[:, 16:, 0] == OUTSIDE_LOGIT) and np.all(placed[:, :16, 1] == OUTSIDE_LOGIT)


def test_where_strips_overlap_a_pixel_belongs_to_the_clavicle_that_is_nearer_in_lengths():
    # The same strip twice as large, and one of a clavicle a third as long whose mean lies 40 columns to the right of
    # the first one's: three quarters of the way belong to the longer one.
    logits = np.full((1, 2, 32, 32), 5.0, np.float32)
    mean_x, mean_y = 0.5585 * 32 - 0.5, 15.5
    first = [[0.25, 0, mean_x - 0.25 * 40], [0, 0.25, mean_y - 0.25 * 16]]
    second = [[0.75, 0, mean_x - 0.75 * 80], [0, 0.75, mean_y - 0.75 * 16]]
    placed = np.asarray(strips.place(logits, np.float32([[first, second]]), (32, 128), 1))[0]
    row = placed[16]
    assert np.all(row[40:70, 0] == 5) and np.all(row[71:85, 1] == 5)
    assert np.all(row[71:, 0] == OUTSIDE_LOGIT) and np.all(row[:69, 1] == OUTSIDE_LOGIT)


def test_a_graph_places_what_its_functions_place():
    # Keras traces a graph with other code than it runs functions with. Two clavicles askew in a square image.
    logits = np.random.default_rng(0).standard_normal((1, 2, *STRIP)).astype(np.float32)
    matrices = np.asarray(strips.matrices(*located(bar(25, 20, 30, 6, 20), bar(70, 40, 26, 6, 35)), STRIP))
    inputs = keras.Input((2, *STRIP)), keras.Input((2, 2, 3))
    graph = keras.Model(inputs, strips.place(*inputs, (96, 96), 2))
    np.testing.assert_array_equal(graph([logits, matrices]), strips.place(logits, matrices, (96, 96), 2))
