"""Which part of a radiograph a network sees: the whole of it, or the strip around its clavicles."""

import dataclasses

import numpy as np

from crass_tf.data.loading import to_grid
from crass_tf.files import InputError
from crass_tf.geometry import Strip

WHOLE, STRIP = "whole", "strip"
VIEWS = (WHOLE, STRIP)
# How much more of a radiograph than the strip is kept, in rows and columns, for rotations and shifts of it.
MARGIN = (2.0, 1.5)


@dataclasses.dataclass(frozen=True)
class View:
    """One of `VIEWS` on a network's grid of `image_size`, `(height, width)`."""

    image_size: tuple[int, int]
    name: str = WHOLE

    def __post_init__(self):
        if self.name not in VIEWS:
            raise InputError(f"view: found {self.name!r}, expected one of {', '.join(VIEWS)}")

    def fit(self, image, mask):
        """Returns `(image, mask)`, uint8 `[H, W]` each, as the network sees them."""
        if self.name == WHOLE:
            return to_grid(image, mask, self.image_size)
        return _on_strip(image, mask, strip_around(mask, self.image_size))

    def prepare(self, image, mask):
        """Returns `(image, mask)` for augmentation to start from: what `fit` gives, with a margin around a strip."""
        if self.name == WHOLE:
            return self.fit(image, mask)
        size = tuple(round(side * margin) for side, margin in zip(self.image_size, MARGIN))
        return _on_strip(image, mask, strip_around(mask, self.image_size).resized(size))


def strip_around(mask, image_size):
    """Returns the `Strip` around the foreground of a mask uint8 `[H, W]`; around everything where there is none."""
    y, x = np.nonzero(mask if mask.any() else np.ones_like(mask))
    return Strip.around(x.astype(np.float64), y.astype(np.float64), mask.shape, image_size)


def _on_strip(image, mask, strip):
    return strip.image_to_model(image), strip.mask_to_model(mask)
