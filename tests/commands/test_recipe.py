"""From a folder to the artifact in one call, and again without doing anything twice."""

import numpy as np
import pytest
from metaimages import write_mhd
from refusals import refuses

from crass_tf.commands import recipe as recipes
from crass_tf.inference.segmenter import Segmenter
from crass_tf.phantom import write_folder
from crass_tf.training.presets import PRESETS
from crass_tf.training.settings import Settings

SMALL = dict(config="native", filters=(4, 4, 4), epochs=1, batch_size=2, jit_compile=False, augmentation=None)
NETWORKS = (Settings(**SMALL, image_size=(32, 32), view="sides"), Settings(**SMALL, image_size=(32, 64), view="strip"))


def test_recipe(phantom_folder, tmp_path, monkeypatch, capsys):
    for name in ("phantoms", "from-phantoms"):
        monkeypatch.setitem(PRESETS, name, NETWORKS)
    monkeypatch.setattr(recipes, "PHANTOM_SIZE", 64)
    # Trained for one epoch it finds nothing to calibrate the export on.
    monkeypatch.setattr(recipes, "export_from", lambda model, out, *_, **__: print("exported", model, out))
    # As a call leaves it that is killed before the first epoch has ended.
    (tmp_path / "phantom_run" / "finder" / "checkpoints").mkdir(parents=True)
    metrics = recipes.recipe(phantom_folder, tmp_path, phantoms=6)
    assert metrics["n"] == 2
    assert Segmenter.load(tmp_path / "run" / "model.keras").image_size == (1024, 1024)
    assert {path.name for path in tmp_path.iterdir()} == {*recipes.STEPS, recipes.FILE_NAME} - {"export"}
    assert f"exported {tmp_path}/run/model.keras {tmp_path}/export" in capsys.readouterr().out
    made = (tmp_path / "run" / "model.keras").stat().st_mtime_ns
    # What was trained is not trained again; what is missing is made.
    (tmp_path / "evaluation" / "metrics.json").unlink()
    assert recipes.recipe(phantom_folder, tmp_path, phantoms=6) == metrics
    assert (tmp_path / "run" / "model.keras").stat().st_mtime_ns == made


def test_a_folder_of_another_recipe_is_refused(phantom_folder, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(recipes, "_train_on_phantoms", stop)
    for name in ("other", "more"):
        write_folder(tmp_path / name, 3, 9, 64, workers=1)
    (tmp_path / "model.keras").touch()
    same = {"manual_dir": phantom_folder, "out": tmp_path / "out", "phantoms": 6}
    more = {"unlabelled": [tmp_path / "more"]}
    for arguments in (same, same, same | more, same):
        with pytest.raises(KeyboardInterrupt):
            recipes.recipe(**arguments)
    for changes, name in (
        ({"manual_dir": tmp_path / "other"}, "manual_dir"),
        ({"seed": 1}, "seed"),
        ({"phantoms": 8}, "phantoms"),
        ({"init": tmp_path / "model.keras"}, "phantoms, init"),
        ({"unlabelled": [tmp_path / "other"]}, "unlabelled"),
    ):
        expected = f"out: found steps of a recipe with another {name}; name another folder"
        refuses(expected, recipes.recipe, **same | changes)


def test_what_is_missing_is_said_before_any_work(phantom_folder, tmp_path):
    # The original release: proposals, which are PNG files, cannot join it.
    release = tmp_path / "release/CRASS12"
    for name, split in (("a", "train.txt"), ("b", "val.txt")):
        for part in ("data_train", "mask_mhd"):
            write_mhd(release / part / f"{name}.mhd", np.ones((8, 8), np.uint8))
        (release / split).write_text(name)
    for arguments, message in (
        ({"manual_dir": tmp_path / "none"}, "none: "),
        ({"init": tmp_path / "a.keras"}, "a.keras: file not found, expected a .keras clavicle model to tune"),
        ({"unlabelled": [phantom_folder], "manual_dir": tmp_path / "release"}, "expected the PNG layout of crass12"),
        ({"unlabelled": [tmp_path / "more"]}, "more: no such file or folder"),
        ({"phantoms": 1}, "phantoms: found 1"),
        ({"seed": -1}, "seed: found -1"),
    ):
        refuses(message, recipes.recipe, **{"manual_dir": phantom_folder, "out": tmp_path / "out"} | arguments)
        assert not (tmp_path / "out").exists()


def test_proposals_and_phantoms_join_the_data_set(phantom_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(recipes, "PHANTOMS_AGAIN", 2)
    for name, seed in (("proposals", 5), ("phantoms", 6)):
        write_folder(tmp_path / name, 4, seed, 64)
    folders = [folder / "CRASS12" for folder in (phantom_folder, tmp_path / "proposals", tmp_path / "phantoms")]
    for path in folders[1].glob("*/*.PNG"):
        path.rename(path.with_name(path.name.replace("phantom", "clinic")))
    # Of four proposals the name of one that looked wrong was removed.
    kept = sorted(path.stem for path in folders[1].glob("image/*.PNG"))[1:]
    (folders[1] / "train.txt").write_text("\n".join(kept))
    (folders[1] / "val.txt").write_text("")
    recipes._join(phantom_folder, tmp_path)
    own, _, phantoms = ((folder / "train.txt").read_text().split() for folder in folders)
    names = [*own, *(f"{name}_again" for name in own), *kept, *(f"{name}_drawn" for name in phantoms[:2])]
    both = tmp_path / "both" / "CRASS12"
    assert (both / "train.txt").read_text().split() == names
    assert (both / "val.txt").read_text() == (folders[0] / "val.txt").read_text()
    for part in ("image", "mask"):
        assert (both / part / f"{kept[0]}.png").read_bytes() == (folders[1] / part / f"{kept[0]}.PNG").read_bytes()
    # Another list than the one that was learned from is not passed over.
    recipes._join(phantom_folder, tmp_path)
    (folders[1] / "train.txt").write_text(kept[0])
    expected = "found other radiographs than these; remove both, both_data, both_run"
    refuses(expected, recipes._join, phantom_folder, tmp_path)
