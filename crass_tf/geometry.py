"""Native grid <-> model grid: scale and padding are computed once; and the patient's sides of a mask."""

import dataclasses

import cv2
import numpy as np

from crass_tf.files import InputError

RIGHT, LEFT = 1, 2


@dataclasses.dataclass(frozen=True)
class Letterbox:
    """An aspect-preserving, centred fit of a native grid into a model grid; the border is padded with 0.

    Sizes are `(height, width)`. `inner` is the size of the resized image within the model grid, `offset` the
    (row, column) of its first pixel.
    """

    native: tuple[int, int]
    model: tuple[int, int]
    inner: tuple[int, int]
    offset: tuple[int, int]

    @classmethod
    def fit(cls, native, model):
        """Returns the letterbox of a native size in a model size, both `(height, width)`."""
        if min(native) < 1 or min(model) < 1:
            raise InputError(f"found sizes {native} and {model}, expected at least one pixel a side")
        scale = min(model[0] / native[0], model[1] / native[1])
        inner = tuple(min(m, max(1, round(n * scale))) for n, m in zip(native, model))
        offset = tuple((m - i) // 2 for i, m in zip(inner, model))
        return cls(tuple(native), tuple(model), inner, offset)

    def image_to_model(self, image):
        """Returns a native image `[H, W]` on the model grid, same dtype; area averaging where it shrinks."""
        return self._pad(self._resize(image))

    def mask_to_model(self, mask):
        """Returns a native mask uint8 `[H, W]` of 0 and 1 on the model grid: 1 where it covers half a pixel or more."""
        return self._pad((self._resize(mask.astype(np.float32)) >= 0.5).astype(np.uint8))

    def to_native(self, values):
        """Returns float32 `[h, w]` of the model grid (logits, probabilities) on the native grid, bilinearly."""
        (top, left), (height, width) = self.offset, self.inner
        inner = np.ascontiguousarray(values[top : top + height, left : left + width])
        return cv2.resize(inner, self.native[::-1], interpolation=cv2.INTER_LINEAR)

    def spacing_to_model(self, spacing_mm):
        """Returns the pixel spacing `(row, column)` of the model grid, given that of the native grid."""
        return tuple(s * n / i for s, n, i in zip(spacing_mm, self.native, self.inner))

    def _resize(self, image):
        if self.inner == self.native:
            return image
        # By area: the short side of a strip may be one pixel on both grids.
        shrinks = self.inner[0] * self.inner[1] < self.native[0] * self.native[1]
        return cv2.resize(image, self.inner[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)

    def _pad(self, image):
        if self.inner == self.model:
            return image
        (top, left), (height, width) = self.offset, self.inner
        below, right = self.model[0] - top - height, self.model[1] - left - width
        return cv2.copyMakeBorder(image, top, below, left, right, cv2.BORDER_CONSTANT, value=0)


def split_sides(mask):
    """Splits a mask into the patient's sides by the centroids of its components.

    Image left is the patient's right. The midline is halfway between the two largest components where these lie
    apart by at least an eighth of the image's width, else the image's centre line: a radiograph need not be centred.

    Args:
        mask: uint8 `[H, W]`, foreground above 0.

    Returns:
        uint8 `[H, W]`: 0 background, 1 (`RIGHT`) right clavicle, 2 (`LEFT`) left clavicle.
    """
    count, components, stats, centroids = cv2.connectedComponentsWithStats((mask > 0).astype(np.uint8))
    width = mask.shape[1]
    midline = (width - 1) / 2
    largest = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[:2]
    if len(largest) == 2 and np.ptp(centroids[largest, 0]) >= width / 8:
        midline = centroids[largest, 0].mean()
    side = np.where(centroids[:, 0] <= midline, RIGHT, LEFT).astype(np.uint8)
    side[0] = 0
    return side[components]
