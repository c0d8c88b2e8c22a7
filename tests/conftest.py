"""What several tests start from. What is made once a session is for reading only."""

import html
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest


@pytest.fixture
def run(capsys):
    """A function that runs `crass-tf` and returns `(exit code, lines on standard error)`."""
    from crass_tf import cli

    def run(*arguments):
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        return code, capsys.readouterr().err.splitlines()

    return run


@pytest.fixture(scope="session")
def run_python():
    """A function that runs code in a process of its own, with arguments and variables; returns what it prints."""

    def run_python(code, *arguments, cwd=None, **environment):
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(command, env=os.environ | environment, cwd=cwd, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_python


@pytest.fixture(scope="session")
def assert_same_weights():
    """A function that compares the weights of two models, `.keras` files or lists of arrays."""
    import keras
    import numpy as np

    def weights_of(model):
        model = keras.saving.load_model(model) if isinstance(model, pathlib.Path) else model
        return model if isinstance(model, list) else model.get_weights()

    def assert_same_weights(model, other):
        for found, expected in zip(weights_of(model), weights_of(other), strict=True):
            np.testing.assert_array_equal(found, expected)

    return assert_same_weights


@pytest.fixture(scope="session")
def links():
    """A function that returns what a page refers to, by `href` or `src`."""

    def links(path, attributes="href|src"):
        text = path.read_text(encoding="utf-8")
        return [html.unescape(link) for link in re.findall(rf'(?:{attributes})="([^"]*)"', text)]

    return links


@pytest.fixture(scope="session")
def dummy_data():
    """Three training radiographs, 0001 to 0003, and 0004 for validation; 64 x 80 pixels, masks of 0 and 255."""
    return pathlib.Path(__file__).parents[1] / "tfds_builder/crass12/dummy_data"


@pytest.fixture
def manual_dir(dummy_data, tmp_path):
    """A copy of the builder's dummy data, to be damaged at will: the folder that holds `CRASS12`."""
    return shutil.copytree(dummy_data, tmp_path / "manual")


@pytest.fixture
def crass12(manual_dir):
    """The published folder in it: three radiographs to train, 0004 for validation."""
    return manual_dir / "CRASS12"


@pytest.fixture(scope="session")
def unseen_phantom():
    """A phantom of 512 x 512 pixels that is in no training set."""
    from crass_tf.phantom import render

    return render(seed=0, index=3, size=512)


@pytest.fixture(scope="session")
def shipped_segmenter():
    """The shipped model's."""
    from crass_tf.inference.segmenter import Segmenter

    return Segmenter.load()


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
def threshold_model():
    """A function that returns a Keras model of a known result: `last` of logit = (grey - threshold) / 16."""
    import keras

    def threshold_model(threshold=128, image_size=(64, 64), classes=1, activation=None, channels=1, last=None):
        image = keras.Input((*image_size, channels), name="image")
        weight = keras.initializers.Constant(1 / 16)
        head = keras.layers.Conv2D(classes, 1, activation=activation, kernel_initializer=weight)
        output = head(image)
        head.bias.assign([-threshold / 16] * classes)
        return keras.Model(image, last(output) if last else output)

    return threshold_model


@pytest.fixture(scope="session")
def sided_finder(threshold_model):
    """A function that returns a finder of what is brighter than 128; each of its classes sees its half of the image."""
    import keras
    import numpy as np

    def sided_finder(image_size):
        model = threshold_model(image_size=image_size, classes=2)
        half = np.zeros((1, 1, image_size[1], 2), np.float32)
        half[..., : image_size[1] // 2, 0] = half[..., image_size[1] // 2 :, 1] = 1
        return keras.Model(model.input, model.output * half - 50 * (1 - half))

    return sided_finder


@pytest.fixture(scope="session")
def to_litert():
    """A function that returns the bytes of a `.tflite` as an export writes it."""
    from crass_tf.export import conversion, describe
    from crass_tf.inference.model_files import attach_metadata

    def to_litert(model):
        model = conversion.as_served(model)
        return attach_metadata(conversion.to_float32(model), describe(model, "float32"))

    return to_litert


@pytest.fixture(scope="session")
def litert_model(threshold_model, to_litert, tmp_path_factory):
    """A `.tflite` whose result is known: logit = (grey - 128) / 16 on 64 x 64."""
    path = tmp_path_factory.mktemp("model") / "model.tflite"
    path.write_bytes(to_litert(threshold_model()))
    return path


@pytest.fixture(scope="session")
def two_folds(tmp_path_factory):
    """A TFDS data dir with the data set `two_folds`: images a to d in its split `fold1`, e to h in `fold2`.

    Its config `native` has images of 64 x 64 pixels: ground of grey 5 in a, 10 in b ... 40 in h; rows 16 to 31 of 100
    and rows 32 to 47 of 200 are the mask. Of `native16` the images have 16 bits, and `unlabelled` has no masks.
    """
    import numpy as np
    import tensorflow_datasets as tfds

    data_dir = tmp_path_factory.mktemp("two_folds")
    shape = dict(shape=(None, None, 1), encoding_format="png")
    features = {
        "image": tfds.features.Image(**shape),
        "segmentation_mask": tfds.features.LabeledImage(labels=["background", "clavicle"], **shape),
        "image_id": tfds.features.Text(),
        "spacing_mm": tfds.features.Tensor(shape=(2,), dtype=np.float32),
    }

    def make_example(number, features):
        image = np.full((64, 64, 1), 5 * number, features["image"].np_dtype)
        image[16:32], image[32:48] = 100, 200
        name = " abcdefgh"[number]
        whole = {"image_id": name, "image": image, "segmentation_mask": (image >= 100).astype(np.uint8)}
        whole["spacing_mm"] = np.array([0.5, 0.5], np.float32)
        return name, {key: whole[key] for key in features}

    configs = {
        "native": features,
        "native16": features | {"image": tfds.features.Image(**shape, dtype=np.uint16)},
        "unlabelled": {key: feature for key, feature in features.items() if key != "segmentation_mask"},
    }
    for config, chosen in configs.items():
        tfds.dataset_builders.store_as_tfds_dataset(
            name="two_folds",
            config=config,
            version="1.0.0",
            data_dir=data_dir,
            features=tfds.features.FeaturesDict(chosen),
            split_datasets={
                "fold1": [make_example(number, chosen) for number in (1, 2, 3, 4)],
                "fold2": [make_example(number, chosen) for number in (5, 6, 7, 8)],
            },
        )
    return data_dir


@pytest.fixture(scope="session")
def write_jsrt():
    """A function that writes one radiograph and its masks as the JSRT and SCR data bases have them.

    Its arguments are the folder, a name, `fold1` or `fold2`, stored values uint16 `[2048, 2048]` (None: zeros), and
    masks uint8 `[H, W]` of 0 and 255, (right, left) (None: files that look like GIFs, but hold no pixels).
    """
    from PIL import Image

    def write_jsrt(folder, name, fold, stored=None, masks=None):
        image_path = folder / f"JSRT/All247images/{name}.IMG"
        mask_paths = [folder / f"SCR/{fold}/masks/{side} clavicle/{name}.gif" for side in ("right", "left")]
        for path in (image_path, *mask_paths):
            path.parent.mkdir(parents=True, exist_ok=True)
        with image_path.open("wb") as file:
            # Zeros need no room on the disk.
            file.truncate(2048 * 2048 * 2)
            file.write(b"" if stored is None else stored.astype(">u2").tobytes())
        for path, mask in zip(mask_paths, masks or (None, None)):
            if mask is None:
                path.write_bytes(b"GIF89a")
            else:
                # With a palette of 256 greys, as the SCR data base has them.
                Image.fromarray(mask).save(path, optimize=False)

    return write_jsrt
