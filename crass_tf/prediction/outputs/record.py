"""What `STEM.json` says about a radiograph; its JSON Schema is `schema.json` beside this file."""

import importlib.resources
import json
import pathlib
from typing import Any

import numpy as np

from crass_tf.common.files import write_json, write_text
from crass_tf.common.notice import NOTICE as NOTE
from crass_tf.common.types import PathLike
from crass_tf.inference.segmenter import Segmentation
from crass_tf.measurement.measures import MIDLINE_ERROR_MM
from crass_tf.measurement.quality import SIDES

# The `$id` of `schema.json`: its number goes up when a program that reads these files would have to change.
SCHEMA = "urn:crass-tf:result:2"


def write(path: PathLike, segmentation: Segmentation, source: PathLike, model: PathLike) -> None:
    """Writes what `result` returns."""
    write_json(path, result(segmentation, source, model))


def result(segmentation: Segmentation, image: PathLike, model: PathLike) -> dict[str, Any]:
    """Returns what `STEM.json` says about a segmented radiograph, as docs/results.md explains it."""
    quality = dict(segmentation.quality)
    clavicles = {
        name: quality.pop(name) | place(segmentation.labels == label) | rounded(segmentation.measures[name])
        for name, label in SIDES.items()
    }
    return {
        "schema": SCHEMA,
        **header(image, model),
        "status": "segmented",
        "native_size": list(segmentation.mask.shape),
        "spacing_mm": None if segmentation.spacing_mm is None else list(segmentation.spacing_mm),
        "sides": "patient",
        "extent": segmentation.extent,
        "notes": list(segmentation.radiograph.notes),
        "clavicles": clavicles,
        "midline": {"ends": rounded(segmentation.midline.tolist()), "error_mm": MIDLINE_ERROR_MM},
        "medial_distances": rounded(segmentation.medial_distances),
        "quality": quality,
    }


def refusal(reason: object, image: PathLike, model: PathLike) -> dict[str, Any]:
    """Returns what `STEM.json` says about a radiograph that was not segmented."""
    return {"schema": SCHEMA, **header(image, model), "status": "refused", "reason": str(reason)}


def status(path: PathLike) -> str | None:
    """Returns the `status` in a `STEM.json` of this package; None where there is no file, or one of something else."""
    try:
        content = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        ours = content["schema"].startswith(SCHEMA.rstrip("0123456789"))
        return content["status"] if ours else None
    # Of a file that anybody may have written.
    except (OSError, ValueError, RecursionError, TypeError, LookupError, AttributeError):
        return None


def schema() -> dict[str, Any]:
    """Returns the JSON Schema (Draft 2020-12) of what `result` and `refusal` return."""
    return json.loads(
        importlib.resources.files("crass_tf.prediction.outputs").joinpath("schema.json").read_text(encoding="utf-8")
    )


def place(mask: np.ndarray) -> dict[str, Any]:
    """Returns the `bounding_box` (x, y, width, height) and the `centroid` (x, y) of a mask `[H, W]`; None without."""
    by_row, by_column = mask.sum(axis=1, dtype=np.int64), mask.sum(axis=0, dtype=np.int64)
    rows, columns = np.flatnonzero(by_row), np.flatnonzero(by_column)
    if not len(rows):
        return {"bounding_box": None, "centroid": None}
    box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
    x, y = (float(counts @ np.arange(len(counts)) / counts.sum()) for counts in (by_column, by_row))
    return {"bounding_box": [int(value) for value in box], "centroid": [x, y]}


def rounded(value: Any) -> Any:
    """Returns nested lists and dictionaries with all numbers rounded to hundredths: of pixels, millimetres, degrees."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return value if value is None else round(value, 2)


def header(image: PathLike, model: PathLike) -> dict[str, str]:
    """Returns what every file of results begins with."""
    return {"image": pathlib.Path(image).as_posix(), "model": pathlib.Path(model).as_posix(), "note": NOTE}


def write_compact(path: PathLike, content: object) -> None:
    """Writes long lists of numbers as JSON in one line, whole or not at all."""
    write_text(path, json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n")
