"""How far each form of a model departs from Keras on the same radiographs, and how long it takes."""

import collections
import functools
import pathlib
import statistics
import time
from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np

from crass_tf.data.loading import Example
from crass_tf.export.conversion import BYTES, FROM_BYTES, MASK
from crass_tf.inference.model_files import LOGITS
from crass_tf.inference.segmenter import Segmenter, model_input
from crass_tf.measurement.metrics import iou
from crass_tf.phantom import render
from crass_tf.radiographs.radiograph import Radiograph

# Least mean IoU of each form's masks with Keras' masks.
LEAST_IOU = {
    "keras_float16": 0.998,
    "saved_model": 0.999,
    FROM_BYTES: 0.995,
    "float32": 0.999,
    "float16": 0.998,
    "dynamic_int8": 0.99,
    "int8": 0.99,
}
# Rounding to 8 bits moves uncertain outlines without making them worse. So where true masks are known, a form of 8 bits
# may also pass because it loses little of the IoU with them, if it is near LEAST_IOU.
EIGHT_BITS = ("dynamic_int8", "int8")
MOST_LOSS, NEAR = 0.002, 0.01
KERAS, TRUTH = "keras", "truth"
LATENCY_RUNS, WARM_UP_RUNS = 15, 3
LATENCY_THREADS = {"1_thread": 1, "2_threads": 2}
TENSORFLOW_THREADS = "tensorflow_threads"
TIMED_SIZE = 1024
# A series of their own, so that no phantom of `crass-tf phantom --seed 0`, on which nets are trained, is among them.
PHANTOM_SEED = 20_000


class Form:
    """A form of a model, in the file or folder `path`, as `Segmenter` runs it."""

    def __init__(self, path: pathlib.Path, output: str | None = None) -> None:
        self.path = path
        # The model is compared, not what more views give where a form's score falls on the other side of a threshold.
        self.segmenter = Segmenter.load(path, output=output, second_look=False)

    def mask(self, radiograph: Radiograph) -> np.ndarray:
        """Returns the mask uint8 `[H, W]` of a Radiograph."""
        return self.segmenter.segment(radiograph).mask

    def logits(self, radiograph: Radiograph) -> np.ndarray | None:
        """Returns the model's `logits` for a Radiograph, float32 `[h, w, C]`."""
        return self.segmenter.run(model_input(radiograph.image, self.segmenter.image_size)[None])[LOGITS][0]

    def latency_ms(self) -> dict[str, float]:
        """Returns the median milliseconds of the model for a radiograph, `{"1_thread": ..., "2_threads": ...}`.

        Keras and SavedModel run on as many threads as TensorFlow takes: `{"tensorflow_threads": ...}`.
        """
        # The time does not depend on the image's content.
        batch = np.full((1, *self.segmenter.image_size, 1), 100, np.float32)
        if self.path.suffix != ".tflite":
            return {TENSORFLOW_THREADS: _median_ms(lambda: self.segmenter.run(batch))}
        segmenters = {name: Segmenter.load(self.path, threads) for name, threads in LATENCY_THREADS.items()}
        return {name: _median_ms(functools.partial(each.run, batch)) for name, each in segmenters.items()}


class Served(Form):
    """A SavedModel's signature `from_bytes`: the whole way from a file's bytes to its mask."""

    def __init__(self, path: pathlib.Path) -> None:
        import tensorflow as tf

        self.path = path
        self._model, self._constant = tf.saved_model.load(str(path)), tf.constant

    def mask(self, radiograph: Radiograph) -> np.ndarray:
        """Returns the mask uint8 `[H, W]` of a Radiograph, which is sent as a PNG."""
        data = cv2.imencode(".png", radiograph.image)[1].tobytes()
        return self._model.signatures[FROM_BYTES](**{BYTES: self._constant([data])})[MASK].numpy()[0, ..., 0]

    def logits(self, radiograph: Radiograph) -> None:
        """Returns None: there are no logits to compare."""

    def latency_ms(self) -> dict[str, float]:
        """Returns the median milliseconds for a radiograph of `TIMED_SIZE` pixels a side, coding included."""
        (example,) = phantom_examples(1, TIMED_SIZE)
        return {TENSORFLOW_THREADS: _median_ms(lambda: self.mask(Radiograph(example.image)))}


def phantom_examples(count: int, size: int = 512, first: int = 0) -> Iterator[Example]:
    """Yields `count` phantoms of `size` pixels as `Example`s, from number `first` of their series.

    They stand in for radiographs to calibrate and to compare with, where no data set is at hand.
    """
    for index in range(first, first + count):
        phantom = render(PHANTOM_SEED, index, size)
        yield Example(f"phantom{index:03d}", phantom.image, phantom.mask, phantom.spacing_mm)


def compare(reference: Form, others: dict[str, Form], examples: Iterable[Example]) -> dict[str, dict[str, Any]]:
    """Segments each example with every form of a model; masks are compared at native size.

    Args:
        reference: the Form of the Keras model.
        others: `{name: Form}`.
        examples: `mask` may be None.

    Returns:
        `{name: agreement}`, with the name `keras` for the reference. An agreement holds `mask_iou` (`mean` and `min`
        IoU with the mask by Keras), `max_logit_difference` (from Keras; None for Served) and `iou_truth` (mean IoU with
        the true masks; None without any).
    """
    rows = collections.defaultdict(list)
    for example in examples:
        radiograph = Radiograph(example.image, example.spacing_mm, example.image_id)
        forms = {KERAS: reference, **others}
        results = {name: (form.mask(radiograph), form.logits(radiograph)) for name, form in forms.items()}
        mask_keras, logits_keras = results[KERAS]
        for name, (mask, logits) in results.items():
            difference = None if logits is None else float(np.abs(logits - logits_keras).max())
            truth = None if example.mask is None else iou(example.mask, mask)
            rows[name].append((iou(mask_keras, mask), difference, truth))
    return {name: _summarise_agreement(values) for name, values in rows.items()}


def judge(name: str, agreement: dict[str, Any], reference_truth: float | None = None) -> dict[str, Any]:
    """Returns a form's agreement, as `compare` gives it, with what it has to reach, and whether it does.

    Added are `least_iou`, the mean IoU with Keras' masks to be reached; `loss_truth`, what the form loses of the IoU
    with the true masks, or None; `passed`; and `passed_by`: `keras`, `truth` or None. `reference_truth` is the
    `iou_truth` of Keras; None without true masks.
    """
    iou, truth, least_iou = agreement["mask_iou"]["mean"], agreement["iou_truth"], LEAST_IOU[name]
    loss = None if reference_truth is None or truth is None else reference_truth - truth
    by_truth = name in EIGHT_BITS and loss is not None and loss <= MOST_LOSS and iou >= least_iou - NEAR
    passed_by = KERAS if iou >= least_iou else TRUTH if by_truth else None
    judged = {"least_iou": least_iou, "loss_truth": loss, "passed": passed_by is not None, "passed_by": passed_by}
    return agreement | judged


def _summarise_agreement(rows):
    mask_ious, differences, truths = zip(*rows)
    known = [truth for truth in truths if truth is not None]
    return {
        "mask_iou": {"mean": statistics.fmean(mask_ious), "min": min(mask_ious)},
        "max_logit_difference": None if None in differences else max(differences),
        "iou_truth": statistics.fmean(known) if known else None,
    }


def _median_ms(run):
    times = []
    for _ in range(WARM_UP_RUNS + LATENCY_RUNS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return round(1000 * statistics.median(times[WARM_UP_RUNS:]), 2)
