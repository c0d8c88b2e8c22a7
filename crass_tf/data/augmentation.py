"""Random changes of a radiograph and its mask together: one pair of uint8 `[H, W]` in, one out.

NumPy and OpenCV only, so that `tf.data` and the NumPy path (JAX) share one implementation. Every function takes the
random generator last and draws from it in a fixed order: the same generator gives the same pair.
"""

import dataclasses

import cv2
import numpy as np

from crass_tf.data.negatives import negative


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
        noise: largest standard deviation of the noise, in grey values.
        shading: largest change of grey values from one side to the other, as of uneven exposure.
        bars: probability of black or white collimation borders.
        faint: probability of squeezing the grey values into a tenth of their range or less, as of a film that was
            digitised too bright: a few steps of grey are left.
        negatives: probability of another picture instead, one that is no chest radiograph, with an empty mask.
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


def augment(image, mask, settings, rng, size=None):
    """Returns a randomly changed `(image, mask)`, both uint8 `[H, W]`; the mask holds 0 and 1.

    Args:
        image: uint8 `[H, W]`.
        mask: uint8 `[H, W]` of 0 and 1.
        settings: an `Augmentation`.
        rng: the `numpy.random.Generator`.
        size: `(height, width)` of the result, about the same centre; None is the image's.
    """
    if settings.negatives and rng.random() < settings.negatives:
        image = negative(size or image.shape, rng)
        return change_exposure(image, settings, rng), np.zeros_like(image)
    image, mask = transform(image, mask, settings, rng, size)
    image = collimate(image, settings, rng)
    return change_exposure(image, settings, rng), mask


def transform(image, mask, settings, rng, size=None):
    """Mirrors, rotates, scales, stretches and shifts image and mask alike; what comes from outside is black."""
    height, width = size = size or image.shape
    matrix = _affine(image.shape, size, settings, rng)
    if settings.elastic:
        places = _elastic_places(matrix, size, settings, rng)
        image, covered = (cv2.remap(each, *places, cv2.INTER_LINEAR) for each in (image, mask * np.uint8(255)))
    else:
        image, covered = (cv2.warpAffine(each, matrix, (width, height)) for each in (image, mask * np.uint8(255)))
    return image, (covered > 127).astype(np.uint8)


def collimate(image, settings, rng):
    """Blackens or whitens, at some probability, a border of up to 6 % on each side."""
    if rng.random() >= settings.bars:
        return image
    height, width = image.shape
    top, bottom, left, right = (rng.uniform(0, 0.06, 4) * (height, height, width, width)).astype(int)
    framed = np.full_like(image, 255 if rng.random() < 0.3 else 0)
    framed[top : height - bottom, left : width - right] = image[top : height - bottom, left : width - right]
    return framed


def change_exposure(image, settings, rng):
    """Changes tone curve, contrast, brightness and polarity, then adds shading, blur and noise."""
    values = cv2.LUT(image, _tone_curve(settings, rng))
    if rng.random() < settings.blur:
        values = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.4, 1.5))
    values = values + _shading(image.shape, settings, rng)
    sigma = rng.uniform(0, settings.noise)
    values += sigma * rng.standard_normal(image.shape, dtype=np.float32)
    if settings.faint and rng.random() < settings.faint:
        part = np.float32(np.exp(rng.uniform(np.log(0.02), np.log(0.1))))
        values = np.clip(values, 0, 255) * part + np.float32(rng.uniform(0, 255) * (1 - part))
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


def _affine(native, size, settings, rng):
    """Returns the 2 x 3 matrix that maps an image onto its augmented self, centre upon centre."""
    height, width = size
    angle = np.deg2rad(rng.uniform(-1, 1) * settings.rotation_deg)
    scale = _factor(settings.scale, rng)
    stretch = np.sqrt(_factor(settings.stretch, rng))
    mirror = -1 if rng.random() < settings.flip else 1
    shift = rng.uniform(-1, 1, 2) * settings.shift * (width, height)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = rotation @ np.diag([mirror * scale * stretch, scale / stretch])
    centre, native_centre = (np.array([w - 1, h - 1]) / 2 for h, w in (size, native))
    return np.column_stack([linear, centre + shift - linear @ native_centre])


def _elastic_places(matrix, size, settings, rng):
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


def _tone_curve(settings, rng):
    """Returns a look-up table, float32 `[256]`, not clipped: noise and shading come on top before clipping."""
    grey = np.linspace(0, 1, 256) ** _factor(settings.gamma, rng)
    grey = 127.5 + (255 * grey - 127.5) * _factor(settings.contrast, rng)
    grey = grey + rng.uniform(-1, 1) * settings.brightness
    return (255 - grey if rng.random() < settings.invert else grey).astype(np.float32)


def _shading(shape, settings, rng):
    """Returns a linear ramp, float32 `[H, W]`, in a random direction."""
    slope_y, slope_x = rng.uniform(-0.5, 0.5, 2).astype(np.float32) * np.float32(settings.shading)
    rows = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    return slope_y * rows + slope_x * np.linspace(-1, 1, shape[1], dtype=np.float32)


def _factor(largest, rng):
    """Returns a factor between 1 / largest and largest, uniform in its logarithm."""
    return float(np.exp(rng.uniform(-1, 1) * np.log(largest)))
