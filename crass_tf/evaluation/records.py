"""One flat record an image: everything that summaries, tables and pooled runs are made from."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from crass_tf.common.files import InputError
from crass_tf.common.tables import write_table
from crass_tf.common.types import PathLike, Spacing
from crass_tf.geometry import split_sides
from crass_tf.measurement.metrics import (
    dice,
    directed_distances_mm,
    iou,
    larger_percentile,
    mean_of_directed,
    pixel_counts,
)
from crass_tf.measurement.quality import SIDES
from crass_tf.radiographs.radiograph import known_spacing

METRICS = ("iou", "dice", "mcd_mm", "hd95_mm")
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


def make_record(
    image_id: str, mask_gt: np.ndarray, mask_pred: np.ndarray, labels_pred: np.ndarray, spacing_mm: Spacing | None
) -> dict[str, Any]:
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
        InputError: where the shapes differ, or the spacing is implausible.
    """
    if not mask_gt.shape == mask_pred.shape == labels_pred.shape:
        raise InputError(
            f"{image_id}: found a mask of shape {mask_pred.shape} and labels of shape {labels_pred.shape} "
            f"predicted for a true mask of shape {mask_gt.shape}, expected the same"
        )
    spacing_mm = known_spacing(spacing_mm, f"{image_id}, spacing_mm")
    record = {"image_id": image_id} | _metrics(mask_gt, mask_pred, spacing_mm)
    labels_gt = split_sides(mask_gt)
    for side, label in SIDES.items():
        sides = labels_gt == label, labels_pred == label
        values = _metrics(*sides, spacing_mm) if any(part.any() for part in sides) else dict.fromkeys(METRICS)
        record |= {f"{side}_{metric}": value for metric, value in values.items()}
    both, area_gt, area_pred = pixel_counts(mask_gt, mask_pred)
    row_mm, column_mm = spacing_mm or (None, None)
    pixel_mm2 = row_mm and column_mm and row_mm * column_mm
    return record | {
        "intersection_px": both,
        "area_gt_px": area_gt,
        "area_pred_px": area_pred,
        "area_gt_mm2": area_gt * pixel_mm2 if pixel_mm2 else None,
        "area_pred_mm2": area_pred * pixel_mm2 if pixel_mm2 else None,
        "height": mask_gt.shape[0],
        "width": mask_gt.shape[1],
        "spacing_row_mm": row_mm,
        "spacing_column_mm": column_mm,
    }


def write_records(path: PathLike, records: Sequence[dict]) -> None:
    """Writes records as CSV, one row an image. The columns are `COLUMNS`, and for pooled records `RUN_COLUMNS`."""
    write_table(path, COLUMNS + RUN_COLUMNS if any("fold" in record for record in records) else COLUMNS, records)


def _metrics(mask_gt, mask_pred, spacing_mm):
    distances_mm = None if spacing_mm is None else directed_distances_mm(mask_gt, mask_pred, spacing_mm)
    return {
        "iou": iou(mask_gt, mask_pred),
        "dice": dice(mask_gt, mask_pred),
        "mcd_mm": None if distances_mm is None else mean_of_directed(*distances_mm),
        "hd95_mm": None if distances_mm is None else larger_percentile(*distances_mm),
    }
