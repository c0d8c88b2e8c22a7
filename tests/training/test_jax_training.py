"""`crass-tf train` on JAX: TensorFlow reads the data and writes the pictures, JAX computes."""

import pytest

from crass_tf.training.checkpoints import read_rows

CODE = """
import sys
from crass_tf.commands import train as running

small = dict(config="64x64", filters=(4, 4, 4), epochs=2, batch_size=3, augmentation=None)
running.train(sys.argv[1], sys.argv[2], **small)
(running.pathlib.Path(sys.argv[1]) / "model.keras").unlink()
for path in running.pathlib.Path(sys.argv[1], "checkpoints").glob("*_0002.weights.h5"):
    path.unlink()
running.train(sys.argv[1], sys.argv[2], **small, resume=True)
"""


def test_trains_resumes_and_writes_pictures(prepared, tmp_path, run_python):
    pytest.importorskip("jax")
    run = tmp_path / "run"
    lines = run_python(CODE, run, prepared, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu").splitlines()
    assert "backend jax" in lines[0] and "resuming after epoch 1 of 2" in lines
    # The second epoch, once more: the same figures.
    epochs = [line.rsplit(",", 1)[0] for line in lines if line.startswith("epoch 2/2")]
    assert len(epochs) == 2 and epochs[0] == epochs[1]
    assert [row["epoch"] for row in read_rows(run)] == ["1", "2"]
    events = list((run / "logs/validation").glob("events*"))
    assert any(b"overlay" in path.read_bytes() for path in events)
