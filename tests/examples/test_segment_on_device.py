"""The example that users copy to a device gives the Segmenter's masks."""

import importlib
import pathlib
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tifffile

import crass_tf
from crass_tf.phantom import render
from crass_tf.segmenter import shipped_model

SCRIPT = pathlib.Path(__file__).parents[2] / "examples/segment_on_device.py"


@pytest.fixture(scope="module")
def example():
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        yield importlib.import_module("segment_on_device")
    finally:
        sys.path.remove(str(SCRIPT.parent))


@pytest.fixture(scope="module")
def segmenter():
    return crass_tf.Segmenter.load()


@pytest.fixture(scope="module")
def phantom():
    """One that is in no training set, uint8 [512, 512]."""
    return render(seed=0, index=3, size=512).image


CHANGES = {
    "as it is": lambda image: image,
    "wide, and enlarged": lambda image: cv2.resize(image, (1300, 900), interpolation=cv2.INTER_LINEAR),
    "so small that the strip is enlarged": lambda image: cv2.resize(image, (260, 300), interpolation=cv2.INTER_AREA),
    "turned": lambda image: cv2.warpAffine(image, cv2.getRotationMatrix2D((256, 256), 12, 1), (512, 512)),
    "one clavicle": lambda image: np.where(np.arange(512) < 250, image, 0).astype(np.uint8),
}


@pytest.mark.parametrize("change", CHANGES)
def test_masks_are_the_segmenters(example, segmenter, phantom, change):
    image = CHANGES[change](phantom)
    mask = example.segment(example.Interpreter(str(shipped_model())), image)
    # Before refusals, of which the example knows none.
    logits = segmenter.segment(image)
    expected = logits.grid.to_native(logits.model_logits) > 0
    assert np.count_nonzero(expected) > 100
    assert np.count_nonzero(mask & expected) / np.count_nonzero(mask | expected) >= 0.98


def test_nothing_is_found_in_nothing(example):
    mask = example.segment(example.Interpreter(str(shipped_model())), np.zeros((90, 70), np.uint8))
    assert mask.shape == (90, 70) and mask.dtype == np.uint8 and not mask.any()


def test_files_of_8_and_12_bits_give_the_mask_of_predict(example, segmenter, phantom, tmp_path):
    # 4095 / 255 = 16.06: each grey value comes back.
    twelve_bits = np.round(phantom * (4095 / 255)).astype(np.uint16)
    twelve_bits[0, 0] = 4095
    cv2.imwrite(str(tmp_path / "8.png"), phantom)
    cv2.imwrite(str(tmp_path / "12.png"), twelve_bits)
    for name in ("8.png", "12.png"):
        example.main(str(shipped_model()), str(tmp_path / name), str(tmp_path / "mask.png"))
        mask = cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_UNCHANGED)
        expected = segmenter.segment(tmp_path / name).mask
        assert set(np.unique(mask)) == {0, 255} and np.count_nonzero(expected)
        both = np.count_nonzero((mask > 0) & (expected > 0)) / np.count_nonzero((mask > 0) | (expected > 0))
        assert both >= 0.98


def test_what_cannot_be_read_is_said(example, tmp_path):
    with pytest.raises(SystemExit, match=r"none.png: found no image"):
        example.main(str(shipped_model()), str(tmp_path / "none.png"), str(tmp_path / "mask.png"))


@pytest.mark.parametrize("pixels", [np.full((9, 9), np.nan, np.float32), np.full((9, 9), -5, np.int16)])
def test_grey_values_of_other_kinds_are_refused(example, tmp_path, pixels):
    tifffile.imwrite(tmp_path / "image.tif", pixels)
    with pytest.raises(SystemExit, match=r"image.tif: found no image of unsigned 8 or 16 bits"):
        example.main(str(shipped_model()), str(tmp_path / "image.tif"), str(tmp_path / "mask.png"))


@pytest.mark.parametrize("name", ["nowhere/mask.png", "mask"])
def test_a_mask_that_cannot_be_written_is_said(example, tmp_path, name):
    cv2.imwrite(str(tmp_path / "image.png"), np.zeros((9, 9), np.uint8))
    with pytest.raises(SystemExit, match=f"{name}: cannot be written"):
        example.main(str(shipped_model()), str(tmp_path / "image.png"), str(tmp_path / name))


@pytest.mark.parametrize("size", [(1, 32766), (32766, 1)])
def test_the_thinnest_images_are_segmented(example, size):
    mask = example.segment(example.Interpreter(str(shipped_model())), np.zeros(size, np.uint8))
    assert mask.shape == size and not mask.any()


def test_without_arguments_it_says_what_it_takes():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True)
    assert done.returncode == 1 and "segment_on_device.py model_int8.tflite radiograph.png mask.png" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_user_copies_one_file_of_eighty_lines_that_needs_nothing_of_ours():
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    assert "import crass_tf" not in text and "from crass_tf" not in text
