"""How much of a segmenter's overlap is left under perturbations: figures, a table, and how one radiograph fared."""

import dataclasses
import pathlib

import numpy as np
from tqdm import tqdm

from crass_tf.evaluation.distances import mean_contour_distance_mm
from crass_tf.evaluation.overlap import iou, pixel_counts
from crass_tf.evaluation.perturbations import CLEAN, PERTURBATIONS, Perturbation
from crass_tf.evaluation.pictures import tile, write_jpeg
from crass_tf.evaluation.records import known_spacing, write_rows
from crass_tf.evaluation.robustness_page import CSV_NAME, JSON_NAME, PAGE_NAME, SHEET_NAME, write_page
from crass_tf.evaluation.summary import statistics
from crass_tf.files import InputError, write_json
from crass_tf.overlay import sheet
from crass_tf.radiograph import Radiograph

# How far a required perturbation may lower the mean IoU.
LIMIT = 0.03
# Means differ by rounding in their last digits.
ROUNDING = 1e-9
COLUMNS = (
    "image_id",
    "perturbation",
    "required",
    "iou",
    "mcd_mm",
    "score",
    "refused",
    "area_gt_px",
    "area_pred_px",
    "height",
    "width",
)
TILE_WIDTH, TILES_A_ROW = 320, 6


@dataclasses.dataclass(frozen=True, eq=False)
class Attempt:
    """What a segmenter made of a perturbed example.

    Attributes:
        perturbation: the `Perturbation`.
        example: the perturbed example.
        segmentation: what it returned; None where it raised InputError.
        refusal: why it took the radiograph for none, in one line; None where it did not.
    """

    perturbation: Perturbation
    example: object
    segmentation: object | None
    refusal: str | None

    def record(self):
        """Returns a dict of the keys `COLUMNS`: IoU over both clavicles, 0 for a refusal, and more."""
        mask_gt, mask_pred = self.example.mask, self.mask
        spacing_mm = known_spacing(self.example.spacing_mm)
        _, area_gt, area_pred = pixel_counts(mask_gt, mask_pred)
        return {
            "image_id": self.example.image_id,
            "perturbation": self.perturbation.name,
            "required": int(self.perturbation.required),
            "iou": 0.0 if self.refusal else iou(mask_gt, mask_pred),
            "mcd_mm": mean_contour_distance_mm(mask_gt, mask_pred, spacing_mm) if spacing_mm else None,
            "score": self.segmentation.quality["score"] if self.segmentation else 0.0,
            "refused": self.refusal,
            "area_gt_px": area_gt,
            "area_pred_px": area_pred,
            "height": mask_gt.shape[0],
            "width": mask_gt.shape[1],
        }

    def tile(self):
        """Returns a small picture of the perturbed radiograph with both outlines, uint8 `[h, w, 3]`."""
        labels = self.segmentation.labels if self.segmentation else self.mask
        outcome = "refused" if self.refusal else f"{iou(self.example.mask, self.mask):.2f}"
        caption = f"{self.perturbation.name}: {outcome}"
        return tile(self.example.image, labels, self.example.mask, caption, TILE_WIDTH)

    @property
    def mask(self):
        """What was predicted, uint8 `[H, W]`; empty for a refusal."""
        if self.refusal:
            return np.zeros_like(self.example.mask)
        return self.segmentation.mask


def measure_robustness(segmenter, examples, out, *, model="", dataset="", split="", progress=True):
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
    out = pathlib.Path(out)
    remove_results(out)
    records, tiles = [], []
    for example in tqdm(examples, "perturb", unit="image", disable=not progress):
        first = not records
        for attempt in attempts(segmenter, example):
            records.append(attempt.record())
            tiles += [attempt.tile()] * first
    found = {"model": str(model), "dataset": dataset, "split": split} | summarise(records)
    write_rows(out / CSV_NAME, COLUMNS, records)
    write_jpeg(out / SHEET_NAME, sheet(tiles, TILES_A_ROW, TILE_WIDTH))
    write_page(out / PAGE_NAME, found, records[0]["image_id"])
    write_json(out / JSON_NAME, found)
    return found


def remove_results(out):
    """Removes what an earlier measurement wrote, which may be of another model."""
    for name in (JSON_NAME, CSV_NAME, PAGE_NAME, SHEET_NAME):
        (pathlib.Path(out) / name).unlink(missing_ok=True)


def attempts(segmenter, example):
    """Yields the `Attempt` at an example as it is, and at each perturbation of it."""
    for perturbation in (CLEAN, *PERTURBATIONS):
        perturbed = perturbation(example)
        yield Attempt(perturbation, perturbed, *_segment(segmenter, perturbed))


def summarise(records):
    """Returns the figures of `Attempt.record`s.

    Returns:
        `{"n", "limit", "passed", "clean", "perturbations": {name: {...}}}`. `clean` and each perturbation hold `iou`
        and `mcd_mm`, as `summary.statistics` returns them, and `refused`, a count. A perturbation also has `required`,
        `drop`, by how much its mean IoU is below the clean one, and `passed`: whether that is at most `limit`.
        `passed` of the whole is whether all the required ones did.

    Raises:
        InputError: where there are no records.
    """
    if not records:
        raise InputError("found no images to perturb, expected at least one; is the split empty?")
    groups = {}
    for record in records:
        groups.setdefault(record["perturbation"], []).append(record)
    clean = _figures(groups.pop(CLEAN.name))
    found = {name: _compare(group, clean) for name, group in groups.items()}
    return {
        "n": clean.pop("n"),
        "limit": LIMIT,
        "passed": all(each["passed"] for each in found.values() if each["required"]),
        "clean": clean,
        "perturbations": found,
    }


def _segment(segmenter, example):
    """Returns `(segmentation or None, why it was refused or None)`."""
    try:
        segmentation = segmenter.segment(Radiograph(example.image, example.spacing_mm, example.image_id))
    except InputError as error:
        return None, str(error)
    return segmentation, segmentation.refusal


def _figures(records):
    # The bootstrap draws by position: sorted, the same images give the same interval in whatever order they came.
    records = sorted(records, key=lambda record: record["image_id"])
    return {
        "n": len(records),
        "iou": statistics([record["iou"] for record in records]),
        "mcd_mm": statistics([record["mcd_mm"] for record in records]),
        "refused": sum(record["refused"] is not None for record in records),
    }


def _compare(records, clean):
    figures = _figures(records)
    del figures["n"]
    drop = clean["iou"]["mean"] - figures["iou"]["mean"]
    return {"required": bool(records[0]["required"]), "drop": drop, "passed": drop <= LIMIT + ROUNDING} | figures
