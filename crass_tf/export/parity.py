"""How far each form of a model departs from Keras on the same radiographs, and how long it takes."""

import statistics
import time

import numpy as np

from crass_tf.evaluation.overlap import iou
from crass_tf.radiograph import Radiograph
from crass_tf.segmenter import Segmenter

LATENCY_RUNS, WARM_UP_RUNS = 15, 3
LATENCY_THREADS = (1, 2)


def compare(reference, others, examples):
    """Segments each example with every form of a model; masks are compared at native size.

    Args:
        reference: the Segmenter of the Keras model.
        others: `{name: Segmenter}` of the other forms.
        examples: `crass_tf.data.loading.Example`s; `mask` may be None.

    Returns:
        `(image_ids, {name: agreement})`, with the name `keras` for the reference. An agreement holds `mask_iou`
        (`mean` and `min` IoU with the mask by Keras), `max_logit_difference` (from Keras, for equal inputs) and
        `iou_truth` (mean IoU with the true masks; None without any).
    """
    image_ids, rows = [], {name: [] for name in ("keras", *others)}
    for example in examples:
        image_ids.append(example.image_id)
        radiograph = Radiograph(example.image, example.spacing_mm, example.image_id)
        inputs, expected = reference.inputs(radiograph), reference.segment(radiograph).mask
        for name, segmenter in {"keras": reference, **others}.items():
            found = segmenter.segment(radiograph).mask
            truth = None if example.mask is None else iou(example.mask, found)
            rows[name].append((iou(expected, found), _difference(segmenter, reference, inputs), truth))
    return image_ids, {name: _agreement(values) for name, values in rows.items()}


def latency_ms(segmenter):
    """Returns the median milliseconds of all inferences that a radiograph takes, `{"1_thread": ..., "2_threads": ...}`.

    Keras and SavedModel run on as many threads as TensorFlow takes: `{"tensorflow_threads": ...}`.
    """
    if segmenter.path.suffix != ".tflite":
        return {"tensorflow_threads": _median_ms(segmenter)}
    names = {threads: f"{threads}_thread{'s' if threads > 1 else ''}" for threads in LATENCY_THREADS}
    return {name: _median_ms(Segmenter.load(segmenter.path, threads)) for threads, name in names.items()}


def _difference(segmenter, reference, inputs):
    """Returns the largest difference of two segmenters' logits over the networks' inputs."""
    pairs = [[s.logits(x[None], number) for s in (segmenter, reference)] for number, x in enumerate(inputs)]
    return max(float(np.abs(found - expected).max()) for found, expected in pairs)


def _agreement(rows):
    mask_ious, differences, truths = zip(*rows)
    known = [truth for truth in truths if truth is not None]
    return {
        "mask_iou": {"mean": statistics.fmean(mask_ious), "min": min(mask_ious)},
        "max_logit_difference": max(differences),
        "iou_truth": statistics.fmean(known) if known else None,
    }


def _median_ms(segmenter):
    # What is in the image changes nothing in the time.
    batches = [np.full((1, *network.image_size, 1), 100, np.float32) for network in segmenter.networks]
    # A cascade outlines twice.
    runs = [*enumerate(batches), *list(enumerate(batches))[1:]]
    times = []
    for _ in range(WARM_UP_RUNS + LATENCY_RUNS):
        start = time.perf_counter()
        for number, batch in runs:
            segmenter.logits(batch, number)
        times.append(time.perf_counter() - start)
    return round(1000 * statistics.median(times[WARM_UP_RUNS:]), 2)
