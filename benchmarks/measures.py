"""Compares midline and measures with what an observer outlined, and times what a Segmentation computes.

python benchmarks/measures.py FOLDER [--model MODEL] [--spacing-mm 0.35]

FOLDER holds `CRASS12` and, for each radiograph, `structures/NAME.PNG`: a sum of 1 right clavicle, 2 left clavicle,
4 right lung, 8 left lung. The midline is compared on all radiographs with the lungs' outer borders, halfway between
them at half their height, with their inner borders at the height of the clavicles, and, on those that
`spinous_processes.csv` names, with the spinous processes there; the measures of the model's clavicles on those of
`val.txt`, with the same measures of the observer's. Times are of one radiograph enlarged to
1768 x 1812 pixels: the median of nine, each without what the lines above it have already computed.
"""

import argparse
import csv
import pathlib
import statistics
import time

import cv2
import numpy as np

import crass_tf
from crass_tf.geometry import Letterbox
from crass_tf.inference.segmenter import Segmentation
from crass_tf.measurement.measures import find_midline
from crass_tf.measurement.quality import SIDES
from crass_tf.radiographs.radiograph import Radiograph, read_radiograph

RIGHT_LUNG, LEFT_LUNG = 4, 8
SIZE = (1768, 1812)
PROPERTIES = ("mask", "labels", "quality", "probability", "contours", "centre_lines", "measures", "midline")
PROPERTIES += ("medial_distances",)
REPEATS = 9


def main():
    """Prints three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--model", help="default: the shipped model")
    parser.add_argument("--spacing-mm", type=float, default=0.35)
    args = parser.parse_args()
    segmenter, spacing_mm = crass_tf.Segmenter.load(args.model), (args.spacing_mm,) * 2
    compare_midlines(args.folder, spacing_mm)
    compare_measures(args.folder, spacing_mm, segmenter)
    print_times(args.folder, segmenter)


def compare_midlines(folder, spacing_mm):
    """Prints how far the midline, and the image's centre, lie from the lungs'."""
    errors, spines = {}, spinous_processes()
    for path in sorted((folder / "structures").glob("*.PNG")):
        radiograph, structures = read(folder, path.stem, spacing_mm)
        (x, y), (x_last, y_last) = find_midline(radiograph.image, spacing_mm)
        centre = (radiograph.image.shape[1] - 1) / 2
        for name, (row, truth) in (lung_midlines(structures) | spines.get(path.stem, {})).items():
            found = x + (x_last - x) * (row - y) / (y_last - y)
            errors.setdefault(f"midline, {name}", []).append((found - truth) * spacing_mm[1])
            errors.setdefault(f"image centre, {name}", []).append((centre - truth) * spacing_mm[1])
    print_errors("distance in mm", errors)


def spinous_processes():
    """Returns `{name of a radiograph: {"spinous processes": (row, x)}}`: by eye, near the clavicles' height.

    Every sixth radiograph, from two starts, where they were seen once the contrast had been raised; by one reader, no
    radiologist.
    """
    with (pathlib.Path(__file__).parent / "spinous_processes.csv").open() as file:
        rows = csv.DictReader(file)
        return {row["name"]: {"spinous processes": (float(row["y"]), float(row["x"]))} for row in rows}


def lung_midlines(structures):
    """Returns `{name: (row, x)}`: where the middle between both lungs lies, at two heights."""
    right, left = (structures & bit > 0 for bit in (RIGHT_LUNG, LEFT_LUNG))
    rows = np.flatnonzero(right.any(axis=1) & left.any(axis=1))
    tenths = np.linspace(rows[0], rows[-1], 21).round().astype(int)
    middle = range(tenths[9], tenths[11] + 1)
    clavicles = np.flatnonzero((structures & 3 > 0).any(axis=1))
    level = [row for row in range(clavicles[0], clavicles[-1] + 1) if right[row].any() and left[row].any()]
    outer = [(np.argmax(right[row]) + left.shape[1] - 1 - np.argmax(left[row, ::-1])) / 2 for row in middle]
    inner = [(right.shape[1] - 1 - np.argmax(right[row, ::-1]) + np.argmax(left[row])) / 2 for row in level]
    return {
        "outer borders, mid height": (statistics.mean(middle), np.mean(outer)),
        "inner borders, clavicles' height": (statistics.mean(level), np.mean(inner)),
    }


def compare_measures(folder, spacing_mm, segmenter):
    """Prints how far measures of the model's clavicles lie from those of the observer's."""
    errors = {}
    for name in (folder / "CRASS12" / "val.txt").read_text().split():
        radiograph, structures = read(folder, pathlib.PurePath(name).stem, spacing_mm)
        found, truth = segmenter.segment(radiograph), drawn(radiograph, structures & 3)
        for side in SIDES:
            one, other = found.measures[side], truth.measures[side]
            for figure in ("length_mm", "width_mm", "angle_deg"):
                errors.setdefault(figure, []).append(one[figure] - other[figure])
            for end in ("medial_end", "lateral_end"):
                apart = np.subtract(one[end], other[end]) * spacing_mm[::-1]
                errors.setdefault(f"{end}, mm", []).append(np.hypot(*apart))
        difference = "difference_mm"
        error = found.medial_distances[difference] - truth.medial_distances[difference]
        errors.setdefault("difference of medial distances, mm", []).append(error)
    print_errors("model's less observer's", errors)


def drawn(radiograph, mask):
    """Returns the Segmentation of a mask."""
    logits = np.where(mask > 0, np.float32(1), np.float32(-1))
    return Segmentation(radiograph, logits, Letterbox.fit(mask.shape, mask.shape))


def print_times(folder, segmenter):
    """Prints what each property costs."""
    path = min((folder / "CRASS12" / "image").iterdir())
    image = cv2.resize(read_radiograph(path).image, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    found, times = segmenter.segment(Radiograph(image, (0.2, 0.2))), {name: [] for name in PROPERTIES}
    for _ in range(REPEATS):
        fresh = Segmentation(found.radiograph, found.outlines)
        for name in PROPERTIES:
            start = time.perf_counter()
            getattr(fresh, name)
            times[name].append(1000 * (time.perf_counter() - start))
    print(f"\n{'time':40}{'ms':>8}")
    for name, each in times.items():
        print(f"{name:40}{statistics.median(each):8.1f}")


def read(folder, stem, spacing_mm):
    """Returns the Radiograph of a name and what the observer outlined in it, uint8 `[H, W]`."""
    radiograph = read_radiograph(folder / "CRASS12" / "image" / f"{stem}.PNG", spacing_mm)
    return radiograph, cv2.imread(str(folder / "structures" / f"{stem}.PNG"), cv2.IMREAD_UNCHANGED)


def print_errors(title, errors):
    """Prints median and 95th percentile of the errors' sizes, the largest, and the errors' mean."""
    print(f"\n{title:50}{'n':>5}{'median':>8}{'95 %':>8}{'largest':>9}{'mean':>8}")
    for name, each in errors.items():
        sizes = np.abs(each)
        figures = np.median(sizes), np.percentile(sizes, 95)
        print(f"{name:50}{len(each):5}{figures[0]:8.2f}{figures[1]:8.2f}{sizes.max():9.2f}{np.mean(each):+8.2f}")


if __name__ == "__main__":
    main()
