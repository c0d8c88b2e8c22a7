"""Segmenters over data sets: scores, pictures and the report, image by image."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from tqdm import tqdm

from crass_tf.common.files import InputError, atomic_folder, output_folder, write_json
from crass_tf.common.tables import write_table
from crass_tf.common.types import PathLike
from crass_tf.evaluation.records import make_record, summarise
from crass_tf.evaluation.report import write_report
from crass_tf.evaluation.robustness import remove_results
from crass_tf.radiographs.radiograph import Radiograph
from crass_tf.reporting.pictures import picture_name, write_pictures


class Run(NamedTuple):
    """One of several models that are pooled, and what it is scored on."""

    model: str  # its name for the tables
    fold: str  # which one it held out, such as `2/5`
    load: Callable  # returns its segmenter
    examples: Iterable  # those that it held out, as for `evaluate`, with a length


def evaluate(
    segmenter: Any,
    examples: Iterable[Any],
    out: PathLike,
    *,
    model: PathLike = "",
    dataset: str = "",
    split: str = "",
    progress: bool = True,
) -> dict[str, Any]:
    """Scores a segmenter on examples; writes `metrics.json`, `per_image.csv`, `report.html` and `overlays/`.

    One example is held at a time. `metrics.json` is written last: where it is, the rest is whole.

    Args:
        segmenter: has `segment(radiograph)`, whose result has `mask` (uint8 `[H, W]`, 0 and 1, native size) and
            `labels` (uint8 `[H, W]`, 0 background, 1 right clavicle, 2 left clavicle).
        examples: an iterable of objects with `image_id`, `image` (uint8 `[H, W]`), `mask` (uint8 `[H, W]`) and
            `spacing_mm` (`(row, column)` or None).
        out: the folder to write to; its `overlays` folder is replaced.
        model, dataset, split: names for the report.
        progress: whether to show that bar.

    Returns:
        The content of `metrics.json`.

    Raises:
        InputError: where there is no example, two have one `image_id`, or a prediction has another size than its truth.
    """
    names: dict[str, Any] = {"model": str(model), "dataset": dataset, "split": split}
    names["extent"] = getattr(segmenter, "extent", None)
    return evaluate_runs([Run("", "", lambda: segmenter, examples)], out, progress=progress, **names)


def evaluate_runs(
    runs: Sequence[Run],
    out: PathLike,
    *,
    model: str | None = None,
    dataset: str = "",
    split: str = "",
    extent: str | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Scores each run's model on what it held out and pools the images; arguments and results as of `evaluate`.

    `metrics.json` gets `runs`, too, as `records.summarise` gives them, and `per_image.csv` the columns `model` and
    `fold`; not for a run without a fold, which stands alone. `extent` is the segmenters', None where they have none.
    One segmenter is held at a time.
    """
    out = output_folder(out)
    model = f"{len(runs)} runs, each on the fold that it held out" if model is None else model
    names, records = {}, []
    with atomic_folder(out / "overlays") as folder:
        for run in runs:
            whose = {"model": run.model, "fold": run.fold} if run.fold else {}
            records += [record | whose for record in _score_all(run, folder, names, progress)]
        metrics = {"model": model, "dataset": dataset, "split": split, "extent": extent} | summarise(records)
        (out / "metrics.json").unlink(missing_ok=True)
    records.sort(key=lambda record: record["image_id"])
    write_table(out / "per_image.csv", list(records[0]), records)
    write_report(out / "report.html", metrics, records, names)
    # Old results may be of another model.
    remove_results(out)
    write_json(out / "metrics.json", metrics)
    return metrics


def _score_all(run, folder, names, progress):
    """Yields the records of a run's examples; writes their pictures, whose stems `names` gets by image id."""
    segmenter, title = run.load(), f"evaluate fold {run.fold}" if run.fold else "evaluate"
    for example in tqdm(run.examples, title, unit="image", disable=None if progress else True):
        image_id, mask = example.image_id, example.mask
        if image_id in names:
            raise InputError(f"{image_id}: found two images of this name, expected every name once")
        names[image_id] = picture_name(image_id, names.values())
        segmentation = segmenter.segment(Radiograph(example.image, example.spacing_mm, image_id))
        record = make_record(image_id, mask, segmentation.mask, segmentation.labels, example.spacing_mm)
        write_pictures(folder, names[image_id], example.image, segmentation.labels, mask)
        yield record
