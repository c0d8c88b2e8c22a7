"""`crass-tf train`: from a prepared TFDS data set to `RUN/model.keras`."""

import dataclasses
import importlib.util
import pathlib
from collections.abc import Container
from typing import Any

import keras

from crass_tf.common.files import InputError, atomic_file, data_path, local_path, output_folder
from crass_tf.common.types import PathLike
from crass_tf.data.folds import held_out
from crass_tf.data.loading import default_splits, split_ids
from crass_tf.data.pipeline import config_size, prepared, supervised, training_batches, validation_dataset
from crass_tf.model import clavicle_model
from crass_tf.model.clavicles import FINDER, OUTLINER
from crass_tf.training.checkpoints import completed_epochs, read_rows, write_rows
from crass_tf.training.devices import join_processes, own_folder
from crass_tf.training.fitting import LOGS, default_precision, fit
from crass_tf.training.presets import DEFAULT_PRESET, PRESETS
from crass_tf.training.settings import FILE_NAME, MODEL_NAME, Settings

# The folders of a clavicle model's networks, in the run's folder.
NETWORKS = (FINDER, OUTLINER)


def train(
    run: PathLike,
    data_dir: PathLike | None = None,
    *,
    preset: str = DEFAULT_PRESET,
    init: PathLike | None = None,
    resume: bool = False,
    precision: str | None = None,
    split: str | None = None,
    validation_split: str | None = None,
    fold: str | None = None,
    devices: int = 1,
    **changes: Any,
) -> keras.Model:
    """Trains on one split, watches another or one of the first one's folds, and returns the trained `keras.Model`.

    Args:
        run: the run's folder; see `fitting.fit` for what it gets, and TensorBoard logs in `RUN/logs`. For a clavicle
            model `RUN/finder` and `RUN/outliner` get that, and RUN the model made of them.
        data_dir: where the data set was prepared; None is TFDS' default.
        preset: one of `presets.PRESETS`: what the settings are where nothing else is said.
        init: a `.keras` model to start from.
        resume: go on after the last completed epoch of this run.
        precision: a Keras dtype policy; None chooses by the device.
        split: what to train on, a split's name or a TFDS expression such as `train+validation`; None is `train`, or
            what `default_splits` gives for a data set without it.
        validation_split: what to watch; None is `validation`, or what `default_splits` gives.
        devices: how many devices share each batch, of all processes together where `devices.VARIABLES` are set.
        fold: `2/5` holds the second of the split's five folds out of training and watches it.
        **changes: other fields of `Settings` that differ from the preset's; of a clavicle model they hold for both
            networks. `image_size`, None or left out, is the preset's; for `unet` it is that of the data set's config,
            if any.

    Raises:
        InputError: where the data set or a split is missing, or the run's folder is in use.
    """
    run, init, data_dir = output_folder(run), local_path(init, "init"), data_path(data_dir)
    join_processes()
    if changes.get("image_size", ...) is None:
        del changes["image_size"]
    changes["precision"] = precision or default_precision()
    networks = [dataclasses.replace(settings, **changes) for settings in presets(preset, changes)]
    networks = [_with_splits(settings, data_dir, split, validation_split, fold) for settings in networks]
    options = {"init": init, "devices": devices}
    with own_folder(run) as folder:
        if len(networks) > 1:
            return _train_clavicle_model(folder, data_dir, networks, resume, **options)
        (settings,) = networks
        size = config_size(settings.dataset, settings.config, data_dir)
        if size is not None and "image_size" not in changes:
            settings = dataclasses.replace(settings, image_size=size)
        return train_network(folder, data_dir, settings, resume=resume, **options)


def presets(name: str, changes: Container[str] = ()) -> tuple[Settings, ...]:
    """Returns the `Settings` of a preset's networks; InputError for a name that is none, or a size for two networks."""
    if name not in PRESETS:
        raise InputError(f"preset: found {name!r}, expected one of {', '.join(PRESETS)}")
    if len(PRESETS[name]) > 1 and "image_size" in changes:
        raise InputError(f"image_size: found one for preset {name!r}, whose networks have a size each; leave it out")
    return PRESETS[name]


def train_network(run: PathLike, data_dir: PathLike | None, settings: Settings, **options: Any) -> keras.Model:
    """Trains one network with complete settings; `init`, `resume` and `devices` as in `train`."""
    training, watched = _load(settings, data_dir)
    view = settings.make_view()
    pairs = prepared(training, view.prepare)
    validation = validation_dataset(watched, view, batch_size=settings.batch_size)
    wanted = {name: getattr(settings, name) for name in ("batch_size", "epochs", "seed", "augmentation")}

    def batches_from(epoch):
        return training_batches(pairs, view, initial_epoch=epoch, **wanted)

    options |= {"callbacks": tensorboard(pathlib.Path(run) / LOGS, validation)}
    return fit(batches_from, validation, len(pairs) // settings.batch_size, run, settings, **options)


def has_begun(run: pathlib.Path) -> bool:
    """Returns whether a folder holds a run, of one network or of a clavicle model, that can be resumed."""
    folders = [run, *(run / name for name in NETWORKS)]
    return any(completed_epochs(folder) or (folder / FILE_NAME).exists() for folder in folders)


def _train_clavicle_model(run, data_dir, networks, resume, **options):
    """Trains a clavicle model's networks in `RUN/finder` and `RUN/outliner`; what is finished is only read again."""
    if resume and not has_begun(run):
        raise InputError(f"{run}: found no run to resume; train without --resume first")
    models = [
        train_network(run / name, data_dir, settings, resume=resume and has_begun(run / name), **options)
        for name, settings in zip(NETWORKS, networks)
    ]
    model = clavicle_model(*models)
    with atomic_file(run / MODEL_NAME) as temporary:
        model.save(temporary)
    # The networks' histories, one after the other.
    write_rows(run, [{"network": name} | row for name in NETWORKS for row in read_rows(run / name)])
    # Written last: it marks a complete run.
    networks[-1].save(run)
    return model


def _with_splits(settings, data_dir, split, validation_split, fold):
    """Returns the settings with their splits, and with a fold's radiographs; arguments and errors as in `train`."""
    if fold is not None and validation_split is not None:
        both = f"found {validation_split!r} beside fold {fold!r}"
        raise InputError(f"validation_split: {both}, expected one of them: the fold held out is what is watched")
    training, validation = default_splits(settings.dataset, settings.config, data_dir)
    split = training if split is None else split
    if fold is None:
        validation = validation if validation_split is None else validation_split
        return dataclasses.replace(settings, split=split, validation_split=validation)
    names = held_out(split_ids(settings.dataset, split, data_dir, settings.config), fold)
    return dataclasses.replace(settings, split=split, validation_split=None, fold=fold, held_out=tuple(names))


def tensorboard(folder: pathlib.Path, validation: Any) -> list[keras.callbacks.Callback]:
    """Returns the callbacks that write curves and overlays; none, and says so, without TensorBoard."""
    if importlib.util.find_spec("tensorboard") is None:
        print("tensorboard is not installed: no TensorBoard logs are written")
        return []
    from crass_tf.training.pictures import Pictures

    return [keras.callbacks.TensorBoard(folder, write_graph=False), Pictures(folder / "validation", validation)]


def _load(settings, data_dir):
    place, split, watched = (settings.dataset, settings.config), settings.split, settings.validation_split
    names = split_ids(settings.dataset, split, data_dir, settings.config)
    if settings.fold is None:
        if shared := {*names} & {*split_ids(settings.dataset, watched, data_dir, settings.config)}:
            both = f"{len(shared)} radiographs are in both {split} and {watched}"
            print(f"note: {both}: what is watched is no measure of unseen ones")
        return [supervised(*place, each, data_dir) for each in (split, watched)]
    rest = sorted(set(names) - set(settings.held_out))
    print(f"fold {settings.fold} of {split}: {len(settings.held_out)} held out, {len(rest)} to train on")
    return [supervised(*place, split, data_dir, chosen) for chosen in (rest, settings.held_out)]
