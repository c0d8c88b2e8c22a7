"""How far apart the outlines of two masks run, in millimetres."""

import cv2
import numpy as np

from crass_tf.common.types import Spacing
from crass_tf.measurement.overlap import check_shapes
from crass_tf.radiographs.radiograph import check_spacing

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def contour(mask: np.ndarray) -> np.ndarray:
    """Returns the contour of a mask: its foreground pixels with a background 4-neighbour.

    What lies beyond the image's border is background, so foreground at the border is contour.

    Args:
        mask: `[H, W]`, foreground above 0.

    Returns:
        bool `[H, W]`.
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
    check_shapes(mask_gt, mask_pred)
    spacing_mm = check_spacing(spacing_mm, "spacing_mm")
    foreground_gt, foreground_pred = np.asarray(mask_gt) > 0, np.asarray(mask_pred) > 0
    if not foreground_gt.any() or not foreground_pred.any():
        return None
    # Nothing but background lies outside this box, so contours and distances within it are those of the whole image.
    column, row, width, height = cv2.boundingRect((foreground_gt | foreground_pred).astype(np.uint8))
    box = slice(row, row + height), slice(column, column + width)
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


def larger_percentile(gt_to_pred_mm: np.ndarray, pred_to_gt_mm: np.ndarray, percent: float = 95) -> float:
    """Returns the larger of the two percentiles, given what `directed_distances_mm` returned."""
    return float(max(np.percentile(gt_to_pred_mm, percent), np.percentile(pred_to_gt_mm, percent)))


def _distances_mm(contour_from, contour_to, spacing_mm):
    row_mm, column_mm = spacing_mm
    if row_mm == column_mm:
        # OpenCV knows square pixels only, and takes a third of SciPy's time.
        distance_px = cv2.distanceTransform((~contour_to).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return distance_px[contour_from].astype(np.float64) * row_mm
    from scipy import ndimage

    return np.asarray(ndimage.distance_transform_edt(~contour_to, sampling=spacing_mm))[contour_from]
