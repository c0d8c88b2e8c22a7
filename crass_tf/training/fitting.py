"""Fits the U-Net: XLA, precision, schedule, weight averaging, checkpoints, resuming. Runs on any Keras backend."""

import dataclasses
import pathlib
import time

import keras

from crass_tf.data.pipeline import array_batches
from crass_tf.data.views import STRIP
from crass_tf.files import InputError, atomic_file
from crass_tf.model import DEFAULT_FILTERS, IoU, dice_cross_entropy, parts, unet
from crass_tf.training.averaging import WeightAverage
from crass_tf.training.checkpoints import Checkpoints, completed_epochs
from crass_tf.training.settings import FILE_NAME, MODEL_NAME, Settings

LOGS = "logs"


def fit(batches_from, validation, steps_per_epoch, run, settings, *, init=None, resume=False, callbacks=(), verbose=1):
    """Trains a U-Net and writes `RUN/model.keras`, `history.csv`, `settings.json` and `checkpoints/`.

    Args:
        batches_from: function of the initial epoch that returns what `keras.Model.fit` takes: a `tf.data.Dataset` of
            all epochs' batches, or a `keras.utils.PyDataset`. Images float32 `[B, H, W, 1]` from 0 to 255, masks 0/1.
        validation: batches of the same form, or (images, masks, batch size), or None.
        steps_per_epoch: batches in each epoch.
        run: the run's folder.
        settings: `Settings`.
        init: path of a `.keras` file to start from, with the same filters.
        resume: go on from the last completed epoch.
        callbacks: functions that return a further Keras callback, given the model with the averaged weights.
        verbose: as in `keras.Model.fit`.

    Returns:
        The float32 `keras.Model` with the averaged weights.

    Raises:
        InputError: where the folder holds another run, or there is nothing to resume, or init does not fit.
    """
    run = pathlib.Path(run)
    _claim(run, settings, resume)
    if steps_per_epoch < 1:
        raise InputError(f"batch_size: found {settings.batch_size}, more than there are training radiographs")
    model, averaged = build(settings, init), build(dataclasses.replace(settings, precision="float32"), init)
    compile_model(model, settings, steps_per_epoch)
    # The same layers once more: a compiled model could not be loaded without our loss, and `averaged` gets saved.
    validated = keras.Model(averaged.inputs, averaged.outputs)
    validated.compile(loss=dice_cross_entropy, metrics=[IoU()], jit_compile=settings.jit_compile)
    checkpoints = Checkpoints(run, averaged)
    first = checkpoints.restore(model) if resume else 0
    settings.save(run)
    if verbose:
        print(describe(settings, model), flush=True)
        if first:
            print(f"resuming after epoch {first} of {settings.epochs}", flush=True)
    if first < settings.epochs:
        model.fit(
            batches_from(first),
            epochs=settings.epochs,
            initial_epoch=first,
            steps_per_epoch=steps_per_epoch,
            shuffle=False,
            callbacks=[
                WeightAverage(validated, settings.ema_momentum, validation),
                EpochFacts(),
                *(make(averaged) for make in callbacks),
                checkpoints,
            ],
            verbose=verbose,
        )
    with atomic_file(run / MODEL_NAME) as temporary:
        averaged.save(temporary)
    return averaged


def fit_arrays(images, masks, run, settings, *, validation=None, **kwargs):
    """Trains as `fit` does, from uint8 arrays `[N, H, W, 1]`: no TensorFlow is needed on the JAX backend.

    Args:
        images: grey values from 0 to 255: whole radiographs of `settings.image_size`, or what `View.prepare` makes of
            them for a strip.
        masks: 0 and 1.
        run: the run's folder.
        settings: `Settings`.
        validation: a pair of arrays as `View.fit` makes them, or None.
        **kwargs: as `fit`.
    """
    large_enough = all(side >= wanted for side, wanted in zip(images.shape[1:], settings.image_size))
    if images.shape != masks.shape or images.ndim != 4 or images.shape[3] != 1 or not large_enough:
        raise InputError(
            f"found images {images.shape} and masks {masks.shape}, expected [N, {settings.image_size[0]}, "
            f"{settings.image_size[1]}, 1] twice"
        )

    def batches_from(epoch):
        return array_batches(
            images,
            masks,
            batch_size=settings.batch_size,
            seed=settings.seed,
            augmentation=settings.augmentation,
            initial_epoch=epoch,
            image_size=settings.image_size,
        )

    if validation is not None:
        validation = (validation[0].astype("float32"), validation[1], settings.batch_size)
    return fit(batches_from, validation, len(images) // settings.batch_size, run, settings, **kwargs)


def build(settings, init=None):
    """Returns a U-Net for the settings, in their precision, with the weights of the `.keras` file `init` if given."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.precision)
    try:
        model = unet(settings.image_size, settings.filters or DEFAULT_FILTERS, settings.seed, settings.view == STRIP)
    finally:
        keras.config.set_dtype_policy(policy)
    if init is not None:
        _take_weights(model, init, settings.view)
    return model


def compile_model(model, settings, steps_per_epoch):
    """Compiles with AdamW, linear warm-up, cosine decay, Dice plus cross-entropy."""
    steps = settings.epochs * steps_per_epoch
    warmup_steps = max(1, round(settings.warmup * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup_steps), warmup_target=settings.learning_rate, warmup_steps=warmup_steps
    )
    optimizer = keras.optimizers.AdamW(
        schedule,
        weight_decay=settings.weight_decay,
        global_clipnorm=1.0,
    )
    # Only kernels are to shrink; scales and offsets have no reason to be near zero.
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    model.compile(optimizer, dice_cross_entropy, metrics=[IoU()], jit_compile=settings.jit_compile)
    # Variables made in the first step would have TensorFlow trace that step twice, and could not be restored before it.
    # The model's optimizer, not ours: in float16 Keras wraps it to scale the loss.
    model.optimizer.build(model.trainable_variables)


def describe(settings, model):
    """Returns one line that says what the run resolved to."""
    xla = "on" if settings.jit_compile else "off"
    return (
        f"training {model.name} ({model.count_params():,} parameters) on {settings.image_size[0]} x "
        f"{settings.image_size[1]}: backend {keras.backend.backend()}, device {device()}, "
        f"XLA {xla} (jit_compile={settings.jit_compile}), precision {settings.precision}"
    )


def device():
    """Returns `gpu`, `tpu` or `cpu`: what Keras computes on."""
    return keras.distribution.list_devices()[0].split(":")[0]


def default_precision():
    """Returns `mixed_bfloat16` on a GPU or TPU, where it pays, else `float32`."""
    return "float32" if device() == "cpu" else "mixed_bfloat16"


class EpochFacts(keras.callbacks.Callback):
    """Adds the learning rate at an epoch's end and the epoch's duration to its logs."""

    def on_epoch_begin(self, epoch, logs=None):
        """Notes the time."""
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Adds `learning_rate` and `seconds`."""
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        logs["seconds"] = time.monotonic() - self._start


def _claim(run, settings, resume):
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
    """Gives the model the weights of a `.keras` file; of a cascade, those of the network with the same view."""
    if not pathlib.Path(init).is_file():
        raise InputError(f"{init}: file not found, expected a .keras model to start from")
    try:
        networks = parts(keras.saving.load_model(init, compile=False))
        model.set_weights(networks[-1 if view == STRIP else 0].get_weights())
    except (ValueError, TypeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{init}: expected a .keras model of the same filters to start from ({reason})") from None
