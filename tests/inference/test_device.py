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
from crass_tf.phantom import render
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


@pytest.fixture(scope="module")
def radiograph(tmp_path_factory):
    """A phantom that is in no training set, and its mask."""
    phantom = render(seed=0, index=3, size=512)
    path = tmp_path_factory.mktemp("radiograph") / "phantom.png"
    write_png(path, phantom.image, phantom.spacing_mm)
    return path, phantom.mask


def run(*command):
    # Neither variables nor the current folder may lead Python to other packages.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    options = {"env": environment, "cwd": pathlib.Path(sys.prefix), "timeout": 120}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)


def check_results(out, mask):
    found = cv2.imread(str(out / "phantom_mask.png"), cv2.IMREAD_UNCHANGED) > 0
    assert np.count_nonzero(found & (mask > 0)) / np.count_nonzero(found | (mask > 0)) > 0.75
    assert json.loads((out / "phantom.json").read_text())["status"] == "segmented"
    assert sorted(path.name for path in out.glob("*.png")) == [
        f"phantom_{name}.png" for name in ("labels", "mask", "overlay")
    ]


def test_the_environment_has_no_more_than_it_needs(device):
    heavy = ("tensorflow", "keras", "tensorflow_datasets", "jax", "SimpleITK", "scipy", "pydicom", "pytest")
    script = f"import importlib.util; print([name for name in {heavy} if importlib.util.find_spec(name)])"
    done = run(device, "-c", script)
    assert done.stdout == "[]\n", done.stderr


def test_predicts_in_an_environment_without_tensorflow(device, radiograph, tmp_path):
    path, mask = radiograph
    done = run(device, "-m", "crass_tf", "predict", path, "--out", tmp_path)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    check_results(tmp_path, mask)


def test_what_needs_tensorflow_says_so_in_one_line(device, tmp_path):
    done = run(device, "-m", "crass_tf", "train", "--out", tmp_path / "run")
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "needs TensorFlow, which cannot be imported" in done.stderr


def test_folders_and_segmenter_work_without_tensorflow(device, radiograph, tmp_path):
    path, mask = radiograph
    done = run(device, "-m", "crass_tf", "predict", path.parent, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    check_results(tmp_path, mask)
    script = "import sys, crass_tf; print(crass_tf.Segmenter.load().segment(sys.argv[1]).mask.sum())"
    done = run(device, "-c", script, path)
    assert int(done.stdout) == np.count_nonzero(cv2.imread(str(tmp_path / "phantom_mask.png"), 0))


BLOCKED = """
import importlib.machinery, sys
allowed = set(sys.argv[3].split(","))

class Block:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in allowed and top not in sys.stdlib_module_names:
            raise ImportError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Block())
from crass_tf.cli import main
sys.exit(main(["predict", sys.argv[1], "--out", sys.argv[2]]))
"""


def test_predicts_where_every_other_import_is_blocked(radiograph, tmp_path):
    path, mask = radiograph
    owners = importlib.metadata.packages_distributions()
    allowed = {module for module, names in owners.items() if distributions() & set(names)} | {"crass_tf"}
    assert not allowed & {"tensorflow", "keras", "SimpleITK", "scipy"}
    done = run(sys.executable, "-c", BLOCKED, path, tmp_path, ",".join(allowed))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    check_results(tmp_path, mask)
    done = run(sys.executable, "-c", BLOCKED, path, tmp_path, "crass_tf,numpy,cv2,PIL")
    assert done.returncode != 0 and "ai_edge_litert is blocked" in done.stderr


def test_the_android_page_has_the_models_tensors_and_the_packages_numbers():
    page = (PACKAGE.parent / "docs/android.md").read_text(encoding="utf-8")
    runner = Interpreter(str(shipped_model())).get_signature_runner("serving_default")
    for kind, details in (("in", runner.get_input_details()), ("out", runner.get_output_details())):
        for name, tensor in details.items():
            assert f"| {kind}: `{name}` | float32 | `{tensor['shape'].tolist()}` |" in page
            assert tensor["dtype"] == np.float32
    assert f"LEAST_SCORE = {quality.LEAST_SCORE}f" in page


def test_the_android_page_has_the_packages_grey_values_and_sizes():
    page = " ".join((PACKAGE.parent / "docs/android.md").read_text(encoding="utf-8").split())
    depths = re.search("multiplied by 255 / \\(2\\^b - 1\\), b being the smallest of ([0-9, ]+) that holds", page)[1]
    for value in (200, 256, 1024, 4096, 16384):
        bits = next(bits for bits in map(int, depths.split(",")) if value < 2**bits)
        assert from_array(np.array([[value]], np.uint16)).image == round(value * 255 / (2**bits - 1))
    # 1 x 32766 pixels: 1024 / 32766 of a row is none.
    assert geometry.Letterbox.fit((1, 32766), (1024, 1024)).inner == (1, 1024)
    assert "(round(H s), round(W s)), at least one pixel each" in page
    for side in ("rows", "cols"):
        assert f"= max(1, round(image.{side}() * scale).toInt())" in page
