"""An epoch is the same whenever it is reached, and both pipelines give exactly what `augment` gives."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from crass_tf.data import pipeline
from crass_tf.data.augmentation import Augmentation
from crass_tf.data.views import View
from crass_tf.geometry import Letterbox

COUNT, BATCH, EPOCHS, SEED = 7, 3, 3, 5
SIZE = (32, 48)


def drawn():
    """Seven pictures of one grey each, 20, 40 ... 140, so that a batch tells which it holds; all masks differ."""
    images, masks = np.zeros((2, COUNT, *SIZE, 1), np.uint8)
    for k in range(COUNT):
        images[k] = 20 * (k + 1)
        masks[k, 8:24, 4 + 2 * k : 16 + 3 * k] = 1
    return images, masks


def drawn_pairs():
    images, masks = drawn()
    return list(zip(images[..., 0], masks))


def from_tf(augmentation=None, initial_epoch=0, seed=SEED):
    """All batches from an epoch on, as a list of epochs of `(images, masks)` arrays."""
    pairs = tf.data.Dataset.from_tensor_slices(drawn())
    options = dict(batch_size=BATCH, seed=seed, augmentation=augmentation, initial_epoch=initial_epoch)
    batches = list(pipeline.training_dataset(pairs, View(SIZE), epochs=EPOCHS, **options).as_numpy_iterator())
    steps = COUNT // BATCH
    assert len(batches) == steps * (EPOCHS - initial_epoch)
    return [joined(batches[i : i + steps]) for i in range(0, len(batches), steps)]


def from_arrays(augmentation=None, initial_epoch=0):
    """The same of the NumPy pipeline."""
    options = dict(batch_size=BATCH, seed=SEED, augmentation=augmentation, initial_epoch=initial_epoch)
    batches, steps = pipeline.array_batches(drawn_pairs(), SIZE, **options), COUNT // BATCH
    return [joined([batches[e * steps + step] for step in range(steps)]) for e in range(EPOCHS - initial_epoch)]


def joined(batches):
    assert all(len(part) == BATCH for batch in batches for part in batch)
    return tuple(np.concatenate(parts) for parts in zip(*batches))


def numbers(images):
    """Which pictures of `drawn` these are, by their grey."""
    return [int(image.max()) // 20 - 1 for image in images]


def assert_same(one, other):
    assert len(one) == len(other)
    for (images, masks), (other_images, other_masks) in zip(one, other):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(masks, other_masks)


def test_without_augmentation_batches_hold_the_originals():
    images, masks = drawn()
    for found_images, found_masks in from_tf():
        assert found_images.dtype == np.float32 and found_masks.dtype == np.uint8
        assert found_images.shape == found_masks.shape == (6, *SIZE, 1)
        order = numbers(found_images)
        # Seven pictures in batches of three: two batches of different pictures, one picture left out.
        assert len(set(order)) == 6
        np.testing.assert_array_equal(found_images, images[order])
        np.testing.assert_array_equal(found_masks, masks[order])


def test_order_differs_between_epochs_and_seeds():
    orders = [numbers(images) for images, _ in from_tf()]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert orders != [numbers(images) for images, _ in from_tf(seed=SEED + 1)]


@pytest.mark.parametrize("first", [0, 1, 2])
def test_both_pipelines_and_resumed_epochs_are_the_same(first):
    for epochs in (from_tf, from_arrays):
        assert_same(epochs(Augmentation(), initial_epoch=first), from_tf(Augmentation())[first:])


def test_augmented_batches_are_what_augment_gives():
    images, masks = drawn()
    augmentation = Augmentation()
    for epoch, ((plain, _), (changed, changed_masks)) in enumerate(zip(from_tf(), from_tf(augmentation))):
        for position, number in enumerate(numbers(plain)):
            pair = images[number, ..., 0], masks[number]
            image, mask = pipeline.augment_at(*pair, SEED, epoch, position, augmentation)
            np.testing.assert_array_equal(changed[position, ..., 0], image)
            np.testing.assert_array_equal(changed_masks[position], mask)


@pytest.mark.parametrize("global_seed", [0, 1])
def test_seeds_of_the_user_change_nothing(global_seed):
    expected = from_tf(Augmentation())
    # Sets those of Python, NumPy and TensorFlow.
    keras.utils.set_random_seed(global_seed)
    assert_same(from_tf(Augmentation()), expected)


def test_augmentation_differs_by_seed_epoch_and_position():
    image, mask = np.full((2, *SIZE), 100, np.uint8)
    places = [(5, 0, 0), (6, 0, 0), (5, 1, 0), (5, 0, 1)]
    results = [pipeline.augment_at(image, mask // 100, *place, Augmentation())[0].tobytes() for place in places]
    assert len(set(results)) == 4


def test_tf_batches_have_static_shapes_for_xla():
    pairs, options = tf.data.Dataset.from_tensor_slices(drawn()), dict(epochs=1, seed=0, augmentation=Augmentation())
    image, mask = pipeline.training_dataset(pairs, View(SIZE), batch_size=3, **options).element_spec
    assert (image.shape, image.dtype) == ((3, 32, 48, 1), tf.float32)
    assert (mask.shape, mask.dtype) == ((3, 32, 48, 1), tf.uint8)


def mixed_sizes():
    """Three pictures of three sizes, as the config `native` may hold them."""
    rng = np.random.default_rng(0)
    return [
        (rng.integers(1, 256, (*size, 1), dtype=np.uint8), rng.integers(0, 2, (*size, 1), dtype=np.uint8))
        for size in ((64, 96), (50, 41), (20, 70))
    ]


def as_dataset(pairs, reads):
    """Returns the pairs as a data set; each reading of one adds to `reads`."""
    spec = tf.TensorSpec((None, None, 1), tf.uint8)
    read = lambda: (reads.append(1) or pair for pair in pairs)  # noqa: E731
    dataset = tf.data.Dataset.from_generator(read, output_signature=(spec, spec))
    return dataset.apply(tf.data.experimental.assert_cardinality(len(pairs)))


def test_validation_is_complete_in_order_and_letterboxed():
    dataset = pipeline.validation_dataset(as_dataset(mixed_sizes(), []), View(SIZE), batch_size=2)
    batches = list(dataset.as_numpy_iterator())
    assert [len(images) for images, _ in batches] == [2, 1]
    images, masks = (np.concatenate(parts) for parts in zip(*batches))
    assert images.dtype == np.float32 and masks.dtype == np.uint8
    for found, found_mask, (image, mask) in zip(images, masks, mixed_sizes()):
        letterbox = Letterbox.fit(image.shape[:2], SIZE)
        np.testing.assert_array_equal(found[..., 0], letterbox.image_to_model(image[..., 0]))
        np.testing.assert_array_equal(found_mask[..., 0], letterbox.mask_to_model(mask[..., 0]))
    # The same when it is read again.
    for batch, again in zip(batches, dataset.as_numpy_iterator()):
        np.testing.assert_array_equal(batch[0], again[0])


def test_training_letterboxes_too_and_decodes_once():
    reads = []
    dataset = as_dataset(mixed_sizes(), reads)
    batches = pipeline.training_dataset(dataset, View(SIZE), batch_size=1, epochs=4, seed=0, augmentation=None)
    found = {batch[0].tobytes() for batch in batches.as_numpy_iterator()}
    expected = {
        Letterbox.fit(image.shape[:2], SIZE).image_to_model(image[..., 0]).astype(np.float32).tobytes()
        for image, _ in mixed_sizes()
    }
    assert found == expected
    # Four epochs of three: kept in memory after the first.
    assert len(reads) == 3


@pytest.mark.filterwarnings("ignore:.*PyDataset")
def test_fit_sees_each_epochs_batches():
    # A network that returns its input, and the mean grey as its loss: an epoch's loss tells which pictures it saw.
    model = keras.Sequential([keras.Input((*SIZE, 1)), keras.layers.Conv2D(1, 1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.0), lambda y_true, y_pred: keras.ops.mean(y_pred))
    expected = [np.mean(images) for images, _ in from_arrays(Augmentation())]
    assert len(set(expected)) == EPOCHS
    for first in (0, 1):
        options = dict(batch_size=BATCH, seed=SEED, augmentation=Augmentation(), initial_epoch=first)
        batches = pipeline.array_batches(drawn_pairs(), SIZE, **options)
        history = model.fit(batches, epochs=EPOCHS, initial_epoch=first, steps_per_epoch=2, verbose=0).history
        np.testing.assert_allclose(history["loss"], expected[first:], rtol=1e-5)


def test_supervised_pairs_of_a_prepared_split(prepared):
    pairs = pipeline.supervised("crass12", "32x64", "train", prepared)
    assert pipeline.config_size("crass12", "32x64", prepared) == (32, 64) and int(pairs.cardinality()) == 6
    image, mask = next(pairs.as_numpy_iterator())
    assert image.shape == mask.shape == (32, 64, 1) and set(np.unique(mask)) == {0, 1}
    assert pipeline.config_size("crass12", "native", prepared) is None
    assert int(pipeline.supervised("crass12", "native", "validation", prepared).cardinality()) == 2
