"""What a measurement under perturbations found, for people: lines for a terminal, and `perturbations.html`."""

import html
import string

from crass_tf.evaluation.report import interval, number, style
from crass_tf.files import write_text

JSON_NAME, CSV_NAME = "perturbations.json", "perturbations.csv"
PAGE_NAME, SHEET_NAME = "perturbations.html", "perturbations.jpg"
HEADS = ("", "IoU", "95 % interval", "worst", "drop", "", "MCD [mm]", "refused")
KEPT, LOST = "kept", "not kept"


def table_text(found):
    """Returns the table of `robustness.summarise`'s figures for a terminal."""
    rows = [HEADS, ("clean", *_cells(found["clean"]))]
    for required in (True, False):
        chosen = _chosen(found, required)
        rows += [(_title(required, found["limit"]),), *((name, *_cells(each)) for name, each in chosen.items())]
    widths = [max(len(row[column]) for row in rows if len(row) > 1) for column in range(len(HEADS))]
    lines = [_line(row, widths) for row in rows]
    return "\n".join([*lines, f"{conclusion(found)}, {found['n']} radiographs"])


def conclusion(found):
    """Returns how many of the required perturbations were stood, in a few words."""
    required = _chosen(found, True)
    stood = sum(each["passed"] for each in required.values())
    return f"{stood} of {len(required)} required perturbations lower the mean IoU by at most {found['limit']}"


def write_page(path, found, shown):
    """Writes the page.

    Args:
        path: the HTML file; the other results lie beside it.
        found: the content of `perturbations.json`.
        shown: the name of the radiograph in the picture.
    """
    facts = {"Model": "model", "Data set": "dataset", "Split": "split", "Radiographs": "n"}
    page = string.Template(PAGE).substitute(
        style=style(),
        facts="".join(f"<div><dt>{k}</dt><dd>{html.escape(str(found[v]))}</dd></div>" for k, v in facts.items()),
        conclusion=conclusion(found),
        heads="".join(f"<th>{head}</th>" for head in HEADS),
        rows="".join(_rows(found)),
        shown=html.escape(shown),
        sheet=SHEET_NAME,
        csv=CSV_NAME,
        json=JSON_NAME,
    )
    write_text(path, page)


def _chosen(found, required):
    return {name: each for name, each in found["perturbations"].items() if each["required"] == required}


def _cells(each):
    """Returns the texts of a row after its name."""
    iou, mcd_mm = each["iou"], each["mcd_mm"]
    drop = f"{each['drop']:z.3f}" if "drop" in each else ""
    mark = (KEPT if each["passed"] else LOST) if each.get("required") else ""
    figures = (number(iou["mean"], "iou"), interval(iou, "iou"), number(iou["min"], "iou"))
    return *figures, drop, mark, number(mcd_mm["mean"], "mcd_mm"), str(each["refused"] or "")


def _line(row, widths):
    if len(row) == 1:
        return f"{row[0]}:"
    figures = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))
    return "  ".join([row[0].ljust(widths[0]), *figures]).rstrip()


def _rows(found):
    yield _row("clean", found["clean"])
    for required in (True, False):
        yield f'<tr><th colspan="{len(HEADS)}">{_title(required, found["limit"])}</th></tr>'
        for name, each in _chosen(found, required).items():
            yield _row(name, each)


def _row(name, each):
    signs = {KEPT: f"&#10003; {KEPT}", LOST: f"&#10007; {LOST}"}
    cells = "".join(f'<td class="n">{signs.get(cell, cell)}</td>' for cell in _cells(each))
    return f"<tr><td>{html.escape(name)}</td>{cells}</tr>"


def _title(required, limit):
    return f"Required to cost at most {limit}" if required else "Reported only"


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Clavicle segmentation: perturbations</title>
<style>$style</style>
</head>
<body>
<h1>Clavicle segmentation: perturbations</h1>
<dl>$facts</dl>
<p>$conclusion. Each radiograph was changed in every way listed, and its true mask alike, before it was segmented.
Research software, not a medical device.</p>

<h2>Figures</h2>
<table><thead><tr>$heads</tr></thead><tbody>$rows</tbody></table>

<h2>One radiograph under all of them</h2>
<ul class="legend">
<li><i style="--c: var(--truth)"></i>true outline</li>
<li><i style="--c: var(--right)"></i>predicted, labelled the patient's right clavicle</li>
<li><i style="--c: var(--left)"></i>predicted, labelled the patient's left clavicle</li>
</ul>
<p>$shown, with the IoU of each. The picture opens at its full size.</p>
<a href="$sheet"><img src="$sheet" alt="$shown under every perturbation" style="width: 100%"></a>

<footer>
<p>Drop: the mean IoU of the radiographs as they are, less the mean under the perturbation. IoU is that of both
clavicles together; one that finds nothing has 0, and so has a radiograph that the model refused as none. Mean contour
distances (MCD) leave out where nothing was found. Every radiograph's figures stand in <a href="$csv">$csv</a>, the
summary in <a href="$json">$json</a>; the unchanged radiographs in <a href="report.html">report.html</a>.</p>
</footer>
</body>
</html>
"""
