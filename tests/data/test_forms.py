"""One data set in every form that it may come in: the same examples, byte for byte."""

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds
from metaimages import write_mhd
from refusals import refuses

from crass_tf.data.building import build
from crass_tf.phantom.rendering import render
from crass_tf.radiographs.formats.png import write_png

NAMES = ("a", "b", "c", "d", "e")
# Whole pixels per metre, which is what PNG files hold; not 1 mm, which MetaImage files say where they know nothing.
SPACING_MM = (0.5, 0.25)
CONFIGS = ["64x96", "native16"]
# What 8-bit grey values become before they are written.
DEPTHS = {"8-bit": lambda grey: grey, "12-bit": lambda grey: grey.astype(np.uint16) * 16 + grey // 16}


@pytest.fixture(scope="module")
def radiographs():
    """`{name: (grey values [64, 64], mask of the right clavicle, mask of the left one)}`."""
    phantoms = {name: render(0, number, 64) for number, name in enumerate(NAMES)}
    columns = np.arange(64)
    return {
        name: (p.image, p.mask * (columns < 32).astype(np.uint8), p.mask * (columns >= 32).astype(np.uint8))
        for name, p in phantoms.items()
    }


def write_release(folder, radiographs, deepen, sides=False, compressed=False, suffix=".mhd"):
    for name, (image, right, left) in radiographs.items():
        write_mhd(folder / f"CRASS12/data_train/{name}{suffix}", deepen(image), SPACING_MM, compressed)
        masks = {f"{name}_right": right, f"{name}_left": left} if sides else {name: right | left}
        for stem, mask in masks.items():
            write_mhd(folder / f"CRASS12/mask_mhd/{stem}{suffix}", mask, SPACING_MM, compressed)


def stored(builder):
    """Returns `{(split, image_id): {feature: bytes}}`, images as the PNG files that they are stored as."""
    images = [name for name in ("image", "segmentation_mask") if name in builder.info.features]
    decoders = {name: tfds.decode.SkipDecoding() for name in images}
    return {
        (split, example["image_id"].decode()): {name: np.array(value).tobytes() for name, value in example.items()}
        for split in builder.info.splits
        for example in tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders))
    }


@pytest.fixture(scope="module", params=DEPTHS.values(), ids=DEPTHS)
def published(request, radiographs, tmp_path_factory):
    """What one depth's published folder builds to, for each config; and the function to that depth."""
    folder = tmp_path_factory.mktemp("published")
    for name, (image, right, left) in radiographs.items():
        write_png(folder / f"CRASS12/image/{name}.PNG", request.param(image), SPACING_MM)
        write_png(folder / f"CRASS12/mask/{name}.PNG", (right | left) * 255)
    return [stored(builder) for builder in build(folder, folder / "data", CONFIGS)], request.param


FORMS = {
    "one-mask": {},
    "a-mask-a-side": dict(sides=True),
    "compressed": dict(compressed=True),
    "compressed-a-mask-a-side": dict(compressed=True, sides=True),
    "one-file": dict(suffix=".mha"),
    "one-file-compressed": dict(suffix=".mha", compressed=True),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_release_builds_what_the_published_folder_does(published, radiographs, tmp_path, form, capsys):
    expected, deepen = published
    write_release(tmp_path, radiographs, deepen, **form)
    found = [stored(builder) for builder in build(tmp_path, tmp_path / "data", CONFIGS)]
    # A fifth of five is one: RandomState(0).permutation(5) begins with 2, the third name.
    assert sorted(found[0]) == [("train", "a"), ("train", "b"), ("train", "d"), ("train", "e"), ("validation", "c")]
    assert found == expected
    assert "derived 4 for train and 1 for validation" in capsys.readouterr().out


def test_grey_values_of_the_published_folder(published, radiographs):
    (native, boxed, native16), deepen = published
    for (split, name), example in native.items():
        image, right, left = radiographs[name]
        # 16 v + v // 16 of 4095 is v of 255.
        np.testing.assert_array_equal(decode(example["image"]), image)
        np.testing.assert_array_equal(decode(example["segmentation_mask"]), right | left)
        np.testing.assert_array_equal(decode(native16[split, name]["image"]), deepen(image).astype(np.uint16))
        # 64 x 64 into 64 x 96: sixteen columns of padding on each side.
        np.testing.assert_array_equal(decode(boxed[split, name]["image"]), np.pad(image, ((0, 0), (16, 16))))
        assert np.frombuffer(example["spacing_mm"], np.float32).tolist() == list(SPACING_MM)


def decode(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def loaded(builder, split):
    return {e["image_id"].decode(): e["image"][..., 0] for e in tfds.as_numpy(builder.as_dataset(split=split))}


def test_16_bits_are_stored_as_they_are(manual_dir, tmp_path):
    deep = np.arange(64 * 80).reshape(64, 80).astype(np.uint16) * 12
    write_png(manual_dir / "CRASS12/image/0001.PNG", deep)
    native16 = build(manual_dir, tmp_path / "data", ["native16"])[1]
    images = loaded(native16, "train")
    np.testing.assert_array_equal(images["0001"], deep)
    # Radiographs of 8 bits keep their values, too.
    assert images["0002"].dtype == np.uint16 and images["0002"].max() < 256


def test_unlabelled_radiographs_are_a_config_of_their_own(radiographs, tmp_path):
    deepen = DEPTHS["12-bit"]
    write_release(tmp_path, radiographs, deepen)
    for name, (image, *_) in radiographs.items():
        write_mhd(tmp_path / f"CRASS12/data_test/test_{name}.mhd", deepen(image), SPACING_MM)
    native, unlabelled = build(tmp_path, tmp_path / "data", ["unlabelled"])
    assert list(unlabelled.info.splits) == ["test"] and list(native.info.splits) == ["train", "validation"]
    assert set(unlabelled.info.features) == {"image", "image_id", "spacing_mm"}
    assert unlabelled.info.supervised_keys is None
    images = loaded(unlabelled, "test")
    assert sorted(images) == [f"test_{name}" for name in NAMES]
    for name, (image, *_) in radiographs.items():
        np.testing.assert_array_equal(images[f"test_{name}"], image)


def test_without_unlabelled_radiographs(manual_dir, tmp_path):
    refuses("found no radiograph for the config unlabelled", build, manual_dir, tmp_path / "data", ["unlabelled"])
    # What was asked for before is there, and nothing of what failed.
    assert [path.name for path in (tmp_path / "data/crass12").iterdir() if path.name != ".config"] == ["native"]
