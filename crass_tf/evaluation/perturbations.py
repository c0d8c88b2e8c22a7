"""A fixed list of changes of a radiograph and its mask, under which a segmenter should still work.

NumPy and OpenCV only. Lengths are fractions of the image's side unless a name says otherwise, so that the same list
suits radiographs of any size. What comes into the frame from outside is black.
"""

import collections.abc
import dataclasses
import functools
from typing import Any

import cv2
import numpy as np

from crass_tf.geometry import Strip
from crass_tf.radiographs.radiograph import from_array

# Free margin around the clavicles, as a part of the shorter side.
MARGIN = 0.02
WHITE = 255
# Markers: (text, x, y), and blocks without text, x and y as parts of width and height.
LETTERS = (("R", 0.07, 0.07), ("L", 0.93, 0.07), ("PA ERECT", 0.16, 0.85))
BLOCKS = (("", 0.06, 0.93), ("", 0.94, 0.55))
# Lowest and highest (x, y) of a tube's start, middle and end, as parts of width and height.
TUBE_RANGES = (((0, 0), (1, 0.2)), ((0.2, 0.2), (0.8, 0.6)), ((0, 0.7), (1, 1)))


@dataclasses.dataclass(frozen=True, eq=False)
class Perturbation:
    """One change of a radiograph; a function from example to example.

    No clavicle pixel leaves the frame or is covered: a frame that would lose one moves back as far as it takes, with
    `MARGIN` to spare, and grows where the clavicles do not fit; bars, borders and markers keep that distance, too.
    What is random is drawn by the name and by the example's `image_id`.
    """

    name: str
    change: collections.abc.Callable[[Any, np.random.Generator], Any]
    required: bool = True  # otherwise it is only reported

    def __call__(self, example: Any) -> Any:
        """Returns the changed example, a dataclass with `image_id`, `image`, `mask` and `spacing_mm` as given."""
        rng = np.random.default_rng(list(f"{self.name} of {example.image_id}".encode()))
        return self.change(example, rng)


def _change_image(change, *arguments):
    """Returns a change of an example's image alone, from a function of the image and these arguments."""
    return lambda example, rng: dataclasses.replace(example, image=change(example.image, *arguments))


def _change_both(example, rng, change):
    """Changes an example's image and mask alike, by a function of one of them."""
    image, mask = (np.ascontiguousarray(change(each)) for each in (example.image, example.mask))
    return dataclasses.replace(example, image=image, mask=mask)


def _to_grey8(values):
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


def _apply_gamma(image, exponent):
    """Bends the grey values: above 1 darker, below 1 brighter."""
    return cv2.LUT(image, _to_grey8(255 * (np.arange(256) / 255) ** exponent))


def _lower_contrast(image, part):
    """Squeezes the grey values into a part of their range, around its middle."""
    return cv2.LUT(image, _to_grey8(127.5 + (np.arange(256) - 127.5) * part))


def _write_16_bits(example, rng, bits):
    """Stores the radiograph in 16 bits, so many of them significant, and reads these as any file's are read.

    The bits below those of the image are random, as a detector's are, and round to the grey value that was there.
    """
    finer = example.image + rng.uniform(-0.5, 0.5, example.image.shape)
    stored = np.rint(np.clip(finer / 255, 0, 1) * (2**bits - 1)).astype(np.uint16)
    return dataclasses.replace(example, image=from_array(stored).image)


def _blur(image, sigma):
    """Blurs by a Gaussian whose standard deviation is a part of the longer side."""
    return cv2.GaussianBlur(image, (0, 0), sigma * max(image.shape))


def _add_noise(example, rng, sigma_grey):
    """Adds independent Gaussian noise to each pixel; its standard deviation is in grey values."""
    noise = np.float32(sigma_grey) * rng.standard_normal(example.image.shape, np.float32)
    return dataclasses.replace(example, image=_to_grey8(example.image + noise))


def _clip_window(image, part):
    """Clips a part of the darkest and of the brightest pixels, and stretches the rest to all grey values."""
    low, high = np.quantile(image, (part, 1 - part))
    return _to_grey8((image.astype(np.float32) - low) * (255 / max(high - low, 1)))


def _enhance_detail(image, sigma, gain):
    """Adds `gain` times the detail finer than a Gaussian; its standard deviation is a part of the longer side."""
    grey = image.astype(np.float32)
    return _to_grey8(grey + gain * (grey - _blur(grey, sigma)))


def _compress(image, quality):
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)


def _crop_to_landscape(example, rng, aspect):
    """Cuts the lower part off, to a width of `aspect` times the height; less where the clavicles lie lower."""
    height, width = example.image.shape
    rows = max(round(width / aspect), height - _measure_room(example.mask)[1])
    return dataclasses.replace(example, image=example.image[:rows], mask=example.mask[:rows])


def _draw_tubes(example, rng, count, thickness):
    """Draws bent lines from edge to edge, as of tubes and wires, and a line of text; they may cross the clavicles."""
    image, (height, width) = example.image.copy(), example.image.shape
    along = np.linspace(0, 1, 60)
    for _ in range(count):
        start, middle, end = (rng.uniform(*low_high) * (width, height) for low_high in TUBE_RANGES)
        curve = np.outer((1 - along) ** 2, start) + np.outer(2 * along * (1 - along), middle) + np.outer(along**2, end)
        line = max(1, round(thickness * max(height, width)))
        cv2.polylines(image, [np.rint(curve).astype(np.int32)], False, int(rng.integers(190, 256)), line, cv2.LINE_AA)
    _draw_mark(image, example.mask, "PORTABLE AP 07:45", (0.5 * width, 0.95 * height), 0.03 * min(height, width))
    return dataclasses.replace(example, image=image)


def rotate(example: Any, rng: np.random.Generator | None, degrees: float) -> Any:
    """Turns the anatomy counter-clockwise about the image's centre."""
    return _move(example, _rotation_matrix(degrees))


def _zoom(example, rng, scale):
    """Enlarges the anatomy about the centre of a frame that keeps its size; millimetres stay true.

    Below 1 the surroundings are black, above 1 the edges are cut off. The spacing of the pixels is divided by `scale`.
    """
    spacing_mm = example.spacing_mm and tuple(side / scale for side in example.spacing_mm)
    return dataclasses.replace(_move(example, np.eye(2) * scale), spacing_mm=spacing_mm)


def _shift_anatomy(example, rng, right, down):
    """Shifts the anatomy by parts of the frame's width and height; by less where clavicles would leave it."""
    height, width = example.image.shape
    return _move(example, np.eye(2), np.array([right * width, down * height]))


def _blacken_bars(example, rng, sides=0.0, ends=0.0):
    """Blackens bars at both sides and at both ends; thinner ones where clavicles are near."""
    height, width = example.image.shape
    above, below, left, right = _measure_room(example.mask)
    top, bottom = min(above, round(ends * height)), height - min(below, round(ends * height))
    start, stop = min(left, round(sides * width)), width - min(right, round(sides * width))
    image = np.zeros_like(example.image)
    image[top:bottom, start:stop] = example.image[top:bottom, start:stop]
    return dataclasses.replace(example, image=image)


def _collimate(example, rng, field, degrees):
    """Blackens what lies outside a rectangle, turned counter-clockwise, a part of the image's size; more if needed."""
    centre, turn = _centre(example.image.shape), _rotation_matrix(degrees)
    half = field * (centre + 0.5)
    if example.mask.any():
        reach = np.abs(turn.T @ (_pixels(example.mask) - centre[:, None])).max(axis=1)
        half = np.maximum(half, reach + _margin(example.mask.shape))
    corners = centre + (half * [(-1, -1), (1, -1), (1, 1), (-1, 1)]) @ turn.T
    inside = cv2.fillConvexPoly(np.zeros_like(example.image), np.rint(corners).astype(np.int32), 1)
    return dataclasses.replace(example, image=example.image * inside)


def _mark_all(example, rng, height):
    """Puts white letters and blocks onto the image, and an R beside the clavicles, where the shoulder is.

    They are `height` high. What would lie within `MARGIN` of a clavicle is left out.
    """
    image, size = example.image.copy(), height * min(example.image.shape)
    for text, x, y in (*LETTERS, *BLOCKS):
        _draw_mark(image, example.mask, text, (x * image.shape[1], y * image.shape[0]), size)
    # In the free space at the image's left of the clavicles, at the height of their upper end.
    _, row, _, _ = cv2.boundingRect(example.mask)
    half = (_measure_room(example.mask)[2] if example.mask.any() else 0) / 2
    _draw_mark(image, example.mask, "R", (half, row + 0.02 * image.shape[0]), min(size, half))
    return dataclasses.replace(example, image=image)


def _move(example, linear, step=(0, 0)):
    """Returns the example under `linear`, of (x, y), about the image's centre, then a step, in pixels taken as square.

    The frame moves so that clavicles stay inside, and grows where they do not fit.
    """
    centre = _centre(example.image.shape)
    matrix = np.column_stack([linear, centre + step - linear @ centre])
    size = example.image.shape
    if example.mask.any():
        size, back = _frame_points(_pixels(example.mask), matrix, size)
        matrix[:, 2] += back
    frame = Strip.of_matrix(matrix, example.image.shape, size)
    image, mask = frame.image_to_model(example.image), frame.mask_to_model(example.mask)
    return dataclasses.replace(example, image=image, mask=mask)


def _frame_points(points, matrix, size):
    """Returns `(size, back)`: a frame that holds the points, and the least step (x, y) that brings them into it."""
    places = matrix[:, :2] @ points + matrix[:, 2:]
    # A pixel reaches half its width beyond its centre.
    reach = np.abs(matrix[:, :2]).sum(axis=1) / 2 + _margin(size)
    low, high = places.min(axis=1) - reach, places.max(axis=1) + reach
    frame = np.maximum(np.array(size[::-1]), np.ceil(high - low).astype(int))
    grown = (frame - size[::-1]) / 2
    # The frame reaches from -0.5 to its width less 0.5.
    back = np.clip(grown, -0.5 - low, frame - 0.5 - high)
    return (int(frame[1]), int(frame[0])), back


def _rotation_matrix(degrees):
    """Returns the matrix of (x, y), y downwards, of a counter-clockwise rotation on the screen."""
    return cv2.getRotationMatrix2D((0, 0), degrees, 1)[:, :2]


def _centre(size):
    return (np.array(size[::-1]) - 1) / 2


def _margin(size):
    return round(MARGIN * min(size))


def _pixels(mask):
    return np.array(np.nonzero(mask)[::-1], np.float64)


def _measure_room(mask):
    """Returns how many pixels are free (above, below, left of, right of) the clavicles, less the margin."""
    height, width = mask.shape
    column, row, columns, rows = cv2.boundingRect(mask)
    free = (row, height - row - rows, column, width - column - columns) if mask.any() else (height, 0, width, 0)
    return tuple(max(0, side - _margin(mask.shape)) for side in free)


def _draw_mark(image, mask, text, place, size):
    """Draws a text, or a block where it is empty, about a place, in place; not near foreground of the mask."""
    font, thickness = cv2.FONT_HERSHEY_SIMPLEX, max(1, round(size / 9))
    scale = cv2.getFontScaleFromHeight(font, max(1, round(size)), thickness)
    width = cv2.getTextSize(text, font, scale, thickness)[0][0] if text else size
    left, top = round(place[0] - width / 2), round(place[1] - size / 2)
    right, bottom = round(left + width), round(top + size)
    near = _margin(mask.shape) + thickness
    if mask[max(0, top - near) : max(0, bottom + near), max(0, left - near) : max(0, right + near)].any():
        return
    if text:
        cv2.putText(image, text, (left, bottom), font, scale, WHITE, thickness, cv2.LINE_AA)
    else:
        cv2.rectangle(image, (left, top), (right, bottom), WHITE, cv2.FILLED)


def _list_moves(degrees, scales, step):
    ways = {"left": (-step, 0), "right": (step, 0), "up": (0, -step), "down": (0, step)}
    return {
        **{f"rotation {angle:+d}": functools.partial(rotate, degrees=angle) for angle in degrees},
        **{f"scale {scale:g}": functools.partial(_zoom, scale=scale) for scale in scales},
        **{
            f"shift {step:.0%} {way}": functools.partial(_shift_anatomy, right=right, down=down)
            for way, (right, down) in ways.items()
        },
    }


REQUIRED = {
    "inversion": _change_image(lambda image: 255 - image),
    "gamma 0.5": _change_image(_apply_gamma, 0.5),
    "gamma 2": _change_image(_apply_gamma, 2.0),
    "16-bit file of 12 bits": functools.partial(_write_16_bits, bits=12),
    "16-bit file of 16 bits": functools.partial(_write_16_bits, bits=16),
    **_list_moves((5, -5, 10, -10), (0.7, 0.85, 1.2, 1.4), 0.1),
    "bars at the sides": functools.partial(_blacken_bars, sides=0.1),
    "bars at top and bottom": functools.partial(_blacken_bars, ends=0.1),
    "collimation": functools.partial(_collimate, field=0.86, degrees=3.0),
    "markers": functools.partial(_mark_all, height=0.05),
    "blur": _change_image(_blur, 0.002),
    "noise": functools.partial(_add_noise, sigma_grey=12.0),
    "JPEG quality 30": _change_image(_compress, 30),
    "low contrast": _change_image(_lower_contrast, 0.25),
    "CLAHE 4": _change_image(lambda image: cv2.createCLAHE(4.0, (8, 8)).apply(image)),
    "hard window": _change_image(_clip_window, 0.15),
    "landscape crop": functools.partial(_crop_to_landscape, aspect=1.3),
    "tubes and text": functools.partial(_draw_tubes, count=3, thickness=0.005),
    "detail enhancement": _change_image(_enhance_detail, 0.01, 2.0),
}
REPORTED = {
    **_list_moves((15, -15), (0.5, 2.0), 0.2),
    "mirror image": functools.partial(_change_both, change=np.fliplr),
    "upside down": functools.partial(_change_both, change=functools.partial(np.rot90, k=2)),
}
CLEAN = Perturbation("clean", lambda example, rng: example, required=False)
PERTURBATIONS = tuple(
    Perturbation(name, change, required=name in REQUIRED) for name, change in (REQUIRED | REPORTED).items()
)
