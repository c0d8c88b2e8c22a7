"""The network, its losses and metrics: plain Keras on any backend."""

from crass_tf.model.losses import dice_cross_entropy
from crass_tf.model.metrics import IoU
from crass_tf.model.unet import unet

__all__ = ["IoU", "dice_cross_entropy", "unet"]
