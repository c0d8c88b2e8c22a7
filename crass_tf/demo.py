"""The whole chain on phantoms: radiographs, data set, training, evaluation, export, prediction, and a page over all."""

import csv
import html
import json
import pathlib
import shutil
import string
import time

import cv2
import numpy as np

from crass_tf import phantom
from crass_tf.data import Augmentation
from crass_tf.files import InputError, write_json, write_text
from crass_tf.formats.png import write_png
from crass_tf.geometry import split_sides
from crass_tf.overlay import overlay, sheet
from crass_tf.radiograph import read_mask, read_radiograph

# Half the grid of real training: the demo has minutes, and phantoms of 512 pixels.
CONFIG = "256x256"
EPOCHS = 44
# Phantoms differ from each other already; the stronger changes that few real radiographs need would slow learning.
AUGMENTATION = Augmentation(
    rotation_deg=3,
    scale=1.05,
    stretch=1.02,
    shift=0.03,
    gamma=1.2,
    contrast=1.1,
    brightness=5,
    invert=0,
    blur=0,
    noise=2,
    shading=5,
    bars=0,
)
MARKER = "demo.json"
PARTS = ("phantoms", "data", "run", "evaluation", "export", "predictions", "pictures", "index.html", MARKER)
RESULTS = ("run", "evaluation", "export")
SHOWN = 8


def demo(out, seed=0, count=phantom.DEFAULT_COUNT, size=phantom.DEFAULT_SIZE, config=CONFIG, epochs=EPOCHS):
    """Runs every step of the package on phantoms and writes `OUT/index.html`, which leads to all results.

    Args:
        out: a folder, new, empty, or of an earlier demo, which is replaced.
        seed: of phantoms and training.
        count: number of phantoms, as for `crass-tf phantom`.
        size: their height and width in pixels.
        config: the data set's config to train on.
        epochs: passes over the training phantoms.

    Returns:
        The content of `metrics.json`.

    Raises:
        InputError: where `out` holds something else.
    """
    # Late, so that the command line can be asked for help without TensorFlow.
    from crass_tf.data import examples
    from crass_tf.data.building import build
    from crass_tf.evaluation import evaluate
    from crass_tf.export.running import export_from
    from crass_tf.prediction import predict
    from crass_tf.segmenter import Segmenter
    from crass_tf.training.running import train

    out = _claim(out)
    clock = _Clock()
    with clock.step(f"Drawing {count} phantoms of {size} x {size} pixels"):
        phantom.write_folder(out / "phantoms", count, seed, size)
    with clock.step("Building the TFDS data set"):
        build(out / "phantoms", out / "data", [config])
    with clock.step(f"Training the U-Net for {epochs} epochs"):
        train(out / "run", out / "data", config=config, epochs=epochs, seed=seed, augmentation=AUGMENTATION)
    model = out / "run" / "model.keras"
    with clock.step("Evaluating on the validation phantoms at native size"):
        found = examples("crass12", "validation", out / "data")
        about = {"model": "run/model.keras", "dataset": "crass12 (phantoms)", "split": "validation"}
        metrics = evaluate(Segmenter.load(model), found, out / "evaluation", total=len(found), **about)
    with clock.step("Exporting to SavedModel and LiteRT"):
        export_from(model, out / "export", out / "data", training_data=f"{count} phantoms, seed {seed}; no patient")
    with clock.step("Predicting with the int8 LiteRT model"):
        images = [out / "phantoms" / "CRASS12" / "image" / f"{e.image_id}.PNG" for e in found]
        predict(images, out / "predictions", out / "export" / "model_int8.tflite")
    _write_pictures(out)
    write_json(out / MARKER, {"seconds": clock.seconds, "iou": metrics["iou"]})
    _write_index(out, metrics, clock.seconds)
    print(f"validation IoU on phantoms at native size: {metrics['iou']['mean']:.4f}")
    print(f"open {out / 'index.html'}")
    return metrics


class _Clock:
    """Announces each step and keeps how long it took."""

    def __init__(self):
        self.seconds = {}

    def step(self, title):
        return _Step(title, self.seconds)


class _Step:
    def __init__(self, title, seconds):
        self._title, self._seconds = title, seconds

    def __enter__(self):
        print(f"== {self._title}", flush=True)
        self._start = time.monotonic()

    def __exit__(self, kind, error, trace):
        self._seconds[self._title] = round(time.monotonic() - self._start, 1)


def _claim(out):
    """Returns the folder, free of an earlier demo's results; InputError where it holds something else."""
    out = pathlib.Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: found a file, expected a folder to write to")
    foreign = sorted(path.name for path in out.iterdir() if path.name not in PARTS) if out.exists() else []
    if foreign or (out.exists() and any(out.iterdir()) and not (out / MARKER).exists()):
        raise InputError(f"{out}: found other files than an earlier demo's; name a new folder with --out")
    # The marker first: an interrupted demo is recognised as one, and replaced by the next.
    out.mkdir(parents=True, exist_ok=True)
    for name in PARTS:
        part = out / name
        if part.is_dir():
            shutil.rmtree(part)
        elif name != MARKER:
            part.unlink(missing_ok=True)
    write_json(out / MARKER, {"finished": False})
    return out


def _write_pictures(out):
    """Writes sheets of phantoms, bare and with their masks, and of predictions."""
    images = sorted((out / "phantoms" / "CRASS12" / "image").iterdir())[:SHOWN]
    radiographs = [read_radiograph(path).image for path in images]
    masks = [read_mask(path.parent.parent / "mask" / path.name)[0] for path in images]
    bare = [cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) for image in radiographs]
    drawn = [overlay(image, split_sides(mask)) for image, mask in zip(radiographs, masks)]
    write_png(out / "pictures" / "phantoms.png", sheet(bare, 4, 320))
    write_png(out / "pictures" / "masks.png", sheet(drawn, 4, 320))
    predicted = sorted((out / "predictions").glob("*_overlay.png"))[:SHOWN]
    write_png(out / "pictures" / "predictions.png", sheet([cv2.imread(str(path)) for path in predicted], 4, 320))


def _write_index(out, metrics, seconds):
    from crass_tf.evaluation.report import STYLE

    parity = json.loads((out / "export" / "parity.json").read_text(encoding="utf-8"))
    page = string.Template(PAGE).substitute(
        style=STYLE,
        iou=f"{metrics['iou']['mean']:.3f}",
        dice=f"{metrics['dice']['mean']:.3f}",
        count=metrics["n"],
        curve=_curve(out / "run" / "history.csv"),
        steps="".join(f"<tr><td>{html.escape(k)}</td><td>{v:.1f} s</td></tr>" for k, v in seconds.items()),
        total=f"{sum(seconds.values()) / 60:.1f}",
        forms="".join(_form_row(name, form) for name, form in parity["forms"].items()),
        predictions=_links(out, sorted((out / "predictions").iterdir())),
        files=_links(
            out, [path for part in ("run", "evaluation", "export") for path in sorted((out / part).iterdir())]
        ),
    )
    write_text(out / "index.html", page)


def _form_row(name, form):
    link = f'<a href="export/{html.escape(form["file"])}">{html.escape(form["file"])}</a>'
    size = f"{form['bytes'] / 1e6:.2f} MB"
    return f"<tr><td>{html.escape(name)}</td><td>{link}</td><td>{size}</td><td>{form['mask_iou']['mean']:.4f}</td></tr>"


def _links(out, paths):
    items = (path.relative_to(out).as_posix() + ("/" if path.is_dir() else "") for path in paths)
    return "".join(f'<li><a href="{html.escape(item)}">{html.escape(item)}</a></li>' for item in items)


def _curve(history):
    """Returns training and validation IoU over the epochs as inline SVG."""
    with history.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = "".join(
        f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{_points(rows, name)}"/>'
        for name, colour in (("iou", "#a9c4e2"), ("val_iou", "#2f6db3"))
    )
    grid = "".join(
        f'<line class="grid" x1="40" x2="500" y1="{_y(v):.1f}" y2="{_y(v):.1f}"/>'
        f'<text x="8" y="{_y(v) + 4:.1f}">{v:.1f}</text>'
        for v in np.arange(0, 1.01, 0.2)
    )
    label = f'<text x="40" y="212">epochs 1 to {len(rows)}: IoU on training (light) and validation (dark)</text>'
    return f'<svg viewBox="0 0 520 220" role="img" aria-label="IoU over the epochs">{grid}{lines}{label}</svg>'


def _points(rows, name):
    xs = np.linspace(40, 500, len(rows))
    return " ".join(f"{x:.1f},{_y(float(row[name])):.1f}" for x, row in zip(xs, rows))


def _y(value):
    return 190 - 180 * value


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>crass-tf: the whole chain on phantoms</title>
<style>$style
.wide { width: 100%; border-radius: 6px; } ul.files { columns: 3; font-size: 14px; padding-left: 18px; }</style>
</head>
<body>
<h1>crass-tf: the whole chain on phantoms</h1>
<p>Synthetic radiographs were drawn, built into a TFDS data set, learned by a U-Net, and the U-Net was exported to
LiteRT. On the $count validation phantoms it reaches IoU <b>$iou</b>, Dice <b>$dice</b> at native size:
see the <a href="evaluation/report.html">evaluation report</a> and the <a href="export/model_card.md">model card</a>.
Figures on phantoms say that the chain works, not how well it does on patients.
Research software, not a medical device.</p>

<h2>Phantoms</h2>
<p>The same eight radiographs twice: as they are, and with the exact masks; orange is the patient's right clavicle,
blue the left one.</p>
<a href="pictures/phantoms.png"><img class="wide" src="pictures/phantoms.png" alt="Phantoms"></a>
<a href="pictures/masks.png"><img class="wide" src="pictures/masks.png" alt="Phantoms with masks"></a>

<h2>Training</h2>
$curve
<p>TensorBoard shows more: <code>tensorboard --logdir run/logs</code></p>

<h2>Predictions of the int8 LiteRT model on validation phantoms</h2>
<a href="pictures/predictions.png"><img class="wide" src="pictures/predictions.png" alt="Predictions"></a>

<h2>Exported models</h2>
<table><thead><tr><th>Form</th><th>File</th><th>Size</th><th>Mask IoU with Keras</th></tr></thead>
<tbody>$forms</tbody></table>

<h2>Time</h2>
<table><tbody>$steps</tbody></table>
<p>$total minutes in all.</p>

<h2>Files</h2>
<p>Training, evaluation, export:</p><ul class="files">$files</ul>
<p>Predictions:</p><ul class="files">$predictions</ul>
<p>Radiographs: <a href="phantoms/CRASS12/">phantoms/CRASS12/</a>, data set: <a href="data/">data/</a></p>
<footer><p>Research software, not a medical device.</p></footer>
</body>
</html>
"""
