"""Segmentation: the clavicles of one radiograph in its own pixels, and what follows from them."""

import dataclasses
import functools

import numpy as np

from crass_tf import contours, measures, midline, quality
from crass_tf.geometry import LEFT, OUTSIDE_LOGIT, RIGHT, Letterbox, Strip, split_sides
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
        """Outlines by side, `{"right": [...], "left": [...]}`, the largest first: where the probability is one half.

        Each is a closed line float32 `[N, 2]`: (x, y) in native pixels, to a part of a pixel; (0, 0) is the centre of
        the first pixel. A hole has an outline of its own, which runs the other way, see `contours.outlines`.
        """
        return {name: self._outlines(side) for name, side in SIDES.items()}

    @functools.cached_property
    def centre_lines(self):
        """`measures.CentreLine` by side, `{"right": ..., "left": ...}`; None where there is none."""
        return {name: self._centre_line(side) for name, side in SIDES.items()}

    @functools.cached_property
    def measures(self):
        """Size and place of each clavicle, `{"right": {...}, "left": {...}}`: as `measures.of_clavicle` returns it."""
        return {name: measures.of_clavicle(line) for name, line in self.centre_lines.items()}

    @functools.cached_property
    def midline(self):
        """The chest's axis of mirror symmetry, float64 `[2, 2]`: (x, y) on the first and the last row; an estimate.

        `midline.ERROR_MM` says how far it was from the lungs' middle and from the spine where these are known.
        """
        return midline.find(self.radiograph.image, self.spacing_mm)

    @functools.cached_property
    def medial_distances(self):
        """How far the medial ends lie from the midline, the usual check for rotation: `measures.medial_distances`."""
        return measures.medial_distances(self.centre_lines, self.midline, self.spacing_mm)

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

    def _outlines(self, side):
        field, corner = self._field(side)
        return [line + corner for line in contours.outlines(field)]

    def _centre_line(self, side):
        image_left = side == (LEFT if self.radiograph.mirrored else RIGHT)
        return measures.centre_line(*self._field(side), -1 if image_left else 1, self.spacing_mm)

    def _field(self, side):
        """Returns the logits around one clavicle, negative in the other, and the (x, y) of their first pixel."""
        rows, columns = (np.flatnonzero((self.labels == side).any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return np.full((1, 1), OUTSIDE_LOGIT, np.float32), np.zeros(2, np.float32)
        top, left = max(rows[0] - 2, 0), max(columns[0] - 2, 0)
        box = slice(top, rows[-1] + 3), slice(left, columns[-1] + 3)
        field, other = self._logits[box].copy(), self.labels[box] == LEFT + RIGHT - side
        field[other] = -np.abs(field[other])
        return field, np.array([left, top], np.float32)

    @functools.cached_property
    def _score(self):
        stability = quality.stability(_sigmoid(self.model_logits))
        return quality.score(stability, self._agreement, quality.checks(self._sides))

    @functools.cached_property
    def _agreement(self):
        return None if self.located is None else quality.agreement(self.located, self._found)

    @functools.cached_property
    def _sides(self):
        return split_sides(self._found, self.radiograph.mirrored)

    @functools.cached_property
    def _found(self):
        return (self._logits > 0).view(np.uint8)

    @functools.cached_property
    def _logits(self):
        return self.grid.to_native(self.model_logits)


def _sigmoid(logits):
    # exp of a large negative logit's magnitude would overflow; tanh does not.
    return 0.5 * (1 + np.tanh(0.5 * logits))
