"""Batches for training and validation: as a `tf.data.Dataset`, and from NumPy arrays as a `keras.utils.PyDataset`.

Both draw the order of an epoch from (seed, epoch) and each example's augmentation from (seed, epoch, position): an
epoch is the same in both, in a resumed run, too.
"""

import concurrent.futures
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from crass_tf.common.types import PathLike
from crass_tf.data.augmentation import Augmentation, augment
from crass_tf.data.loading import IMAGE, MASK, iterate, labelled_builder, prepared_builder, read
from crass_tf.data.views import View

Pair = tuple[np.ndarray, np.ndarray]


def training_dataset(dataset: Any, view: View, **options: Any) -> Any:
    """Returns the batches of all epochs of a `tf.data.Dataset`, shuffled and augmented.

    Args:
        dataset: `tf.data.Dataset` of `(image, mask)` as `tfds.load(..., as_supervised=True)` gives them, any sizes.
        view: the `views.View` of the network.
        **options: those of `training_batches`.
    """
    # Decoded once: 0.5 MB for each 512 x 512 example.
    return training_batches(prepared(dataset, view.prepare), view, **options)


def training_batches(
    pairs: Sequence[Pair],
    view: View,
    *,
    batch_size: int,
    epochs: int,
    seed: int,
    augmentation: Augmentation | None,
    initial_epoch: int = 0,
) -> Any:
    """Returns the batches of all epochs from `initial_epoch` on, shuffled and augmented, as a `tf.data.Dataset`.

    Args:
        pairs: `[(image, mask), ...]` as `prepared` returns them, by `View.prepare`.
        view: the `views.View` of the network.
        batch_size: examples in each batch; an epoch's last, incomplete batch is left out, so that XLA compiles once.
        epochs: the last epoch's number plus 1.
        seed: order and augmentation are a function of seed and epoch.
        augmentation: an `Augmentation`, or None for none.
        initial_epoch: where to begin.

    Returns:
        Batches `(image, mask)`: float32 `[B, H, W, 1]` and uint8 `[B, H, W, C]`.
    """
    import tensorflow as tf

    def change(epoch, position, number):
        image, mask = pairs[int(number)]
        image, mask = augment_at(image, mask, seed, epoch, position, augmentation, view.image_size)
        return image[:, :, None], mask

    def epoch_batches(epoch):
        def change_tensors(position, number):
            image, mask = tf.numpy_function(change, (epoch, position, number), (tf.uint8, tf.uint8))
            image.set_shape((*view.image_size, 1))
            mask.set_shape((*view.image_size, view.channels))
            return tf.cast(image, tf.float32), mask

        # Not `Dataset.shuffle`: its order depends on TensorFlow's global seed, too, and on the iterations before.
        order = tf.numpy_function(lambda epoch: epoch_order(len(pairs), seed, epoch), (epoch,), tf.int64)
        order.set_shape((len(pairs),))
        places = tf.data.Dataset.from_tensor_slices(order).enumerate()
        changed = places.map(change_tensors, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return changed.batch(batch_size, drop_remainder=True)

    return tf.data.Dataset.range(initial_epoch, epochs).flat_map(epoch_batches).prefetch(tf.data.AUTOTUNE)


def validation_dataset(dataset: Any, view: View, *, batch_size: int) -> Any:
    """Returns the examples in order, as the view shows them, in batches as `training_dataset` gives them."""
    import tensorflow as tf

    images, masks = (np.stack(part) for part in zip(*prepared(dataset, view.fit)))
    batches = tf.data.Dataset.from_tensor_slices((images[..., None], masks)).batch(batch_size)
    return batches.map(lambda image, mask: (tf.cast(image, tf.float32), mask)).prefetch(tf.data.AUTOTUNE)


def prepared(dataset: Any, function: Callable[[np.ndarray, np.ndarray], list[Pair]]) -> list[Pair]:
    """Returns `[(image, mask), ...]`, uint8 `[H, W]` and `[H, W, C]`: what `View.fit` or `prepare` makes of a data set.

    `dataset` is a `tf.data.Dataset` of `(image, mask)`, uint8 `[H, W, 1]` each, any sizes.
    """
    with concurrent.futures.ThreadPoolExecutor() as threads:
        radiographs = ((image[:, :, 0], mask[:, :, 0]) for image, mask in iterate(dataset))
        return [pair for pairs in threads.map(lambda pair: function(*pair), radiographs) for pair in pairs]


def supervised(
    dataset: str, config: str, split: str, data_dir: PathLike | None = None, image_ids: Sequence[str] | None = None
) -> Any:
    """Returns the `(image, mask)` of a prepared data set's split as a `tf.data.Dataset`.

    Arguments and errors are those of `loading.examples`, but that all `image_ids` have to be in the split.
    """
    features = read(labelled_builder(dataset, config, split, data_dir), split, image_ids)
    return features.map(lambda features: (features[IMAGE], features[MASK]))


def config_size(dataset: str, config: str, data_dir: PathLike | None = None) -> tuple[int, int] | None:
    """Returns `(height, width)` of the images of a prepared data set's config, or None where they differ."""
    image_size = prepared_builder(dataset, config, data_dir).info.features[IMAGE].shape[:2]
    return None if None in image_size else tuple(image_size)


def array_batches(
    pairs: Sequence[Pair],
    image_size: tuple[int, int],
    *,
    batch_size: int,
    seed: int,
    augmentation: Augmentation | None,
    initial_epoch: int = 0,
) -> Any:
    """Returns a `keras.utils.PyDataset` of shuffled and augmented batches of arrays, for any Keras backend.

    `image_size` is `(height, width)` of the batches; the other arguments are as in `training_batches`. It has no end,
    as it holds the batches of all epochs from `initial_epoch` on: `fit` needs its `steps_per_epoch`,
    `len(pairs) // batch_size`.
    """
    import keras

    steps = len(pairs) // batch_size

    class ArrayBatches(keras.utils.PyDataset):
        # With one epoch's length, Keras would shuffle the batches by an unseeded generator, and would announce
        # an epoch's end before the first.
        num_batches = None

        def __getitem__(self, index):
            epoch, step = divmod(index, steps)
            epoch += initial_epoch
            order = epoch_order(len(pairs), seed, epoch)
            changed = [
                augment_at(*pairs[int(order[position])], seed, epoch, position, augmentation, image_size)
                for position in range(step * batch_size, (step + 1) * batch_size)
            ]
            images, masks = (np.stack(part) for part in zip(*changed))
            return images[..., None].astype(np.float32), masks

    return ArrayBatches()


def epoch_order(count: int, seed: int, epoch: int) -> np.ndarray:
    """Returns the order of `count` examples in an epoch, int64 `[count]`."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def augment_at(
    image: np.ndarray,
    mask: np.ndarray,
    seed: int,
    epoch: int,
    position: int,
    augmentation: Augmentation | None,
    size: tuple[int, int] | None = None,
) -> Pair:
    """Returns the augmented `(image, mask)` of this place of this epoch: uint8 `[h, w]` and `[h, w, C]` of `size`.

    Without augmentation it is the centre of what `View.prepare` gave.
    """
    if augmentation is not None:
        return augment(image, mask, augmentation, np.random.default_rng([seed, epoch, position]), size)
    height, width = size or image.shape
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    middle = slice(top, top + height), slice(left, left + width)
    return image[middle], mask[middle]
