"""Segmenters over data sets: scores, pictures and the report, image by image."""

import collections.abc
import dataclasses
import pathlib

from tqdm import tqdm

from crass_tf.evaluation.pictures import picture_name, write_pictures
from crass_tf.evaluation.records import make_record, write_records
from crass_tf.evaluation.report import write_report
from crass_tf.evaluation.robustness import remove_results
from crass_tf.evaluation.summary import summarise
from crass_tf.files import InputError, atomic_folder, write_json
from crass_tf.radiograph import Radiograph


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """One of several models that are pooled, and what it is scored on.

    Attributes:
        model: its name for the tables.
        fold: which fold it held out, such as `2/5`.
        load: function that returns its segmenter.
        examples: the examples that it held out; as for `evaluate`, with a length.
    """

    model: str
    fold: str
    load: collections.abc.Callable
    examples: collections.abc.Iterable


def evaluate(segmenter, examples, out, *, model="", dataset="", split="", total=None, progress=True):
    """Scores a segmenter on examples; writes `metrics.json`, `per_image.csv`, `report.html` and `overlays/`.

    One example is held at a time. `metrics.json` is written last: where it is, the rest is whole.

    Args:
        segmenter: has `segment(radiograph)`, whose result has `mask` (uint8 `[H, W]`, 0 and 1, native size) and
            `labels` (uint8 `[H, W]`, 0 background, 1 right clavicle, 2 left clavicle).
        examples: an iterable of objects with `image_id`, `image` (uint8 `[H, W]`), `mask` (uint8 `[H, W]`) and
            `spacing_mm` (`(row, column)` or None).
        out: the folder to write to; its `overlays` folder is replaced.
        model, dataset, split: names for the report.
        total: the number of examples, for the progress bar, where they have no length.
        progress: whether to show that bar.

    Returns:
        The content of `metrics.json`.

    Raises:
        InputError: where there is no example, two have one `image_id`, or a prediction has another size than its truth.
    """

    def score(folder, names):
        bar = tqdm(examples, "evaluate", total, unit="image", disable=not progress)
        return _score_all(segmenter, bar, folder, names)

    return _write(out, {"model": str(model), "dataset": dataset, "split": split}, score)


def evaluate_runs(runs, out, *, dataset="", split="", progress=True):
    """Scores each run's model on what it held out and pools the images; writes and returns what `evaluate` does.

    `metrics.json` gets `runs`, too, as `summary.summarise` gives them, and `per_image.csv` the columns `model` and
    `fold`. One segmenter is held at a time.

    Args:
        runs: a list of `Run`.
        out, dataset, split, progress: as for `evaluate`.
    """

    def score(folder, names):
        records = []
        for run in runs:
            bar = tqdm(run.examples, f"evaluate fold {run.fold}", unit="image", disable=not progress)
            found = _score_all(run.load(), bar, folder, names)
            records += [record | {"model": run.model, "fold": run.fold} for record in found]
        return records

    model = f"{len(runs)} runs, each on the fold that it held out"
    return _write(out, {"model": model, "dataset": dataset, "split": split}, score)


def _write(out, about, score):
    """Writes the results of `score(folder for pictures, {image_id: picture's stem} to fill)`, which gives records."""
    out = pathlib.Path(out)
    names = {}
    with atomic_folder(out / "overlays") as folder:
        records = score(folder, names)
        metrics = about | summarise(records)
        (out / "metrics.json").unlink(missing_ok=True)
    records.sort(key=lambda record: record["image_id"])
    write_records(out / "per_image.csv", records)
    write_report(out / "report.html", metrics, records, names)
    # They may be of another model.
    remove_results(out)
    write_json(out / "metrics.json", metrics)
    return metrics


def _score_all(segmenter, examples, folder, names):
    """Returns the examples' records; writes their pictures and adds the pictures' stems to `names`."""
    records = []
    for example in examples:
        if example.image_id in names:
            raise InputError(f"{example.image_id}: found two images of this name, expected every name once")
        names[example.image_id] = picture_name(example.image_id, names.values())
        records.append(_score(segmenter, example, folder, names[example.image_id]))
    return records


def _score(segmenter, example, folder, name):
    """Returns the record of one example; writes its pictures."""
    segmentation = segmenter.segment(Radiograph(example.image, example.spacing_mm, example.image_id))
    record = make_record(example.image_id, example.mask, segmentation.mask, segmentation.labels, example.spacing_mm)
    write_pictures(folder, name, example.image, segmentation.labels, example.mask)
    return record
