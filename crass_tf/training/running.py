"""`crass-tf train`: from a prepared TFDS data set to `RUN/model.keras`."""

import dataclasses
import importlib.util
import pathlib

from crass_tf.data.folds import held_out
from crass_tf.data.loading import default_splits, split_ids
from crass_tf.data.pipeline import supervised, training_dataset, validation_dataset
from crass_tf.files import InputError
from crass_tf.training.fitting import LOGS, default_precision, fit
from crass_tf.training.settings import Settings


def train(
    run,
    data_dir=None,
    *,
    init=None,
    resume=False,
    image_size=None,
    precision=None,
    split=None,
    validation_split=None,
    fold=None,
    **changes,
):
    """Trains on one split, watches another or one of the first one's folds, and returns the trained `keras.Model`.

    Args:
        run: the run's folder; see `fitting.fit` for what it gets, and TensorBoard logs in `RUN/logs`.
        data_dir: where the data set was prepared; None is TFDS' default.
        init: a `.keras` model to start from.
        resume: go on after the last completed epoch of this run.
        image_size: `(height, width)` of the network's grid; None is the config's, or 512 x 512 for `native`.
        precision: a Keras dtype policy; None chooses by the device.
        split: what to train on, a split's name or a TFDS expression such as `train+validation`; None is `train`, or
            what `default_splits` gives for a data set without it.
        validation_split: what to watch; None is `validation`, or what `default_splits` gives.
        fold: `2/5` holds the second of the split's five folds out of training and watches it.
        **changes: other fields of `Settings` that differ from the defaults.

    Raises:
        InputError: where the data set or a split is missing, or the run's folder is in use.
    """
    settings = dataclasses.replace(Settings(), precision=precision or default_precision(), **changes)
    settings = with_splits(settings, data_dir, split, validation_split, fold)
    pairs, watched, config_size = _load(settings, data_dir)
    settings = dataclasses.replace(settings, image_size=tuple(image_size or config_size or settings.image_size))
    validation = validation_dataset(watched, settings.image_size, batch_size=settings.batch_size)

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


def with_splits(settings, data_dir=None, split=None, validation_split=None, fold=None):
    """Returns the settings with their splits, and with a fold's radiographs; arguments and errors as in `train`."""
    if fold is not None and validation_split is not None:
        raise InputError(
            f"validation_split: found {validation_split!r} beside fold {fold!r}, expected one of them: "
            "the fold held out is what is watched"
        )
    training, validation = default_splits(settings.dataset, settings.config, data_dir)
    split = training if split is None else split
    if fold is None:
        validation = validation if validation_split is None else validation_split
        return dataclasses.replace(settings, split=split, validation_split=validation)
    names = held_out(split_ids(settings.dataset, split, data_dir, settings.config), fold)
    return dataclasses.replace(settings, split=split, validation_split=None, fold=fold, held_out=tuple(names))


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


def _load(settings, data_dir):
    """Returns `(training, validation, image_size or None)`, the first two as `supervised` gives them."""
    place = settings.dataset, settings.config
    names = split_ids(settings.dataset, settings.split, data_dir, settings.config)
    if settings.fold is None:
        watched = split_ids(settings.dataset, settings.validation_split, data_dir, settings.config)
        _say_shared(settings, set(names) & set(watched))
        pairs, image_size = supervised(*place, settings.split, data_dir)
        return pairs, supervised(*place, settings.validation_split, data_dir)[0], image_size
    rest = sorted(set(names) - set(settings.held_out))
    print(f"fold {settings.fold} of {settings.split}: {len(settings.held_out)} held out, {len(rest)} to train on")
    pairs, image_size = supervised(*place, settings.split, data_dir, rest)
    return pairs, supervised(*place, settings.split, data_dir, settings.held_out)[0], image_size


def _say_shared(settings, shared):
    if shared:
        print(
            f"note: {len(shared)} radiographs are in both {settings.split} and {settings.validation_split}: "
            "what is watched is no measure of unseen ones"
        )
