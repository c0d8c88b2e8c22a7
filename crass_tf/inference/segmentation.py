"""Segmentation: the clavicles of one radiograph in its own pixels, and what follows from them."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from crass_tf.common.types import PathLike, Spacing
from crass_tf.geometry import LEFT, OUTSIDE_LOGIT, RIGHT, Letterbox, Strip, split_sides
from crass_tf.measurement import contours, measures, midline, quality
from crass_tf.measurement.extent import DEFAULT_EXTENT, EXTENTS, prolong
from crass_tf.measurement.measures import CentreLine
from crass_tf.measurement.quality import SIDES
from crass_tf.measurement.trust import Trust
from crass_tf.radiographs.radiograph import Radiograph


@dataclasses.dataclass(frozen=True, eq=False)
class Outline:
    """What a model says of one clavicle, or of both together, on a grid of the model's.

    Attributes:
        logits: float32 `[h, w]`.
        grid: where that grid lies in the radiograph: its `Strip`, or the `Letterbox` of the whole of it.
        score: from 0 to 1, how far it can be trusted; None where the model does not say.
    """

    logits: np.ndarray
    grid: Letterbox | Strip
    score: float | None = None

    def to_native(self) -> tuple[tuple[slice, slice], np.ndarray]:
        """Returns `(box, logits)`: slices of the radiograph's rows and columns, and its logits there, float32."""
        if isinstance(self.grid, Strip):
            return self.grid.to_native(self.logits)
        return (slice(0, self.grid.native[0]), slice(0, self.grid.native[1])), self.grid.to_native(self.logits)


@dataclasses.dataclass(frozen=True, eq=False)
class Segmentation:
    """The clavicles of one radiograph, on the radiograph's own grid. What is not asked for is not computed.

    Attributes:
        radiograph: what was segmented.
        outlines: the `Outline` of the clavicle at the image's left and that of the other; or one of both together.
        trust: what the model's scores are worth; None where that was not measured, or not for this `extent`.
        extent: how far to the side clavicles are marked, one of `extent.EXTENTS`.
    """

    radiograph: Radiograph
    outlines: tuple[Outline, ...]
    trust: Trust | None = None
    extent: str = DEFAULT_EXTENT

    @property
    def spacing_mm(self) -> Spacing | None:
        """Pixel spacing `(row, column)` in millimetres, or None where unknown."""
        return self.radiograph.spacing_mm

    @functools.cached_property
    def mask(self) -> np.ndarray:
        """uint8 `[H, W]`: 1 clavicle, 0 background; 0 everywhere where there is a `refusal`."""
        return (self.labels > 0).view(np.uint8)

    @functools.cached_property
    def refusal(self) -> str | None:
        """Why this is taken for no frontal chest radiograph, in one line; None where it is taken for one.

        A network without scores of its own finds something in everything, and refuses nothing.
        """
        if not self._has_scores:
            return None
        if not any((outline.logits > 0).any() for outline in self.outlines):
            return "found no clavicles, expected a frontal chest radiograph"
        if not self._trusted:
            return "found shapes too uncertain for clavicles, expected a frontal chest radiograph"
        return None

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """uint8 `[H, W]`: 0 background, 1 the patient's right clavicle, 2 the left one.

        A clavicle whose score is below `quality.LEAST_SCORE` is left out.
        """
        image_left, image_right = (LEFT, RIGHT) if self.radiograph.mirrored else (RIGHT, LEFT)
        labels = np.zeros(self.radiograph.image.shape, np.uint8)
        if len(self.outlines) == 1:
            box, logits = self._native[0]
            labels[box] = logits > 0
            return split_sides(labels, self.radiograph.mirrored)
        for side, outline, (box, logits) in zip((image_left, image_right), self.outlines, self._native):
            if outline in self._trusted:
                labels[box][logits > 0] = side
        if len(self._trusted) == 2:
            (first_box, first), (second_box, second) = self._native
            # Where both claim a pixel the larger logit has it; the second clavicle was painted over the first one.
            starts = [max(a.start, b.start) for a, b in zip(first_box, second_box)]
            stops = [min(a.stop, b.stop) for a, b in zip(first_box, second_box)]
            overlap = tuple(slice(start, max(start, stop)) for start, stop in zip(starts, stops))
            first, second = _within(first, first_box, overlap), _within(second, second_box, overlap)
            labels[overlap][(first > 0) & (first >= second)] = image_left
        return labels

    @functools.cached_property
    def probability(self) -> np.ndarray:
        """float32 `[H, W]` from 0 to 1; above 0.5 where `mask` is 1."""
        return _sigmoid(self._logits)

    @functools.cached_property
    def contours(self) -> dict[str, list[np.ndarray]]:
        """Outlines by side, `{"right": [...], "left": [...]}`, the largest first: where the probability is one half.

        Each is a closed line float32 `[N, 2]`: (x, y) in native pixels, to a part of a pixel; (0, 0) is the centre of
        the first pixel. A hole has an outline of its own, which runs the other way, see `contours.outlines`.
        """
        return {name: self._outlines(side) for name, side in SIDES.items()}

    @functools.cached_property
    def centre_lines(self) -> dict[str, CentreLine | None]:
        """`measures.CentreLine` by side, `{"right": ..., "left": ...}`; None where there is none."""
        return {name: self._centre_line(side) for name, side in SIDES.items()}

    @functools.cached_property
    def measures(self) -> dict[str, dict[str, Any]]:
        """Size and place of each clavicle, `{"right": {...}, "left": {...}}`: as `measures.of_clavicle` returns it."""
        return {name: measures.of_clavicle(line) for name, line in self.centre_lines.items()}

    @functools.cached_property
    def midline(self) -> np.ndarray:
        """The chest's axis of mirror symmetry, float64 `[2, 2]`: (x, y) on the first and the last row; an estimate.

        `midline.ERROR_MM` says how far it was from the lungs' middle and from the spine where these are known.
        """
        return midline.find(self.radiograph.image, self.spacing_mm)

    @functools.cached_property
    def medial_distances(self) -> dict[str, float | None]:
        """How far the medial ends lie from the midline, the usual check for rotation: `measures.medial_distances`."""
        return measures.medial_distances(self.centre_lines, self.midline, self.spacing_mm)

    @functools.cached_property
    def quality(self) -> dict[str, Any]:
        """How far the result can be trusted.

        `{"right": {"found", "area_pixels", "area_mm2", "score", ...}, "left": {...}, "checks": {"both_found", "area",
        "position", "symmetry"}, "border_confidence", "score"}`. `area_mm2` is None where the spacing is unknown, a
        side's `score` where the model gives none. `score`, from 0 to 1, ranks results by their IoU with the truth; it
        is no estimate of it. What to expect of a side stands behind its score, see `trust.EXPECTED`.
        """
        checks = quality.checks(self.labels)
        return quality.sides(self.labels, self.spacing_mm, self._scores, self.trust) | {
            "checks": checks,
            "border_confidence": float(np.mean([quality.border_confidence(_sigmoid(o.logits)) for o in self.outlines])),
            "score": 0.0 if self.refusal else self._score(checks),
        }

    def to_dict(self, model: PathLike = "") -> dict[str, Any]:
        """Returns what `STEM.json` says of this radiograph, see docs/results.md: measures, quality, or the refusal.

        Args:
            model: name of the model, for the entry `model`.
        """
        from crass_tf.prediction.outputs import record

        if self.refusal:
            return record.refusal(self.refusal, self.radiograph.source, model)
        return record.result(self, self.radiograph.source, model)

    def save(self, folder: PathLike, outputs: Sequence[str] | None = None, model: PathLike = "") -> list[pathlib.Path]:
        """Writes results as `crass-tf predict` does, named after the radiograph; of a refused one the JSON alone.

        Args:
            folder: where to, made where it is missing.
            outputs: names out of `crass_tf.prediction.outputs.OUTPUTS`; None is mask, labels, overlay and json.
            model: name of the model, for the files that tell it.

        Returns:
            The files written.

        Raises:
            InputError: for a folder that cannot be written to, a name that is none, an output that needs a package that
                is not there, or one that this radiograph cannot have.
        """
        from crass_tf.common.files import output_folder, write_json
        from crass_tf.prediction.outputs import DEFAULTS, OUTPUTS, check_outputs

        outputs = DEFAULTS if outputs is None else tuple(outputs)
        check_outputs(outputs)
        source = self.radiograph.source
        stem = output_folder(folder, "folder") / (pathlib.Path(source).stem or "radiograph")
        if self.refusal:
            write_json(f"{stem}.json", self.to_dict(model))
            return [pathlib.Path(f"{stem}.json")]
        paths = [pathlib.Path(f"{stem}{OUTPUTS[name].suffix}") for name in outputs]
        for name, path in zip(outputs, paths):
            OUTPUTS[name].write(path, self, source, model)
        return paths

    @property
    def _has_scores(self):
        return self.outlines[0].score is not None

    @functools.cached_property
    def _trusted(self):
        """The outlines that count."""
        return [o for o in self.outlines if o.score is None or o.score >= quality.LEAST_SCORE]

    @functools.cached_property
    def _scores(self):
        """Scores by side, `{"right": ..., "left": ...}`; None where the model gives none."""
        if not self._has_scores:
            return dict.fromkeys(SIDES)
        scores = [outline.score for outline in self.outlines]
        return dict(zip(SIDES, scores[::-1] if self.radiograph.mirrored else scores))

    def _score(self, checks):
        scores = [outline.score for outline in self.outlines if outline.score is not None]
        if scores:
            return float(np.mean(scores))
        return quality.score(quality.stability(_sigmoid(self.outlines[0].logits)), checks)

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
    def _native(self):
        """`(box, logits)` of each outline, as far to the side as `extent` says."""
        native, share = [outline.to_native() for outline in self.outlines], EXTENTS[self.extent]
        if not share:
            return native
        shape = self.radiograph.image.shape
        return [prolong(*each, share, towards, shape, self.spacing_mm) for each, towards in zip(native, (-1, 1))]

    @property
    def _logits_of(self):
        """Logits of each outline on the whole native grid, float32 `[H, W]`; background outside its box."""
        for box, logits in self._native:
            whole = np.full(self.radiograph.image.shape, OUTSIDE_LOGIT, np.float32)
            whole[box] = logits
            yield whole

    @functools.cached_property
    def _logits(self):
        """float32 `[H, W]`: the larger of both outlines' logits."""
        return functools.reduce(np.maximum, self._logits_of)


def _within(logits, box, part):
    """Returns the logits of a box `(rows, columns)` in a part of it, also a pair of slices of the native grid."""
    return logits[tuple(slice(p.start - b.start, p.stop - b.start) for p, b in zip(part, box))]


def _sigmoid(logits):
    # exp of a large negative logit's magnitude would overflow; tanh does not.
    return 0.5 * (1 + np.tanh(0.5 * logits))
