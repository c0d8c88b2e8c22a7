"""The pictures of a report: outlines on the whole radiograph, and on the clavicles close up."""

import pathlib
import re
from collections.abc import Iterable

import cv2
import numpy as np

from crass_tf.reporting.overlay import SIDE_COLOURS, overlay

WHOLE_SIZE = 800
CLOSE_UP_WIDTH = 1400
JPEG_QUALITY = 88
# Margin on every side / width of the clavicles: enough to see what was mistaken for bone.
MARGIN = 0.07
# In a small picture of a whole radiograph nobody sees an outline, but a tint.
TINT = 0.35
# Rows above a small picture for its line of text.
CAPTION = 24


def write_pictures(folder: pathlib.Path, name: str, image: np.ndarray, labels: np.ndarray, mask_gt: np.ndarray) -> None:
    """Writes `whole/NAME.jpg`, the radiograph with predictions tinted, and `clavicles/NAME.jpg`, outlines close up.

    Image, predicted labels and true mask are uint8 `[H, W]`.
    """
    whole = _resize(image, labels, mask_gt, min(1.0, WHOLE_SIZE / max(image.shape)))
    write_jpeg(folder / "whole" / f"{name}.jpg", _tint_labels(overlay(*whole), whole[1]))
    box = close_up(mask_gt if mask_gt.any() else labels)
    part = _resize(image[box], labels[box], mask_gt[box], CLOSE_UP_WIDTH / image[box].shape[1])
    write_jpeg(folder / "clavicles" / f"{name}.jpg", overlay(*part))


def tile(image: np.ndarray, labels: np.ndarray, mask_gt: np.ndarray, caption: str, width: int) -> np.ndarray:
    """Returns a small picture, uint8 `[h, width, 3]`: all of a radiograph with outlines, below a line of text."""
    small = _resize(image, labels, mask_gt, width / image.shape[1])
    picture = cv2.copyMakeBorder(overlay(*small), CAPTION, 0, 0, 0, cv2.BORDER_CONSTANT)
    return cv2.putText(picture, caption, (6, CAPTION - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255,) * 3, 1, cv2.LINE_AA)


def write_jpeg(path: pathlib.Path, picture: np.ndarray) -> None:
    """Writes uint8 `[H, W, 3]` (blue, green, red) as JPEG; makes the file's folder."""
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(encoded.tobytes())


def close_up(mask: np.ndarray) -> tuple[slice, slice]:
    """Returns slices (rows, columns) around a mask's foreground, with a margin; the whole image where there is none.

    The box is at least a third of the image wide: a speck alone would be magnified beyond recognition.
    """
    if not mask.any():
        return slice(0, mask.shape[0]), slice(0, mask.shape[1])
    column, row, width, height = cv2.boundingRect((mask > 0).astype(np.uint8))
    least = mask.shape[1] // 3
    margin = round(MARGIN * max(width, least))
    wider, higher = margin + max(0, least - width) // 2, margin + max(0, least // 3 - height) // 2
    rows = slice(max(0, row - higher), row + height + higher)
    return rows, slice(max(0, column - wider), column + width + wider)


def picture_name(image_id: str, taken: Iterable[str]) -> str:
    """Returns a file stem for an image that is safe in any file system and link, and none of those taken.

    Example:

    >>> picture_name("site a/0001", taken=[])
    'site_a_0001'
    """
    # Some file systems ignore case.
    taken = {name.lower() for name in taken}
    stem = re.sub(r"[^A-Za-z0-9.-]+", "_", image_id).strip(".") or "image"
    name, count = stem, 1
    while name.lower() in taken:
        count += 1
        name = f"{stem}_{count}"
    return name


def _resize(image, labels, mask_gt, scale):
    """Returns all three at another size: resized before they are drawn, so that lines keep their thickness."""
    size = tuple(max(1, round(length * scale)) for length in image.shape[::-1])
    if size == image.shape[::-1]:
        return image, labels, mask_gt
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return image, *(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT) for mask in (labels, mask_gt))


def _tint_labels(picture, labels):
    for side, colour in SIDE_COLOURS.items():
        inside = labels == side
        picture[inside] = (1 - TINT) * picture[inside] + TINT * np.array(colour)
    return picture
