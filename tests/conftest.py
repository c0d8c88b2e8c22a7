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

    from crass_tf.export import conversion, describe
    from crass_tf.metadata import attach

    image = keras.Input((64, 64, 1), name="image")
    head = keras.layers.Conv2D(1, 1, kernel_initializer=keras.initializers.Constant(1 / 16))
    logits = head(image)
    head.bias.assign([-8.0])
    path = tmp_path_factory.mktemp("model") / "model.tflite"
    model = keras.Model(image, logits)
    path.write_bytes(attach(conversion.to_float32(model), describe(model, "float32")))
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
    return _write_jsrt


def _write_jsrt(folder, name, fold, stored=None, masks=None):
    image_path = folder / f"JSRT/All247images/{name}.IMG"
    mask_paths = [folder / f"SCR/{fold}/masks/{side} clavicle/{name}.gif" for side in ("right", "left")]
    for path in (image_path, *mask_paths):
        path.parent.mkdir(parents=True, exist_ok=True)
    with image_path.open("wb") as file:
        # Zeros need no room on the disk.
        file.truncate(2048 * 2048 * 2)
        file.write(b"" if stored is None else stored.astype(">u2").tobytes())
    for path, mask in zip(mask_paths, masks or (None, None)):
        path.write_bytes(b"GIF89a" if mask is None else _gif(mask))


def _gif(mask):
    import cv2

    # Grey images, and dithering, are what OpenCV 5.0 cannot write.
    colour = cv2.cvtColor(mask, cv2.COLOR_GRAY2BGR)
    return cv2.imencode(".gif", colour, [cv2.IMWRITE_GIF_QUALITY, 8])[1].tobytes()
