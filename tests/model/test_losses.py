"""The loss of pictures so small that it can be worked out by hand."""

import math

import keras
import numpy as np
import pytest

from crass_tf.model import DiceCrossEntropy, IoU, dice_cross_entropy


def loss(y_true, logits, dtype="uint8"):
    """Losses of pictures given as flat lists of pixels, one list a picture."""
    y_true, logits = (np.array(part)[:, :, None, None] for part in (y_true, logits))
    return keras.ops.convert_to_numpy(dice_cross_entropy(y_true.astype(dtype), logits.astype("float32")))


@pytest.mark.parametrize(
    "y_true, logits, expected",
    [
        # Perfect, p = y: (2 * 1 + 1) / (1 + 1 + 1) = 1, and no cross-entropy.
        ([0, 1, 0, 0], [-50, 50, -50, -50], 0),
        # An empty prediction of an empty mask: (0 + 1) / (0 + 0 + 1) = 1.
        ([0, 0, 0, 0], [-50, -50, -50, -50], 0),
        # p = 1/2 everywhere, two of four pixels true: (2 * 1 + 1) / (2 + 2 + 1) = 0.6, cross-entropy ln 2 a pixel.
        ([1, 1, 0, 0], [0, 0, 0, 0], 0.5 * 0.4 + 5 * math.log(2)),
        # Everything marked, nothing true: 1 / (4 + 0 + 1) = 0.2; cross-entropy 50 a pixel.
        ([0, 0, 0, 0], [50, 50, 50, 50], 0.5 * 0.8 + 5 * 50),
        # Nothing marked, all true: 1 / (0 + 4 + 1), the same.
        ([1, 1, 1, 1], [-50, -50, -50, -50], 0.5 * 0.8 + 5 * 50),
        # One of two pixels found: (2 * 1 + 1) / (1 + 2 + 1) = 0.75; one of four pixels costs 20.
        ([1, 1, 0, 0], [20, -20, -20, -20], 0.5 * 0.25 + 5 * 20 / 4),
        # 10,000 a pixel, one of two pixels wrong; float32 overflows at exp(89).
        ([1, 0], [1e4, 1e4], 0.5 * (1 - 3 / 4) + 5 * 1e4 / 2),
    ],
)
def test_by_hand(y_true, logits, expected):
    np.testing.assert_allclose(loss([y_true], [logits]), [expected], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float32"])
def test_each_picture_by_itself_and_any_dtype_of_masks(dtype):
    batch = loss([[1, 1, 0, 0], [0, 0, 0, 0]], [[20, -20, -20, -20], [-50, -50, -50, -50]], dtype)
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch, [25.125, 0], rtol=1e-6, atol=1e-6)


def test_masks_of_0_and_255_are_those_of_0_and_1():
    logits = [[3, -1, 2, -4]]
    np.testing.assert_array_equal(loss([[255, 255, 0, 0]], logits), loss([[1, 1, 0, 0]], logits))
    # Half a clavicle stays half a one.
    assert loss([[0.5, 1, 0, 0]], logits, "float32") != loss([[1, 1, 0, 0]], logits)


WEIGHTED = np.random.default_rng(0)
MASKS = WEIGHTED.integers(0, 2, (3, 4, 5, 1)).astype("float32")
LOGITS = WEIGHTED.normal(0, 2, MASKS.shape).astype("float32")
PIXEL_WEIGHTS = WEIGHTED.uniform(0.5, 3, MASKS.shape).astype("float32")


def compiled(weights, loss=dice_cross_entropy, masks=MASKS, outputs=LOGITS):
    """What `evaluate` of a model that returns its input gives."""
    image = keras.Input(outputs.shape[1:])
    model = keras.Model(image, keras.layers.Activation("linear")(image))
    model.compile(loss=loss)
    return model.evaluate(outputs, masks, sample_weight=weights, batch_size=len(masks), verbose=0)


def by_hand(weights):
    """The formula in NumPy, image by image."""
    p = 1 / (1 + np.exp(-LOGITS))
    entropy = -MASKS * np.log(p) - (1 - MASKS) * np.log(1 - p)
    losses = []
    for y, q, e, w in zip(MASKS, p, entropy, weights):
        dice = (2 * (w * q * y).sum() + w.max()) / ((w * q).sum() + (w * y).sum() + w.max())
        losses.append(w.mean() * 0.5 * (1 - dice) + 5 * (w * e).mean())
    return np.mean(losses)


@pytest.mark.parametrize("loss_fn", [dice_cross_entropy, DiceCrossEntropy()])
@pytest.mark.parametrize("drop_axis", [False, True])
def test_weights_of_pixels(loss_fn, drop_axis):
    weights = PIXEL_WEIGHTS[..., 0] if drop_axis else PIXEL_WEIGHTS
    assert compiled(weights, loss_fn) == pytest.approx(by_hand(PIXEL_WEIGHTS), rel=1e-5)


def test_weights_of_images_are_the_weighted_mean_and_weight_0_cuts_pixels_out():
    weights = np.array([1.0, 0.0, 4.0], np.float32)
    losses = keras.ops.convert_to_numpy(dice_cross_entropy(MASKS, LOGITS))
    expected = (losses[0] + 4 * losses[2]) / 3
    assert compiled(weights) == pytest.approx(expected, rel=1e-5)
    # The same weight all over an image is that image's weight.
    everywhere = weights[:, None, None] * np.ones((3, 4, 5), np.float32)
    assert compiled(everywhere) == pytest.approx(expected, rel=1e-5)
    weights = np.ones_like(MASKS)
    weights[:, 2:] = 0
    cut = keras.ops.convert_to_numpy(dice_cross_entropy(MASKS[:, :2], LOGITS[:, :2])).mean()
    assert compiled(weights) == pytest.approx(cut / 2, rel=1e-5) and compiled(0 * weights) == 0


def test_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"sample_weight: found \(3, 5\)"):
        DiceCrossEntropy()(MASKS, LOGITS, PIXEL_WEIGHTS[:, 0, :, 0])
    # Neither of images nor of pixels, but of rows.
    for of_rows in (PIXEL_WEIGHTS[:, :, 0, 0], PIXEL_WEIGHTS[:, :, :1]):
        with pytest.raises(ValueError, match=r"sample_weight: found \(3, 4"):
            DiceCrossEntropy()(MASKS, LOGITS, of_rows)


def test_probabilities():
    probability = 1 / (1 + np.exp(-LOGITS))
    expected = keras.ops.convert_to_numpy(dice_cross_entropy(MASKS, LOGITS))
    found = keras.ops.convert_to_numpy(dice_cross_entropy(MASKS, probability, from_logits=False))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    loss_fn = DiceCrossEntropy(from_logits=False)
    assert float(loss_fn(MASKS, probability)) == pytest.approx(expected.mean(), rel=1e-4)


def test_sigmoid_taken_for_logits_is_refused():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow's tensors know where they come from")
    model = keras.Sequential([keras.Input((4, 5, 1)), keras.layers.Conv2D(1, 1, activation="sigmoid")])
    model.compile("sgd", dice_cross_entropy)
    with pytest.raises(ValueError, match="from_logits=False"):
        model.fit(LOGITS, MASKS, verbose=0)
    model.compile("sgd", DiceCrossEntropy(from_logits=False))
    model.fit(LOGITS, MASKS, verbose=0)


def test_class_weight_is_a_weight_of_pixels_and_channels_count_alike():
    expected = by_hand(np.where(MASKS > 0, 3.0, 0.5))
    assert compiled(None, DiceCrossEntropy(class_weight={0: 0.5, 1: 3})) == pytest.approx(expected, rel=1e-5)
    for wrong in ({2: 1.0}, {1: -1.0}, {1: float("nan")}, [1.0, 2.0]):
        with pytest.raises(ValueError, match="class_weight: found"):
            DiceCrossEntropy(class_weight=wrong)
    two = np.concatenate([MASKS, 1 - MASKS], -1), np.concatenate([LOGITS, LOGITS], -1)
    apart = [keras.ops.convert_to_numpy(dice_cross_entropy(y, LOGITS)) for y in (MASKS, 1 - MASKS)]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(dice_cross_entropy(*two)), np.mean(apart, 0), rtol=1e-5)


OPEN = """
import sys
{first}
assert "keras" not in sys.modules or {keras_first}
import keras
print(type(keras.saving.load_model("model.keras").loss).__name__)
"""


@pytest.mark.parametrize("first", ["import crass_tf", "import keras, crass_tf"])
def test_checkpoint_opens_in_a_new_process(first, tmp_path, run_python):
    model = keras.Sequential([keras.Input((4, 5, 1)), keras.layers.Conv2D(1, 1)])
    model.compile("sgd", DiceCrossEntropy(class_weight={1: 2}), metrics=[IoU()])
    model.fit(LOGITS, MASKS, verbose=0)
    model.save(tmp_path / "model.keras")
    code = OPEN.format(first=first, keras_first="keras" in first)
    assert run_python(code, cwd=tmp_path).splitlines()[-1] == "DiceCrossEntropy"
