"""Results that are lines: outlines, centre lines and the midline, as JSON."""

from crass_tf.results.record import header, rounded, write_compact


def write(path, segmentation, source, model):
    """Writes what `lines` returns."""
    write_compact(path, header(source, model) | lines(segmentation))


def lines(segmentation):
    """Returns `{"native_size", "contours", "centre_lines", "midline"}`: points (x, y) in native pixels."""
    contours = {name: [line.tolist() for line in lines] for name, lines in segmentation.contours.items()}
    centre_lines = {name: line and line.points.tolist() for name, line in segmentation.centre_lines.items()}
    found = {"contours": contours, "centre_lines": centre_lines, "midline": segmentation.midline.tolist()}
    return {"native_size": list(segmentation.mask.shape)} | rounded(found)
