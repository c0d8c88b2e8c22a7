import dataclasses
import json
import urllib.parse

import pytest
from refusals import refuses

from crass_tf.commands.demo import MARKER, demo, smallest_that_passed
from crass_tf.training.presets import PRESETS


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "out"
    with pytest.MonkeyPatch.context() as patch:
        # XLA takes longer to compile than two epochs take.
        patch.setitem(PRESETS, "unet", (dataclasses.replace(*PRESETS["unet"], jit_compile=False),))
        demo(folder, count=10, size=64, config="64x64", epochs=2)
    return folder


def test_index_leads_to_every_picture_and_artifact(out, links):
    found, waiting = set(), [out / "index.html"]
    while waiting:
        page = waiting.pop()
        for link in links(page):
            target = (page.parent / urllib.parse.unquote(urllib.parse.urldefrag(link).url)).resolve()
            assert target.exists(), f"{page} leads to {link}, which is not there"
            if target not in found:
                found.add(target)
                waiting += [target] if target.suffix == ".html" else []
    expected = {
        *(out / "predictions").iterdir(),
        *(out / "export").iterdir(),
        *(out / "evaluation" / "overlays" / "whole").iterdir(),
        out / "run" / "model.keras",
        out / "run" / "history.csv",
        out / "evaluation" / "metrics.json",
    }
    assert {path.resolve() for path in expected} <= found


def test_two_validation_phantoms_are_scored_and_predicted_with_the_file_that_is_named(out):
    # Numbers 1 and 6 of ten.
    assert json.loads((out / "evaluation" / "metrics.json").read_text())["n"] == 2
    masks = sorted(path.name for path in (out / "predictions").glob("*_mask.png"))
    assert masks == ["phantom_00001_mask.png", "phantom_00006_mask.png"]
    forms = json.loads((out / "export" / "parity.json").read_text())["forms"]
    page = (out / "index.html").read_text(encoding="utf-8")
    assert f"Predictions of {smallest_that_passed(forms)} on validation phantoms" in page
    assert "not a medical device" in page


def test_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    refuses("other files", demo, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_earlier_demo_stays_where_arguments_are_refused(tmp_path):
    (tmp_path / MARKER).write_text("{}")
    (tmp_path / "index.html").write_text("earlier")
    refuses("epochs: found 0", demo, tmp_path, epochs=0)
    assert (tmp_path / "index.html").read_text() == "earlier"


def test_the_demo_predicts_with_a_form_that_agrees():
    forms = {
        "float32": {"file": "model_float32.tflite", "bytes": 400, "passed": True},
        "float16": {"file": "model_float16.tflite", "bytes": 200, "passed": True},
        "int8": {"file": "model_int8.tflite", "bytes": 100, "passed": False},
        "saved_model": {"file": "saved_model", "bytes": 50, "passed": True},
    }
    assert smallest_that_passed(forms) == "model_float16.tflite"
    refuses("found no LiteRT file that agrees with Keras", smallest_that_passed, {"int8": forms["int8"]})
