"""One flat record an image, from which tables and the figures of a whole data set are made."""

import collections
from collections.abc import Sequence
from typing import Any

import numpy as np

from crass_tf.common.files import InputError
from crass_tf.common.types import Spacing
from crass_tf.data.folds import parse_fold
from crass_tf.geometry import split_sides
from crass_tf.measurement import metrics
from crass_tf.measurement.quality import SIDES
from crass_tf.radiographs.radiograph import known_spacing

METRICS = ("iou", "dice", "mcd_mm", "hd95_mm")
RESAMPLES = 2000
STATISTICS = ("mean", "std", "median", "min", "max")


def make_record(
    image_id: str, mask_gt: np.ndarray, mask_pred: np.ndarray, labels_pred: np.ndarray, spacing_mm: Spacing | None
) -> dict[str, Any]:
    """Returns the record of one image: a dict of the columns of `per_image.csv`, with None for what is undefined.

    Distances are undefined where the spacing is unknown or a mask is empty. The sides are the patient's: the truth's by
    `geometry.split_sides`, the prediction's as it labelled them. A side that neither has is undefined as a whole.
    Masks and labels are uint8 `[H, W]`; NaN counts as an unknown spacing.

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
    both, area_gt, area_pred = metrics.pixel_counts(mask_gt, mask_pred)
    row_mm, column_mm = spacing_mm or (None, None)
    pixel_mm2 = np.prod(spacing_mm) if spacing_mm else None
    return record | {
        "intersection_px": both,
        "area_gt_px": area_gt,
        "area_pred_px": area_pred,
        "area_gt_mm2": pixel_mm2 and float(area_gt * pixel_mm2),
        "area_pred_mm2": pixel_mm2 and float(area_pred * pixel_mm2),
        "height": mask_gt.shape[0],
        "width": mask_gt.shape[1],
        "spacing_row_mm": row_mm,
        "spacing_column_mm": column_mm,
    }


def summarise(records: Sequence[dict]) -> dict[str, Any]:
    """Returns the content of `metrics.json` for records from one run, or pooled from several.

    Args:
        records: dicts as `make_record` returns them; pooled ones have the keys `model` and `fold`, too. Their
            order does not matter.

    Returns:
        `{"n", "iou", "dice", "mcd_mm", "hd95_mm", "per_side": {"left", "right"}, "two_class": {"miou", "mdice"}}`; each
        metric is what `statistics` returns, each side holds the four metrics. For pooled records also
        `"runs": [{"model", "fold", "n", "iou"}, ...]`, ordered by fold.

    Raises:
        InputError: where there are no records.
    """
    if not records:
        raise InputError("found no images to evaluate, expected at least one; is the split empty?")
    # The bootstrap draws by position: sorted, the same images give the same interval in whatever order they came.
    records = sorted(records, key=lambda record: record["image_id"])

    def figures(prefix):
        return {name: statistics([record[prefix + name] for record in records]) for name in METRICS}

    pixels = sum(record["height"] * record["width"] for record in records)
    columns = ("intersection_px", "area_gt_px", "area_pred_px")
    both, area_gt, area_pred = (sum(record[column] for record in records) for column in columns)
    content = {"n": len(records)} | figures("") | {"per_side": {side: figures(f"{side}_") for side in SIDES}}
    content["two_class"] = metrics.two_class(both, area_gt, area_pred, pixels)
    return content | ({"runs": _runs(records)} if "fold" in records[0] else {})


def statistics(values: Sequence[float | None]) -> dict[str, Any]:
    """Returns what is reported of one metric over images.

    Args:
        values: floats, None where undefined; those are left out and counted.

    Returns:
        `{"mean", "std", "median", "min", "max", "ci95": [lo, hi], "undefined"}`. `std` is the population's (divided by
        n). `ci95` is the bootstrap's percentile interval of the mean over images, from 2000 resamples of a fixed seed.
        Every figure is None where no value is defined.
    """
    defined = np.array([value for value in values if value is not None], np.float64)
    undefined = len(values) - len(defined)
    if not len(defined):
        return dict.fromkeys(STATISTICS) | {"ci95": [None, None], "undefined": undefined}
    figures = {name: float(getattr(np, name)(defined)) for name in STATISTICS}
    means = np.random.default_rng(0).choice(defined, (RESAMPLES, len(defined))).mean(axis=1)
    return figures | {"ci95": np.percentile(means, [2.5, 97.5]).tolist(), "undefined": undefined}


def _metrics(mask_gt, mask_pred, spacing_mm):
    distances_mm = spacing_mm and metrics.directed_distances_mm(mask_gt, mask_pred, spacing_mm)
    return {
        "iou": metrics.iou(mask_gt, mask_pred),
        "dice": metrics.dice(mask_gt, mask_pred),
        "mcd_mm": distances_mm and metrics.mean_of_directed(*distances_mm),
        "hd95_mm": distances_mm and metrics.larger_percentile(*distances_mm),
    }


def _runs(records):
    ious = collections.defaultdict(list)
    for record in records:
        ious[record["fold"], record["model"]].append(record["iou"])
    return [
        {"model": model, "fold": fold, "n": len(values), "iou": statistics(values)}
        for (fold, model), values in sorted(ious.items(), key=lambda run: (parse_fold(run[0][0]), run[0]))
    ]
