"""How far each form of a model departs from Keras on the same radiographs, and how long a `.tflite` takes."""

import collections
import pathlib
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

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
# A series of their own, so that no phantom of `crass-tf phantom --seed 0`, on which nets are trained, is among them.
PHANTOM_SEED = 20_000


class Form(NamedTuple):
    """A form of a model."""

    path: pathlib.Path
    # From a Radiograph to its mask uint8 `[H, W]`, and the model's `logits` float32 `[h, w, C]` or None.
    run: Callable[[Radiograph], tuple[np.ndarray, np.ndarray | None]]


def open_form(path: pathlib.Path, output: str | None = None) -> Form:
    """Returns a model's file or folder as `Segmenter` runs it."""
    # The model is compared, not what more views give where a form's score falls on the other side of a threshold.
    segmenter = Segmenter.load(path, output=output, second_look=False)

    def run(radiograph):
        logits = segmenter.run(model_input(radiograph.image, segmenter.image_size)[None])[LOGITS][0]
        return segmenter.segment(radiograph).mask, logits

    return Form(path, run)


def open_from_bytes(path: pathlib.Path) -> Form:
    """Returns a SavedModel's signature `from_bytes`, which is sent a PNG and gives no logits."""
    import tensorflow as tf

    model = tf.saved_model.load(str(path))

    def run(radiograph):
        data = cv2.imencode(".png", radiograph.image)[1].tobytes()
        return model.signatures[FROM_BYTES](**{BYTES: tf.constant([data])})[MASK].numpy()[0, ..., 0], None

    return Form(path, run)


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
        IoU with the mask by Keras), `max_logit_difference` (from Keras; None without logits) and `iou_truth` (mean IoU
        with the true masks; None without any).
    """
    rows = collections.defaultdict(list)
    for example in examples:
        radiograph = Radiograph(example.image, example.spacing_mm, example.image_id)
        forms = {KERAS: reference, **others}
        results = {name: form.run(radiograph) for name, form in forms.items()}
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


def latency_ms(path: pathlib.Path) -> dict[str, float]:
    """Returns the median milliseconds of a `.tflite` for a radiograph, `{"1_thread": ..., "2_threads": ...}`."""
    medians = {}
    for name, threads in LATENCY_THREADS.items():
        segmenter, times = Segmenter.load(path, threads), []
        # The time does not depend on the image's content.
        batch = np.full((1, *segmenter.image_size, 1), 100, np.float32)
        for _ in range(WARM_UP_RUNS + LATENCY_RUNS):
            start = time.perf_counter()
            segmenter.run(batch)
            times.append(time.perf_counter() - start)
        medians[name] = round(1000 * statistics.median(times[WARM_UP_RUNS:]), 2)
    return medians


def _summarise_agreement(rows):
    mask_ious, differences, truths = zip(*rows)
    known = [truth for truth in truths if truth is not None]
    return {
        "mask_iou": {"mean": statistics.fmean(mask_ious), "min": min(mask_ious)},
        "max_logit_difference": None if None in differences else max(differences),
        "iou_truth": statistics.fmean(known) if known else None,
    }
