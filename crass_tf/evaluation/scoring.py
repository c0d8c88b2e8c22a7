"""A segmenter over a data set: scores, pictures and the report, image by image."""

import pathlib

from tqdm import tqdm

from crass_tf.evaluation.pictures import picture_name, write_pictures
from crass_tf.evaluation.records import make_record, write_records
from crass_tf.evaluation.report import write_report
from crass_tf.evaluation.summary import summarise
from crass_tf.files import InputError, atomic_folder, write_json
from crass_tf.radiograph import Radiograph


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
    out = pathlib.Path(out)
    records, names = [], {}
    with atomic_folder(out / "overlays") as folder:
        for example in tqdm(examples, "evaluate", total, unit="image", disable=not progress):
            if example.image_id in names:
                raise InputError(f"{example.image_id}: found two images of this name, expected every name once")
            names[example.image_id] = picture_name(example.image_id, names.values())
            records.append(_score(segmenter, example, folder, names[example.image_id]))
        metrics = {"model": str(model), "dataset": dataset, "split": split} | summarise(records)
        (out / "metrics.json").unlink(missing_ok=True)
    records.sort(key=lambda record: record["image_id"])
    write_records(out / "per_image.csv", records)
    write_report(out / "report.html", metrics, records, names)
    write_json(out / "metrics.json", metrics)
    return metrics


def _score(segmenter, example, folder, name):
    """Returns the record of one example; writes its pictures."""
    segmentation = segmenter.segment(Radiograph(example.image, example.spacing_mm, example.image_id))
    record = make_record(example.image_id, example.mask, segmentation.mask, segmentation.labels, example.spacing_mm)
    write_pictures(folder, name, example.image, segmentation.labels, example.mask)
    return record
