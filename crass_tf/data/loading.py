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
    """The examples of one split in the order of the prepared files, decoded while iterating; `len()` works."""

    def __init__(self, builder, split):
        self._builder, self._split = builder, split

    def __len__(self):
        return self._builder.info.splits[self._split].num_examples

    def __iter__(self):
        import tensorflow_datasets as tfds

        for features in tfds.as_numpy(self._builder.as_dataset(split=self._split, shuffle_files=False)):
            yield _to_example(features)


def examples(dataset=DEFAULT_DATASET, split="validation", data_dir=None, config=NATIVE_CONFIG):
    """Returns the `Examples` of a prepared data set's split.

    Args:
        dataset: the data set's name.
        split: `train` or `validation`, or what TFDS allows beyond (`train[:10]`).
        data_dir: where it was prepared; None is TFDS' default.
        config: `native` or `HxW`.

    Raises:
        InputError: where it has not been prepared there, or has no such split.
    """
    builder = prepared_builder(dataset, config, data_dir)
    try:
        builder.info.splits[split].num_examples  # noqa: B018
    except (KeyError, ValueError):
        raise InputError(f"split: found {split!r}, expected one of {sorted(builder.info.splits)}") from None
    return Examples(builder, split)


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
            + (f" --data-dir {data_dir}" if data_dir else "")
            + (f" --config {config}" if config != NATIVE_CONFIG else "")
        ) from None


def load_arrays(dataset=DEFAULT_DATASET, config=DEFAULT_CONFIG, split="train", data_dir=None, image_size=None):
    """Returns a split as NumPy arrays on the model's grid, for training without `tf.data` (the JAX backend).

    Args:
        image_size: `(height, width)` of the grid; None takes the config's.

    Returns:
        `(images, masks)`: uint8 `[N, H, W, 1]`, grey values and 0/1.
    """
    found = [to_grid(e.image, e.mask, image_size or e.image.shape) for e in examples(dataset, split, data_dir, config)]
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


def _to_example(features):
    spacing_mm = tuple(float(s) for s in features["spacing_mm"])
    return Example(
        features["image_id"].decode(),
        features["image"][:, :, 0],
        features["segmentation_mask"][:, :, 0],
        None if np.isnan(spacing_mm).any() else spacing_mm,
    )
