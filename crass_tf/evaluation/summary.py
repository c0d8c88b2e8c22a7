"""The figures of a whole data set, from its records."""

import collections
from collections.abc import Sequence
from typing import Any

import numpy as np

from crass_tf.common.files import InputError
from crass_tf.data.folds import parse_fold
from crass_tf.evaluation.records import METRICS, RUN_COLUMNS, SIDES
from crass_tf.measurement.metrics import two_class

RESAMPLES = 2000
STATISTICS = ("mean", "std", "median", "min", "max")


def summarise(records: Sequence[dict]) -> dict[str, Any]:
    """Returns the content of `metrics.json` for records from one run, or pooled from several.

    Args:
        records: dicts as `records.make_record` returns them; pooled ones have the keys `model` and `fold`, too. Their
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
    metrics: dict[str, Any] = {"n": len(records)} | {name: statistics([r[name] for r in records]) for name in METRICS}
    metrics["per_side"] = {
        side: {name: statistics([r[f"{side}_{name}"] for r in records]) for name in METRICS} for side in SIDES
    }
    columns = ("intersection_px", "area_gt_px", "area_pred_px")
    pixels = sum(r["height"] * r["width"] for r in records)
    both, area_gt, area_pred = (sum(r[column] for r in records) for column in columns)
    metrics["two_class"] = two_class(both, area_gt, area_pred, pixels)
    return metrics | ({"runs": _summarise_runs(records)} if "fold" in records[0] else {})


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
    found = {name: float(getattr(np, name)(defined)) for name in STATISTICS}
    means = np.random.default_rng(0).choice(defined, (RESAMPLES, len(defined))).mean(axis=1)
    return found | {"ci95": np.percentile(means, [2.5, 97.5]).tolist(), "undefined": undefined}


def _summarise_runs(records):
    ious = collections.defaultdict(list)
    for record in records:
        ious[tuple(record[name] for name in RUN_COLUMNS)].append(record["iou"])
    return [
        dict(zip(RUN_COLUMNS, run)) | {"n": len(ious[run]), "iou": statistics(ious[run])}
        for run in sorted(ious, key=lambda run: (parse_fold(run[1]), run))
    ]
