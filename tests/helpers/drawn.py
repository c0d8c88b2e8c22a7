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


def segmentation_of(mask, spacing_mm=None, radiograph=None):
    """The Segmentation of a mask drawn on its own grid: logit 4 inside, -4 outside."""
    logits = np.where(mask, np.float32(4), np.float32(-4))
    radiograph = radiograph or Radiograph(np.full(mask.shape, 90, np.uint8), spacing_mm)
    return Segmentation(radiograph, (Outline(logits, Letterbox.fit(mask.shape, mask.shape)),))
