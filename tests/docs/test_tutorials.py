"""The Python of the tutorials runs, on phantoms, in the order in which they are read."""

import pathlib
import re

import pytest

from crass_tf.phantom import render, write_folder

TUTORIALS = pathlib.Path(__file__).parents[2] / "docs/tutorials"


def code(name):
    """The Python blocks of a tutorial."""
    text = (TUTORIALS / f"{name}.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as the first tutorial leaves it, and a radiograph."""
    from crass_tf.data.building import build
    from crass_tf.radiographs.formats.png import write_png

    folder = tmp_path_factory.mktemp("tutorial")
    write_folder(folder / "radiographs", count=8, size=128, workers=1, progress=False)
    build(folder / "radiographs", folder / "datasets", ["256x256"])
    write_png(folder / "radiograph.png", render(0, 0, 512).image)
    return folder


def test_from_a_folder_to_tf_data_and_a_network(folder, monkeypatch):
    monkeypatch.chdir(folder)
    names = {}
    for block in (*code("folder_to_tfdata"), *code("own_network")):
        exec(block.replace("epochs=5", "epochs=1"), names)
    assert names["image"].shape == (None, 256, 256, 1) and len(names["train"]) == 6
    assert next(iter(names["changed"]))[0].shape == (256, 256, 1)
    assert (folder / "mine.keras").is_file()


def test_the_shipped_model(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    names = {"paths": ["radiograph.png"]}
    for block in code("shipped_model"):
        exec(block, names)
    assert capsys.readouterr().out.startswith("(512, 512)")
    assert names["segmentation"].mask.any()
