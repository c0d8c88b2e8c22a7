"""What `crass-tf evaluate` scores: models of which every IoU on the data set `two_folds` is known."""

import json
import shutil

import pytest
from folders import table
from refusals import refuses

from crass_tf.commands import evaluate
from crass_tf.commands.evaluate import evaluate_models
from crass_tf.training.settings import Settings

# Half of a mask's pixels have grey 100, half 200, the ground 40 at most: from which grey on a model finds clavicle.
WHOLE, HALF = 50, 150


@pytest.fixture
def make_run(threshold_model):
    """A function that writes a run's folder: its model's IoU is 1 with WHOLE and 0.5 with HALF."""

    def make_run(folder, threshold, fold=None, held_out=None, dataset="two_folds"):
        splits = {"split": "fold1+fold2", "validation_split": None if fold else "fold2"}
        Settings(dataset=dataset, **splits, fold=fold, held_out=held_out and (*held_out,)).save(folder)
        threshold_model(threshold).save(folder / "model.keras")
        return folder

    return make_run


@pytest.fixture
def runs(tmp_path, make_run):
    """Two runs, of which the first finds all of a and f, the second half of b, c and g."""
    return [make_run(tmp_path / "one", WHOLE, "1/2", "af"), make_run(tmp_path / "two", HALF, "2/2", "bcg")]


def scored(out):
    return {row["image_id"]: row for row in table(out / "per_image.csv")}


def test_runs_are_pooled(tmp_path, two_folds, runs):
    out = tmp_path / "scores"
    metrics = evaluate_models(runs[::-1], out, two_folds)
    assert json.loads((out / "metrics.json").read_text()) == metrics
    # IoU 1, 1, 0.5, 0.5, 0.5: mean 3.5 / 5, deviations 0.3 twice and -0.2 three times.
    assert metrics["n"] == 5 and metrics["iou"]["mean"] == pytest.approx(0.7)
    assert metrics["iou"]["std"] == pytest.approx(((2 * 0.09 + 3 * 0.04) / 5) ** 0.5)
    assert (metrics["dataset"], metrics["split"]) == ("two_folds", "fold 2/2, 1/2 of fold1+fold2")
    assert metrics["extent"] == "scr"
    first, second = metrics["runs"]
    assert (first["model"], first["fold"], first["n"]) == (str(runs[0] / "model.keras"), "1/2", 2)
    assert (second["model"], second["fold"], second["n"]) == (str(runs[1] / "model.keras"), "2/2", 3)
    assert (first["iou"]["mean"], first["iou"]["std"]) == (1, 0)
    assert second["iou"]["mean"] == second["iou"]["ci95"][1] == 0.5
    rows = scored(out)
    whole, half = ("1/2", 1), ("2/2", 0.5)
    found = {name: (row["fold"], float(row["iou"])) for name, row in rows.items()}
    assert found == {"a": whole, "b": half, "c": half, "f": whole, "g": half}
    assert rows["g"]["model"] == str(runs[1] / "model.keras")
    page = (out / "report.html").read_text(encoding="utf-8").replace("\n", "")
    assert f'<td class="figure">1/2</td><td>{runs[0]}/model.keras</td><td class="figure">2</td>' in page
    assert '>3</td><td class="figure">0.500 ± 0.000</td><td class="figure">0.500 to 0.500</td>' in page


def test_one_run_is_scored_on_what_it_held_out(tmp_path, two_folds, runs):
    for number, model in enumerate((runs[1], runs[1] / "model.keras")):
        metrics = evaluate_models([model], tmp_path / str(number), two_folds)
        assert (metrics["n"], metrics["iou"]["mean"]) == (3, 0.5)
        assert (metrics["model"], metrics["split"]) == (str(runs[1] / "model.keras"), "fold 2/2 of fold1+fold2")
        assert "runs" not in metrics
        assert "Runs" not in (tmp_path / str(number) / "report.html").read_text()
        rows = scored(tmp_path / str(number))
        assert [*rows] == ["b", "c", "g"] and "fold" not in rows["b"]


def test_a_named_split_and_a_named_data_set_outrank_the_recorded_ones(tmp_path, two_folds, runs, make_run):
    metrics = evaluate_models([runs[0]], tmp_path / "scores", two_folds, split="fold2")
    assert (metrics["split"], metrics["n"]) == ("fold2", 4) and [*scored(tmp_path / "scores")] == [*"efgh"]
    run = make_run(tmp_path / "run", WHOLE, "1/2", "ab", dataset="elsewhere")
    assert evaluate_models([run], tmp_path / "scores", two_folds, "two_folds")["n"] == 2


def test_without_a_fold_it_is_the_validation_split(tmp_path, two_folds, make_run):
    run = make_run(tmp_path / "run", HALF)
    model = shutil.copy(run / "model.keras", tmp_path / "other.keras")
    for number, (path, dataset) in enumerate([(run, None), (run, "two_folds"), (model, "two_folds")]):
        metrics = evaluate_models([path], tmp_path / str(number), two_folds, dataset)
        assert (metrics["dataset"], metrics["split"], metrics["n"]) == ("two_folds", "fold2", 4)


@pytest.fixture
def refused(tmp_path, two_folds, monkeypatch):
    """A function that returns why models are refused, before any of them is loaded and anything written."""

    class NeverLoaded:
        @staticmethod
        def load(*_):
            raise AssertionError("a model was loaded")

    monkeypatch.setattr(evaluate, "Segmenter", NeverLoaded)

    def refused(*models, **options):
        line = refuses(None, evaluate_models, models, tmp_path / "scores", two_folds, **options)
        assert not (tmp_path / "scores").exists()
        return line

    return refused


def test_runs_and_models_that_cannot_be_scored_together(tmp_path, refused, runs, make_run):
    third = make_run(tmp_path / "three", WHOLE, "1/3", "dg")
    said = f"g: held out by both {runs[1]}/model.keras and {third}/model.keras, expected every name once"
    assert refused(*runs, third) == said
    expected = "found no fold that it held out, expected only runs of crass-tf train --fold"
    run = make_run(tmp_path / "run", WHOLE)
    assert refused(runs[0], run) == f"{run}/model.keras: {expected}"
    model = shutil.copy(runs[1] / "model.keras", tmp_path / "copy.keras")
    assert refused(runs[0], model) == f"{model}: {expected}"
    assert refused(*runs, split="fold1") == "split: found 'fold1' and 2 models, expected one model, or no split"
    assert refused(*runs, perturb=True) == "perturb: found 2 models, expected one"
    other = make_run(tmp_path / "other", WHOLE, "1/2", "de", dataset="crass12")
    assert refused(runs[0], other).startswith("found runs on several data sets, crass12 and two_folds; expected one")
    assert refused(runs[0], tmp_path / "none") == f"{tmp_path}/none: model not found"
    (runs[1] / "model.keras").unlink()
    assert refused(runs[1]).startswith(f"{runs[1]}: found no model.keras, expected a finished run")


@pytest.mark.parametrize("several", [False, True])
def test_a_radiograph_that_the_data_set_lacks(tmp_path, refused, runs, several, make_run):
    run = make_run(tmp_path / "run", WHOLE, "1/2", "dxy")
    lacks = "two_folds/native, split fold1+fold2: lacks 2 of the 3 radiographs wanted, 'x' first"
    assert refused(*runs[:several], run) == f"{run}/model.keras, fold 1/2 of fold1+fold2: {lacks}"
