import csv
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from crass_tf.data.augmentation import Augmentation
from crass_tf.files import InputError
from crass_tf.training.fitting import build, compile_model, fit_arrays
from crass_tf.training.settings import Settings

# XLA takes longer to compile than such a net takes to train.
SMALL = dict(
    image_size=(32, 32), filters=(4, 8, 8, 8, 8), epochs=2, batch_size=2, learning_rate=1e-2, jit_compile=False
)


def bars(count=4, size=32):
    """Bright bars on a dark ground, and their masks: what even a tiny net learns."""
    masks = np.zeros((count, size, size, 1), np.uint8)
    for index in range(count):
        masks[index, 6 + 3 * index : 12 + 3 * index, 4:28] = 1
    return 40 + 160 * masks, masks


def history(run):
    with (run / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    settings = Settings(**SMALL | dict(epochs=30), augmentation=None)
    fit_arrays(*bars(), folder, settings, validation=bars(), verbose=0)
    return folder


def test_learns_bars(run):
    assert float(history(run)[-1]["val_iou"]) > 0.9


def test_history_has_a_row_for_each_epoch(run):
    rows = history(run)
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(1, 31)]
    assert {"loss", "iou", "val_loss", "val_iou", "learning_rate", "seconds"} <= set(rows[0])
    # Cosine decay ends at 0.
    assert float(rows[-1]["learning_rate"]) == pytest.approx(0, abs=1e-6)


def test_saved_model_is_plain_and_is_what_was_validated(run):
    images, masks = bars()
    model = keras.saving.load_model(run / "model.keras")
    assert not model.compiled and model.dtype_policy.name == "float32"
    predicted = model.predict(images.astype("float32"), verbose=0) > 0
    ious = [(p & t).sum() / (p | t).sum() for p, t in zip(predicted, masks > 0)]
    # The history keeps six digits.
    assert np.mean(ious) == pytest.approx(float(history(run)[-1]["val_iou"]), abs=1e-4)


def test_keeps_two_checkpoints(run):
    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert names == [f"{kind}_{epoch:04d}.weights.h5" for kind in ("average", "epoch") for epoch in (29, 30)]


def test_second_run_in_the_same_folder_is_refused(run):
    with pytest.raises(InputError, match="--resume"):
        fit_arrays(*bars(), run, Settings(**SMALL), verbose=0)


def test_resuming_with_other_settings_is_refused(run):
    with pytest.raises(InputError, match="learning_rate: 0.5, not 0.01"):
        settings = Settings(**SMALL | dict(epochs=30, learning_rate=0.5), augmentation=None)
        fit_arrays(*bars(), run, settings, resume=True, verbose=0)


def test_resuming_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="found no run to resume"):
        fit_arrays(*bars(), tmp_path / "none", Settings(**SMALL), resume=True, verbose=0)


def test_arrays_of_another_size_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"expected \[N, 64, 64, 1\]"):
        fit_arrays(*bars(), tmp_path / "run", Settings(**SMALL | dict(image_size=(64, 64))), verbose=0)


def test_more_in_a_batch_than_there_are_is_refused(tmp_path):
    with pytest.raises(InputError, match="batch_size: found 8"):
        fit_arrays(*bars(), tmp_path / "run", Settings(**SMALL | dict(batch_size=8)), verbose=0)


def test_init_starts_from_the_given_weights(run):
    initial = keras.saving.load_model(run / "model.keras").get_weights()
    for found, expected in zip(build(Settings(**SMALL), run / "model.keras").get_weights(), initial):
        np.testing.assert_array_equal(found, expected)


def test_init_of_other_filters_is_refused(run):
    with pytest.raises(InputError, match="same filters"):
        build(Settings(**SMALL | dict(filters=(4, 8, 8, 8, 12))), run / "model.keras")


def test_settings_survive_saving(tmp_path):
    settings = Settings(filters=(4, 8, 8, 8, 8), augmentation=Augmentation(flip=0.25), seed=3)
    settings.save(tmp_path)
    assert Settings.load(tmp_path) == settings
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(InputError, match="settings.json"):
        Settings.load(tmp_path)


def test_xla_is_on_by_default_and_said(tmp_path, capsys):
    settings = Settings(**SMALL | dict(epochs=1, jit_compile=Settings().jit_compile))
    model = build(settings)
    compile_model(model, settings, steps_per_epoch=2)
    assert model.jit_compile is True
    fit_arrays(*bars(), tmp_path / "run", settings, verbose=2)
    assert "XLA on (jit_compile=True), precision float32" in capsys.readouterr().out


def test_resumed_run_in_float16_ends_with_the_same_float32_weights(tmp_path):
    settings = Settings(**SMALL | dict(epochs=3, precision="mixed_float16"))
    undisturbed = fit_arrays(*bars(), tmp_path, settings, verbose=0).get_weights()
    # What a kill in the third epoch would have left.
    for path in ("checkpoints/epoch_0003.weights.h5", "checkpoints/average_0003.weights.h5", "model.keras"):
        (tmp_path / path).unlink()
    resumed = fit_arrays(*bars(), tmp_path, settings, resume=True, verbose=0)
    assert {layer.dtype_policy.name for layer in resumed.layers} == {"float32"}
    for found, expected in zip(resumed.get_weights(), undisturbed):
        np.testing.assert_array_equal(found, expected)


TRAIN = """
import pathlib, sys
import numpy as np
from crass_tf.training.fitting import fit_arrays
from crass_tf.training.settings import Settings

images, masks = np.load(sys.argv[1]).values()
settings = Settings(image_size=(32, 32), filters=(4, 8, 8, 8, 8), epochs=40, batch_size=2)
fit_arrays(images, masks, sys.argv[2], settings, validation=(images, masks), resume="--resume" in sys.argv, verbose=2)
"""


def train(tmp_path, run, *options, **kwargs):
    np.savez(tmp_path / "data.npz", *bars())
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", TRAIN, str(tmp_path / "data.npz"), str(run), *options]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, **kwargs)


def test_killed_and_resumed_run_ends_with_the_same_weights(tmp_path):
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    assert train(tmp_path, undisturbed).wait(timeout=300) == 0
    process = train(tmp_path, disturbed)
    checkpoint = disturbed / "checkpoints" / "epoch_0003.weights.h5"
    deadline = time.monotonic() + 200
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert not (disturbed / "model.keras").exists()
    resumed = train(tmp_path, disturbed, "--resume")
    output, _ = resumed.communicate(timeout=300)
    assert resumed.returncode == 0 and "resuming after epoch" in output
    weights = [keras.saving.load_model(folder / "model.keras").get_weights() for folder in (undisturbed, disturbed)]
    for found, expected in zip(*weights):
        np.testing.assert_array_equal(found, expected)
    rows = [[{k: v for k, v in row.items() if k != "seconds"} for row in history(r)] for r in (undisturbed, disturbed)]
    assert rows[0] == rows[1]
