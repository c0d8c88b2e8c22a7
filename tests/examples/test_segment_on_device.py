"""The example that users copy to a device gives the Segmenter's masks."""

import importlib
import pathlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from crass_tf.inference.segmenter import Segmenter, shipped_model
from crass_tf.measurement.metrics import iou
from crass_tf.phantom import render

SCRIPT = pathlib.Path(__file__).parents[2] / "examples/segment_on_device.py"


@pytest.fixture(scope="module")
def example():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)
        yield importlib.import_module("segment_on_device")


def test_the_mask_of_one_clavicle_is_the_segmenters_at_one_look(example):
    """Of two, in a square and in a wide picture: see the clients."""
    image = cv2.rectangle(render(0, 6, 512).image, (262, 40), (511, 190), 0, cv2.FILLED)
    mask = example.segment(str(shipped_model()), image)
    assert mask.shape == image.shape and set(np.unique(mask)) == {0, 255}
    assert np.count_nonzero(mask) > 100
    # The model's grid is half as fine as the strips that the Segmenter enlarges.
    assert iou(Segmenter.load(second_look=False).segment(image).mask, mask // 255) >= 0.98


@pytest.mark.parametrize("size", [(90, 70), (1, 32766), (32766, 1)])
def test_nothing_is_found_in_nothing(example, size):
    mask = example.segment(str(shipped_model()), np.zeros(size, np.uint8))
    assert mask.shape == size and mask.dtype == np.uint8 and not mask.any()


def run(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True)


def test_a_file_becomes_a_mask(unseen_phantom, tmp_path):
    cv2.imwrite(str(tmp_path / "image.png"), unseen_phantom.image)
    done = run(shipped_model(), tmp_path / "image.png", tmp_path / "mask.png")
    assert done.returncode == 0, done.stderr
    mask = cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (512, 512) and set(np.unique(mask)) == {0, 255}


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "segment_on_device.py model_int8.tflite radiograph.png mask.png"),
        ([shipped_model(), "none.png", "mask.png"], "none.png: found no image that OpenCV reads"),
        ([shipped_model(), "image.png", "nowhere/mask.png"], "nowhere/mask.png: cannot be written"),
        ([shipped_model(), "image.png", "mask"], "mask: cannot be written"),
    ],
)
def test_mistakes_are_said(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("image.png", np.zeros((9, 9), np.uint8))
    done = run(*arguments)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr


def test_a_user_copies_one_short_file_that_needs_nothing_of_ours():
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 55
    assert "import crass_tf" not in text and "from crass_tf" not in text
