"""`crass-tf train`: from a prepared TFDS data set to `RUN/model.keras`."""

import dataclasses
import importlib.util
import pathlib

from crass_tf.data.pipeline import supervised, training_dataset, validation_dataset
from crass_tf.training.fitting import LOGS, default_precision, fit
from crass_tf.training.settings import Settings


def train(run, data_dir=None, *, init=None, resume=False, image_size=None, precision=None, **changes):
    """Trains on the split `train`, watches `validation`, and returns the trained `keras.Model`.

    Args:
        run: the run's folder; see `fitting.fit` for what it gets, and TensorBoard logs in `RUN/logs`.
        data_dir: where the data set was prepared; None is TFDS' default.
        init: a `.keras` model to start from.
        resume: go on after the last completed epoch of this run.
        image_size: `(height, width)` of the network's grid; None is the config's, or 512 x 512 for `native`.
        precision: a Keras dtype policy; None chooses by the device.
        **changes: other fields of `Settings` that differ from the defaults.

    Raises:
        InputError: where the data set is missing, or the run's folder is in use.
    """
    settings = dataclasses.replace(Settings(), precision=precision or default_precision(), **changes)
    pairs, config_size = supervised(settings.dataset, settings.config, "train", data_dir)
    settings = dataclasses.replace(settings, image_size=tuple(image_size or config_size or settings.image_size))
    held_out, _ = supervised(settings.dataset, settings.config, "validation", data_dir)
    validation = validation_dataset(held_out, settings.image_size, batch_size=settings.batch_size)

    def batches_from(epoch):
        return training_dataset(
            pairs,
            settings.image_size,
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            seed=settings.seed,
            augmentation=settings.augmentation,
            initial_epoch=epoch,
        )

    steps = int(pairs.cardinality()) // settings.batch_size
    callbacks = tensorboard(pathlib.Path(run) / LOGS, validation)
    return fit(batches_from, validation, steps, run, settings, init=init, resume=resume, callbacks=callbacks)


def tensorboard(folder, validation):
    """Returns makers of the callbacks that write curves and overlays; none, and says so, without TensorBoard."""
    if importlib.util.find_spec("tensorboard") is None:
        print("tensorboard is not installed: no TensorBoard logs are written")
        return []
    import keras

    from crass_tf.training.pictures import Pictures

    return [
        lambda _: keras.callbacks.TensorBoard(folder, write_graph=False),
        lambda averaged: Pictures(folder / "validation", averaged, validation),
    ]
