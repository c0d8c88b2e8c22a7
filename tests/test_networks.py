"""Which `.tflite` files are opened, and what is said of the others."""

import pathlib
import subprocess
import sys

import pytest

from crass_tf import metadata
from crass_tf.files import InputError
from crass_tf.networks import open_model
from tfds_builder.clavicles import LABELS


@pytest.fixture
def bare(litert_model):
    """The bytes of the model without its description."""
    return litert_model.read_bytes()[: litert_model.read_bytes().index(b"PK\3\4")]


def test_a_network_knows_what_its_file_says(litert_model):
    (network,) = open_model(litert_model)
    assert network.image_size == (64, 64)
    assert network.metadata["signatures"]["serving_default"]["image_size"] == [64, 64]
    assert network.metadata["form"] == "float32"


def test_a_foreign_file_is_refused_even_where_its_shapes_fit(bare, tmp_path):
    (tmp_path / "foreign.tflite").write_bytes(bare)
    with pytest.raises(InputError, match="foreign.tflite: found no crass_tf.json in it, expected a model made by"):
        open_model(tmp_path / "foreign.tflite")


def test_a_file_of_other_sizes_than_it_says_is_refused(bare, litert_model, tmp_path):
    about = metadata.read(litert_model)
    about["signatures"]["serving_default"]["image_size"] = [64, 96]
    (tmp_path / "model.tflite").write_bytes(metadata.attach(bare, about))
    found = (
        r"found signatures with image sizes {'serving_default': \[64, 64\]}, expected {'serving_default': \[64, 96\]}"
    )
    with pytest.raises(InputError, match=found):
        open_model(tmp_path / "model.tflite")


@pytest.mark.parametrize("signatures", [None, [], "serving_default", {}, {"serving_default": [64, 64]}, {"a": {}}])
def test_a_description_of_no_such_signatures_is_refused(bare, litert_model, tmp_path, signatures):
    about = metadata.read(litert_model) | {"signatures": signatures}
    (tmp_path / "model.tflite").write_bytes(metadata.attach(bare, about))
    with pytest.raises(InputError, match="model.tflite: found signatures with image sizes .*, expected {.*} by its"):
        open_model(tmp_path / "model.tflite")
    del about["signatures"]
    (tmp_path / "model.tflite").write_bytes(metadata.attach(bare, about))
    with pytest.raises(InputError, match="expected {} by its crass_tf.json"):
        open_model(tmp_path / "model.tflite")


def test_a_file_of_another_meaning_is_refused(bare, litert_model, tmp_path):
    for key, value in {"classes": ["background", "lung"], "grey_range": [0, 1]}.items():
        (tmp_path / "model.tflite").write_bytes(metadata.attach(bare, metadata.read(litert_model) | {key: value}))
        with pytest.raises(InputError, match=f"model.tflite: found {key} = .* in its crass_tf.json, expected "):
            open_model(tmp_path / "model.tflite")


def test_classes_are_those_of_the_data_set():
    assert metadata.MEANING["classes"] == LABELS


def test_a_damaged_file_is_refused(litert_model, tmp_path):
    data = bytearray(litert_model.read_bytes())
    data[len(data) // 4] ^= 1
    (tmp_path / "model.tflite").write_bytes(data)
    with pytest.raises(InputError, match="model.tflite: found another checksum"):
        open_model(tmp_path / "model.tflite")


def test_the_command_line_says_so_in_one_line(bare, tmp_path):
    model, image = tmp_path / "foreign.tflite", pathlib.Path(__file__).parents[1] / "docs/phantoms.jpg"
    model.write_bytes(bare)
    command = [sys.executable, "-m", "crass_tf", "predict", image, "--model", model, "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"crass-tf: error: {model}: found no crass_tf.json") and done.stderr.count("\n") == 1
