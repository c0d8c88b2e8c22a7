"""A cascade is two runs in one, saved as one model."""

import csv

import keras
import numpy as np
import pytest

from crass_tf.evaluation.running import find_model
from crass_tf.files import InputError
from crass_tf.model import parts
from crass_tf.segmenter import Segmenter
from crass_tf.training import running
from crass_tf.training.presets import PRESETS
from crass_tf.training.settings import Settings

SMALL = dict(
    config="native", filters=(4, 4, 4, 4, 4), epochs=2, batch_size=2, learning_rate=1e-2, jit_compile=False,
    augmentation=None,
)  # fmt: skip
NETWORKS = (Settings(**SMALL, image_size=(32, 32)), Settings(**SMALL, image_size=(32, 64), view="strip"))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setitem(PRESETS, "cascade", NETWORKS)
    monkeypatch.setattr(running, "tensorboard", lambda *_: [])


@pytest.fixture
def run(small, prepared, tmp_path):
    running.train(tmp_path / "run", prepared, preset="cascade")
    return tmp_path / "run"


def test_a_run_holds_both_networks_and_the_cascade(run, prepared):
    model = keras.saving.load_model(run / "model.keras")
    assert [network.input_shape for network in parts(model)] == [(None, 32, 32, 1), (None, 32, 64, 1)]
    for name, network in zip(("locate", "segment"), parts(model)):
        alone = keras.saving.load_model(run / name / "model.keras").get_weights()
        for found, expected in zip(network.get_weights(), alone):
            np.testing.assert_array_equal(found, expected)
    with (run / "history.csv").open(newline="") as file:
        rows = [(row["network"], row["epoch"]) for row in csv.DictReader(file)]
    assert rows == [("locate", "1"), ("locate", "2"), ("segment", "1"), ("segment", "2")]
    assert find_model(run).settings.view == "strip"
    assert Segmenter.load(run / "model.keras").strip_size == (32, 64)


def test_a_finished_run_is_not_overwritten_and_resuming_it_changes_nothing(run, prepared):
    with pytest.raises(InputError, match="run/locate: found a run already"):
        running.train(run, prepared, preset="cascade")
    before = (run / "history.csv").read_text()
    weights = keras.saving.load_model(run / "model.keras").get_weights()
    running.train(run, prepared, preset="cascade", resume=True)
    assert (run / "history.csv").read_text() == before
    for found, expected in zip(keras.saving.load_model(run / "model.keras").get_weights(), weights):
        np.testing.assert_array_equal(found, expected)


def test_resuming_between_the_networks(run, prepared, tmp_path):
    """Killed after the locator: what follows is the same as without."""
    other = tmp_path / "other"
    running.train_network(other / "locate", prepared, NETWORKS[0])
    running.train(other, prepared, preset="cascade", resume=True)
    weights = (keras.saving.load_model(folder / "model.keras").get_weights() for folder in (run, other))
    for found, expected in zip(*weights):
        np.testing.assert_array_equal(found, expected)


def test_starting_from_a_cascade(run, prepared, tmp_path):
    running.train(tmp_path / "tuned", prepared, preset="cascade", init=run / "model.keras", learning_rate=1e-9)
    before, after = (keras.saving.load_model(folder / "model.keras") for folder in (run, tmp_path / "tuned"))
    for found, expected in zip(after.trainable_weights, before.trainable_weights):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_mistakes(small, prepared, tmp_path):
    with pytest.raises(InputError, match="preset: found 'best', expected one of unet, cascade"):
        running.train(tmp_path / "run", prepared, preset="best")
    with pytest.raises(InputError, match="image_size: found one for preset 'cascade'"):
        running.train(tmp_path / "run", prepared, preset="cascade", image_size=(64, 64))
    with pytest.raises(InputError, match="found no run to resume"):
        running.train(tmp_path / "run", prepared, preset="cascade", resume=True)
    assert not (tmp_path / "run").exists()
