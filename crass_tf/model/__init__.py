"""The network, its losses and metrics: plain Keras on any backend."""

from crass_tf.model.cascade import cascade, parts
from crass_tf.model.losses import dice_cross_entropy
from crass_tf.model.metrics import IoU
from crass_tf.model.unet import DEFAULT_FILTERS, unet

__all__ = ["DEFAULT_FILTERS", "IoU", "cascade", "dice_cross_entropy", "parts", "unet"]
