"""Training on several devices, of one machine or of several, each with an equal part of every batch."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import keras

from crass_tf.common.files import InputError

TENSORFLOW, JAX = "tensorflow", "jax"
# What `keras.distribution.initialize` reads: address of the first process, their number, and which one this is.
ADDRESSES = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
VARIABLES = (ADDRESSES, "KERAS_DISTRIBUTION_NUM_PROCESSES", "KERAS_DISTRIBUTION_PROCESS_ID")


def join_processes() -> None:
    """Joins the processes that train together, on several machines or on one, where `VARIABLES` are set; JAX only."""
    if not os.environ.get(ADDRESSES):
        return
    if missing := [name for name in VARIABLES if not os.environ.get(name)]:
        raise InputError(f"{missing[0]}: found nothing in the environment, expected it beside {ADDRESSES}")
    if keras.backend.backend() != JAX:
        raise InputError(f"{ADDRESSES}: found the backend {keras.backend.backend()}, expected jax (KERAS_BACKEND=jax)")
    try:
        keras.distribution.initialize()
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{ADDRESSES}: cannot join the other processes ({str(error).splitlines()[0]})") from None


def processes() -> tuple[int, int]:
    """Returns which of the processes that train together this is, from 0 on, and their number."""
    if keras.backend.backend() != JAX:
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


@contextlib.contextmanager
def own_folder(run: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields the folder that this process writes to: the run's for the first one, a temporary copy for the others.

    So all processes do the same work, and only the first one writes and prints for the user.
    """
    index, count = processes()
    if count == 1:
        yield run
        return
    from jax.experimental import multihost_utils

    with contextlib.ExitStack() as stack:
        if index:
            copy = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crass-tf-"))) / run.name
            if run.exists():
                shutil.copytree(run, copy)
            run = copy
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(pathlib.Path(os.devnull).open("w"))))
        # The first process writes only after all others have copied.
        multihost_utils.sync_global_devices(str(run.name))
        yield run
        multihost_utils.sync_global_devices(f"{run.name} is whole")


def own_part(batches: Any) -> Any:
    """Returns this process' part of each batch of a `tf.data.Dataset`; one process takes batches of any kind."""
    index, count = processes()
    if count == 1 or batches is None:
        return batches
    if not hasattr(batches, "map"):
        raise InputError(f"found {type(batches).__name__} and {count} processes, expected a tf.data.Dataset to share")

    def cut(*batch):
        size = len(batch[0]) if batch[0].shape[0] is None else batch[0].shape[0]
        return tuple(each[index * size // count : (index + 1) * size // count] for each in batch)

    return batches.map(cut)


@contextlib.contextmanager
def spread(count: int) -> Iterator[None]:
    """Runs what is built and trained in the block on `count` devices: GPUs or TPUs if any, else CPUs.

    `count` is the number of all processes' devices together; 1 changes nothing. InputError where there are fewer, or
    the backend is another one than TensorFlow or JAX.
    """
    _, together = processes()
    if count == together == 1:
        yield
        return
    names = keras.distribution.list_devices()
    if together > 1 and count != len(names):
        expected = f"expected the number of all their devices, {len(names)}"
        raise InputError(f"devices: found {count} and {together} processes, {expected}")
    if len(names) < count:
        kind = names[0].split(":")[0]
        raise InputError(f"devices: found {len(names)} of kind {kind}, expected {count} or more for --devices {count}")
    if keras.backend.backend() == TENSORFLOW:
        import tensorflow as tf

        with tf.distribute.MirroredStrategy([name.upper() for name in names[:count]]).scope():
            yield
    elif keras.backend.backend() == JAX:
        before = keras.distribution.distribution()
        layout = keras.distribution.DataParallel(devices=names[:count], auto_shard_dataset=False)
        keras.distribution.set_distribution(layout)
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)
    else:
        raise InputError(f"devices: found the backend {keras.backend.backend()}, expected tensorflow or jax")


def check_batch(batch_size: int, count: int) -> None:
    """Raises InputError unless a batch can be shared evenly among the devices."""
    if batch_size % count:
        expected = f"expected a multiple of {count}: each of the devices gets an equal part"
        raise InputError(f"batch_size: found {batch_size}, {expected}")


def share_statistics(model: keras.Model) -> None:
    """Has the batch normalisation of a model see the whole batch, not each device's part; JAX does so anyway."""
    if keras.backend.backend() == TENSORFLOW:
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True


def divisible(validation: Any, count: int) -> Any:
    """Returns the batches of a validation set without the last examples that cannot be shared evenly, and says so.

    They are a `tf.data.Dataset` of batches, `(images, masks, batch size)`, or None.
    """
    if validation is None or count == 1:
        return validation
    is_arrays = isinstance(validation, tuple)
    sizes = [len(validation[0])] if is_arrays else [len(images) for images, _ in validation]
    left_out, total = sizes[-1] % count, sum(sizes)
    if not left_out:
        return validation
    print(f"note: {left_out} of {total} radiographs are not watched: devices get equal parts of every batch")
    if is_arrays:
        images, masks, batch_size = validation
        return images[:-left_out], masks[:-left_out], batch_size
    return validation.unbatch().take(total - left_out).batch(sizes[0])
