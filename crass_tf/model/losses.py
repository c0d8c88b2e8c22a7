"""Losses of masks."""

import keras
from keras import ops

from crass_tf.model.weighting import PIXELS, as_pairs, as_pixel_weights, weighted_mean

# Clavicles cover 2 % of a radiograph, so that the mean cross-entropy is small. This weight makes it as large as Dice.
ENTROPY_WEIGHT = 10.0


@keras.saving.register_keras_serializable("crass_tf")
class DiceCrossEntropy(keras.losses.Loss):
    """Mean of soft Dice loss and weighted binary cross-entropy.

    Of each image and channel, with probabilities `p`, masks `y` and a weight `w` for each pixel:

    `0.5 * (1 - (2 sum(w p y) + s) / (sum(w p) + sum(w y) + s)) + 0.5 * 10 * sum(w bce) / sum(w)`

    where `s` is the largest `w` (1 without weights), so that an empty prediction of an empty mask costs nothing.
    The sums run over each image, not over the batch: a small patient counts as much as a large one. Channels count
    alike. An image counts by its mean weight, so that

    - weights `[B]` are those of images: with the default reduction, the mean of `weight * loss`;
    - weights `[B, H, W]` or `[B, H, W, 1]` that are the same all over an image do the same;
    - the cross-entropy's part is ten halves of what `keras.losses.BinaryCrossentropy` gives for such weights;
    - pixels of weight 0 are as if they were cut out of their image.

    `keras.Model.fit(class_weight=...)` works with a `tf.data.Dataset` of masks `[B, H, W, 1]`; Keras itself refuses it
    for arrays. The argument here works with all.

    Args:
        from_logits: whether `y_pred` are logits, as this package's models give them, or probabilities.
        class_weight: weights `{0: background, 1: clavicle}` of pixels, times `sample_weight`; 1 for what is left out.
        reduction: as of every Keras loss.
        name: the loss' name.
        dtype: as of every Keras loss.

    Call arguments:
        y_true: masks of 0 and 1, `[B, H, W, C]`, or `[B, H, W]` for one channel, any dtype.
        y_pred: logits or probabilities `[B, H, W, C]`.
        sample_weight: see above.

    Raises:
        ValueError: for other shapes, and where logits are expected and a sigmoid's output is given, where that shows.

    Example:

    >>> loss = DiceCrossEntropy()
    >>> y_true, y_pred = [[[[1.0], [0.0]]]], [[[[20.0], [20.0]]]]
    >>> float(loss(y_true, y_pred))  # 0.5 * (1 - 3 / 4) + 5 * 20 / 2
    50.125

    Source: soft Dice after Milletari et al., V-Net, 3DV 2016; the sum of both after Isensee et al., nnU-Net, 2021.
    """

    def __init__(
        self,
        from_logits=True,
        class_weight=None,
        reduction="sum_over_batch_size",
        name="dice_cross_entropy",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.from_logits = from_logits
        if class_weight is not None and not isinstance(class_weight, dict):
            raise ValueError(f"class_weight: found {class_weight}, expected {{0: background, 1: clavicle}}")
        # JSON knows only text as keys.
        self.class_weight = class_weight and {int(key): float(weight) for key, weight in class_weight.items()}
        if self.class_weight and not set(self.class_weight) <= {0, 1}:
            raise ValueError(f"class_weight: found classes {sorted(self.class_weight)}, expected 0 and 1")
        if self.class_weight and not all(0 <= weight < float("inf") for weight in self.class_weight.values()):
            raise ValueError(f"class_weight: found {self.class_weight}, expected numbers from 0")

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Returns the reduced loss: a scalar, or `[B]` where the reduction is None."""
        y_true, y_pred = as_pairs(y_true, y_pred, self.from_logits)
        weights = as_pixel_weights(sample_weight, y_true)
        if self.class_weight:
            clavicle, background = self.class_weight.get(1, 1.0), self.class_weight.get(0, 1.0)
            weights = weights * ops.where(y_true > 0.5, clavicle, background)
        losses = _compute_losses(y_true, y_pred, weights, self.from_logits)
        channels = ops.mean(weights, PIXELS)
        # Keras weights and reduces the images as usual.
        return super().__call__(y_true, weighted_mean(losses, channels, 1), ops.mean(channels, 1))

    def call(self, y_true, y_pred):
        """Returns the losses of images `[B]`, which are what `__call__` hands over as `y_pred`."""
        return y_pred

    def get_config(self):
        """Returns the arguments."""
        return super().get_config() | {"from_logits": self.from_logits, "class_weight": self.class_weight}


@keras.saving.register_keras_serializable("crass_tf", "dice_cross_entropy")
class _Function(DiceCrossEntropy):
    """`dice_cross_entropy`: callable as a function; for `keras.Model.compile` a loss that handles weights.

    Keras would wrap a plain function, and multiply its losses `[B]` by the weights of pixels.
    """

    def __call__(self, y_true, y_pred, *sample_weight, from_logits=True):
        """Returns the losses of images, float32 `[B]`; their weighted mean where Keras passes weights, or None."""
        if sample_weight:
            return super().__call__(y_true, y_pred, *sample_weight)
        y_true, y_pred = as_pairs(y_true, y_pred, from_logits)
        return ops.mean(_compute_losses(y_true, y_pred, ops.ones_like(y_true), from_logits), 1)

    @classmethod
    def from_config(cls, config):
        """Returns the one function there is."""
        return dice_cross_entropy


dice_cross_entropy = _Function()


def _compute_losses(y_true, y_pred, weights, from_logits):
    """Returns the losses of images and channels, `[B, C]`, of which each is independent of the weights' scale."""
    probability = ops.sigmoid(y_pred) if from_logits else y_pred
    smoothing = ops.max(weights, PIXELS)
    overlap = 2 * ops.sum(weights * probability * y_true, PIXELS) + smoothing
    dice = ops.divide_no_nan(overlap, ops.sum(weights * (probability + y_true), PIXELS) + smoothing)
    entropy = weighted_mean(ops.binary_crossentropy(y_true, y_pred, from_logits), weights, PIXELS)
    return 0.5 * (1 - dice) + 0.5 * ENTROPY_WEIGHT * entropy
