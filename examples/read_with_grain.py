"""Batches of radiographs and masks for JAX, read by grain from ArrayRecord files: no TensorFlow.

pip install crass-tf[tfds-cli] grain
tfds build tfds_builder/crass12 --manual_dir DIR --config 512x512 --file_format array_record
python read_with_grain.py crass12/512x512
"""

import sys

import grain
import numpy as np
import tensorflow_datasets as tfds


def batches(name, split="train", batch_size=8, seed=0, data_dir=None):
    """Returns an iterable of `(image, mask)`: uint8 [B, H, W, 1] each, shuffled anew in each epoch, without end."""
    source = tfds.data_source(name, split=split, data_dir=data_dir)
    records = grain.MapDataset.source(source).seed(seed).shuffle().repeat()
    pairs = records.map(lambda record: (record["image"], (record["segmentation_mask"] > 0).astype(np.uint8)))
    return pairs.to_iter_dataset().batch(batch_size)


def main(name, data_dir=None):
    image, mask = next(iter(batches(name, data_dir=data_dir)))
    print(f"images {image.shape} {image.dtype}, {100 * mask.mean():.1f} % of the pixels are clavicle")


if __name__ == "__main__":
    main(*sys.argv[1:])
