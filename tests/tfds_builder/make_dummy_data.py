"""Draws `tfds_builder/crass12/dummy_data`: tiny invented radiographs, no patient's. Run from the repository's root."""

import pathlib

import cv2
import numpy as np

from crass_tf.radiographs.formats.png import write_png
from crass_tf.sources.crass12 import FOLDER, IMAGE_FOLDER, MASK_FOLDER, SUFFIX
from crass_tf.sources.listing import SPLIT_FILES

ROOT = pathlib.Path("tfds_builder/crass12/dummy_data") / FOLDER
SPLITS = {"train": ["0001", "0002", "0003"], "validation": ["0004"]}


def draw(number, height=64, width=80):
    """Returns a bright body with two dark lungs, and as its mask two clavicles that lie a little lower each time."""
    image = np.full((height, width), 20 + 10 * number, np.uint8)
    mask = np.zeros((height, width), np.uint8)
    for centre in (24, 56):
        cv2.ellipse(image, (centre, 38), (11, 22), 0, 0, 360, 5 * number, -1)
    for inner, outer in ((36, 12), (44, 68)):
        cv2.line(mask, (inner, 16 + number), (outer, 10 + number), 255, 3)
    image[mask > 0] += 120
    return image, mask


def main():
    for number, name in enumerate((name for names in SPLITS.values() for name in names), start=1):
        image, mask = draw(number)
        write_png(ROOT / IMAGE_FOLDER / (name + SUFFIX), image)
        write_png(ROOT / MASK_FOLDER / (name + SUFFIX), mask)
    for split, names in SPLITS.items():
        (ROOT / SPLIT_FILES[split]).write_text("\n".join(names) + "\n")


if __name__ == "__main__":
    main()
