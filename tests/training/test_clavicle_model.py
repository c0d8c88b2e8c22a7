"""A clavicle model is two runs in one, saved as one model."""

import keras
import numpy as np
import pytest
from refusals import refuses

from crass_tf.commands import train
from crass_tf.commands.evaluate import find_model
from crass_tf.inference.segmenter import Segmenter
from crass_tf.model import networks
from crass_tf.training.checkpoints import read_rows
from crass_tf.training.presets import PRESETS
from crass_tf.training.settings import Settings

SMALL = dict(config="native", filters=(4, 4, 4), epochs=2, batch_size=2, jit_compile=False, augmentation=None)
NETWORKS = (Settings(**SMALL, image_size=(32, 32), view="sides"), Settings(**SMALL, image_size=(32, 64), view="strip"))


@pytest.fixture(scope="module")
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "clavicles", NETWORKS)
        patch.setattr(train, "tensorboard", lambda *_: [])
        yield


@pytest.fixture(scope="module")
def run(small, prepared, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    train.train(run, prepared, preset="clavicles")
    return run


def test_a_run_holds_both_networks_and_the_model_of_them(run, assert_same_weights):
    model = keras.saving.load_model(run / "model.keras")
    assert [network.input_shape for network in networks(model).values()] == [(None, 32, 32, 1), (None, 32, 64, 1)]
    for name, network in networks(model).items():
        assert_same_weights(network, run / name / "model.keras")
    rows = [(row["network"], row["epoch"]) for row in read_rows(run)]
    assert rows == [("finder", "1"), ("finder", "2"), ("outliner", "1"), ("outliner", "2")]
    assert find_model(run).settings.view == "strip"
    assert Segmenter.load(run / "model.keras").image_size == (1024, 1024)


def test_a_finished_run_is_not_overwritten_and_resuming_it_changes_nothing(run, prepared, assert_same_weights):
    refuses("run/finder: found a run already", train.train, run, prepared, preset="clavicles")
    before = (run / "history.csv").read_text()
    model = keras.saving.load_model(run / "model.keras")
    train.train(run, prepared, preset="clavicles", resume=True)
    assert (run / "history.csv").read_text() == before
    assert_same_weights(model, run / "model.keras")


def test_resuming_between_the_networks(run, prepared, tmp_path, assert_same_weights):
    """Killed after the finder: what follows is the same as without."""
    other = tmp_path / "other"
    train.train_network(other / "finder", prepared, NETWORKS[0])
    train.train(other, prepared, preset="clavicles", resume=True)
    assert_same_weights(other / "model.keras", run / "model.keras")


def test_starting_from_a_clavicle_model(run, prepared, tmp_path):
    train.train(tmp_path / "tuned", prepared, preset="clavicles", init=run / "model.keras", learning_rate=1e-9)
    before, after = (keras.saving.load_model(folder / "model.keras") for folder in (run, tmp_path / "tuned"))
    for found, expected in zip(after.trainable_weights, before.trainable_weights):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_mistakes(small, prepared, tmp_path):
    for preset, options, message in (
        ("best", {}, "preset: found 'best', expected one of unet, clavicles"),
        ("clavicles", {"image_size": (64, 64)}, "image_size: found one for preset 'clavicles'"),
        ("clavicles", {"resume": True}, "found no run to resume"),
    ):
        refuses(message, train.train, tmp_path / "run", prepared, preset=preset, **options)
    assert not (tmp_path / "run").exists()
