"""A prepared data set gives back what the folder held, and says how to build what is missing."""

import types

import numpy as np
import pytest
from refusals import refuses

from crass_tf.data import loading
from crass_tf.data.loading import Example, default_splits, examples, load_arrays, prepared_builder
from crass_tf.data.pipeline import supervised
from crass_tf.radiographs.radiograph import read_mask, read_radiograph

SPLITS = {"train": "train.txt", "validation": "val.txt"}


@pytest.mark.parametrize("split", SPLITS)
def test_examples_are_the_folders(prepared, phantom_folder, split):
    folder = phantom_folder / "CRASS12"
    found = examples(split=split, data_dir=prepared)
    names = (folder / SPLITS[split]).read_text().split()
    assert len(found) == len(names) == {"train": 6, "validation": 2}[split]
    assert sorted(example.image_id for example in found) == sorted(names)
    for example in found:
        radiograph = read_radiograph(folder / f"image/{example.image_id}.PNG")
        np.testing.assert_array_equal(example.image, radiograph.image)
        np.testing.assert_array_equal(example.mask, read_mask(folder / f"mask/{example.image_id}.PNG")[0])
        # Stored as float32: seven digits.
        np.testing.assert_allclose(example.spacing_mm, radiograph.spacing_mm, rtol=1e-6)


def test_same_order_each_time_and_parts_of_a_split(prepared):
    found = examples(split="train", data_dir=prepared)
    names = [example.image_id for example in found]
    assert [example.image_id for example in found] == names
    part = examples(split="train[:2]", data_dir=prepared)
    assert len(part) == 2 and [example.image_id for example in part] == names[:2]
    refuses(r"crass12/native: split 'train\[:0\]' holds no radiograph", examples, split="train[:0]", data_dir=prepared)


def test_missing_config_names_the_command_that_builds_it(prepared, tmp_path):
    nowhere, command = tmp_path / "nowhere", "build it with: crass-tf build --manual-dir FOLDER"
    there = f"not found in {prepared}, where there is 32x64, 64x64, native"
    line = refuses("^crass12/96x96: ", prepared_builder, "crass12", "96x96", prepared)
    assert line == f"crass12/96x96: {there}; {command} --data-dir {prepared} --config 96x96"
    # `native` is built without being named.
    line = refuses("^crass12/native: ", examples, data_dir=nowhere)
    assert line == f"crass12/native: not found in {nowhere}; {command} --data-dir {nowhere}"
    refuses(f"{command} --dataset jsrt_clavicles --data-dir ", examples, "jsrt_clavicles", data_dir=nowhere)


def load_supervised(dataset="crass12", split="train", data_dir=None, config="native"):
    return supervised(dataset, config, split, data_dir)


@pytest.mark.parametrize("load", [examples, load_supervised])
@pytest.mark.parametrize("split", ["test", "", "train[", "train[:99]", "train+test"])
def test_unknown_split(prepared, load, split):
    expected = "expected one of ['train', 'validation'] or an expression such as train+validation"
    line = refuses("found no split", load, split=split, data_dir=prepared, config="native")
    assert line == f"crass12/native: found no split {split!r}, {expected}"


def test_chosen_examples_are_those_of_the_whole_split(two_folds):
    whole = {example.image_id: example for example in examples("two_folds", "fold1+fold2", two_folds)}
    # A name that is given twice is one.
    chosen = examples("two_folds", "fold1+fold2", two_folds, image_ids=["g", "b", "d", "g"])
    found = list(chosen)
    assert len(chosen) == 3 and sorted(example.image_id for example in found) == ["b", "d", "g"]
    # In the order of the files, whatever that of the names.
    assert [example.image_id for example in found] == [name for name in whole if name in "bdg"]
    for example in found:
        assert example.image.max() == 200 and example.image.min() == 5 * " abcdefgh".index(example.image_id)
        np.testing.assert_array_equal(example.mask, whole[example.image_id].mask)
        assert example.spacing_mm == (0.5, 0.5)
    refuses("image_ids: found none", examples, "two_folds", "fold1", two_folds, image_ids=[])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["test", "train", "validation"], ("train", "validation")),
        (["c", "a", "b"], ("a", "c")),
        (["train", "test"], ("train", "test")),
        (["all"], ("all", "all")),
    ],
)
def test_default_splits(monkeypatch, names, expected):
    builder = types.SimpleNamespace(info=types.SimpleNamespace(splits=dict.fromkeys(names)))
    monkeypatch.setattr(loading, "prepared_builder", lambda *_: builder)
    assert default_splits() == expected


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("unlabelled", "holds no masks (segmentation_mask), which training and scoring need"),
        ("native16", "holds 16-bit grey values; use native or HxW"),
    ],
)
@pytest.mark.parametrize("load", [examples, load_arrays, load_supervised])
def test_configs_that_cannot_be_trained_on(two_folds, load, config, reason):
    line = refuses("holds", load, "two_folds", split="fold1", data_dir=two_folds, config=config)
    assert line == f"two_folds/{config}: {reason}"


def test_arrays_hold_the_examples(prepared):
    images, masks = load_arrays(config="32x64", split="train", data_dir=prepared)
    assert images.shape == masks.shape == (6, 32, 64, 1)
    assert images.dtype == masks.dtype == np.uint8
    for example, image, mask in zip(examples(split="train", data_dir=prepared, config="32x64"), images, masks):
        np.testing.assert_array_equal(image[:, :, 0], example.image)
        np.testing.assert_array_equal(mask[:, :, 0], example.mask)
    # Letterboxed here or while building: the same pixels.
    again = load_arrays(config="native", split="train", data_dir=prepared, image_size=(32, 64))
    np.testing.assert_array_equal(again[0], images)
    np.testing.assert_array_equal(again[1], masks)


def test_arrays_of_several_sizes_need_one(monkeypatch):
    found = [Example("a", *np.zeros((2, 40, 40), np.uint8), None), Example("b", *np.zeros((2, 20, 80), np.uint8), None)]
    monkeypatch.setattr(loading, "examples", lambda *_: found)
    refuses(r"found radiographs of several sizes, expected image_size=\(height, width\)", load_arrays, config="native")
    assert load_arrays(config="native", image_size=(32, 32))[0].shape == (2, 32, 32, 1)


def test_importing_it_loads_nothing_heavy(run_python):
    heavy = ("tensorflow", "keras", "tensorflow_datasets", "jax")
    code = "import sys, crass_tf.data, crass_tf.data.pipeline; "
    assert run_python(f"{code}print([name for name in {heavy} if name in sys.modules])").strip() == "[]"
