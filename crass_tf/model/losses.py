"""Losses on logits."""

import keras
from keras import ops


def dice_cross_entropy(y_true, y_pred):
    """Returns the mean of soft Dice loss and binary cross-entropy, one value an image.

    `0.5 * (1 - (2 sum(p y) + s) / (sum(p) + sum(y) + s)) + 0.5 * w * mean(bce)`, with `p = sigmoid(y_pred)` and
    `s = 1` pixel, so that an empty prediction of an empty mask costs nothing. The sums run over each image, not over
    the batch: a small patient counts as much as a large one. Clavicles cover 2 % of a radiograph, so the mean
    cross-entropy is small beside the Dice term; `w = 10` makes the two comparable.

    Args:
        y_true: `[B, H, W, 1]` of 0 and 1, any dtype.
        y_pred: logits `[B, H, W, 1]`.

    Returns:
        float32 `[B]`.

    Source: soft Dice after Milletari et al., V-Net, 3DV 2016; the sum of both after Isensee et al., nnU-Net, 2021.
    """
    y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    axes = (1, 2, 3)
    probability = ops.sigmoid(y_pred)
    overlap = ops.sum(probability * y_true, axes)
    dice = (2 * overlap + 1) / (ops.sum(probability, axes) + ops.sum(y_true, axes) + 1)
    # max(x, 0) - x y + log(1 + exp(-|x|)): cross-entropy of logits that cannot overflow.
    entropy = ops.relu(y_pred) - y_pred * y_true + ops.log1p(ops.exp(-ops.abs(y_pred)))
    return 0.5 * (1 - dice) + 5.0 * ops.mean(entropy, axes)


dice_cross_entropy = keras.saving.register_keras_serializable("crass_tf")(dice_cross_entropy)
