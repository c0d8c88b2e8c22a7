"""Segmentation: the clavicles of one radiograph in its own pixels, and what follows from them."""

import dataclasses
import functools

import cv2
import numpy as np

from crass_tf import quality
from crass_tf.geometry import Letterbox, Strip, split_sides
from crass_tf.quality import SIDES
from crass_tf.radiograph import Radiograph


@dataclasses.dataclass(frozen=True, eq=False)
class Segmentation:
    """The clavicles of one radiograph, on the radiograph's own grid. What is not asked for is not computed.

    Attributes:
        radiograph: what was segmented.
        model_logits: float32 `[h, w]` on the grid of the network that outlined the clavicles.
        grid: the `Letterbox` or `Strip` between that grid and the radiograph's.
        located: a cascade's locator's logits, float32 `[h, w]` on the grid of the whole radiograph; None without one.
    """

    radiograph: Radiograph
    model_logits: np.ndarray
    grid: Letterbox | Strip
    located: np.ndarray | None = None

    @property
    def spacing_mm(self):
        """Pixel spacing `(row, column)` in millimetres, or None where unknown."""
        return self.radiograph.spacing_mm

    @functools.cached_property
    def mask(self):
        """uint8 `[H, W]`: 1 clavicle, 0 background; 0 everywhere where there is a `refusal`."""
        return self._found if self.refusal is None else np.zeros_like(self._found)

    @functools.cached_property
    def refusal(self):
        """Why a cascade takes this for no frontal chest radiograph, in one line; None where it does not.

        A single network finds something in everything, and refuses nothing.
        """
        if self.located is None:
            return None
        if not self._found.any():
            return "found no clavicles, expected a frontal chest radiograph"
        if self._agreement < quality.AGREEMENT:
            return "found shapes that only one of two networks takes for clavicles, expected a frontal chest radiograph"
        if self._score < quality.LEAST_SCORE:
            return "found shapes too uncertain for clavicles, expected a frontal chest radiograph"
        return None

    @functools.cached_property
    def labels(self):
        """uint8 `[H, W]`: 0 background, 1 the patient's right clavicle, 2 the left one."""
        return self._sides if self.refusal is None else np.zeros_like(self._sides)

    @functools.cached_property
    def probability(self):
        """float32 `[H, W]` from 0 to 1; above 0.5 where `mask` is 1."""
        return _sigmoid(self._logits)

    @functools.cached_property
    def contours(self):
        """Outlines by side, `{"right": [...], "left": [...]}`.

        Each is float32 `[N, 2]`: (x, y) centres of the outermost pixels in native pixels; the first pixel's is (0, 0).
        """
        return {name: _outlines(self.labels == side) for name, side in SIDES.items()}

    @functools.cached_property
    def quality(self):
        """How far the result can be trusted.

        `{"right": {"found", "area_pixels", "area_mm2"}, "left": {...}, "checks": {"both_found", "area", "position",
        "symmetry"}, "border_confidence", "agreement", "score"}`. `area_mm2` is None where the spacing is unknown,
        `agreement` of a cascade's networks without one. `score`, from 0 to 1, ranks results by their IoU with the
        truth; it is no estimate of it.
        """
        return quality.sides(self.labels, self.spacing_mm) | {
            "checks": quality.checks(self.labels),
            "border_confidence": quality.border_confidence(_sigmoid(self.model_logits)),
            "agreement": self._agreement,
            "score": 0.0 if self.refusal else self._score,
        }

    @functools.cached_property
    def _score(self):
        expected = quality.expected_iou(_sigmoid(self.model_logits))
        return quality.score(expected, self._agreement, quality.checks(self._sides))

    @functools.cached_property
    def _agreement(self):
        return None if self.located is None else quality.agreement(self.located, self._found)

    @functools.cached_property
    def _sides(self):
        return split_sides(self._found, self.radiograph.mirrored)

    @functools.cached_property
    def _found(self):
        return (self._logits > 0).astype(np.uint8)

    @functools.cached_property
    def _logits(self):
        return self.grid.to_native(self.model_logits)


def _sigmoid(logits):
    # exp of a large negative logit's magnitude would overflow; tanh does not.
    return 0.5 * (1 + np.tanh(0.5 * logits))


def _outlines(mask):
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [outline[:, 0].astype(np.float32) for outline in found]
