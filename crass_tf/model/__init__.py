"""The networks, the clavicle model made of them, losses and metrics: plain Keras on any backend."""

from crass_tf.model.clavicles import clavicle_model, networks
from crass_tf.model.losses import DiceCrossEntropy, dice_cross_entropy
from crass_tf.model.metrics import IoU
from crass_tf.model.unet import DEFAULT_FILTERS, unet

__all__ = ["DEFAULT_FILTERS", "DiceCrossEntropy", "IoU", "clavicle_model", "dice_cross_entropy", "networks", "unet"]
