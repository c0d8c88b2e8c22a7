"""TensorFlow Datasets builders of clavicle data sets: importing this package registers them with `tfds.load`."""

from tfds_builder.crass12 import crass12_dataset_builder
from tfds_builder.jsrt_clavicles import jsrt_clavicles_dataset_builder

__all__ = ["crass12_dataset_builder", "jsrt_clavicles_dataset_builder"]
