"""What an export says of itself: `crass_tf.json` inside each `.tflite`, and the model card for people."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any

from crass_tf import __version__
from crass_tf.common.notice import NOTICE
from crass_tf.export.parity import KERAS, MOST_LOSS, NEAR, TRUTH
from crass_tf.inference.model_files import INPUT, MEANING, METADATA, SIGNATURE, STRIP_LOGITS
from crass_tf.measurement.quality import LEAST_SCORE
from crass_tf.reporting.pages import render

if TYPE_CHECKING:
    import keras

SIDES = "the patient's: what lies at the image's left, channel 0 of two, is the right clavicle"
NOT_STATED = "not stated"

PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "litert-quantizer", "numpy", "opencv-python", "pillow")

MEANINGS = {
    "logits": "channel 0 the clavicle at the image's left (the patient's right), 1 the other",
    "score": f"from 0 to 1, how far each can be trusted; below {LEAST_SCORE} there is none",
    "strip_logits": "both clavicles, each level in a strip of its own, the second one mirrored; finer than `logits`",
    "strip_matrices": "map (x, y, 1) of the image's pixel centres to those of each strip",
}
VERDICTS = {KERAS: "", TRUTH: " (passed by true masks)", None: " **FAILED**"}
SINGLE_MEANING = "above 0: clavicle; its sigmoid: probability"
# What the card says of Keras' model where it compares forms with it.
REFERENCE = {"mask_iou": {"mean": 1, "min": 1}, "max_logit_difference": 0, "least_iou": ""}


def describe(model: keras.Model, form: str, training_data: str = NOT_STATED, terms: str = NOT_STATED) -> dict[str, Any]:
    """Returns what travels inside a `.tflite`, for `model_files.attach_metadata`.

    Args:
        model: the Keras model, as `conversion.as_served` returned it.
        form: the name of its form, such as `int8`.
        training_data, terms: as for `exporting.export`.
    """
    return {
        "made_by": f"crass-tf {__version__}",
        "notice": NOTICE,
        "form": form,
        "architecture": "clavicles" if STRIP_LOGITS in model.output else "single",
        "signature": SIGNATURE,
        "input": INPUT,
        "image_size": list(model.input_shape[1:3]),
        "outputs": {name: list(tensor.shape[1:]) for name, tensor in model.output.items()},
        **MEANING,
        "sides": SIDES,
        "training_data": training_data,
        "terms": terms,
    }


def model_card(parity: dict[str, Any], training_data: str, terms: str, checksums: dict[str, str]) -> str:
    """Returns the model card in Markdown; `parity` is what `parity.json` holds, `checksums` are `{file: SHA-256}`."""
    reference = parity["reference"]
    shapes = reference["outputs"]
    meanings = MEANINGS if reference["strip_size"] else dict.fromkeys(shapes, SINGLE_MEANING)
    return render(
        "model_card.md",
        version=__version__,
        reference=reference,
        outputs=[(name, shapes[name], text) for name, text in meanings.items() if name in shapes],
        inputs=parity["inputs"],
        rows=[("Keras", REFERENCE | reference), *parity["forms"].items()],
        verdicts=VERDICTS,
        near=NEAR,
        most_loss=MOST_LOSS,
        metadata=METADATA,
        training_data=training_data,
        terms=terms,
        versions={package: importlib.metadata.version(package) for package in PACKAGES},
        checksums=checksums,
    )
