"""What the builders of clavicle data sets share: configs, features, and the way from files to examples."""

import dataclasses
import functools
import io
import re

import cv2
import numpy as np
import tensorflow_datasets.public_api as tfds

from crass_tf.common.files import InputError, data_path
from crass_tf.common.parallel import ordered_map
from crass_tf.geometry import Letterbox
from crass_tf.radiographs.radiograph import known_spacing

LABELS = ["background", "clavicle"]
NATIVE = "native"
# A network halves its input up to five times.
SIDE_STEP, MAX_SIDE = 32, 4096


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(tfds.core.BuilderConfig):
    """One form of a data set.

    Attributes:
        image_size: `(height, width)` of letterboxed images; None for stored pixels.
        dtype: of `image`: uint8, or uint16 for stored values that are not brought to 8 bits.
        labelled: whether it holds the radiographs with masks, or those without.
        sides: whether each clavicle has a mask of its own, too.
    """

    image_size: tuple[int, int] | None = None
    dtype: type = np.uint8
    labelled: bool = True
    sides: bool = False


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


NATIVE_CONFIG = Config(name=NATIVE, description="The stored pixels; grey values of 8 bits.")
NATIVE16_CONFIG = Config(
    name="native16", description="The stored pixels; grey values as stored, of up to 16 bits.", dtype=np.uint16
)


class ClavicleBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Builds a data set of radiographs with clavicle masks from a folder.

    A subclass names its version, its homepage, further configs, and `open_source`, the function that opens its folder
    as a `crass_tf.sources.Source`.

    Args:
        spacing_mm: pixel spacing `(row, column)` in millimetres that outranks what the files say; None to believe them.
        verbose: whether to print what is unusual about the folder, and what was built.
        **kwargs: those of every TFDS builder: `data_dir`, `config`, `version`.
    """

    HOMEPAGE = None
    # The `Source` in the folder, where it is open already: its files are surveyed once for all configs.
    source = None
    BUILDER_CONFIGS = [NATIVE_CONFIG, sized_config("512x512"), sized_config("1024x1024"), NATIVE16_CONFIG]
    DEFAULT_BUILDER_CONFIG_NAME = NATIVE
    # What not every folder has: `tfds build` without a config builds all of BUILDER_CONFIGS.
    CONFIGS_ON_REQUEST = ()

    def __init__(self, spacing_mm=None, verbose=True, **kwargs):
        self._spacing_mm, self._verbose = known_spacing(spacing_mm, "spacing_mm"), verbose
        # Set by `download_and_prepare`.
        self._through_beam = False
        # TFDS' commands know `~`; its functions would make a folder of that name.
        super().__init__(**kwargs | {"data_dir": data_path(kwargs.get("data_dir"))})
        # TFDS pickles a builder as these arguments.
        self._original_state.update(spacing_mm=spacing_mm, verbose=verbose)

    @classmethod
    def get_builder_config(cls, name, version=None):
        """Returns the config of that name, or None; sizes beyond those listed are made when asked for."""
        on_request = {config.name: config for config in cls.CONFIGS_ON_REQUEST}
        return super().get_builder_config(name, version) or on_request.get(name) or sized_config(name)

    def _info(self):
        config = self.builder_config
        shape = (*(config.image_size or (None, None)), 1)
        masks = ["segmentation_mask"] * config.labelled + ["right_mask", "left_mask"] * config.sides
        features = {"image": tfds.features.Image(shape=shape, dtype=config.dtype, encoding_format="png")}
        for name in masks:
            features[name] = tfds.features.LabeledImage(labels=LABELS, shape=shape, encoding_format="png")
        features["image_id"] = tfds.features.Text()
        features["spacing_mm"] = tfds.features.Tensor(shape=(2,), dtype=np.float32)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "segmentation_mask") if config.labelled else None,
            homepage=self.HOMEPAGE,
            # See `_split_generators`.
            metadata=tfds.core.MetadataDict(),
        )

    def download_and_prepare(self, *, download_config=None, **options):
        """Builds the data set; through Apache Beam where `download_config` has a `beam_runner` or `beam_options`.

        `tfds build --beam_pipeline_options=...` gives the latter. All workers have to reach the folder and `data_dir`.
        """
        self._through_beam = bool(download_config and (download_config.beam_runner or download_config.beam_options))
        super().download_and_prepare(download_config=download_config, **options)

    def _split_generators(self, dl_manager):
        source = self.source or self.open_source(dl_manager.manual_dir).checked()
        splits = source.splits if self.builder_config.labelled else {"test": source.unlabelled}
        if not any(splits.values()):
            raise InputError(f"{source.folder}: found no radiograph for the config {self.builder_config.name}")
        if self._verbose:
            for line in source.remarks:
                print(line)
        scale = source.grey_scale()
        self.info.metadata.update(
            fingerprint=source.fingerprint(self._spacing_mm),
            source=source.form,
            split=source.split_origin if self.builder_config.labelled else "radiographs without masks",
            grey_scale=dataclasses.asdict(scale),
        )
        return {name: self._generate_examples(examples, source, scale) for name, examples in splits.items()}

    def _generate_examples(self, examples, source, scale):
        """Returns an iterator of `(image_id, features)`, or the Beam transform that gives them."""
        if not self._through_beam:
            return ordered_map(functools.partial(self._make, source=source, scale=scale), examples)
        import apache_beam as beam

        return beam.Create(examples) | beam.Reshuffle() | beam.Map(self._make, source, scale)

    def _make(self, example, source, scale):
        pixels, header_mm, masks, _ = source.read(example)
        image = scale.to_uint16(pixels) if self.builder_config.dtype == np.uint16 else scale.to_grey8(pixels)
        spacing_mm = self._spacing_mm or header_mm or source.fallback_mm
        return example.image_id, self._features(example.image_id, image, masks, spacing_mm)

    def _features(self, image_id, image, masks, spacing_mm):
        """Returns an example: images as PNG files, on the config's grid."""
        config = self.builder_config
        if config.image_size is not None:
            box = Letterbox.fit(image.shape, config.image_size)
            spacing_mm = spacing_mm and box.spacing_to_model(spacing_mm)
            image, masks = box.image_to_model(image), [box.mask_to_model(mask) for mask in masks]
        features = {"image": encode_png(image)}
        if config.labelled:
            features["segmentation_mask"] = encode_png(functools.reduce(np.maximum, masks))
        if config.sides:
            features |= {"right_mask": encode_png(masks[0]), "left_mask": encode_png(masks[1])}
        spacing = np.array(spacing_mm or (np.nan, np.nan), np.float32)
        return features | {"image_id": image_id, "spacing_mm": spacing}

    def _post_download_and_prepare_hook(self):
        if self._verbose:
            print(self.summary())

    def summary(self):
        """Returns one line on the prepared data set: where it lies, and how many examples each split has."""
        counts = ", ".join(f"{name} {split.num_examples}" for name, split in self.info.splits.items())
        return f"{self.data_path}: {counts}"


def encode_png(image):
    """Returns uint8 or uint16 `[H, W]` as a PNG file that TFDS stores as it is."""
    # OpenCV encodes radiographs more than ten times faster than TFDS does, to smaller files.
    return io.BytesIO(cv2.imencode(".png", image)[1].tobytes())
