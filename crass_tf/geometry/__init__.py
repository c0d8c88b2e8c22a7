"""Letterbox and level strips between grids, and the patient's sides; NumPy and OpenCV."""

from crass_tf.geometry.grids import (
    LEFT,
    OUTSIDE_LOGIT,
    RIGHT,
    STRIP_FILL,
    STRIP_MEAN,
    Letterbox,
    Strip,
    bounding_box,
    split_sides,
)

__all__ = [
    "LEFT",
    "Letterbox",
    "OUTSIDE_LOGIT",
    "RIGHT",
    "STRIP_FILL",
    "STRIP_MEAN",
    "Strip",
    "bounding_box",
    "split_sides",
]
