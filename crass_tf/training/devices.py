"""Training on several devices of one machine, each with an equal part of every batch."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from crass_tf.common.files import InputError

TENSORFLOW, JAX = "tensorflow", "jax"


@contextlib.contextmanager
def spread(count: int) -> Iterator[None]:
    """What is built and trained inside runs on so many devices: GPUs or TPUs where there are any, else CPUs.

    TensorFlow has a `tf.distribute.MirroredStrategy`, JAX a `keras.distribution.DataParallel`.

    Args:
        count: the number of devices; 1 changes nothing.

    Raises:
        InputError: where there are fewer, or the backend is another one.
    """
    if count == 1:
        yield
        return
    names = keras.distribution.list_devices()
    if len(names) < count:
        kind = names[0].split(":")[0]
        raise InputError(f"devices: found {len(names)} of kind {kind}, expected {count} or more for --devices {count}")
    if keras.backend.backend() == TENSORFLOW:
        import tensorflow as tf

        with tf.distribute.MirroredStrategy([name.upper() for name in names[:count]]).scope():
            yield
    elif keras.backend.backend() == JAX:
        before = keras.distribution.distribution()
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=names[:count]))
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)
    else:
        raise InputError(f"devices: found the backend {keras.backend.backend()}, expected tensorflow or jax")


def check_batch(batch_size: int, count: int) -> None:
    """Raises InputError unless a batch can be shared evenly among the devices."""
    if batch_size % count:
        raise InputError(
            f"batch_size: found {batch_size}, expected a multiple of {count}: each of the devices gets an equal part"
        )


def share_statistics(model: keras.Model) -> None:
    """Has the batch normalisation of a model see the whole batch, not each device's part; JAX does so anyway."""
    if keras.backend.backend() == TENSORFLOW:
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True


def divisible(validation: Any, count: int) -> Any:
    """Returns the batches of a validation set without the last examples that cannot be shared evenly, and says so.

    Args:
        validation: a `tf.data.Dataset` of batches, `(images, masks, batch size)`, or None.
        count: the number of devices.
    """
    if validation is None or count == 1:
        return validation
    if isinstance(validation, tuple):
        images, masks, batch_size = validation
        kept = len(images) // count * count
        _say_left_out(len(images) - kept, len(images))
        return images[:kept], masks[:kept], batch_size
    sizes = [len(images) for images, _ in validation]
    kept = sizes[-1] // count * count
    _say_left_out(sizes[-1] - kept, sum(sizes))
    return validation.unbatch().take(sum(sizes[:-1]) + kept).batch(sizes[0]) if kept < sizes[-1] else validation


def _say_left_out(left_out, of):
    if left_out:
        print(f"note: {left_out} of {of} radiographs are not watched: devices get equal parts of every batch")
