"""Results that are lines: outlines, centre lines and the midline, as JSON."""

from typing import Any

from crass_tf.common.types import PathLike
from crass_tf.inference.segmenter import Segmentation
from crass_tf.prediction.outputs.record import header, rounded, write_compact


def write(path: PathLike, segmentation: Segmentation, source: PathLike, model: PathLike) -> None:
    """Writes what `lines` returns."""
    write_compact(path, header(source, model) | lines(segmentation))


def lines(segmentation: Segmentation) -> dict[str, Any]:
    """Returns `{"native_size", "contours", "centre_lines", "midline"}`: points (x, y) in native pixels."""
    contours = {name: [line.tolist() for line in lines] for name, lines in segmentation.contours.items()}
    centre_lines = {name: line and line.points.tolist() for name, line in segmentation.centre_lines.items()}
    midline = segmentation.midline.tolist()
    points = rounded({"contours": contours, "centre_lines": centre_lines, "midline": midline})
    return {"native_size": list(segmentation.mask.shape), **points}
