"""Two devices of one machine, or of two, train as one does, and resumed as undisturbed; the first writes the run."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from refusals import refuses

from crass_tf.training import devices
from crass_tf.training.checkpoints import read_rows
from crass_tf.training.devices import check_batch
from crass_tf.training.fitting import fit_arrays
from crass_tf.training.settings import Settings

# One run on one device, one on two, and a copy of that, which loses its last epoch and goes on.
CODE = """
import os, pathlib, shutil, sys
import numpy as np
if os.environ["KERAS_BACKEND"] == "tensorflow":
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from crass_tf.training.fitting import fit_arrays
from crass_tf.training.settings import Settings

images, masks = np.load(sys.argv[1]).values()
small = dict(image_size=(32, 32), filters=(4, 8, 8), epochs=2, batch_size=4, learning_rate=1e-2)
settings = Settings(**small, jit_compile=False, augmentation=None)
folder = pathlib.Path(sys.argv[2])
for name, devices in (("one", 1), ("two", 2)):
    fit_arrays(images, masks, folder / name, settings, validation=(images[:5], masks[:5]), devices=devices)
shutil.copytree(folder / "two", folder / "resumed")
for path in [folder / "resumed/model.keras", *(folder / "resumed/checkpoints").glob("*_0002.weights.h5")]:
    path.unlink()
fit_arrays(images, masks, folder / "resumed", settings, validation=(images[:5], masks[:5]), devices=2, resume=True)
"""


def history(run):
    """Returns `{name: float64 [epochs]}` of what the device count should not change."""
    rows = read_rows(run)
    return {name: np.array([float(row[name]) for row in rows]) for name in ("loss", "iou", "val_loss", "val_iou")}


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_train_as_one_and_resumed_as_undisturbed(run_python, tmp_path, backend):
    """Eight squares, five of them watched, in batches of four."""
    if backend == "jax":
        pytest.importorskip("jax")
    masks = np.zeros((8, 32, 32, 1), np.uint8)
    for index in range(8):
        masks[index, 4 + 2 * index : 12 + 2 * index, 6:26] = 1
    np.savez(tmp_path / "data.npz", 40 + 160 * masks, masks)
    variables = {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    two_devices = "--xla_force_host_platform_device_count=2"
    printed = run_python(CODE, tmp_path / "data.npz", tmp_path, **variables, XLA_FLAGS=two_devices)
    assert "device cpu x 2, batches of 4 in 2 parts" in printed and "resuming after epoch 1 of 2" in printed
    assert "note: 1 of 5 radiographs are not watched" in printed
    one, two, resumed = (history(tmp_path / name) for name in ("one", "two", "resumed"))
    # Sums are added in another order: the tolerance that docs/scale.md states.
    np.testing.assert_allclose(two["loss"], one["loss"], rtol=1e-3)
    np.testing.assert_allclose(two["iou"], one["iou"], atol=0.01)
    assert len(resumed["loss"]) == 2
    for name, values in two.items():
        np.testing.assert_allclose(resumed[name], values, rtol=1e-5, err_msg=name)


def test_too_few_devices_and_a_batch_that_cannot_be_shared(tmp_path):
    settings = Settings(image_size=(32, 32), batch_size=64)
    arrays = np.zeros((64, 32, 32, 1), np.uint8)
    refuses("batch_size: found 5, expected a multiple of 2", check_batch, 5, 2)
    expected = "devices: found 1 of kind cpu, expected 64 or more"
    refuses(expected, fit_arrays, arrays, arrays, tmp_path / "run", settings, devices=64)
    assert not (tmp_path / "run").exists()


# Two processes on the loopback; only the first one writes the run's folder.
ON_MACHINES = """
import pathlib, sys
from crass_tf.commands.train import train

run, data_dir, count = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
small = dict(config="64x64", filters=(4, 4, 4), epochs=2, batch_size=2, augmentation=None)
train(run, data_dir, **small, devices=count, resume=run.exists())
"""


def start(run, data_dir, count, index, port):
    variables = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    if count > 1:
        variables |= dict(zip(devices.VARIABLES, (f"127.0.0.1:{port}", str(count), str(index))))
    command = [sys.executable, "-c", ON_MACHINES, *map(str, (run, data_dir, count))]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def train_together(run, data_dir, count):
    """Returns what each process printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [start(run, data_dir, count, index, port) for index in range(count)]
    results = [process.communicate() for process in started]
    for process, (_, errors) in zip(started, results):
        assert process.returncode == 0, errors[-3000:]
    return [printed for printed, _ in results]


def test_two_processes_train_and_resume_as_one(prepared, tmp_path):
    pytest.importorskip("jax")
    one, two = tmp_path / "one", tmp_path / "two"
    assert "backend jax" in train_together(one, prepared, 1)[0].splitlines()[0]
    # TensorFlow reads the data and writes the pictures, JAX computes.
    assert any(b"overlay" in path.read_bytes() for path in (one / "logs/validation").glob("events*"))
    printed = train_together(two, prepared, 2)
    assert "epoch 2/2" in printed[0] and "epoch" not in printed[1]
    (two / "model.keras").unlink()
    for path in two.glob("checkpoints/*_0002.weights.h5"):
        path.unlink()
    assert "resuming after epoch 1 of 2" in train_together(two, prepared, 2)[0]
    assert (two / "model.keras").is_file()
    for name, values in history(one).items():
        np.testing.assert_allclose(history(two)[name], values, rtol=1e-4, err_msg=name)


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setenv(devices.ADDRESSES, "127.0.0.1:1")
    refuses("KERAS_DISTRIBUTION_NUM_PROCESSES: found nothing in the environment", devices.join_processes)
    for name in devices.VARIABLES[1:]:
        monkeypatch.setenv(name, "1")
    refuses("found the backend tensorflow, expected jax", devices.join_processes)
