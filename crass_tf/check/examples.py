"""One radiograph reduced to what a check compares: statistics and a small picture, without its pixels."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from crass_tf.check.registration import Registration, register
from crass_tf.common.files import InputError
from crass_tf.common.types import Spacing
from crass_tf.geometry import LEFT, RIGHT, resize, split_sides
from crass_tf.radiographs.radiograph import read_mask
from crass_tf.sources.source import Example, Source

THUMBNAIL = 128
# Grey values are judged within this margin: collimators, black bars and markers lie at the rim.
RIM = 0.1
PERCENTILES = (1, 50, 99)
# Where lungs and mediastinum lie in a posterior-anterior radiograph: rows and columns as shares of the sides.
LUNGS = ((0.3, 0.6, 0.2, 0.38), (0.3, 0.6, 0.62, 0.8))
MEDIASTINUM = (0.5, 0.9, 0.45, 0.6)


@dataclasses.dataclass(frozen=True)
class Grey:
    """A radiograph's stored grey values; arrays of them have the file's dtype."""

    size: tuple[int, int]  # (height, width)
    range: np.ndarray  # `[lowest, highest]` of all pixels
    percentiles: np.ndarray  # at `PERCENTILES` within the rim
    fields: np.ndarray  # medians `[lung, lung, mediastinum]`
    brightest: float  # share of the pixels within the rim that have the highest value of all
    darkest: float  # and the lowest
    digest: bytes  # of size and pixels, whatever format and bit depth hold them
    thumbnail: np.ndarray  # float32 `[128, 128]`, each pixel's rank from 0 to 1: the same whatever brightness and gamma
    spacing_mm: Spacing | None  # by the header


class Component(NamedTuple):
    """A connected part of a mask: its pixels, its centre's row and column, and the row below its last one."""

    pixels: int
    row: int
    column: int
    end: int


@dataclasses.dataclass(frozen=True)
class Mask:
    """A radiograph's mask, or its masks of both sides together."""

    values: tuple[int, ...]  # sorted, that the files held
    components: list[Component]  # of each file, largest first
    sides: tuple[int, int]  # pixels of the patient's (right, left) clavicle
    digest: bytes  # of size and foreground

    @property
    def pixels(self) -> int:
        """Foreground pixels."""
        return sum(self.sides)


@dataclasses.dataclass(frozen=True)
class Look(Example):
    """An example and what was seen of it; `grey` and `mask` are None where they could not be read, `errors` say why.

    `registration` is None where there is nothing to compare.
    """

    splits: tuple[str, ...] = ()
    grey: Grey | None = None
    mask: Mask | None = None
    errors: tuple[str, ...] = ()
    registration: Registration | None = None


def look(source: Source, example: Example, splits: tuple[str, ...]) -> Look:
    """Returns the `Look` at one of a source's examples; never raises for a file that cannot be read."""
    errors = []

    def attempt(read, *arguments):
        try:
            return read(*arguments)
        except InputError as error:
            errors.append(str(error))

    whole = attempt(source.read, example)
    if whole is None:
        pixels, spacing_mm = attempt(source.read_image, example.image_path) or (None, None)
        for path in example.mask_paths:
            attempt(read_mask, path)
        whole = pixels, spacing_mm, [], []
        # The errors of each file; where all can be read, whether they fit together.
        errors = errors[1:] or errors
    pixels, spacing_mm, masks, values = whole
    grey = None if pixels is None else look_at_grey(pixels, spacing_mm)
    mask = look_at_masks(masks, values) if masks else None
    registration = register(pixels, np.maximum.reduce(masks)) if mask and pixels is not None else None
    return Look(**vars(example), splits=splits, grey=grey, mask=mask, errors=tuple(errors), registration=registration)


def look_at_grey(pixels: np.ndarray, spacing_mm: Spacing | None = None) -> Grey:
    """Returns the `Grey` of stored values `[H, W]`, 8 or 16 bits."""
    extremes = np.array([pixels.min(), pixels.max()])
    inner = _cut_part(pixels, RIM, 1 - RIM, RIM, 1 - RIM)
    darkest, brightest = (np.count_nonzero(inner == value) / inner.size for value in extremes)
    medians = [np.percentile(_cut_part(pixels, *place), 50, method="nearest") for place in (*LUNGS, MEDIASTINUM)]
    return Grey(
        size=(pixels.shape[0], pixels.shape[1]),
        range=extremes,
        # A quarter of the pixels gives the same percentiles in a quarter of the time.
        percentiles=np.percentile(inner[::2, ::2], PERCENTILES, method="nearest"),
        fields=np.array(medians, pixels.dtype),
        brightest=brightest,
        darkest=darkest,
        digest=_digest(pixels.astype(np.int32)),
        thumbnail=thumbnail(pixels),
        spacing_mm=spacing_mm,
    )


def look_at_masks(masks: Sequence[np.ndarray], values: Sequence[int]) -> Mask:
    """Returns the `Mask` of a radiograph's masks, uint8 `[H, W]` of 0 and 1; of two, the right one stands first."""
    whole = np.maximum.reduce(masks)
    components = sorted((c for mask in masks for c in _components(mask)), key=lambda c: (-c.pixels, c.row, c.column))
    labels = split_sides(whole)
    right, left = masks if len(masks) == 2 else (labels == RIGHT, labels == LEFT)
    sides = int(np.count_nonzero(right)), int(np.count_nonzero(left))
    return Mask(tuple(values), components, sides, _digest(whole))


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Returns a radiograph `[H, W]` as ranks from 0 to 1 on a grid of 128 x 128, float32."""
    small = resize(pixels.astype(np.float32), (THUMBNAIL, THUMBNAIL)).ravel()
    ordered = np.sort(small)
    # Equal values share the middle of their ranks.
    ranks = np.searchsorted(ordered, small, "left") + np.searchsorted(ordered, small, "right")
    return (ranks / (2 * small.size)).astype(np.float32).reshape(THUMBNAIL, THUMBNAIL)


def _cut_part(pixels, top, bottom, left, right):
    """Returns the part of `[H, W]` between rows and columns that are given as shares of the sides; a pixel at least."""
    height, width = pixels.shape
    first_row, first_column = int(top * height), int(left * width)
    rows = slice(first_row, max(int(bottom * height), first_row + 1))
    return pixels[rows, first_column : max(int(right * width), first_column + 1)]


def _components(mask):
    _, _, stats, centres = cv2.connectedComponentsWithStats(mask)
    return [
        Component(int(pixels), round(row), round(column), int(top + height))
        for (_, top, _, height, pixels), (column, row) in zip(stats[1:], centres[1:])
    ]


def _digest(pixels):
    return hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16).digest()
