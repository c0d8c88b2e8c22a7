"""Where TensorFlow is not installed, everything but `tf.data` runs on JAX."""

import json

import keras
import numpy as np
import pytest
from folders import table

from crass_tf.model import IoU, dice_cross_entropy

CODE = """
import sys

class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tensorflow_datasets"):
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, NoTensorFlow())

import json
import keras
import numpy as np
from crass_tf.data import Augmentation
from crass_tf.model import IoU, dice_cross_entropy
from crass_tf.training.fitting import fit_arrays
from crass_tf.training.settings import Settings

images, masks, logits = (np.load("arrays.npz")[name] for name in ("images", "masks", "logits"))
settings = Settings(image_size=(64, 64), filters=(4, 8, 8), epochs=1, batch_size=2, augmentation=Augmentation())
model = fit_arrays(images, masks, "run", settings, validation=(images[:2], masks[:2]), verbose=0)
metric = IoU()
metric.update_state(masks, logits)
print(json.dumps({
    "backend": keras.backend.backend(),
    "loss": keras.ops.convert_to_numpy(dice_cross_entropy(masks, logits)).tolist(),
    "iou": float(metric.result()),
    "logits": model.predict_on_batch(images[:1].astype("float32")).ravel().tolist(),
    "tensorflow": "tensorflow" in sys.modules,
}))
"""


def test_trains_without_tensorflow_and_agrees_with_this_backend(tmp_path, run_python):
    pytest.importorskip("jax")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 64, 64, 1), dtype=np.uint8)
    masks = np.zeros((4, 64, 64, 1), np.uint8)
    masks[:, 20:30, 8:56] = 1
    arrays = {"images": images, "masks": masks, "logits": rng.normal(0, 2, masks.shape).astype(np.float32)}
    np.savez(tmp_path / "arrays.npz", **arrays)
    printed = json.loads(run_python(CODE, cwd=tmp_path, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu").splitlines()[-1])
    assert printed["backend"] == "jax" and not printed["tensorflow"]
    (row,) = table(tmp_path / "run/history.csv")
    assert row["epoch"] == "1"
    assert all(np.isfinite(float(row[name])) for name in ("loss", "iou", "val_loss", "val_iou"))

    model = keras.saving.load_model(tmp_path / "run/model.keras")
    logits = model.predict_on_batch(arrays["images"][:1].astype("float32"))
    np.testing.assert_allclose(logits.ravel(), printed["logits"], atol=1e-3)
    loss = keras.ops.convert_to_numpy(dice_cross_entropy(arrays["masks"], arrays["logits"]))
    np.testing.assert_allclose(printed["loss"], loss, rtol=1e-5)
    metric = IoU()
    metric.update_state(arrays["masks"], arrays["logits"])
    assert printed["iou"] == pytest.approx(float(metric.result()), rel=1e-6)
