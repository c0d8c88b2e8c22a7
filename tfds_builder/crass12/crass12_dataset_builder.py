"""CRASS12: posterior-anterior chest radiographs with clavicle masks."""

import dataclasses
import functools
import io
import re

import cv2
import numpy as np
import tensorflow_datasets.public_api as tfds

from crass_tf import folder
from crass_tf.files import InputError
from crass_tf.geometry import Letterbox

LABELS = ["background", "clavicle"]
NATIVE = "native"
# A network halves its input up to five times.
SIDE_STEP, MAX_SIDE = 32, 4096

_HOMEPAGE = "https://crass.grand-challenge.org/"


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(tfds.core.BuilderConfig):
    """One form of the data set: `image_size` is `(height, width)` of the letterboxed images, None for stored pixels."""

    image_size: tuple[int, int] | None = None


@functools.cache
def sized_config(name):
    """Returns the config for a name HEIGHTxWIDTH such as `512x512`, or None where `name` has another form.

    Raises:
        InputError: for a side that is no multiple of 32 or above 4096.
    """
    if not re.fullmatch(r"[0-9]+x[0-9]+", name):
        return None
    height, width = image_size = tuple(int(side) for side in name.split("x"))
    if name != f"{height}x{width}" or any(side % SIDE_STEP or not 0 < side <= MAX_SIDE for side in image_size):
        raise InputError(f"config {name}: expected HEIGHTxWIDTH in multiples of {SIDE_STEP}, at most {MAX_SIDE}")
    description = f"Letterboxed to {height} x {width} pixels: proportions kept, centred, padded with 0."
    return Config(name=name, description=description, image_size=image_size)


class Builder(tfds.core.GeneratorBasedBuilder):
    """Builds CRASS12 from the folder as published.

    Args:
        spacing_mm: pixel spacing `(row, column)` in millimetres that outranks what the files say; None to believe them.
        verbose: whether to print what is unusual about the folder, and what was built.
        **kwargs: those of every TFDS builder: `data_dir`, `config`, `version`.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The folder as published: PNG files and a fixed split."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    CRASS12 needs an account: register at {_HOMEPAGE}, download the data set and put it into `manual_dir` as
    `CRASS12/image/*.PNG`, `CRASS12/mask/*.PNG`, `CRASS12/train.txt` and `CRASS12/val.txt`.
    """
    BUILDER_CONFIGS = [
        Config(name=NATIVE, description="The stored pixels."),
        sized_config("512x512"),
        sized_config("1024x1024"),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = NATIVE

    def __init__(self, spacing_mm=None, verbose=True, **kwargs):
        self._spacing_mm, self._verbose = spacing_mm, verbose
        super().__init__(**kwargs)
        # TFDS pickles a builder as these arguments.
        self._original_state.update(spacing_mm=spacing_mm, verbose=verbose)

    @classmethod
    def get_builder_config(cls, name, version=None):
        """Returns the config of that name, or None; sizes beyond those listed are made when asked for."""
        return super().get_builder_config(name, version) or sized_config(name)

    def _info(self):
        shape = (*(self.builder_config.image_size or (None, None)), 1)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=shape, encoding_format="png"),
                    "segmentation_mask": tfds.features.LabeledImage(labels=LABELS, shape=shape, encoding_format="png"),
                    "image_id": tfds.features.Text(),
                    "spacing_mm": tfds.features.Tensor(shape=(2,), dtype=np.float32),
                }
            ),
            supervised_keys=("image", "segmentation_mask"),
            homepage=_HOMEPAGE,
            # What was seen while building: fingerprint, mask_values, native_spacing.
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager):
        splits = folder.read_folder(dl_manager.manual_dir)
        rule = folder.read_spacing_rule(dl_manager.manual_dir, splits, self._spacing_mm)
        if self._verbose:
            for line in folder.remarks(dl_manager.manual_dir, splits):
                print(line)
        self.info.metadata.update(fingerprint=folder.fingerprint(splits, rule), mask_values=[], native_spacing={})
        return {split: self._generate_examples(examples, rule) for split, examples in splits.items()}

    def _generate_examples(self, examples, rule):
        for example in examples:
            radiograph, mask, mask_values = folder.read_example(example)
            spacing_mm, source = rule.resolve(radiograph.spacing_mm)
            self._take_note(mask_values, spacing_mm, source)
            image, mask, spacing_mm = _on_grid(radiograph.image, mask, spacing_mm, self.builder_config.image_size)
            yield (
                example.image_id,
                {
                    "image": _encode_png(image),
                    "segmentation_mask": _encode_png(mask),
                    "image_id": example.image_id,
                    "spacing_mm": np.array(spacing_mm or (np.nan, np.nan), np.float32),
                },
            )

    def _take_note(self, mask_values, spacing_mm, source):
        noted = self.info.metadata
        noted["mask_values"] = sorted({*noted["mask_values"], *mask_values})
        text = "unknown" if spacing_mm is None else f"{spacing_mm[0]:.4g} x {spacing_mm[1]:.4g} mm ({source})"
        noted["native_spacing"][text] = noted["native_spacing"].get(text, 0) + 1

    def _post_download_and_prepare_hook(self):
        if self._verbose:
            print(self.summary())

    def summary(self):
        """Returns one line on the prepared data set: where it lies, examples, spacing and mask values seen."""
        counts = ", ".join(f"{name} {split.num_examples}" for name, split in self.info.splits.items())
        spacings = list(self.info.metadata["native_spacing"])
        spacing = ", ".join(spacings[:3]) + (f" and {len(spacings) - 3} more" if len(spacings) > 3 else "")
        values = ", ".join(str(value) for value in self.info.metadata["mask_values"])
        return f"{self.data_path}: {counts}; native spacing {spacing}; mask values seen: {values}"


def _on_grid(image, mask, spacing_mm, image_size):
    """Returns image, mask and spacing on the config's grid: letterboxed, or as they are where `image_size` is None."""
    if image_size is None:
        return image, mask, spacing_mm
    box = Letterbox.fit(image.shape, image_size)
    return box.image_to_model(image), box.mask_to_model(mask), spacing_mm and box.spacing_to_model(spacing_mm)


def _encode_png(image):
    # OpenCV encodes radiographs more than ten times faster than TFDS does, to smaller files.
    return io.BytesIO(cv2.imencode(".png", image)[1].tobytes())
