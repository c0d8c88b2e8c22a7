"""Results in COCO's form: each clavicle as a run-length encoded mask and as polygons."""

import pathlib
from typing import Any

import numpy as np

from crass_tf.common.types import PathLike
from crass_tf.inference.segmenter import Segmentation
from crass_tf.measurement import contours
from crass_tf.measurement.quality import SIDES
from crass_tf.prediction.outputs.record import NOTE, place, write_compact

DECIMALS = 2


def write(path: PathLike, segmentation: Segmentation, source: PathLike, model: PathLike) -> None:
    """Writes a COCO data set of one image, with one annotation for each clavicle that was found.

    `segmentation` is the mask, run-length encoded, exactly that of the label map; `polygons` are its outlines to a part
    of a pixel, in COCO's coordinates, where (0, 0) is the first pixel's corner. `score` is the radiograph's.
    """
    height, width = segmentation.mask.shape
    sides = [(name, side) for name, side in SIDES.items() if segmentation.quality[name]["found"]]
    dataset = {
        "info": {"description": f"Clavicles. {NOTE}"},
        "licenses": [],
        "images": [{"id": 1, "file_name": pathlib.Path(source).name, "height": height, "width": width}],
        "categories": [
            {"id": side, "name": f"{name} clavicle", "supercategory": "clavicle"} for name, side in SIDES.items()
        ],
        "annotations": [_annotation(segmentation, name, side) for name, side in sides],
    }
    write_compact(path, dataset)


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """Returns a mask `[H, W]` in COCO's run-length encoding: `{"size": [H, W], "counts": str}`."""
    column_major = np.concatenate([[0], (mask > 0).T.ravel(), [2]]).astype(np.int8)
    ends = np.flatnonzero(np.diff(column_major))
    # The first run is background, empty where the first pixel is not.
    counts = np.diff(np.concatenate([[0], ends]))
    return {"size": list(mask.shape), "counts": _encode_counts(counts.tolist())}


def _annotation(segmentation, name, side):
    mask = segmentation.labels == side
    return {
        "id": side,
        "image_id": 1,
        "category_id": side,
        "segmentation": run_lengths(mask),
        "polygons": [_polygon(line) for line in segmentation.contours[name] if contours.area(line) > 0],
        "area": segmentation.quality[name]["area_pixels"],
        "bbox": place(mask)["bounding_box"],
        "iscrowd": 0,
        "score": segmentation.quality["score"],
    }


def _polygon(line):
    return np.round(line.astype(np.float64) + 0.5, DECIMALS).ravel().tolist()


def _encode_counts(counts):
    """Returns counts as COCO writes them: from the third on as differences to the last but one, 5 bits a character."""
    text = []
    for number, count in enumerate(counts):
        rest, more = count - (counts[number - 2] if number > 2 else 0), True
        while more:
            bits, rest = rest & 31, rest >> 5
            # The last character's highest bit is the sign of all.
            more = rest != (-1 if bits & 16 else 0)
            text.append(chr((bits | 32 if more else bits) + 48))
    return "".join(text)
