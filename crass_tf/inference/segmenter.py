"""Segmenter: a radiograph in, its clavicles in the radiograph's own pixels out, from any form of a model."""

from __future__ import annotations

import dataclasses
import importlib.resources
import os
import pathlib
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from crass_tf.common.files import InputError, local_path
from crass_tf.common.parallel import ordered_map
from crass_tf.common.types import PathLike, Spacing
from crass_tf.geometry import Letterbox, Strip
from crass_tf.inference import model_files
from crass_tf.inference.model_files import Network
from crass_tf.inference.segmentation import Outline, Segmentation
from crass_tf.measurement import trust
from crass_tf.measurement.extent import DEFAULT_EXTENT, EXTENTS
from crass_tf.measurement.trust import Trust
from crass_tf.radiographs.radiograph import Radiograph, from_array, read_radiograph

SHIPPED_FOLDER = "clavicle_unet"
SHIPPED_FILES = ("model_int8.tflite", "model_float16.tflite")


class Segmenter:
    """Finds clavicles with one model. Threads may share it: the model takes turns, all else runs side by side.

    It pickles as its model's path and options, and opens the model again where it is unpickled.

    Attributes:
        path: the model's file or folder; None for a Keras model in memory.
        metadata: what a `.tflite` says of itself, see `crass_tf.inference.tflite_metadata`: training data, terms,
            version; else None.
        image_size: `(height, width)` of the grid that radiographs are letterboxed to.
        extent: how far to the side clavicles are marked, see `load`.

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
    ) -> None:
        if extent not in EXTENTS:
            raise InputError(f"extent: found {extent!r}, expected one of {', '.join(EXTENTS)}")
        if extent != DEFAULT_EXTENT and not network.has_strips:
            expected = f"expected {DEFAULT_EXTENT} or a clavicle model"
            raise InputError(f"extent: found {extent!r} for a model of one mask, {expected}")
        self.path = path
        self.extent = extent
        # Measured with outlines of the default extent.
        self._trust = Trust.load(path.with_name(trust.NAME)) if path and extent == DEFAULT_EXTENT else None
        self.metadata = network.metadata
        self.image_size = network.image_size
        self._network = network
        self._reopen = reopen
        # An interpreter has one set of tensors, which two threads would overwrite for each other.
        self._turn = threading.Lock()

    @classmethod
    def load(
        cls,
        path: PathLike | None = None,
        threads: int | None = None,
        output: str | None = None,
        extent: str = DEFAULT_EXTENT,
    ) -> Segmenter:
        """Returns the Segmenter of a model.

        Args:
            path: a `.keras` file, a SavedModel folder or a `.tflite` file; None: the shipped model.
            threads: for a `.tflite`; None: the cores this process may use, at most 4. TensorFlow chooses its own.
            output: `logits` or `probability`: what a network of your own gives; see `model_files.open_model`.
            extent: how far to the side clavicles are marked: `scr`, as the model has learned it from the SCR study's
                outlines; `crass`, prolonged as CRASS' observers have it, see `crass_tf.measurement.extent`.

        Raises:
            InputError: where there is no model, or one of another kind; see `model_files.open_model`.
        """
        path = shipped_model() if path is None else local_path(path, "model")
        network = model_files.open_model(path, threads, output)
        return cls(network, path, (cls.load, (path, threads, output, extent)), extent)

    @classmethod
    def from_model(cls, model: Any, output: str | None = None, extent: str = DEFAULT_EXTENT) -> Segmenter:
        """Returns the Segmenter of a Keras model in memory: a clavicle model, or any network of one mask.

        Args:
            model: `keras.Model`, float32 `[B, h, w, 1]` grey values from 0 to 255 -> `[B, h', w', C]` of the same field
                of view.
            output: as in `load`.
            extent: as in `load`.

        Raises:
            InputError: for a model of another kind.
        """
        network = model_files.of_keras(model, output)
        return cls(network, None, (cls.from_model, (model, output, extent)), extent)

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
        box = Letterbox.fit(radiograph.image.shape, self.image_size)
        outputs = self.run(model_input(radiograph.image, self.image_size)[None])
        if not self._network.has_strips:
            logits = outputs[model_files.LOGITS][0]
            return Segmentation(radiograph, tuple(Outline(channel, box) for channel in np.moveaxis(logits, 2, 0)))
        size = outputs[model_files.STRIP_LOGITS].shape[2:]
        names = (model_files.STRIP_LOGITS, model_files.STRIP_MATRICES, model_files.SCORE)
        outlines = [
            Outline(logits, Strip.of_matrix(matrix @ box.matrix, box.native, size), float(score))
            for logits, matrix, score in zip(*(outputs[name][0] for name in names))
        ]
        return Segmentation(radiograph, tuple(outlines), self._trust, self.extent)

    def segment_many(
        self,
        radiographs: Iterable[Any],
        spacing_mm: Spacing | None = None,
        workers: int | None = None,
        return_errors: bool = False,
    ) -> Iterator[Segmentation | InputError]:
        """Yields the `Segmentation` of each radiograph, in order, equal to what `segment` returns of it.

        Threads read ahead; no more than twice as many radiographs as threads are in memory. The model still takes
        one at a time: batches gained at most 5 % on a CPU, and changed the logits' last digits.

        Args:
            radiographs: an iterable of what `segment` takes; it may be endless.
            spacing_mm: `(row, column)` of all of them; where given it outranks what they say.
            workers: threads; None: one a core.
            return_errors: yields the InputError of a radiograph that cannot be read in its place; otherwise it is
                raised there, and nothing follows.
        """

        def segment(radiograph):
            try:
                return self.segment(radiograph, spacing_mm)
            except InputError as error:
                if return_errors:
                    return error
                raise

        return ordered_map(segment, radiographs, workers)

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
        return radiograph if spacing_mm is None else dataclasses.replace(radiograph, spacing_mm=spacing_mm)
    return from_array(radiograph, spacing_mm)
