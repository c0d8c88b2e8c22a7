"""One flat record an image: everything that summaries, tables and pooled runs are made from."""

import csv
import io
import math

from crass_tf.evaluation.distances import directed_distances_mm, larger_percentile, mean_of_directed
from crass_tf.evaluation.overlap import dice, iou, pixel_counts
from crass_tf.files import InputError, write_text
from crass_tf.geometry import LEFT, RIGHT, split_sides

METRICS = ("iou", "dice", "mcd_mm", "hd95_mm")
SIDES = {"left": LEFT, "right": RIGHT}
COLUMNS = (
    "image_id",
    *METRICS,
    *(f"{side}_{metric}" for side in SIDES for metric in METRICS),
    "intersection_px",
    "area_gt_px",
    "area_pred_px",
    "area_gt_mm2",
    "area_pred_mm2",
    "height",
    "width",
    "spacing_row_mm",
    "spacing_column_mm",
)
# What records pooled from several runs name, too.
RUN_COLUMNS = ("model", "fold")


def make_record(image_id, mask_gt, mask_pred, labels_pred, spacing_mm):
    """Returns the record of one image: a dict of the keys `COLUMNS`, with None for what is undefined.

    Distances are undefined where the spacing is unknown or a mask is empty. The sides are the patient's: the truth's by
    `geometry.split_sides`, the prediction's as it labelled them. A side that neither has is undefined as a whole.

    Args:
        image_id: a name for tables and messages.
        mask_gt: true mask `[H, W]`, foreground above 0.
        mask_pred: predicted mask `[H, W]`.
        labels_pred: uint8 `[H, W]`, 0 background, 1 right clavicle, 2 left clavicle.
        spacing_mm: `(row, column)`, or None (NaN counts as None) where unknown.

    Raises:
        InputError: where the shapes differ.
    """
    if not mask_gt.shape == mask_pred.shape == labels_pred.shape:
        raise InputError(
            f"{image_id}: found a mask of shape {mask_pred.shape} and labels of shape {labels_pred.shape} "
            f"predicted for a true mask of shape {mask_gt.shape}, expected the same"
        )
    spacing_mm = known_spacing(spacing_mm)
    record = {"image_id": image_id} | _metrics(mask_gt, mask_pred, spacing_mm)
    labels_gt = split_sides(mask_gt)
    for side, label in SIDES.items():
        values = _side_metrics(labels_gt == label, labels_pred == label, spacing_mm)
        record |= {f"{side}_{metric}": value for metric, value in values.items()}
    return record | _sizes(mask_gt, mask_pred, spacing_mm)


def known_spacing(spacing_mm):
    """Returns `(row, column)` as floats, or None where it is None or holds something that is no measurement."""
    if spacing_mm is None or not all(math.isfinite(spacing) and spacing > 0 for spacing in spacing_mm):
        return None
    row_mm, column_mm = spacing_mm
    return float(row_mm), float(column_mm)


def write_records(path, records):
    """Writes records as CSV, one row an image. The columns are `COLUMNS`, and for pooled records `RUN_COLUMNS`."""
    write_rows(path, COLUMNS + RUN_COLUMNS if any("fold" in record for record in records) else COLUMNS, records)


def write_rows(path, columns, rows):
    """Writes dicts as CSV; what is undefined becomes an empty cell, floats keep every digit."""
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, table.getvalue())


def _metrics(mask_gt, mask_pred, spacing_mm):
    distances_mm = None if spacing_mm is None else directed_distances_mm(mask_gt, mask_pred, spacing_mm)
    return {
        "iou": iou(mask_gt, mask_pred),
        "dice": dice(mask_gt, mask_pred),
        "mcd_mm": None if distances_mm is None else mean_of_directed(*distances_mm),
        "hd95_mm": None if distances_mm is None else larger_percentile(*distances_mm),
    }


def _side_metrics(side_gt, side_pred, spacing_mm):
    if not side_gt.any() and not side_pred.any():
        return dict.fromkeys(METRICS)
    return _metrics(side_gt, side_pred, spacing_mm)


def _sizes(mask_gt, mask_pred, spacing_mm):
    both, area_gt, area_pred = pixel_counts(mask_gt, mask_pred)
    row_mm, column_mm = spacing_mm or (None, None)
    pixel_mm2 = row_mm * column_mm if spacing_mm else None
    return {
        "intersection_px": both,
        "area_gt_px": area_gt,
        "area_pred_px": area_pred,
        "area_gt_mm2": area_gt * pixel_mm2 if spacing_mm else None,
        "area_pred_mm2": area_pred * pixel_mm2 if spacing_mm else None,
        "height": mask_gt.shape[0],
        "width": mask_gt.shape[1],
        "spacing_row_mm": row_mm,
        "spacing_column_mm": column_mm,
    }
