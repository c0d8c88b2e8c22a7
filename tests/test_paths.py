"""Every command's paths: `~` is the home folder, and a URL never becomes a local folder."""

import shutil

import pytest
import tensorflow_datasets as tfds

import tfds_builder  # noqa: F401
from crass_tf import Segmenter, read_radiograph
from crass_tf.common.files import InputError
from crass_tf.data.loading import load_arrays


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The home folder; the working folder is another one, empty, and stays so."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    yield home
    assert not list(here.iterdir())


def test_build_load_and_check(home, dummy_data, run):
    shutil.copytree(dummy_data, home / "manual")
    # No shell replaces a `~` behind a `=`.
    assert run("build", "--manual-dir=~/manual", "--data-dir=~/ds", "--config=64x64") == (0, [])
    assert list(home.glob("ds/crass12/native/*/dataset_info.json")) and not list(home.rglob("incomplete*"))
    images, _ = load_arrays(config="64x64", data_dir="~/ds")
    assert images.shape == (3, 64, 64, 1)
    assert run("check", "~/manual", "--out=~/checked")[0] in (0, 1)
    assert (home / "checked/check.html").is_file()


def test_builder_from_tfds(home, dummy_data):
    shutil.copytree(dummy_data, home / "manual")
    how = {"download_config": tfds.download.DownloadConfig(manual_dir="~/manual")}
    for _ in range(2):
        loaded = tfds.load("crass12/64x64", split="train", data_dir="~/ds", download_and_prepare_kwargs=how)
        assert len(loaded) == 3 and (home / "ds/crass12/64x64").is_dir()
    with pytest.raises(InputError, match=r"data_dir: found the URL file:///tmp/ds, expected a path on this machine"):
        tfds.builder("crass12", data_dir="file:///tmp/ds")


def test_predict(home, dummy_data, litert_model, run):
    shutil.copy(dummy_data / "CRASS12/image/0001.PNG", home / "one.png")
    shutil.copy(litert_model, home / "model.tflite")
    assert run("predict", "~/one.png", "--out=~/out", "--model=~/model.tflite", "--outputs=mask") == (0, [])
    assert [path.name for path in (home / "out").iterdir()] == ["one_mask.png"]
    assert read_radiograph("~/one.png").image.shape == (64, 80)
    saved = Segmenter.load("~/model.tflite").segment("~/one.png").save("~/saved", ["mask"])
    assert saved == [home / "saved/one_mask.png"] and saved[0].is_file()


def test_a_folder_called_tilde_is_itself(home, dummy_data, litert_model, monkeypatch, tmp_path, run):
    (tmp_path / "radiographs/~").mkdir(parents=True)
    shutil.copy(dummy_data / "CRASS12/image/0001.PNG", tmp_path / "radiographs/~/one.png")
    monkeypatch.chdir(tmp_path / "radiographs")
    code = run("predict", ".", "--out", tmp_path / "out", "--model", litert_model, "--outputs=mask")[0]
    assert (code, (tmp_path / "out/~/one_mask.png").is_file()) == (0, True)
    assert not list(home.iterdir())
    monkeypatch.chdir(tmp_path / "here")


def test_phantom_and_benchmark(home, run):
    assert run("phantom", "--out=~/p", "--count=1", "--size=64", "--workers=1")[0] == 0
    assert (home / "p/CRASS12").is_dir()
    code, lines = run("benchmark", "--model=~/none.tflite", "--json=~/b.json")
    assert code == 2 and f"{home}/none.tflite" in lines[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--out", "gs://bucket/demo"],
        ["phantom", "--out", "s3://bucket/p"],
        ["check", "gs://bucket/CRASS12"],
        ["check", "{manual}", "--out", "gs://bucket/check"],
        ["build", "--manual-dir", "gs://bucket/manual"],
        ["build", "--manual-dir", "{manual}", "--data-dir", "https://host/data"],
        ["train", "--out", "gs://bucket/run"],
        ["train", "--out", "run", "--init", "gs://bucket/model.keras"],
        ["train", "--out", "run", "--data-dir", "ftp://host/data"],
        ["recipe", "--manual-dir", "{manual}", "--out", "gs://bucket/recipe"],
        ["recipe", "--manual-dir", "gs://bucket/manual", "--out", "o"],
        ["recipe", "--manual-dir", "{manual}", "--out", "o", "--unlabelled", "gs://bucket/more"],
        ["evaluate", "gs://bucket/model.keras", "--out", "o"],
        ["evaluate", "{manual}", "--out", "gs://bucket/evaluation"],
        ["export", "gs://bucket/model.keras", "--out", "o"],
        ["export", "model.keras", "--out", "gs://bucket/export"],
        ["predict", "gs://bucket/one.png", "--out", "o"],
        ["predict", "{manual}", "--out", "gs://bucket/o"],
        ["predict", "{manual}", "--out", "o", "--model", "https://host/model.tflite"],
        ["benchmark", "--json", "gs://bucket/b.json"],
        ["view", "https://host/one.png"],
        ["demo", "--out", "{file}"],
        ["phantom", "--out", "{file}/p"],
        ["check", "{manual}", "--out", "{file}"],
        ["build", "--manual-dir", "{manual}", "--data-dir", "{file}/data"],
        ["train", "--out", "{file}/run"],
        ["propose", "{manual}", "--out", "{file}/p"],
        ["recipe", "--manual-dir", "{manual}", "--out", "{file}"],
        ["evaluate", "model.keras", "--out", "{file}/evaluation"],
        ["export", "model.keras", "--out", "{file}/export"],
        ["predict", "{manual}", "--out", "{file}"],
        ["benchmark", "--json", "{file}/b.json"],
    ],
)
def test_paths_that_a_command_cannot_serve(home, dummy_data, arguments, run):
    """URLs, and outputs in a place where there is a file."""
    (home / "file").touch()
    code, (line,) = run(*(argument.format(manual=dummy_data, file=home / "file") for argument in arguments))
    url = any("://" in argument for argument in arguments)
    expected = ": found the URL " if url else "the folder cannot be made or written to"
    assert code == 2 and expected in line and ("expected a path on this machine" in line or not url)
    assert [path.name for path in home.iterdir()] == ["file"]
