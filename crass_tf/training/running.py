"""`crass-tf train`: from a prepared TFDS data set to `RUN/model.keras`."""

import csv
import dataclasses
import importlib.util
import io
import pathlib

from crass_tf.data.folds import held_out
from crass_tf.data.loading import default_splits, split_ids
from crass_tf.data.pipeline import config_size, supervised, training_dataset, validation_dataset
from crass_tf.files import InputError, atomic_file, read_text, write_text
from crass_tf.model import cascade
from crass_tf.networks import CASCADE
from crass_tf.training.checkpoints import HISTORY, completed_epochs
from crass_tf.training.fitting import LOGS, default_precision, fit
from crass_tf.training.presets import DEFAULT_PRESET, PRESETS
from crass_tf.training.settings import FILE_NAME, MODEL_NAME


def train(
    run,
    data_dir=None,
    *,
    preset=DEFAULT_PRESET,
    init=None,
    resume=False,
    precision=None,
    split=None,
    validation_split=None,
    fold=None,
    **changes,
):
    """Trains on one split, watches another or one of the first one's folds, and returns the trained `keras.Model`.

    Args:
        run: the run's folder; see `fitting.fit` for what it gets, and TensorBoard logs in `RUN/logs`. For a cascade
            `RUN/locate` and `RUN/segment` get that, and RUN the cascade made of them.
        data_dir: where the data set was prepared; None is TFDS' default.
        preset: one of `presets.PRESETS`: what the settings are where nothing else is said.
        init: a `.keras` model to start from.
        resume: go on after the last completed epoch of this run.
        precision: a Keras dtype policy; None chooses by the device.
        split: what to train on, a split's name or a TFDS expression such as `train+validation`; None is `train`, or
            what `default_splits` gives for a data set without it.
        validation_split: what to watch; None is `validation`, or what `default_splits` gives.
        fold: `2/5` holds the second of the split's five folds out of training and watches it.
        **changes: other fields of `Settings` that differ from the preset's; of a cascade they hold for both networks.
            `image_size`, None or left out, is the preset's; for `unet` it is that of the data set's config, if any.

    Raises:
        InputError: where the data set or a split is missing, or the run's folder is in use.
    """
    run = pathlib.Path(run)
    if changes.get("image_size", ...) is None:
        del changes["image_size"]
    networks = [dataclasses.replace(settings, **changes) for settings in presets(preset, changes)]
    networks = [dataclasses.replace(s, precision=precision or default_precision()) for s in networks]
    networks = [with_splits(settings, data_dir, split, validation_split, fold) for settings in networks]
    if len(networks) == 1:
        sized = _with_config_size(networks[0], data_dir, "image_size" in changes)
        return train_network(run, data_dir, sized, init=init, resume=resume)
    return _train_cascade(run, data_dir, networks, init, resume)


def presets(name, changes=()):
    """Returns the `Settings` of a preset's networks; InputError for a name that is none, or a size for a cascade."""
    if name not in PRESETS:
        raise InputError(f"preset: found {name!r}, expected one of {', '.join(PRESETS)}")
    if len(PRESETS[name]) > 1 and "image_size" in changes:
        raise InputError(f"image_size: found one for preset {name!r}, whose networks have a size each; leave it out")
    return PRESETS[name]


def train_network(run, data_dir, settings, *, init=None, resume=False):
    """Trains one network with complete settings; arguments as in `train`."""
    pairs, watched = _load(settings, data_dir)
    validation = validation_dataset(watched, settings.seen(), batch_size=settings.batch_size)

    def batches_from(epoch):
        return training_dataset(
            pairs,
            settings.seen(),
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            seed=settings.seed,
            augmentation=settings.augmentation,
            initial_epoch=epoch,
        )

    steps = int(pairs.cardinality()) // settings.batch_size
    callbacks = tensorboard(pathlib.Path(run) / LOGS, validation)
    return fit(batches_from, validation, steps, run, settings, init=init, resume=resume, callbacks=callbacks)


def has_begun(run):
    """Returns whether a folder holds a run, of one network or of a cascade, that can be resumed."""
    folders = [run, *(run / name for name in CASCADE)]
    return any(completed_epochs(folder) or (folder / FILE_NAME).exists() for folder in folders)


def _train_cascade(run, data_dir, networks, init, resume):
    """Trains a cascade's networks in `RUN/locate` and `RUN/segment`; what was finished before is only read again."""
    if resume and not has_begun(run):
        raise InputError(f"{run}: found no run to resume; train without --resume first")
    models = [
        train_network(run / name, data_dir, settings, init=init, resume=resume and has_begun(run / name))
        for name, settings in zip(CASCADE, networks)
    ]
    model = cascade(*models)
    with atomic_file(run / MODEL_NAME) as temporary:
        model.save(temporary)
    _write_history(run)
    # Last: where it is, the run is whole.
    networks[-1].save(run)
    return model


def _write_history(run):
    """Writes `RUN/history.csv`: the networks' histories, one after the other."""
    tables = {name: list(csv.DictReader(read_text(run / name / HISTORY).splitlines())) for name in CASCADE}
    rows = [{"network": name} | row for name, table in tables.items() for row in table]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(run / HISTORY, text.getvalue())


def _with_config_size(settings, data_dir, is_given):
    """Returns settings with the image size of the data set's config, where it has one and none is given."""
    size = config_size(settings.dataset, settings.config, data_dir)
    return settings if is_given or size is None else dataclasses.replace(settings, image_size=size)


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
    """Returns `(training, validation)`, both as `supervised` gives them."""
    place = settings.dataset, settings.config
    names = split_ids(settings.dataset, settings.split, data_dir, settings.config)
    if settings.fold is None:
        watched = split_ids(settings.dataset, settings.validation_split, data_dir, settings.config)
        _say_shared(settings, set(names) & set(watched))
        return [supervised(*place, split, data_dir) for split in (settings.split, settings.validation_split)]
    rest = sorted(set(names) - set(settings.held_out))
    print(f"fold {settings.fold} of {settings.split}: {len(settings.held_out)} held out, {len(rest)} to train on")
    return [supervised(*place, settings.split, data_dir, chosen) for chosen in (rest, settings.held_out)]


def _say_shared(settings, shared):
    if shared:
        print(
            f"note: {len(shared)} radiographs are in both {settings.split} and {settings.validation_split}: "
            "what is watched is no measure of unseen ones"
        )
