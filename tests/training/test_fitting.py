import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from refusals import refuses

from crass_tf.common.files import InputError
from crass_tf.data.augmentation import Augmentation
from crass_tf.model import DiceCrossEntropy
from crass_tf.training.checkpoints import read_rows
from crass_tf.training.fitting import build, fit_arrays
from crass_tf.training.settings import Settings

# XLA takes longer to compile than such a net takes to train, and levels take longer to build.
SMALL = dict(image_size=(32, 32), filters=(4, 8, 8), epochs=2, batch_size=2, learning_rate=1e-2, jit_compile=False)


def bars(count=4, size=32):
    """Bright bars on a dark ground, and their masks: what even a tiny net learns."""
    masks = np.zeros((count, size, size, 1), np.uint8)
    for index in range(count):
        masks[index, 6 + 3 * index : 12 + 3 * index, 4:28] = 1
    return 40 + 160 * masks, masks


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    settings = Settings(**SMALL | dict(epochs=30), augmentation=None)
    fit_arrays(*bars(), folder, settings, validation=bars(), verbose=0)
    return folder


def test_learns_bars_and_leaves_a_row_for_each_epoch_and_two_checkpoints(run):
    rows = read_rows(run)
    assert float(rows[-1]["val_iou"]) > 0.9
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(1, 31)]
    assert {"loss", "iou", "val_loss", "val_iou", "learning_rate", "seconds"} <= set(rows[0])
    # Cosine decay ends at 0.
    assert float(rows[-1]["learning_rate"]) == pytest.approx(0, abs=1e-6)
    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert names == [f"{kind}_{epoch:04d}.weights.h5" for kind in ("average", "epoch") for epoch in (29, 30)]


def test_a_run_is_neither_overwritten_nor_resumed_otherwise_and_others_start_from_it(run, assert_same_weights):
    refuses("--resume", fit_arrays, *bars(), run, Settings(**SMALL), verbose=0)
    settings = Settings(**SMALL | dict(epochs=30, learning_rate=0.5), augmentation=None)
    refuses("learning_rate: 0.5, not 0.01", fit_arrays, *bars(), run, settings, resume=True, verbose=0)
    assert_same_weights(build(Settings(**SMALL), run / "model.keras"), run / "model.keras")
    refuses("same filters", build, Settings(**SMALL | dict(filters=(4, 8, 12))), run / "model.keras")


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"resume": True}, "found no run to resume"),
        ({"image_size": (64, 64)}, {}, r"expected \[N, 64, 64, 1\]"),
        ({"batch_size": 8}, {}, "batch_size: found 8"),
        ({}, {"masks": 255 * bars()[1]}, "masks up to 255, expected .* masks of 0 and 1"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path, changes, options, message):
    given = dict(zip(("images", "masks"), bars())) | options
    refuses(message, fit_arrays, **given, run=tmp_path / "run", settings=Settings(**SMALL | changes), verbose=0)
    assert not (tmp_path / "run").exists()


def test_settings_survive_saving_and_wrong_ones_are_refused(tmp_path):
    settings = Settings(filters=(4, 8, 8), augmentation=Augmentation(flip=0.25), seed=3)
    settings.save(tmp_path)
    assert Settings.load(tmp_path) == settings
    (tmp_path / "settings.json").write_text("{}")
    refuses("settings.json", Settings.load, tmp_path)


def test_xla_is_on_by_default_and_said(tmp_path, capsys):
    settings = Settings(**SMALL | dict(epochs=1, jit_compile=Settings().jit_compile))
    fit_arrays(*bars(), tmp_path / "run", settings, verbose=2)
    assert "XLA on (jit_compile=True), precision float32" in capsys.readouterr().out


def test_resumed_run_in_float16_ends_with_the_same_float32_weights(tmp_path, assert_same_weights):
    settings = Settings(**SMALL | dict(epochs=3, precision="mixed_float16"))
    undisturbed = fit_arrays(*bars(), tmp_path, settings, verbose=0)
    # What a kill in the third epoch would have left.
    for path in ("checkpoints/epoch_0003.weights.h5", "checkpoints/average_0003.weights.h5", "model.keras"):
        (tmp_path / path).unlink()
    resumed = fit_arrays(*bars(), tmp_path, settings, resume=True, verbose=0)
    assert {layer.dtype_policy.name for layer in resumed.layers} == {"float32"}
    assert_same_weights(resumed, undisturbed)


KILLED = """
import os, signal
import keras, numpy as np
from crass_tf.training.fitting import fit_arrays
from crass_tf.training.settings import Settings

class Kill(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations >= 2 * 4 + 1:
            os.kill(os.getpid(), signal.SIGKILL)

images, masks = np.load("data.npz").values()
fit_arrays(images, masks, "disturbed", Settings.load("."), validation=(images, masks), callbacks=Kill())
"""


def test_killed_and_resumed_run_ends_with_the_same_weights(tmp_path, capsys, assert_same_weights):
    """Killed in the middle of the fifth epoch of two steps."""
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    settings = Settings(**SMALL | dict(epochs=6))
    settings.save(tmp_path)
    np.savez(tmp_path / "data.npz", *bars())
    killed = subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (disturbed / "model.keras").exists()
    fit_arrays(*bars(), undisturbed, settings, validation=bars(), verbose=0)
    fit_arrays(*bars(), disturbed, settings, validation=bars(), resume=True)
    assert "resuming after epoch 4" in capsys.readouterr().out
    assert_same_weights(undisturbed / "model.keras", disturbed / "model.keras")
    rows, others = ([row | {"seconds": ""} for row in read_rows(folder)] for folder in (undisturbed, disturbed))
    assert rows == others


class Watch(keras.callbacks.Callback):
    """Keeps the model's weights at each epoch's end, and what `evaluate` says of them then."""

    def __init__(self):
        super().__init__()
        self.weights, self.val_loss = [], []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.get_weights())
        self.val_loss.append(logs["val_loss"])


def test_what_is_validated_restored_and_saved_is_one_model(tmp_path, assert_same_weights):
    # The highest loss counts as the best one, so that the best epoch is not the last.
    settings, worst = Settings(**SMALL | dict(epochs=6)), dict(monitor="val_loss", mode="max")
    watch = Watch()
    callbacks = [
        watch,
        keras.callbacks.EarlyStopping(patience=9, restore_best_weights=True, **worst),
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True, **worst),
    ]
    model = fit_arrays(*bars(), tmp_path / "run", settings, validation=bars(), callbacks=callbacks, verbose=0)
    best = int(np.argmax(watch.val_loss))
    assert best < 5
    for path in (tmp_path / "run/model.keras", tmp_path / "best.keras"):
        assert_same_weights(path, watch.weights[best])
        logits = keras.saving.load_model(path).predict(bars()[0].astype("float32"), verbose=0)
        assert float(DiceCrossEntropy()(bars()[1], logits)) == pytest.approx(watch.val_loss[best], rel=1e-4)
    # Those of `ModelCheckpoint` are the run's own as Keras saves it: compiled.
    plain = keras.saving.load_model(tmp_path / "run/model.keras")
    assert not model.compiled and not plain.compiled and plain.dtype_policy.name == "float32"
    # Resuming what is finished leaves what was restored.
    again = fit_arrays(*bars(), tmp_path / "run", settings, resume=True, verbose=0)
    assert_same_weights(again, watch.weights[best])


def rates(tmp_path, callback, epochs=4):
    settings = Settings(**SMALL | dict(epochs=epochs))
    # One callback need not be in a list, as in Keras.
    fit_arrays(*bars(), tmp_path, settings, validation=bars(), callbacks=callback, verbose=0)
    return [float(row["learning_rate"]) for row in read_rows(tmp_path)]


def test_callbacks_that_set_the_learning_rate_or_stop(tmp_path):
    plateau = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, min_delta=100)
    # Nothing improves after the first epoch: halved after the second, and the third; the decay is no longer ours.
    _, second, third, fourth = rates(tmp_path / "plateau", plateau)
    assert third == pytest.approx(second / 2, rel=1e-4) and fourth == pytest.approx(third / 2, rel=1e-4)
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    assert rates(tmp_path / "scheduler", scheduler, 2) == [0.1, 0.05]
    # The first epoch is the best; the second is no improvement by 100.
    assert len(rates(tmp_path / "stop", keras.callbacks.EarlyStopping(patience=1, min_delta=100), 9)) == 2


def test_backup_and_restore_goes_on_in_the_schedule_where_it_was(tmp_path):
    class Fail(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    backup, settings = tmp_path / "backup", Settings(**SMALL | dict(epochs=4))
    with pytest.raises(KeyboardInterrupt):
        callbacks = [keras.callbacks.BackupAndRestore(backup, delete_checkpoint=False), Fail()]
        fit_arrays(*bars(), tmp_path / "one", settings, callbacks=callbacks, verbose=0)
    whole = rates(tmp_path / "whole", None)
    # Eight steps: one of warm-up to 0.01, then a half cosine over seven.
    expected = 0.01 * (1 + np.cos(np.pi * np.array([1, 3, 5, 7]) / 7)) / 2
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-8)
    assert rates(tmp_path / "two", keras.callbacks.BackupAndRestore(backup)) == whole[3:]


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    class Spoil(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.set_weights([np.nan * weight for weight in self.model.get_weights()])

    with pytest.raises(InputError, match="weights that are no numbers after epoch 1; .*lower learning_rate"):
        fit_arrays(*bars(), tmp_path, Settings(**SMALL), callbacks=[Spoil()], verbose=0)
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


def test_weights_set_by_a_callback_are_trained_on_and_averaged(tmp_path):
    class Reset(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.set_weights([0 * weight for weight in self.model.get_weights()])

    model = fit_arrays(*bars(), tmp_path, Settings(**SMALL | dict(learning_rate=1e-9)), callbacks=[Reset()], verbose=0)
    assert not any(weight.any() for weight in model.get_weights())


def test_output_to_a_file_has_one_line_an_epoch(tmp_path, capsys):
    fit_arrays(*bars(), tmp_path, Settings(**SMALL), validation=bars())
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("training clavicle_unet") and len(lines) == 2
    row = read_rows(tmp_path)[1]
    for name in ("loss", "val_loss", "val_iou"):
        assert f" {name} {float(row[name]):.4f}"[:-1] in lines[1]
    assert lines[1].startswith("epoch 2/2: loss") and lines[1].endswith(" s") and "\b" not in lines[1]
