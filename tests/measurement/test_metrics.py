import math

import cv2
import numpy as np
import pytest
from drawn import mask_of

from crass_tf.evaluation import contour, dice, directed_distances_mm, hd95_mm, iou, mean_contour_distance_mm, two_class


def blobs(seed, shape=(40, 61)):
    noise = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return (cv2.GaussianBlur(noise, (0, 0), 3) > 0.05).astype(np.uint8)


def brute_force_distances(mask_gt, mask_pred, spacing_mm):
    """By the definition, pixel by pixel; outside the image is background."""
    points = []
    for mask in (mask_gt, mask_pred):
        padded = np.pad(mask > 0, 1)
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        points.append(np.argwhere((mask > 0) & ~inner) * spacing_mm)
    pairs = np.sqrt(((points[0][:, None] - points[1][None]) ** 2).sum(axis=2))
    return pairs.min(axis=1), pairs.min(axis=0)


def test_overlap():
    mask_gt = mask_of("##..", "##..")
    mask_pred = mask_of(".##.", ".##.")
    # 2 pixels in both, 6 in either, 4 + 4 in all.
    assert iou(mask_gt, mask_pred) == 2 / 6
    assert dice(mask_gt, mask_pred) == 4 / 8
    assert iou(mask_gt * 255, mask_pred > 0) == 2 / 6, "foreground is any value above 0"
    empty, full = np.zeros((3, 4), np.uint8), np.ones((3, 4), np.uint8)
    for one, other, expected in ((empty, empty, 1.0), (empty, full, 0.0), (full, empty, 0.0), (full, full, 1.0)):
        assert iou(one, other) == dice(one, other) == expected


def test_two_class_pools_pixels():
    # Clavicle: IoU 6 / (8 + 10 - 6) = 1/2, Dice 12/18. Background of 100 pixels: 100 - 12 = 88 in both,
    # 92 and 90 in each: IoU 88/94, Dice 176/182.
    expected = {"miou": (6 / 12 + 88 / 94) / 2, "mdice": (12 / 18 + 176 / 182) / 2}
    assert two_class(6, 8, 10, 100) == pytest.approx(expected)
    assert two_class(0, 0, 0, 100) == {"miou": 1.0, "mdice": 1.0}, "no clavicle anywhere: background alone counts"


def test_contour_is_foreground_with_a_background_4_neighbour():
    # The image's border counts as background; a diagonal neighbour does not make a contour.
    shape = mask_of("""
        #####...
        #####...
        #####.#.
        ####....
    """)
    expected = mask_of("""
        #####...
        #...#...
        #...#.#.
        ####....
    """)
    np.testing.assert_array_equal(contour(shape), expected)
    assert contour(np.ones((4, 5), np.uint8)).sum() == 20 - 6


def test_the_nearest_point_depends_on_the_spacing():
    mask_gt = mask_of("#..", "...", "...", "...")
    mask_pred = mask_of("..#", "...", "...", "#..")
    # With 0.5 mm rows and 2 mm columns the pixel 3 rows below is 1.5 mm away, that 2 columns aside 4 mm.
    to_pred_mm, to_gt_mm = directed_distances_mm(mask_gt, mask_pred, (0.5, 2.0))
    assert to_pred_mm.tolist() == [1.5] and to_gt_mm.tolist() == [4.0, 1.5]
    assert mean_contour_distance_mm(mask_gt, mask_pred, (0.5, 2.0)) == (1.5 + 2.75) / 2
    # 95 % of the way from 1.5 to 4.
    assert hd95_mm(mask_gt, mask_pred, (0.5, 2.0)) == pytest.approx(1.5 + 0.95 * 2.5)
    # With square pixels the other one is nearest: 2 columns against 3 rows.
    assert directed_distances_mm(mask_gt, mask_pred, (1.0, 1.0))[0].tolist() == [2.0]


def test_known_distances_along_a_line_and_inside_a_full_mask():
    mask_gt = np.ones((1, 21), np.uint8)
    mask_pred = np.eye(1, 21, dtype=np.uint8)
    # Truth to prediction: 0, 1, ..., 20 pixels, mean 10, 95th percentile 19. Prediction to truth: 0.
    assert mean_contour_distance_mm(mask_gt, mask_pred, (0.5, 0.5)) == pytest.approx((10 + 0) / 2 * 0.5)
    assert hd95_mm(mask_gt, mask_pred, (0.5, 0.5)) == pytest.approx(19 * 0.5)
    assert hd95_mm(mask_pred, mask_gt, (0.5, 0.5)) == pytest.approx(19 * 0.5), "the larger one, whichever way round"
    mask_gt = np.ones((5, 5), np.uint8)
    mask_pred = np.zeros((5, 5), np.uint8)
    mask_pred[2, 2] = 1
    # The centre is 2 pixels from the full mask's contour, not 0. From its 16 border pixels to the centre: 4 corners at
    # sqrt(8), 4 middles at 2, 8 between at sqrt(5).
    mean = (4 * math.sqrt(8) + 4 * 2 + 8 * math.sqrt(5)) / 16
    assert mean_contour_distance_mm(mask_gt, mask_pred, (1, 1)) == pytest.approx((mean + 2) / 2)


def test_distances_of_empty_masks_are_undefined():
    empty, full = np.zeros((3, 4), np.uint8), np.ones((3, 4), np.uint8)
    assert not contour(empty).any()
    for pair in ((empty, empty), (empty, full), (full, empty)):
        assert directed_distances_mm(*pair, (1, 1)) is None
        assert mean_contour_distance_mm(*pair, (1, 1)) is None
        assert hd95_mm(*pair, (1, 2)) is None


@pytest.mark.parametrize("spacing_mm", [(1, 1), (0.35, 0.35), (0.25, 0.4), (2.0, 0.3)])
@pytest.mark.parametrize("seed", range(3))
def test_distances_agree_with_brute_force(seed, spacing_mm):
    mask_gt, mask_pred = blobs(seed), blobs(seed + 100)
    if seed == 0:
        mask_pred[:, 30:] = 0
        mask_gt[:20] = 0
    found = directed_distances_mm(mask_gt, mask_pred, spacing_mm)
    expected = brute_force_distances(mask_gt, mask_pred, spacing_mm)
    for one, other in zip(found, expected):
        assert one == pytest.approx(other, abs=1e-5)
    mean = (expected[0].mean() + expected[1].mean()) / 2
    assert mean_contour_distance_mm(mask_gt, mask_pred, spacing_mm) == pytest.approx(mean, abs=1e-5)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(2, 3\)"):
        iou(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(3, 2\)"):
        mean_contour_distance_mm(np.ones((2, 2)), np.ones((3, 2)), (1, 1))
    for spacing_mm in [(0.0, 1.0), (math.nan, math.nan), (1.0,)]:
        with pytest.raises(ValueError, match="spacing_mm"):
            hd95_mm(np.ones((2, 2)), np.ones((2, 2)), spacing_mm)
