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
from refusals import refuses

import crass_tf
from crass_tf.common.files import InputError
from crass_tf.export import conversion
from crass_tf.inference import segmenter as segmenting
from crass_tf.inference.segmenter import Segmenter
from crass_tf.measurement.metrics import iou
from crass_tf.phantom import render
from crass_tf.radiographs.formats.png import write_png
from crass_tf.radiographs.radiograph import Radiograph

FORMS = ("model.keras", "saved_model", "model.tflite")


@pytest.fixture(scope="module")
def models(threshold_model, to_litert, tmp_path_factory):
    folder, model = tmp_path_factory.mktemp("models"), threshold_model()
    model.save(folder / "model.keras")
    conversion.write_saved_model(conversion.as_served(model), folder / "saved_model")
    (folder / "model.tflite").write_bytes(to_litert(model))
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_in_the_same_way(models, form):
    segmenter = Segmenter.load(models / form)
    assert segmenter.image_size == (64, 64)
    assert segmenter.path == models / form
    batch = np.stack([np.full((64, 64, 1), grey, np.float32) for grey in (0, 128, 255)])
    logits = segmenter.run(batch)["logits"]
    assert logits.dtype == np.float32
    # (0 - 128) / 16 = -8; (128 - 128) / 16 = 0; (255 - 128) / 16 = 7.9375.
    np.testing.assert_allclose(logits, np.broadcast_to(np.float32([-8, 0, 7.9375])[:, None, None, None], batch.shape))
    refuses(r"shape \(1, 32, 32, 1\), expected \[B, 64, 64, 1\]", segmenter.run, np.zeros((1, 32, 32, 1)))
    segmentation = segmenter.segment(bars(), spacing_mm=(0.5, 0.25))
    assert segmentation.mask.shape == (96, 128)
    assert segmentation.mask.dtype == segmentation.labels.dtype == np.uint8
    # 96 x 128 is halved into the 64 x 64 grid; all edges of the bars are even, so only interpolation blurs them.
    truth = bars() > 128
    assert (segmentation.mask != truth).sum() <= 2 * 4 * (40 + 20)
    # Sides are the patient's.
    assert set(np.unique(segmentation.labels[:, :64])) == {0, 1}
    assert set(np.unique(segmentation.labels[:, 64:])) == {0, 2}
    assert segmentation.spacing_mm == (0.5, 0.25)


def test_radiographs_come_as_path_array_and_object(models, tmp_path):
    segmenter = Segmenter.load(models / "model.tflite")
    write_png(tmp_path / "bars.png", bars(), spacing_mm=(0.25, 0.25))
    from_path = segmenter.segment(tmp_path / "bars.png")
    assert from_path.spacing_mm == pytest.approx((0.25, 0.25))
    for radiograph in (str(tmp_path / "bars.png"), bars(), bars()[..., None], Radiograph(bars())):
        np.testing.assert_array_equal(segmenter.segment(radiograph).mask, from_path.mask)
    assert segmenter.segment(Radiograph(bars(), (1.0, 1.0)), spacing_mm=(2.0, 2.0)).spacing_mm == (2.0, 2.0)
    assert segmenter.segment(Radiograph(bars(), (1.0, 1.0)), spacing_mm=(np.nan, np.nan)).spacing_mm == (1.0, 1.0)
    refuses("none.png: file not found", segmenter.segment, tmp_path / "none.png")


@pytest.mark.parametrize("name", ["model.tflite", "model.keras", "model.onnx"])
@pytest.mark.parametrize("content", [b"", b"no model", bytes(range(256)) * 20, None], ids=["", "text", "bytes", "half"])
def test_what_is_no_model_is_refused_in_one_line(models, tmp_path, name, content):
    refuses(f"{name}: model not found", Segmenter.load, tmp_path / name)
    whole = models / name.replace("onnx", "keras")
    (tmp_path / name).write_bytes(whole.read_bytes()[: whole.stat().st_size // 2] if content is None else content)
    is_half = content is None and name != "model.onnx"
    said = "(cannot be opened|found no crass_tf.json in it)" if is_half else ""
    refuses(f"{name}: {said}", Segmenter.load, tmp_path / name)


def test_without_a_whole_model_the_next_step_is_named(tmp_path, monkeypatch):
    refuses("found a folder without saved_model.pb", Segmenter.load, tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"nothing")
    refuses("cannot be opened as a SavedModel", Segmenter.load, tmp_path)
    with pytest.raises(InputError, match="found Unbuilt without inputs, expected a functional or Sequential model"):
        Segmenter.from_model(type("Unbuilt", (keras.Model,), {})())
    monkeypatch.setattr(segmenting, "SHIPPED_FOLDER", "no_such_model")
    refuses("give the path of one", crass_tf.Segmenter.load)


def test_foreign_models_are_refused(threshold_model, to_litert, tmp_path):
    threshold_model(channels=3).save(tmp_path / "colour.keras")
    (tmp_path / "colour.tflite").write_bytes(to_litert(threshold_model(channels=3)))
    threshold_model(image_size=(None, None)).save(tmp_path / "open.keras")
    one, two = keras.Input((64, 64, 1), name="image"), keras.Input((64, 64, 1), name="strip")
    keras.Model([one, two], [one + 1, two + 1]).save(tmp_path / "old.keras")
    for name, message in {
        "colour.keras": r"inputs .*float32 \[None, 64, 64, 3\].*expected one float32 \[\*, h, w, 1\]",
        "colour.tflite": r"inputs .*float32 \[1, 64, 64, 3\]",
        "open.keras": r"\[None, None, None, 1\]",
        "old.keras": "of two networks, of an earlier version: train or download it again",
    }.items():
        refuses(message, Segmenter.load, tmp_path / name)


def test_threads_do_not_change_the_result(models):
    image, path = cv2.GaussianBlur(bars(), (9, 9), 0), models / "model.tflite"
    one, two = (Segmenter.load(path, threads=n).segment(image).outlines[0].logits for n in (1, 2))
    np.testing.assert_array_equal(one, two)
    for threads in (0, -1, 1.5, float("nan"), "four", 10**7):
        found = f"threads: found {threads}, expected a whole number from 1 to 256"
        refuses(found, Segmenter.load, path, threads=threads)


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
def test_a_network_that_ends_in_a_sigmoid_gives_the_same_mask(threshold_model, models, kind):
    expected = Segmenter.load(models / "model.keras").segment(bars())
    found = Segmenter.from_model(threshold_model(last=SIGMOIDS[kind])).segment(bars())
    assert iou(found.mask, expected.mask) > (0.9 if kind == "resized" else 0.999)


SCALED = "expected logits; say what it is: --output probability"


@pytest.mark.parametrize(
    "message, last, output",
    [
        ("found an output after log_sigmoid", keras.layers.Activation("log_sigmoid"), None),
        ("found an output after relu, expected logits", keras.layers.ReLU(), None),
        ("found an output after softmax", keras.layers.Softmax(), None),
        # No last layer tells, but nothing is below 0.
        (SCALED, lambda x: 255 * keras.ops.sigmoid(x), None),
        (SCALED, lambda x: keras.ops.clip(keras.ops.sigmoid(x), 0, 1), None),
        ("found an output of logits by its last layer, expected probability as", None, "probability"),
        ("found an output of probability by its last layer, expected logits as", SIGMOIDS["layer"], "logits"),
    ],
)
def test_what_is_no_logit_is_refused_or_asked_for(threshold_model, message, last, output):
    with pytest.raises(InputError, match=message):
        Segmenter.from_model(threshold_model(last=last), output).segment(bars())


def test_a_saved_model_does_not_say_what_its_output_is(threshold_model, models, tmp_path):
    threshold_model(last=SIGMOIDS["layer"]).export(tmp_path / "saved", verbose=False)
    mask = Segmenter.load(tmp_path / "saved", output="probability").segment(bars()).mask
    np.testing.assert_array_equal(mask, Segmenter.load(models / "model.keras").segment(bars()).mask)
    refuses(SCALED, Segmenter.load(tmp_path / "saved").segment, bars())
    with pytest.raises(InputError, match="expected probabilities between 0 and 1: its output is logits"):
        Segmenter.load(models / "saved_model", output="probability").segment(bars())
    with pytest.raises(InputError, match="output: found 'percent', expected one of logits, probability"):
        Segmenter.load(models / "model.keras", output="percent")


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
def test_a_saved_model_that_is_never_above_0_is_refused(threshold_model, tmp_path, last, named):
    model = threshold_model(last=LOGARITHMS[last])
    if named:
        # As crass-tf export calls it.
        model = keras.Model(model.inputs[0], {"logits": model.outputs[0]})
    model.export(tmp_path / "saved", verbose=False)
    for output in (None, "logits"):
        with pytest.raises(InputError, match="saved: found an output of log-probabilities, never above 0"):
            Segmenter.load(tmp_path / "saved", output=output)


def test_logarithms_that_no_last_operation_tells_are_asked_for_but_not_logits(threshold_model, tmp_path):
    # Its largest values are the logarithm of 1 + 1e-7.
    model = threshold_model(last=lambda x: keras.ops.log(keras.ops.sigmoid(9 * x) + 1e-7))
    model.export(tmp_path / "saved", verbose=False)
    for segmenter in (Segmenter.load(tmp_path / "saved"), Segmenter.from_model(model)):
        refuses("to 1.19e-07, expected logits; say what it is: --output probability", segmenter.segment, bars())
    Segmenter.from_model(model, "logits").segment(bars())
    # Logits of a radiograph without clavicles are not taken for logarithms.
    model = threshold_model()
    model.export(tmp_path / "logits", verbose=False)
    for segmenter in (Segmenter.load(tmp_path / "logits"), Segmenter.from_model(model)):
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
def test_a_segmenter_is_pickled_and_copied(threshold_model, models, copied):
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


# One Segmenter serves many radiographs and many threads, and each result is the one it gives alone.


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


def test_segment_many_and_threads_that_share_a_segmenter_give_what_segment_gives(shipped_segmenter, radiographs):
    alone = [shipped_segmenter.segment(image) for image in radiographs]
    assert any(segmentation.mask.any() for segmentation in alone)
    for workers in (1, 4):
        for one, other in zip(shipped_segmenter.segment_many(radiographs, workers=workers), alone, strict=True):
            same(one, other)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for one, other in zip(pool.map(shipped_segmenter.segment, radiographs * 8), alone * 8, strict=True):
            same(one, other)


def test_what_cannot_be_read_is_raised_in_its_place(shipped_segmenter, radiographs, tmp_path):
    write_png(tmp_path / "good.png", radiographs[0])
    results = shipped_segmenter.segment_many([tmp_path / "good.png", tmp_path / "none.png"], spacing_mm=(0.5, 0.5))
    assert next(results).spacing_mm == (0.5, 0.5)
    with pytest.raises(InputError, match="none.png: file not found"):
        next(results)
    # One radiograph is not many.
    for one in ("folder", pathlib.Path("a.png"), b"bytes"):
        found = f"radiographs: found {type(one).__name__}, expected several"
        refuses(found, shipped_segmenter.segment_many, one)
