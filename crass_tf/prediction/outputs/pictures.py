"""Results that are pictures: PNG files of the radiograph's own size."""

import numpy as np

from crass_tf.common.types import PathLike
from crass_tf.inference.segmenter import Segmentation
from crass_tf.radiographs.formats.png import write_png
from crass_tf.reporting.overlay import draw_measures, overlay


def write_mask(path: PathLike, segmentation: Segmentation, source: PathLike, model: PathLike) -> None:
    """Writes the mask, 8 bits: 255 clavicle, 0 background."""
    write_png(path, segmentation.mask * np.uint8(255), segmentation.spacing_mm)


def write_labels(path: PathLike, segmentation: Segmentation, source: PathLike, model: PathLike) -> None:
    """Writes the label map, 8 bits: 0 background, 1 the patient's right clavicle, 2 the left one."""
    write_png(path, segmentation.labels, segmentation.spacing_mm)


def write_overlay(path: PathLike, segmentation: Segmentation, source: PathLike, model: PathLike) -> None:
    """Writes the radiograph with both clavicles outlined in colour."""
    write_png(path, overlay(segmentation.radiograph.image, segmentation.labels))


def write_measures(path: PathLike, segmentation: Segmentation, source: PathLike, model: PathLike) -> None:
    """Writes the overlay with centre lines, the midline, and the distances of the medial ends to it."""
    canvas = overlay(segmentation.radiograph.image, segmentation.labels)
    write_png(path, draw_measures(canvas, segmentation.centre_lines, segmentation.midline, segmentation.spacing_mm))


def write_probability(path: PathLike, segmentation: Segmentation, source: PathLike, model: PathLike) -> None:
    """Writes the probability of clavicle, 16 bits: 65535 is 1."""
    write_png(path, np.round(segmentation.probability * 65535).astype(np.uint16), segmentation.spacing_mm)
