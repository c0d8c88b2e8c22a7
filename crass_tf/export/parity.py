"""How far each form of a model departs from Keras on the same radiographs, and how long it takes."""

import functools
import pathlib
import statistics
import time

import cv2
import numpy as np

from crass_tf.evaluation.overlap import iou
from crass_tf.export.conversion import FROM_BYTES
from crass_tf.export.samples import phantom_examples
from crass_tf.export.serving import BYTES, MASK, SIZE
from crass_tf.radiograph import Radiograph
from crass_tf.segmenter import Segmenter

# What the masks of each form have to reach: their mean IoU with Keras' masks.
LEAST_IOU = {
    "keras_float16": 0.998,
    "saved_model": 0.999,
    FROM_BYTES: 0.995,
    "float32": 0.999,
    "float16": 0.998,
    "dynamic_int8": 0.99,
    "int8": 0.99,
}
LATENCY_RUNS, WARM_UP_RUNS = 15, 3
LATENCY_THREADS = (1, 2)
TENSORFLOW_THREADS = "tensorflow_threads"


class Form:
    """A form of a model as `Segmenter` runs it.

    Attributes:
        path: the model's file or folder.
        segmenter: its Segmenter.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.segmenter = Segmenter.load(path)

    def mask(self, radiograph):
        """Returns the mask uint8 `[H, W]` of a Radiograph."""
        return self.segmenter.segment(radiograph).mask

    def difference(self, reference, inputs):
        """Returns the largest difference of the logits from another Form's, over the inputs of each network."""
        both = self.segmenter, reference.segmenter
        pairs = [[each.logits(x[None], number) for each in both] for number, x in enumerate(inputs)]
        return max(float(np.abs(found - expected).max()) for found, expected in pairs)

    def latency_ms(self):
        """Returns the median milliseconds of all inferences for a radiograph, `{"1_thread": ..., "2_threads": ...}`.

        Keras and SavedModel run on as many threads as TensorFlow takes: `{"tensorflow_threads": ...}`.
        """
        if self.path.suffix != ".tflite":
            return {TENSORFLOW_THREADS: _inference_ms(self.segmenter)}
        names = {threads: f"{threads}_thread{'s' if threads > 1 else ''}" for threads in LATENCY_THREADS}
        return {name: _inference_ms(Segmenter.load(self.path, threads)) for threads, name in names.items()}


class Served:
    """A SavedModel's signature `from_bytes`, measured as a Form is: the whole way from a file's bytes to its mask.

    Attributes:
        path: the SavedModel's folder.
    """

    def __init__(self, path):
        import tensorflow as tf

        self.path = pathlib.Path(path)
        self._model, self._constant = tf.saved_model.load(str(path)), tf.constant

    def mask(self, radiograph):
        """Returns the mask uint8 `[H, W]` of a Radiograph, which is sent as a PNG."""
        data = cv2.imencode(".png", radiograph.image)[1].tobytes()
        return self._model.signatures[FROM_BYTES](**{BYTES: self._constant([data])})[MASK].numpy()[0, ..., 0]

    def difference(self, reference, inputs):
        """Returns None: there are no logits to compare."""

    def latency_ms(self):
        """Returns the median milliseconds for a radiograph of `serving.SIZE`, coding included."""
        return {TENSORFLOW_THREADS: _median_ms(lambda: self.mask(_timed_radiograph()))}


def compare(reference, others, examples):
    """Segments each example with every form of a model; masks are compared at native size.

    Args:
        reference: the Form of the Keras model.
        others: `{name: Form or Served}`.
        examples: `crass_tf.data.loading.Example`s; `mask` may be None.

    Returns:
        `(image_ids, {name: agreement})`, with the name `keras` for the reference. An agreement holds `mask_iou`
        (`mean` and `min` IoU with the mask by Keras), `max_logit_difference` (from Keras, for equal inputs; None for
        Served) and `iou_truth` (mean IoU with the true masks; None without any).
    """
    image_ids, rows = [], {name: [] for name in ("keras", *others)}
    for example in examples:
        image_ids.append(example.image_id)
        radiograph = Radiograph(example.image, example.spacing_mm, example.image_id)
        inputs, expected = reference.segmenter.inputs(radiograph), reference.mask(radiograph)
        for name, form in {"keras": reference, **others}.items():
            found = form.mask(radiograph)
            truth = None if example.mask is None else iou(example.mask, found)
            rows[name].append((iou(expected, found), form.difference(reference, inputs), truth))
    return image_ids, {name: _agreement(values) for name, values in rows.items()}


def judge(name, agreement):
    """Returns a form's agreement with `least_iou`, which it has to reach, and whether it `passed`."""
    least_iou = LEAST_IOU[name]
    return agreement | {"least_iou": least_iou, "passed": agreement["mask_iou"]["mean"] >= least_iou}


def _agreement(rows):
    mask_ious, differences, truths = zip(*rows)
    known = [truth for truth in truths if truth is not None]
    return {
        "mask_iou": {"mean": statistics.fmean(mask_ious), "min": min(mask_ious)},
        "max_logit_difference": None if None in differences else max(differences),
        "iou_truth": statistics.fmean(known) if known else None,
    }


@functools.cache
def _timed_radiograph():
    (example,) = phantom_examples(1, SIZE[0])
    return Radiograph(example.image)


def _inference_ms(segmenter):
    # What is in the image changes nothing in the time.
    batches = [np.full((1, *network.image_size, 1), 100, np.float32) for network in segmenter.networks]
    # A cascade outlines twice.
    runs = [*enumerate(batches), *list(enumerate(batches))[1:]]
    return _median_ms(lambda: [segmenter.logits(batch, number) for number, batch in runs])


def _median_ms(run):
    times = []
    for _ in range(WARM_UP_RUNS + LATENCY_RUNS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return round(1000 * statistics.median(times[WARM_UP_RUNS:]), 2)
