"""On a device there are NumPy, OpenCV and ai-edge-litert, and what those require; no TensorFlow."""

import functools
import importlib.metadata
import json
import os
import pathlib
import re
import subprocess
import sys
import venv

import cv2
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from packaging.requirements import Requirement

import crass_tf
from crass_tf import geometry
from crass_tf.inference.segmenter import shipped_model
from crass_tf.measurement import quality
from crass_tf.measurement.metrics import iou
from crass_tf.prediction.outputs import DEFAULTS, OUTPUTS
from crass_tf.radiographs.formats.png import write_png
from crass_tf.radiographs.radiograph import from_array

PACKAGE = pathlib.Path(crass_tf.__file__).parent
WEIGHTS = PACKAGE.parent / "saved_models"
NEEDED = ("numpy", "cv2", "PIL", "ai_edge_litert")
# Folders that several distributions put their packages into.
NAMESPACES = ("google", "backports")


@functools.cache
def distributions():
    """The names of the installed distributions that hold `NEEDED`, and of what they require."""
    owners = importlib.metadata.packages_distributions()
    found, waiting = set(), [owners[module][0] for module in NEEDED]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        requirements = map(Requirement, importlib.metadata.requires(name) or ())
        waiting += [each.name for each in requirements if not each.marker or each.marker.evaluate({"extra": ""})]
    return found


def links(name):
    """The files and folders in `site-packages` that a distribution is made of: name there to path."""
    files = importlib.metadata.files(name)
    tops = {"/".join(file.parts[: 2 if file.parts[0] in NAMESPACES else 1]) for file in files}
    root = pathlib.Path(importlib.metadata.distribution(name).locate_file(""))
    return {top: root / top for top in tops if not top.startswith(("..", "__pycache__")) and (root / top).exists()}


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    """The Python of a new environment with `NEEDED`, what they require, and this package without its requirements.

    Made of links to what is installed here, so that it needs no index: the same files as pip would put there, but that
    `cv2` comes from opencv-python and not from opencv-python-headless.
    """
    folder = tmp_path_factory.mktemp("device")
    venv.create(folder, symlinks=True, with_pip=False)
    packages = next(folder.glob("lib/python*/site-packages"))
    for name in distributions():
        for there, path in links(name).items():
            (packages / there).parent.mkdir(exist_ok=True)
            (packages / there).symlink_to(path)
    (packages / "crass_tf").mkdir()
    for path in PACKAGE.iterdir():
        if path.name not in ("__pycache__", WEIGHTS.name):
            (packages / "crass_tf" / path.name).symlink_to(path)
    (packages / "crass_tf" / WEIGHTS.name).symlink_to(WEIGHTS)
    return folder / "bin/python"


def run(*command):
    # Neither variables nor the current folder may lead Python to other packages.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    options = {"env": environment, "cwd": pathlib.Path(sys.prefix), "timeout": 120}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)


def test_the_environment_has_no_more_than_it_needs_and_what_needs_tensorflow_says_so(device, tmp_path):
    heavy = ("tensorflow", "keras", "tensorflow_datasets", "jax", "SimpleITK", "scipy", "pydicom", "pytest")
    script = f"import importlib.util; print([name for name in {heavy} if importlib.util.find_spec(name)])"
    done = run(device, "-c", script)
    assert done.stdout == "[]\n", done.stderr
    done = run(device, "-m", "crass_tf", "train", "--out", tmp_path / "run")
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "needs TensorFlow, which cannot be imported" in done.stderr


def test_predicts_files_and_folders_in_every_form_but_dicom(device, unseen_phantom, tmp_path):
    path = tmp_path / "radiographs/phantom.png"
    path.parent.mkdir()
    write_png(path, unseen_phantom.image, unseen_phantom.spacing_mm)
    done = run(device, "-m", "crass_tf", "predict", path, "--out", tmp_path / "file")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    outputs = [name for name in OUTPUTS if name != "dicom-seg"]
    options = ["--out", tmp_path / "all", "--outputs", ",".join(outputs)]
    done = run(device, "-m", "crass_tf", "predict", path.parent, *options)
    assert done.returncode == 0, done.stderr
    for folder, names in (("file", DEFAULTS), ("all", outputs)):
        found = {path.name: path for path in (tmp_path / folder).iterdir()}
        assert set(found) - {"summary.csv"} == {f"phantom{OUTPUTS[name].suffix}" for name in names}
        assert json.loads(found["phantom.json"].read_text())["status"] == "segmented"
        written = cv2.imread(str(found["phantom_mask.png"]), cv2.IMREAD_UNCHANGED) > 0
        assert iou(written, unseen_phantom.mask) > 0.75
    script = "import sys, crass_tf; print(crass_tf.Segmenter.load().segment(sys.argv[1]).mask.sum())"
    assert int(run(device, "-c", script, path).stdout) == np.count_nonzero(written)


def test_the_android_page_has_the_models_tensors_and_the_packages_numbers():
    page = " ".join((PACKAGE.parent / "docs/android.md").read_text(encoding="utf-8").split())
    runner = Interpreter(str(shipped_model())).get_signature_runner("serving_default")
    for kind, details in (("in", runner.get_input_details()), ("out", runner.get_output_details())):
        for name, tensor in details.items():
            assert f"| {kind}: `{name}` | float32 | `{tensor['shape'].tolist()}` |" in page
            assert tensor["dtype"] == np.float32
    assert f"LEAST_SCORE = {quality.LEAST_SCORE}f" in page
    depths = re.search("multiplied by 255 / \\(2\\^b - 1\\), b being the smallest of ([0-9, ]+) that holds", page)[1]
    for value in (200, 256, 1024, 4096, 16384):
        bits = next(bits for bits in map(int, depths.split(",")) if value < 2**bits)
        assert from_array(np.array([[value]], np.uint16)).image == round(value * 255 / (2**bits - 1))
    # 1 x 32766 pixels: 1024 / 32766 of a row is none.
    assert geometry.Letterbox.fit((1, 32766), (1024, 1024)).inner == (1, 1024)
    assert "(round(H s), round(W s)), at least one pixel each" in page
    for side in ("rows", "cols"):
        assert f"= max(1, round(image.{side}() * scale).toInt())" in page
