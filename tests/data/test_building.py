import os
import pathlib
import unicodedata

import numpy as np
import pytest
import tensorflow_datasets as tfds
from refusals import refuses

from crass_tf.common.files import InputError
from crass_tf.data.building import build
from crass_tf.data.loading import examples as loaded_examples
from crass_tf.data.loading import load_arrays
from crass_tf.data.pipeline import prepared, supervised
from crass_tf.data.views import View
from crass_tf.radiographs.formats.png import write_png
from crass_tf.sources.crass12 import open_crass12

ROOT = pathlib.Path(__file__).parents[2]
JSRT_ODD = pathlib.Path(os.environ.get("CRASS_TF_JSRT_ODD", ROOT / "../shared/data/jsrt-odd"))


# In a process without our code.
LOAD = """
import sys, tensorflow_datasets as tfds
loaded = [tfds.load(name, data_dir=sys.argv[1]) for name in ("crass12", "crass12/512x512", "crass12/64x96")]
assert not [name for name in sys.modules if name.split(".")[0] in ("crass_tf", "tfds_builder")]
print([splits["train"].element_spec["image"].shape.as_list() for splits in loaded])
"""


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


def examples(data_dir, config="native", split="train"):
    """Returns `{image_id: example}` of a prepared data set."""
    loaded = tfds.as_numpy(tfds.load(f"crass12/{config}", split=split, data_dir=data_dir))
    return {example["image_id"].decode(): example for example in loaded}


def leavings(data_dir):
    return [str(path) for path in data_dir.rglob("*") if "incomplete" in path.name]


def test_build_and_load(manual_dir, data_dir, tmp_path, capsys, run_python):
    builders = build(manual_dir, data_dir, ["512x512", "64x96", "512x512"])
    names = [f"crass12/{config}/1.1.0" for config in ("native", "512x512", "64x96")]
    assert [builder.info.full_name for builder in builders] == names
    lines = capsys.readouterr().out.splitlines()
    assert f"{manual_dir}/CRASS12: found 4 radiographs with masks; CRASS12 as published has 284" in lines
    assert f"{data_dir}/crass12/64x96/1.1.0: train 3, validation 1" in lines

    native = examples(data_dir)
    assert sorted(native) == ["0001", "0002", "0003"]
    assert native["0001"]["image"].shape == native["0001"]["segmentation_mask"].shape == (64, 80, 1)
    assert set(np.unique(native["0001"]["segmentation_mask"])) == {0, 1}
    assert native["0001"]["spacing_mm"].dtype == np.float32 and np.isnan(native["0001"]["spacing_mm"]).all()
    assert builders[0].info.features["segmentation_mask"].names == ["background", "clavicle"]
    assert builders[0].info.supervised_keys == ("image", "segmentation_mask")

    assert run_python(LOAD, data_dir, cwd=tmp_path).strip() == "[[None, None, 1], [512, 512, 1], [64, 96, 1]]"


@pytest.mark.parametrize(
    "options, reason",
    [
        ({"configs": ["big"]}, "config big: not known, expected one of native, 512x512, 1024x1024, native16, unlab"),
        ({"configs": ["500x512"]}, "config 500x512: expected HEIGHTxWIDTH in multiples of 32"),
        ({"file_format": "zip"}, "file_format: found 'zip', expected one of tfrecord, array_record"),
        ({"spacing_mm": (0.35,)}, r"^spacing_mm: found \(0.35,\), expected two lengths"),
    ],
)
def test_unknown_options_stop_before_work(manual_dir, data_dir, options, reason):
    refuses(reason, build, manual_dir, data_dir, **options)
    assert not data_dir.exists()


def test_spacing_is_what_was_asked_for_or_the_headers_or_the_folders(manual_dir, data_dir):
    (manual_dir / "CRASS12/spacing.json").write_text('{"spacing_mm": [0.4, 0.3]}')
    # The header counts whole pixels per metre: 1000 / 0.5 = 2000 and 1000 / 0.2 = 5000 are whole.
    write_png(manual_dir / "CRASS12/image/0001.PNG", np.zeros((64, 80), np.uint8), (0.5, 0.2))
    for option_mm, expected in ((None, [[0.5, 0.2], [0.4, 0.3], [0.4, 0.3]]), ((0.7, 0.6), [[0.7, 0.6]] * 3)):
        build(manual_dir, data_dir, ["32x64"], option_mm, overwrite=True)
        # 64 x 80 pixels become 32 x 40.
        for config, factor in (("native", 1), ("32x64", 2)):
            found = [example["spacing_mm"] for _, example in sorted(examples(data_dir, config).items())]
            np.testing.assert_allclose(found, factor * np.array(expected), rtol=1e-6)


def test_kept_until_overwritten(manual_dir, data_dir, capsys):
    build(manual_dir, data_dir)
    build(manual_dir, data_dir)
    assert "kept as built before: " in capsys.readouterr().out
    write_png(manual_dir / "CRASS12/image/0001.PNG", np.full((64, 80), 7, np.uint8))
    build(manual_dir, data_dir)
    assert "kept, but built from OTHER files" in capsys.readouterr().out
    assert examples(data_dir)["0001"]["image"].max() > 7
    build(manual_dir, data_dir, overwrite=True)
    assert (examples(data_dir)["0001"]["image"] == 7).all()
    assert not leavings(data_dir)


def test_leavings_of_killed_builds(manual_dir, data_dir):
    native = data_dir / "crass12/native"
    for name in ("incomplete.A1B2C3_1.1.0", "1.1.0"):
        (native / name).mkdir(parents=True)
        (native / name / "crass12-train.tfrecord-00000-of-00001").write_bytes(b"half")
    build(manual_dir, data_dir)
    assert len(examples(data_dir)) == 3 and not leavings(data_dir)
    # Killed while it replaced a data set: the old one is still there, aside; and the next build fails.
    (native / "1.1.0").rename(native / "incomplete.before_1.1.0")
    path = manual_dir / "CRASS12/image/0001.PNG"
    path.write_bytes(path.read_bytes()[:200])
    for _ in range(2):
        refuses("truncated", build, manual_dir, data_dir, overwrite=True)
        assert len(examples(data_dir)) == 3 and not leavings(data_dir)


def test_one_build_at_a_time(manual_dir, data_dir):
    fcntl = pytest.importorskip("fcntl")
    (data_dir / "crass12/native").mkdir(parents=True)
    handle = os.open(data_dir / "crass12/native", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    refuses("another process is building here", build, manual_dir, data_dir)
    os.close(handle)
    build(manual_dir, data_dir)


@pytest.mark.skipif(not JSRT_ODD.is_dir(), reason=f"no real radiographs at {JSRT_ODD}")
def test_real_radiographs(data_dir):
    for builder in build(JSRT_ODD, data_dir, ["512x512"]):
        assert [builder.info.splits[name].num_examples for name in ("train", "validation")] == [100, 24]
    for config, spacing_mm in (("native", 0.35), ("512x512", 0.7)):
        loaded = examples(data_dir, config, "validation")
        np.testing.assert_allclose([example["spacing_mm"] for example in loaded.values()], spacing_mm, rtol=1e-6)
        # Clavicles cover one to three pixels in a hundred.
        shares = [example["segmentation_mask"].mean() for example in loaded.values()]
        assert min(shares) > 0.005 and max(shares) < 0.04


@pytest.mark.parametrize("listed, stored", [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_composed_and_decomposed_names_are_one(manual_dir, listed, stored):
    folder = manual_dir / "CRASS12"
    for kind in ("image", "mask"):
        (folder / kind / "0001.PNG").rename(folder / kind / f"{unicodedata.normalize(stored, 'Zürich')}.PNG")
    names = (folder / "train.txt").read_text(encoding="utf-8").replace("0001", unicodedata.normalize(listed, "Zürich"))
    (folder / "train.txt").write_text(names, encoding="utf-8")
    names = [example.image_id for example in open_crass12(manual_dir).checked().splits["train"]]
    assert names == ["0002", "0003", unicodedata.normalize("NFC", "Zürich")]


def test_array_record_is_read_by_everything(manual_dir, data_dir):
    build(manual_dir, data_dir, ["64x64"], file_format="array_record")
    images, masks = load_arrays(config="64x64", data_dir=data_dir)
    assert images.shape == masks.shape == (3, 64, 64, 1)
    found = {example.image_id: example for example in loaded_examples(data_dir=data_dir, split="train")}
    assert found["0001"].image.shape == (64, 80) and found["0001"].spacing_mm is None, "unknown spacing"
    source = tfds.data_source("crass12/64x64", data_dir=data_dir, split="train")
    assert {example["image_id"].decode() for example in source} == {*found} == {"0001", "0002", "0003"}


def test_another_file_format_is_built_where_one_is(manual_dir, data_dir, capsys):
    build(manual_dir, data_dir)
    build(manual_dir, data_dir, file_format="array_record")
    assert "kept, but built as tfrecord; overwrite it to build it anew: " in capsys.readouterr().out
    build(manual_dir, data_dir, file_format="array_record", overwrite=True)
    assert len(tfds.data_source("crass12/native", data_dir=data_dir, split="train")) == 3


def damage(shard, kind):
    data = shard.read_bytes()
    shard.unlink()
    if kind != "missing":
        shard.write_bytes(data[:-9] if kind == "cut" else data[:300] + bytes(200) + data[500:])


def test_a_damaged_description_is_one_line_and_what_is_missing_is_built_again(manual_dir, data_dir):
    (builder,) = build(manual_dir, data_dir)
    folder = pathlib.Path(builder.data_path)
    for name in ("features.json", "dataset_info.json"):
        content = (folder / name).read_text()
        (folder / name).write_text(content[:9])
        expected = "^crass12/native: found a damaged data set .*; remove its folder"
        refuses(expected, load_arrays, config="native", data_dir=data_dir)
        (folder / name).write_text(content)
    for name in ("features.json", "metadata.json", "crass12-validation.tfrecord-00000-of-00001", "dataset_info.json"):
        (folder / name).unlink()
        build(manual_dir, data_dir)
        assert (folder / name).is_file() and len(examples(data_dir)) == 3
    (folder / "dataset_info.json").unlink()
    command = f"build it with: crass-tf build --manual-dir FOLDER --data-dir {data_dir}"
    line = refuses("not found", load_arrays, config="native", data_dir=data_dir)
    assert line == f"crass12/native: not found in {data_dir}; {folder} has no dataset_info.json; {command}"


@pytest.mark.parametrize("kind", ["cut", "overwritten", "missing"])
def test_a_damaged_or_missing_shard_is_one_line(manual_dir, data_dir, kind):
    build(manual_dir, data_dir)
    (shard,) = data_dir.glob("crass12/native/*/*-train.tfrecord-*")
    damage(shard, kind)
    with pytest.raises(InputError, match="native/.*: found damaged or missing files .*crass-tf build --overwrite$"):
        list(loaded_examples(data_dir=data_dir, split="train"))


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_a_shard_that_is_damaged_while_training_begins_is_one_line(manual_dir, data_dir, file_format):
    """After the names have been read and found whole."""
    build(manual_dir, data_dir, file_format=file_format)
    pairs = supervised("crass12", "native", "train", data_dir)
    (shard,) = data_dir.glob(f"crass12/native/*/*-train.{file_format}-*")
    damage(shard, "overwritten")
    refuses("found damaged or missing files .*crass-tf build --overwrite$", prepared, pairs, View((64, 64)).prepare)
