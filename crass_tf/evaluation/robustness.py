"""A segmenter's overlap under perturbations: figures, a table, and pictures of one radiograph."""

import collections
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from crass_tf.common.files import InputError, output_folder, write_json
from crass_tf.common.tables import write_table
from crass_tf.common.types import PathLike
from crass_tf.evaluation.perturbations import CLEAN, PERTURBATIONS
from crass_tf.evaluation.records import statistics
from crass_tf.evaluation.report import IOU, MCD_MM, extent_fact
from crass_tf.geometry import split_sides
from crass_tf.measurement.metrics import iou, mean_contour_distance_mm
from crass_tf.measurement.quality import SIDES
from crass_tf.radiographs.radiograph import Radiograph, known_spacing
from crass_tf.reporting import pages
from crass_tf.reporting.overlay import sheet
from crass_tf.reporting.pictures import tile, write_jpeg

JSON_NAME, CSV_NAME = "perturbations.json", "perturbations.csv"
PAGE_NAME, SHEET_NAME = "perturbations.html", "perturbations.jpg"
HEADS = ("", "IoU", "95 % interval", "worst", "drop", "", "MCD [mm]", "refused")
KEPT, LOST = "kept", "not kept"
# How far a required perturbation may lower the mean IoU.
LIMIT = 0.03
# Means differ by rounding in their last digits.
ROUNDING = 1e-9
TILE_WIDTH, TILES_A_ROW = 320, 6


def measure_robustness(
    segmenter: Any,
    examples: Iterable[Any],
    out: PathLike,
    *,
    model: PathLike = "",
    dataset: str = "",
    split: str = "",
    progress: bool = True,
) -> dict[str, Any]:
    """Scores a segmenter on examples under every perturbation.

    Writes `perturbations.csv`, `perturbations.html` with `perturbations.jpg`, which shows the first example, and last
    `perturbations.json`. One example is held at a time.

    Args:
        segmenter: as for `scoring.evaluate`; what it returns also has `refusal` and `quality`, see `Segmentation`. A
            refusal, or InputError, counts as IoU 0.
        examples, out, model, dataset, split, progress: as for `scoring.evaluate`; the examples are dataclasses.

    Returns:
        The content of `perturbations.json`, see `summarise`.

    Raises:
        InputError: where there is no example.
    """
    out = output_folder(out)
    remove_results(out)
    records, tiles = [], []
    for number, example in enumerate(tqdm(examples, "perturb", unit="image", disable=None if progress else True)):
        for perturbation in (CLEAN, *PERTURBATIONS):
            perturbed = perturbation(example)
            record, labels = _attempt(segmenter, perturbation, perturbed)
            records.append(record)
            if number == 0:
                outcome = "refused" if record["refused"] else f"{record['iou']:.2f}"
                caption = f"{perturbation.name}: {outcome}"
                tiles.append(tile(perturbed.image, labels, perturbed.mask, caption, TILE_WIDTH))
    names = {"model": str(model), "dataset": dataset, "split": split, "extent": getattr(segmenter, "extent", None)}
    summary = names | summarise(records)
    write_table(out / CSV_NAME, list(records[0]), records)
    write_jpeg(out / SHEET_NAME, sheet(tiles, TILES_A_ROW, TILE_WIDTH))
    pages.write_page(
        out / PAGE_NAME,
        "perturbations.html",
        facts={
            "Model": str(model),
            "Data set": dataset,
            "Split": split,
            **extent_fact(names["extent"]),
            "Radiographs": summary["n"],
        },
        conclusion=conclusion(summary),
        heads=HEADS,
        groups=_groups(summary),
        shown=records[0]["image_id"],
        sheet=SHEET_NAME,
        csv=CSV_NAME,
        json=JSON_NAME,
    )
    write_json(out / JSON_NAME, summary)
    return summary


def remove_results(out: PathLike) -> None:
    """Removes what an earlier measurement wrote, which may be of another model."""
    for name in (JSON_NAME, CSV_NAME, PAGE_NAME, SHEET_NAME):
        (pathlib.Path(out) / name).unlink(missing_ok=True)


def summarise(records: Sequence[dict]) -> dict[str, Any]:
    """Returns the figures of the rows of `perturbations.csv`.

    Returns:
        `{"n", "limit", "passed", "clean", "perturbations": {name: {...}}}`. `clean` and each perturbation hold `iou`
        and `mcd_mm`, as `records.statistics` returns them, and `refused`, a count. A perturbation also has `required`,
        `drop`, by how much its mean IoU is below the clean one, and `passed`: whether that is at most `limit`.
        `passed` of the whole is whether all the required ones did.

    Raises:
        InputError: where there are no records.
    """
    if not records:
        raise InputError("found no images to perturb, expected at least one; is the split empty?")
    groups = collections.defaultdict(list)
    # The bootstrap draws by position: sorted, the same images give the same interval in whatever order they came.
    for record in sorted(records, key=lambda record: record["image_id"]):
        groups[record["perturbation"]].append(record)
    perturbations: dict[str, dict[str, Any]] = {name: _figures(group) for name, group in groups.items()}
    clean = perturbations.pop(CLEAN.name)
    for name, figures in perturbations.items():
        drop = clean["iou"]["mean"] - figures["iou"]["mean"]
        required = bool(groups[name][0]["required"])
        perturbations[name] = {"required": required, "drop": drop, "passed": drop <= LIMIT + ROUNDING} | figures
    return {
        "n": len(groups[CLEAN.name]),
        "limit": LIMIT,
        "passed": all(each["passed"] for each in perturbations.values() if each["required"]),
        "clean": clean,
        "perturbations": perturbations,
    }


def table_text(summary: dict) -> str:
    """Returns the table of `robustness.summarise`'s figures for a terminal."""
    rows = [HEADS]
    for title, group in _groups(summary):
        rows += [(f"{title}:", *[""] * len(HEADS[1:]))] * bool(title) + [(name, *cells) for name, cells in group]
    first, *widths = (max(map(len, column)) for column in zip(*rows))
    lines = [[name.ljust(first), *map(str.rjust, cells, widths)] for name, *cells in rows]
    lines.append([f"{conclusion(summary)}, {summary['n']} radiographs"])
    return "\n".join("  ".join(line).rstrip() for line in lines)


def conclusion(summary: dict) -> str:
    """Returns a few words on how many of the required perturbations were passed."""
    required = _select_perturbations(summary, True)
    stood = sum(each["passed"] for each in required.values())
    return f"{stood} of {len(required)} required perturbations lower the mean IoU by at most {summary['limit']}"


def _attempt(segmenter, perturbation, example):
    """Returns the record of a perturbed example, IoU 0 for a refusal, and the labels that were predicted."""
    quality: dict[str, Any] = {"score": 0.0} | {side: {"score": None} for side in SIDES}
    mask_pred = labels = np.zeros_like(example.mask)
    try:
        segmentation = segmenter.segment(Radiograph(example.image, example.spacing_mm, example.image_id))
        mask_pred, labels = segmentation.mask, segmentation.labels
        quality, refusal = segmentation.quality, segmentation.refusal
    except InputError as error:
        refusal = str(error)
    spacing_mm = known_spacing(example.spacing_mm, f"{example.image_id}, spacing_mm")
    record = {
        "image_id": example.image_id,
        "perturbation": perturbation.name,
        "required": int(perturbation.required),
        "iou": 0.0 if refusal else iou(example.mask, mask_pred),
        "mcd_mm": mean_contour_distance_mm(example.mask, mask_pred, spacing_mm) if spacing_mm else None,
        "score": quality["score"],
        "refused": refusal,
    }
    labels_gt = split_sides(example.mask)
    for side, label in SIDES.items():
        values = _score_side(labels_gt == label, labels == label, quality[side]["score"])
        record |= {f"{side}_{figure}": value for figure, value in zip(("score", "iou", "contour"), values)}
    return record, labels


def _score_side(side_gt, side_pred, score):
    """Returns score, IoU and mean contour distance / square root of the area of a side that was found, else Nones."""
    if not side_pred.any():
        return None, None, None
    distance = mean_contour_distance_mm(side_gt, side_pred, (1.0, 1.0))
    return score, iou(side_gt, side_pred), distance and distance / np.sqrt(np.count_nonzero(side_pred))


def _figures(records):
    metrics = {name: statistics([record[name] for record in records]) for name in ("iou", "mcd_mm")}
    return metrics | {"refused": sum(record["refused"] is not None for record in records)}


def _select_perturbations(summary, required):
    return {name: each for name, each in summary["perturbations"].items() if each["required"] == required}


def _groups(summary):
    """Returns `[(title or "", [(name, cells)])]`: the unchanged radiographs, then the perturbations."""
    titles = {True: f"Required to cost at most {summary['limit']}", False: "Reported only"}
    groups = [("", {"clean": summary["clean"]}), *((titles[r], _select_perturbations(summary, r)) for r in titles)]
    return [(title, [(name, _cells(each)) for name, each in group.items()]) for title, group in groups]


def _cells(each):
    iou, mcd_mm = each["iou"], each["mcd_mm"]
    drop = f"{each['drop']:z.3f}" if "drop" in each else ""
    mark = (KEPT if each["passed"] else LOST) if each.get("required") else ""
    figures = (IOU.text(iou["mean"]), IOU.interval(iou), IOU.text(iou["min"]))
    return *figures, drop, mark, MCD_MM.text(mcd_mm["mean"]), str(each["refused"] or "")
