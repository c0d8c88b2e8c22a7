"""What `crass-tf predict` leaves on the disk, by a model whose result is known: brighter than 128 is clavicle."""

import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from crass_tf.files import InputError
from crass_tf.formats.png import write_png
from crass_tf.prediction import plan, predict
from crass_tf.results import DEFAULTS, OUTPUTS
from crass_tf.results.record import NOTE


@pytest.fixture
def model(litert_model):
    return litert_model


def bars():
    """Two bright bars, uint8 [64, 64]: rows 10 to 19; columns 4 to 23 and 40 to 55."""
    image = np.full((64, 64), 28, np.uint8)
    image[10:20, 4:24] = image[10:20, 40:56] = 228
    return image


def write_bars(path, spacing_mm=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, bars(), spacing_mm)
    return path


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_results_of_one_radiograph(model, tmp_path):
    image = write_bars(tmp_path / "a.b.png", spacing_mm=(0.25, 0.25))
    out = tmp_path / "out"
    assert predict([image], out, model) == 0
    assert names(out) == ["a.b.json", "a.b_labels.png", "a.b_mask.png", "a.b_overlay.png"]
    mask, labels, overlay = (cv2.imread(str(out / f"a.b_{k}.png"), -1) for k in ("mask", "labels", "overlay"))
    assert mask.dtype == labels.dtype == np.uint8
    np.testing.assert_array_equal(mask, np.where(bars() > 128, 255, 0))
    expected = np.zeros((64, 64))
    expected[10:20, 4:24], expected[10:20, 40:56] = 1, 2
    np.testing.assert_array_equal(labels, expected)
    assert overlay.shape == (64, 64, 3)
    assert (overlay[25:] == 28).all() and (np.ptp(overlay, axis=2) > 0).any()


def test_json_of_one_radiograph(model, tmp_path):
    image = write_bars(tmp_path / "a.png")
    predict([image], tmp_path / "out", model, spacing_mm=(0.5, 0.2))
    content = json.loads((tmp_path / "out" / "a.json").read_text())
    # Areas: 10 x 20 and 10 x 16 pixels of 0.1 square millimetres.
    right = {
        "found": True,
        "area_pixels": 200,
        "area_mm2": 20.0,
        "bounding_box": [4, 10, 20, 10],
        "centroid": [13.5, 14.5],
    }
    left = {
        "found": True,
        "area_pixels": 160,
        "area_mm2": 16.0,
        "bounding_box": [40, 10, 16, 10],
        "centroid": [47.5, 14.5],
    }
    quality = content.pop("quality")
    assert set(quality) == {"checks", "border_confidence", "agreement", "score"} and 0 < quality["score"] <= 1
    assert content == {
        "image": image.as_posix(),
        "model": model.as_posix(),
        "note": NOTE,
        "status": "segmented",
        "native_size": [64, 64],
        "spacing_mm": [0.5, 0.2],
        "sides": "patient",
        "notes": [],
        "clavicles": {"right": right, "left": left},
    }


def test_an_empty_radiograph_has_no_clavicles(model, tmp_path):
    write_png(tmp_path / "dark.png", np.zeros((50, 70), np.uint8))
    assert predict([tmp_path / "dark.png"], tmp_path / "out", model) == 0
    content = json.loads((tmp_path / "out" / "dark.json").read_text())
    nothing = {"found": False, "area_pixels": 0, "area_mm2": None, "bounding_box": None, "centroid": None}
    assert content["clavicles"] == {"right": nothing, "left": nothing}
    assert content["spacing_mm"] is None and content["native_size"] == [50, 70]
    assert not cv2.imread(str(tmp_path / "out" / "dark_mask.png"), -1).any()


@pytest.mark.parametrize("output", DEFAULTS)
def test_only_what_is_asked_for_is_written(model, tmp_path, output):
    image = write_bars(tmp_path / "a.png")
    assert predict([image], tmp_path / "out", model, outputs=[output]) == 0
    assert names(tmp_path / "out") == ["a" + OUTPUTS[output].suffix]


def test_folders_are_mirrored(model, tmp_path, capsys):
    folder = tmp_path / "in"
    for name in ("b.PNG", "site1/a.png", "site2/deep/a.png", ".hidden.png", ".cache/a.png"):
        write_bars(folder / name)
    (folder / "notes.txt").write_text("no radiograph")
    assert predict([folder], folder / "out", model, outputs=["mask"]) == 0
    expected = ["b_mask.png", "site1/a_mask.png", "site2/deep/a_mask.png", "summary.csv"]
    assert names(folder / "out") == expected
    # A second run does not take the results of the first for radiographs.
    assert predict([folder], folder / "out", model, outputs=["mask"], progress=False) == 0
    assert names(folder / "out") == expected


def test_a_refused_radiograph_gets_only_its_reason(model, tmp_path, capsys):
    good, bad = write_bars(tmp_path / "good.png"), write_bars(tmp_path / "bad.png")
    assert predict([good, bad], tmp_path / "out", model) == 0
    bad.write_bytes(bad.read_bytes()[:100])
    capsys.readouterr()
    assert predict([good, bad], tmp_path / "out", model, progress=False) == 1
    assert names(tmp_path / "out") == ["bad.json", "good.json", "good_labels.png", "good_mask.png", "good_overlay.png"]
    content = json.loads((tmp_path / "out" / "bad.json").read_text())
    assert content["status"] == "refused"
    assert "bad.png: the PNG file is truncated" in content["reason"]
    assert "clavicles" not in content and content["note"] == NOTE
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1 and "bad.png" in errors[0]


def test_a_refusal_does_not_outlive_success(model, tmp_path):
    image, out = tmp_path / "a.png", tmp_path / "out"
    image.write_bytes(b"no image")
    assert predict([image], out, model) == 2
    assert names(out) == ["a.json"]
    write_bars(image)
    assert predict([image], out, model, outputs=["mask"]) == 0
    assert names(out) == ["a_mask.png"]


def test_a_json_of_the_users_own_stays(model, tmp_path):
    image = write_bars(tmp_path / "a.png")
    (tmp_path / "a.json").write_text('{"status": "refused"}')
    assert predict([image], tmp_path, model, outputs=["mask"]) == 0
    assert names(tmp_path) == ["a.json", "a.png", "a_mask.png"]


def test_mistakes_are_found_before_work_starts(model, tmp_path):
    image, out = write_bars(tmp_path / "in" / "a.png"), tmp_path / "out"
    shutil.copy(image, tmp_path / "in" / "a.jpg")
    (tmp_path / "empty").mkdir()
    mistakes = [
        ([tmp_path / "none.png"], {}, "none.png: no such file or folder"),
        ([tmp_path / "empty"], {}, "empty: found no radiographs"),
        ([], {}, "at least one path"),
        ([image], {"outputs": ["mask", "video"]}, "found video, expected some of mask, labels, overlay, json"),
        ([image], {"outputs": []}, "outputs: found none"),
        ([tmp_path / "in"], {}, "a.jpg and .*a.png would both write .*a_mask.png"),
        ([image, image], {}, "would both write"),
        ([image], {"model": tmp_path / "none.tflite"}, "none.tflite: model not found"),
    ]
    for paths, options, message in mistakes:
        with pytest.raises(InputError, match=message):
            predict(paths, out, **{"model": model, **options})
    assert not out.exists()


def test_radiographs_are_never_overwritten(tmp_path):
    write_bars(tmp_path / "a.png"), write_bars(tmp_path / "a_mask.png")
    with pytest.raises(InputError, match="a.png: its result would overwrite the radiograph .*a_mask.png"):
        plan([tmp_path / "a.png", tmp_path / "a_mask.png"], tmp_path)
    with pytest.raises(InputError, match="among the radiographs"):
        plan([tmp_path], tmp_path)


def test_a_file_in_the_place_of_the_folder(model, tmp_path):
    image = write_bars(tmp_path / "a.png")
    with pytest.raises(InputError, match="a.png: the folder cannot be made"):
        predict([image], image, model)


LIGHT = """
import sys
from crass_tf.prediction import predict
assert predict([sys.argv[1]], sys.argv[2], sys.argv[3]) == 0
heavy = {"tensorflow", "keras", "tensorflow_datasets", "jax", "tqdm", "pydicom", "SimpleITK"}
heavy &= {name.split(".")[0] for name in sys.modules}
assert not heavy, heavy
"""


def test_a_tflite_needs_neither_tensorflow_nor_keras(model, tmp_path):
    image = write_bars(tmp_path / "a.png")
    command = [sys.executable, "-c", LIGHT, str(image), str(tmp_path / "out"), str(model)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(names(tmp_path / "out")) == 4
