"""The Segmenter gives the same clavicles from every form of a model."""

import cv2
import keras
import numpy as np
import pytest

import crass_tf
from crass_tf import segmenter as segmenting
from crass_tf.export import conversion, describe
from crass_tf.files import InputError
from crass_tf.formats.png import write_png
from crass_tf.metadata import attach
from crass_tf.radiograph import Radiograph
from crass_tf.segmenter import Segmenter

FORMS = ("model.keras", "saved_model", "model.tflite")


def threshold_model(image_size=(64, 64), channels=1):
    """Logit = (grey - 128) / 16: what is brighter than 128 is clavicle, so every result is known beforehand."""
    image = keras.Input((*image_size, channels), name="image")
    head = keras.layers.Conv2D(1, 1, kernel_initializer=keras.initializers.Constant(1 / 16), name="head")
    logits = head(image)
    head.bias.assign([-8.0])
    return keras.Model(image, logits)


def lite(model):
    """The bytes of a `.tflite` as an export writes it."""
    return attach(conversion.to_float32(model), describe(model, "float32"))


def bars():
    """Two bright bars on dark ground, uint8 [96, 128]: rows 20 to 39, columns 8 to 47 and 72 to 111."""
    image = np.full((96, 128), 28, np.uint8)
    image[20:40, 8:48] = image[20:40, 72:112] = 228
    return image


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder, model = tmp_path_factory.mktemp("models"), threshold_model()
    model.save(folder / "model.keras")
    conversion.write_saved_model(model, folder / "saved_model")
    (folder / "model.tflite").write_bytes(lite(model))
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_one_interface(models, form):
    segmenter = Segmenter.load(models / form)
    assert segmenter.image_size == (64, 64)
    assert segmenter.path == models / form
    batch = np.stack([np.full((64, 64, 1), grey, np.float32) for grey in (0, 128, 255)])
    logits = segmenter.logits(batch)
    assert logits.dtype == np.float32
    # (0 - 128) / 16 = -8; (128 - 128) / 16 = 0; (255 - 128) / 16 = 7.9375.
    np.testing.assert_allclose(logits, np.broadcast_to(np.float32([-8, 0, 7.9375])[:, None, None, None], batch.shape))


@pytest.mark.parametrize("form", FORMS)
def test_mask_is_native_and_sides_are_the_patients(models, form):
    segmentation = Segmenter.load(models / form).segment(bars(), spacing_mm=(0.5, 0.25))
    assert segmentation.mask.shape == (96, 128)
    assert segmentation.mask.dtype == segmentation.labels.dtype == np.uint8
    # 96 x 128 is halved into the 64 x 64 grid; all edges of the bars are even, so only interpolation blurs them.
    truth = bars() > 128
    assert (segmentation.mask != truth).sum() <= 2 * 4 * (40 + 20)
    assert set(np.unique(segmentation.labels[:, :64])) == {0, 1}
    assert set(np.unique(segmentation.labels[:, 64:])) == {0, 2}
    assert segmentation.spacing_mm == (0.5, 0.25)


def test_forms_agree_on_noise(models, rng=None):
    batch = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 1)).astype(np.float32)
    keras_logits, *others = (Segmenter.load(models / form).logits(batch) for form in FORMS)
    for logits in others:
        np.testing.assert_allclose(logits, keras_logits, atol=1e-5)


def test_radiographs_come_as_path_array_and_object(models, tmp_path):
    segmenter = Segmenter.load(models / "model.tflite")
    write_png(tmp_path / "bars.png", bars(), spacing_mm=(0.25, 0.25))
    from_path = segmenter.segment(tmp_path / "bars.png")
    assert from_path.spacing_mm == pytest.approx((0.25, 0.25))
    for radiograph in (str(tmp_path / "bars.png"), bars(), bars()[..., None], Radiograph(bars())):
        np.testing.assert_array_equal(segmenter.segment(radiograph).mask, from_path.mask)
    assert segmenter.segment(Radiograph(bars(), (1.0, 1.0)), spacing_mm=(2.0, 2.0)).spacing_mm == (2.0, 2.0)
    with pytest.raises(InputError, match="none.png: file not found"):
        segmenter.segment(tmp_path / "none.png")


def test_a_letterboxed_image_comes_back_in_its_own_pixels(models):
    image = np.zeros((60, 200), np.uint8)
    image[20:40, 80:120] = 255
    mask = Segmenter.load(models / "model.tflite").segment(image).mask
    # 200 columns shrink to 64: an edge may move by one model pixel, 3.1 native ones.
    inner, outer = np.zeros_like(mask), np.zeros_like(mask)
    inner[24:36, 84:116] = outer[16:44, 76:124] = 1
    assert (mask >= inner).all() and (mask <= outer).all()


def test_batches_of_another_size_are_refused(models):
    with pytest.raises(InputError, match=r"shape \(1, 32, 32, 1\), expected \[B, 64, 64, 1\]"):
        Segmenter.load(models / "model.tflite").logits(np.zeros((1, 32, 32, 1)))


@pytest.mark.parametrize("name", ["none.tflite", "none.keras", "none"])
def test_missing_model(tmp_path, name):
    with pytest.raises(InputError, match=f"{name}: model not found"):
        Segmenter.load(tmp_path / name)


@pytest.mark.parametrize("name", ["model.tflite", "model.keras", "model.onnx"])
@pytest.mark.parametrize("content", [b"", b"no model", bytes(range(256)) * 20])
def test_what_is_no_model_is_refused_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name) as error:
        Segmenter.load(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["model.tflite", "model.keras"])
def test_a_truncated_model_is_refused(models, tmp_path, name):
    data = (models / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=f"{name}: (cannot be opened|found no crass_tf.json in it)"):
        Segmenter.load(tmp_path / name)


def test_a_damaged_saved_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="found a folder without saved_model.pb"):
        Segmenter.load(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be opened as a SavedModel"):
        Segmenter.load(tmp_path)


def test_foreign_models_are_refused(tmp_path):
    threshold_model(channels=3).save(tmp_path / "colour.keras")
    with pytest.raises(InputError, match=r"inputs float32 \[None, 64, 64, 3\].*expected one float32 \[\*, h, w, 1\]"):
        Segmenter.load(tmp_path / "colour.keras")
    (tmp_path / "colour.tflite").write_bytes(lite(threshold_model(channels=3)))
    with pytest.raises(InputError, match=r"inputs float32 \[1, 64, 64, 3\]"):
        Segmenter.load(tmp_path / "colour.tflite")
    threshold_model(image_size=(None, None)).save(tmp_path / "open.keras")
    with pytest.raises(InputError, match=r"\[None, None, None, 1\]"):
        Segmenter.load(tmp_path / "open.keras")


def test_threads_do_not_change_the_result(models):
    image = cv2.GaussianBlur(bars(), (9, 9), 0)
    one, two = (Segmenter.load(models / "model.tflite", threads=n).segment(image).model_logits for n in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_without_a_shipped_model_the_next_step_is_named(monkeypatch):
    monkeypatch.setattr(segmenting, "SHIPPED_FOLDER", "no_such_model")
    with pytest.raises(InputError, match="give the path of one"):
        crass_tf.Segmenter.load()
