"""What several tests start from. What is made once a session is for reading only."""

import pathlib
import shutil

import pytest


@pytest.fixture(scope="session")
def dummy_data():
    """Three training radiographs, 0001 to 0003, and 0004 for validation; 64 x 80 pixels, masks of 0 and 255."""
    return pathlib.Path(__file__).parents[1] / "tfds_builder/crass12/dummy_data"


@pytest.fixture
def manual_dir(dummy_data, tmp_path):
    """A copy of the builder's dummy data, to be damaged at will: the folder that holds `CRASS12`."""
    return shutil.copytree(dummy_data, tmp_path / "manual")


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory):
    """A folder that holds `CRASS12`: eight phantoms of 64 x 64 pixels, six to train, two for validation."""
    from crass_tf.phantom import write_folder

    return write_folder(tmp_path_factory.mktemp("phantoms"), count=8, size=64, workers=1, progress=False)


@pytest.fixture(scope="session")
def prepared(phantom_folder, tmp_path_factory):
    """A TFDS data dir with the phantoms built as `crass12/native`, `crass12/64x64` and `crass12/32x64`."""
    from crass_tf.data.building import build

    data_dir = tmp_path_factory.mktemp("data")
    build(phantom_folder, data_dir, ["64x64", "32x64"])
    return data_dir


@pytest.fixture(scope="session")
def litert_model(tmp_path_factory):
    """A `.tflite` whose result is known: logit = (grey - 128) / 16 on 64 x 64."""
    import keras

    from crass_tf.export import conversion

    image = keras.Input((64, 64, 1), name="image")
    head = keras.layers.Conv2D(1, 1, kernel_initializer=keras.initializers.Constant(1 / 16))
    logits = head(image)
    head.bias.assign([-8.0])
    path = tmp_path_factory.mktemp("model") / "model.tflite"
    path.write_bytes(conversion.to_float32(keras.Model(image, logits)))
    return path
