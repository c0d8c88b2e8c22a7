"""Which `.tflite` files are opened, and what is said of the others."""

import pathlib
import subprocess
import sys

import pytest

from crass_tf.common.files import InputError
from crass_tf.inference.model_files import MEANING, attach_metadata, open_model, read_metadata
from tfds_builder.clavicles import LABELS


@pytest.fixture
def bare(litert_model):
    """The bytes of the model without its description."""
    return litert_model.read_bytes()[: litert_model.read_bytes().index(b"PK\3\4")]


def test_a_network_knows_what_its_file_says(litert_model):
    network = open_model(litert_model)
    assert network.image_size == (64, 64)
    assert network.metadata["image_size"] == [64, 64] and network.metadata["outputs"] == {"logits": [64, 64, 1]}
    assert network.metadata["form"] == "float32"


@pytest.mark.parametrize(
    "change, message",
    [
        (None, "found no crass_tf.json in it, expected a model made by"),
        *(
            ({"image_size": size}, r"found an input of \[64, 64\], expected .* by its crass_tf.json")
            for size in ([64, 96], None, "64x64")
        ),
        ({"classes": ["background", "lung"]}, "found classes = .* in its crass_tf.json, expected "),
        ({"grey_range": [0, 1]}, "found grey_range = .* in its crass_tf.json, expected "),
    ],
    ids=str,
)
def test_a_foreign_file_is_refused_even_where_its_shapes_fit(bare, litert_model, tmp_path, change, message):
    data = bare if change is None else attach_metadata(bare, read_metadata(litert_model) | change)
    (tmp_path / "model.tflite").write_bytes(data)
    with pytest.raises(InputError, match=f"model.tflite: {message}"):
        open_model(tmp_path / "model.tflite")


def test_classes_are_those_of_the_data_set():
    assert MEANING["classes"] == LABELS


def test_the_command_line_says_so_in_one_line(bare, tmp_path):
    model, image = tmp_path / "foreign.tflite", pathlib.Path(__file__).parents[2] / "docs/phantoms.jpg"
    model.write_bytes(bare)
    command = [sys.executable, "-m", "crass_tf", "predict", image, "--model", model, "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"crass-tf: error: {model}: found no crass_tf.json") and done.stderr.count("\n") == 1
