"""Segmenter: a radiograph in, its clavicles in the radiograph's own pixels out, from any form of a model."""

import dataclasses
import importlib.resources
import os
import pathlib
import threading

import cv2
import numpy as np

from crass_tf.files import InputError
from crass_tf.geometry import OUTSIDE_LOGIT, Letterbox, Strip
from crass_tf.networks import open_model
from crass_tf.parallel import ordered_map
from crass_tf.radiograph import Radiograph, from_array, read_radiograph
from crass_tf.segmentation import Segmentation

SHIPPED_FOLDER = "clavicle_unet"
SHIPPED_FILES = ("model_int8.tflite", "model_float16.tflite")
# Components of the locator's mask below this part of the largest one are no clavicle.
SMALLEST_PART = 0.25
# A single component further than this part of the radiograph's width from its centre is one clavicle of two.
OFF_CENTRE = 0.12
# Columns without clavicle between the two, of the width of both.
GAP = 0.05


class Segmenter:
    """Finds clavicles with one model. Threads may share it: its networks take turns, all else runs side by side.

    A model is one network on the whole radiograph, or a cascade: a locator on the whole radiograph, and an outliner on
    the strip that `locate_strip` lays around what the locator found.

    Attributes:
        path: the model's file or folder.
        metadata: what a `.tflite` says of itself, see `crass_tf.metadata`: training data, terms, version; else None.
        networks: its `networks.Network`s, one or two.
        image_size: `(height, width)` of the grid of the whole radiograph.
        strip_size: that of the strip's grid; None without a cascade.

    Example:

    >>> segmenter = crass_tf.Segmenter.load("model_int8.tflite")
    >>> segmentation = segmenter.segment("radiograph.png")
    >>> segmentation.mask.shape == segmentation.radiograph.image.shape
    True
    """

    def __init__(self, path, networks):
        self.path = path
        self.metadata = networks[0].metadata
        self.networks = networks
        self.image_size = networks[0].image_size
        self.strip_size = networks[1].image_size if len(networks) > 1 else None
        # An interpreter has one set of tensors, which two threads would overwrite for each other.
        self._turn = threading.Lock()

    @classmethod
    def load(cls, path=None, threads=None):
        """Returns the Segmenter of a model.

        Args:
            path: a `.keras` file, a SavedModel folder or a `.tflite` file; None: the shipped model.
            threads: for a `.tflite`; None: the cores this process may use, at most 4. TensorFlow chooses its own.

        Raises:
            InputError: where there is no model, or one of another kind; see `networks.open_model`.
        """
        path = shipped_model() if path is None else pathlib.Path(path)
        return cls(path, open_model(path, threads))

    def segment(self, radiograph, spacing_mm=None):
        """Returns the `Segmentation` of one radiograph.

        Args:
            radiograph: a path, an array of grey values as `crass_tf.radiograph.from_array` takes it, or a Radiograph.
            spacing_mm: `(row, column)`; where given it outranks what the radiograph says.
        """
        radiograph = _as_radiograph(radiograph, spacing_mm)
        size = radiograph.image.shape
        logits = self.logits(model_input(radiograph.image, self.image_size)[None])[0, ..., 0]
        if self.strip_size is None:
            return Segmentation(radiograph, logits, Letterbox.fit(size, self.image_size))
        strip = locate_strip(logits, size, self.strip_size)
        if strip is None:
            nothing = np.full(self.strip_size, OUTSIDE_LOGIT, np.float32)
            return Segmentation(radiograph, nothing, Strip.nowhere(size, self.strip_size), logits)
        outlined = self._outline(radiograph.image, strip)
        # Once more from there: the strip is laid more exactly around an outline than around what the locator found.
        x, y = _clavicle_pixels((outlined > 0).astype(np.uint8))
        if len(x):
            strip = _lay_strip(*strip.points_to_native(x, y), size, self.strip_size)
            outlined = self._outline(radiograph.image, strip)
        return Segmentation(radiograph, outlined, strip, logits)

    def segment_many(self, radiographs, spacing_mm=None, workers=None, return_errors=False):
        """Yields the `Segmentation` of each radiograph, in order, equal to what `segment` returns of it.

        Threads read ahead; no more than twice as many radiographs as threads are in memory. The networks still take
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

    def _outline(self, image, strip):
        return self.logits(strip_input(image, strip)[None], 1)[0, ..., 0]

    def inputs(self, radiograph):
        """Returns what each network takes for a radiograph, `[float32 [h, w, 1], ...]`; as many as it comes to."""
        segmentation = self.segment(radiograph)
        image = segmentation.radiograph.image
        whole = [model_input(image, self.image_size)]
        found = segmentation.located is not None and segmentation.grid.scale > 0
        return whole + [strip_input(image, segmentation.grid)] * found

    def logits(self, batch, network=0):
        """Returns the logits float32 `[B, h, w, 1]` of grey values from 0 to 255, float32 `[B, h, w, 1]`.

        Args:
            batch: letterboxed radiographs; or, for network 1 of a cascade, strips.
            network: 0, or 1 for a cascade's second network.
        """
        with self._turn:
            return _run(self.networks[network], batch)


def model_input(image, image_size):
    """Returns a radiograph uint8 `[H, W]` as a network takes it: letterboxed float32 `[h, w, 1]`, 0 to 255."""
    return Letterbox.fit(image.shape, image_size).image_to_model(image).astype(np.float32)[..., None]


def strip_input(image, strip):
    """Returns a strip of a radiograph uint8 `[H, W]` as a network takes it: float32 `[h, w, 1]`, 0 to 255."""
    return strip.image_to_model(image).astype(np.float32)[..., None]


def locate_strip(logits, native, strip_size):
    """Returns the `Strip` around what a locator found, or None where it found nothing.

    Args:
        logits: float32 `[h, w]`, on the letterboxed grid of the whole radiograph.
        native: `(height, width)` of the radiograph.
        strip_size: that of the strip's grid.
    """
    x, y = _clavicle_pixels((logits > 0).astype(np.uint8))
    if not len(x):
        return None
    box = Letterbox.fit(native, logits.shape)
    (top, left), (height, width) = box.offset, box.inner
    x, y = (x - left + 0.5) * native[1] / width - 0.5, (y - top + 0.5) * native[0] / height - 0.5
    return _lay_strip(x, y, native, strip_size)


def _lay_strip(x, y, native, strip_size):
    """Returns the `Strip` around pixels of clavicles, native coordinates (x, y)."""
    off_centre = abs((x.min() + x.max()) / 2 / native[1] - 0.5) > OFF_CENTRE
    # The breastbone lies between two clavicles.
    gap = np.diff(np.unique(x)).max(initial=0) > GAP * np.ptp(x)
    if off_centre and not gap and np.ptp(x) < native[1] / 2:
        # One clavicle was missed: it lies where the other one's mirror image does.
        x, y = np.concatenate([x, native[1] - 1 - x]), np.concatenate([y, y])
    return Strip.around(x, y, native, strip_size)


def _clavicle_pixels(mask):
    """Returns the coordinates (x, y) of a mask's pixels, float64 `[N]` each, without specks."""
    _, components, stats, _ = cv2.connectedComponentsWithStats(mask)
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = 1 + np.flatnonzero(areas >= SMALLEST_PART * areas.max(initial=0))
    y, x = np.nonzero(np.isin(components, kept))
    return x.astype(np.float64), y.astype(np.float64)


def _run(network, batch):
    batch = np.asarray(batch, np.float32)
    if batch.shape[1:] != (*network.image_size, 1):
        expected = ", ".join(map(str, network.image_size))
        raise InputError(f"found a batch of shape {batch.shape}, expected [B, {expected}, 1]")
    return network.run(batch)


def shipped_model():
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
    if isinstance(radiograph, (str, os.PathLike)):
        return read_radiograph(radiograph, spacing_mm)
    if isinstance(radiograph, Radiograph):
        return radiograph if spacing_mm is None else dataclasses.replace(radiograph, spacing_mm=spacing_mm)
    return from_array(radiograph, spacing_mm)
