"""The model card: what a stranger has to know before using an exported model."""

import importlib.metadata

from crass_tf import __version__, metadata
from crass_tf.export.description import NOTICE
from crass_tf.geometry import STRIP_FILL
from crass_tf.quality import AGREEMENT, LEAST_SCORE
from crass_tf.segmenter import SMALLEST_PART

PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "litert-quantizer", "numpy", "opencv-python")

SINGLE = """\
## Input and output
One tensor in, one out; the same in every form. Signature `serving_default`.
{from_bytes}

| tensor | dtype | shape | meaning |
|---|---|---|---|
| `image` | float32 | [B, {height}, {width}, 1] | grey values from 0 to 255, dense tissue bright |
| `logits` | float32 | [B, {height}, {width}, 1] | above 0: clavicle; its sigmoid: probability |

The batch B is free in the SavedModel and 1 in every `.tflite`; the int8 file takes and gives float32 too.
Intensity normalisation is inside the network. Around it:

{grey}
{letterbox}
3. The logits without the padding are resized bilinearly to H x W; the mask is where they are above 0.
4. Components whose centroid lies in the left of the image are the patient's right clavicle.

`crass_tf.Segmenter.load(path).segment(radiograph)` does all of this.
"""

CASCADE = """\
## Input and output
Two networks: one finds the clavicles in the whole radiograph, one outlines them in a strip around them. The `.tflite`
files have a signature for each, `locate` and `segment`; the `.keras` file has the inputs `image` and `strip` and two
outputs. The SavedModel has both signatures too, and `serving_default`, which does all of it for radiographs that were
letterboxed to 1024 x 1024: `image` float32 [B, 1024, 1024, 1], grey values from 0 to 255, gives `logits` of that shape.
{from_bytes}

| signature | tensor | dtype | shape | meaning |
|---|---|---|---|---|
| `locate` | `image` | float32 | [B, {height}, {width}, 1] | the whole radiograph, grey values 0 to 255, tissue bright |
| `locate` | `logits` | float32 | [B, {height}, {width}, 1] | above 0: clavicle |
| `segment` | `image` | float32 | [B, {strip_height}, {strip_width}, 1] | the strip, grey values from 0 to 255 |
| `segment` | `logits` | float32 | [B, {strip_height}, {strip_width}, 1] | above 0: clavicle; its sigmoid: probability |

The batch B is free in the SavedModel and 1 in every `.tflite`; the int8 file takes and gives float32 too.
Intensity normalisation is inside the networks. Around them:

{grey}
{letterbox}
3. The pixels above 0, without components of less than {smallest_part:.0%} of the largest one, are mapped back to the
   radiograph. The line from their mean in the left half of their range to that in the right half gives the tilt. Along
   it, their 1st and 99th percentiles give the clavicles' width, across it their height. Where they are of one side
   only (off the centre, without a gap), their mirror image about the radiograph's centre line is added.
4. The strip is level with that line, centred on the middle of both ranges, and scaled so that the width takes
   {fill:.0%} of its columns; the radiograph is reduced by area averaging first where it shrinks, then sampled
   bilinearly, black outside.
5. The strip is laid once more, by the same rules, around the pixels above 0 of its own logits, where there are any.
6. The strip's logits are sampled bilinearly at each pixel of the radiograph; the mask is where they are above 0, and
   background outside the strip.
7. Nothing is returned where the locator finds nothing, where its mask and the result have an IoU below {agreement}, or
   where the quality score is below {least_score}.
8. Components whose centroid lies in the left of the image are the patient's right clavicle.

`crass_tf.Segmenter.load(path).segment(radiograph)` does all of this.
"""

FROM_BYTES = """\
The SavedModel's signature `from_bytes` takes a file: `image_bytes`, string [1], a PNG of 8 or 16 bits or a JPEG, gives
`mask`, uint8 [1, H, W, 1] in its own pixels: 1 clavicle, 0 background. An EXIF orientation is not applied{refusal}."""
REFUSAL = ", and of\nstep 7 the quality score is left out"

GREY = """\
1. 16-bit values are divided by the full scale of the smallest of 8, 10, 12, 14, 16 bits that holds the largest value,
   times 255. Colours become luminance."""

LETTERBOX = """\
2. Letterbox: with s = min({height} / H, {width} / W), the radiograph is resized to (round(H s), round(W s)), by area
   averaging where it shrinks, bilinearly where it grows, centred (offsets rounded down), padded with 0."""

CARD = """\
# Clavicle segmentation in chest radiographs

A network that marks both clavicles in a posterior-anterior chest radiograph, exported by crass-tf {version}.
**{notice}**

{interface}

## Forms
Compared with Keras ({parameters} parameters) on {n} radiographs ({source}) at native size. int8 was calibrated on
{calibration_n} radiographs ({calibration_source}); of dynamic_int8 only the weights have 8 bits. Times are medians of
what a radiograph takes of the model alone, on the machine of the export; of from_bytes, with decoding of 1024 x 1024.

| form | bytes | mask IoU to Keras, mean | has to reach | min | largest logit difference | IoU to true masks | ms |
|---|---|---|---|---|---|---|---|
{table}

The `.tflite` files hold operators built into LiteRT only:

{operators}

What a `.tflite` is, and on what terms, travels inside it: `unzip -p FILE {metadata}` prints it. This package checks it,
and opens no other `.tflite`.

## Training data
{training_data}

**Terms of the weights.** {terms}

## Intended use
Research and education on posterior-anterior chest radiographs of adults: measuring clavicles, hiding them, judging the
patient's rotation.

## Limits
- Only the part of a clavicle over the lungs and the rib cage is marked, as in the CRASS and SCR annotations.
- Not made for lateral, lordotic or paediatric radiographs, fractures or implants, which may be given some mask.
- Left and right assume the usual display: the patient's right at the image's left.
- Agreement with Keras says nothing about accuracy: evaluate on radiographs like yours (`crass-tf evaluate`).

## Versions
{versions}

## Checksums (SHA-256)
{checksums}
"""


def model_card(parity, training_data, terms, checksums):
    """Returns the model card in Markdown.

    Args:
        parity: what `parity.json` holds.
        training_data: what the model was trained on.
        terms: on what terms its weights may be used.
        checksums: `{file: SHA-256}`.
    """
    inputs = parity["inputs"]
    rows = [_row("Keras", parity["reference"]), *(_row(name, form) for name, form in parity["forms"].items())]
    return CARD.format(
        version=__version__,
        notice=NOTICE,
        interface=_interface(parity["reference"]),
        parameters=parity["reference"]["parameters"],
        n=inputs["n"],
        source=inputs["source"],
        calibration_n=inputs["calibration"]["n"],
        calibration_source=inputs["calibration"]["source"],
        table="\n".join(rows),
        operators="\n".join(_operators(name, form) for name, form in parity["forms"].items() if form["operators"]),
        metadata=metadata.NAME,
        training_data=training_data,
        terms=terms,
        versions="\n".join(f"- {package} {importlib.metadata.version(package)}" for package in PACKAGES),
        checksums="\n".join(f"- `{file}` {checksum}" for file, checksum in checksums.items()),
    )


def _interface(reference):
    """Returns what goes in, what comes out, and what lies around it."""
    height, width = reference["image_size"]
    letterbox = LETTERBOX.format(height=height, width=width)
    if reference["strip_size"] is None:
        from_bytes = FROM_BYTES.format(refusal="")
        return SINGLE.format(height=height, width=width, grey=GREY, letterbox=letterbox, from_bytes=from_bytes).rstrip()
    strip_height, strip_width = reference["strip_size"]
    return CASCADE.format(
        height=height,
        width=width,
        strip_height=strip_height,
        strip_width=strip_width,
        grey=GREY,
        letterbox=letterbox,
        smallest_part=SMALLEST_PART,
        fill=STRIP_FILL,
        agreement=AGREEMENT,
        least_score=LEAST_SCORE,
        from_bytes=FROM_BYTES.format(refusal=REFUSAL),
    ).rstrip()


def _operators(name, form):
    return f"- {name}: {', '.join(f'{count} {operator}' for operator, count in form['operators'].items())}"


def _row(name, figures):
    iou = figures.get("mask_iou", {"mean": 1, "min": 1})
    truth = "" if figures["iou_truth"] is None else f"{figures['iou_truth']:.4f}"
    times = ", ".join(f"{ms:.1f} ({threads.replace('_', ' ')})" for threads, ms in figures["latency_ms"].items())
    difference = figures.get("max_logit_difference", 0)
    difference = "" if difference is None else f"{difference:.2g}"
    required = f"{figures.get('least_iou', '')}{'' if figures.get('passed', True) else ' **FAILED**'}"
    cells = (name, figures["bytes"], f"{iou['mean']:.4f}", required, f"{iou['min']:.4f}", difference, truth, times)
    return f"| {' | '.join(map(str, cells))} |"
