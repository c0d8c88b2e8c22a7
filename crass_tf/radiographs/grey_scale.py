"""The package's one rule for grey values."""

from __future__ import annotations

import dataclasses

import numpy as np

GREY_BITS = (8, 10, 12, 14, 16)


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
