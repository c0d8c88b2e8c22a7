"""Metrics on logits, while training; `crass_tf.evaluation` has those that are reported."""

import keras
from keras import ops


class IoU(keras.metrics.Mean):
    """Intersection over union of `logits > 0` and the mask, averaged over images.

    An empty prediction of an empty mask counts as 1.

    Example:

    >>> metric = IoU()
    >>> metric.update_state([[[[1]], [[1]]]], [[[[2.0]], [[-2.0]]]])
    >>> float(metric.result())
    0.5
    """

    def __init__(self, name="iou", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch: masks `[B, H, W, 1]` of 0 and 1, any dtype, logits of the same shape."""
        y_true, y_pred = ops.cast(y_true, "float32") > 0, ops.cast(y_pred, "float32") > 0
        intersection = _count(ops.logical_and(y_true, y_pred))
        union = _count(ops.logical_or(y_true, y_pred))
        iou = ops.where(union > 0, intersection / ops.maximum(union, 1.0), 1.0)
        super().update_state(iou, sample_weight)


def _count(pixels):
    return ops.sum(ops.cast(pixels, "float32"), axis=(1, 2, 3))
