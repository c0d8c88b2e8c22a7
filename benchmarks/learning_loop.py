"""Walks once from the page's outlines to a model that learned from their corrections, and says what it was worth.

python benchmarks/learning_loop.py --out DIR [--count 20] [--validation 20] [--epochs N] [--init MODEL] [--no-xla]

Opens phantoms of another exposure (those of fine_tuning.py) in the page, corrects them with the mouse by what a
reader would do: drags the outlines' points to the true outline, adds points where it is missed, draws around a
clavicle that was not found, presses 'Checked, next' until the page has none left, and saves the ZIP. Then it runs
`crass-tf build`, `train --preset tuned --init MODEL` and `evaluate` on what was unpacked. The model is scored before
and after on other phantoms of that exposure, by their true masks. DIR gets everything, and
`learning_loop.json`; called again with the same arguments it goes on where it was stopped. The page has to be built
(`make page`).
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import zipfile

import cv2
import numpy as np
from fine_tuning import REACH_MM, SEED, SHIPPED, SIZE, write_folder
from page import opened, serving

from crass_tf.common.files import write_json
from crass_tf.measurement.contours import outlines
from crass_tf.measurement.metrics import iou
from crass_tf.phantom.folder import stem
from crass_tf.phantom.rendering import LEFT_CLAVICLE, RIGHT_CLAVICLE, render

VIEW = {"width": 2000, "height": 1500}
SIDES = {"right": ("1", RIGHT_CLAVICLE), "left": ("2", LEFT_CLAVICLE)}
# Screen pixels within which the page takes a point for meant, as web/src/editor.ts.
REACH = 9
# A reader leaves what is nearer than this to the true outline, native pixels, and adds at most so many points.
NEAR_ENOUGH, MOST_ADDED = 1.0, 60
# Below this IoU drawing anew is less work.
WORTH_MENDING = 0.3
PATIENCE_MS = 600_000
# What the page keeps in the browser: its outlines as lists of x and y in turn.
KEPT = """async () => {
    const ask = (request) => new Promise((resolve) => request.onsuccess = () => resolve(request.result));
    const database = await ask(indexedDB.open("crass-tf"));
    const items = await ask(database.transaction("items").objectStore("items").getAll());
    database.close();
    const sideOf = ({ verdict, edited, rings }) => ({ verdict, edited, rings: rings.map((ring) => Array.from(ring)) });
    return items.map(({ name, sides }) => ({ name, right: sideOf(sides.right), left: sideOf(sides.left) }));
}"""


def main():
    """Prints the figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=pathlib.Path, metavar="DIR", help="where everything goes")
    parser.add_argument("--count", type=int, default=20, metavar="N", help="radiographs to correct")
    parser.add_argument("--validation", type=int, default=20, metavar="N", help="other radiographs to score on")
    parser.add_argument("--epochs", type=int, metavar="N", help="of both networks (default: the preset's)")
    parser.add_argument("--init", type=pathlib.Path, default=SHIPPED, metavar="MODEL", help="a .keras clavicle model")
    parser.add_argument("--no-xla", action="store_true", help="train without XLA")
    args = parser.parse_args()
    record = args.out / "corrections.json"
    if not record.exists():
        write_folder(args.out / "phantoms", args.count, args.validation, SIZE)
        write_json(record, corrected(args))
    figures = json.loads(record.read_text()) | learned(args)
    write_json(args.out / "learning_loop.json", figures)
    print(table(figures))


def corrected(args):
    """Corrects the first radiographs in the page and unpacks what it saves; returns figures."""
    images = [args.out / f"phantoms/CRASS12/image/{stem(number)}.PNG" for number in range(args.count)]
    truths = {path.name: true_sides(number) for number, path in enumerate(images)}
    start = time.time()
    drags = 0
    with chromium() as browser, serving() as address, opened(browser, address, 0, viewport=VIEW) as tab:
        tab.set_input_files("#files", images)
        tab.locator("#list .outlined").nth(args.count - 1).wait_for(timeout=PATIENCE_MS)
        predicted = {entry["name"]: entry for entry in tab.evaluate(KEPT)}
        while name := unchecked(tab):
            drags += sum(mended(tab, name, side, truths[name][side]) for side in SIDES)
            tab.click("#check")
        save(tab, args.out / "clavicles.zip")
    with zipfile.ZipFile(args.out / "clavicles.zip") as archive:
        archive.extractall(args.out / "mine")
    saved = {path.name: cv2.imread(str(args.out / "mine/CRASS12/mask" / path.name), 0) > 0 for path in images}
    return {
        "corrected": len(saved),
        "drags": drags,
        "minutes": (time.time() - start) / 60,
        "iou_of_outlines": mean_iou(truths, {name: filled(entry) for name, entry in predicted.items()}),
        "iou_of_corrections": mean_iou(truths, saved),
    }


def learned(args):
    """Trains on what was unpacked; returns figures of the model before and after."""
    data, run = args.out / "data", args.out / "run"
    for folder, built in (("phantoms", args.out / "truth"), ("mine", data)):
        if not built.exists():
            command("build", "--manual-dir", args.out / folder, "--data-dir", built)
    options = [] if args.epochs is None else ["--epochs", str(args.epochs)]
    options += ["--no-xla"] if args.no_xla else []
    options += ["--resume"] if run.exists() else []
    load, start, used = os.getloadavg()[0], time.time(), os.times()
    command("train", "--data-dir", data, "--preset", "tuned", "--init", args.init, "--out", run, *options)
    minutes, now = (time.time() - start) / 60, os.times()
    processor = now.children_user + now.children_system - used.children_user - used.children_system
    return {
        "epochs": args.epochs,
        "training_minutes": minutes,
        "processor_minutes": processor / 60,
        "load_before": load,
        "before": scored(args.init, args.out / "truth", args.out / "before"),
        "after": scored(run / "model.keras", args.out / "truth", args.out / "after"),
    }


def scored(model, data, out):
    """Returns what `crass-tf evaluate` says of a model on the others, by their true masks."""
    command("evaluate", model, "--data-dir", data, "--split", "validation", "--out", out)
    metrics = json.loads((out / "metrics.json").read_text())
    return {name: metrics[name] for name in ("n", "iou", "mcd_mm")}


@contextlib.contextmanager
def chromium():
    """Yields a browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as engine:
        path = shutil.which("chromium")
        with contextlib.closing(engine.chromium.launch(executable_path=path, args=["--no-sandbox"])) as browser:
            yield browser


def command(*arguments):
    """Runs a command of crass-tf."""
    subprocess.run([sys.executable, "-m", "crass_tf", *map(str, arguments)], check=True)


def true_sides(number):
    """Returns `{side: mask bool [H, W]}` of a phantom."""
    structures = render(SEED, number, SIZE, reach_mm=REACH_MM).structures
    return {side: (structures & bit) > 0 for side, (_, bit) in SIDES.items()}


def unchecked(tab):
    """Returns the name of the radiograph that is shown, or None where all are checked."""
    if tab.inner_text("#message").startswith("All radiographs are checked"):
        return None
    name = tab.inner_text('#list button[aria-current="true"] strong')
    # Its measures come once its pixels are there.
    tab.locator("#findings table", has_text=name).filter(has_text="Length").wait_for(timeout=PATIENCE_MS)
    return name


def mended(tab, name, side, truth):
    """Corrects a side of the radiograph that is shown to a true mask; returns how often the mouse was dragged."""
    key, _ = SIDES[side]
    tab.keyboard.press(key)
    if not truth.any():
        tab.keyboard.press("x")
        return 0
    line = outlines(2.0 * truth - 1)[0]
    rings = rings_of(tab, name, side)
    if len(rings) != 1 or iou(truth, painted(rings, truth.shape)) < WORTH_MENDING:
        tab.keyboard.press("d")
        drag(tab, line[:: max(1, round(len(line) / 150))])
        return 1
    tab.keyboard.press("c")
    # A click makes points of the outline, which can be dragged.
    drag(tab, rings[0][:1])
    ring = rings_of(tab, name, side, edited=True)[0]
    return 1 + points_moved(tab, ring, line) + points_added(tab, ring, line)


def points_moved(tab, ring, line):
    """Drags points, float `[N, 2]`, changed in place, to where the true line is nearest; returns how many."""
    count = 0
    for point in ring:
        distance, _, target = nearest(line, point)
        if distance > NEAR_ENOUGH:
            drag(tab, np.stack([point, target]))
            point[:] = target
            count += 1
    return count


def points_added(tab, ring, line):
    """Drags an outline to where it misses the true line most, again and again; returns how often."""
    reach = REACH / canvas(tab)[1]
    for count in range(MOST_ADDED):
        misses = [nearest(ring, point)[0] for point in line]
        target = line[int(np.argmax(misses))]
        if max(misses) <= NEAR_ENOUGH:
            return count
        _, place, grip = nearest(ring, target)
        to_points = np.linalg.norm(ring - grip, axis=1)
        if to_points.min() > reach:
            ring = np.insert(ring, place + 1, target, axis=0)
        else:
            place = int(to_points.argmin())
            grip, ring = ring[place].copy(), ring.copy()
            ring[place] = target
        drag(tab, np.stack([grip, target]))
    return MOST_ADDED


def nearest(ring, point):
    """Returns the distance of a closed line `[N, 2]` to a point, behind which of its points it is, and where."""
    ends = np.roll(ring, -1, axis=0) - ring
    squares = np.maximum((ends**2).sum(axis=1), 1e-12)
    share = np.clip(((point - ring) * ends).sum(axis=1) / squares, 0, 1)
    places = ring + share[:, None] * ends
    distances = np.linalg.norm(places - point, axis=1)
    best = int(distances.argmin())
    return distances[best], best, places[best]


def canvas(tab):
    """Returns the place of the radiograph's first pixel on the screen, its scale; the picture is fitted."""
    box = tab.locator("#canvas").bounding_box()
    scale = min(box["width"], box["height"]) / SIZE
    return (box["x"] + (box["width"] - SIZE * scale) / 2, box["y"] + (box["height"] - SIZE * scale) / 2), scale


def drag(tab, points):
    """Drags the mouse along native points `[N, 2]`; clicks where there is only one."""
    corner, scale = canvas(tab)
    screen = (np.asarray(points, np.float64) + 0.5) * scale + corner
    tab.mouse.move(*screen[0])
    tab.mouse.down()
    for place in screen[1:]:
        tab.mouse.move(*place)
    tab.mouse.up()


def rings_of(tab, name, side, edited=False):
    """Returns a side's outlines as the page keeps them, `[N, 2]` each; waits for a correction to be kept."""
    while True:
        found = next(entry[side] for entry in tab.evaluate(KEPT) if entry["name"] == name)
        if found["edited"] or not edited:
            return [np.reshape(ring, (-1, 2)) for ring in found["rings"]]
        tab.wait_for_timeout(50)


def save(tab, path):
    """Saves what is checked."""
    tab.click("#save")
    tab.check('input[name="scope"][value="checked"]')
    with tab.expect_download(timeout=PATIENCE_MS) as download:
        tab.click("#save-zip")
    download.value.save_as(path)


def painted(rings, shape):
    """Returns the mask bool `[H, W]` of outlines."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(16 * ring).astype(np.int32) for ring in rings], 1, shift=4)
    return mask > 0


def filled(entry):
    """Returns the mask of both sides of what the page keeps."""
    rings = [np.reshape(ring, (-1, 2)) for side in SIDES for ring in entry[side]["rings"]]
    return painted(rings, (SIZE, SIZE))


def mean_iou(truths, masks):
    """Returns the mean IoU of masks of both sides."""
    return float(np.mean([iou(truths[name]["right"] | truths[name]["left"], mask) for name, mask in masks.items()]))


def table(figures):
    """Returns the figures as Markdown."""
    before, after = figures["before"]["iou"], figures["after"]["iou"]
    cells = "{mean:.3f} ({ci95[0]:.3f} to {ci95[1]:.3f})"
    return "\n".join(
        [
            "| step | figure |",
            "|---|---|",
            f"| the page's outlines of the {figures['corrected']}, mean IoU | {figures['iou_of_outlines']:.3f} |",
            f"| corrected, {figures['drags']} drags of the mouse | {figures['iou_of_corrections']:.3f} |",
            f"| the model on {figures['before']['n']} others, before | {cells.format(**before)} |",
            f"| after training for {figures['training_minutes']:.1f} minutes | {cells.format(**after)} |",
            "",
            "Training used {processor_minutes:.1f} minutes of processors; load {load_before:.1f} before.".format(
                **figures
            ),
        ]
    )


if __name__ == "__main__":
    main()
