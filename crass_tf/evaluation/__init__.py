"""How well a segmenter does: overlap, contour distances in millimetres, tables and a report."""

from crass_tf.evaluation.records import make_record, summarise
from crass_tf.evaluation.scoring import Run, evaluate, evaluate_runs
from crass_tf.measurement.metrics import (
    contour,
    dice,
    directed_distances_mm,
    hd95_mm,
    iou,
    mean_contour_distance_mm,
    two_class,
)

__all__ = [
    "Run",
    "contour",
    "dice",
    "directed_distances_mm",
    "evaluate",
    "evaluate_runs",
    "hd95_mm",
    "iou",
    "make_record",
    "mean_contour_distance_mm",
    "summarise",
    "two_class",
]
