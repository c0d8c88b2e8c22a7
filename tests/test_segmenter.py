"""The Segmenter gives the same clavicles from every form of a model."""

import cv2
import keras
import numpy as np
import pytest

import crass_tf
from crass_tf import segmentation as segmentations
from crass_tf import segmenter as segmenting
from crass_tf.export import conversion
from crass_tf.files import InputError
from crass_tf.formats.png import write_png
from crass_tf.geometry import Letterbox
from crass_tf.radiograph import Radiograph
from crass_tf.segmentation import Segmentation
from crass_tf.segmenter import Segmenter

FORMS = ("model.keras", "saved_model", "model.tflite")


def threshold_model(image_size=(64, 64), channels=1):
    """Logit = (grey - 128) / 16: what is brighter than 128 is clavicle, so every result is known beforehand."""
    image = keras.Input((*image_size, channels), name="image")
    head = keras.layers.Conv2D(1, 1, kernel_initializer=keras.initializers.Constant(1 / 16), name="head")
    logits = head(image)
    head.bias.assign([-8.0])
    return keras.Model(image, logits)


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
    (folder / "model.tflite").write_bytes(conversion.to_float32(model))
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


def segmentation_of(mask, spacing_mm=None):
    """The Segmentation of a mask drawn on its own grid: logit 4 inside, -4 outside."""
    logits = np.where(mask, np.float32(4), np.float32(-4))
    grid = Letterbox.fit(mask.shape, logits.shape)
    return Segmentation(Radiograph(np.zeros(mask.shape, np.uint8), spacing_mm), logits, grid)


def test_results_of_a_drawn_mask():
    mask = np.zeros((20, 40), np.uint8)
    mask[4:8, 2:12] = 1  # 40 pixels, the patient's right
    mask[5:9, 30:35] = 1  # 20 pixels, the patient's left
    segmentation = segmentation_of(mask, (0.5, 0.2))
    np.testing.assert_array_equal(segmentation.mask, mask)
    # Each pixel has 0.5 x 0.2 = 0.1 square millimetres.
    assert segmentation.quality["right"] == {"found": True, "area_pixels": 40, "area_mm2": pytest.approx(4.0)}
    assert segmentation.quality["left"] == {"found": True, "area_pixels": 20, "area_mm2": pytest.approx(2.0)}
    # sigmoid(4) = 0.98201.
    assert segmentation.probability.dtype == np.float32
    np.testing.assert_allclose(segmentation.probability, np.where(mask, 0.98201, 0.01799), atol=1e-5)
    (right,) = segmentation.contours["right"]
    assert right.dtype == np.float32
    assert right.min(axis=0).tolist() == [2, 4] and right.max(axis=0).tolist() == [11, 7]
    # The outline of 10 x 4 pixels: 2 x 10 + 2 x 2 of them.
    assert len(right) == 24


def test_nothing_found_is_said():
    segmentation = segmentation_of(np.zeros((8, 8), np.uint8))
    nothing = {"found": False, "area_pixels": 0, "area_mm2": None}
    assert segmentation.quality["right"] == segmentation.quality["left"] == nothing
    assert segmentation.quality["score"] == 0 and segmentation.refusal is None
    assert segmentation.contours == {"right": [], "left": []}
    assert not segmentation.mask.any() and not segmentation.labels.any()


def test_extreme_logits_give_probabilities_without_warnings():
    logits = np.float32([[-1e4, 0], [1e4, 1]])
    grid = Letterbox.fit((2, 2), logits.shape)
    probability = Segmentation(Radiograph(np.zeros((2, 2), np.uint8)), logits, grid).probability
    np.testing.assert_allclose(probability, [[0, 0.5], [1, 0.731059]], atol=1e-6)


def test_what_is_not_asked_for_is_not_computed(monkeypatch):
    calls = []
    monkeypatch.setattr(segmentations, "split_sides", lambda mask, mirrored: calls.append(1) or mask)
    segmentation = segmentation_of(np.ones((4, 4), np.uint8))
    assert segmentation.mask.all() and not calls
    assert segmentation.labels is segmentation.labels and len(calls) == 1


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
    with pytest.raises(InputError, match=f"{name}: cannot be opened"):
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
    (tmp_path / "colour.tflite").write_bytes(conversion.to_float32(threshold_model(channels=3)))
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


def located(agrees):
    """A cascade's Segmentation of two bars whose locator found them, or found something else."""
    image = bars()
    logits = np.where(image > 128, np.float32(8), np.float32(-8))
    coarse = logits if agrees else logits[::-1]
    return Segmentation(Radiograph(image), logits, Letterbox.fit(image.shape, logits.shape), coarse)


def test_a_cascade_whose_networks_agree_gives_its_mask():
    segmentation = located(agrees=True)
    assert segmentation.refusal is None
    np.testing.assert_array_equal(segmentation.mask, bars() > 128)
    assert segmentation.quality["agreement"] == 1 and segmentation.quality["score"] > 0.5


def test_what_only_one_network_sees_is_refused_and_gives_no_mask():
    segmentation = located(agrees=False)
    assert "only one of two networks" in segmentation.refusal
    assert not segmentation.mask.any() and not segmentation.labels.any()
    assert segmentation.quality["score"] == 0


def test_what_is_uncertain_everywhere_is_refused():
    sure = located(agrees=True)
    unsure = Segmentation(sure.radiograph, sure.model_logits / 80, sure.grid, sure.located)
    # Logits of -0.1 and 0.1: the expected IoU is 0.525 of the mask's pixels over these and 0.475 of all others.
    assert "too uncertain" in unsure.refusal and not unsure.mask.any() and not unsure.labels.any()
