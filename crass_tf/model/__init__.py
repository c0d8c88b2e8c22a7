"""The network, its losses and metrics: plain Keras on any backend."""

from crass_tf.model.losses import dice_cross_entropy
from crass_tf.model.metrics import IoU
from crass_tf.model.unet import DEFAULT_FILTERS, unet

__all__ = ["DEFAULT_FILTERS", "IoU", "dice_cross_entropy", "unet"]
