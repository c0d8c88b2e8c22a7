"""A cascade keeps its result in every form: two networks, and the strip between them."""

import keras
import numpy as np
import pytest

from crass_tf.data.loading import Example
from crass_tf.evaluation.overlap import iou
from crass_tf.export import export
from crass_tf.model import cascade, parts
from crass_tf.segmenter import Segmenter

FORMS = ("saved_model", *(f"model_{form}.tflite" for form in ("float32", "float16", "dynamic_int8", "int8")))


def threshold(image_size):
    """Logit = (grey - 128) / 16, after two convolutions that change nothing."""
    image = x = keras.Input((*image_size, 1))
    for _ in range(2):
        x = keras.layers.Conv2D(1, 1, kernel_initializer="ones", activation="relu")(x)
    head = keras.layers.Conv2D(1, 1, kernel_initializer=keras.initializers.Constant(1 / 16))
    logits = head(x)
    head.bias.assign([-8.0])
    return keras.Model(image, logits)


def bars(shift=0):
    """Two bright bars on dark ground, uint8 [192, 256]: 24 rows, columns 40 to 112 and 144 to 216."""
    mask = np.zeros((192, 256), np.uint8)
    mask[60 + shift : 84 + shift, 40:112] = mask[60 + shift : 84 + shift, 144:216] = 1
    return Example(f"bars{shift}", 28 + 200 * mask, mask, (0.5, 0.5))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """`(folder, model.keras, parity)` of a cascade of thresholds: 32 x 32 for the whole, 64 x 160 for the strip."""
    folder = tmp_path_factory.mktemp("cascade")
    path = folder / "model.keras"
    cascade(threshold((32, 32)), threshold((64, 160))).save(path)
    return folder / "out", path, export(path, folder / "out", map(bars, range(8)), map(bars, range(8, 12)))


def test_parts_of_a_saved_cascade(exported):
    networks = parts(keras.saving.load_model(exported[1]))
    assert [network.input_shape for network in networks] == [(None, 32, 32, 1), (None, 64, 160, 1)]
    assert [network.name for network in networks] == ["locate", "segment"]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_finds_the_bars(exported, form):
    out, _, _ = exported
    segmenter = Segmenter.load(out / form)
    assert (segmenter.image_size, segmenter.strip_size) == ((32, 32), (64, 160))
    example = bars(30)
    segmentation = segmenter.segment(example.image)
    # The strip has 160 * 0.82 = 131 pixels for 176 native ones.
    assert iou(example.mask, segmentation.mask) > 0.97
    assert segmentation.located.shape == (32, 32)


def test_tilted_bars_are_levelled(exported):
    import cv2

    example = bars(30)
    turned = cv2.warpAffine(example.mask, cv2.getRotationMatrix2D((128, 100), 15, 1), (256, 192))
    segmentation = Segmenter.load(exported[0] / "model_float32.tflite").segment(28 + 200 * turned)
    # Turned by 15 degrees counter-clockwise, as seen: the strip's x axis points up and to the right.
    (a, b, _), _ = segmentation.grid.matrix
    assert np.degrees(np.arctan2(b, a)) == pytest.approx(-15, abs=1.5)
    assert iou(turned, segmentation.mask) > 0.93


def test_nothing_to_locate(exported):
    for form in FORMS:
        segmentation = Segmenter.load(exported[0] / form).segment(np.full((100, 120), 20, np.uint8))
        assert segmentation.mask.shape == (100, 120) and not segmentation.mask.any()


def test_one_bar_alone(exported):
    example = bars(30)
    one = example.mask.copy()
    one[:, 128:] = 0
    segmentation = Segmenter.load(exported[0] / "model_float32.tflite").segment(28 + 200 * one)
    # The strip is as wide as if the other bar were there: 160 * 0.82 pixels for 176 native ones.
    assert segmentation.grid.scale == pytest.approx(160 * 0.82 / 176, rel=0.05)
    assert iou(one, segmentation.mask) > 0.97


def test_serving_default_does_all_of_it(exported):
    import tensorflow as tf

    model = tf.saved_model.load(str(exported[0] / "saved_model"))
    assert set(model.signatures) == {"serving_default", "locate", "segment", "from_bytes"}
    mask = np.zeros((1024, 1024), np.uint8)
    mask[300:400, 200:480] = mask[320:420, 560:840] = 1
    images = np.stack([28 + 200 * mask, np.zeros_like(mask)])[..., None].astype(np.float32)
    logits = model.signatures["serving_default"](image=tf.constant(images))["logits"].numpy()
    assert logits.shape == (2, 1024, 1024, 1)
    assert not (logits[1] > 0).any()
    found = (logits[0, ..., 0] > 0).astype(np.uint8)
    assert iou(mask, found) > 0.97
    by_segmenter = Segmenter.load(exported[0] / "saved_model").segment(28 + 200 * mask).mask
    assert iou(by_segmenter, found) > 0.995


def test_parity_is_of_both_networks(exported):
    parity = exported[2]
    assert (parity["reference"]["image_size"], parity["reference"]["strip_size"]) == ([32, 32], [64, 160])
    for form in parity["forms"].values():
        assert form["mask_iou"]["min"] > 0.97
        assert form["max_logit_difference"] is None or form["max_logit_difference"] < 0.5
    # Two networks of three 1 x 1 convolutions each.
    assert parity["forms"]["float32"]["operators"]["CONV_2D"] == 6


def test_the_card_tells_how_the_strip_is_laid(exported):
    card = (exported[0] / "model_card.md").read_text()
    for part in (
        "`locate` | `image` | float32 | [B, 32, 32, 1]",
        "[B, 64, 160, 1]",
        "82% of its columns",
        "below 0.25",
        "`image_bytes`, string [1]",
    ):
        assert part in card
    assert "{" not in card
