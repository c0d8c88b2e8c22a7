"""How well two masks agree: the overlap, and how far apart their outlines run. Foreground is any value above 0."""

import cv2
import numpy as np

from crass_tf.common.types import Spacing
from crass_tf.geometry import bounding_box
from crass_tf.radiographs.radiograph import check_spacing

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def iou(mask_gt: np.ndarray, mask_pred: np.ndarray) -> float:
    """Returns intersection over union, `|A & B| / |A | B|`.

    Args:
        mask_gt: true mask `[H, W]`.
        mask_pred: predicted mask `[H, W]`.

    Returns:
        A float from 0 to 1. Both masks empty: 1, nothing to find and nothing found. One empty: 0.

    Raises:
        ValueError: where the shapes differ.

    Example:

    >>> iou(np.array([[1, 1, 0]]), np.array([[0, 1, 1]]))
    0.3333333333333333
    """
    intersection, area_gt, area_pred = pixel_counts(mask_gt, mask_pred)
    union = area_gt + area_pred - intersection
    return intersection / union if union else 1.0


def dice(mask_gt: np.ndarray, mask_pred: np.ndarray) -> float:
    """Returns the Dice coefficient, `2 |A & B| / (|A| + |B|)`; arguments, empty masks and errors as in `iou`.

    Example:

    >>> dice(np.array([[1, 1, 0]]), np.array([[0, 1, 1]]))
    0.5
    """
    intersection, area_gt, area_pred = pixel_counts(mask_gt, mask_pred)
    total = area_gt + area_pred
    return 2 * intersection / total if total else 1.0


def pixel_counts(mask_gt: np.ndarray, mask_pred: np.ndarray) -> tuple[int, int, int]:
    """Returns the pixels in `(both masks, mask_gt, mask_pred)` as ints; raises ValueError where the shapes differ."""
    _check_shapes(mask_gt, mask_pred)
    foreground_gt, foreground_pred = np.asarray(mask_gt) > 0, np.asarray(mask_pred) > 0
    both = np.count_nonzero(foreground_gt & foreground_pred)
    return int(both), int(np.count_nonzero(foreground_gt)), int(np.count_nonzero(foreground_pred))


def _check_shapes(mask_gt: np.ndarray, mask_pred: np.ndarray) -> None:
    """Raises ValueError unless both masks have one and the same shape `[H, W]`."""
    shape_gt, shape_pred = np.shape(mask_gt), np.shape(mask_pred)
    if shape_gt != shape_pred or len(shape_gt) != 2:
        raise ValueError(f"found mask_gt of shape {shape_gt} and mask_pred of shape {shape_pred}, expected one [H, W]")


def two_class(intersection_px: int, area_gt_px: int, area_pred_px: int, pixels: int) -> dict[str, float]:
    """Returns IoU and Dice over the two classes background and clavicle, from pixel counts pooled over a data set.

    This is what MMSegmentation prints as mIoU and mDice (as fractions, not per cent): pixels are added up over all
    images first, then each class gets its IoU and Dice, then the two classes are averaged. The background is nearly
    always right, so the figures are far above those of the clavicles alone; they are for comparison with its tables.

    Args:
        intersection_px: clavicle pixels in both masks, summed over the images.
        area_gt_px: clavicle pixels in the true masks.
        area_pred_px: clavicle pixels in the predictions.
        pixels: all pixels.

    Returns:
        `{"miou", "mdice"}`. A class that occurs in no mask of either kind is left out of the mean.

    Source: open-mmlab/mmsegmentation, mmseg/evaluation/metrics/iou_metric.py.
    """
    background_px = pixels - area_gt_px - area_pred_px + intersection_px
    classes = [(background_px, pixels - area_gt_px, pixels - area_pred_px), (intersection_px, area_gt_px, area_pred_px)]
    present = [(both, gt, pred) for both, gt, pred in classes if gt + pred]
    return {
        "miou": float(np.mean([both / (gt + pred - both) for both, gt, pred in present])),
        "mdice": float(np.mean([2 * both / (gt + pred) for both, gt, pred in present])),
    }


def contour(mask: np.ndarray) -> np.ndarray:
    """Returns the contour of a mask `[H, W]`, bool `[H, W]`: its foreground pixels with a background 4-neighbour.

    What lies beyond the image's border is background, so foreground at the border is contour.
    """
    foreground = (np.asarray(mask) > 0).astype(np.uint8)
    inside = cv2.erode(foreground, CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return foreground > inside


def directed_distances_mm(
    mask_gt: np.ndarray, mask_pred: np.ndarray, spacing_mm: Spacing
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the distance from each contour pixel of one mask to the nearest contour pixel of the other, both ways.

    Distances are exact, between pixel centres, also where rows and columns are spaced differently.

    Args:
        mask_gt: true mask `[H, W]`, foreground above 0.
        mask_pred: predicted mask `[H, W]`.
        spacing_mm: `(row, column)`, the distance between rows and that between columns.

    Returns:
        `(gt_to_pred_mm, pred_to_gt_mm)`, two float64 arrays, one value a contour pixel; or None where a mask is empty,
        or both are: there is no outline to be near to.

    Raises:
        ValueError: where the shapes differ, or the spacing is implausible.
    """
    _check_shapes(mask_gt, mask_pred)
    spacing_mm = check_spacing(spacing_mm, "spacing_mm")
    foreground_gt, foreground_pred = np.asarray(mask_gt) > 0, np.asarray(mask_pred) > 0
    if not foreground_gt.any() or not foreground_pred.any():
        return None
    # Nothing but background lies outside this box, so contours and distances within it are those of the whole image.
    box = bounding_box((foreground_gt | foreground_pred).view(np.uint8))
    contour_gt, contour_pred = contour(foreground_gt[box]), contour(foreground_pred[box])
    return _distances_mm(contour_gt, contour_pred, spacing_mm), _distances_mm(contour_pred, contour_gt, spacing_mm)


def mean_contour_distance_mm(mask_gt: np.ndarray, mask_pred: np.ndarray, spacing_mm: Spacing) -> float | None:
    """Returns the mean of the two directed mean contour distances in millimetres, or None where a mask is empty.

    `(mean_a min_b |a - b| + mean_b min_a |a - b|) / 2`; arguments and errors as in `directed_distances_mm`.

    Example: two pixels in one row, three columns of 0.5 mm apart.

    >>> mean_contour_distance_mm(np.array([[1, 0, 0, 0]]), np.array([[0, 0, 0, 1]]), (1.0, 0.5))
    1.5
    """
    distances_mm = directed_distances_mm(mask_gt, mask_pred, spacing_mm)
    return None if distances_mm is None else mean_of_directed(*distances_mm)


def hd95_mm(mask_gt: np.ndarray, mask_pred: np.ndarray, spacing_mm: Spacing) -> float | None:
    """Returns the larger of the two directed 95th percentiles of contour distances, in millimetres, or None.

    Percentiles are interpolated linearly, as NumPy does; arguments and errors as in `directed_distances_mm`.
    """
    distances_mm = directed_distances_mm(mask_gt, mask_pred, spacing_mm)
    return None if distances_mm is None else larger_percentile(*distances_mm)


def mean_of_directed(gt_to_pred_mm: np.ndarray, pred_to_gt_mm: np.ndarray) -> float:
    """Returns the mean contour distance, given what `directed_distances_mm` returned."""
    return float((gt_to_pred_mm.mean() + pred_to_gt_mm.mean()) / 2)


def larger_percentile(gt_to_pred_mm: np.ndarray, pred_to_gt_mm: np.ndarray) -> float:
    """Returns the larger of the two 95th percentiles, given what `directed_distances_mm` returned."""
    return float(max(np.percentile(gt_to_pred_mm, 95), np.percentile(pred_to_gt_mm, 95)))


def _distances_mm(contour_from, contour_to, spacing_mm):
    row_mm, column_mm = spacing_mm
    if row_mm == column_mm:
        # OpenCV knows square pixels only, and takes a third of SciPy's time.
        distance_px = cv2.distanceTransform((~contour_to).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return distance_px[contour_from].astype(np.float64) * row_mm
    from scipy import ndimage

    return np.asarray(ndimage.distance_transform_edt(~contour_to, sampling=spacing_mm))[contour_from]
