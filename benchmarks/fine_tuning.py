"""Measures what fine-tuning is worth on radiographs of another kind: IoU against the number of annotated ones.

python benchmarks/fine_tuning.py --out DIR [--init MODEL] [--counts 5 20 80] [--steps 400] [--no-xla]

The other kind is phantoms of another exposure (a tone curve and noise) whose annotation reaches 30 mm further to the
sides. Three ways are scored on the same 40 of them, at native size: the model as it is, the model fine-tuned on the
first n of the others, and a clavicle model trained from scratch on the same n. All are trained for the same number of
steps: each has as many epochs as that takes, in batches of 4 or of all there are. DIR gets the data, the runs, the
evaluations, `fine_tuning.json` and `fine_tuning.svg`. Called again with the same arguments it goes on where it was
stopped.
"""

import argparse
import html
import math
import pathlib

import numpy as np

from crass_tf.common.files import InputError, write_json, write_text
from crass_tf.common.parallel import ordered_map
from crass_tf.data.loading import Example, examples
from crass_tf.inference.segmenter import SHIPPED_FOLDER, Segmenter
from crass_tf.phantom.folder import stem
from crass_tf.phantom.rendering import render
from crass_tf.radiographs.formats.png import write_png
from crass_tf.reporting.plots import bin_edges
from crass_tf.training.settings import MODEL_NAME, Settings

SEED, SIZE, VALIDATION = 41, 512, 40
REACH_MM, GAMMA, CONTRAST, NOISE = 30.0, 1.8, 0.6, 6.0
SHIPPED = pathlib.Path(__file__).parents[1] / "saved_models" / SHIPPED_FOLDER / "model_float16.keras"
TUNED, SCRATCH = "fine-tuned", "from scratch"
SCRATCH_PRESET = "clavicles"

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BASE = 50, 120, 34, 270
COLOURS = {TUNED: "#1f5fa8", SCRATCH: "#c0611a"}


def main():
    """Prints a table, and writes the figures and a plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=pathlib.Path, metavar="DIR", help="where everything goes")
    parser.add_argument(
        "--init", type=pathlib.Path, default=SHIPPED, metavar="MODEL", help="a .keras clavicle model to tune"
    )
    parser.add_argument(
        "--counts", type=int, nargs="+", default=[5, 20, 80], metavar="N", help="radiographs trained on"
    )
    parser.add_argument("--validation", type=int, default=VALIDATION, help="radiographs scored (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=400, help="steps of each training (default: %(default)s)")
    parser.add_argument("--size", type=int, default=SIZE, help="pixels a side (default: %(default)s)")
    parser.add_argument("--preset", default="tuned", help="of fine-tuning (default: %(default)s)")
    parser.add_argument("--no-xla", action="store_true", help="train without XLA")
    args = parser.parse_args()
    if not args.init.is_file():
        parser.error(f"--init: {args.init} is missing, expected a .keras clavicle model")
    try:
        figures = measure(args)
    except InputError as error:
        parser.error(str(error))
    print(table(figures))
    write_json(args.out / "fine_tuning.json", figures)
    write_text(args.out / "fine_tuning.svg", plot(figures["rows"]))


def measure(args):
    """Returns the figures as a dictionary."""
    from crass_tf.data.building import build

    numbers = range(max(args.counts), max(args.counts) + args.validation)
    unshifted = evaluated(args.init, unshifted_examples(numbers, args.size), args.out / "evaluations/unshifted")
    write_folder(args.out / "phantoms", max(args.counts), args.validation, args.size)
    build(args.out / "phantoms", args.out / "data", overwrite=True)
    rows = [{"way": TUNED, "images": 0, "steps": 0} | scored(args, args.init, "as it is")]
    for way, init, preset in ((TUNED, args.init, args.preset), (SCRATCH, None, SCRATCH_PRESET)):
        rows += [trained(args, way, init, preset, count) for count in args.counts]
    shift = {"reach_mm": REACH_MM, "gamma": GAMMA, "contrast": CONTRAST, "noise": NOISE, "seed": SEED}
    asked = {name: getattr(args, name) for name in ("steps", "size", "validation", "preset")}
    return {"init": "/".join(args.init.parts[-2:])} | asked | {"shift": shift, "unshifted": unshifted, "rows": rows}


def write_folder(folder, count, validation, size):
    """Writes shifted phantoms as a CRASS12 folder: `count` to train on, then `validation` to score."""

    def write(number):
        phantom = render(SEED, number, size, reach_mm=REACH_MM)
        name = f"{stem(number)}.PNG"
        write_png(folder / "CRASS12/image" / name, other_exposure(phantom.image, number), phantom.spacing_mm)
        write_png(folder / "CRASS12/mask" / name, phantom.mask * 255)
        return stem(number)

    names = list(ordered_map(write, range(count + validation)))
    for file, part in (("train.txt", names[:count]), ("val.txt", names[count:])):
        write_text(folder / "CRASS12" / file, "".join(f"{name}\n" for name in part))


def other_exposure(image, number):
    """Returns an image uint8 `[H, W]` by another tone curve and with more noise; the same number gives the same."""
    grey = 0.5 + CONTRAST * ((image / 255) ** GAMMA - 0.5)
    noise = NOISE * np.random.default_rng([SEED, number]).standard_normal(image.shape)
    return np.rint(np.clip(255 * grey + noise, 0, 255)).astype(np.uint8)


def unshifted_examples(numbers, size):
    """Returns the examples of the same phantoms as they are without the shift."""
    phantoms = ordered_map(lambda number: render(SEED, number, size), numbers)
    return [Example(stem(n), p.image, p.mask, p.spacing_mm) for n, p in zip(numbers, phantoms)]


def trained(args, way, init, preset, count):
    """Returns the row of a clavicle model trained on the first `count` radiographs."""
    from crass_tf.commands.train import train

    name = f"{way.replace(' ', '-')}-{count}"
    run = args.out / "runs" / name
    batch_size = min(count, Settings().batch_size)
    epochs = math.ceil(args.steps / (count // batch_size))
    print(f"{way}, {count} radiographs: {epochs} epochs")
    train(
        run,
        args.out / "data",
        preset=preset,
        init=init,
        resume=run.exists(),
        split=f"train[:{count}]",
        # Watched after each of hundreds of epochs: all of them would cost more than the training does.
        validation_split="validation[:1]",
        epochs=epochs,
        batch_size=batch_size,
        **({"jit_compile": False} if args.no_xla else {}),
    )
    row = {"way": way, "images": count, "steps": epochs * (count // batch_size)}
    return row | scored(args, run / MODEL_NAME, name)


def scored(args, model, name):
    """Returns a model's metrics on the shifted validation radiographs."""
    found = examples(split="validation", data_dir=args.out / "data")
    return evaluated(model, found, args.out / "evaluations" / name.replace(" ", "-"))


def evaluated(model, found, out):
    """Returns what is reported of a model on examples: the metrics without the sides."""
    from crass_tf.evaluation import evaluate

    metrics = evaluate(Segmenter.load(model), found, out, model=model, split=out.name)
    return {name: metrics[name] for name in ("iou", "mcd_mm")}


def table(figures):
    """Returns the figures as Markdown."""
    rows = {(row["way"], row["images"]): row for row in figures["rows"]}
    counts = sorted({row["images"] for row in figures["rows"]})
    lines = [
        f"IoU, mean over {figures['validation']} shifted phantoms of {figures['size']} pixels a side, with its 95 % "
        f"interval; {figures['steps']} steps each. Without the shift the model has {_iou(figures['unshifted'])}.",
        "",
        f"| radiographs | {TUNED} | {SCRATCH} |",
        "|---|---|---|",
        *(f"| {count} | {_iou(rows.get((TUNED, count)))} | {_iou(rows.get((SCRATCH, count)))} |" for count in counts),
    ]
    return "\n".join(lines)


def _iou(row):
    return "{mean:.3f} ({ci95[0]:.3f} to {ci95[1]:.3f})".format(**row["iou"]) if row else ""


def plot(rows):
    """Returns an SVG of the IoU over the number of radiographs, with its 95 % interval; a line for each way."""
    counts = sorted({row["images"] for row in rows})
    edges = bin_edges([row["iou"]["ci95"][0] for row in rows], upper=1.0)
    x = {count: LEFT + 20 + n * (WIDTH - LEFT - RIGHT - 20) / max(len(counts) - 1, 1) for n, count in enumerate(counts)}

    def y(iou):
        return BASE - (iou - edges[0]) / (edges[-1] - edges[0]) * (BASE - TOP)

    parts = [*_axes(edges, x, y)]
    for way in (SCRATCH, TUNED):
        parts += _line(way, [row for row in rows if row["way"] == way], x, y)
    title = "Shifted phantoms: IoU by the number of radiographs trained on"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{html.escape(title)}" font-family="sans-serif" font-size="12" fill="#333">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f'<text x="{LEFT}" y="18" font-weight="600">{html.escape(title)}</text>{"".join(parts)}</svg>\n'
    )


def _axes(edges, x, y):
    """Yields grid lines with their IoU, and the numbers of radiographs."""
    every = 1 if len(edges) <= 7 else 2 if len(edges) <= 13 else 5
    for edge in edges[::-every]:
        yield f'<path d="M{LEFT} {y(edge):.1f}H{WIDTH - RIGHT + 12}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 8}" y="{y(edge) + 4:.1f}" text-anchor="end">{edge.round(2):g}</text>'
    for count, place in x.items():
        yield f'<text x="{place:.1f}" y="{BASE + 20}" text-anchor="middle">{count}</text>'
    yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{BASE + 40}" text-anchor="middle">radiographs trained on</text>'


def _line(way, rows, x, y):
    """Yields one way's line, named at its end, with a dot and an interval for each number of radiographs."""
    places = [(x[row["images"]], y(row["iou"]["mean"])) for row in rows]
    colour = COLOURS[way]
    path = "L".join(f"{left:.1f} {top:.1f}" for left, top in places)
    yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for row, (left, top) in zip(rows, places):
        low, high = row["iou"]["ci95"]
        yield f'<path d="M{left:.1f} {y(low):.1f}V{y(high):.1f}" stroke="{colour}" stroke-width="1.5"/>'
        yield f'<circle cx="{left:.1f}" cy="{top:.1f}" r="4" fill="{colour}"/>'
    left, top = places[-1]
    yield f'<text x="{left + 18:.1f}" y="{top + 4:.1f}" fill="{colour}" font-weight="600">{way}</text>'


if __name__ == "__main__":
    main()
