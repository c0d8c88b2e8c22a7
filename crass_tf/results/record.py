"""What `STEM.json` says about a radiograph."""

import pathlib

import numpy as np

from crass_tf.files import write_json
from crass_tf.quality import SIDES

NOTE = "Research software, not a medical device: not for diagnosis or treatment."


def write(path, segmentation, source, model):
    """Writes what `result` returns."""
    write_json(path, result(segmentation, source, model))


def result(segmentation, image, model):
    """Returns what `STEM.json` says about a segmented radiograph. All lengths are native pixels unless named otherwise.

    `bounding_box` is `[x, y, width, height]`, `centroid` `[x, y]`; both are null for a side that was not found.
    """
    quality = dict(segmentation.quality)
    clavicles = {name: quality.pop(name) | _place(segmentation.labels == label) for name, label in SIDES.items()}
    return _header(image, model) | {
        "status": "segmented",
        "native_size": list(segmentation.mask.shape),
        "spacing_mm": None if segmentation.spacing_mm is None else list(segmentation.spacing_mm),
        "sides": "patient",
        "notes": list(segmentation.radiograph.notes),
        "clavicles": clavicles,
        "quality": quality,
    }


def refusal(reason, image, model):
    """Returns what `STEM.json` says about a radiograph that was not segmented."""
    return _header(image, model) | {"status": "refused", "reason": str(reason)}


def _header(image, model):
    return {"image": pathlib.Path(image).as_posix(), "model": pathlib.Path(model).as_posix(), "note": NOTE}


def _place(mask):
    """Returns the bounding box and the centroid of a mask `[H, W]`."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return {"bounding_box": None, "centroid": None}
    top, left = rows[0], columns[0]
    inner = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    y, x = (float(axis.mean()) for axis in np.nonzero(inner))
    box = [left, top, inner.shape[1], inner.shape[0]]
    return {"bounding_box": [int(value) for value in box], "centroid": [x + float(left), y + float(top)]}
