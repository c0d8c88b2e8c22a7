"""The model card: what a stranger has to know before using an exported model."""

import importlib.metadata

from crass_tf import __version__

PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "litert-quantizer", "numpy", "opencv-python")

CARD = """\
# Clavicle segmentation in chest radiographs

A network that marks both clavicles in a posterior-anterior chest radiograph, exported by crass-tf {version}.
**Research software, not a medical device: not for diagnosis or treatment.**

## Input and output
One tensor in, one out; the same in every form. Signature `serving_default`.

| tensor | dtype | shape | meaning |
|---|---|---|---|
| `image` | float32 | [{batch}, {height}, {width}, 1] | grey values from 0 to 255, dense tissue bright |
| `logits` | float32 | [{batch}, {height}, {width}, 1] | above 0: clavicle; its sigmoid: probability |

The batch B is free in the SavedModel and 1 in every `.tflite`; the int8 file takes and gives float32 too.
Intensity normalisation is inside the network. Around it:

1. 16-bit values are divided by the full scale of the smallest of 8, 10, 12, 14, 16 bits that holds the largest value,
   times 255. Colours become luminance.
2. Letterbox: with s = min({height} / H, {width} / W), the radiograph is resized to (round(H s), round(W s)), by area
   averaging where it shrinks, bilinearly where it grows, centred (row and column offset rounded down), padded with 0.
3. The logits without the padding are resized bilinearly to H x W; the mask is where they are above 0.
4. Components whose centroid lies in the left of the image are the patient's right clavicle.

`crass_tf.Segmenter.load(path).segment(radiograph)` does all of this.

## Forms
Compared with Keras ({parameters} parameters) on {n} radiographs ({source}) at native size. int8 was calibrated on
{calibration_n} radiographs ({calibration_source}). Times are medians of one inference on the machine of the export.

| form | bytes | mask IoU to Keras, mean | min | largest logit difference | IoU to true masks | ms |
|---|---|---|---|---|---|---|
{table}

The `.tflite` files hold operators built into LiteRT only; `parity.json` lists them.

## Training data
{training_data}

## Intended use
Research and education on posterior-anterior chest radiographs of adults: measuring clavicles, hiding them, judging the
patient's rotation.

## Limits
- Only the part of a clavicle over the lungs and the rib cage is marked, as in the CRASS and SCR annotations.
- Not made for lateral, lordotic or paediatric radiographs, fractures or implants; whatever is put in gives some mask.
- Left and right assume the usual display: the patient's right at the image's left.
- Agreement with Keras says nothing about accuracy: evaluate on radiographs like yours (`crass-tf evaluate`).

## Versions
{versions}

## Checksums (SHA-256)
{checksums}
"""


def model_card(parity, training_data, checksums):
    """Returns the model card in Markdown.

    Args:
        parity: what `parity.json` holds.
        training_data: what the model was trained on and on what terms.
        checksums: `{file: SHA-256}`.
    """
    height, width = parity["reference"]["image_size"]
    inputs = parity["inputs"]
    rows = [_row("Keras", parity["reference"]), *(_row(name, form) for name, form in parity["forms"].items())]
    return CARD.format(
        version=__version__,
        batch="B",
        height=height,
        width=width,
        parameters=parity["reference"]["parameters"],
        n=inputs["n"],
        source=inputs["source"],
        calibration_n=inputs["calibration"]["n"],
        calibration_source=inputs["calibration"]["source"],
        table="\n".join(rows),
        training_data=training_data,
        versions="\n".join(f"- {package} {importlib.metadata.version(package)}" for package in PACKAGES),
        checksums="\n".join(f"- `{file}` {checksum}" for file, checksum in checksums.items()),
    )


def _row(name, figures):
    iou = figures.get("mask_iou", {"mean": 1, "min": 1})
    truth = "" if figures["iou_truth"] is None else f"{figures['iou_truth']:.4f}"
    times = ", ".join(f"{ms:.1f} ({threads.replace('_', ' ')})" for threads, ms in figures["latency_ms"].items())
    difference = f"{figures.get('max_logit_difference', 0):.2g}"
    cells = (name, figures["bytes"], f"{iou['mean']:.4f}", f"{iou['min']:.4f}", difference, truth, times)
    return f"| {' | '.join(map(str, cells))} |"
