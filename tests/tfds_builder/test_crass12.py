import tensorflow_datasets as tfds

from tfds_builder.crass12 import crass12_dataset_builder


class Crass12Test(tfds.testing.DatasetBuilderTestCase):
    """`dummy_data` is drawn by make_dummy_data.py."""

    DATASET_CLASS = crass12_dataset_builder.Builder
    SPLITS = {"train": 3, "validation": 1}
