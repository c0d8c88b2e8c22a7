import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import crass_tf
from crass_tf import cli
from crass_tf.commands.benchmark import RADIOGRAPHS
from crass_tf.phantom import DEFAULT_COUNT, DEFAULT_SIZE
from crass_tf.prediction.outputs import OUTPUTS
from crass_tf.radiographs.formats.png import write_png
from crass_tf.training.presets import PRESETS

DEFAULTS = {"phantom": (DEFAULT_COUNT, DEFAULT_SIZE), "benchmark": (RADIOGRAPHS,)}


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_says_what_it_is_not_and_names_defaults_and_outputs(capsys, command):
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert "not a medical device" in " ".join(said.split())
    assert all(f"(default: {default})" in said for default in DEFAULTS.get(command, ()))
    assert command != "predict" or all(output in said for output in OUTPUTS)


def test_version(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"crass-tf {crass_tf.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["predikt"], "predikt"),
        (["train", "--out", "run", "--epochs", "many"], "--epochs"),
        (["build", "--manual-dir", ".", "--spacing-mm", "0"], "R,C"),
        (["build", "--manual-dir", ".", "--spacing-mm", "0.2,0.3,0.4"], "R,C"),
        (["predict", "a.png", "--out", "masks", "--spacing-mm", "1e-9"], "from 0.01 to 20"),
        (["predict", "a.png", "--out", "masks", "--spacing-mm", "0.1,2"], "one at most 10 times the other"),
        (["train", "--out", "run", "--image-size", "big"], "HxW"),
        (["train", "--out", "run", "--fold", "6/5"], "argument --fold: found '6/5', expected NUMBER/K"),
        (["phantom", "--out", "there", "--count", "0"], "count"),
        (["predict", "", "--out", "masks"], "path: found an empty path"),
        (["predict", "no-such.png", "--out", ""], "out: found an empty path"),
        (["predict", "\x1b[31m.png", "--out", "masks"], "error: ?[31m.png: no such file or folder"),
        (["predict", "a.png", "--out", "masks", "--threads", "0"], "found '0', expected a whole number above 0"),
        (["predict", "a.png", "--out", "masks", "--threads", "x"], "found 'x', expected a whole number above 0"),
        (["build", "--manual-dir", "no-such"], "no-such"),
        (["check", "no-such", "--out", "checked"], "no-such: folder not found"),
        (["train", "--data-dir", "no-such", "--out", "run"], "crass-tf build --manual-dir FOLDER --data-dir no-such"),
        (["export", "no-such.keras", "--out", "export"], "no-such.keras"),
        (["train", "--data-dir", "no-such", "--out", "run", "--epochs", "0"], "epochs"),
        (["train", "--data-dir", "no-such", "--out", "run", "--learning-rate", "nan"], "learning_rate: found nan"),
        (["train", "--data-dir", "no-such", "--out", "run", "--seed", str(2**63)], "seed: found"),
        (["propose", "no-such", "--out", "proposals", "--least", "nan"], "least: found nan"),
        (["predict", "no-such", "--out", "masks", "--input", "dicom"], "--input: needs --runner"),
        (["predict", "no-such", "--out", "masks", "--dicomweb", "--shards", "2"], "--shards: needs --runner"),
    ],
)
def test_mistake_is_one_line_and_exit_code_2(run, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    code, lines = run(*arguments)
    assert code == 2
    assert len(lines) == 1 and named in lines[0]
    assert list(tmp_path.iterdir()) == []


def test_spacing_and_size_take_one_number_or_two():
    assert cli.spacing("0.25") == (0.25, 0.25)
    assert cli.spacing("0.25,0.3") == (0.25, 0.3)
    assert cli.size("512") == (512, 512)
    assert cli.size("512x256") == (512, 256)


def test_predict_with_a_litert_model_imports_nothing_heavy(tmp_path, litert_model, run_python):
    write_png(tmp_path / "radiograph.png", np.full((40, 50), 90, np.uint8))
    script = "import sys; from crass_tf.cli import main; code = main(sys.argv[1:]); "
    script += "heavy = {'tensorflow', 'keras', 'tensorflow_datasets', 'jax'} & set(sys.modules); "
    script += "assert not heavy, heavy; sys.exit(code)"
    arguments = ["predict", tmp_path / "radiograph.png", "--model", litert_model, "--out", tmp_path / "masks"]
    run_python(script, *arguments)
    found = json.loads((tmp_path / "masks" / "radiograph.json").read_text())
    assert found["image"].endswith("radiograph.png")


def test_evaluate_and_train_with_init_by_command(run, capsys, tmp_path, monkeypatch, prepared, litert_model):
    monkeypatch.setitem(PRESETS, "unet", (dataclasses.replace(*PRESETS["unet"], filters=(4, 8, 8)),))
    arguments = ["evaluate", litert_model, "--data-dir", prepared, "--out", tmp_path / "scores"]
    assert cli.main([str(argument) for argument in arguments]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 radiographs: IoU 0.") and said.endswith(f"; wrote {tmp_path}/scores/report.html\n")
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert (metrics["dataset"], metrics["split"], metrics["n"]) == ("crass12", "validation", 2)
    train = ["train", "--data-dir", prepared, "--out", tmp_path / "run", "--config", "64x64", "--epochs", 1, "--no-xla"]
    assert run(*train)[0] == 0
    again = [*train[:4], tmp_path / "second", *train[5:], "--init", tmp_path / "run" / "model.keras"]
    assert run(*again, "--split", "train+validation", "--fold", "1/3")[0] == 0
    assert (tmp_path / "second" / "logs" / "validation").is_dir()
    code, lines = run(*train)
    assert code == 2 and "--resume" in lines[-1]
    held_out = json.loads((tmp_path / "second" / "settings.json").read_text())["held_out"]
    assert run("evaluate", tmp_path / "second", *arguments[2:])[0] == 0
    rows = (tmp_path / "scores" / "per_image.csv").read_text().splitlines()[1:]
    # Eight phantoms in three folds: 3, 3, 2.
    assert [row.split(",")[0] for row in rows] == held_out and len(held_out) == 3


def test_opencv_without_a_library_of_the_system_is_one_line(tmp_path):
    (tmp_path / "cv2").mkdir()
    text = "libGL.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "cv2/__init__.py").write_text(f"raise ImportError({text!r})")
    command = [sys.executable, "-m", "crass_tf", "predict", "a.png", "--out", str(tmp_path / "out")]
    path = os.pathsep.join([str(tmp_path), *sys.path])
    found = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert found.returncode == 2 and len(found.stderr.splitlines()) == 1
    for words in ("needs libGL.so.1", "apt-get install libgl1", "pip install opencv-python-headless"):
        assert words in found.stderr


def test_predict_needs_no_module_of_posix(run_python):
    code = "import sys; sys.modules.update(fcntl=None, resource=None); import crass_tf.prediction, "
    code += "crass_tf.data.building, crass_tf.data.loading, crass_tf.check, crass_tf.common.files"
    run_python(code)


@pytest.mark.parametrize("buffered", ["", "1"])
def test_what_is_printed_and_nobody_takes_costs_no_stack_trace(dummy_data, buffered):
    command = [sys.executable, "-m", "crass_tf", "check", str(dummy_data)]
    environment = os.environ | {"PYTHONUNBUFFERED": buffered}
    reader, writer = os.pipe()
    os.close(reader)
    gone = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=environment, text=True)
    os.close(writer)
    assert gone.returncode == 141 and "Error" not in gone.stderr and "Exception" not in gone.stderr
    with pathlib.Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=environment, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "crass-tf: error: the output: No space left on device"
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


def test_extents_are_of_clavicle_models(run, dummy_data, litert_model, tmp_path):
    image = dummy_data / "CRASS12/image/0001.PNG"
    code, lines = run("predict", image, "--out", tmp_path / "out", "--model", litert_model, "--extent", "crass")
    assert code == 2 and "extent: found 'crass' for a model of one mask, expected scr or a clavicle model" in lines[0]
