import numpy as np
import tensorflow_datasets as tfds

from crass_tf.data.building import build
from crass_tf.radiographs.formats.png import write_png
from tfds_builder.crass12 import crass12_dataset_builder


class Crass12Test(tfds.testing.DatasetBuilderTestCase):
    """`dummy_data` is drawn by make_dummy_data.py."""

    DATASET_CLASS = crass12_dataset_builder.Builder
    SPLITS = {"train": 3, "validation": 1}


def test_unlabelled(manual_dir, tmp_path):
    write_png(manual_dir / "CRASS12/image/0005.PNG", np.full((64, 80), 7, np.uint8))
    builder = build(manual_dir, tmp_path, ["unlabelled"])[1]
    (example,) = tfds.as_numpy(builder.as_dataset(split="test"))
    assert example.keys() == {"image", "image_id", "spacing_mm"}
    assert example["image_id"] == b"0005" and (example["image"] == 7).all()
    assert builder.info.supervised_keys is None
