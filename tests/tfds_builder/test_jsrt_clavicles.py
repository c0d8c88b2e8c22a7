"""JSRT/SCR built from files as the data bases have them; 8 MB each, so they are drawn here."""

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from crass_tf.cli import main
from crass_tf.data.building import build
from tfds_builder.jsrt_clavicles import jsrt_clavicles_dataset_builder

FOLDS = {"JPCLN001": "fold1", "JPCNN001": "fold1", "JPCLN002": "fold2"}
SIDES = ("right", "left")


def draw(number):
    """Returns stored values, 0 for the brightest, and the masks of two clavicles, (right, left)."""
    stored = np.random.default_rng(number).integers(1000, 4096, (2048, 2048), np.uint16)
    masks = np.zeros((2, 1024, 1024), np.uint8)
    for mask, inner, outer in zip(masks, (460, 560), (200, 820)):
        cv2.line(mask, (inner, 260 + 9 * number), (outer, 200), 255, 31)
    stored[np.kron(masks.max(axis=0), np.ones((2, 2))) > 0] -= 1000
    return stored, tuple(masks)


DRAWN = {name: draw(number) for number, name in enumerate(FOLDS)}


@pytest.fixture(scope="session")
def manual_dir(tmp_path_factory, write_jsrt):
    """What the dummy data would be; for reading only."""
    folder = tmp_path_factory.mktemp("jsrt")
    for name, fold in FOLDS.items():
        write_jsrt(folder, name, fold, *DRAWN[name])
    return folder


@pytest.fixture(scope="session")
def data_dir(manual_dir, tmp_path_factory):
    """A TFDS data dir with all configs that the tests below look at."""
    data_dir = tmp_path_factory.mktemp("data")
    build(manual_dir, data_dir, ["native16", "sides"], dataset="jsrt_clavicles")
    return data_dir


def examples(data_dir, config):
    loaded = tfds.load(f"jsrt_clavicles/{config}", data_dir=data_dir)
    found = {fold: {e["image_id"].decode(): e for e in tfds.as_numpy(examples)} for fold, examples in loaded.items()}
    assert {name: fold for fold, names in found.items() for name in names} == FOLDS
    return {name: example for names in found.values() for name, example in names.items()}


class JsrtClaviclesTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = jsrt_clavicles_dataset_builder.Builder
    SPLITS = {"fold1": 2, "fold2": 1}
    # Sizes are all made alike.
    BUILDER_CONFIG_NAMES_TO_TEST = ["native", "512x512", "native16", "sides"]

    @pytest.fixture(scope="class", autouse=True)
    def _drawn_data(self, request, manual_dir):
        request.cls.EXAMPLE_DIR = manual_dir


def test_native_and_native16(data_dir):
    deep = examples(data_dir, "native16")
    for name, example in examples(data_dir, "native").items():
        stored, (right, left) = DRAWN[name]
        np.testing.assert_array_equal(example["image"][..., 0], np.round((4095 - stored.astype(float)) * 255 / 4095))
        assert deep[name]["image"].dtype == np.uint16
        np.testing.assert_array_equal(deep[name]["image"][..., 0], 4095 - stored)
        # Each pixel of the masks' files is a block of 2 x 2.
        union = np.kron(np.maximum(right, left) // 255, np.ones((2, 2), np.uint8))
        np.testing.assert_array_equal(example["segmentation_mask"][..., 0], union)
        np.testing.assert_allclose(example["spacing_mm"], 0.175)


def test_sides_and_what_is_said_of_them(data_dir):
    native = examples(data_dir, "native")
    for name, example in examples(data_dir, "sides").items():
        for side, mask in zip(SIDES, DRAWN[name][1]):
            np.testing.assert_array_equal(example[f"{side}_mask"][::2, ::2, 0], mask // 255)
        # The patient's right clavicle lies on the image's left.
        assert not example["right_mask"][:, 1024:].any() and not example["left_mask"][:, :1024].any()
        for key in ("image", "segmentation_mask", "spacing_mm"):
            np.testing.assert_array_equal(example[key], native[name][key])
    builder = tfds.builder("jsrt_clavicles/sides", data_dir=data_dir)
    assert builder.info.features["left_mask"].names == ["background", "clavicle"]
    image, mask = next(iter(builder.as_dataset(split="fold2", as_supervised=True)))
    assert image.shape == mask.shape == (2048, 2048, 1)
    metadata = builder.info.metadata
    assert metadata["grey_scale"] == {"offset": 0, "bits": 12}
    assert metadata["source"] == "the JSRT and SCR data bases"
    assert metadata["split"] == "the SCR data base's folders fold1 and fold2"


def test_command_line(manual_dir, tmp_path, capsys):
    arguments = ["build", "--manual-dir", str(manual_dir), "--data-dir", str(tmp_path), "--dataset", "jsrt_clavicles"]
    assert main([*arguments, "--config", "512x512", "--spacing-mm", "0.2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"{manual_dir}: found 3 radiographs with masks; JSRT/SCR as published has 247" in lines
    assert f"{tmp_path}/jsrt_clavicles/512x512/1.0.0: fold1 2, fold2 1" in lines
    assert main([*arguments, "--config", "unlabelled"]) == 2
    expected = "config unlabelled: not known, expected one of native, 512x512, 1024x1024, native16, sides or another"
    assert expected in capsys.readouterr().err
