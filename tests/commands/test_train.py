"""What a run is trained on and what it watches, read off the grounds' grey of the data set `two_folds`."""

import json

import numpy as np
import pytest
from refusals import refuses

from crass_tf.commands import train as running
from crass_tf.data import folds
from crass_tf.training.settings import Settings

NAMES = "abcdefgh"
FOLD = dict(fold="1/2", held_out=("a",))
DATA = dict(dataset="two_folds", config="native", image_size=(64, 64), augmentation=None)
SMALL = DATA | dict(filters=(4, 4, 4), epochs=1, batch_size=1, jit_compile=False)


@pytest.fixture
def train(two_folds, tmp_path, monkeypatch):
    """A function that returns `(settings, names trained on, names watched)` of a run, without the run."""
    found = []

    def fit(batches_from, validation, steps, run, settings, **kwargs):
        trained = [name for images, _ in batches_from(0) for name in names(images)]
        assert len(trained) == steps
        found.append((settings, sorted(trained), [name for images, _ in validation for name in names(images)]))

    monkeypatch.setattr(running, "fit", fit)
    monkeypatch.setattr(running, "tensorboard", lambda *_: [])

    def train(**options):
        running.train(tmp_path / "run", two_folds, **SMALL | options)
        return found.pop()

    return train


def names(images):
    """The ground of image number n is 5 n."""
    return [NAMES[int(ground) // 5 - 1] for ground in np.asarray(images)[:, 0, 0, 0]]


def test_default_splits_are_first_and_last_and_others_can_be_chosen(train, capsys):
    settings, trained, watched = train()
    assert (trained, sorted(watched)) == ([*"abcd"], [*"efgh"])
    assert (settings.split, settings.validation_split) == ("fold1", "fold2")
    assert settings.fold is None and settings.held_out is None
    assert "note" not in capsys.readouterr().out, "they share nothing"
    settings, trained, watched = train(split="fold1+fold2", validation_split="fold1[:2]")
    assert trained == [*NAMES] and len(watched) == 2
    assert (settings.split, settings.validation_split) == ("fold1+fold2", "fold1[:2]")
    assert "note: 2 radiographs are in both fold1+fold2 and fold1[:2]" in capsys.readouterr().out


@pytest.mark.parametrize("number", [1, 2, 3])
def test_fold_is_held_out_of_training_and_watched(train, capsys, number):
    settings, trained, watched = train(split="fold1+fold2", fold=f"{number}/3")
    expected = folds(NAMES, 3)[number - 1]
    assert sorted(watched) == expected and list(settings.held_out) == expected
    assert trained == sorted(set(NAMES) - set(expected))
    assert (settings.fold, settings.split, settings.validation_split) == (f"{number}/3", "fold1+fold2", None)
    # Eight in three folds: 3, 3, 2.
    held_out = (3, 3, 2)[number - 1]
    said = f"fold {number}/3 of fold1+fold2: {held_out} held out, {8 - held_out} to train on\n"
    assert capsys.readouterr().out == said


def test_fold_of_the_default_split(train):
    settings, trained, watched = train(fold="2/2")
    assert settings.split == "fold1"
    assert sorted(watched) == folds("abcd", 2)[1] and sorted(trained + watched) == [*"abcd"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(fold="1/2", validation_split="fold2"), "validation_split: found 'fold2' beside fold '1/2'"),
        (dict(fold="1/5"), "folds: found 5, expected 2 to 4"),
        (dict(split="train"), "two_folds/native: found no split 'train'"),
        (dict(validation_split="train"), "two_folds/native: found no split 'train'"),
    ],
)
def test_mistakes(train, options, message):
    refuses(message, train, **options)


@pytest.fixture(scope="module")
def run(two_folds, tmp_path_factory):
    """A real run that held out the second of two folds of `fold1`."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    running.train(folder, two_folds, **SMALL, fold="2/2")
    return folder


def test_resuming_with_another_fold_is_refused(run, two_folds):
    assert Settings.load(run).held_out == tuple(folds("abcd", 2)[1])
    expected = "settings other than the run's: fold: 1/2, not 2/2; held_out: other radiographs$"
    refuses(expected, running.train, run, two_folds, **SMALL, fold="1/2", resume=True)


def test_settings_of_older_runs(tmp_path):
    Settings(seed=3).save(tmp_path)
    path = tmp_path / "settings.json"
    older = json.loads(path.read_text()) | {"class_weight": None}
    for name in ("split", "validation_split", "fold", "held_out"):
        del older[name]
    path.write_text(json.dumps(older))
    assert Settings.load(tmp_path).differences(Settings(seed=3, split="train", validation_split="validation")) == []


@pytest.mark.parametrize(
    "part", [dict(fold="1/2", validation_split=None), dict(held_out=("a",), validation_split=None), FOLD]
)
def test_half_a_fold_is_refused(part):
    refuses("only part of a fold's settings", Settings, **part)


def test_refused_settings_leave_no_logs(two_folds, tmp_path):
    expected = "batch_size: found 1, expected a multiple of 2"
    refuses(expected, running.train, tmp_path / "run", two_folds, **SMALL, devices=2)
    assert not list((tmp_path / "run").rglob("*.v2"))
