"""The clavicle model as one graph: shapes, polarity, score, saving, batches, both backends' operations."""

import keras
import numpy as np
import pytest
from refusals import refuses

from crass_tf.measurement.metrics import iou
from crass_tf.model import clavicle_model, networks, unet
from crass_tf.model import clavicles as module

SMALL = (4, 8, 8, 8, 8)


def radiograph():
    """Two bright bars, float32 `[1, 128, 256, 1]`: 8 rows from 40 on, columns 20 to 99 and 150 to 239."""
    image = np.full((1, 128, 256, 1), 40, np.float32)
    image[:, 40:48, 20:100] = image[:, 40:48, 150:240] = 220
    return image


@pytest.fixture(scope="module")
def bright(threshold_model, sided_finder):
    return clavicle_model(sided_finder((64, 128)), threshold_model(image_size=(64, 128)), (128, 256))


def test_clavicles_come_back_on_the_images_grid_and_what_is_not_there_has_no_score(bright):
    outputs = bright.predict_on_batch(radiograph())
    shapes = {"logits": (1, 64, 128, 2), "score": (1, 2), "strip_logits": (1, 2, 64, 128)}
    assert {name: values.shape for name, values in outputs.items()} == shapes | {"strip_matrices": (1, 2, 2, 3)}
    truth = radiograph()[0, ::2, ::2, 0] > 128
    for side, half in enumerate((slice(0, 64), slice(64, 128))):
        found = outputs["logits"][0, ..., side] > 0
        assert not np.delete(found, np.r_[half], axis=1).any() and iou(found[:, half], truth[:, half]) > 0.85
    # A bar of 8 x 80: 0.1 of its length squared; it is as stable as edges of one pixel are.
    assert (outputs["score"] > 0.6).all()
    # The left one is not there, or none.
    one = radiograph()
    one[:, :, 128:] = 40
    scores = bright.predict_on_batch(np.concatenate([one, np.full_like(one, 40)]))["score"]
    assert scores[0, 0] > 0.6 and scores[0, 1] < 0.01 and (scores[1] < 0.01).all()


def test_a_batch_gives_what_its_images_give(bright):
    images = np.concatenate([radiograph(), radiograph()[:, ::-1], np.zeros_like(radiograph())])
    together = bright.predict_on_batch(images)
    for name, values in together.items():
        alone = np.concatenate([bright.predict_on_batch(image[None])[name] for image in images])
        np.testing.assert_allclose(values, alone, atol=1e-4)


def test_polarity_is_settled_for_the_whole_radiograph():
    # Bones of 200 on lung of 100, found where they are; the lower rows are lung.
    strip = np.full((1, 2, 64, 128), 100, np.float32)
    strip[:, :, 24:40] = 200
    found = np.zeros((1, 2, 8, 16), np.float32)
    found[:, :, 3:5] = 1
    np.testing.assert_array_equal(module.unify_polarity(strip, found), strip)
    np.testing.assert_array_equal(module.unify_polarity(255 - strip, found), strip)
    # One side contradicts, by less: the radiograph is inverted as a whole.
    mixed = 255 - strip
    mixed[:, 1] = 120 + 0.1 * (strip[:, 1] - 100)
    np.testing.assert_allclose(module.unify_polarity(mixed, found)[:, 0], strip[:, 0])
    np.testing.assert_array_equal(module.unify_polarity(strip, np.zeros_like(found)), strip)


def test_scores_by_hand():
    logits = np.full((1, 2, 64, 128), -5, np.float32)
    # 16 rows of 96 columns, sure of all: 1536 pixels / (0.72 x 128)^2 = 0.18.
    logits[0, 0, 24:40, 16:112] = 5
    # The same with half of the rows between 1/4 and 3/4.
    logits[0, 1, 24:40, 16:112] = 5
    logits[0, 1, 32:40, 16:112] = 0.5
    found = np.zeros((1, 2, 8, 16), np.float32)
    found[0, :, 3:5, 2:14] = 0.9
    np.testing.assert_allclose(module.score(logits, found), [[1, 0.5]], atol=1e-3)
    # The finder saw a quarter of it: 0.2 + 1.6 x 0.25.
    found[0, 0, 3:5, 5:14] = 0
    assert np.asarray(module.score(logits, found))[0, 0] == pytest.approx(0.6, abs=1e-3)
    found[:] = 0
    np.testing.assert_allclose(module.score(logits, found), [[0.2, 0.1]], atol=1e-3)


def test_what_two_clavicles_cannot_be_and_two_doubtful_ones_are_refused():
    scores = np.float32([[0.65, 0.6], [0.55, 0.72], [0.3, 0.9], [0, 0]])
    # 0.7 x 0.65 and 0.7 x 0.6; the others have a sure one, or nothing.
    expected = [[0.455, 0.42], [0.55, 0.72], [0.3, 0.9], [0, 0]]
    np.testing.assert_allclose(module.lower_doubtful(scores), expected, atol=1e-6)
    # Lengths of 80 and 60, 70 in the mean: 49 to 196 pixels apart, at most 70 up or down.
    length = np.float32([[80, 60]])
    for x, y, possible in ((50, 0, 1), (48, 0, 0), (190, 0, 1), (200, 0, 0), (-100, 0, 0), (100, 66, 1), (100, -74, 0)):
        centre = np.float32([[[100, 150], [100 + x, 150 + y]]])
        assert np.asarray(module.can_be(centre, length, 500)).tolist() == [[possible]]
    # 0.04 x 500: nothing was found of the second one.
    assert np.asarray(module.can_be(centre, np.float32([[80, 20]]), 500)).tolist() == [[1]]


def test_it_opens_alone_holds_its_networks_and_trains_end_to_end(tmp_path):
    model = clavicle_model(unet((32, 32), SMALL, classes=2), unet((32, 64), SMALL, seed=1), (64, 64))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    image = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 1)).astype(np.float32)
    for name, values in loaded.predict_on_batch(image).items():
        np.testing.assert_array_equal(values, model.predict_on_batch(image)[name])
    assert [network.input_shape for network in networks(loaded).values()] == [(None, 32, 32, 1), (None, 32, 64, 1)]
    mask = (image[:, ::2, ::2] > 250).repeat(2, axis=-1).astype(np.uint8)
    model.compile("sgd", loss={"logits": keras.losses.BinaryCrossentropy(from_logits=True)})
    model.fit(image, {"logits": mask}, batch_size=2, verbose=0)
    before, after = (networks(each)["outliner"].get_weights() for each in (loaded, model))
    assert any((a != b).any() for a, b in zip(before, after))


def test_networks_that_do_not_fit():
    refuses("expected one with the layers finder, outliner", networks, unet((32, 32), SMALL))
    finder, outliner = unet((32, 32), SMALL, classes=2), unet((32, 64), SMALL)
    one_class, two_classes = unet((32, 32), SMALL), unet((32, 64), SMALL, classes=2)
    refuses("finder: found .* expected two classes", clavicle_model, one_class, outliner, (64, 64))
    refuses("finder: .* whole multiple", clavicle_model, finder, outliner, (80, 80))
    refuses("outliner: .* expected one class", clavicle_model, finder, two_classes, (64, 64))
