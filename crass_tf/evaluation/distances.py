"""How far apart the outlines of two masks run, in millimetres."""

import cv2
import numpy as np

from crass_tf.evaluation.overlap import check_shapes

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
# Pairs of (contour point, column) that `_anisotropic_mm` holds at once: 4 MiB of float64.
PAIRS_AT_ONCE = 2**19


def contour(mask):
    """Returns the contour of a mask: its foreground pixels with a background 4-neighbour.

    What lies beyond the image's border is background, so foreground at the border is contour.

    Args:
        mask: `[H, W]`, foreground above 0.

    Returns:
        bool `[H, W]`.
    """
    foreground = (np.asarray(mask) > 0).astype(np.uint8)
    inside = cv2.erode(foreground, CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return (foreground & ~inside).astype(bool)


def directed_distances_mm(mask_gt, mask_pred, spacing_mm):
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
        ValueError: where the shapes differ, or the spacing is not two positive numbers.
    """
    check_shapes(mask_gt, mask_pred)
    spacing_mm = _check_spacing(spacing_mm)
    foreground_gt, foreground_pred = np.asarray(mask_gt) > 0, np.asarray(mask_pred) > 0
    if not foreground_gt.any() or not foreground_pred.any():
        return None
    # Nothing but background lies outside this box, so contours and distances within it are those of the whole image.
    column, row, width, height = cv2.boundingRect((foreground_gt | foreground_pred).astype(np.uint8))
    box = slice(row, row + height), slice(column, column + width)
    contour_gt, contour_pred = contour(foreground_gt[box]), contour(foreground_pred[box])
    return _distances_mm(contour_gt, contour_pred, spacing_mm), _distances_mm(contour_pred, contour_gt, spacing_mm)


def mean_contour_distance_mm(mask_gt, mask_pred, spacing_mm):
    """Returns the mean of the two directed mean contour distances in millimetres, or None where a mask is empty.

    `(mean_a min_b |a - b| + mean_b min_a |a - b|) / 2`; arguments and errors as in `directed_distances_mm`.

    Example: two pixels in one row, three columns of 0.5 mm apart.

    >>> mean_contour_distance_mm(np.array([[1, 0, 0, 0]]), np.array([[0, 0, 0, 1]]), (1.0, 0.5))
    1.5
    """
    distances_mm = directed_distances_mm(mask_gt, mask_pred, spacing_mm)
    return None if distances_mm is None else mean_of_directed(*distances_mm)


def hd95_mm(mask_gt, mask_pred, spacing_mm):
    """Returns the larger of the two directed 95th percentiles of contour distances, in millimetres, or None.

    Percentiles are interpolated linearly, as NumPy does; arguments and errors as in `directed_distances_mm`.
    """
    distances_mm = directed_distances_mm(mask_gt, mask_pred, spacing_mm)
    return None if distances_mm is None else larger_percentile(*distances_mm)


def mean_of_directed(gt_to_pred_mm, pred_to_gt_mm):
    """Returns the mean contour distance, given what `directed_distances_mm` returned."""
    return float((gt_to_pred_mm.mean() + pred_to_gt_mm.mean()) / 2)


def larger_percentile(gt_to_pred_mm, pred_to_gt_mm, percent=95):
    """Returns the larger of the two percentiles, given what `directed_distances_mm` returned."""
    return float(max(np.percentile(gt_to_pred_mm, percent), np.percentile(pred_to_gt_mm, percent)))


def _check_spacing(spacing_mm):
    spacing_mm = tuple(float(spacing) for spacing in spacing_mm)
    if len(spacing_mm) != 2 or not all(np.isfinite(spacing) and spacing > 0 for spacing in spacing_mm):
        raise ValueError(f"found spacing_mm {spacing_mm}, expected (row, column), both above 0")
    return spacing_mm


def _distances_mm(contour_from, contour_to, spacing_mm):
    row_mm, column_mm = spacing_mm
    if row_mm != column_mm:
        return _anisotropic_mm(contour_from, contour_to, spacing_mm)
    # OpenCV's transform is exact and takes a millisecond, but knows square pixels only.
    distance_px = cv2.distanceTransform((~contour_to).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance_px[contour_from].astype(np.float64) * row_mm


def _anisotropic_mm(contour_from, contour_to, spacing_mm):
    """Returns the distances of `_distances_mm` by a scan that is exact for any spacing.

    The nearest contour pixel lies in some column, and there it is the one nearest by rows. So that distance is found
    once for every pixel; then each contour pixel looks along its row for the least sum of squares.
    """
    row_mm, column_mm = spacing_mm
    squared_gap = (_rows_to_nearest(contour_to) * row_mm) ** 2
    rows, columns = np.nonzero(contour_from)
    every_column = np.arange(contour_to.shape[1])
    squared = np.empty(len(rows))
    step = max(1, PAIRS_AT_ONCE // len(every_column))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        aside = (columns[part, np.newaxis] - every_column) * column_mm
        squared[part] = (squared_gap[rows[part]] + aside**2).min(axis=1)
    return np.sqrt(squared)


def _rows_to_nearest(target):
    """Returns for each pixel how many rows away the nearest target pixel of its column lies; inf where none does."""
    row = np.arange(len(target), dtype=np.float64)[:, np.newaxis]
    above = np.maximum.accumulate(np.where(target, row, -np.inf), axis=0)
    below = np.minimum.accumulate(np.where(target, row, np.inf)[::-1], axis=0)[::-1]
    return np.minimum(row - above, below - row)
