"""Native grid <-> model grids: scale, padding and tilt are computed once; and the patient's sides of a mask."""

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

    def sampled(self, mask):
        """Returns a native mask uint8 `[H, W]` at the centres of the model grid's pixels, at a tenth of the time."""
        return self._pad(cv2.resize(mask, self.inner[::-1], interpolation=cv2.INTER_NEAREST_EXACT))

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


# The part of a strip's width that the clavicles take: the rest is for what a locator misses at their ends.
STRIP_FILL = 0.82
# Radiographs are turned by less than this; what seems to be turned further was located wrongly.
MAX_TILT_DEG = 30.0
# Background, for what lies outside a strip.
OUTSIDE_LOGIT = -20.0


@dataclasses.dataclass(frozen=True)
class Strip:
    """A rectangle around both clavicles, level with them and scaled to their width, on a model grid of its own.

    Sizes are `(height, width)`. `matrix` (two rows of three) maps native pixel coordinates (x, y) to the model's; whole
    numbers are the pixels' centres in both.
    """

    native: tuple[int, int]
    model: tuple[int, int]
    matrix: tuple[tuple[float, float, float], tuple[float, float, float]]

    @classmethod
    def around(cls, x, y, native, model):
        """Returns the strip around clavicles.

        Args:
            x, y: coordinates of their pixels, float `[N]` each, in native pixels.
            native: size of the native grid.
            model: size of the strip's own grid.

        Raises:
            InputError: where there are no pixels.
        """
        if not len(x):
            raise InputError("found no clavicle to lay a strip around")
        tilt = _tilt(x, y)
        along, across = x * np.cos(tilt) + y * np.sin(tilt), y * np.cos(tilt) - x * np.sin(tilt)
        (left, right), (top, bottom) = (np.quantile(axis, (0.01, 0.99)) for axis in (along, across))
        scale = STRIP_FILL * model[1] / max(right - left, 1.0)
        rotation = scale * np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
        centre = scale * np.array([left + right, top + bottom]) / 2
        shift = np.array([model[1] - 1, model[0] - 1]) / 2 - centre
        matrix = np.column_stack([rotation, shift])
        return cls(tuple(native), tuple(model), tuple(map(tuple, matrix.tolist())))

    @classmethod
    def nowhere(cls, native, model):
        """Returns a strip that holds nothing of the radiograph: all of it is background."""
        return cls(tuple(native), tuple(model), ((0.0, 0.0, -2.0), (0.0, 0.0, -2.0)))

    @property
    def scale(self):
        """Model pixels in one native pixel."""
        return float(np.hypot(*np.array(self.matrix)[0, :2]))

    def resized(self, model):
        """Returns the strip with the same centre, tilt and scale, and another size of its grid."""
        matrix = np.array(self.matrix)
        matrix[:, 2] += (model[1] - self.model[1]) / 2, (model[0] - self.model[0]) / 2
        return Strip(self.native, tuple(model), tuple(map(tuple, matrix.tolist())))

    def points_to_native(self, x, y):
        """Returns coordinates (x, y), float `[N]` each, of the strip's pixels in native pixels."""
        (a, b, c), (d, e, f) = cv2.invertAffineTransform(np.array(self.matrix))
        return a * x + b * y + c, d * x + e * y + f

    def image_to_model(self, image):
        """Returns a native image `[H, W]` on the strip's grid, same dtype; area averaging where it shrinks."""
        matrix = np.array(self.matrix)
        if self.scale < 1:
            height, width = (max(1, round(side * self.scale)) for side in image.shape)
            factors = np.array([width / image.shape[1], height / image.shape[0]])
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            # Pixel centres: x of the small image is (x + 0.5) * factor - 0.5.
            matrix[:, :2] = matrix[:, :2] / factors
            matrix[:, 2] -= matrix[:, :2] @ (0.5 * factors - 0.5)
        return cv2.warpAffine(image, matrix, self.model[::-1], flags=cv2.INTER_LINEAR, borderValue=0)

    def mask_to_model(self, mask):
        """Returns a native mask uint8 `[H, W]` of 0 and 1 on the strip's grid: 1 where half a pixel is covered."""
        return (self.image_to_model(mask.astype(np.float32)) >= 0.5).astype(np.uint8)

    def to_native(self, logits):
        """Returns logits float32 `[h, w]` of the strip's grid on the native grid, bilinearly; background outside."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        matrix, size = np.array(self.matrix), self.native[::-1]
        # OpenCV inverts the matrix unless told that it maps from the result to the source, which this one does.
        return cv2.warpAffine(
            np.ascontiguousarray(logits),
            matrix,
            size,
            flags=flags,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=OUTSIDE_LOGIT,
        )


def _tilt(x, y):
    """Returns the angle in radians of the line from the pixels of the image's left half to those of its right half."""
    first = x < (x.min() + x.max()) / 2
    if first.all() or not first.any():
        return 0.0
    dx, dy = x[~first].mean() - x[first].mean(), y[~first].mean() - y[first].mean()
    tilt = np.arctan2(dy, dx)
    return float(tilt) if abs(tilt) <= np.deg2rad(MAX_TILT_DEG) else 0.0


def split_sides(mask, mirrored=False):
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
    # Clavicles lie in a small part of a radiograph; only that part is gone through.
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
    foreground[box] = side[components]
    return foreground


def bounding_box(mask):
    """Returns the slices (rows, columns) of the smallest box that holds a mask uint8 `[H, W]`, all of an empty one."""
    found = cv2.boundingRect(mask)
    x, y, width, height = found if found[2] else (0, 0, *mask.shape[::-1])
    return slice(y, y + height), slice(x, x + width)
