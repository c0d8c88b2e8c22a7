"""`report.html`: one page that opens from a folder, with figures, pictures and every image's scores."""

import html
import string
import urllib.parse

import numpy as np

from crass_tf.evaluation.plots import histogram
from crass_tf.evaluation.records import METRICS, SIDES
from crass_tf.files import write_text
from crass_tf.overlay import LEFT_COLOUR, RIGHT_COLOUR, TRUTH_COLOUR

SHOWN = 4
TITLES = {
    "iou": "IoU",
    "dice": "Dice",
    "mcd_mm": "Mean contour distance (MCD)",
    "hd95_mm": "95 % Hausdorff distance (HD95)",
}
SHORT = {"iou": "IoU", "dice": "Dice", "mcd_mm": "MCD", "hd95_mm": "HD95"}
UNITS = {"iou": "", "dice": "", "mcd_mm": " mm", "hd95_mm": " mm"}
DIGITS = {"iou": 3, "dice": 3, "mcd_mm": 2, "hd95_mm": 2}
# Where the bad end of a metric lies.
WORST = {"iou": "min", "dice": "min", "mcd_mm": "max", "hd95_mm": "max"}
REGIONS = {"both": "Both clavicles", "right": "Right clavicle", "left": "Left clavicle"}
NOTHING = "–"


def write_report(path, metrics, records, names):
    """Writes the report.

    Args:
        path: the HTML file; pictures are looked for in `overlays/` beside it.
        metrics: what `summary.summarise` returned, with or without `runs`, and `model`, `dataset` and `split`.
        records: the images' records.
        names: `{image_id: stem}` of the pictures.
    """
    ranked = rank(records)
    worst, median, best = pick(ranked, SHOWN)
    page = string.Template(PAGE).substitute(
        style=style(),
        script=SCRIPT,
        facts=_facts(metrics, records),
        tiles=_tiles(metrics),
        summary=_summary_table(metrics, ranked[0]["image_id"]),
        runs=_runs_table(metrics.get("runs", ())),
        plots=_plots(records),
        best=_cards("Best", best, names),
        median=_cards("Median", median, names),
        worst=_cards("Worst", worst, names),
        images=_image_table(ranked, names),
        two_class=_two_class(metrics),
    )
    write_text(path, page)


def rank(records):
    """Returns the records from the worst IoU to the best; where two are alike, by name."""
    return sorted(records, key=lambda record: (record["iou"], record["image_id"]))


def pick(ranked, count):
    """Returns `(worst, median, best)`, each at most `count` of the ranked records; no record is in two of them.

    The worst of all stands first among the worst, the best of all first among the best.
    """
    count = min(count, -(-len(ranked) // 3))
    worst, rest = ranked[:count], ranked[count:]
    best, middle = rest[-count:][::-1], rest[: max(0, len(rest) - count)]
    start = (len(middle) - count + 1) // 2 if len(middle) > count else 0
    return worst, middle[start : start + count], best


def _facts(metrics, records):
    """Returns the line below the title: what was evaluated, on what."""
    known = sum(record["spacing_row_mm"] is not None for record in records)
    spacing = {len(records): "pixel spacing known", 0: "unknown spacing: no distances in millimetres"}
    facts = {
        "Model": metrics["model"],
        "Data set": metrics["dataset"],
        "Split": metrics["split"],
        "Radiographs": str(metrics["n"]),
        "Spacing": spacing.get(known, f"known for {known} of {len(records)} radiographs"),
    }
    return "".join(f"<div><dt>{k}</dt><dd>{html.escape(v)}</dd></div>" for k, v in facts.items() if v)


def _tiles(metrics):
    return "".join(_tile(metrics[name], name) for name in METRICS)


def _tile(statistics, name):
    mean, unit = statistics["mean"], "" if statistics["mean"] is None else UNITS[name]
    return (
        f'<div class="tile"><span>{TITLES[name]}</span><b>{number(mean, name)}<small>{unit}</small></b>'
        f"<span>{interval(statistics, name)}</span></div>"
    )


def _summary_table(metrics, worst_id):
    rows = []
    for region, title in REGIONS.items():
        statistics = metrics if region == "both" else metrics["per_side"][region]
        heading = f'<th rowspan="{len(METRICS)}" scope="rowgroup">{title}</th>'
        for name in METRICS:
            cells = _summary_cells(statistics[name], name)
            rows.append(f"<tr>{heading}<td>{TITLES[name]}{_in_mm(name)}</td>{cells}</tr>")
            heading = ""
    link = f'<a href="#{_anchor(worst_id)}">{html.escape(worst_id)}</a>'
    return (
        "<table><thead><tr><th></th><th>Metric</th><th>Mean ± standard deviation</th>"
        "<th>95 % confidence interval of the mean</th><th>Median</th><th>Worst</th><th>Undefined</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table><p>Lowest IoU: {link}.</p>"
    )


def _summary_cells(statistics, name):
    if statistics["mean"] is None:
        why = "unknown spacing, or a mask is empty in every image" if UNITS[name] else "in no image"
        return f'<td colspan="4" class="unknown">{why}</td><td class="n">{statistics["undefined"]}</td>'
    cells = [
        f"{number(statistics['mean'], name)} ± {number(statistics['std'], name)}",
        interval(statistics, name),
        number(statistics["median"], name),
        number(statistics[WORST[name]], name),
        str(statistics["undefined"] or NOTHING),
    ]
    return "".join(f'<td class="n">{cell}</td>' for cell in cells)


def _runs_table(runs):
    if not runs:
        return ""
    rows = "".join(_run_row(run) for run in runs)
    return (
        "<h3>Runs</h3><p>The figures above pool these runs: each radiograph was scored once, by the model that held it "
        "out of its training.</p><table><thead><tr><th>Fold</th><th>Model</th><th>Radiographs</th>"
        "<th>IoU, mean ± standard deviation</th><th>95 % confidence interval of the mean</th><th>Median</th>"
        f"<th>Worst</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _run_row(run):
    iou = run["iou"]
    cells = [
        str(run["n"]),
        f"{number(iou['mean'], 'iou')} ± {number(iou['std'], 'iou')}",
        interval(iou, "iou"),
        number(iou["median"], "iou"),
        number(iou["min"], "iou"),
    ]
    figures = "".join(f'<td class="n">{cell}</td>' for cell in cells)
    return f'<tr><td class="n">{html.escape(run["fold"])}</td><td>{html.escape(run["model"])}</td>{figures}</tr>'


def _plots(records):
    plots = []
    for name, upper in (("iou", 1.0), ("mcd_mm", None)):
        defined = [(r["image_id"], r[name]) for r in records if r[name] is not None]
        if defined:
            plots.append(f"<figure>{histogram(*zip(*defined), TITLES[name] + _in_mm(name), upper)}</figure>")
    return "".join(plots)


def _cards(title, records, names):
    if not records:
        return ""
    cards = "".join(_card(record, names[record["image_id"]]) for record in records)
    return f'<h3>{title}</h3><div class="cards">{cards}</div>'


def _card(record, name):
    image_id = html.escape(record["image_id"])
    figures = ", ".join(f"{SHORT[m]} {number(record[m], m)}{UNITS[m]}" for m in METRICS if record[m] is not None)
    sides = ", ".join(f"{side} {number(record[f'{side}_iou'], 'iou')}" for side in ("right", "left"))
    close, whole = picture_path("clavicles", name), picture_path("whole", name)
    return (
        f'<figure class="card"><a href="{close}"><img src="{close}" alt="Clavicles of {image_id}" loading="lazy"></a>'
        f'<a href="{whole}"><img src="{whole}" alt="Radiograph {image_id}" loading="lazy"></a>'
        f"<figcaption><b>{image_id}</b> {figures} <span>(IoU {sides})</span></figcaption></figure>"
    )


def picture_path(kind, name):
    """Returns the link from the report to a picture; `kind` is `whole` or `clavicles`."""
    return f"overlays/{kind}/{urllib.parse.quote(name)}.jpg"


def _image_table(ranked, names):
    columns = [*METRICS, *(f"{side}_{name}" for side in ("right", "left") for name in ("iou", "mcd_mm"))]
    columns = [column for column in columns if any(record[column] is not None for record in ranked)]
    heads = "".join(f'<th><button type="button">{_column_title(column)}</button></th>' for column in columns)
    rows = "".join(_image_row(record, columns, names[record["image_id"]]) for record in ranked)
    return (
        f'<table id="images"><thead><tr><th><button type="button">Image</button></th>{heads}<th>Overlay</th></tr>'
        f"</thead><tbody>{rows}</tbody></table>"
    )


def _image_row(record, columns, name):
    image_id = html.escape(record["image_id"])
    metrics = [column.removeprefix("right_").removeprefix("left_") for column in columns]
    cells = "".join(f'<td class="n">{number(record[c], m)}</td>' for c, m in zip(columns, metrics))
    return (
        f'<tr id="{_anchor(record["image_id"])}"><td>{image_id}</td>{cells}<td class="n"><a href="'
        f'{picture_path("clavicles", name)}">clavicles</a> <a href="{picture_path("whole", name)}">whole</a></td></tr>'
    )


def _column_title(column):
    side = next((side for side in SIDES if column.startswith(side)), "")
    name = column.removeprefix(f"{side}_")
    return f"{SHORT[name]}{f' {side}' if side else ''}{_in_mm(name)}"


def _two_class(metrics):
    return f"mIoU {metrics['two_class']['miou']:.4f}, mDice {metrics['two_class']['mdice']:.4f}"


def number(value, name):
    """Returns a metric's value as text, with the digits that it deserves."""
    return NOTHING if value is None else f"{value:.{DIGITS[name]}f}"


def interval(statistics, name):
    """Returns the confidence interval of a metric's mean as text."""
    low, high = statistics["ci95"]
    return "unknown" if low is None else f"{number(low, name)} to {number(high, name)}"


def _in_mm(name):
    return f" [{UNITS[name].strip()}]" if UNITS[name] else ""


def _anchor(image_id):
    return "image-" + urllib.parse.quote(image_id, safe="")


def style():
    """Returns the style sheet of our pages, which knows the colours of outlines."""
    colours = {"truth": TRUTH_COLOUR, "right": RIGHT_COLOUR, "left": LEFT_COLOUR}
    variables = "".join(f"--{k}: rgb({', '.join(map(str, np.flip(v)))});" for k, v in colours.items())
    return f":root {{ {variables} }}{STYLE}"


STYLE = """
:root { color-scheme: light; --ink: #1d2733; --soft: #5b6875; --line: #dde3e8; --accent: #2f6db3; }
body { margin: 0 auto; max-width: 1240px; padding: 28px 24px 60px; color: var(--ink); background: #fff;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { margin: 0 0 10px; font-size: 27px; } h2 { margin: 44px 0 10px; font-size: 20px; } h3 { margin: 26px 0 8px; }
p, li { max-width: 78ch; } a { color: var(--accent); }
dl { display: flex; flex-wrap: wrap; gap: 6px 30px; margin: 0 0 18px; }
dt { color: var(--soft); font-size: 12.5px; } dd { margin: 0; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px; }
.tile { border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; background: #f8fafb; }
.tile span { display: block; color: var(--soft); font-size: 13px; } .tile b { font-size: 31px; font-weight: 600; }
.tile small { font-size: 16px; font-weight: 400; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { padding: 5px 10px; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { border-bottom: 2px solid var(--ink); font-size: 13px; vertical-align: bottom; }
.n { font-variant-numeric: tabular-nums; white-space: nowrap; } .unknown { color: var(--soft); }
th button { all: unset; cursor: pointer; font-weight: 600; white-space: nowrap; }
th button:focus-visible { outline: 2px solid var(--accent); }
th button::after { content: " \\2195"; color: #a9b4be; } th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
#images thead th { position: sticky; top: 0; background: #fff; } #images tr:target { background: #fff4d6; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(400px, 1fr)); gap: 20px; }
figure { margin: 0; } svg { width: 100%; max-width: 600px; } svg text { font-size: 12px; fill: var(--soft); }
svg .title { font-weight: 600; fill: var(--ink); } .bar { fill: #a9c4e2; }
.tick { stroke: #2f6db3; stroke-opacity: .55; }
.axis { stroke: var(--ink); } .grid { stroke: var(--line); stroke-dasharray: 2 3; } .mean, .median { stroke: #c0392b; }
.median { stroke-dasharray: 4 3; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 26px; padding: 0; list-style: none; }
.legend i { display: inline-block; width: 26px; height: 13px; margin-right: 8px; vertical-align: -2px;
  border-radius: 2px; background: linear-gradient(var(--c), var(--c)) center / 100% 4px no-repeat #26303a; }
.card { display: grid; grid-template: auto 1fr / 1fr 320px; gap: 6px 10px; margin-bottom: 22px; }
.card img { display: block; width: 100%; border-radius: 4px; background: #111; }
.card a + a { grid-area: 1 / 2 / 3 / 3; } figcaption { grid-column: 1; }
figcaption b { margin-right: 8px; } figcaption span { color: var(--soft); white-space: nowrap; }
footer { margin-top: 44px; padding-top: 14px; border-top: 1px solid var(--line); color: var(--soft); }
@media (max-width: 800px) { .tiles { grid-template-columns: 1fr 1fr; } .card { display: block; } }
@media print { .card { break-inside: avoid; } #images thead th { position: static; } }
"""

SCRIPT = """
const table = document.getElementById("images"), body = table.tBodies[0];
const key = (row, i) => { const text = row.cells[i].textContent, number = Number(text);
  return text === "\\u2013" ? null : text.trim() === "" || i === 0 || Number.isNaN(number) ? text : number; };
const order = (a, b) => a === b ? 0 : a === null ? 1 : b === null ? -1
  : typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true });
table.tHead.querySelectorAll("th").forEach((head, i) => {
  const button = head.querySelector("button");
  if (button) button.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    table.tHead.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].map(row => [key(row, i), row]);
    rows.sort(([a], [b]) => a === null || b === null ? order(a, b) : down ? order(b, a) : order(a, b));
    body.append(...rows.map(([, row]) => row));
  });
});
"""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Clavicle segmentation: evaluation</title>
<style>$style</style>
</head>
<body>
<h1>Clavicle segmentation: evaluation</h1>
<dl>$facts</dl>
<div class="tiles">$tiles</div>
<p>Means over radiographs, both clavicles together, with 95 % confidence intervals.
Research software, not a medical device.</p>

<h2>Figures</h2>
$summary
<p>Over the two classes background and clavicle, all pixels pooled, as MMSegmentation counts: $two_class.</p>
<div class="plots">$plots</div>
$runs

<h2>Best, median and worst</h2>
<ul class="legend">
<li><i style="--c: var(--truth)"></i>true outline</li>
<li><i style="--c: var(--right)"></i>predicted, the patient's right clavicle (left in the picture)</li>
<li><i style="--c: var(--left)"></i>predicted, the patient's left clavicle</li>
</ul>
<p>Ordered by IoU. Where prediction and truth agree to the pixel, the prediction covers the truth. Each picture opens
at its full size; the whole radiograph shows the predictions tinted too, wherever they lie.</p>
$best
$median
$worst

<h2>Every radiograph</h2>
<p>Worst IoU first; a click on a heading sorts. The same figures, and areas, stand in
<a href="per_image.csv">per_image.csv</a>, the summary in <a href="metrics.json">metrics.json</a>.</p>
$images

<footer>
<p>At native resolution. IoU: shared pixels over pixels in either mask. Dice: twice the shared pixels over the sum of
both. Contour: foreground pixels with a background 4-neighbour. Mean contour distance: the mean of the two directed
mean distances. 95 % Hausdorff distance: the larger of the two directed 95th percentiles. Distances are undefined where
a mask is empty or the spacing unknown; a side is undefined where neither truth nor prediction has it. Undefined values
are counted and left out. Standard deviations are the population's; intervals are bootstrap percentiles of the mean
over radiographs (2000 resamples). Left and right are the patient's.</p>
<p>Research software, not a medical device.</p>
</footer>
<script>$script</script>
</body>
</html>
"""
