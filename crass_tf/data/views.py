"""What a network is trained on: whole radiographs, both sides apart, or a strip around each clavicle."""

import dataclasses

import numpy as np

from crass_tf.common.files import InputError
from crass_tf.data.loading import to_grid
from crass_tf.geometry import LEFT, RIGHT, Letterbox, Strip, split_sides

WHOLE, SIDES, STRIP = "whole", "sides", "strip"
# Masks' channels by view.
CHANNELS = {WHOLE: 1, SIDES: 2, STRIP: 1}
# The grid of the clavicle model's input, from which strips are cut.
MODEL_SIZE = (1024, 1024)
# Size of the region kept for augmentation / size of the strip, in rows and columns.
MARGIN = (2.0, 1.5)


@dataclasses.dataclass(frozen=True)
class View:
    """What a network of `image_size`, `(height, width)`, is shown of a radiograph.

    `whole`: the radiograph letterboxed, with one mask channel of both clavicles. `sides`: the same with a channel for
    each, the one at the image's left first. `strip`: a strip around each clavicle, so two examples of one radiograph.
    """

    image_size: tuple[int, int]
    name: str = WHOLE

    def __post_init__(self):
        if self.name not in CHANNELS:
            raise InputError(f"view: found {self.name!r}, expected one of {', '.join(CHANNELS)}")

    @property
    def channels(self) -> int:
        """Channels of the masks."""
        return CHANNELS[self.name]

    def fit(self, image: np.ndarray, mask: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Returns what the network sees: `[(image, mask), ...]`, uint8 `[h, w]` and uint8 `[h, w, C]` of 0 and 1."""
        return self._examples(image, mask, self.image_size)

    def prepare(self, image: np.ndarray, mask: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Returns what augmentation starts from: what `fit` gives, with a margin around a strip."""
        margin = MARGIN if self.name == STRIP else (1, 1)
        return self._examples(image, mask, tuple(round(side * part) for side, part in zip(self.image_size, margin)))

    def _examples(self, image, mask, size):
        # Of 255, a hundredth of a pixel would count as covered by half.
        mask = (mask > 0).astype(np.uint8)
        if self.name == WHOLE:
            image, mask = to_grid(image, mask, self.image_size)
            return [(image, mask[..., None])]
        labels = split_sides(mask)
        sides = [(labels == side).astype(np.uint8) for side in (RIGHT, LEFT)]
        if self.name == SIDES:
            box = Letterbox.fit(image.shape, self.image_size)
            return [(box.image_to_model(image), np.stack([box.mask_to_model(side) for side in sides], axis=-1))]
        box = Letterbox.fit(image.shape, MODEL_SIZE)
        image, sides = box.image_to_model(image), [box.mask_to_model(side) for side in sides]
        # No strip for a missing clavicle.
        strips = [
            (Strip.around(side, self.image_size, mirrored=bool(number)).resized(size), side)
            for number, side in enumerate(sides)
            if side.any()
        ]
        return [(strip.image_to_model(image), strip.mask_to_model(side)[..., None]) for strip, side in strips]
