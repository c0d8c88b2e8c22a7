"""Results that are pictures: PNG files of the radiograph's own size."""

import numpy as np

from crass_tf.formats.png import write_png
from crass_tf.overlay import overlay


def write_mask(path, segmentation, source, model):
    """Writes the mask, 8 bits: 255 clavicle, 0 background."""
    write_png(path, segmentation.mask * np.uint8(255), segmentation.spacing_mm)


def write_labels(path, segmentation, source, model):
    """Writes the label map, 8 bits: 0 background, 1 the patient's right clavicle, 2 the left one."""
    write_png(path, segmentation.labels, segmentation.spacing_mm)


def write_overlay(path, segmentation, source, model):
    """Writes the radiograph with both clavicles outlined in colour."""
    write_png(path, overlay(segmentation.radiograph.image, segmentation.labels))
