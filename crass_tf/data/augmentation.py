"""Random changes of a radiograph and its mask together: one pair in, one out, uint8 `[H, W]` and `[H, W, C]`.

NumPy and OpenCV only, so that `tf.data` and the NumPy path (JAX) share one implementation; `augmentation` wraps it for
a `tf.data` pipeline of one's own. Every function draws from its random generator in a fixed order: the same generator
gives the same pair.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.random import Generator

from crass_tf.data.negatives import negative
from crass_tf.geometry import Letterbox
from crass_tf.radiographs.radiograph import from_array

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How far each change may go. Lengths are fractions of the image's side; probabilities are per image.

    Attributes:
        flip: probability of mirroring left and right.
        rotation_deg: largest rotation either way.
        scale: largest magnification; its inverse is the smallest.
        stretch: largest change of the aspect ratio, as a factor.
        shift: largest shift of each axis.
        elastic: standard deviation of a smooth random displacement, which bends what is straight.
        gamma: largest exponent; its inverse is the smallest.
        contrast: largest factor around mid-grey; its inverse is the smallest.
        brightness: largest offset, in grey values.
        invert: probability of exchanging black and white.
        blur: probability of a Gaussian blur, with up to 1.5 pixels standard deviation.
        noise: largest standard deviation of the noise, in grey values. It is drawn on a grid up to three times as
            coarse, as that of a radiograph which is enlarged.
        shading: largest change of grey values from one side to the other, as of uneven exposure.
        bars: probability of black or white collimation borders.
        faint: probability of squeezing the grey values into a tenth of their range or less, as of a film that was
            digitised too bright: a few steps of grey are left.
        negatives: probability of another picture instead, one that is no chest radiograph, with an empty mask.
        spoil: probability of a radiograph in which no clavicle should be found, with an empty mask: turned, the part
            below the clavicles, or several in one picture.
        local_contrast: probability of contrast-limited adaptive histogram equalisation, with a clip limit up to 20.
        detail: probability of enhancing what is smaller than a random scale, up to 4 times.
        window: probability of clipping dark and bright grey values, up to a third of the pixels at either end.
        haze: probability of clouds, in which contrast falls to a fifth or less, as under oedema or scatter.
        clutter: probability of tubes, wires, electrodes, arrows and text drawn over the radiograph.
        compression: probability of JPEG compression, with a quality from 15 to 75.
        crop: probability of cutting the radiograph to another aspect ratio before it is letterboxed again.
    """

    flip: float = 0.5
    rotation_deg: float = 7.0
    scale: float = 1.18
    stretch: float = 1.06
    shift: float = 0.06
    elastic: float = 0.0
    gamma: float = 1.5
    contrast: float = 1.3
    brightness: float = 15.0
    invert: float = 0.02
    blur: float = 0.2
    noise: float = 5.0
    shading: float = 20.0
    bars: float = 0.05
    faint: float = 0.0
    negatives: float = 0.0
    spoil: float = 0.0
    local_contrast: float = 0.0
    detail: float = 0.0
    window: float = 0.0
    haze: float = 0.0
    clutter: float = 0.0
    compression: float = 0.0
    crop: float = 0.0


def augmentation(settings: Augmentation | None = None, seed: int = 0) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """Returns a function for `tf.data.Dataset.map` that changes a radiograph and its mask together, at random.

    Args:
        settings: how far each change may go; None is the default `Augmentation`.
        seed: of the sequence of changes. With `num_parallel_calls` the changes are the same, but another example may
            get each of them.

    Returns:
        A function of `(image, mask)`, tensors `[H, W, 1]` of any dtype: grey values from 0 to 255, and a mask with
        clavicle above 0. What it returns has the same shapes and dtypes; the mask holds 0 and 1. Other grey values
        raise InputError, which TensorFlow wraps.

    Example: ten pairs become ten changed pairs of the same size.

    >>> import tensorflow as tf
    >>> pairs = tf.data.Dataset.from_tensors((np.zeros((64, 64, 1), np.uint8), np.ones((64, 64, 1), np.uint8)))
    >>> pairs.repeat(10).map(crass_tf.augmentation()).element_spec[0].shape
    TensorShape([64, 64, 1])
    """
    import tensorflow as tf

    settings = settings or Augmentation()

    def change(image, mask, number):
        rng = np.random.default_rng(int(number))
        grey = image[:, :, 0]
        if grey.dtype != np.uint8:
            # 16 bits would be cut to the lower 8, and values up to 1 to black.
            grey = from_array(grey.astype(np.float32), source="image").image
        changed, changed_mask = augment(grey, mask, settings, rng)
        return changed[:, :, None].astype(image.dtype), changed_mask.reshape(mask.shape).astype(mask.dtype)

    def change_pair(image, mask):
        number = tf.random.uniform((), maxval=2**31 - 1, dtype=tf.int32, seed=seed)
        changed = tf.numpy_function(change, (image, mask, number), (image.dtype, mask.dtype))
        for tensor, original in zip(changed, (image, mask)):
            tensor.set_shape(original.shape)
        return tuple(changed)

    return change_pair


def augment(
    image: np.ndarray, mask: np.ndarray, settings: Augmentation, rng: Generator, size: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a randomly changed `(image, mask)`, uint8 `[H, W]` and `[H, W, C]`; the mask holds 0 and 1.

    `mask` is `[H, W, C]` or `[H, W]`, clavicle above 0; two channels are the image's sides, which mirroring exchanges.
    `size` is `(height, width)` of the result, about the same centre; None is the image's.
    """
    mask = (mask > 0).astype(np.uint8)
    if _happens(settings.negatives, rng):
        image = negative(size or image.shape, rng)
        return change_exposure(image, settings, rng), np.zeros((*image.shape, *mask.shape[2:]), np.uint8)
    if _happens(settings.spoil, rng):
        image, mask = spoil(image, mask, rng), np.zeros_like(mask)
    if _happens(settings.clutter, rng):
        image = draw_clutter(image, rng)
    image, mask = transform(process(image, settings, rng), mask, settings, rng, size)
    if _happens(settings.haze, rng):
        image = draw_haze(image, rng)
    if rng.random() < settings.bars:
        image = collimate(image, rng)
    if _happens(settings.crop, rng):
        image = cut_off(image, rng)
    return change_exposure(image, settings, rng), mask


def _happens(probability, rng):
    """Returns whether a change is made; a probability of 0 draws nothing from the generator."""
    return probability > 0 and rng.random() < probability


def process(image: np.ndarray, settings: Augmentation, rng: Generator) -> np.ndarray:
    """Enhances an image uint8 `[H, W]` as some makers' processing does: local contrast, detail, hard windows.

    Exact black stays black: it is padding.
    """
    padding = image == 0
    if _happens(settings.local_contrast, rng):
        tiles = int(rng.integers(2, 13))
        image = cv2.createCLAHE(_draw_log_uniform(1.5, 20, rng), (tiles, tiles)).apply(image)
    if _happens(settings.detail, rng):
        values = image.astype(np.float32)
        smooth = cv2.GaussianBlur(values, (0, 0), _draw_log_uniform(1.5, max(image.shape) / 20, rng))
        image = np.clip(values + rng.uniform(0.5, 3) * (values - smooth), 0, 255).astype(np.uint8)
    if _happens(settings.window, rng):
        low, high = np.quantile(image[::4, ::4], (rng.uniform(0, 0.33), 1 - rng.uniform(0, 0.33) ** 2 / 0.33))
        image = np.clip((image.astype(np.float32) - low) * (255 / max(high - low, 1)), 0, 255).astype(np.uint8)
    image = image.copy()
    image[padding] = 0
    return image


def spoil(image: np.ndarray, mask: np.ndarray, rng: Generator) -> np.ndarray:
    """Returns a radiograph in which no clavicle should be found, uint8 of the same size as `image` `[H, W]`.

    It is turned by 90, 180 or 270 degrees, cut below the clavicles, or shown two or four times in one picture.
    """
    height, width = image.shape
    kind = rng.integers(0, 4)
    if kind <= 1:
        spoilt = np.rot90(image, int(rng.integers(1, 4)))
    elif kind == 2:
        below = 1 + np.flatnonzero(mask.reshape(height, -1).any(axis=1)).max(initial=height // 3)
        spoilt = image[min(below + height // 50, height - height // 6) :]
    else:
        row = np.hstack([image, image[:, ::-1] if rng.random() < 0.3 else image])
        spoilt = np.vstack([row, row]) if rng.random() < 0.4 else row
    return Letterbox.fit(spoilt.shape, image.shape).image_to_model(np.ascontiguousarray(spoilt))


def draw_haze(image: np.ndarray, rng: Generator) -> np.ndarray:
    """Lays smooth bright clouds over an image uint8 `[H, W]`, through which it shows faintly."""
    height, width = image.shape
    knots = rng.uniform(-0.3, 1, rng.integers(2, 7, 2)).astype(np.float32)
    cloud = np.clip(cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    cloud *= np.float32(rng.uniform(0.4, 0.85))
    hazy = image * (1 - cloud) + np.float32(rng.uniform(140, 235)) * cloud
    # Padding stays exactly black.
    return np.where(image > 0, np.rint(hazy), 0).astype(np.uint8)


def draw_clutter(image: np.ndarray, rng: Generator) -> np.ndarray:
    """Draws tubes, wires, electrodes, arrows and text over an image uint8 `[H, W]`."""
    height, width = image.shape
    drawn = image.copy()
    unit = max(height, width) / 1024
    for _ in range(int(rng.integers(1, 5))):
        drawers = np.array((_draw_wire, _draw_wire, _draw_electrode, _draw_arrow, _draw_text))
        rng.choice(drawers)(drawn, unit, rng)
    # Objects in the beam are partly transparent.
    share = rng.uniform(0.5, 1.0)
    return cv2.addWeighted(drawn, share, image, 1 - share, 0)


def _draw_wire(drawn, unit, rng):
    """A smooth bend through random points; a tube has two edges."""
    height, width = drawn.shape
    knots = rng.uniform(-0.1, 1.1, (4, 2)) * (width, height)
    t = np.linspace(0, 1, 60)[:, None]
    weights = np.hstack([c * t**k * (1 - t) ** (3 - k) for k, c in enumerate((1, 3, 3, 1))])
    curve = np.sum(weights[:, :, None] * knots, axis=1)
    grey = int(rng.integers(150, 256)) if rng.random() < 0.8 else int(rng.integers(0, 60))
    thickness = max(1, round(unit * rng.uniform(2, 9)))
    points = [curve.round().astype(np.int32).reshape(-1, 1, 2)]
    cv2.polylines(drawn, points, False, grey, thickness, cv2.LINE_AA)
    if thickness >= 4 and rng.random() < 0.5:
        inner = int(np.clip(grey - rng.uniform(20, 80), 0, 255))
        cv2.polylines(drawn, points, False, inner, thickness // 2, cv2.LINE_AA)


def _draw_electrode(drawn, unit, rng):
    height, width = drawn.shape
    centre = (int(rng.uniform(0, width)), int(rng.uniform(0, 0.7 * height)))
    radius = max(2, round(unit * rng.uniform(8, 28)))
    cv2.circle(drawn, centre, radius, int(rng.integers(140, 256)), -1 if rng.random() < 0.6 else 2, cv2.LINE_AA)
    cv2.circle(drawn, centre, max(1, radius // 3), int(rng.integers(60, 256)), -1, cv2.LINE_AA)


def _draw_arrow(drawn, unit, rng):
    height, width = drawn.shape
    tip = rng.uniform(0.05, 0.95, 2) * (width, height)
    tail = tip + rng.uniform(-120, 120, 2) * unit
    start, end = np.array([tail, tip]).astype(int).tolist()
    grey = int(rng.choice((0, 255, 220)))
    cv2.arrowedLine(drawn, start, end, grey, max(1, round(unit * rng.uniform(2, 8))), cv2.LINE_AA, tipLength=0.35)


def _draw_text(drawn, unit, rng):
    height, width = drawn.shape
    text = "".join(rng.choice(list("RLAPSUPINE0123456789:. ")) for _ in range(int(rng.integers(1, 12))))
    place = (int(rng.uniform(0, 0.9 * width)), int(rng.uniform(0.05, 1) * height))
    scale = unit * rng.uniform(0.6, 3)
    grey = int(rng.choice((255, 255, 200, 0)))
    cv2.putText(drawn, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, grey, max(1, round(2 * scale)), cv2.LINE_AA)


def cut_off(image: np.ndarray, rng: Generator) -> np.ndarray:
    """Blackens what a crop to another aspect ratio and a letterbox would leave out."""
    height, width = image.shape
    cut = np.zeros_like(image)
    if rng.random() < 0.7:
        top, bottom = int(rng.uniform(0, 0.12) * height), int(rng.uniform(0, 0.5) * height)
        cut[top : height - bottom] = image[top : height - bottom]
    else:
        left, right = (int(rng.uniform(0, 0.12) * width) for _ in range(2))
        cut[:, left : width - right] = image[:, left : width - right]
    return cut


def transform(
    image: np.ndarray, mask: np.ndarray, settings: Augmentation, rng: Generator, size: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mirrors, rotates, scales, stretches and shifts image and mask alike; what comes from outside is black."""
    height, width = size = size or image.shape
    matrix = _draw_affine(image.shape, size, settings, rng)
    both = image, mask * np.uint8(255)
    if settings.elastic:
        places = _draw_elastic_places(matrix, size, settings, rng)
        image, covered = (cv2.remap(each, *places, cv2.INTER_LINEAR) for each in both)
    else:
        image, covered = (cv2.warpAffine(each, matrix, (width, height)) for each in both)
    # OpenCV drops a single channel. A negative determinant mirrors.
    covered = covered.reshape(height, width, *mask.shape[2:])
    if mask.ndim == 3 and np.linalg.det(matrix[:, :2]) < 0:
        covered = covered[:, :, ::-1]
    return image, (covered > 127).astype(np.uint8)


def collimate(image: np.ndarray, rng: Generator) -> np.ndarray:
    """Blackens or whitens a border of up to 6 % on each side."""
    height, width = image.shape
    top, bottom, left, right = (rng.uniform(0, 0.06, 4) * (height, height, width, width)).astype(int)
    framed = np.full_like(image, 255 if rng.random() < 0.3 else 0)
    framed[top : height - bottom, left : width - right] = image[top : height - bottom, left : width - right]
    return framed


def change_exposure(image: np.ndarray, settings: Augmentation, rng: Generator) -> np.ndarray:
    """Changes tone curve, contrast, brightness and polarity, then adds shading, blur and noise."""
    values = cv2.LUT(image, _draw_tone_curve(settings, rng))
    if rng.random() < settings.blur:
        values = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.4, 1.5))
    # A linear ramp in a random direction.
    slope_y, slope_x = rng.uniform(-0.5, 0.5, 2).astype(np.float32) * np.float32(settings.shading)
    rows, columns = (np.linspace(-1, 1, side, dtype=np.float32) for side in image.shape)
    values = values + (slope_y * rows[:, None] + slope_x * columns)
    sigma = rng.uniform(0, settings.noise)
    values += sigma * _draw_grain(image.shape, rng)
    if _happens(settings.faint, rng):
        part = np.float32(_draw_log_uniform(0.02, 0.1, rng))
        values = np.clip(values, 0, 255) * part + np.float32(rng.uniform(0, 255) * (1 - part))
    changed = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    if _happens(settings.compression, rng):
        _, file = cv2.imencode(".jpg", changed, (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 76))))
        return np.asarray(cv2.imdecode(file, cv2.IMREAD_GRAYSCALE))
    return changed


def _draw_grain(shape, rng):
    """Returns noise of standard deviation 1, float32 `[H, W]`, drawn on a grid up to three times as coarse."""
    coarser = rng.uniform(0.5, 3)
    if coarser <= 1:
        return rng.standard_normal(shape, dtype=np.float32)
    size = tuple(max(1, round(side / coarser)) for side in shape)
    # Cubic interpolation keeps most of the variance.
    return cv2.resize(rng.standard_normal(size, dtype=np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)


def _draw_affine(native, size, settings, rng):
    """Returns the 2 x 3 matrix that maps an image onto its augmented self, with the same centre."""
    height, width = size
    angle = np.deg2rad(rng.uniform(-1, 1) * settings.rotation_deg)
    scale = _draw_factor(settings.scale, rng)
    stretch = np.sqrt(_draw_factor(settings.stretch, rng))
    mirror = -1 if rng.random() < settings.flip else 1
    shift = rng.uniform(-1, 1, 2) * settings.shift * (width, height)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = rotation @ np.diag([mirror * scale * stretch, scale / stretch])
    centre, native_centre = (np.array([w - 1, h - 1]) / 2 for h, w in (size, native))
    return np.column_stack([linear, centre + shift - linear @ native_centre])


def _draw_elastic_places(matrix, size, settings, rng):
    """Returns where each pixel of the result comes from, as `cv2.remap` takes it: `matrix` after a smooth bend."""
    height, width = size
    # A knot for each quarter of the shorter side, drawn anew for every image.
    knots = [max(2, round(4 * side / min(size))) for side in size]
    bend = rng.standard_normal((*knots, 2), dtype=np.float32) * np.float32(settings.elastic * min(size))
    bend = cv2.resize(bend, (width, height), interpolation=cv2.INTER_CUBIC)
    x = np.arange(width, dtype=np.float32)[None] + bend[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + bend[..., 1]
    (a, b, c), (d, e, f) = cv2.invertAffineTransform(matrix).astype(np.float32)
    return a * x + b * y + c, d * x + e * y + f


def _draw_tone_curve(settings, rng):
    """Returns a look-up table, float32 `[256]`, not clipped: noise and shading are added first."""
    grey = np.linspace(0, 1, 256) ** _draw_factor(settings.gamma, rng)
    grey = 127.5 + (255 * grey - 127.5) * _draw_factor(settings.contrast, rng)
    grey = grey + rng.uniform(-1, 1) * settings.brightness
    return (255 - grey if rng.random() < settings.invert else grey).astype(np.float32)


def _draw_factor(largest, rng):
    """Returns a factor between 1 / largest and largest, uniform in its logarithm."""
    return float(np.exp(rng.uniform(-1, 1) * np.log(largest)))


def _draw_log_uniform(low, high, rng):
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
