"""Augmentation for a `tf.data` pipeline of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from crass_tf.data.augmentation import Augmentation, augment

if TYPE_CHECKING:
    import tensorflow as tf

# The largest seed, plus 1, that is drawn for one example.
SEEDS = 2**31 - 1


def augmentation(settings: Augmentation | None = None, seed: int = 0) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """Returns a function for `tf.data.Dataset.map` that changes a radiograph and its mask together, at random.

    Args:
        settings: how far each change may go; None is the default `Augmentation`.
        seed: of the sequence of changes. With `num_parallel_calls` the changes are the same, but another example may
            get each of them.

    Returns:
        A function of `(image, mask)`, tensors `[H, W, 1]`: grey values from 0 to 255 and 0 or 1. What it returns has
        the same shapes and dtypes.

    Example: ten pairs become ten changed pairs of the same size.

    >>> import tensorflow as tf
    >>> pairs = tf.data.Dataset.from_tensors((np.zeros((64, 64, 1), np.uint8), np.ones((64, 64, 1), np.uint8)))
    >>> pairs.repeat(10).map(crass_tf.augmentation()).element_spec[0].shape
    TensorShape([64, 64, 1])
    """
    import tensorflow as tf

    settings = settings or Augmentation()

    def change(image, mask, number):
        rng = np.random.default_rng(int(number))
        changed, changed_mask = augment(image[:, :, 0].astype(np.uint8), mask.astype(np.uint8), settings, rng)
        return changed[:, :, None].astype(image.dtype), changed_mask.reshape(mask.shape).astype(mask.dtype)

    def change_pair(image, mask):
        number = tf.random.uniform((), maxval=SEEDS, dtype=tf.int32, seed=seed)
        changed = tf.numpy_function(change, (image, mask, number), (image.dtype, mask.dtype))
        for tensor, original in zip(changed, (image, mask)):
            tensor.set_shape(original.shape)
        return tuple(changed)

    return change_pair
