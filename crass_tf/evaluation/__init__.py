"""How well a segmenter does: overlap, contour distances in millimetres, tables and a report."""

from crass_tf.evaluation.distances import contour, directed_distances_mm, hd95_mm, mean_contour_distance_mm
from crass_tf.evaluation.overlap import dice, iou, two_class
from crass_tf.evaluation.records import make_record
from crass_tf.evaluation.scoring import evaluate
from crass_tf.evaluation.summary import summarise

__all__ = [
    "contour",
    "dice",
    "directed_distances_mm",
    "evaluate",
    "hd95_mm",
    "iou",
    "make_record",
    "mean_contour_distance_mm",
    "summarise",
    "two_class",
]
