"""The whole chain on phantoms: radiographs, data set, training, evaluation, export, prediction, and a page over all."""

import pathlib
import shutil
from typing import Any

from crass_tf import phantom
from crass_tf.commands.export import export_from
from crass_tf.commands.train import train
from crass_tf.common.files import InputError, output_folder, write_json
from crass_tf.common.types import PathLike
from crass_tf.data import Augmentation, examples
from crass_tf.data.building import build
from crass_tf.evaluation import evaluate
from crass_tf.inference.segmenter import Segmenter
from crass_tf.prediction import predict
from crass_tf.reporting.pages import write_page
from crass_tf.reporting.plots import curve
from crass_tf.training.checkpoints import read_rows
from crass_tf.training.settings import Settings

# Half the grid of real training: the demo has minutes, and phantoms of 512 pixels.
CONFIG = "256x256"
EPOCHS = 44
# Phantoms differ from each other already; the stronger changes that few real radiographs need would slow learning.
AUGMENTATION = Augmentation(
    rotation_deg=3, scale=1.05, stretch=1.02, shift=0.03, gamma=1.2, contrast=1.1, brightness=5, noise=2, shading=5,
    invert=0, blur=0, bars=0,
)  # fmt: skip
MARKER = "demo.json"
# Of earlier demos: version 0.1 wrote `pictures`.
PARTS = ("phantoms", "data", "run", "evaluation", "export", "predictions", "pictures", "index.html", MARKER)


def demo(
    out: PathLike,
    seed: int = 0,
    count: int = phantom.DEFAULT_COUNT,
    size: int = phantom.DEFAULT_SIZE,
    config: str = CONFIG,
    epochs: int = EPOCHS,
) -> dict[str, Any]:
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
        InputError: where `out` holds something else, or arguments are out of range.
    """
    # Before an earlier demo is removed.
    phantom.check_arguments(count, seed, size)
    Settings(seed=seed, epochs=epochs)
    out = _claim_folder(out)
    _announce(f"Drawing {count} phantoms of {size} x {size} pixels")
    phantom.write_folder(out / "phantoms", count, seed, size)
    _announce("Building the TFDS data set")
    build(out / "phantoms", out / "data", [config])
    _announce(f"Training the U-Net for {epochs} epochs")
    train(out / "run", out / "data", config=config, epochs=epochs, seed=seed, augmentation=AUGMENTATION)
    model = out / "run" / "model.keras"
    _announce("Evaluating on the validation phantoms at native size")
    validation = examples("crass12", "validation", out / "data")
    about: dict[str, Any] = {"model": "run/model.keras", "dataset": "crass12 (phantoms)", "split": "validation"}
    metrics = evaluate(Segmenter.load(model), validation, out / "evaluation", **about)
    _announce("Exporting to SavedModel and LiteRT")
    origin = f"{count} phantoms, seed {seed}; no patient"
    forms = export_from(model, out / "export", out / "data", training_data=origin)["forms"]
    file = smallest_that_passed(forms)
    _announce(f"Predicting with {file}")
    images = [out / "phantoms" / "CRASS12" / "image" / f"{e.image_id}.PNG" for e in validation]
    predict(images, out / "predictions", out / "export" / file)
    _write_index(out, metrics, forms, file)
    print(f"validation IoU on phantoms at native size: {metrics['iou']['mean']:.4f}")
    print(f"open {out / 'index.html'}")
    return metrics


def smallest_that_passed(forms: dict[str, dict[str, Any]]) -> str:
    """Returns the smallest `.tflite` of `parity.json`'s forms that agrees with Keras; InputError without any."""
    passed = [form for form in forms.values() if form["passed"] and form["file"].endswith(".tflite")]
    if not passed:
        raise InputError("export: found no LiteRT file that agrees with Keras, expected one to predict with")
    return min(passed, key=lambda form: form["bytes"])["file"]


def _announce(step):
    print(f"== {step}", flush=True)


def _claim_folder(out: PathLike) -> pathlib.Path:
    """Returns the folder, free of an earlier demo's results; InputError where it holds something else."""
    out = output_folder(out)
    names = {path.name for path in out.iterdir()} if out.exists() else set()
    if names - {*PARTS} or (names and MARKER not in names):
        raise InputError(f"{out}: found other files than an earlier demo's; name a new folder with --out")
    # The marker comes first and stays, so that the next demo recognises and replaces an interrupted one.
    write_json(out / MARKER, {})
    for name in names - {MARKER}:
        part = out / name
        shutil.rmtree(part) if part.is_dir() else part.unlink()
    return out


def _write_index(out, metrics, forms, file):
    history, predictions = read_rows(out / "run"), _list_files(out, "predictions")
    write_page(
        out / "index.html",
        "demo.html",
        metrics=metrics,
        curve=curve(*([float(row[name]) for row in history] for name in ("iou", "val_iou"))),
        forms=forms,
        file=file,
        files=[name for part in ("run", "evaluation", "export") for name in _list_files(out, part)],
        images=_list_files(out, "phantoms/CRASS12/image"),
        masks=_list_files(out, "phantoms/CRASS12/mask"),
        overlays=[name for name in predictions if name.endswith("_overlay.png")],
        predictions=predictions,
    )


def _list_files(out, part):
    """Returns what lies in one of the demo's folders, as paths from `out`; folders end with a slash."""
    return [path.relative_to(out).as_posix() + "/" * path.is_dir() for path in sorted((out / part).iterdir())]
