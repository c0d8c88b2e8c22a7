"""Batches for training and validation: as a `tf.data.Dataset`, and from NumPy arrays as a `keras.utils.PyDataset`.

Both draw the order of an epoch from (seed, epoch) and each example's augmentation from (seed, epoch, position): an
epoch is the same in both, and whether training ran up to it or was resumed at it.
"""

import numpy as np

from crass_tf.data.augmentation import augment
from crass_tf.data.loading import IMAGE, MASK, check_split, labelled_builder, prepared_builder, read


def training_dataset(dataset, view, *, batch_size, epochs, seed, augmentation, initial_epoch=0):
    """Returns the batches of all epochs from `initial_epoch` on, shuffled and augmented, as a `tf.data.Dataset`.

    Args:
        dataset: `tf.data.Dataset` of `(image, mask)` as `tfds.load(..., as_supervised=True)` gives them, any sizes.
        view: the `views.View` of the network.
        batch_size: examples in each batch; an epoch's last, incomplete batch is left out, so that XLA compiles once.
        epochs: the last epoch's number plus 1.
        seed: order and augmentation are a function of seed and epoch.
        augmentation: an `Augmentation`, or None for none.
        initial_epoch: where to begin.

    Returns:
        Batches `(image, mask)`: float32 and uint8 `[B, H, W, 1]`.
    """
    import tensorflow as tf

    # Decoded and brought to the view once: 0.5 MB for each 512 x 512 example.
    pairs = list(mapped(dataset, view.prepare).as_numpy_iterator())

    def change(epoch, position, number):
        image, mask = (part[:, :, 0] for part in pairs[number])
        image, mask = augment_at(image, mask, seed, epoch, position, augmentation, view.image_size)
        return image[:, :, None], mask[:, :, None]

    def change_tensors(*place):
        return _with_shape(tf.numpy_function(change, place, (tf.uint8, tf.uint8)), view.image_size)

    def epoch_batches(epoch):
        # Not `Dataset.shuffle`: its order depends on TensorFlow's global seed, too, and on the iterations before.
        order = tf.numpy_function(lambda epoch: epoch_order(len(pairs), seed, epoch), (epoch,), tf.int64)
        order.set_shape((len(pairs),))
        places = tf.data.Dataset.from_tensor_slices(order).enumerate()
        changed = places.map(
            lambda position, number: change_tensors(epoch, position, number),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return changed.batch(batch_size, drop_remainder=True)

    batches = tf.data.Dataset.range(initial_epoch, epochs).flat_map(epoch_batches)
    return batches.map(lambda image, mask: (tf.cast(image, tf.float32), mask)).prefetch(tf.data.AUTOTUNE)


def validation_dataset(dataset, view, *, batch_size):
    """Returns the examples in order, as the view shows them, in batches as `training_dataset` gives them."""
    import tensorflow as tf

    batches = mapped(dataset, view.fit, view.image_size).cache().batch(batch_size)
    return batches.map(lambda image, mask: (tf.cast(image, tf.float32), mask)).prefetch(tf.data.AUTOTUNE)


def supervised(dataset, config, split, data_dir=None, image_ids=None):
    """Returns the `(image, mask)` of a prepared data set's split as a `tf.data.Dataset`.

    Args:
        dataset: the data set's name.
        config: its config.
        split: a split's name, or a TFDS expression such as `train+validation`.
        data_dir: where it was prepared; None is TFDS' default.
        image_ids: names of the only radiographs that are wanted, all of them in the split; None for all.

    Raises:
        InputError: as in `loading.examples`.
    """
    builder = labelled_builder(dataset, config, data_dir)
    check_split(builder, split)
    return read(builder, split, image_ids).map(lambda features: (features[IMAGE], features[MASK]))


def config_size(dataset, config, data_dir=None):
    """Returns `(height, width)` of the images of a prepared data set's config, or None where they differ."""
    image_size = prepared_builder(dataset, config, data_dir).info.features[IMAGE].shape[:2]
    return None if None in image_size else tuple(image_size)


def mapped(dataset, function, size=(None, None)):
    """Maps `(image, mask)`, uint8 `[H, W, 1]`, by a function of two `[H, W]` whose results are of `size`."""
    import tensorflow as tf

    def change(image, mask):
        image, mask = function(image[:, :, 0], mask[:, :, 0])
        return image[:, :, None], mask[:, :, None]

    def change_tensors(image, mask):
        return _with_shape(tf.numpy_function(change, (image, mask), (tf.uint8, tf.uint8)), size)

    return dataset.map(change_tensors, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def array_batches(images, masks, *, batch_size, seed, augmentation, initial_epoch=0, image_size=None):
    """Returns a `keras.utils.PyDataset` of shuffled and augmented batches of arrays, for any Keras backend.

    It has no end, as it holds the batches of all epochs from `initial_epoch` on: `fit` needs its `steps_per_epoch`,
    `len(images) // batch_size`.

    Args:
        images: uint8 `[N, H, W, 1]`.
        masks: uint8 `[N, H, W, 1]` of 0 and 1.
        batch_size: as in `training_dataset`, as are the others.
        image_size: `(height, width)` of the batches; None is the arrays'.
    """
    import keras

    steps = len(images) // batch_size

    class ArrayBatches(keras.utils.PyDataset):
        """The batches of all epochs, one after the other and without end.

        Were it one epoch long, Keras would shuffle its batches by a generator that nobody seeds, and would announce an
        epoch's end before the first.
        """

        num_batches = None

        def __getitem__(self, index):
            epoch, step = divmod(index, steps)
            epoch += initial_epoch
            order = epoch_order(len(images), seed, epoch)
            pairs = [
                augment_at(images[n, :, :, 0], masks[n, :, :, 0], seed, epoch, position, augmentation, image_size)
                for position, n in list(enumerate(order))[step * batch_size : (step + 1) * batch_size]
            ]
            changed, changed_masks = (np.stack(part)[..., None] for part in zip(*pairs))
            return changed.astype(np.float32), changed_masks

    return ArrayBatches()


def epoch_order(count, seed, epoch):
    """Returns the order of `count` examples in an epoch, int64 `[count]`."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def augment_at(image, mask, seed, epoch, position, augmentation, size=None):
    """Returns the augmented `(image, mask)` that belongs to this place of this epoch; both uint8 of `size`.

    Without augmentation it is the middle of what `View.prepare` gave.
    """
    if augmentation is None:
        return _middle(image, size), _middle(mask, size)
    return augment(image, mask, augmentation, np.random.default_rng([seed, epoch, position]), size)


def _middle(image, size):
    if size is None:
        return image
    top, left = ((side - wanted) // 2 for side, wanted in zip(image.shape, size))
    return image[top : top + size[0], left : left + size[1]]


def _with_shape(tensors, image_size):
    for tensor in tensors:
        tensor.set_shape((*image_size, 1))
    return tuple(tensors)
