"""Prepared TFDS data sets as examples, arrays or a `tf.data.Dataset` on the model's grid."""

import collections.abc
import dataclasses

import numpy as np

from crass_tf.files import InputError
from crass_tf.geometry import Letterbox

DEFAULT_DATASET = "crass12"
DEFAULT_CONFIG = "512x512"
# The config that `tfds.load("crass12")` means.
NATIVE_CONFIG = "native"
# Features that are pictures.
IMAGE, MASK = "image", "segmentation_mask"


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """A radiograph with its mask.

    Attributes:
        image_id: the radiograph's name.
        image: uint8 `[H, W]`.
        mask: uint8 `[H, W]` of 0 and 1.
        spacing_mm: `(row, column)`, or None where unknown.
    """

    image_id: str
    image: np.ndarray
    mask: np.ndarray
    spacing_mm: tuple[float, float] | None


class Examples(collections.abc.Iterable):
    """Examples of one split in the order of the prepared files, decoded while iterating; `len()` works."""

    def __init__(self, builder, split, image_ids=None):
        self._builder, self._split, self._image_ids = builder, split, image_ids

    def __len__(self):
        if self._image_ids is None:
            return self._builder.info.splits[self._split].num_examples
        return len(self._image_ids)

    def __iter__(self):
        for features in read(self._builder, self._split, self._image_ids).as_numpy_iterator():
            yield _to_example(features)


def examples(dataset=DEFAULT_DATASET, split="validation", data_dir=None, config=NATIVE_CONFIG, image_ids=None):
    """Returns the `Examples` of a prepared data set's split.

    Args:
        dataset: the data set's name.
        split: `train` or `validation`, or what TFDS allows beyond (`train[:10]`, `train+validation`).
        data_dir: where it was prepared; None is TFDS' default.
        config: `native` or `HxW`.
        image_ids: names of the only radiographs that are wanted; None for all.

    Raises:
        InputError: where it has not been prepared there, has no such split, lacks one of the names, or where the config
            holds no masks or 16-bit grey values.
    """
    builder = labelled_builder(dataset, config, data_dir)
    check_split(builder, split)
    if image_ids is not None:
        _check_names(builder, split, image_ids)
    return Examples(builder, split, image_ids)


def default_splits(dataset=DEFAULT_DATASET, config=NATIVE_CONFIG, data_dir=None):
    """Returns `(training, validation)`, the splits that a command uses where it is told none.

    They are `train` and `validation`; a data set that lacks them gives its first and its last split in name order.
    """
    names = sorted(prepared_builder(dataset, config, data_dir).info.splits)
    training = "train" if "train" in names else names[0]
    others = [name for name in names if name != training] or names
    return training, "validation" if "validation" in others else others[-1]


def split_ids(dataset, split, data_dir=None, config=NATIVE_CONFIG):
    """Returns the image ids of a split in the order of the prepared files; errors as in `examples`."""
    builder = labelled_builder(dataset, config, data_dir)
    check_split(builder, split)
    return _read_ids(builder, split)


def labelled_builder(dataset, config, data_dir=None):
    """Returns the builder as `prepared_builder` does; InputError where it holds no masks or other than 8-bit images."""
    builder = prepared_builder(dataset, config, data_dir)
    features = builder.info.features
    if MASK not in features:
        raise InputError(f"{dataset}/{config}: holds no masks ({MASK}), which training and scoring need")
    if features[IMAGE].np_dtype != np.uint8:
        raise InputError(f"{dataset}/{config}: holds 16-bit grey values; use {NATIVE_CONFIG} or HxW")
    return builder


def check_split(builder, split):
    """Raises InputError unless `split`, a name or a TFDS expression, holds radiographs of the prepared data set."""
    place = f"{builder.info.name}/{builder.info.config_name}"
    try:
        count = builder.info.splits[split].num_examples
    except (KeyError, ValueError):
        expected = f"expected one of {sorted(builder.info.splits)} or an expression such as train+validation"
        raise InputError(f"{place}: found no split {split!r}, {expected}") from None
    if count < 1:
        raise InputError(f"{place}: split {split!r} holds no radiograph")


def read(builder, split, image_ids=None):
    """Returns a `tf.data.Dataset` of a split's features in the order of the files, its length known.

    Args:
        builder: a TFDS builder, prepared.
        split: a split that it has.
        image_ids: the only radiographs that are wanted, all of them there; others are not decoded. None for all.
    """
    if image_ids is None:
        return builder.as_dataset(split=split, shuffle_files=False)
    import tensorflow as tf

    wanted = tf.constant(list(image_ids), tf.string)

    def is_wanted(features):
        return tf.reduce_any(features["image_id"] == wanted)

    def decode(features):
        return features | {name: builder.info.features[name].decode_example(features[name]) for name in (IMAGE, MASK)}

    chosen = (
        _read_undecoded(builder, split)
        .filter(is_wanted)
        .map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    )
    return chosen.apply(tf.data.experimental.assert_cardinality(len(image_ids)))


def prepared_builder(dataset, config, data_dir=None):
    """Returns the TFDS builder of a data set that `crass-tf build` has prepared; raises InputError otherwise."""
    import tensorflow_datasets as tfds

    try:
        # From the prepared files alone: works for configs that are not among the builder's own, too.
        return tfds.core.read_only_builder.builder_from_files(f"{dataset}/{config}", data_dir=data_dir)
    except (tfds.core.registered.DatasetNotFoundError, FileNotFoundError):
        place = f"in {data_dir}" if data_dir else "in TFDS' default folder"
        raise InputError(
            f"{dataset}/{config}: not found {place}; build it with: crass-tf build --manual-dir FOLDER"
            + (f" --dataset {dataset}" if dataset != DEFAULT_DATASET else "")
            + (f" --data-dir {data_dir}" if data_dir else "")
            + (f" --config {config}" if config != NATIVE_CONFIG else "")
        ) from None


def load_arrays(
    dataset=DEFAULT_DATASET, config=DEFAULT_CONFIG, split="train", data_dir=None, image_size=None, image_ids=None
):
    """Returns a split as NumPy arrays on the model's grid, for training without `tf.data` (the JAX backend).

    Args:
        dataset: as in `examples`, as are the others.
        image_size: `(height, width)` of the grid; None takes the config's.

    Returns:
        `(images, masks)`: uint8 `[N, H, W, 1]`, grey values and 0/1.
    """
    chosen = examples(dataset, split, data_dir, config, image_ids)
    found = [to_grid(e.image, e.mask, image_size or e.image.shape) for e in chosen]
    if len({image.shape for image, _ in found}) > 1:
        raise InputError(f"{dataset}/{config}: found radiographs of several sizes, expected image_size=(height, width)")
    images, masks = zip(*found)
    return np.stack(images)[..., None], np.stack(masks)[..., None]


def to_grid(image, mask, image_size):
    """Returns `(image, mask)`, both uint8 `[H, W]`, letterboxed to `image_size`; unchanged where they fit."""
    letterbox = Letterbox.fit(image.shape, image_size)
    if letterbox.native == letterbox.model:
        return image, mask
    return letterbox.image_to_model(image), letterbox.mask_to_model(mask)


def _read_ids(builder, split):
    stored = _read_undecoded(builder, split).map(lambda features: features["image_id"])
    return [name.decode() for name in stored.as_numpy_iterator()]


def _read_undecoded(builder, split):
    """Returns the features of a split with pictures as the bytes that are stored."""
    import tensorflow_datasets as tfds

    # Not PartialDecoding, which would skip them altogether: it logs a warning that means nothing to a user.
    decoders = {name: tfds.decode.SkipDecoding() for name in (IMAGE, MASK)}
    return builder.as_dataset(split=split, shuffle_files=False, decoders=decoders)


def _check_names(builder, split, image_ids):
    lacking = sorted(set(image_ids) - set(_read_ids(builder, split)))
    if lacking:
        place = f"{builder.info.name}/{builder.info.config_name}, split {split}"
        raise InputError(
            f"{place}: lacks {len(lacking)} of the {len(image_ids)} radiographs wanted, {lacking[0]!r} first"
        )


def _to_example(features):
    spacing_mm = tuple(float(s) for s in features["spacing_mm"])
    return Example(
        features["image_id"].decode(),
        features[IMAGE][:, :, 0],
        features[MASK][:, :, 0],
        None if np.isnan(spacing_mm).any() else spacing_mm,
    )
