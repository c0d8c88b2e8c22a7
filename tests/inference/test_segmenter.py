"""The Segmenter gives the same clavicles from every form of a model."""

import concurrent.futures
import copy
import multiprocessing
import pathlib
import pickle

import cv2
import keras
import numpy as np
import pytest
from drawn import bars

import crass_tf
from crass_tf.common.files import InputError
from crass_tf.export import conversion, describe
from crass_tf.inference import segmenter as segmenting
from crass_tf.inference.model_files import attach_metadata
from crass_tf.inference.segmenter import Segmenter
from crass_tf.phantom import render
from crass_tf.radiographs.formats.png import write_png
from crass_tf.radiographs.radiograph import Radiograph

FORMS = ("model.keras", "saved_model", "model.tflite")


def threshold_model(image_size=(64, 64), channels=1, last=lambda logits: logits):
    """Logit = (grey - 128) / 16: what is brighter than 128 is clavicle, so every result is known beforehand."""
    image = keras.Input((*image_size, channels), name="image")
    head = keras.layers.Conv2D(1, 1, kernel_initializer=keras.initializers.Constant(1 / 16), name="head")
    logits = head(image)
    head.bias.assign([-8.0])
    return keras.Model(image, last(logits))


def lite(model):
    """The bytes of a `.tflite` as an export writes it."""
    model = conversion.as_served(model)
    return attach_metadata(conversion.to_float32(model), describe(model, "float32"))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder, model = tmp_path_factory.mktemp("models"), threshold_model()
    model.save(folder / "model.keras")
    conversion.write_saved_model(conversion.as_served(model), folder / "saved_model")
    (folder / "model.tflite").write_bytes(lite(model))
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_one_interface(models, form):
    segmenter = Segmenter.load(models / form)
    assert segmenter.image_size == (64, 64)
    assert segmenter.path == models / form
    batch = np.stack([np.full((64, 64, 1), grey, np.float32) for grey in (0, 128, 255)])
    logits = segmenter.run(batch)["logits"]
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


def test_forms_agree_on_noise(models):
    batch = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 1)).astype(np.float32)
    keras_logits, *others = (Segmenter.load(models / form).run(batch)["logits"] for form in FORMS)
    for logits in others:
        np.testing.assert_allclose(logits, keras_logits, atol=1e-5)
    with pytest.raises(InputError, match=r"shape \(1, 32, 32, 1\), expected \[B, 64, 64, 1\]"):
        Segmenter.load(models / "model.tflite").run(np.zeros((1, 32, 32, 1)))


def test_radiographs_come_as_path_array_and_object(models, tmp_path):
    segmenter = Segmenter.load(models / "model.tflite")
    write_png(tmp_path / "bars.png", bars(), spacing_mm=(0.25, 0.25))
    from_path = segmenter.segment(tmp_path / "bars.png")
    assert from_path.spacing_mm == pytest.approx((0.25, 0.25))
    for radiograph in (str(tmp_path / "bars.png"), bars(), bars()[..., None], Radiograph(bars())):
        np.testing.assert_array_equal(segmenter.segment(radiograph).mask, from_path.mask)
    assert segmenter.segment(Radiograph(bars(), (1.0, 1.0)), spacing_mm=(2.0, 2.0)).spacing_mm == (2.0, 2.0)
    assert segmenter.segment(Radiograph(bars(), (1.0, 1.0)), spacing_mm=(np.nan, np.nan)).spacing_mm == (1.0, 1.0)
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


@pytest.mark.parametrize("name", ["model.tflite", "model.keras", "model.onnx"])
@pytest.mark.parametrize("content", [b"", b"no model", bytes(range(256)) * 20])
def test_what_is_no_model_is_refused_in_one_line(tmp_path, name, content):
    with pytest.raises(InputError, match=f"{name}: model not found"):
        Segmenter.load(tmp_path / name)
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
    (tmp_path / "colour.tflite").write_bytes(lite(threshold_model(channels=3)))
    threshold_model(image_size=(None, None)).save(tmp_path / "open.keras")
    one, two = keras.Input((64, 64, 1), name="image"), keras.Input((64, 64, 1), name="strip")
    keras.Model([one, two], [one + 1, two + 1]).save(tmp_path / "old.keras")
    for name, message in {
        "colour.keras": r"inputs .*float32 \[None, 64, 64, 3\].*expected one float32 \[\*, h, w, 1\]",
        "colour.tflite": r"inputs .*float32 \[1, 64, 64, 3\]",
        "open.keras": r"\[None, None, None, 1\]",
        "old.keras": "of two networks, of an earlier version: train or download it again",
    }.items():
        with pytest.raises(InputError, match=message):
            Segmenter.load(tmp_path / name)


@pytest.mark.parametrize("threads", [0, -1, 1.5, float("nan"), "four", 10**7])
def test_threads_are_a_whole_number(models, threads):
    with pytest.raises(InputError, match=f"threads: found {threads}, expected a whole number from 1 to 256"):
        Segmenter.load(models / "model.tflite", threads=threads)


def test_threads_do_not_change_the_result(models):
    image = cv2.GaussianBlur(bars(), (9, 9), 0)
    one, two = (Segmenter.load(models / "model.tflite", threads=n).segment(image).outlines[0].logits for n in (1, 2))
    np.testing.assert_array_equal(one, two)


SIGMOIDS = {
    "layer": keras.layers.Activation("sigmoid"),
    "operation": keras.ops.sigmoid,
    "resized": lambda x: keras.layers.UpSampling2D(2)(
        keras.layers.Activation("sigmoid")(keras.layers.MaxPooling2D(2)(x))
    ),
    "inner_model": lambda x: keras.Sequential([keras.layers.Activation("sigmoid")])(x),
}


def test_a_sequential_model(models, tmp_path):
    head = keras.layers.Conv2D(1, 1, activation="sigmoid")
    model = keras.Sequential([keras.Input((64, 64, 1)), head])
    head.set_weights([np.full((1, 1, 1, 1), 1 / 16), np.array([-8.0])])
    model.save(tmp_path / "model.keras")
    expected = Segmenter.load(models / "model.keras").segment(bars()).mask
    for segmenter in (Segmenter.from_model(model), Segmenter.load(tmp_path / "model.keras")):
        np.testing.assert_array_equal(segmenter.segment(bars()).mask, expected)
    assert list(conversion.as_served(model, "probability").output) == ["logits"]


@pytest.mark.parametrize("kind", SIGMOIDS)
def test_a_network_that_ends_in_a_sigmoid_gives_the_same_mask(models, kind):
    expected = Segmenter.load(models / "model.keras").segment(bars())
    found = Segmenter.from_model(threshold_model(last=SIGMOIDS[kind])).segment(bars())
    both = np.count_nonzero(found.mask & expected.mask) / np.count_nonzero(found.mask | expected.mask)
    assert both > (0.9 if kind == "resized" else 0.999)


def test_what_is_no_logit_is_refused_or_asked_for(models, tmp_path):
    with pytest.raises(InputError, match="found an output after log_sigmoid"):
        Segmenter.from_model(threshold_model(last=keras.layers.Activation("log_sigmoid")))
    # No last layer tells, but nothing is below 0.
    for last in (lambda x: 255 * keras.ops.sigmoid(x), lambda x: keras.ops.clip(keras.ops.sigmoid(x), 0, 1)):
        with pytest.raises(InputError, match="expected logits; say what it is: --output probability"):
            Segmenter.from_model(threshold_model(last=last)).segment(bars())
    with pytest.raises(InputError, match="found Unbuilt without inputs, expected a functional or Sequential model"):
        Segmenter.from_model(type("Unbuilt", (keras.Model,), {})())
    # A SavedModel does not say what its output is.
    sigmoid = threshold_model(last=SIGMOIDS["layer"])
    sigmoid.export(tmp_path / "saved", verbose=False)
    mask = Segmenter.load(tmp_path / "saved", output="probability").segment(bars()).mask
    np.testing.assert_array_equal(mask, Segmenter.load(models / "model.keras").segment(bars()).mask)
    load, of_model = Segmenter.load, Segmenter.from_model
    for message, use in {
        "found an output after relu, expected logits": lambda: of_model(threshold_model(last=keras.layers.ReLU())),
        "found an output after softmax": lambda: of_model(threshold_model(last=keras.layers.Softmax())),
        "expected logits; say what it is: --output probability": lambda: load(tmp_path / "saved").segment(bars()),
        "expected probabilities between 0 and 1: its output is logits": lambda: load(
            models / "saved_model", output="probability"
        ).segment(bars()),
        "found an output of logits by its last layer, expected probability as": lambda: load(
            models / "model.keras", output="probability"
        ),
        "found an output of probability by its last layer, expected logits as": lambda: of_model(sigmoid, "logits"),
        "output: found 'percent', expected one of logits, probability": lambda: load(
            models / "model.keras", output="percent"
        ),
    }.items():
        with pytest.raises(InputError, match=message):
            use()


LOGARITHMS = {
    "layer": keras.layers.Activation("log_sigmoid"),
    "of_a_sigmoid": lambda x: keras.ops.log(keras.ops.sigmoid(x)),
    "resized": lambda x: keras.layers.UpSampling2D(2)(keras.ops.log_sigmoid(keras.layers.MaxPooling2D(2)(x))),
    "twice_resized": lambda x: keras.layers.UpSampling2D(2)(LOGARITHMS["resized"](keras.layers.MaxPooling2D(2)(x))),
    "of_two_networks": lambda x: keras.ops.concatenate([keras.ops.log_sigmoid(x), keras.ops.log_sigmoid(-x)], axis=-1),
    "of_two_classes": lambda x: keras.ops.log_softmax(keras.ops.concatenate([-x, x], axis=-1)),
}


@pytest.mark.parametrize("last", LOGARITHMS)
@pytest.mark.parametrize("named", [False, True])
def test_a_saved_model_that_is_never_above_0_is_refused(tmp_path, last, named):
    model = threshold_model(last=LOGARITHMS[last])
    if named:
        # As crass-tf export calls it.
        model = keras.Model(model.inputs[0], {"logits": model.outputs[0]})
    model.export(tmp_path / "saved", verbose=False)
    for output in (None, "logits"):
        with pytest.raises(InputError, match="saved: found an output of log-probabilities, never above 0"):
            Segmenter.load(tmp_path / "saved", output=output)


def test_logarithms_that_no_last_operation_tells_are_asked_for(tmp_path):
    # Its largest values are the logarithm of 1 + 1e-7.
    model = threshold_model(last=lambda x: keras.ops.log(keras.ops.sigmoid(9 * x) + 1e-7))
    model.export(tmp_path / "saved", verbose=False)
    for segmenter in (Segmenter.load(tmp_path / "saved"), Segmenter.from_model(model)):
        with pytest.raises(InputError, match="to 1.19e-07, expected logits; say what it is: --output probability"):
            segmenter.segment(bars())
    Segmenter.from_model(model, "logits").segment(bars())


def test_logits_of_a_radiograph_without_clavicles_are_not_taken_for_logarithms(tmp_path):
    model = threshold_model()
    model.export(tmp_path / "saved", verbose=False)
    for segmenter in (Segmenter.load(tmp_path / "saved"), Segmenter.from_model(model)):
        black = segmenter.segment(np.zeros((64, 64), np.uint8))
        assert not black.mask.any() and segmenter.segment(bars()).mask.any()


def test_two_channels_are_the_two_sides():
    image = keras.Input((64, 64, 1), name="image")
    # Channel 0 is what is brighter than 128, channel 1 what is darker.
    head = keras.layers.Conv2D(2, 1)
    model = keras.Model(image, head(image))
    head.set_weights([np.float32([1 / 16, -1 / 16]).reshape(1, 1, 1, 2), np.float32([-8, 8])])
    labels = Segmenter.from_model(model).segment(bars()).labels
    assert labels[30, 20] == labels[30, 90] == 1 and labels[80, 20] == 2
    # The other way round it is one that knows background and clavicle.
    head.set_weights([np.float32([-1 / 16, 1 / 16]).reshape(1, 1, 1, 2), np.float32([8, -8])])
    with pytest.raises(InputError, match="first of two channels above 0 on 90% of the pixels, .* their difference"):
        Segmenter.from_model(model).segment(bars())


@pytest.mark.parametrize("copied", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy])
def test_a_segmenter_is_pickled_and_copied(models, copied):
    for segmenter in (
        Segmenter.load(models / "model.tflite", threads=1),
        Segmenter.load(models / "model.keras"),
        Segmenter.from_model(threshold_model()),
    ):
        again = copied(segmenter)
        assert again is not segmenter and again.path == segmenter.path
        np.testing.assert_array_equal(again.segment(bars()).mask, segmenter.segment(bars()).mask)


def test_a_spawned_pool_of_processes_segments(models):
    segmenter = Segmenter.load(models / "model.tflite", threads=1)
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        quality = pool.submit(_segment_elsewhere, segmenter, bars()).result()
    assert quality == segmenter.segment(bars()).quality


def _segment_elsewhere(segmenter, image):
    return segmenter.segment(image).quality


def test_without_a_shipped_model_the_next_step_is_named(monkeypatch):
    monkeypatch.setattr(segmenting, "SHIPPED_FOLDER", "no_such_model")
    with pytest.raises(InputError, match="give the path of one"):
        crass_tf.Segmenter.load()


# One Segmenter serves many radiographs and many threads, and each result is the one it gives alone.


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.load()


@pytest.fixture(scope="module")
def radiographs():
    """Five of different sizes, among them one in which nothing is found."""
    phantoms = [render(seed=3, index=index, size=256).image for index in range(4)]
    sizes = ((256, 256), (300, 280), (320, 400), (200, 210))
    return [cv2.resize(image, size) for image, size in zip(phantoms, sizes)] + [np.full((90, 80), 7, np.uint8)]


def same(one, other):
    assert one.refusal == other.refusal
    for first, second in zip(one.outlines, other.outlines, strict=True):
        assert first.grid == second.grid and first.score == second.score
        np.testing.assert_array_equal(first.logits, second.logits)
    np.testing.assert_array_equal(one.mask, other.mask)


def test_segment_many_gives_what_segment_gives(segmenter, radiographs):
    alone = [segmenter.segment(image) for image in radiographs]
    assert any(segmentation.mask.any() for segmentation in alone)
    for workers in (1, 4):
        many = list(segmenter.segment_many(radiographs, workers=workers))
        assert len(many) == len(alone)
        for one, other in zip(many, alone):
            same(one, other)


def test_threads_share_a_segmenter(segmenter, radiographs):
    alone = [segmenter.segment(image) for image in radiographs]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        shared = list(pool.map(segmenter.segment, radiographs * 8))
    for one, other in zip(shared, alone * 8):
        same(one, other)


@pytest.mark.parametrize("one", ["folder", pathlib.Path("a.png"), b"bytes"])
def test_one_radiograph_is_not_many(segmenter, one):
    with pytest.raises(InputError, match=f"radiographs: found {type(one).__name__}, expected several"):
        segmenter.segment_many(one)


def test_what_cannot_be_read_is_raised_or_given_in_its_place(segmenter, radiographs, tmp_path):
    write_png(tmp_path / "good.png", radiographs[0])
    paths = [tmp_path / "good.png", tmp_path / "none.png", tmp_path / "good.png"]
    first, error, last = segmenter.segment_many(paths, spacing_mm=(0.5, 0.5), return_errors=True)
    assert isinstance(error, InputError) and "none.png: file not found" in str(error)
    assert first.spacing_mm == last.spacing_mm == (0.5, 0.5)
    same(first, last)
    results = segmenter.segment_many(paths)
    same(next(results), first)
    with pytest.raises(InputError, match="none.png"):
        next(results)
