"""Segmenter: a radiograph in, its clavicles in the radiograph's own pixels out, from any form of a model.

A `.tflite` model needs NumPy, OpenCV and ai-edge-litert only. TensorFlow and Keras are imported when a form that
needs them is loaded.
"""

import dataclasses
import functools
import importlib.resources
import os
import pathlib

import cv2
import numpy as np

from crass_tf.files import InputError
from crass_tf.geometry import LEFT, RIGHT, Letterbox, split_sides
from crass_tf.native import quiet_native
from crass_tf.radiograph import Radiograph, from_array, read_radiograph

SIDES = {"right": RIGHT, "left": LEFT}
SHIPPED_FOLDER = "clavicle_unet"
SHIPPED_FILES = ("model_int8.tflite", "model_float16.tflite")
SIGNATURE = "serving_default"
# More threads than this gain nothing on a net of this size.
MAX_THREADS = 4


class Segmenter:
    """Finds clavicles with one model. Not thread-safe: give each thread a Segmenter of its own.

    Attributes:
        path: the model's file or folder.
        image_size: `(height, width)` of the model grid.

    Example:

    >>> segmenter = crass_tf.Segmenter.load("model_int8.tflite")
    >>> segmentation = segmenter.segment("radiograph.png")
    >>> segmentation.mask.shape == segmentation.radiograph.image.shape
    True
    """

    def __init__(self, path, image_size, run):
        self.path = path
        self.image_size = image_size
        self._run = run

    @classmethod
    def load(cls, path=None, threads=None):
        """Returns the Segmenter of a model.

        Args:
            path: a `.keras` file, a SavedModel folder or a `.tflite` file; None: the shipped model.
            threads: for a `.tflite`; None: the cores this process may use, at most 4. TensorFlow chooses its own.

        Raises:
            InputError: where there is no model, or one that does not map one float32 `[*, h, w, 1]` to one output
                of the same shape.
        """
        path = shipped_model() if path is None else pathlib.Path(path)
        inputs, outputs, run = _opener(path)(path, threads)
        return cls(path, _image_size(path, inputs, outputs), run)

    def segment(self, radiograph, spacing_mm=None):
        """Returns the `Segmentation` of one radiograph.

        Args:
            radiograph: a path, an array of grey values as `crass_tf.radiograph.from_array` takes it, or a Radiograph.
            spacing_mm: `(row, column)`; where given it outranks what the radiograph says.
        """
        radiograph = _as_radiograph(radiograph, spacing_mm)
        return Segmentation(radiograph, self.logits(model_input(radiograph.image, self.image_size)[None])[0, ..., 0])

    def logits(self, batch):
        """Returns the logits float32 `[B, h, w, 1]` of grey values from 0 to 255, float32 `[B, h, w, 1]`."""
        batch = np.asarray(batch, np.float32)
        if batch.shape[1:] != (*self.image_size, 1):
            raise InputError(
                f"found a batch of shape {batch.shape}, expected [B, {', '.join(map(str, self.image_size))}, 1]"
            )
        return self._run(batch)


@dataclasses.dataclass(frozen=True, eq=False)
class Segmentation:
    """The clavicles of one radiograph, on the radiograph's own grid. What is not asked for is not computed.

    Attributes:
        radiograph: what was segmented.
        model_logits: float32 `[h, w]` on the model grid.
    """

    radiograph: Radiograph
    model_logits: np.ndarray

    @property
    def spacing_mm(self):
        """Pixel spacing `(row, column)` in millimetres, or None where unknown."""
        return self.radiograph.spacing_mm

    @functools.cached_property
    def mask(self):
        """uint8 `[H, W]`: 1 clavicle, 0 background."""
        return (self._logits > 0).astype(np.uint8)

    @functools.cached_property
    def labels(self):
        """uint8 `[H, W]`: 0 background, 1 the patient's right clavicle, 2 the left one."""
        return split_sides(self.mask)

    @functools.cached_property
    def probability(self):
        """float32 `[H, W]` from 0 to 1; above 0.5 where `mask` is 1."""
        # exp of a large negative logit's magnitude would overflow; tanh does not.
        return 0.5 * (1 + np.tanh(0.5 * self._logits))

    @functools.cached_property
    def contours(self):
        """Outlines by side, `{"right": [...], "left": [...]}`.

        Each is float32 `[N, 2]`: (x, y) centres of the outermost pixels in native pixels; the first pixel's is (0, 0).
        """
        return {name: _outlines(self.labels == side) for name, side in SIDES.items()}

    @functools.cached_property
    def quality(self):
        """What was found by side: `{"right": {"found", "area_pixels", "area_mm2"}, "left": {...}}`.

        `area_mm2` is None where the spacing is unknown.
        """
        return {name: self._side_quality(side) for name, side in SIDES.items()}

    @functools.cached_property
    def _logits(self):
        return Letterbox.fit(self.radiograph.image.shape, self.model_logits.shape).to_native(self.model_logits)

    def _side_quality(self, side):
        pixels = int(np.count_nonzero(self.labels == side))
        area_mm2 = None if self.spacing_mm is None else pixels * self.spacing_mm[0] * self.spacing_mm[1]
        return {"found": pixels > 0, "area_pixels": pixels, "area_mm2": area_mm2}


def model_input(image, image_size):
    """Returns a radiograph uint8 `[H, W]` as a network takes it: letterboxed float32 `[h, w, 1]`, 0 to 255."""
    return Letterbox.fit(image.shape, image_size).image_to_model(image).astype(np.float32)[..., None]


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


def default_threads():
    """Returns how many threads a `.tflite` gets by default: the cores this process may use, at most 4."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MAX_THREADS)


def _as_radiograph(radiograph, spacing_mm):
    if isinstance(radiograph, (str, os.PathLike)):
        return read_radiograph(radiograph, spacing_mm)
    if isinstance(radiograph, Radiograph):
        return radiograph if spacing_mm is None else dataclasses.replace(radiograph, spacing_mm=spacing_mm)
    return from_array(radiograph, spacing_mm)


def _outlines(mask):
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [outline[:, 0].astype(np.float32) for outline in found]


def _opener(path):
    """Returns the function that opens this form of a model."""
    if not path.exists():
        raise InputError(f"{path}: model not found")
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return _open_saved_model
        raise InputError(f"{path}: found a folder without saved_model.pb, expected a SavedModel, .keras or .tflite")
    openers = {".keras": _open_keras, ".tflite": _open_tflite}
    if path.suffix not in openers:
        raise InputError(
            f"{path}: found {path.suffix or 'no suffix'}, expected a .keras or .tflite file or a SavedModel"
        )
    return openers[path.suffix]


# Each opener returns `(inputs, outputs, run)`: (shape, dtype name) of every input and output, and a function from
# float32 [B, h, w, 1] to float32 [B, h, w, 1].


def _open_keras(path, threads):
    with quiet_native():
        import keras

    try:
        model = keras.saving.load_model(path, compile=False)
    # A damaged archive surfaces as whatever its reader meets first.
    except Exception as error:
        raise InputError(f"{path}: cannot be opened as a Keras model ({_first_line(error)})") from None
    inputs = [(tuple(x.shape), x.dtype) for x in model.inputs]
    outputs = [(tuple(x.shape), x.dtype) for x in model.outputs]
    return inputs, outputs, lambda batch: np.asarray(model.predict_on_batch(batch), np.float32)


def _open_saved_model(path, threads):
    with quiet_native():
        import tensorflow as tf

    try:
        model = tf.saved_model.load(str(path))
    except Exception as error:
        raise InputError(f"{path}: cannot be opened as a SavedModel ({_first_line(error)})") from None
    if SIGNATURE not in model.signatures:
        raise InputError(f"{path}: found signatures {sorted(model.signatures)}, expected {SIGNATURE}")
    function = model.signatures[SIGNATURE]
    inputs = function.structured_input_signature[1]
    outputs = function.structured_outputs

    def run(batch, model=model):
        # The signature keeps no reference to the model that owns its variables, hence the argument.
        return next(iter(function(**{next(iter(inputs)): tf.constant(batch)}).values())).numpy()

    return *([(tuple(s.shape), s.dtype.name) for s in specs.values()] for specs in (inputs, outputs)), run


def _open_tflite(path, threads):
    from ai_edge_litert.interpreter import Interpreter

    try:
        with quiet_native():
            interpreter = Interpreter(str(path), num_threads=threads or default_threads())
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{path}: cannot be opened as a LiteRT model ({_first_line(error)})") from None
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()

    def run_one(image):
        interpreter.set_tensor(inputs[0]["index"], image[None])
        interpreter.invoke()
        return interpreter.get_tensor(outputs[0]["index"])

    def run(batch):
        return np.concatenate([run_one(image) for image in batch]) if len(batch) else batch

    return *([(tuple(map(int, d["shape"])), np.dtype(d["dtype"]).name) for d in x] for x in (inputs, outputs)), run


def _image_size(path, inputs, outputs):
    """Returns `(height, width)` of a model with one float32 [*, h, w, 1] in and the same out, or raises InputError."""
    matches = len(inputs) == len(outputs) == 1
    if matches:
        (shape, dtype), (output_shape, output_dtype) = inputs[0], outputs[0]
        matches = len(shape) == 4 and None not in shape[1:] and shape[3] == 1 and shape[1:] == output_shape[1:]
        matches = matches and dtype == output_dtype == "float32"
    if not matches:
        raise InputError(
            f"{path}: found a model with inputs {_describe(inputs)} and outputs {_describe(outputs)}, "
            "expected one float32 [*, h, w, 1] in and one of the same shape out"
        )
    return shape[1:3]


def _describe(tensors):
    return ", ".join(f"{dtype} {list(shape)}" for shape, dtype in tensors)


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
