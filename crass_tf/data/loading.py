"""Prepared TFDS data sets as examples, arrays or a `tf.data.Dataset` on the model's grid.

In all functions `dataset` is a data set's name, `config` is `native` or `HxW`, `split` is `train`, `validation` or what
TFDS allows beyond (`train[:10]`, `train+validation`), `data_dir` is where it was prepared, None for TFDS' default, and
`image_ids` names the only radiographs that are wanted, None for all.
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from crass_tf.common.files import InputError, data_path, one_line, remote_url
from crass_tf.common.types import PathLike, Spacing
from crass_tf.geometry import Letterbox

DEFAULT_DATASET = "crass12"
DEFAULT_CONFIG = "512x512"
# The config that `tfds.load("crass12")` means.
NATIVE_CONFIG = "native"
# What describes a prepared data set; TFDS writes the first one last.
DESCRIPTION = INFO, FEATURES = ("dataset_info.json", "features.json")
# Features that are pictures.
IMAGE, MASK = "image", "segmentation_mask"


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """A radiograph with its mask."""

    image_id: str  # the radiograph's name
    image: np.ndarray  # uint8 [H, W]
    mask: np.ndarray  # uint8 [H, W] of 0 and 1
    spacing_mm: Spacing | None  # (row, column), None where unknown


class Examples(Iterable[Example]):
    """Examples of one split in the order of the prepared files, decoded while iterating; `len()` works."""

    def __init__(self, builder: Any, split: str, image_ids: Sequence[str] | None = None) -> None:
        self._builder, self._split, self._image_ids = builder, split, image_ids

    def __len__(self) -> int:
        if self._image_ids is None:
            return self._builder.info.splits[self._split].num_examples
        return len(self._image_ids)

    def __iter__(self) -> Iterator[Example]:
        for features in iterate(read(self._builder, self._split, self._image_ids), self._builder):
            row_mm, column_mm = (float(side) for side in features["spacing_mm"])
            yield Example(
                features["image_id"].decode(),
                features[IMAGE][:, :, 0],
                features[MASK][:, :, 0],
                None if np.isnan(row_mm + column_mm) else (row_mm, column_mm),
            )


def examples(
    dataset: str = DEFAULT_DATASET,
    split: str = "validation",
    data_dir: PathLike | None = None,
    config: str = NATIVE_CONFIG,
    image_ids: Sequence[str] | None = None,
) -> Examples:
    """Returns the `Examples` of a prepared data set's split.

    Raises:
        InputError: where it has not been prepared there, has no such split, lacks one of the names, or where the config
            holds no masks or 16-bit grey values.
    """
    builder = labelled_builder(dataset, config, split, data_dir)
    if image_ids is not None:
        image_ids = sorted(set(image_ids))
        if not image_ids:
            raise InputError("image_ids: found none, expected the name of a radiograph, or None for all")
        if lacking := sorted(set(image_ids) - set(_read_ids(builder, split))):
            wanted = f"lacks {len(lacking)} of the {len(image_ids)} radiographs wanted, {lacking[0]!r} first"
            raise InputError(f"{dataset}/{config}, split {split}: {wanted}")
    return Examples(builder, split, image_ids)


def default_splits(
    dataset: str = DEFAULT_DATASET, config: str = NATIVE_CONFIG, data_dir: PathLike | None = None
) -> tuple[str, str]:
    """Returns `(training, validation)`, the splits that a command uses where it is told none.

    They are `train` and `validation`; a data set that lacks them gives its first and its last split in name order.
    """
    names = sorted(prepared_builder(dataset, config, data_dir).info.splits)
    training = "train" if "train" in names else names[0]
    others = [name for name in names if name != training] or names
    return training, "validation" if "validation" in others else others[-1]


def split_ids(dataset: str, split: str, data_dir: PathLike | None = None, config: str = NATIVE_CONFIG) -> list[str]:
    """Returns the image ids of a split in the order of the prepared files; errors as in `examples`."""
    return _read_ids(labelled_builder(dataset, config, split, data_dir), split)


def labelled_builder(dataset: str, config: str, split: str, data_dir: PathLike | None = None) -> Any:
    """Returns the TFDS builder of a prepared data set that can be trained on.

    InputError where it holds no masks or other than 8-bit images, or where `split` names no radiograph.
    """
    builder, place = prepared_builder(dataset, config, data_dir), f"{dataset}/{config}"
    features, splits = builder.info.features, builder.info.splits
    if MASK not in features:
        raise InputError(f"{place}: holds no masks ({MASK}), which training and scoring need")
    if features[IMAGE].np_dtype != np.uint8:
        raise InputError(f"{place}: holds 16-bit grey values; use {NATIVE_CONFIG} or HxW")
    try:
        count = splits[split].num_examples
    except (KeyError, ValueError):
        expected = f"expected one of {sorted(splits)} or an expression such as train+validation"
        raise InputError(f"{place}: found no split {split!r}, {expected}") from None
    if count < 1:
        raise InputError(f"{place}: split {split!r} holds no radiograph")
    return builder


def read(builder: Any, split: str, image_ids: Sequence[str] | None = None) -> Any:
    """Returns a `tf.data.Dataset` of a split's features in the order of the files, its length known.

    `builder` is a prepared TFDS builder. All `image_ids` have to be there; other radiographs are not decoded.
    """
    import tensorflow as tf

    def decode(features):
        return features | {name: builder.info.features[name].decode_example(features[name]) for name in (IMAGE, MASK)}

    stored = _read_undecoded(builder, split)
    if image_ids is not None:
        wanted = tf.constant(list(image_ids), tf.string)
        chosen = stored.filter(lambda features: tf.reduce_any(features["image_id"] == wanted))
        stored = chosen.apply(tf.data.experimental.assert_cardinality(len(image_ids)))
    return stored.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def prepared_builder(dataset: str, config: str, data_dir: PathLike | None = None) -> Any:
    """Returns the TFDS builder of a data set that `crass-tf build` has prepared; raises InputError otherwise."""
    import tensorflow as tf
    from tensorflow_datasets.core import dataset_info, read_only_builder, registered

    data_dir = data_path(data_dir)
    check_reachable(data_dir)
    not_found = registered.DatasetNotFoundError, dataset_info.DatasetInfoFileError
    missing = *not_found, FileNotFoundError, tf.errors.NotFoundError
    try:
        with damage_named(f"{dataset}/{config}", missing):
            # From the prepared files alone: works for configs that are not among the builder's own, too.
            builder = read_only_builder.builder_from_files(f"{dataset}/{config}", data_dir=data_dir)
            if not builder.info.splits:
                raise InputError(f"{builder.data_path}: found no splits in {INFO}; remove this folder, build it again")
            return builder
    except missing:
        built = _built_configs(dataset, data_dir)
        place = f"in {data_dir}" if data_dir else "in TFDS' default folder"
        raise InputError(
            f"{dataset}/{config}: not found {place}{built}; build it with: crass-tf build --manual-dir FOLDER"
            + (f" --dataset {dataset}" if dataset != DEFAULT_DATASET else "")
            + (f" --data-dir {data_dir}" if data_dir else "")
            + (f" --config {config}" if config != NATIVE_CONFIG else "")
        ) from None


@contextlib.contextmanager
def damage_named(place, known=()):
    """Raises TFDS' errors on a damaged data set as an InputError of one line; `known` errors pass."""
    try:
        yield
    except (InputError, *known):
        raise
    # JSON, protocol buffers and other readers raise different errors.
    except Exception as error:
        reason = one_line(str(error))[:200]
        raise InputError(f"{place}: found a damaged data set ({reason}); remove its folder, build it again") from None


def check_reachable(data_dir: str | None) -> None:
    """Raises InputError for a URL where nothing can be looked up: no such bucket, no right to it, no library for it."""
    if data_dir is None or remote_url(data_dir) is None:
        return
    from etils import epath

    try:
        epath.Path(data_dir).exists()
    # Each store's library raises its own errors.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{data_dir}: cannot be reached ({reason})") from None


def _built_configs(dataset, data_dir):
    """Returns words on which configs of a data set are built, or damaged; "" where there are none."""
    from etils import epath
    from tensorflow_datasets.core import constants

    folder = epath.Path(data_dir or constants.DATA_DIR) / dataset
    try:
        versions = sorted(folder.glob("*/[0-9]*.[0-9]*.[0-9]*"))
    except OSError:
        return ""
    missing = {path: [name for name in DESCRIPTION if not (path / name).exists()] for path in versions}
    whole = sorted({path.parent.name for path in versions if not missing[path]})
    damaged = [f"; {path} has no {names[0]}" for path, names in missing.items() if names]
    words = f", where there is {', '.join(whole)}" if whole else ""
    return words + "".join(damaged[:1])


def load_arrays(
    dataset: str = DEFAULT_DATASET,
    config: str = DEFAULT_CONFIG,
    split: str = "train",
    data_dir: PathLike | None = None,
    image_size: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a split as NumPy arrays on the model's grid, for training without `tf.data` (the JAX backend).

    Args:
        dataset: the data set's name.
        config: `native` or `HxW`.
        split: `train` or `validation`, or what TFDS allows beyond (`train[:10]`, `train+validation`).
        data_dir: where it was prepared; None is TFDS' default.
        image_size: `(height, width)` of the grid; None takes the config's.

    Returns:
        `(images, masks)`: uint8 `[N, H, W, 1]`, grey values and 0/1.
    """
    found = examples(dataset, split, data_dir, config)
    pairs = [to_grid(e.image, e.mask, image_size or e.image.shape) for e in found]
    if len({image.shape for image, _ in pairs}) > 1:
        raise InputError(f"{dataset}/{config}: found radiographs of several sizes, expected image_size=(height, width)")
    images, masks = zip(*pairs)
    return np.stack(images)[..., None], np.stack(masks)[..., None]


def to_grid(image: np.ndarray, mask: np.ndarray, image_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns `(image, mask)`, both uint8 `[H, W]`, letterboxed to `image_size`; unchanged where they fit."""
    letterbox = Letterbox.fit(image.shape, image_size)
    if letterbox.native == letterbox.model:
        return image, mask
    return letterbox.image_to_model(image), letterbox.mask_to_model(mask)


def iterate(dataset: Any, builder: Any = None) -> Iterator[Any]:
    """Yields the elements of a `tf.data.Dataset` as NumPy arrays.

    InputError where a file is damaged or missing; it names the TFDS `builder`, where that is known.
    """
    import tensorflow as tf

    # TensorFlow turns an exception of a Python function (the array_record reader) into UnknownError.
    damage = tf.errors.DataLossError, tf.errors.NotFoundError, tf.errors.InvalidArgumentError
    damage += tf.errors.UnknownError, tf.errors.FailedPreconditionError
    try:
        yield from dataset.as_numpy_iterator()
    except damage as error:
        # The last line of a stack trace, without the operation's name before and after.
        line = error.message.partition(" [")[0].strip().splitlines()[-1]
        reason = one_line(line.rpartition("}} ")[2])[:200]
        folder, name = "the data set", "it"
        if builder is not None:
            folder, name = builder.data_path, f"{builder.info.name} {builder.info.config_name}"
        raise InputError(
            f"{folder}: found damaged or missing files ({reason}); build {name} again with: crass-tf build --overwrite"
        ) from None


def _read_ids(builder, split):
    stored = _read_undecoded(builder, split).map(lambda features: features["image_id"])
    return [name.decode() for name in iterate(stored, builder)]


def _read_undecoded(builder, split):
    """Returns a `tf.data.Dataset` of a split's features, pictures as the bytes that are stored in either format."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    # Not PartialDecoding, which would skip them: it logs a warning that a user cannot act on.
    decoders = {name: tfds.decode.SkipDecoding() for name in (IMAGE, MASK)}
    if builder.info.file_format.value != "array_record":
        return builder.as_dataset(split=split, shuffle_files=False, decoders=decoders)
    # For these files TFDS has a sequence, but no `tf.data.Dataset`.
    stored = builder.as_data_source(split=split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
    records = tf.data.Dataset.from_generator(lambda: iter(stored), output_signature=tf.TensorSpec((), tf.string))
    features = records.map(
        lambda record: builder.info.features.deserialize_example(record, decoders=decoders),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    return features.apply(tf.data.experimental.assert_cardinality(len(stored)))
