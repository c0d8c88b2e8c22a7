"""Fits the U-Net: XLA, precision, schedule, weight averaging, checkpoints, resuming. Runs on any Keras backend."""

import dataclasses
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from crass_tf.common.files import InputError, atomic_file, local_path, output_folder
from crass_tf.common.types import PathLike
from crass_tf.data.pipeline import array_batches
from crass_tf.data.views import SIDES, STRIP
from crass_tf.model import DEFAULT_FILTERS, IoU, dice_cross_entropy, networks, unet
from crass_tf.model.clavicles import CLAVICLE_MODEL, FINDER, OUTLINER
from crass_tf.training.averaging import WeightAverage
from crass_tf.training.checkpoints import Checkpoints, completed_epochs
from crass_tf.training.devices import TENSORFLOW, check_batch, divisible, own_part, share_statistics, spread
from crass_tf.training.schedule import LearningRate, rate_of
from crass_tf.training.settings import FILE_NAME, MODEL_NAME, Settings

LOGS = "logs"
# The network of a clavicle model that is trained on a view.
NETWORK_OF_VIEW = {SIDES: FINDER, STRIP: OUTLINER}


def fit(
    batches_from: Callable[[int], Any],
    validation: Any,
    steps_per_epoch: int,
    run: PathLike,
    settings: Settings,
    *,
    init: PathLike | None = None,
    resume: bool = False,
    callbacks: Any = (),
    devices: int = 1,
    verbose: int = 1,
) -> keras.Model:
    """Trains a U-Net and writes `RUN/model.keras`, `history.csv`, `settings.json` and `checkpoints/`.

    One model is trained, validated, given to callbacks and saved: at each epoch's end, and when training ends, it holds
    the average of its weights over the steps (`WeightAverage`). So any Keras callback does what it says, such as
    `EarlyStopping(restore_best_weights=True)`: `model.keras` is what it restored. A callback that sets the learning
    rate ends the schedule of warm-up and decay. Where a run is resumed, callbacks start anew, as they do in Keras.

    Args:
        batches_from: function of the initial epoch that returns what `keras.Model.fit` takes: a `tf.data.Dataset` of
            all epochs' batches, or a `keras.utils.PyDataset`. Images float32 `[B, H, W, 1]` from 0 to 255, masks 0/1.
        validation: batches of the same form, or (images, masks, batch size), or None.
        steps_per_epoch: batches in each epoch.
        run, settings: the run's folder and its `Settings`.
        init: path of a `.keras` file to start from, with the same filters.
        resume: go on from the last completed epoch.
        callbacks: Keras callbacks, one or many, or functions that return one, given the model.
        devices: how many devices of this machine share each batch; `batch_size` is that of all together.
        verbose: 0 for silence, 2 for one line an epoch, 1 for a progress bar on a terminal and else as 2.

    Returns:
        The float32 `keras.Model`, not compiled, with the averaged weights.

    Raises:
        InputError: where the folder holds another run, or there is nothing to resume, or init does not fit.
    """
    check_batch(settings.batch_size, devices)
    if steps_per_epoch < 1:
        raise InputError(f"batch_size: found {settings.batch_size}, more than there are training radiographs")
    with spread(devices):
        validation = own_part(divisible(validation, devices))
        run, init = output_folder(run, "run"), local_path(init, "init")
        _claim_folder(run, settings, resume)
        # Saved without optimizer and loss, in float32: a loader then needs Keras only.
        model, saved = build(settings, init), build(dataclasses.replace(settings, precision="float32"))
        compile_model(model, settings, devices)
        first = (completed_epochs(run) or [0])[-1] if resume else 0
        average, rate, checkpoints = _start_callbacks(run, settings, steps_per_epoch, model, saved, first)
        settings.save(run)
        if verbose:
            resuming = [f"resuming after epoch {first} of {settings.epochs}"] if first else []
            print(describe(settings, model, devices), *resuming, sep="\n", flush=True)
        if first < settings.epochs:
            # One callback need not be in a list, as in Keras.
            listed = keras.tree.flatten(callbacks) if callbacks else []
            given = [each if isinstance(each, keras.callbacks.Callback) else each(model) for each in listed]
            images, masks, batch_size = validation if isinstance(validation, tuple) else (None, None, None)
            has_bar = verbose == 1 and sys.stdout.isatty()
            model.fit(
                own_part(batches_from(first)),
                epochs=settings.epochs,
                initial_epoch=first,
                steps_per_epoch=steps_per_epoch,
                shuffle=False,
                validation_data=validation if batch_size is None else (images, masks),
                validation_batch_size=batch_size,
                callbacks=[average, rate, _EpochFacts(bool(verbose) and not has_bar), *given, checkpoints],
                verbose=1 if has_bar else 0,
            )
            saved.set_weights(model.get_weights())
        elif (run / MODEL_NAME).exists():
            # The file, since a callback may have restored weights of an earlier epoch.
            return keras.saving.load_model(run / MODEL_NAME, compile=False)
        with atomic_file(run / MODEL_NAME) as temporary:
            saved.save(temporary)
    return saved


def _start_callbacks(run, settings, steps_per_epoch, model, saved, first):
    """Returns the callbacks that hold a run's state, as it was when its epoch `first` ended; 0: as a new run begins."""
    average = WeightAverage(settings.ema_momentum, first * steps_per_epoch)
    rate = LearningRate(settings.learning_rate, settings.epochs * steps_per_epoch, settings.warmup)
    checkpoints = Checkpoints(run, average, saved)
    average.start(model, checkpoints.restore(model) if first else None)
    rate.start(model, first * steps_per_epoch)
    return average, rate, checkpoints


def fit_arrays(
    images: np.ndarray,
    masks: np.ndarray,
    run: PathLike,
    settings: Settings,
    *,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    **kwargs: Any,
) -> keras.Model:
    """Trains as `fit` does, from uint8 arrays `[N, H, W, 1]`: no TensorFlow is needed on the JAX backend.

    Args:
        images: grey values from 0 to 255: whole radiographs of `settings.image_size`, or what `View.prepare` makes of
            them for a strip.
        masks: 0 and 1.
        run, settings: the run's folder and its `Settings`.
        validation: a pair of arrays as `View.fit` makes them, or None.
        **kwargs: as `fit`.
    """
    height, width = settings.image_size
    large_enough = images.ndim == 4 and images.shape[1] >= height and images.shape[2] >= width
    if images.shape != masks.shape or not large_enough or images.shape[3] != 1:
        problem = f"found images {images.shape} and masks {masks.shape}"
        raise InputError(f"{problem}, expected [N, {height}, {width}, 1] twice")
    if images.dtype != "uint8" or masks.max(initial=0) > 1:
        problem = f"found images of {images.dtype} and masks up to {masks.max()}"
        raise InputError(f"{problem}, expected uint8 grey values from 0 to 255, and masks of 0 and 1")
    options = {name: getattr(settings, name) for name in ("batch_size", "seed", "augmentation")}
    pairs = list(zip(images[..., 0], masks))

    def batches_from(epoch):
        return array_batches(pairs, settings.image_size, initial_epoch=epoch, **options)

    watched = validation and (validation[0].astype("float32"), validation[1], settings.batch_size)
    return fit(batches_from, watched, len(images) // settings.batch_size, run, settings, **kwargs)


def build(settings: Settings, init: PathLike | None = None) -> keras.Model:
    """Returns a U-Net for the settings, in their precision, with the weights of the `.keras` file `init` if given."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.precision)
    try:
        filters, channels = settings.filters or DEFAULT_FILTERS, settings.make_view().channels
        model = unet(settings.image_size, filters, settings.seed, channels)
    finally:
        keras.config.set_dtype_policy(policy)
    if init is not None:
        _take_weights(model, init, settings.view)
    return model


def compile_model(model: keras.Model, settings: Settings, devices: int = 1) -> None:
    """Compiles with AdamW, Dice plus cross-entropy; the learning rate is the peak's."""
    if devices > 1:
        share_statistics(model)
    optimizer = keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay, global_clipnorm=1.0)
    # Only kernels are to shrink; scales and offsets have no reason to be near zero.
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    # TensorFlow's XLA cannot reach another device's variables.
    has_xla = settings.jit_compile and (devices == 1 or keras.backend.backend() != TENSORFLOW)
    model.compile(optimizer, dice_cross_entropy, metrics=[IoU()], jit_compile=has_xla)
    # Variables made in the first step would have TensorFlow trace that step twice, and could not be restored before it.
    # The model's optimizer, not ours: in float16 Keras wraps it to scale the loss.
    model.optimizer.build(model.trainable_variables)


def describe(settings: Settings, model: keras.Model, devices: int = 1) -> str:
    """Returns one line that says what the run of a compiled model resolved to."""
    xla = "on" if model.jit_compile else "off"
    shared = f" x {devices}, batches of {settings.batch_size} in {devices} parts" if devices > 1 else ""
    return (
        f"training {model.name} ({model.count_params():,} parameters) on {settings.image_size[0]} x "
        f"{settings.image_size[1]}: backend {keras.backend.backend()}, device {device()}{shared}, "
        f"XLA {xla} (jit_compile={model.jit_compile}), precision {settings.precision}"
    )


def device() -> str:
    """Returns `gpu`, `tpu` or `cpu`: what Keras computes on."""
    return keras.distribution.list_devices()[0].split(":")[0]


def default_precision() -> str:
    """Returns `mixed_bfloat16` on a GPU or TPU, where it pays, else `float32`."""
    return "float32" if device() == "cpu" else "mixed_bfloat16"


class _EpochFacts(keras.callbacks.Callback):
    """Adds the learning rate at an epoch's end and its duration to its logs; prints a line on it where asked to.

    `epoch 3/120: loss 0.4123, val_loss 0.4391, val_iou 0.7112, 12.3 s`
    """

    def __init__(self, prints):
        super().__init__()
        self._prints = prints

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs |= {"learning_rate": rate_of(self.model), "seconds": time.monotonic() - self._start}
        names = [name for name in ("loss", "iou", "val_loss", "val_iou") if name in logs]
        figures = ", ".join(f"{name} {float(logs[name]):.4f}" for name in names)
        if self._prints:
            print(f"epoch {epoch + 1}/{self.params['epochs']}: {figures}, {logs['seconds']:.1f} s", flush=True)


def _claim_folder(run, settings, resume):
    """Raises InputError unless the folder is free for a new run, or holds what is to be resumed."""
    exists = (run / FILE_NAME).exists()
    if resume:
        if not exists:
            raise InputError(f"{run}: found no run to resume, expected {FILE_NAME} in it; train without --resume first")
        different = settings.differences(Settings.load(run))
        if different:
            raise InputError(f"{run}: cannot resume with settings other than the run's: {'; '.join(different)}")
    elif exists or completed_epochs(run):
        raise InputError(f"{run}: found a run already; go on with --resume, or name another folder")


def _take_weights(model, init, view):
    """Gives the model the weights of a `.keras` file; of a clavicle model, those of the network with the same view."""
    if not pathlib.Path(init).is_file():
        raise InputError(f"{init}: file not found, expected a .keras model to start from")
    try:
        source = keras.saving.load_model(init, compile=False)
        if view in NETWORK_OF_VIEW and source.name == CLAVICLE_MODEL:
            source = networks(source)[NETWORK_OF_VIEW[view]]
        model.set_weights(source.get_weights())
    except (ValueError, TypeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{init}: expected a .keras model of the same filters to start from ({reason})") from None
