"""Metrics of masks, while training; `crass_tf.evaluation` has those that are reported."""

import keras
from keras import ops

from crass_tf.model.weighting import PIXELS, as_pairs, as_pixel_weights, weighted_mean


@keras.saving.register_keras_serializable("crass_tf")
class IoU(keras.metrics.Mean):
    """Intersection over union of prediction and mask, averaged over images and channels.

    A pixel is predicted where its logit is above 0, or its probability above 1/2. An empty prediction of an empty mask
    counts as 1. Of several channels each has its own IoU, and an image counts by their mean. Weights `[B]` are those of
    images; weights of pixels, `[B, H, W]` or `[B, H, W, 1]`, weight the pixels within an image, which then counts by
    their mean.

    Args:
        from_logits: whether predictions are logits, or probabilities.
        name: the metric's name.
        dtype: as of every Keras metric.

    Example:

    >>> metric = IoU()
    >>> metric.update_state([[[[1]], [[1]]]], [[[[2.0]], [[-2.0]]]])
    >>> float(metric.result())
    0.5
    """

    def __init__(self, name="iou", from_logits=True, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.from_logits = from_logits
        # `EarlyStopping(mode="auto")` reads it.
        self._direction = "up"

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch: masks `[B, H, W, C]` of 0 and 1, any dtype, predictions of the same shape."""
        y_true, y_pred = as_pairs(y_true, y_pred, self.from_logits)
        weights = as_pixel_weights(sample_weight, y_true)
        true, predicted = y_true > 0, y_pred > (0.0 if self.from_logits else 0.5)
        intersection = _sum_pixels(ops.logical_and(true, predicted), weights)
        union = _sum_pixels(ops.logical_or(true, predicted), weights)
        iou = ops.where(union > 0, ops.divide_no_nan(intersection, union), 1.0)
        channels = ops.mean(weights, PIXELS)
        super().update_state(weighted_mean(iou, channels, 1), ops.mean(channels, 1))

    def get_config(self):
        """Returns the arguments."""
        return super().get_config() | {"from_logits": self.from_logits}


def _sum_pixels(pixels, weights):
    return ops.sum(ops.cast(pixels, "float32") * weights, PIXELS)
