"""How much of two masks is shared. Foreground is any value above 0."""

import numpy as np


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
    check_shapes(mask_gt, mask_pred)
    foreground_gt, foreground_pred = np.asarray(mask_gt) > 0, np.asarray(mask_pred) > 0
    both = np.count_nonzero(foreground_gt & foreground_pred)
    return int(both), int(np.count_nonzero(foreground_gt)), int(np.count_nonzero(foreground_pred))


def check_shapes(mask_gt: np.ndarray, mask_pred: np.ndarray) -> None:
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
    classes = [
        (background_px, pixels - area_gt_px, pixels - area_pred_px),
        (intersection_px, area_gt_px, area_pred_px),
    ]
    present = [(both, gt, pred) for both, gt, pred in classes if gt + pred]
    return {
        "miou": float(np.mean([both / (gt + pred - both) for both, gt, pred in present])),
        "mdice": float(np.mean([2 * both / (gt + pred) for both, gt, pred in present])),
    }
