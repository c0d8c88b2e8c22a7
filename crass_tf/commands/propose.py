"""Outlines for radiographs that have none, by many views of each: to be looked at, then learned from."""

import collections
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from crass_tf.common import files
from crass_tf.common.files import InputError
from crass_tf.common.tables import write_table
from crass_tf.common.types import PathLike
from crass_tf.geometry import Letterbox
from crass_tf.inference.segmenter import Segmenter
from crass_tf.inference.views import views
from crass_tf.measurement.metrics import iou
from crass_tf.measurement.quality import SIDES, stability
from crass_tf.prediction.run import Job, plan
from crass_tf.radiographs.formats.png import write_png
from crass_tf.radiographs.radiograph import read_mask, read_radiograph
from crass_tf.reporting import overlay, pictures
from crass_tf.sources.crass12 import FOLDER, IMAGE_FOLDER, MASK_FOLDER
from crass_tf.sources.listing import composed

COLUMNS = ("image", "file", "right", "left", "right_views", "left_views", "kept", "reason")
# Longest side of the radiographs that are written: the model's own grid.
SIDE = 1024
# Least certainty of a proposed outline, and least share of the views that agree on it.
LEAST_CERTAINTY, LEAST_AGREEMENT = 0.7, 0.5
# Radii of closing and opening at an outline's edge, / square root of its area; the clavicle's width is 0.45.
NOTCH, SPUR = 0.14, 0.04
# Least score of a view's outline that counts, and least IoU of two outlines that agree.
LEAST_SCORE, SAME = 0.35, 0.4
SHEET_TILES, SHEET_COLUMNS, TILE_WIDTH = 20, 4, 390


def propose(
    paths: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    model: PathLike | None = None,
    least: float = LEAST_CERTAINTY,
) -> list[dict[str, Any]]:
    """Writes a CRASS12 folder of radiographs whose clavicles a model outlines alike in many views of them.

    Each radiograph is turned, scaled, mirrored, cropped and processed in 16 ways. The outlines are laid over each
    other; the mean of those that agree is proposed where it is certain: pixels above 3/4 are at least `least` of those
    above 1/4, on both sides.

    Args:
        paths: files and folders of radiographs, as for `crass-tf predict`.
        out: gets `CRASS12` (radiographs of at most 1024 pixels a side, masks, `train.txt` and an empty `val.txt`),
            `proposals.csv` with a row for each radiograph, and `sheets` of what is proposed, to be looked at: what
            looks wrong is left out of training once its name is removed from `train.txt`.
        model: as for `crass-tf predict`; None is the shipped one.
        least: the certainty to be proposed, from 0 to 1.

    Returns:
        The rows of `proposals.csv`, dicts.

    Raises:
        InputError: for paths that cannot be read or written, no certainty, or where nothing can be proposed.
    """
    paths, out = files.local_paths(paths, "path"), files.output_folder(out)
    if not 0 <= least <= 1:
        raise InputError(f"least: found {least}, expected a certainty from 0 to 1")
    if (out / FOLDER).exists():
        raise InputError(f"{out / FOLDER}: exists already, expected a new folder for proposals")
    jobs, unreadable = plan_proposals(paths, out)
    segmenter = Segmenter.load(model)
    rows = [{"image": str(reason), "kept": False, "reason": "unreadable folder"} for reason in unreadable]
    with files.atomic_folder(out / FOLDER) as folder:
        for name, job in tqdm(jobs.items(), desc="proposing", disable=None):
            row = {"image": name, "file": job.image, "kept": False}
            rows.append(row)
            try:
                image, labels, figures = _propose(segmenter, job.source)
            except InputError as error:
                row["reason"] = str(error)
                continue
            reason = _find_doubt(figures, labels, least)
            row |= figures | {"kept": reason is None, "reason": reason}
            if row["kept"]:
                write_png(folder / IMAGE_FOLDER / f"{name}.png", image)
                write_png(folder / MASK_FOLDER / f"{name}.png", np.uint8(255) * (labels > 0))
        kept = [row["image"] for row in rows if row["kept"]]
        if not kept:
            raise InputError("found no radiograph whose clavicles many views outline alike")
        files.write_text(folder / "train.txt", "".join(f"{name}\n" for name in kept))
        files.write_text(folder / "val.txt", "")
    write_table(out / "proposals.csv", COLUMNS, rows)
    _write_sheets(out, kept)
    return rows


def plan_proposals(paths: Sequence[PathLike], out: PathLike) -> tuple[dict[str, Job], list[str]]:
    """Returns `{name: job}` and what cannot be read; errors as in `propose`."""
    planned, unreadable, _ = plan(paths, out)
    names = [composed(job.result.replace("/", "_")) for job in planned]
    if twice := [name for name, count in collections.Counter(names).items() if count > 1]:
        raise InputError(f"{min(twice)}: found two radiographs of this name (a / becomes _), expected one; rename one")
    return dict(zip(names, planned)), unreadable


def _propose(segmenter, path):
    """Returns the reduced radiograph and its labels, uint8 `[H, W]` each, and what the views say of both sides."""
    image = read_radiograph(path).image
    scale = min(1.0, SIDE / max(image.shape))
    size = max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))
    image = Letterbox.fit(image.shape, size).image_to_model(image)
    figures, labels = {}, np.zeros(image.shape, np.uint8)
    for (name, side), outlines in zip(
        SIDES.items(), zip(*(_outlines(segmenter, image, *view) for view in views(image, segmenter.image_size)))
    ):
        mean, certainty, share = _find_consensus(outlines, image.shape)
        figures |= {name: round(float(certainty), 3), f"{name}_views": round(float(share), 3)}
        labels[_smooth_mask(_keep_largest_part(mean > 0.5))] = side
    return image, labels, figures


def _find_doubt(figures, labels, least):
    """Returns why labels are not proposed; None where nothing speaks against it."""
    if min(figures["right_views"], figures["left_views"]) < LEAST_AGREEMENT:
        return "views disagree"
    if min(figures["right"], figures["left"]) < least:
        return "uncertain"
    parts = cv2.connectedComponents((labels > 0).astype(np.uint8))[0] - 1
    return None if parts == 2 else f"{parts} separate shapes"


def _outlines(segmenter, image, view, matrix):
    """Returns a view's outlines, `[(logits, matrix, score), ...]`, the radiograph's left one first."""
    outlines = segmenter.look(view, matrix, image.shape)
    if len(outlines) != 2 or any(each.score is None for each in outlines):
        raise InputError("found a model without a score for each clavicle, expected a clavicle model")
    return [(each.logits, np.array(each.grid.matrix), each.score) for each in outlines]


def _find_consensus(outlines, shape):
    """Returns `(mean, certainty, share)` of one clavicle's outlines.

    They are the mean probability, float32 `[H, W]`, of those that agree with the one that most agree with; its
    stability; and the share of views that it is made of.
    """
    used = [each for each in outlines if each[2] > LEAST_SCORE and abs(np.linalg.det(each[1][:, :2])) > 1e-4]
    if not used:
        return np.zeros(shape, np.float32), 0.0, 0.0
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    maps = [cv2.warpAffine(1 / (1 + np.exp(-logits)), matrix, shape[::-1], flags=flags) for logits, matrix, _ in used]
    weights = np.array([score**3 for *_, score in used])
    masks = [cv2.resize(each, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) > 0.5 for each in maps]
    # An empty outline agrees only with itself.
    same = np.array([[1.0 if a is b else iou(a, b) * a.any() for a in masks] for b in masks])
    agree = same[np.argmax(same @ weights)] > SAME
    mean = sum(weight * each for weight, each, kept in zip(weights, maps, agree) if kept) / weights[agree].sum()
    return mean, stability(mean), np.count_nonzero(agree) / len(outlines)


def _keep_largest_part(mask):
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return mask & (parts == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])) if mask.any() else mask


def _smooth_mask(mask):
    """Returns a bool mask `[H, W]` without narrow notches and spurs, which appear where views disagree."""
    unit = np.sqrt(np.count_nonzero(mask))
    margin = int(unit) + 1
    framed = np.pad(mask.astype(np.uint8), margin)
    for operation, share in ((cv2.MORPH_CLOSE, NOTCH), (cv2.MORPH_OPEN, SPUR)):
        side = 2 * round(share * unit) + 1
        framed = cv2.morphologyEx(framed, operation, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return framed[margin:-margin, margin:-margin] > 0


def _write_sheets(out, names):
    """Writes `sheets/00.jpg` and so on: the clavicles of 20 proposals each, named."""
    (out / "sheets").mkdir(exist_ok=True)
    for number, start in enumerate(range(0, len(names), SHEET_TILES)):
        tiles = []
        for name in names[start : start + SHEET_TILES]:
            image = read_radiograph(out / FOLDER / IMAGE_FOLDER / f"{name}.png").image
            mask, _ = read_mask(out / FOLDER / MASK_FOLDER / f"{name}.png")
            box = pictures.close_up(mask)
            image, mask = (np.ascontiguousarray(each[box]) for each in (image, mask))
            tiles.append(pictures.tile(image, mask, np.zeros_like(mask), name, TILE_WIDTH))
        pictures.write_jpeg(out / "sheets" / f"{number:02d}.jpg", overlay.sheet(tiles, SHEET_COLUMNS, TILE_WIDTH))
