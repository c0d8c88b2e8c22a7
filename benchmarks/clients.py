"""Compares what other makers' programs make of the model with the Segmenter's masks.

python benchmarks/clients.py FOLDER [--names FILE] [--model MODEL.keras] [--tflite MODEL.tflite]

FOLDER holds radiographs; `--names` lists those to take, one a line, as CRASS12's `val.txt` does. Each client is a
script in `examples/clients` that knows nothing of this package: a resize before it and a threshold behind are those of
`examples/segment_on_device.py`. Prints the mean and the least IoU, in the radiographs' own pixels, with the masks of
the Segmenter on the same form of the model, and on the int8 file.
"""

import argparse
import base64
import contextlib
import functools
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

import cv2
import numpy as np

import crass_tf
from crass_tf.export import conversion
from crass_tf.inference import model_files
from crass_tf.inference.segmenter import shipped_model
from crass_tf.measurement.metrics import iou
from crass_tf.radiographs.radiograph import read_radiograph

ROOT = pathlib.Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
KERAS, TFLITE, SAVED_MODEL, ONNX = "model.keras", "model_int8.tflite", "saved_model", "model.onnx"
SIZE = 1024


def main():
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--names", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--model", type=pathlib.Path, default=shipped_model().with_name("model_float16.keras"))
    parser.add_argument("--tflite", type=pathlib.Path, default=shipped_model())
    args = parser.parse_args()
    wanted = args.names and {pathlib.PurePath(name).stem for name in args.names.read_text().split()}
    paths = [path for path in sorted(args.folder.iterdir()) if not wanted or path.stem in wanted]
    images = [read_radiograph(path).image for path in paths]
    with tempfile.TemporaryDirectory() as folder:
        write_models(pathlib.Path(folder), args.model, args.tflite)
        found = {name: figures(compare(pathlib.Path(folder), images, name)) for name in CLIENTS}
    print(json.dumps({"radiographs": len(images), "iou_with_segmenter": found}, indent=2))


def figures(overlaps):
    """Returns mean and least of the IoUs with each Segmenter."""
    return {
        form: {"mean": round(float(np.mean(values)), 4), "least": round(min(values), 4)}
        for form, values in overlaps.items()
    }


def write_models(folder, model, tflite):
    """Writes every form that a client takes, from a `.keras` file, and copies the `.tflite`."""
    shutil.copy(tflite, folder / TFLITE)
    conversion.write_compact_keras(model, folder / KERAS)
    served = conversion.as_served(model_files.load_keras(model))
    conversion.write_saved_model(served, folder / SAVED_MODEL)
    conversion.write_onnx(served, folder / ONNX)


def compare(models, images, client):
    """Returns the IoU of a client's masks with those of the Segmenter, `{"same form": [...], "int8": [...]}`.

    Args:
        models: the folder that `write_models` filled.
        images: uint8 `[H, W]` each.
        client: a name out of `CLIENTS`.
    """
    form, masks_of = CLIENTS[client]
    with tempfile.TemporaryDirectory() as folder:
        masks = masks_of(models, images, pathlib.Path(folder))
    return {
        "same form": [iou(mask, other // 255) for mask, other in zip(segmenter_masks(models / form, images), masks)],
        "int8": [iou(mask, other // 255) for mask, other in zip(segmenter_masks(models / TFLITE, images), masks)],
    }


def segmenter_masks(path, images):
    """Returns the masks that this package makes of a model."""
    return [segmenter(path).segment(image).mask for image in images]


@functools.cache
def segmenter(path):
    """Returns the Segmenter of a model."""
    return crass_tf.Segmenter.load(path, second_look=False)


def on_device(models, images, folder):
    """Returns the masks of `segment_on_device.py`."""
    return [example().segment(str(models / TFLITE), image) for image in images]


def script(name, model, models, images, folder, **environment):
    """Returns the masks of one of the scripts in `examples/clients`."""
    results = folder / "results.npz"
    run(sys.executable, EXAMPLES / "clients" / name, models / model, squares(images, folder), results, **environment)
    with np.load(results) as found:
        return to_masks(found["logits"], found["score"], images)


def saved_model_cli(models, images, folder):
    """Returns the masks of TensorFlow's command line."""
    run(
        pathlib.Path(sys.executable).with_name("saved_model_cli"),
        *("run", "--dir", models / SAVED_MODEL, "--tag_set", "serve", "--signature_def", "serving_default"),
        *("--inputs", f"image={squares(images, folder)}", "--outdir", folder),
    )
    return to_masks(np.load(folder / "logits.npy"), np.load(folder / "score.npy"), images)


def browser(models, images, folder):
    """Returns the masks of `browser.html` in Chromium; needs `npm ci` in `web`."""
    from playwright.sync_api import sync_playwright

    for name, target in (
        ("index.html", EXAMPLES / "clients/browser.html"),
        (TFLITE, models / TFLITE),
        ("node_modules", ROOT / "web/node_modules"),
    ):
        (folder / name).symlink_to(target)
    with serving(folder) as address, sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        with contextlib.closing(chromium):
            return list(browser_masks(chromium.new_page(), address, images))


def browser_masks(tab, address, images):
    """Yields the masks that a tab draws."""
    tab.set_default_timeout(120_000)
    tab.goto(address)
    tab.get_by_text("Choose a file.").wait_for()
    for number, image in enumerate(images):
        content = cv2.imencode(".png", image)[1].tobytes()
        tab.set_input_files("#file", {"name": f"{number}.png", "mimeType": "image/png", "buffer": content})
        tab.get_by_text(f"{number}.png: done").wait_for()
        url = tab.evaluate("document.getElementById('mask').toDataURL()")
        drawn = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
        yield cv2.imdecode(drawn, cv2.IMREAD_GRAYSCALE)


# The form that the Segmenter opens for comparison, and the function. SavedModel and ONNX are made from the `.keras`.
CLIENTS = {
    "ai-edge-litert and OpenCV": (TFLITE, on_device),
    "LiteRT's C library": (TFLITE, functools.partial(script, "c_library.py", TFLITE)),
    "LiteRT.js in Chromium": (TFLITE, browser),
    "saved_model_cli": (KERAS, saved_model_cli),
    "tf.saved_model.load": (KERAS, functools.partial(script, "saved_model.py", SAVED_MODEL)),
    "Keras on TensorFlow": (KERAS, functools.partial(script, "keras_model.py", KERAS, KERAS_BACKEND="tensorflow")),
    "Keras on JAX": (KERAS, functools.partial(script, "keras_model.py", KERAS, KERAS_BACKEND="jax")),
    "onnxruntime": (KERAS, functools.partial(script, "onnx_runtime.py", ONNX)),
}


@functools.cache
def example():
    """Returns `segment_on_device.py` as a module."""
    sys.path.insert(0, str(EXAMPLES))
    import segment_on_device

    return segment_on_device


def squares(images, folder):
    """Writes the letterboxed images; returns the path."""
    np.save(folder / "images.npy", np.concatenate([example().letterbox(image, SIZE)[0] for image in images]))
    return folder / "images.npy"


def to_masks(logits, score, images):
    """Returns the masks of all images from what a model gave."""
    insides = [example().letterbox(image, SIZE)[1] for image in images]
    return [example().to_mask(*found, image.shape) for *found, image in zip(logits, score, insides, images)]


def run(*command, **environment):
    """Runs a program without this package; what it said comes up only where it fails."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], env=kept | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr[-2000:]}")


@contextlib.contextmanager
def serving(folder):
    """Yields the address of a folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main()
