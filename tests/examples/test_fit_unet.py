"""The example that users copy runs, learns, and leaves a file that everything of ours takes."""

import importlib
import pathlib

import keras
import numpy as np

import crass_tf
from crass_tf.data import examples

SCRIPT = pathlib.Path(__file__).parents[2] / "examples/fit_unet.py"


def test_fits_in_forty_lines_learns_and_writes_a_model(prepared, tmp_path, monkeypatch):
    assert len(SCRIPT.read_text().splitlines()) <= 40
    monkeypatch.syspath_prepend(SCRIPT.parent)
    keras.utils.set_random_seed(0)
    path = tmp_path / "unet.keras"
    arguments = ["--data-dir", str(prepared), "--config", "64x64", "--epochs", "80", "--out", str(path)]
    history = importlib.import_module("fit_unet").main(arguments)
    # Six phantoms, four a batch: eighty steps.
    assert len(history["loss"]) == len(history["val_iou"]) == 80
    assert np.isfinite([history[name] for name in ("loss", "iou", "val_loss", "val_iou")]).all()
    # From a loss of 0.8 and nothing found.
    assert np.mean(history["loss"][-5:]) < 0.75 * np.mean(history["loss"][:5])
    assert np.mean(history["iou"][:5]) < 0.1 and np.mean(history["iou"][-5:]) > 0.25

    model = keras.saving.load_model(path)
    assert model.input_shape == model.output_shape == (None, 64, 64, 1)
    example = next(iter(examples(split="validation", data_dir=prepared)))
    logits = model.predict_on_batch(example.image[None, :, :, None].astype(np.float32))
    segmentation = crass_tf.Segmenter.load(path).segment(example.image)
    np.testing.assert_array_equal(segmentation.mask, logits[0, :, :, 0] > 0)
