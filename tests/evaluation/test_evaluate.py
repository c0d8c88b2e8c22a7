import itertools
import json
import math
import re
import types
import weakref

import cv2
import numpy as np
import pytest
from drawn import mask_of
from folders import table
from refusals import refuses
from streamed import one_at_a_time

from crass_tf.common.files import InputError
from crass_tf.common.notice import NOTICE
from crass_tf.data.loading import Example
from crass_tf.evaluation import Run, evaluate, evaluate_runs
from crass_tf.evaluation.records import make_record, statistics, summarise
from crass_tf.evaluation.report import extent_fact, pick
from crass_tf.geometry import split_sides


class Prepared:
    """A segmenter that returns prepared masks, by the radiographs' names."""

    extent = "crass"

    def __init__(self, masks, labels=None):
        self.masks, self.labels = masks, labels or {}

    def segment(self, radiograph):
        mask = self.masks[radiograph.source]
        return types.SimpleNamespace(mask=mask, labels=self.labels.get(radiograph.source, split_sides(mask)))


TRUTH = mask_of("........", "##....##", "##....##", "........")
# The image's right is the patient's left: half of the left clavicle is missed.
HALF_LEFT = mask_of("........", "##....##", "##......", "........")
EMPTY = mask_of(*["........"] * 4)
FIGURES = {"mean", "std", "median", "min", "max", "ci95", "undefined"}
MASKS = {"perfect": TRUTH, "half left": HALF_LEFT, "none": EMPTY}


def examples(names=MASKS, truth=TRUTH, spacing_mm=(0.5, 0.5)):
    grey = np.arange(truth.size, dtype=np.uint8).reshape(truth.shape)
    return [Example(name, grey, truth, spacing_mm) for name in names]


def run(out, segmenter=None, given=None, **options):
    given = examples() if given is None else given
    return evaluate(segmenter or Prepared(MASKS), given, out, progress=False, **options)


def rows(out):
    return {row["image_id"]: row for row in table(out / "per_image.csv")}


def test_metrics_json(tmp_path):
    metrics = run(tmp_path, model="model.keras", dataset="crass12", split="validation")
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert metrics["n"] == 3
    assert (metrics["model"], metrics["dataset"], metrics["split"]) == ("model.keras", "crass12", "validation")
    assert metrics["extent"] == "crass", "as the segmenter has it"

    # IoU 1, 6/8 and 0; Dice 1, 12/14 and 0.
    found = metrics["iou"]
    assert found["mean"] == pytest.approx(1.75 / 3)
    assert (found["median"], found["min"], found["max"], found["undefined"]) == (0.75, 0, 1, 0)
    # Deviations 5/12, 2/12 and -7/12: variance (25 + 4 + 49) / 144 / 3.
    assert found["std"] == pytest.approx(math.sqrt(78 / 432))
    assert metrics["dice"]["mean"] == pytest.approx((1 + 12 / 14) / 3)

    # All pixels are contour. Half left: 6 true pixels at 0 and 2 at 1 pixel, mean 1/4; back: 0. So 1/8 pixel of 0.5 mm.
    # 95th percentile of (0, 0, 0, 0, 0, 0, 1, 1): 1 pixel. Nothing predicted: undefined.
    found = metrics["mcd_mm"]
    assert (found["mean"], found["max"], found["min"], found["undefined"]) == (0.03125, 0.0625, 0, 1)
    found = metrics["hd95_mm"]
    assert (found["mean"], found["max"], found["undefined"]) == (0.25, 0.5, 1)

    # Left: IoU 1, 2/4, 0; Dice 1, 4/6, 0; distances 0 and (2/4 + 0) / 2 pixels. Right: 1, 1, 0 and distances 0.
    left, right = metrics["per_side"]["left"], metrics["per_side"]["right"]
    assert left["iou"]["mean"] == 0.5 and right["iou"]["mean"] == pytest.approx(2 / 3)
    assert left["dice"]["mean"] == pytest.approx((1 + 4 / 6) / 3)
    assert left["mcd_mm"]["max"] == 0.125 and right["mcd_mm"]["max"] == 0
    assert left["hd95_mm"]["undefined"] == right["hd95_mm"]["undefined"] == 1

    assert set(metrics["two_class"]) == {"miou", "mdice"}
    for group, name in itertools.product((metrics, left, right), ("iou", "dice", "mcd_mm", "hd95_mm")):
        assert set(group[name]) == FIGURES and len(group[name]["ci95"]) == 2
    # 96 pixels, 24 true, 8 + 6 + 0 predicted, all of them right; background: 72 true, 82 predicted, 72 in both.
    assert metrics["two_class"]["miou"] == pytest.approx((14 / 24 + 72 / 82) / 2)
    assert metrics["two_class"]["mdice"] == pytest.approx((28 / 38 + 144 / 154) / 2)


def test_confidence_interval_is_the_bootstrap_of_the_mean():
    values = [0.9, 0.7, 0.85, 0.2, 0.95]
    means = [np.mean(draw) for draw in np.random.default_rng(0).choice(np.array(values), (2000, 5))]
    assert statistics(values)["ci95"] == pytest.approx(list(np.percentile(means, [2.5, 97.5])))
    assert statistics([*values, None])["ci95"] == statistics(values)["ci95"], "undefined values are left out"
    assert statistics([0.5])["ci95"] == [0.5, 0.5]


def test_order_of_examples_does_not_matter_and_a_later_run_replaces_an_earlier_one(tmp_path):
    assert run(tmp_path / "a") == run(tmp_path / "b", given=examples()[::-1])
    for name in ("per_image.csv", "report.html"):
        assert (tmp_path / "a" / name).read_text() == (tmp_path / "b" / name).read_text()
    run(tmp_path / "a", given=examples(["perfect"]))
    assert {file.name for file in tmp_path.rglob("a/**/*.jpg")} == {"perfect.jpg"}
    left = {file.name for file in (tmp_path / "a").iterdir()}
    assert left == {"metrics.json", "per_image.csv", "report.html", "overlays"}


def test_per_image_csv_round_trip(tmp_path):
    run(tmp_path, given=examples(spacing_mm=(0.5, 0.3)))
    found = rows(tmp_path)
    assert list(found) == ["half left", "none", "perfect"]
    assert float(found["half left"]["iou"]) == 0.75
    assert float(found["half left"]["dice"]) == 12 / 14, "every digit survives"
    assert found["none"]["mcd_mm"] == found["none"]["hd95_mm"] == "", "undefined is an empty cell"
    assert float(found["half left"]["left_iou"]) == 0.5 and float(found["half left"]["right_iou"]) == 1
    # 8 and 6 pixels of 0.15 square millimetres.
    assert float(found["half left"]["area_gt_mm2"]) == pytest.approx(8 * 0.15)
    assert float(found["half left"]["area_pred_mm2"]) == pytest.approx(6 * 0.15)
    assert (found["half left"]["height"], found["half left"]["width"]) == ("4", "8")

    def value(text):
        return None if text == "" else float(text)

    records = [{k: v if k == "image_id" else value(v) for k, v in row.items()} for row in found.values()]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert summarise(records) == {k: v for k, v in metrics.items() if k not in ("model", "dataset", "split", "extent")}


@pytest.mark.parametrize("spacing_mm", [None, (math.nan, math.nan)])
def test_unknown_spacing_gives_null(tmp_path, spacing_mm):
    run(tmp_path, given=examples(spacing_mm=spacing_mm))
    text = (tmp_path / "metrics.json").read_text()
    metrics = json.loads(text)
    assert "NaN" not in text and "Infinity" not in text
    assert metrics["mcd_mm"] == dict.fromkeys(FIGURES) | {"ci95": [None, None], "undefined": 3}
    assert metrics["per_side"]["left"]["hd95_mm"]["mean"] is None
    assert metrics["iou"]["mean"] == pytest.approx(1.75 / 3), "overlap needs no spacing"
    assert rows(tmp_path)["perfect"]["mcd_mm"] == rows(tmp_path)["perfect"]["area_gt_mm2"] == ""
    assert "unknown spacing" in (tmp_path / "report.html").read_text()


def test_sides_that_are_empty_or_labelled_by_the_segmenter(tmp_path):
    right_only = mask_of("........", "##......", "##......", "........")
    metrics = run(tmp_path, Prepared({"a": right_only, "b": EMPTY}), examples(["a", "b"], right_only))
    assert metrics["per_side"]["left"]["iou"] == statistics([None, None]), "a side that neither has is not counted"
    assert metrics["per_side"]["right"]["iou"]["mean"] == 0.5
    metrics = run(tmp_path, Prepared({"a": EMPTY}), examples(["a"], EMPTY))
    assert metrics["iou"]["mean"] == metrics["dice"]["mean"] == 1, "an empty prediction of an empty mask is right"
    assert metrics["mcd_mm"]["undefined"] == 1 and metrics["per_side"]["right"]["iou"]["undefined"] == 1
    swapped = np.where(TRUTH > 0, 3 - split_sides(TRUTH), 0).astype(np.uint8)
    metrics = run(tmp_path, Prepared({"a": TRUTH}, {"a": swapped}), examples(["a"]))
    assert metrics["iou"]["mean"] == 1
    assert metrics["per_side"]["left"]["iou"]["mean"] == metrics["per_side"]["right"]["iou"]["mean"] == 0


def test_report(tmp_path, links):
    names = ["plain", "with <b>tags</b> & 'quotes'", "folder/0001", "folder_0001", "Folder_0001", "..", "Überblick"]
    run(tmp_path, Prepared(dict.fromkeys(names, HALF_LEFT)), examples(names), model="runs/<1>/model.keras")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    escaped = "with &lt;b&gt;tags&lt;/b&gt; &amp; ", "runs/&lt;1&gt;/model.keras"
    for shown in (*escaped, "plain", "folder/0001", "Überblick", NOTICE):
        assert shown in page
    assert "<b>tags" not in page
    assert not re.search(r"https?:|//[a-z]", page), "nothing is fetched from outside"
    linked = {link for link in links(tmp_path / "report.html") if not link.startswith("#")}
    pictures = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.jpg")}
    # Nor are they one where file names differ in case only.
    assert len({name.lower() for name in pictures}) == len(pictures) == 2 * len(names)
    assert linked == pictures | {"per_image.csv", "metrics.json"}


def test_pictures_show_outlines_in_their_colours(tmp_path):
    # 200 x 300 pixels: truth left and right, prediction shifted down by 10 pixels.
    truth = np.zeros((200, 300), np.uint8)
    truth[40:60, 40:120] = truth[40:60, 180:260] = 1
    given = [Example("a", np.full(truth.shape, 80, np.uint8), truth, None)]
    run(tmp_path, Prepared({"a": np.roll(truth, 10, axis=0)}), given)
    picture = cv2.imread(str(tmp_path / "overlays/whole/a.jpg")).astype(int)
    assert picture.shape == (200, 300, 3)
    (blue, green, red), right, left = picture[40, 80], picture[60, 80], picture[60, 220]
    assert green > blue + 20 and green > red + 20, "the true outline's upper edge is green"
    assert right[2] > right[1] > right[0], "within the prediction at the image's left it is orange: the patient's right"
    assert left[0] > left[1] > left[2], "and light blue at the image's right"
    assert cv2.imread(str(tmp_path / "overlays/clavicles/a.jpg")).shape[1] == 1400


def test_pick():
    assert pick(list(range(12)), 4) == ([0, 1, 2, 3], [4, 5, 6, 7], [11, 10, 9, 8])
    assert pick(list(range(101)), 4) == ([0, 1, 2, 3], [49, 50, 51, 52], [100, 99, 98, 97])
    for count in range(1, 12):
        worst, median, best = pick(list(range(count)), 4)
        assert sorted(worst + median + best) == sorted(set(worst + median + best)) and worst[0] == 0


def test_mistakes_are_named_and_leave_nothing(tmp_path):
    refuses("no images", run, tmp_path, given=[])
    refuses("perfect: found two", run, tmp_path, given=examples(["perfect", "perfect"]))
    with pytest.raises(InputError, match=r"perfect: .*\(4, 8\)"):
        run(tmp_path, Prepared({"perfect": np.zeros((3, 3), np.uint8)}), examples(["perfect"]))
    assert list(tmp_path.iterdir()) == []


def test_examples_are_streamed_and_one_segmenter_is_held_at_a_time(tmp_path):
    names = [str(index) for index in range(10)]
    given = one_at_a_time(lambda name: Example(name, np.zeros(TRUTH.shape, np.uint8), TRUTH, None), names)
    assert run(tmp_path, Prepared(dict.fromkeys(names, TRUTH)), given)["n"] == 10
    alive = weakref.WeakSet()

    def load():
        assert len(alive) == 0
        segmenter = Prepared(MASKS)
        alive.add(segmenter)
        return segmenter

    runs = [Run(f"{name}.keras", f"{number}/3", load, examples([name])) for number, name in enumerate(MASKS, start=1)]
    assert evaluate_runs(runs, tmp_path, progress=False)["n"] == 3


def test_runs_are_ordered_by_the_number_of_their_fold():
    record = make_record("a", TRUTH, TRUTH, split_sides(TRUTH), None) | {"model": "m"}
    records = [record | {"image_id": fold, "fold": fold} for fold in ("10/10", "2/10", "1/10")]
    assert [found["fold"] for found in summarise(records)["runs"]] == ["1/10", "2/10", "10/10"]


def test_reports_say_where_outlines_were_prolonged():
    assert extent_fact("crass") == {"Extent": "crass"}
    assert extent_fact("scr") == extent_fact(None) == {}
