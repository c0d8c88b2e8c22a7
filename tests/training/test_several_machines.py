"""Two processes on the loopback train as one does; only the first one writes the run's folder."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from refusals import refuses

from crass_tf.training import devices
from crass_tf.training.checkpoints import read_rows

CODE = """
import pathlib, sys
from crass_tf.commands.train import train

run, data_dir, count = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
train(
    run, data_dir, config="64x64", filters=(4, 4, 4), epochs=2, batch_size=2, augmentation=None, devices=count,
    resume=run.exists(),
)
"""


def start(run, data_dir, count, index, port):
    variables = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    if count > 1:
        variables |= dict(zip(devices.VARIABLES, (f"127.0.0.1:{port}", str(count), str(index))))
    command = [sys.executable, "-c", CODE, *map(str, (run, data_dir, count))]
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
    for name in ("loss", "iou", "val_loss", "val_iou"):
        values = [[float(row[name]) for row in read_rows(run)] for run in (one, two)]
        np.testing.assert_allclose(values[1], values[0], rtol=1e-4, err_msg=name)


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setenv(devices.ADDRESSES, "127.0.0.1:1")
    refuses("KERAS_DISTRIBUTION_NUM_PROCESSES: found nothing in the environment", devices.join_processes)
    for name in devices.VARIABLES[1:]:
        monkeypatch.setenv(name, "1")
    refuses("found the backend tensorflow, expected jax", devices.join_processes)
