"""A file in, a `Radiograph` out: pixels, plausible spacings, and the one rule for grey values."""

from __future__ import annotations

import dataclasses
import math
import numbers
import os
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from crass_tf.common.files import InputError, local_path
from crass_tf.common.types import PathLike, Spacing
from crass_tf.radiographs import formats
from crass_tf.radiographs.formats import MAX_PIXELS, Content, Decoded

GREY_TYPES = (np.uint8, np.uint16, np.int8, np.int16)
GREY_BITS = (8, 10, 12, 14, 16)
# Detectors have 0.1 to 0.3 mm, and a chest of 40 cm is 32 pixels wide at 12.5 mm. Whatever lies far outside is a
# mistake in a header or in a command; with it lengths mean nothing and the measures need endless memory.
SMALLEST_MM, LARGEST_MM = 0.01, 20.0
LARGEST_RATIO = 10
RANGE = f"from {SMALLEST_MM:g} to {LARGEST_MM:g}, one at most {LARGEST_RATIO} times the other"


@dataclasses.dataclass(frozen=True, eq=False)
class Radiograph:
    """A chest radiograph.

    Attributes:
        image: uint8 `[H, W]`, grey values from 0 to 255, dense tissue bright.
        spacing_mm: pixel spacing `(row, column)` in millimetres, or None where unknown; NaN twice becomes None.
        source: where the pixels came from, for messages and reports.
        mirrored: whether image left is the patient's left, the other way round than radiographs are shown.
        notes: what reading did to the pixels, or what has to be known of the spacing, one line each.

    Raises:
        InputError: for pixels of another kind, or an implausible spacing, see `check_spacing`.
    """

    image: np.ndarray
    spacing_mm: Spacing | None = None
    source: str = "array"
    mirrored: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        image = self.image
        if not isinstance(image, np.ndarray):
            raise InputError(f"{self.source}: found {type(image).__name__}, expected an array uint8 [H, W]")
        if image.dtype != np.uint8 or image.ndim != 2 or not image.size:
            raise InputError(f"{self.source}: found {image.dtype} of shape {image.shape}, expected uint8 [H, W]")
        object.__setattr__(self, "spacing_mm", known_spacing(self.spacing_mm, f"{self.source}, spacing_mm"))


@dataclasses.dataclass(frozen=True)
class GreyScale:
    """The package's one rule for grey values: what stored values mean, for one radiograph or a whole data set.

    Unsigned 8-bit values stay as they are. Others are divided by the full scale of the smallest usual bit depth
    (8, 10, 12, 14, 16) that holds the largest value: one detector gives one scale for all its radiographs, so grey
    values stay comparable between images. Where stored values are negative, half the range of the smallest bit depth
    that makes all of them positive (128, 512, 2048, ...) is added first. Nothing is stretched to an image's own minimum
    and maximum.

    Attributes:
        offset: what is added to stored values.
        bits: bit depth of the result.
    """

    offset: int = 0
    bits: int = 8

    @classmethod
    def holding(cls, low: int, high: int) -> GreyScale:
        """Returns the scale for stored values from `low` to `high`."""
        offset = next(offset for offset in (0, *(2 ** (bits - 1) for bits in GREY_BITS)) if low + offset >= 0)
        return cls(offset, next(bits for bits in GREY_BITS if high + offset < 2**bits))

    def to_grey8(self, pixels: np.ndarray) -> np.ndarray:
        """Maps stored grey values, 8 or 16 bits, to uint8 of the same shape."""
        if pixels.dtype == np.uint8:
            return pixels
        grey = (pixels.astype(np.float32) + self.offset) * np.float32(255 / (2**self.bits - 1))
        return np.round(np.clip(grey, 0, 255)).astype(np.uint8)

    def to_uint16(self, pixels: np.ndarray) -> np.ndarray:
        """Returns stored grey values as uint16, unchanged but for the offset."""
        if pixels.dtype == np.uint8:
            return pixels.astype(np.uint16)
        return np.clip(pixels.astype(np.int32) + self.offset, 0, 2**16 - 1).astype(np.uint16)


def to_grey(pixels: np.ndarray, source: object) -> np.ndarray:
    """Returns stored grey values `[H, W]`: colours become luminance; an alpha channel is ignored.

    Args:
        pixels: uint8, uint16, int8 or int16 in any byte order, `[H, W]` or `[H, W, 1]`; uint8 or uint16 `[H, W, 3]` or
            `[H, W, 4]` (blue, green, red).
        source: a name for messages.

    Raises:
        InputError: for another dtype or shape.
    """
    if not pixels.size:
        raise InputError(f"{source}: found no pixels, shape {pixels.shape}")
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if pixels.dtype not in GREY_TYPES:
        raise InputError(f"{source}: found {pixels.dtype} pixels, expected integers of 8 or 16 bits")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim == 3 and pixels.shape[2] in (3, 4):
        if np.issubdtype(pixels.dtype, np.signedinteger):
            raise InputError(f"{source}: found colours as signed values, {pixels.dtype}, expected uint8 or uint16")
        pixels = cv2.cvtColor(pixels[:, :, :3], cv2.COLOR_BGR2GRAY)
    if pixels.ndim != 2:
        raise InputError(f"{source}: found pixels of shape {pixels.shape}, expected [H, W] or [H, W, channels]")
    return pixels


def from_array(
    pixels: np.ndarray, spacing_mm: Spacing | None = None, source: str = "array", scale: GreyScale | None = None
) -> Radiograph:
    """Returns the `Radiograph` of an array of grey values.

    Args:
        pixels: as in `to_grey`, or floats from 0 to 255, `[H, W]` or `[H, W, 1]`.
        spacing_mm: `(row, column)` or None.
        source: a name for messages.
        scale: the `GreyScale` of the values; None takes the one that holds them.
    """
    try:
        pixels = np.asarray(pixels)
    except ValueError:
        raise InputError(f"{source}: found rows of different lengths, expected [H, W]") from None
    if np.issubdtype(pixels.dtype, np.floating) and pixels.size:
        if not np.isfinite(pixels).all() or pixels.min() < 0 or pixels.max() > 255:
            raise InputError(f"{source}: found grey values outside 0 to 255, expected 0 to 255")
        if 0 < pixels.max() <= 1:
            raise InputError(f"{source}: found grey values from 0 to 1, expected 0 to 255; multiply them by 255")
        pixels = np.round(pixels).astype(np.uint8)
    grey = to_grey(pixels, source)
    scale = scale or GreyScale.holding(int(grey.min()), int(grey.max()))
    return Radiograph(scale.to_grey8(grey), spacing_mm, source)


def read_radiograph(source: Any, spacing_mm: Spacing | None = None, max_pixels: int = MAX_PIXELS) -> Radiograph:
    """Reads a PNG, JPEG, TIFF, GIF, DICOM or MetaImage file as a `Radiograph`; the content decides which it is.

    Args:
        source: the file's path; or its content as bytes, or as a file that is open for reading them.
        spacing_mm: `(row, column)`; where given, and not NaN, it outranks the file's header.
        max_pixels: a file that claims more is refused before they are decoded.

    Raises:
        InputError: where the file is missing, empty, truncated, damaged or no such image; the message names it.
    """
    content = Content.of(local_path(source) if isinstance(source, (str, os.PathLike)) else source, max_pixels)
    spacing_mm = known_spacing(spacing_mm, f"{content}, spacing_mm")
    decoded = _decode(content)
    scale = None if decoded.bits is None else GreyScale(0, decoded.bits)
    spacing_mm = decoded.spacing_mm if spacing_mm is None else spacing_mm
    radiograph = from_array(decoded.pixels, spacing_mm, str(content), scale)
    return dataclasses.replace(radiograph, mirrored=decoded.mirrored, notes=decoded.notes)


def _decode(content: Content) -> Decoded:
    """Returns what a file holds; an implausible pixel spacing is unknown, with a note: no mask depends on it."""
    decoded = formats.decode(content)
    if decoded.spacing_mm is None or is_plausible(decoded.spacing_mm):
        return decoded
    row_mm, column_mm = decoded.spacing_mm
    note = f"the file's pixel spacing of {row_mm:g} x {column_mm:g} mm was ignored, expected lengths {RANGE}"
    return dataclasses.replace(decoded, spacing_mm=None, notes=(*decoded.notes, note))


def read_grey(path: PathLike) -> tuple[np.ndarray, Spacing | None]:
    """Reads the stored grey values of a file of any format that `read_radiograph` reads.

    Returns:
        `(pixels, spacing_mm)`: uint8, uint16, int8 or int16 `[H, W]`, and `(row, column)` by the header or None.

    Raises:
        InputError: as `read_radiograph`.
    """
    decoded = _decode(Content.of(local_path(path)))
    return to_grey(decoded.pixels, path), decoded.spacing_mm


def read_mask(path: PathLike) -> tuple[np.ndarray, list[int]]:
    """Reads a mask from a PNG, GIF, TIFF or MetaImage file: any value above 0 is foreground.

    Returns:
        `(mask, values)`: uint8 `[H, W]` of 0 and 1, and the sorted list of values that the file held.

    Raises:
        InputError: as `read_radiograph`.
    """
    pixels = formats.decode(Content.of(local_path(path))).pixels
    if pixels.ndim == 3:
        pixels = pixels[:, :, :3].max(axis=2)
    if pixels.dtype == np.uint8:
        # Ten times faster than sorting, which took an eighth of the time of a build.
        values = np.flatnonzero(cv2.calcHist([pixels], [0], None, [256], [0, 256]))
    else:
        values = np.unique(pixels)
    return (pixels > 0).astype(np.uint8), values.tolist()


def is_plausible(spacing_mm: Sequence[float]) -> bool:
    """Returns whether `(row, column)`, two numbers, can be the pixel spacing of a radiograph in millimetres."""
    return (
        all(SMALLEST_MM <= length <= LARGEST_MM for length in spacing_mm)
        and max(spacing_mm) <= min(spacing_mm) * LARGEST_RATIO
    )


def check_spacing(spacing_mm: Any, source: str) -> tuple[float, float]:
    """Returns `spacing_mm` as a tuple of two floats; InputError that names `source` unless it is a plausible pair."""
    pair = _as_pair(spacing_mm)
    if pair is None or not is_plausible(pair):
        shown = " ".join(repr(spacing_mm).split())[:100]
        raise InputError(f"{source}: found {shown}, expected two lengths, (row, column) in millimetres, {RANGE}")
    return pair


def known_spacing(spacing_mm: Any, source: str) -> tuple[float, float] | None:
    """Returns what `check_spacing` does; None where it is unknown: None, or NaN twice as the data sets have it."""
    pair = _as_pair(spacing_mm)
    if spacing_mm is None or (pair is not None and all(math.isnan(length) for length in pair)):
        return None
    return check_spacing(spacing_mm, source)


def _as_pair(spacing_mm):
    """Returns a tuple of two floats, or None where these are not two numbers."""
    try:
        row_mm, column_mm = spacing_mm
    except (TypeError, ValueError):
        return None
    if not all(isinstance(v, numbers.Real) and not isinstance(v, bool) for v in (row_mm, column_mm)):
        return None
    return float(row_mm), float(column_mm)
