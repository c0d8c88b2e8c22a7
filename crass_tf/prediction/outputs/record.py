"""What is recorded of a radiograph in forms of our own: `STEM.json`, cells of the summary, points, and pictures."""

import json
import pathlib
from typing import Any

import cv2
import numpy as np

from crass_tf.common import files
from crass_tf.common.notice import NOTICE as NOTE
from crass_tf.common.types import PathLike
from crass_tf.inference.segmenter import Segmentation
from crass_tf.measurement.measures import MIDLINE_ERROR_MM
from crass_tf.measurement.quality import SIDES
from crass_tf.radiographs.formats.png import write_png
from crass_tf.reporting.overlay import overlay

# The `$id` of `schema.json` beside this file: its number goes up when programs that read results would have to change.
SCHEMA = "urn:crass-tf:result:2"


def write_json(path: PathLike, segmentation: Segmentation, source: PathLike, model: PathLike) -> None:
    """Writes what `result` returns."""
    files.write_json(path, result(segmentation, source, model))


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


def figures(segmentation: Segmentation) -> dict[str, Any]:
    """Returns the cells that say what was found in a radiograph."""
    quality = segmentation.quality
    sides = {f"{side}_{name}": value for side in SIDES for name, value in quality[side].items()}
    height, width = segmentation.radiograph.image.shape
    row_mm, column_mm = segmentation.spacing_mm or (None, None)
    about = {"height": height, "width": width, "spacing_row_mm": row_mm, "spacing_column_mm": column_mm}
    return {name: quality[name] for name in ("score", "border_confidence")} | sides | about


def refusal(reason: object, image: PathLike, model: PathLike) -> dict[str, Any]:
    """Returns what `STEM.json` says about a radiograph that was not segmented."""
    return {"schema": SCHEMA, **header(image, model), "status": "refused", "reason": str(reason)}


def status(path: PathLike) -> str | None:
    """Returns the `status` in a `STEM.json` of this package; None where there is no file, or one of something else."""
    try:
        content = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        return content["status"] if content["schema"].startswith(SCHEMA.rstrip("0123456789")) else None
    # The file may come from any program.
    except (OSError, ValueError, RecursionError, TypeError, LookupError, AttributeError):
        return None


def is_foreign(path: PathLike) -> bool:
    """Returns whether a file has content of another program; an empty one is what a loss of power left."""
    try:
        return pathlib.Path(path).stat().st_size > 0 and status(path) is None
    except OSError:
        return False


def schema() -> dict[str, Any]:
    """Returns the JSON Schema (Draft 2020-12) of what `result` and `refusal` return."""
    return json.loads(pathlib.Path(__file__).with_name("schema.json").read_text(encoding="utf-8"))


def place(mask: np.ndarray) -> dict[str, Any]:
    """Returns the `bounding_box` (x, y, width, height) and the `centroid` (x, y) of a mask `[H, W]`; None without."""
    mask = (mask > 0).astype(np.uint8)
    moments = cv2.moments(mask)
    area = moments["m00"]
    if not area:
        return {"bounding_box": None, "centroid": None}
    return {"bounding_box": list(cv2.boundingRect(mask)), "centroid": [moments["m10"] / area, moments["m01"] / area]}


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
    files.write_text(path, json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n")


def write_contours(path: PathLike, segmentation: Segmentation, source: PathLike, model: PathLike) -> None:
    """Writes `{"native_size", "contours", "centre_lines", "midline"}`: points (x, y) in native pixels."""
    contours = {name: [line.tolist() for line in lines] for name, lines in segmentation.contours.items()}
    centre_lines = {name: line and line.points.tolist() for name, line in segmentation.centre_lines.items()}
    midline = segmentation.midline.tolist()
    points = rounded({"contours": contours, "centre_lines": centre_lines, "midline": midline})
    write_compact(path, header(source, model) | {"native_size": list(segmentation.mask.shape), **points})


def write_mask(path: PathLike, segmentation: Segmentation, source: PathLike, model: PathLike) -> None:
    """Writes the mask, 8 bits: 255 clavicle, 0 background."""
    write_png(path, segmentation.mask * np.uint8(255), segmentation.spacing_mm)


def write_labels(path: PathLike, segmentation: Segmentation, source: PathLike, model: PathLike) -> None:
    """Writes the label map, 8 bits: 0 background, 1 the patient's right clavicle, 2 the left one."""
    write_png(path, segmentation.labels, segmentation.spacing_mm)


def write_overlay(path: PathLike, segmentation: Segmentation, source: PathLike, model: PathLike) -> None:
    """Writes the radiograph with both clavicles outlined in colour."""
    write_png(path, overlay(segmentation.radiograph.image, segmentation.labels))


def write_probability(path: PathLike, segmentation: Segmentation, source: PathLike, model: PathLike) -> None:
    """Writes the probability of clavicle, 16 bits: 65535 is 1."""
    write_png(path, np.round(segmentation.probability * 65535).astype(np.uint16), segmentation.spacing_mm)
