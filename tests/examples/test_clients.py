"""Programs that know nothing of this package make the Segmenter's masks of the shipped model."""

import importlib
import json
import pathlib
import shutil

import cv2
import numpy as np
import pytest

from crass_tf.inference.segmenter import shipped_model
from crass_tf.phantom import render

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def clients():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("clients")


@pytest.fixture(scope="module")
def models(clients, tmp_path_factory):
    pytest.importorskip("tf2onnx", reason="needs the extra 'onnx'")
    folder = tmp_path_factory.mktemp("models")
    clients.write_models(folder, shipped_model().with_name("model_float16.keras"), shipped_model())
    return folder


@pytest.fixture(scope="module")
def images():
    """A phantom that is in no training set, and again as a wide picture."""
    square = render(seed=0, index=3, size=1024).image
    return [square, cv2.copyMakeBorder(square[:900], 0, 0, 100, 0, cv2.BORDER_CONSTANT)]


NAMES = (
    "ai-edge-litert and OpenCV",
    "LiteRT's C library",
    "saved_model_cli",
    "tf.saved_model.load",
    "Keras on TensorFlow",
    "Keras on JAX",
    "onnxruntime",
)


@pytest.mark.parametrize("name", NAMES)
def test_masks_are_the_segmenters(clients, models, images, name):
    overlaps = clients.compare(models, images, name)["same form"]
    assert len(overlaps) == len(images) and np.mean(overlaps) >= 0.99, overlaps


# Playwright runs once in a process: the page's tests have it in theirs.
IN_BROWSER = """
import json, pathlib, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
import clients
images = list(np.load(sys.argv[3]).values())
print(json.dumps(clients.compare(pathlib.Path(sys.argv[2]), images, sys.argv[4])["same form"]))
"""


def test_masks_in_the_browser_are_the_segmenters(models, images, run_python, tmp_path):
    pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    if shutil.which("chromium") is None or not (ROOT / "web/node_modules/@litertjs/core").is_dir():
        pytest.skip("needs Chromium, and npm ci in web")
    np.savez(tmp_path / "images.npz", *images)
    printed = run_python(IN_BROWSER, ROOT / "benchmarks", models, tmp_path / "images.npz", "LiteRT.js in Chromium")
    overlaps = json.loads(printed.splitlines()[-1])
    # The canvas resizes an enlarged picture otherwise than OpenCV: 0.987 was found.
    assert len(overlaps) == len(images) and np.mean(overlaps) >= 0.98, overlaps


def test_every_client_is_tested(clients):
    assert {*NAMES, "LiteRT.js in Chromium"} == clients.CLIENTS.keys()
    for path in (ROOT / "examples/clients").iterdir():
        if path.is_file():
            assert "crass_tf" not in path.read_text(encoding="utf-8").replace("crass_tf.json", ""), path.name
