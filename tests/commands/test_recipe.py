"""From a folder to the artifact in one call, and again without doing anything twice."""

import pytest

from crass_tf.commands import recipe as recipes
from crass_tf.common.files import InputError
from crass_tf.inference.segmenter import Segmenter
from crass_tf.training.presets import PRESETS
from crass_tf.training.settings import Settings

SMALL = dict(config="native", filters=(4, 4, 4), epochs=1, batch_size=2, jit_compile=False, augmentation=None)
NETWORKS = (Settings(**SMALL, image_size=(32, 32), view="sides"), Settings(**SMALL, image_size=(32, 64), view="strip"))


def test_recipe(phantom_folder, tmp_path, monkeypatch, capsys):
    for name in ("phantoms", "tuned"):
        monkeypatch.setitem(PRESETS, name, NETWORKS)
    monkeypatch.setattr(recipes, "PHANTOM_SIZE", 64)
    # Trained for one epoch it finds nothing to calibrate the export on.
    monkeypatch.setattr(recipes, "export_from", lambda model, out, *_, **__: print("exported", model, out))
    # As a call leaves it that is killed before the first epoch has ended.
    (tmp_path / "phantom_run" / "finder" / "checkpoints").mkdir(parents=True)
    metrics = recipes.recipe(phantom_folder, tmp_path, phantoms=6)
    assert metrics["n"] == 2
    assert Segmenter.load(tmp_path / "run" / "model.keras").image_size == (1024, 1024)
    assert {path.name for path in tmp_path.iterdir()} == set(recipes.STEPS) - {"export"}
    assert f"exported {tmp_path}/run/model.keras {tmp_path}/export" in capsys.readouterr().out
    made = (tmp_path / "run" / "model.keras").stat().st_mtime_ns
    # What was trained is not trained again; what is missing is made.
    (tmp_path / "evaluation" / "metrics.json").unlink()
    assert recipes.recipe(phantom_folder, tmp_path, phantoms=6) == metrics
    assert (tmp_path / "run" / "model.keras").stat().st_mtime_ns == made


def test_a_model_to_tune_has_to_be_there(phantom_folder, tmp_path):
    with pytest.raises(InputError, match="none.keras: file not found, expected a .keras clavicle model to tune"):
        recipes.recipe(phantom_folder, tmp_path, init=tmp_path / "none.keras")


def test_what_is_missing_is_said_before_any_work(phantom_folder, tmp_path):
    for arguments, message in (
        ({"manual_dir": tmp_path / "none"}, "none: "),
        ({"unlabelled": [tmp_path / "more"]}, "more: no such file or folder"),
        ({"unlabelled": [phantom_folder], "drop": tmp_path / "drop.txt"}, "drop.txt: cannot be opened"),
    ):
        with pytest.raises(InputError, match=message):
            recipes.recipe(**{"manual_dir": phantom_folder, "out": tmp_path / "out"} | arguments)
        assert not (tmp_path / "out").exists()
