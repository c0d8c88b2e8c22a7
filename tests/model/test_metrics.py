"""The IoU of pictures of a few pixels."""

import numpy as np
import pytest

from crass_tf.model import IoU


def pixels(*pictures):
    return np.array(pictures, np.float32)[:, :, None, None]


def iou(*batches, weight=None):
    metric = IoU()
    for y_true, logits in batches:
        metric.update_state(y_true, logits, weight)
    return float(metric.result())


# Pixels 0 and 1 are true, 1 and 2 are found: 1 of 3.
TRUE, FOUND = [1, 1, 0, 0], [-3, 3, 3, -3]
NONE, NOT_FOUND = [0, 0, 0, 0], [-3, -3, -3, -3]


@pytest.mark.parametrize(
    "y_true, logits, expected",
    [
        (TRUE, FOUND, 1 / 3),
        # Empty is right if nothing is found.
        (NONE, NOT_FOUND, 1),
        (NONE, FOUND, 0),
        (TRUE, NOT_FOUND, 0),
        # Probability one half is not above one half.
        ([1, 0], [0, 0], 0),
        ([0, 0], [0, 0], 1),
    ],
)
def test_by_hand_from_any_dtype_of_masks(y_true, logits, expected):
    for dtype in ("bool", "uint8", "int32", "float32"):
        assert iou((pixels(y_true).astype(dtype), pixels(logits))) == pytest.approx(expected)


def test_means_over_pictures_and_channels_not_over_pixels_or_batches():
    # 1/3 and 1 and 1: in batches of two and of one their mean is 7/9, not the mean of batches, 5/6.
    first = (pixels(TRUE, NONE), pixels(FOUND, NOT_FOUND))
    second = (pixels(TRUE), pixels([3, 3, -3, -3]))
    assert iou(first, second) == pytest.approx(7 / 9)
    # 1/3 in the one, 1 in the other.
    y_true = np.concatenate([pixels(TRUE), pixels(NONE)], -1)
    y_pred = np.concatenate([pixels(FOUND), pixels(NOT_FOUND)], -1)
    assert iou((y_true, y_pred)) == pytest.approx(2 / 3)


def test_weights_of_pictures_or_pixels():
    both, first = (pixels(TRUE, NONE), pixels(FOUND, NOT_FOUND)), (pixels(TRUE), pixels(FOUND))
    # (1 * 1/3 + 3 * 1) / 4 = 5/6.
    assert iou(both, weight=np.array([1.0, 3.0])) == pytest.approx(5 / 6)
    # Pixel 1 is shared, 0 and 2 are not: 4 / (1 + 4 + 3) = 1/2.
    weights = pixels([1.0, 4.0, 3.0, 9.0])
    assert iou(first, weight=weights) == iou(first, weight=weights[..., 0]) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="sample_weight"):
        iou(first, weight=np.ones(5))


def test_reset_and_probabilities():
    metric = IoU()
    metric.update_state(pixels(NONE), pixels(FOUND))
    metric.reset_state()
    metric.update_state(pixels(NONE), pixels(NOT_FOUND))
    assert float(metric.result()) == 1
    assert metric.name == "iou"
    metric = IoU(from_logits=False)
    metric.update_state(pixels(TRUE), pixels([0.1, 0.9, 0.9, 0.4]))
    assert float(metric.result()) == pytest.approx(1 / 3)
    assert IoU.from_config(metric.get_config()).from_logits is False
