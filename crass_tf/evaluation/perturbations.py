"""What a segmenter should stand: a fixed list of changes of a radiograph, its mask changed alike.

NumPy and OpenCV only. Lengths are fractions of the image's side unless a name says otherwise, so that the same list
suits radiographs of any size. What comes into the frame from outside is black.
"""

import collections.abc
import dataclasses
import pathlib
import tempfile

import cv2
import numpy as np

from crass_tf.formats.png import write_png
from crass_tf.geometry import Strip
from crass_tf.radiograph import read_radiograph

# What is kept free around the clavicles, of the shorter side.
MARGIN = 0.02
WHITE = 255


@dataclasses.dataclass(frozen=True, eq=False)
class Perturbation:
    """One change of a radiograph; a function from example to example.

    No clavicle pixel leaves the frame or is covered: a frame that would lose one moves back as far as it takes, with
    `MARGIN` to spare, and grows where the clavicles do not fit; bars, borders and markers keep that distance, too.

    Attributes:
        name: for tables; what is random is drawn by it and by the example's `image_id`.
        change: function of an example, a random generator and the parameters.
        parameters: of `change`.
        required: whether a segmenter has to stand it; otherwise it is only reported.
    """

    name: str
    change: collections.abc.Callable
    parameters: dict = dataclasses.field(default_factory=dict)
    required: bool = True

    def __call__(self, example):
        """Returns the changed example, a dataclass with `image_id`, `image`, `mask` and `spacing_mm` as given."""
        rng = np.random.default_rng(list(f"{self.name} of {example.image_id}".encode()))
        return self.change(example, rng, **self.parameters)


def nothing(example, rng):
    """Returns the example as it is."""
    return example


def invert(example, rng):
    """Exchanges black and white."""
    return dataclasses.replace(example, image=255 - example.image)


def gamma(example, rng, exponent):
    """Bends the grey values, `255 (g / 255) ** exponent`: above 1 darker, below 1 brighter."""
    curve = 255 * (np.arange(256) / 255) ** exponent
    return dataclasses.replace(example, image=cv2.LUT(example.image, np.rint(curve).astype(np.uint8)))


def low_contrast(example, rng, part):
    """Squeezes the grey values into a part of their range, around its middle."""
    curve = 127.5 + (np.arange(256) - 127.5) * part
    return dataclasses.replace(example, image=cv2.LUT(example.image, np.rint(curve).astype(np.uint8)))


def deep(example, rng, bits):
    """Writes the radiograph as a 16-bit PNG of so many significant bits and reads it back as any file is read.

    The bits below those of the image are random, as a detector's are, and round to the grey value that was there.
    """
    finer = example.image + rng.uniform(-0.5, 0.5, example.image.shape)
    stored = np.rint(np.clip(finer / 255, 0, 1) * (2**bits - 1)).astype(np.uint16)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "radiograph.png"
        write_png(path, stored)
        return dataclasses.replace(example, image=read_radiograph(path).image)


def blur(example, rng, sigma):
    """Blurs by a Gaussian whose standard deviation is a part of the longer side."""
    image = cv2.GaussianBlur(example.image, (0, 0), sigma * max(example.image.shape))
    return dataclasses.replace(example, image=image)


def noise(example, rng, sigma_grey):
    """Adds Gaussian noise, each pixel's by itself; its standard deviation is in grey values."""
    noisy = example.image + np.float32(sigma_grey) * rng.standard_normal(example.image.shape, np.float32)
    return dataclasses.replace(example, image=np.rint(np.clip(noisy, 0, 255)).astype(np.uint8))


def jpeg(example, rng, quality):
    """Compresses as JPEG and reads that back."""
    data = cv2.imencode(".jpg", example.image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return dataclasses.replace(example, image=cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))


def rotate(example, rng, degrees):
    """Turns the anatomy counter-clockwise about the image's centre."""
    return _move(example, _turn(degrees))


def zoom(example, rng, scale):
    """Enlarges the anatomy about the centre of a frame that keeps its size; millimetres stay true.

    Below 1 black surrounds it, above 1 the frame cuts it. The spacing of the pixels is divided by `scale`.
    """
    spacing_mm = example.spacing_mm and tuple(side / scale for side in example.spacing_mm)
    return dataclasses.replace(_move(example, np.eye(2) * scale), spacing_mm=spacing_mm)


def shift(example, rng, right=0.0, down=0.0):
    """Shifts the anatomy by parts of the frame's width and height; by less where clavicles would leave it."""
    height, width = example.image.shape
    return _move(example, np.eye(2), np.array([right * width, down * height]))


def mirror(example, rng):
    """Exchanges left and right."""
    return _both(example, np.fliplr)


def upside_down(example, rng):
    """Turns by 180 degrees."""
    return _both(example, np.rot90, 2)


def bars(example, rng, sides=0.0, ends=0.0):
    """Blackens bars at both sides and at both ends; thinner ones where clavicles are near."""
    height, width = example.image.shape
    above, below, left, right = _room(example.mask)
    top, bottom = min(above, round(ends * height)), height - min(below, round(ends * height))
    start, stop = min(left, round(sides * width)), width - min(right, round(sides * width))
    image = np.zeros_like(example.image)
    image[top:bottom, start:stop] = example.image[top:bottom, start:stop]
    return dataclasses.replace(example, image=image)


def collimate(example, rng, field, degrees):
    """Blackens what lies outside a rectangle, turned counter-clockwise, a part of the image's size; more if needed."""
    centre, turn = _centre(example.image.shape), _turn(degrees)
    half = field * (centre + 0.5)
    if example.mask.any():
        reach = np.abs(turn.T @ (_pixels(example.mask) - centre[:, None])).max(axis=1)
        half = np.maximum(half, reach + _margin(example.mask.shape))
    corners = centre + (half * [(-1, -1), (1, -1), (1, 1), (-1, 1)]) @ turn.T
    inside = cv2.fillConvexPoly(np.zeros_like(example.image), np.rint(corners).astype(np.int32), 1)
    return dataclasses.replace(example, image=example.image * inside)


def mark(example, rng, letters, blocks, height):
    """Puts white letters and blocks onto the image, and an R beside the clavicles, where the shoulder is.

    Args:
        example: the example.
        rng: not used.
        letters: `(text, x, y)`: where the middle is, as parts of width and height.
        blocks: `(x, y)`, likewise.
        height: of them all. What would lie within `MARGIN` of a clavicle is left out.
    """
    image, size = example.image.copy(), height * min(example.image.shape)
    scale = np.array(image.shape[::-1])
    for text, *place in [*letters, *(("", *block) for block in blocks)]:
        _mark(image, example.mask, text, scale * place, size)
    x, y, width = _shoulder(example.mask)
    _mark(image, example.mask, "R", (x, y), min(size, width))
    return dataclasses.replace(example, image=image)


def _both(example, change, *arguments):
    image, mask = (np.ascontiguousarray(change(each, *arguments)) for each in (example.image, example.mask))
    return dataclasses.replace(example, image=image, mask=mask)


def _move(example, linear, step=(0, 0)):
    """Returns the example under `linear`, of (x, y), about the image's centre, then a step, in pixels taken as square.

    Where clavicles would leave the frame, it moves after them, and grows where they do not fit.
    """
    centre = _centre(example.image.shape)
    matrix = np.column_stack([linear, centre + step - linear @ centre])
    size = example.image.shape
    if example.mask.any():
        size, back = _hold(_pixels(example.mask), matrix, size)
        matrix[:, 2] += back
    frame = Strip(example.image.shape, size, tuple(map(tuple, matrix.tolist())))
    image, mask = frame.image_to_model(example.image), frame.mask_to_model(example.mask)
    return dataclasses.replace(example, image=image, mask=mask)


def _hold(points, matrix, size):
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


def _turn(degrees):
    """Returns the matrix, of (x, y) with y downwards, that turns counter-clockwise as one sees it."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[cosine, sine], [-sine, cosine]])


def _centre(size):
    return (np.array(size[::-1]) - 1) / 2


def _margin(size):
    return round(MARGIN * min(size))


def _pixels(mask):
    """Returns (x, y) of the foreground, float64 `[2, N]`."""
    return np.array(np.nonzero(mask)[::-1], np.float64)


def _room(mask):
    """Returns how many pixels are free (above, below, left of, right of) the clavicles, less the margin."""
    height, width = mask.shape
    column, row, columns, rows = cv2.boundingRect(mask)
    free = (row, height - row - rows, column, width - column - columns) if mask.any() else (height, 0, width, 0)
    return tuple(max(0, side - _margin(mask.shape)) for side in free)


def _shoulder(mask):
    """Returns `(x, y, width)` of the room on the image's left of the clavicles, where their upper end is."""
    _, row, _, _ = cv2.boundingRect(mask)
    left = _room(mask)[2] if mask.any() else 0
    return left / 2, row + 0.02 * mask.shape[0], left / 2


def _mark(image, mask, text, place, size):
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


CLEAN = Perturbation("clean", nothing, required=False)

LETTERS = (("R", 0.07, 0.07), ("L", 0.93, 0.07), ("PA ERECT", 0.16, 0.85))
BLOCKS = ((0.06, 0.93), (0.94, 0.55))


def _required():
    return [
        Perturbation("inversion", invert),
        Perturbation("gamma 0.5", gamma, {"exponent": 0.5}),
        Perturbation("gamma 2", gamma, {"exponent": 2.0}),
        Perturbation("16-bit file of 12 bits", deep, {"bits": 12}),
        Perturbation("16-bit file of 16 bits", deep, {"bits": 16}),
        *(Perturbation(f"rotation {degrees:+d}", rotate, {"degrees": degrees}) for degrees in (5, -5, 10, -10)),
        *(Perturbation(f"scale {scale:g}", zoom, {"scale": scale}) for scale in (0.7, 0.85, 1.2, 1.4)),
        *_shifts(0.1),
        Perturbation("bars at the sides", bars, {"sides": 0.1}),
        Perturbation("bars at top and bottom", bars, {"ends": 0.1}),
        Perturbation("collimation", collimate, {"field": 0.86, "degrees": 3.0}),
        Perturbation("markers", mark, {"letters": LETTERS, "blocks": BLOCKS, "height": 0.05}),
        Perturbation("blur", blur, {"sigma": 0.002}),
        Perturbation("noise", noise, {"sigma_grey": 12.0}),
        Perturbation("JPEG quality 30", jpeg, {"quality": 30}),
        Perturbation("low contrast", low_contrast, {"part": 0.25}),
    ]


def _reported():
    return [
        *(Perturbation(f"rotation {degrees:+d}", rotate, {"degrees": degrees}, False) for degrees in (15, -15)),
        *(Perturbation(f"scale {scale:g}", zoom, {"scale": scale}, False) for scale in (0.5, 2.0)),
        *_shifts(0.2, False),
        Perturbation("mirror image", mirror, required=False),
        Perturbation("upside down", upside_down, required=False),
    ]


def _shifts(part, required=True):
    ways = {"left": {"right": -part}, "right": {"right": part}, "up": {"down": -part}, "down": {"down": part}}
    return [Perturbation(f"shift {part:.0%} {way}", shift, step, required) for way, step in ways.items()]


PERTURBATIONS = (*_required(), *_reported())
