"""The examples in docstrings do what they say."""

import doctest
import importlib
import pathlib
import shutil

import numpy as np
import pytest

import crass_tf
import crass_tf.model
from crass_tf.inference.segmenter import shipped_model
from crass_tf.phantom import render
from crass_tf.radiographs.formats.png import write_png

PACKAGE = pathlib.Path(crass_tf.__file__).parent
WITH_EXAMPLES = sorted(path for path in PACKAGE.rglob("*.py") if ">>>" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_examples(path, tmp_path, monkeypatch):
    # The files that examples name, in the working folder.
    shutil.copy(shipped_model(), tmp_path / "model_int8.tflite")
    write_png(tmp_path / "radiograph.png", render(0, 0, 256).image)
    monkeypatch.chdir(tmp_path)
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    known = {"np": np, "crass_tf": crass_tf, "unet": crass_tf.model.unet}
    outcome = doctest.testmod(importlib.import_module(name), extraglobs=known)
    assert outcome.attempted and not outcome.failed
