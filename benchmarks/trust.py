"""Makes `trust.json` from what `crass-tf evaluate --perturb` wrote, and says how well its intervals hold.

    crass-tf evaluate MODEL --data-dir DIR --split validation --perturb --out OUT
    python benchmarks/trust.py OUT/perturbations.csv --out saved_models/clavicle_unet/trust.json

The changed copies of a radiograph are alike, so an interval that holds 90 % of some radiographs' outlines holds fewer
of others'. Therefore intervals are made wider until they hold 90 % of the outlines of radiographs that they do not
know: a sixth is left out, in turn. That choice is tested, too, on another sixth, which it does not know either.
"""

import argparse
import csv
import dataclasses
import pathlib

import numpy as np

from crass_tf.common.files import InputError, write_json
from crass_tf.measurement.quality import SIDES, Trust

FIGURES = ("score", "iou", "contour")
FOLDS, GROUPS = 6, 3
COVERAGE = 0.9
# Scores below this quantile are too rare for an interval.
RARE = 0.02
# Shares that intervals may be made for, to hold `COVERAGE` of other radiographs.
SHARES = (0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99)


def main():
    """Prints coverage and intervals, writes the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv")
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    names, values = _outlines(arguments.csv)
    folds = np.array([sorted(set(names)).index(name) % FOLDS for name in names])
    held = np.zeros((2, len(names)), bool)
    for fold in range(FOLDS):
        known = folds != fold
        held[:, ~known] = _holds(_choose(values[:, known], folds[known])[1], values[:, ~known])
    print(f"{len(names)} outlines of {len(set(names))} radiographs")
    print(
        "coverage where neither intervals nor their share knew the radiograph: IoU {:.3f}, contour {:.3f}".format(
            *held.mean(axis=1)
        )
    )
    share, trust = _choose(values, folds)
    print(f"intervals are made for {share}")
    for least, *intervals in zip(trust.scores, trust.iou, trust.contour):
        print(f"score from {least:.3f}: IoU {intervals[0]}, contour {intervals[1]}")
    write_json(arguments.out, dataclasses.asdict(trust))


def _choose(values, folds):
    """Returns `(share, Trust)`: the least share whose intervals hold `COVERAGE` of radiographs that are left out."""
    for share in SHARES:
        held = [_holds(fit(*values[:, folds != fold], share), values[:, folds == fold]) for fold in set(folds)]
        if np.concatenate(held, axis=1).mean(axis=1).min() >= COVERAGE:
            break
    return share, dataclasses.replace(fit(*values, share), coverage=COVERAGE)


def fit(scores, iou, contour, coverage=COVERAGE, groups=GROUPS):
    """Returns the `Trust` that outlines with known truth give; float `[N]` each.

    Raises:
        InputError: for too few outlines, of which no interval of that coverage can be made.
    """
    least = int(np.ceil(round(2 / (1 - coverage), 6)))
    if len(scores) < groups * least:
        raise InputError(f"found {len(scores)} outlines, expected at least {groups * least} for {groups} groups")
    parts = np.array_split(np.argsort(scores, kind="stable"), groups)
    edges = [float(np.quantile(scores, RARE)), *(float(scores[part[0]]) for part in parts[1:])]
    return Trust(coverage, edges, *([_interval(each[part], coverage) for part in parts] for each in (iou, contour)))


def _interval(values, coverage):
    """Returns `[low, median, high]`; a further value lies within with at least that probability."""
    ordered, outside = np.sort(values), (1 - coverage) / 2
    low = int(np.floor(outside * (len(ordered) + 1))) - 1
    return [round(float(each), 4) for each in (ordered[low], np.median(ordered), ordered[len(ordered) - 1 - low])]


def _holds(trust, values):
    """Returns whether each outline lies in its intervals, of IoU and of contour error, bool `[2, N]`."""
    held = []
    for score, *truth in values.T:
        expected = trust.expect(max(score, trust.scores[0]), 1.0)
        ends = [(expected[f"{name}_low"], expected[f"{name}_high"]) for name in ("iou", "contour_mm")]
        held.append([low <= round(value, 3) <= high for value, (low, high) in zip(truth, ends)])
    return np.array(held).T


def _outlines(path):
    """Returns the radiographs' names, and float `[3, N]`: score, IoU and contour error of each outline found."""
    with pathlib.Path(path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = [
        (row["image_id"], [float(row[f"{side}_{figure}"]) for figure in FIGURES])
        for row in rows
        for side in SIDES
        if all(row[f"{side}_{figure}"] for figure in FIGURES)
    ]
    return [name for name, _ in found], np.array([values for _, values in found]).T


if __name__ == "__main__":
    main()
