"""The loss of pictures so small that it can be worked out by hand."""

import math

import keras
import numpy as np
import pytest

from crass_tf.model import dice_cross_entropy


def loss(y_true, logits, dtype="uint8"):
    """Losses of pictures given as flat lists of pixels, one list a picture."""
    y_true, logits = (np.array(part)[:, :, None, None] for part in (y_true, logits))
    return keras.ops.convert_to_numpy(dice_cross_entropy(y_true.astype(dtype), logits.astype("float32")))


def test_perfect_costs_nothing():
    # p = y: (2 * 1 + 1) / (1 + 1 + 1) = 1, and no cross-entropy.
    np.testing.assert_allclose(loss([[0, 1, 0, 0]], [[-50, 50, -50, -50]]), [0], atol=1e-6)


def test_empty_prediction_of_empty_mask_costs_nothing():
    # (0 + 1) / (0 + 0 + 1) = 1.
    np.testing.assert_allclose(loss([[0, 0, 0, 0]], [[-50, -50, -50, -50]]), [0], atol=1e-6)


def test_undecided():
    # p = 1/2 everywhere, two of four pixels true: (2 * 1 + 1) / (2 + 2 + 1) = 0.6, cross-entropy ln 2 a pixel.
    np.testing.assert_allclose(loss([[1, 1, 0, 0]], [[0, 0, 0, 0]]), [0.5 * 0.4 + 5 * math.log(2)], rtol=1e-6)


def test_all_wrong():
    # Everything marked, nothing true: 1 / (4 + 0 + 1) = 0.2; cross-entropy 50 a pixel.
    np.testing.assert_allclose(loss([[0, 0, 0, 0]], [[50, 50, 50, 50]]), [0.5 * 0.8 + 5 * 50], rtol=1e-6)
    # Nothing marked, all true: 1 / (0 + 4 + 1), the same.
    np.testing.assert_allclose(loss([[1, 1, 1, 1]], [[-50, -50, -50, -50]]), [0.5 * 0.8 + 5 * 50], rtol=1e-6)


def test_half_of_it_found():
    # One of two pixels: (2 * 1 + 1) / (1 + 2 + 1) = 0.75; one of four pixels costs 20.
    np.testing.assert_allclose(loss([[1, 1, 0, 0]], [[20, -20, -20, -20]]), [0.5 * 0.25 + 5 * 20 / 4], rtol=1e-6)


def test_each_picture_by_itself():
    batch = loss([[1, 1, 0, 0], [0, 0, 0, 0]], [[20, -20, -20, -20], [-50, -50, -50, -50]])
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch, [25.125, 0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float32"])
def test_any_dtype_of_masks(dtype):
    np.testing.assert_allclose(loss([[1, 1, 0, 0]], [[20, -20, -20, -20]], dtype), [25.125], rtol=1e-6)


def test_logits_of_any_size_stay_finite():
    # 10,000 a pixel, one of two pixels wrong; float32 overflows at exp(89).
    np.testing.assert_allclose(loss([[1, 0]], [[1e4, 1e4]]), [0.5 * (1 - 3 / 4) + 5 * 1e4 / 2], rtol=1e-6)
    assert np.isfinite(loss([[1, 0]], [[-1e4, 1e4]])).all()


def test_compiled_model_is_saved_and_loaded_with_it(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 1)])
    model.compile("sgd", dice_cross_entropy)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").loss is dice_cross_entropy
