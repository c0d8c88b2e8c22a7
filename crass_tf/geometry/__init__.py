"""Letterbox and level strips between a radiograph's own grid and a model's, and the patient's sides of a mask."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from crass_tf.common.files import InputError

RIGHT, LEFT = 1, 2
# The matrix maps from the result to the source. Otherwise OpenCV would invert it.
FROM_RESULT = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns an image `[H, W]` in `size` `(height, width)`, same dtype: area averaging where it shrinks."""
    # By number of pixels: the short side of a strip may be one pixel on both grids.
    interpolation = cv2.INTER_AREA if image.shape[0] * image.shape[1] > size[0] * size[1] else cv2.INTER_LINEAR
    return cv2.resize(image, size[::-1], interpolation=interpolation)


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
    def fit(cls, native: tuple[int, int], model: tuple[int, int]) -> Letterbox:
        """Returns the letterbox of a native size in a model size, both `(height, width)`."""
        if min(native) < 1 or min(model) < 1:
            raise InputError(f"found sizes {native} and {model}, expected at least one pixel a side")
        scale = min(model[0] / native[0], model[1] / native[1])
        height, width = (min(m, max(1, round(n * scale))) for n, m in zip(native, model))
        offset = (model[0] - height) // 2, (model[1] - width) // 2
        return cls((native[0], native[1]), (model[0], model[1]), (height, width), offset)

    def image_to_model(self, image: np.ndarray) -> np.ndarray:
        """Returns a native image `[H, W]` on the model grid, same dtype; area averaging where it shrinks."""
        return self._pad(self._resize(image))

    def mask_to_model(self, mask: np.ndarray) -> np.ndarray:
        """Returns a native mask uint8 `[H, W]` of 0 and 1 on the model grid: 1 where it covers half a pixel or more."""
        return self._pad((self._resize(mask.astype(np.float32)) >= 0.5).astype(np.uint8))

    @property
    def matrix(self) -> np.ndarray:
        """Float64 `[3, 3]`: maps native pixel coordinates (x, y, 1) to the model's; whole numbers are pixel centres."""
        (height, width), (rows, columns), (top, left) = self.native, self.inner, self.offset
        x, y = columns / width, rows / height
        return np.array([[x, 0, (x - 1) / 2 + left], [0, y, (y - 1) / 2 + top], [0, 0, 1]])

    def to_native(self, values: np.ndarray) -> np.ndarray:
        """Returns float32 `[h, w]` (logits, probabilities) on the native grid, bilinearly.

        Args:
            values: on the model grid, or on a coarser one with the same field of view.
        """
        if values.shape == self.model:
            (top, left), (height, width) = self.offset, self.inner
            inner = np.ascontiguousarray(values[top : top + height, left : left + width])
            return cv2.resize(inner, self.native[::-1], interpolation=cv2.INTER_LINEAR)
        x, y = values.shape[1] / self.model[1], values.shape[0] / self.model[0]
        matrix = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]]) @ self.matrix
        values = np.ascontiguousarray(values)
        return cv2.warpAffine(values, matrix, self.native[::-1], flags=FROM_RESULT, borderMode=cv2.BORDER_REPLICATE)

    def spacing_to_model(self, spacing_mm: tuple[float, float]) -> tuple[float, float]:
        """Returns the pixel spacing `(row, column)` of the model grid, given that of the native grid."""
        row_mm, column_mm = (s * n / i for s, n, i in zip(spacing_mm, self.native, self.inner))
        return row_mm, column_mm

    def _resize(self, image):
        return image if self.inner == self.native else resize(image, self.inner)

    def _pad(self, image):
        if self.inner == self.model:
            return image
        (top, left), (height, width) = self.offset, self.inner
        below, right = self.model[0] - top - height, self.model[1] - left - width
        return cv2.copyMakeBorder(image, top, below, left, right, cv2.BORDER_CONSTANT, value=0)


# Length of a bar with the clavicle's variance / width of the strip. The rest is a margin for a finder's errors.
STRIP_FILL = 0.78
# Where in a strip the clavicle's mean lies, as parts of its width and height. The medial end, which is the thicker one,
# lies 0.45 lengths from the mean, the lateral end 0.60: medians of 248 clavicles, odd-numbered JSRT radiographs.
STRIP_MEAN = (0.5585, 0.5)
# Logit of background, outside a strip.
OUTSIDE_LOGIT = -20.0


@dataclasses.dataclass(frozen=True)
class Strip:
    """A rectangle around one clavicle, level with it and scaled to its length, on a model grid of its own.

    Sizes are `(height, width)`. `matrix` (two rows of three) maps native pixel coordinates (x, y) to the strip's; whole
    numbers are the pixels' centres in both. `model.strips` lays the same strips inside the model.
    """

    native: tuple[int, int]
    model: tuple[int, int]
    matrix: tuple[tuple[float, float, float], tuple[float, float, float]]

    @classmethod
    def around(cls, mask: np.ndarray, model: tuple[int, int], mirrored: bool = False) -> Strip:
        """Returns the strip around one clavicle, by its moments.

        The clavicle lies level, its mean at `STRIP_MEAN`, and takes `STRIP_FILL` of the width. Its length is that of a
        bar with its variance along its principal axis. The medial end lies at the strip's right.

        Args:
            mask: uint8 `[H, W]`, the clavicle above 0.
            model: size of the strip's own grid.
            mirrored: whether left and right change places, as they do for the clavicle at the image's right.

        Raises:
            InputError: where there is no clavicle.
        """
        y, x = np.nonzero(mask)
        if not len(x):
            raise InputError("found no clavicle to lay a strip around")
        covariance = np.cov(x, y, bias=True) if len(x) > 1 else np.zeros((2, 2))
        variances, axes = np.linalg.eigh(covariance)
        # The axis points to the image's right.
        cos, sin = axes[:, 1] * (1 if axes[0, 1] >= 0 else -1)
        scale = STRIP_FILL * model[1] / max(np.sqrt(12 * variances[1]), 1.0)
        turn = np.array([[-cos, -sin] if mirrored else [cos, sin], [-sin, cos]])
        mean = np.array(STRIP_MEAN) * (model[1], model[0]) - 0.5
        shift = mean - scale * turn @ [x.mean(), y.mean()]
        return cls.of_matrix(np.column_stack([scale * turn, shift]), mask.shape, model)

    @classmethod
    def of_matrix(cls, matrix: np.ndarray, native: tuple[int, int], model: tuple[int, int]) -> Strip:
        """Returns the strip with a matrix, any `[2, 3]`."""
        x_row, y_row = map(tuple, np.asarray(matrix, float).tolist())
        return cls((native[0], native[1]), (model[0], model[1]), (x_row, y_row))

    def resized(self, model: tuple[int, int]) -> Strip:
        """Returns the strip with the same centre, tilt and scale, and another size of its grid."""
        matrix = np.array(self.matrix)
        matrix[:, 2] += (model[1] - self.model[1]) / 2, (model[0] - self.model[0]) / 2
        return Strip.of_matrix(matrix, self.native, model)

    def image_to_model(self, image: np.ndarray) -> np.ndarray:
        """Returns a native image `[H, W]` on the strip's grid, same dtype, bilinearly; 0 outside."""
        return cv2.warpAffine(image, np.array(self.matrix), self.model[::-1], flags=cv2.INTER_LINEAR, borderValue=0)

    def mask_to_model(self, mask: np.ndarray) -> np.ndarray:
        """Returns a native mask uint8 `[H, W]` of 0 and 1 on the strip's grid: 1 where half a pixel is covered."""
        return (self.image_to_model(mask.astype(np.float32)) >= 0.5).astype(np.uint8)

    def to_native(self, logits: np.ndarray) -> tuple[tuple[slice, slice], np.ndarray]:
        """Returns logits float32 `[h, w]` of the strip on the native grid, bilinearly, within a box around the strip.

        Returns:
            `(box, logits)`: the slices (rows, columns) of the native grid, and its logits there; background outside the
            strip.
        """
        box = self._native_box()
        matrix = np.array(self.matrix)
        matrix[:, 2] += matrix[:, :2] @ [box[1].start, box[0].start]
        size = (box[1].stop - box[1].start, box[0].stop - box[0].start)
        if min(size) < 1:
            return box, np.empty(size[::-1], np.float32)
        logits = np.ascontiguousarray(logits)
        return box, cv2.warpAffine(logits, matrix, size, flags=FROM_RESULT, borderValue=OUTSIDE_LOGIT)

    def _native_box(self):
        """Returns the slices (rows, columns) of the native grid's pixels that the strip touches."""
        (height, width), inverse = self.model, cv2.invertAffineTransform(np.array(self.matrix))
        corners = np.array([[-1, -1, 1], [width, -1, 1], [-1, height, 1], [width, height, 1]]) @ inverse.T
        first, last = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0)) + 1
        x, y = (np.clip([first[i], last[i]], 0, self.native[1 - i]).astype(int) for i in (0, 1))
        return slice(int(y[0]), int(y[1])), slice(int(x[0]), int(x[1]))


def split_sides(mask: np.ndarray, mirrored: bool = False) -> np.ndarray:
    """Splits a mask into the patient's sides by the centroids of its components.

    Image left is the patient's right, unless the image is mirrored. The midline is halfway between the two largest
    components where these lie apart by at least an eighth of the image's width, else the image's centre line: a
    radiograph need not be centred.

    Args:
        mask: uint8 `[H, W]`, foreground above 0.
        mirrored: whether image left is the patient's left.

    Returns:
        uint8 `[H, W]`: 0 background, 1 (`RIGHT`) right clavicle, 2 (`LEFT`) left clavicle.
    """
    foreground, width = (mask > 0).astype(np.uint8), mask.shape[1]
    # Clavicles cover a small part of a radiograph; only that part is searched.
    box = bounding_box(foreground)
    _, components, stats, centroids = cv2.connectedComponentsWithStats(np.ascontiguousarray(foreground[box]))
    centroids[:, 0] += box[1].start
    midline = (width - 1) / 2
    largest = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[:2]
    if len(largest) == 2 and np.ptp(centroids[largest, 0]) >= width / 8:
        midline = centroids[largest, 0].mean()
    image_left, image_right = (LEFT, RIGHT) if mirrored else (RIGHT, LEFT)
    side = np.where(centroids[:, 0] <= midline, image_left, image_right).astype(np.uint8)
    side[0] = 0
    foreground[box] = side[np.asarray(components, np.int32)]
    return foreground


def bounding_box(mask: np.ndarray) -> tuple[slice, slice]:
    """Returns the slices (rows, columns) of the smallest box that holds a mask uint8 `[H, W]`, all of an empty one."""
    box = cv2.boundingRect(mask)
    x, y, width, height = box if box[2] else (0, 0, *mask.shape[::-1])
    return slice(y, y + height), slice(x, x + width)
