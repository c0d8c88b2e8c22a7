"""A radiograph in, its clavicles in the radiograph's own pixels out, from any form of a model."""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import itertools
import os
import pathlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from crass_tf.common.files import InputError, local_path
from crass_tf.common.parallel import ordered_map
from crass_tf.common.types import PathLike, Spacing
from crass_tf.geometry import LEFT, OUTSIDE_LOGIT, RIGHT, Letterbox, Strip, split_sides
from crass_tf.inference import model_files
from crass_tf.inference.model_files import Network
from crass_tf.inference.views import SECOND_LOOK, views
from crass_tf.measurement import contours, measures, quality
from crass_tf.measurement.extent import DEFAULT_EXTENT, EXTENTS, prolong
from crass_tf.measurement.measures import CentreLine
from crass_tf.measurement.quality import SIDES, Trust
from crass_tf.radiographs.radiograph import Radiograph, from_array, known_spacing, read_radiograph

SHIPPED_FOLDER = "clavicle_unet"
SHIPPED_FILES = ("model_int8.tflite", "model_float16.tflite")


@dataclasses.dataclass(frozen=True, eq=False)
class Outline:
    """What a model says of one clavicle, or of both together, on a grid of the model's."""

    logits: np.ndarray  # float32 `[h, w]`
    grid: Letterbox | Strip  # where that grid lies in the radiograph: in a strip of it, or over the whole
    score: float | None = None  # from 0 to 1, how far it can be trusted; None where the model does not say

    def to_native(self) -> tuple[tuple[slice, slice], np.ndarray]:
        """Returns `(box, logits)`: slices of the radiograph's rows and columns, and its logits there, float32.

        Of one clavicle, without specks and small holes: see `contours.remove_specks`.
        """
        if isinstance(self.grid, Strip):
            return self.grid.to_native(contours.remove_specks(self.logits))
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

        A network without scores of its own outlines something in every picture, and refuses none.
        """
        if self.outlines[0].score is None:
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
        sides = (LEFT, RIGHT) if self.radiograph.mirrored else (RIGHT, LEFT)
        labels = np.zeros(self.radiograph.image.shape, np.uint8)
        largest = np.zeros(labels.shape, np.float32)
        for side, outline, (box, logits) in zip(sides, self.outlines, self._native):
            if outline in self._trusted:
                # A pixel of both outlines goes to the larger logit.
                larger = logits > largest[box]
                labels[box][larger], largest[box][larger] = side, logits[larger]
        return labels if len(self.outlines) > 1 else split_sides(labels, self.radiograph.mirrored)

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
        fields = {name: self._field(side) for name, side in SIDES.items()}
        return {name: [line + corner for line in contours.outlines(field)] for name, (field, corner) in fields.items()}

    @functools.cached_property
    def centre_lines(self) -> dict[str, CentreLine | None]:
        """`measures.CentreLine` by side, `{"right": ..., "left": ...}`; None where there is none."""
        towards = {"right": 1, "left": -1} if self.radiograph.mirrored else {"right": -1, "left": 1}
        return {
            name: measures.centre_line(*self._field(side), towards[name], self.spacing_mm)
            for name, side in SIDES.items()
        }

    @functools.cached_property
    def measures(self) -> dict[str, dict[str, Any]]:
        """Size and place of each clavicle, `{"right": {...}, "left": {...}}`: as `measures.of_clavicle` returns it."""
        return {name: measures.of_clavicle(line) for name, line in self.centre_lines.items()}

    @functools.cached_property
    def midline(self) -> np.ndarray:
        """The chest's axis of mirror symmetry, float64 `[2, 2]`: (x, y) on the first and the last row; an estimate.

        `measures.MIDLINE_ERROR_MM` says how far it was from the lungs' middle and from the spine where these are known.
        """
        return measures.find_midline(self.radiograph.image, self.spacing_mm)

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
        is no estimate of it. What to expect of a side stands behind its score, see `quality.EXPECTED`.
        """
        checks = quality.checks(self.labels)
        names = reversed(SIDES) if self.radiograph.mirrored else SIDES
        scores = {name: one.score for name, one in zip(names, self.outlines) if one.score is not None}
        if self.refusal:
            score = 0.0
        elif scores:
            score = float(np.mean(list(scores.values())))
        else:
            score = quality.score(quality.stability(_sigmoid(self.outlines[0].logits)), checks)
        return quality.sides(self.labels, self.spacing_mm, scores, self.trust) | {
            "checks": checks,
            "border_confidence": float(np.mean([quality.border_confidence(_sigmoid(o.logits)) for o in self.outlines])),
            "score": score,
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

        Earlier results of a refused one are removed. Results of arrays are called `array`, of bytes `bytes`: one folder
        holds those of one array.

        Args:
            folder: where to, made where it is missing.
            outputs: names out of `crass_tf.prediction.outputs.OUTPUTS`; None is mask, labels, overlay and json.
            model: name of the model, for the files that tell it.

        Returns:
            The files written.

        Raises:
            InputError: for a folder that cannot be written to, a name that is none, an output that needs a package that
                is not there, or one that this radiograph cannot have; for a JSON of another program in its place.
        """
        from crass_tf.common.files import output_folder, write_json
        from crass_tf.prediction.outputs import DEFAULTS, OUTPUTS, record
        from crass_tf.prediction.run import Job, check_outputs, result_path

        outputs = DEFAULTS if outputs is None else tuple(outputs)
        check_outputs(outputs)
        source = self.radiograph.source
        result = result_path(pathlib.Path(source).name or "radiograph")
        job = Job(source, result, str(output_folder(folder, "folder")))
        path = job.target("json")
        if ("json" in outputs or self.refusal) and record.is_foreign(path):
            raise InputError(f"{path}: found no result of crass-tf; move it, or give another folder")
        if self.refusal:
            for name in OUTPUTS if record.status(path) == "segmented" else ():
                job.target(name).unlink(missing_ok=True)
            write_json(path, self.to_dict(model))
            return [path]
        for name in outputs:
            OUTPUTS[name].write(job.target(name), self, source, model)
        return [job.target(name) for name in outputs]

    @functools.cached_property
    def _trusted(self):
        """The outlines that count."""
        return [o for o in self.outlines if o.score is None or o.score >= quality.LEAST_SCORE]

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

    @functools.cached_property
    def _logits(self):
        """float32 `[H, W]`: the larger logit of both outlines; background outside their boxes."""
        wholes = [np.full(self.radiograph.image.shape, OUTSIDE_LOGIT, np.float32) for _ in self._native]
        for whole, (box, logits) in zip(wholes, self._native):
            whole[box] = logits
        return functools.reduce(np.maximum, wholes)


class Segmenter:
    """Finds clavicles with one model. Threads may share it: one at a time runs the model, all else is parallel.

    It pickles as its model's path and options, and opens the model again where it is unpickled.

    Attributes:
        path: the model's file or folder; None for a Keras model in memory.
        metadata: what a `.tflite` says of itself, see `model_files.attach_metadata`: training data, terms,
            version; else None.
        image_size: `(height, width)` of the grid that radiographs are letterboxed to.
        extent: how far to the side clavicles are marked, see `load`.
        second_look: whether doubtful clavicles are looked for in further views, see `load`.

    Example:

    >>> segmenter = crass_tf.Segmenter.load("model_int8.tflite")
    >>> segmentation = segmenter.segment("radiograph.png")
    >>> segmentation.mask.shape == segmentation.radiograph.image.shape
    True
    """

    def __init__(
        self,
        network: Network,
        path: pathlib.Path | None = None,
        reopen: Any = None,
        extent: str = DEFAULT_EXTENT,
        second_look: bool = True,
    ) -> None:
        if extent not in EXTENTS:
            raise InputError(f"extent: found {extent!r}, expected one of {', '.join(EXTENTS)}")
        if extent != DEFAULT_EXTENT and not network.has_strips:
            expected = f"expected {DEFAULT_EXTENT} or a clavicle model"
            raise InputError(f"extent: found {extent!r} for a model of one mask, {expected}")
        self.path = path
        self.extent = extent
        self.second_look = second_look
        # Measured with outlines of the default extent.
        self._trust = Trust.load(path.with_name(quality.TRUST_NAME)) if path and extent == DEFAULT_EXTENT else None
        self.metadata = network.metadata
        self.image_size = network.image_size
        self._network = network
        self._reopen = reopen
        # An interpreter has one set of tensors: two threads would overwrite each other's.
        self._turn = threading.Lock()

    @classmethod
    def load(
        cls,
        path: PathLike | None = None,
        threads: int | None = None,
        output: str | None = None,
        extent: str = DEFAULT_EXTENT,
        second_look: bool = True,
    ) -> Segmenter:
        """Returns the Segmenter of a model.

        Args:
            path: a `.keras` file, a SavedModel folder or a `.tflite` file; None: the shipped model.
            threads: for a `.tflite`; None: the cores this process may use, at most 4. TensorFlow chooses its own.
            output: `logits` or `probability`: what a network of your own gives; see `model_files.open_model`.
            extent: how far to the side clavicles are marked: `scr`, as the model has learned it from the SCR study's
                outlines; `crass`, prolonged as CRASS' observers have it, see `crass_tf.measurement.extent`.
            second_look: whether a clavicle with a score below `quality.SURE_SCORE`, 0.8, is looked for in seven changed
                views of the radiograph, too, and the outline with the highest score taken. Only such radiographs
                take eight times as long.

        Raises:
            InputError: where there is no model, or one of another kind; see `model_files.open_model`.
        """
        path = shipped_model() if path is None else local_path(path, "model")
        network = model_files.open_model(path, threads, output)
        return cls(network, path, (cls.load, (path, threads, output, extent, second_look)), extent, second_look)

    @classmethod
    def from_model(
        cls, model: Any, output: str | None = None, extent: str = DEFAULT_EXTENT, second_look: bool = True
    ) -> Segmenter:
        """Returns the Segmenter of a Keras model in memory: a clavicle model, or any network of one mask.

        Args:
            model: `keras.Model`, float32 `[B, h, w, 1]` grey values from 0 to 255 -> `[B, h', w', C]` of the same field
                of view.
            output, extent, second_look: as in `load`.

        Raises:
            InputError: for a model of another kind.
        """
        network = model_files.of_keras(model, output)
        return cls(network, None, (cls.from_model, (model, output, extent, second_look)), extent, second_look)

    def __reduce__(self):
        return self._reopen

    def segment(self, radiograph: Any, spacing_mm: Spacing | None = None) -> Segmentation:
        """Returns the `Segmentation` of one radiograph.

        Args:
            radiograph: a path, a file's bytes, a file opened for reading them, an array of grey values as
                `crass_tf.radiographs.radiograph.from_array` takes it, or a Radiograph.
            spacing_mm: `(row, column)`; where given it outranks what the radiograph says.
        """
        radiograph = _as_radiograph(radiograph, spacing_mm)
        image = radiograph.image
        outlines = self.look(model_input(image, self.image_size)[..., 0], None, image.shape)
        scores = [each.score for each in outlines if each.score is not None]
        if self.second_look and scores and min(scores) < quality.SURE_SCORE and max(scores) >= quality.LEAST_SCORE:
            outlines = self._look_again(image, outlines)
        return Segmentation(radiograph, outlines, self._trust, self.extent)

    def look(self, view: np.ndarray, matrix: np.ndarray | None, native: tuple[int, int]) -> tuple[Outline, ...]:
        """Returns the outlines that the model draws in one view of a radiograph, the radiograph's left one first.

        Args:
            view: grey values `[h, w]` on the model's grid.
            matrix: float64 `[3, 3]`, maps the radiograph's coordinates (x, y, 1) to the view's, as `views.views` gives
                it; None for the letterboxed radiograph.
            native: `(height, width)` of the radiograph.
        """
        outputs = self.run(view[None, ..., None])
        box = Letterbox.fit(native, self.image_size)
        if not self._network.has_strips:
            return tuple(Outline(channel, box) for channel in np.moveaxis(outputs[model_files.LOGITS][0], 2, 0))
        matrix = box.matrix if matrix is None else matrix
        size = outputs[model_files.STRIP_LOGITS].shape[2:]
        names = (model_files.STRIP_LOGITS, model_files.STRIP_MATRICES, model_files.SCORE)
        outlines = [
            Outline(logits, Strip.of_matrix(strip @ matrix, native, size), float(score))
            for logits, strip, score in zip(*(outputs[name][0] for name in names))
        ]
        return tuple(outlines if np.linalg.det(matrix) > 0 else outlines[::-1])

    def _look_again(self, image, outlines):
        """Returns each doubtful outline's surest counterpart in changed views of the radiograph."""
        changed = itertools.islice(views(image, self.image_size), 1, SECOND_LOOK)
        looks = [outlines, *(self.look(view, matrix, image.shape) for view, matrix in changed)]
        surest = [max(side, key=lambda each: each.score) for side in zip(*looks)]
        return tuple(
            old
            if old.score >= quality.SURE_SCORE
            else dataclasses.replace(new, score=min(new.score, quality.SECOND_SCORE))
            for old, new in zip(outlines, surest)
        )

    def segment_many(
        self, radiographs: Iterable[Any], spacing_mm: Spacing | None = None, workers: int | None = None
    ) -> Iterator[Segmentation]:
        """Yields the `Segmentation` of each radiograph, in order, equal to what `segment` returns of it.

        Threads read ahead; no more than twice as many radiographs as threads are in memory. The model still takes
        one at a time: batches gained at most 5 % on a CPU, and changed the logits' last digits.

        Args:
            radiographs: an iterable of what `segment` takes; it may be endless.
            spacing_mm: `(row, column)` of all of them; where given it outranks what they say.
            workers: threads; None: one a core.

        Raises:
            InputError: in the place of a radiograph that cannot be read; nothing follows.
        """
        if isinstance(radiographs, (str, os.PathLike, bytes)):
            raise InputError(f"radiographs: found {type(radiographs).__name__}, expected several: a list of them")
        return ordered_map(functools.partial(self.segment, spacing_mm=spacing_mm), radiographs, workers)

    def run(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the model's outputs by name, float32, see `model_files.Network`.

        Args:
            batch: letterboxed radiographs float32 `[B, h, w, 1]`, grey values from 0 to 255.
        """
        batch = np.asarray(batch, np.float32)
        if batch.shape[1:] != (*self.image_size, 1):
            expected = ", ".join(map(str, self.image_size))
            raise InputError(f"found a batch of shape {batch.shape}, expected [B, {expected}, 1]")
        with self._turn:
            return self._network.run(batch)


def model_input(image: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Returns a radiograph uint8 `[H, W]` as a model takes it: letterboxed float32 `[h, w, 1]`, 0 to 255."""
    return Letterbox.fit(image.shape, image_size).image_to_model(image).astype(np.float32)[..., None]


def shipped_model() -> pathlib.Path:
    """Returns the path of the pretrained model that came with the package.

    Raises:
        InputError: where the installed package holds none.
    """
    folder = pathlib.Path(str(importlib.resources.files("crass_tf.saved_models"))) / SHIPPED_FOLDER
    for name in SHIPPED_FILES:
        if (folder / name).is_file():
            return folder / name
    raise InputError("this installation holds no pretrained model: give the path of one (--model MODEL)")


def _as_radiograph(radiograph, spacing_mm):
    if isinstance(radiograph, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(radiograph, "read"):
        return read_radiograph(radiograph, spacing_mm)
    if isinstance(radiograph, Radiograph):
        spacing_mm = known_spacing(spacing_mm, "spacing_mm")
        return radiograph if spacing_mm is None else dataclasses.replace(radiograph, spacing_mm=spacing_mm)
    return from_array(radiograph, spacing_mm)


def _sigmoid(logits):
    # exp of a large negative logit's magnitude would overflow; tanh does not.
    return 0.5 * (1 + np.tanh(0.5 * logits))
