"""Radiographs and segmentations whose results are known, since they are drawn."""

import numpy as np

from crass_tf.geometry import Letterbox
from crass_tf.inference.segmenter import Outline, Segmentation
from crass_tf.radiographs.radiograph import Radiograph


def bars(size=(96, 128), rows=(20, 40), columns=((8, 48), (72, 112))):
    """Two bright bars on dark ground, uint8: by default of 20 rows and 40 columns each."""
    image = np.full(size, 28, np.uint8)
    for first, last in columns:
        image[slice(*rows), first:last] = 228
    return image


def mask_of(*lines):
    """A mask, uint8 [H, W], from lines of `#`, foreground, and any other sign; or from one text of such lines."""
    lines = lines if len(lines) > 1 else lines[0].split()
    return np.array([[sign == "#" for sign in line] for line in lines], np.uint8)


def bar_of(size, centre, length, thickness, angle_deg):
    """A mask, uint8 [H, W], of a bar about `centre` (x, y); positive angles turn its right end down."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    cos, sin = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    x, y = x - centre[0], y - centre[1]
    return ((abs(x * cos + y * sin) <= length / 2) & (abs(y * cos - x * sin) <= thickness / 2)).astype(np.uint8)


def segmentation_of(mask, spacing_mm=None, radiograph=None):
    """The Segmentation of a mask drawn on its own grid: logit 4 inside, -4 outside."""
    logits = np.where(mask, np.float32(4), np.float32(-4))
    radiograph = radiograph or Radiograph(np.full(mask.shape, 90, np.uint8), spacing_mm)
    return Segmentation(radiograph, (Outline(logits, Letterbox.fit(mask.shape, mask.shape)),))
