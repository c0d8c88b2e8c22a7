"""`check.html`: the table of a check, and every flag with pictures of the radiographs that it is about."""

import html
import itertools
import string
import urllib.parse

import numpy as np

from crass_tf.check.flags import REMARK, SEVERITIES, SPOILS, STOPS
from crass_tf.check.pictures import write_pictures
from crass_tf.check.table import PUBLISHED_TITLE, table_rows
from crass_tf.evaluation.pictures import picture_name
from crass_tf.evaluation.plots import histogram
from crass_tf.files import atomic_folder, write_text
from crass_tf.overlay import LEFT_COLOUR, RIGHT_COLOUR

FOLDER = "check_pictures"
# A flag may be about hundreds of radiographs; its text and check.json name them.
SHOWN = 8


def write_page(out, source, looks, scale, table, flags):
    """Writes `check.html`, and `check_pictures/` beside it.

    Args:
        out: the folder.
        source: the `Source`.
        looks: all `Look`s.
        scale: the data set's `GreyScale`.
        table: what `make_table` returned.
        flags: the `Flag`s, in order.
    """
    wanted = {image_id for flag in flags for image_id in flag.image_ids[:SHOWN]}
    names = _names(looks)
    with atomic_folder(out / FOLDER) as folder:
        shown = [look for look in looks if look.image_id in wanted]
        drawn = write_pictures(folder, source, shown, scale, names)
    links = {image_id: f"{FOLDER}/{urllib.parse.quote(names[image_id])}.jpg" for image_id in drawn}
    page = string.Template(PAGE).substitute(
        style=_style(),
        title=html.escape(str(source.folder)),
        facts=_facts(source),
        tiles=_tiles(table, flags),
        table=_table(table),
        plots=_plots(looks, scale),
        flags=_flags(flags, links, {look.image_id: look for look in looks}),
    )
    write_text(out / "check.html", page)


def _names(looks):
    names = {}
    for look in looks:
        names[look.image_id] = picture_name(look.image_id, names.values())
    return names


def _facts(source):
    facts = {"Folder": source.folder, "Form": source.form, "Splits": source.split_origin}
    return "".join(f"<div><dt>{k}</dt><dd>{html.escape(str(v))}</dd></div>" for k, v in facts.items() if v)


def _tiles(table, flags):
    tiles = [("radiographs", table["radiographs"], "")]
    for severity, text in SEVERITIES.items():
        count = sum(flag.severity == severity for flag in flags)
        tiles.append((text, count, severity if count else ""))
    return "".join(f'<div class="tile {kind}"><span>{text}</span><b>{count}</b></div>' for text, count, kind in tiles)


def _table(table):
    rows = "".join(
        f"<tr><td>{html.escape(title)}</td><td>{html.escape(found)}</td><td>{html.escape(published)}</td></tr>"
        for title, found, published in table_rows(table)
    )
    return (
        f"<table><thead><tr><th></th><th>Found</th><th>{PUBLISHED_TITLE}</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _plots(looks, scale):
    greys = [(look.image_id, scale.to_grey8(look.grey.percentiles).astype(int)) for look in looks if look.grey]
    masked = [look for look in looks if look.mask and look.mask.pixels]
    sides = [(look.image_id, look.mask.sides) for look in masked]
    plots = {
        "Clavicles' share of all pixels [%]": [
            (look.image_id, 100 * look.mask.pixels / np.prod(look.grey.size)) for look in masked
        ],
        "Area of left to right clavicle": [(name, left / right) for name, (right, left) in sides if left and right],
        "Median grey value [of 255]": [(name, middle) for name, (_, middle, _) in greys],
        "Contrast: 1st to 99th percentile of grey values": [(name, high - low) for name, (low, _, high) in greys],
    }
    figures = (histogram(*zip(*values), title) for title, values in plots.items() if values)
    return "".join(f"<figure>{figure}</figure>" for figure in figures)


def _flags(flags, links, looks):
    if not flags:
        return "<p>Nothing.</p>"
    groups = itertools.groupby(flags, key=lambda flag: (flag.severity, flag.kind))
    return "".join(_group(*key, list(group), links, looks) for key, group in groups)


def _group(severity, kind, flags, links, looks):
    items = "".join(_item(flag, links, looks) for flag in flags)
    count = f" <small>{len(flags)}</small>" if len(flags) > 1 else ""
    heading = f"<h3><i>{WORDS[severity]}</i> {html.escape(kind)}{count}</h3>"
    return f'<section class="{severity}">{heading}<div class="flags">{items}</div></section>'


def _item(flag, links, looks):
    cards = "".join(_card(name, links[name], looks[name]) for name in flag.image_ids[:SHOWN] if name in links)
    more = len(flag.image_ids) - SHOWN
    note = f"<p>The first {SHOWN} of {len(flag.image_ids)}; check.json names all.</p>" if more > 0 and cards else ""
    wide = "" if cards and len(flag.image_ids) == 1 else " wide"
    return f'<div class="flag{wide}">{cards}<div class="text"><p>{html.escape(flag.text)}</p>{note}</div></div>'


def _card(image_id, link, look):
    where = " and ".join(look.splits) or "no split"
    name = html.escape(image_id)
    return (
        f'<figure><img src="{link}" alt="Radiograph {name}" loading="lazy">'
        f"<figcaption><b>{name}</b> {html.escape(where)}</figcaption></figure>"
    )


def _style():
    colours = {"right": RIGHT_COLOUR, "left": LEFT_COLOUR}
    variables = "".join(f"--{k}: rgb({', '.join(map(str, np.flip(v)))});" for k, v in colours.items())
    return f":root {{ {variables} }}{STYLE}"


WORDS = {STOPS: "stops a build", SPOILS: "spoils a build", REMARK: "remark"}

STYLE = """
:root { color-scheme: light; --ink: #1d2733; --soft: #5b6875; --line: #dde3e8; }
body { margin: 0 auto; max-width: 1240px; padding: 28px 24px 60px; color: var(--ink); background: #fff;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { margin: 0 0 10px; font-size: 27px; } h2 { margin: 40px 0 10px; font-size: 20px; }
h3 { margin: 0 0 4px; font-size: 16px; } h3 small { color: var(--soft); font-weight: 400; }
h3 i { margin-right: 6px; padding: 2px 8px; border-radius: 10px; color: #fff; background: var(--k); font-size: 12px;
  font-style: normal; font-weight: 600; vertical-align: 1px; }
dl { display: flex; flex-wrap: wrap; gap: 6px 30px; margin: 0 0 18px; }
dt { color: var(--soft); font-size: 12.5px; } dd { margin: 0; overflow-wrap: anywhere; }
.stops { --k: #b3261e; } .spoils { --k: #a85d00; } .remark { --k: #5b6875; }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px; }
.tile { border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; background: #f8fafb; }
.tile span { display: block; color: var(--soft); font-size: 13px; }
.tile b { color: var(--k, var(--ink)); font-size: 31px; font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 10px; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { border-bottom: 2px solid var(--ink); font-size: 13px; } td:first-child, td:last-child { color: var(--soft); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(400px, 1fr)); gap: 20px; margin-top: 28px; }
figure { margin: 0; } svg { width: 100%; max-width: 600px; } svg text { font-size: 12px; fill: var(--soft); }
svg .title { font-weight: 600; fill: var(--ink); } .bar { fill: #a9c4e2; }
.tick { stroke: #2f6db3; stroke-opacity: .55; }
.axis { stroke: var(--ink); } .grid { stroke: var(--line); stroke-dasharray: 2 3; } .mean, .median { stroke: #c0392b; }
.median { stroke-dasharray: 4 3; }
section { margin: 18px 0; padding: 12px 16px 8px; border: 1px solid var(--line); border-left: 4px solid var(--k);
  border-radius: 6px; }
.flags { display: grid; grid-template-columns: 1fr 1fr; gap: 10px 24px; margin: 6px 0; }
.flag { display: flex; flex-wrap: wrap; gap: 6px 14px; } .wide, .flag:only-child { grid-column: 1 / -1; }
.text { flex: 1 1 280px; overflow-wrap: anywhere; } .text p { margin: 0; }
.flag figure { width: 190px; } .flag img { display: block; width: 100%; outline: 1px solid var(--line); }
figcaption { font-size: 13px; color: var(--soft); overflow-wrap: anywhere; } figcaption b { color: var(--ink); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 26px; padding: 0; list-style: none; }
.legend i { display: inline-block; width: 26px; height: 13px; margin-right: 8px; vertical-align: -2px;
  border-radius: 2px; background: linear-gradient(var(--c), var(--c)) center / 100% 4px no-repeat #26303a; }
footer { margin-top: 44px; padding-top: 14px; border-top: 1px solid var(--line); color: var(--soft); }
@media (max-width: 800px) { .tiles { grid-template-columns: 1fr 1fr; } .plots, .flags { display: block; } }
@media print { .flag { break-inside: avoid; } }
"""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Check of $title</title>
<style>$style</style>
</head>
<body>
<h1>Check of a data set</h1>
<dl>$facts</dl>
<div class="tiles">$tiles</div>

<h2>Flags</h2>
<ul class="legend">
<li><i style="--c: var(--right)"></i>mask, the patient's right clavicle (left in the picture)</li>
<li><i style="--c: var(--left)"></i>mask, the patient's left clavicle</li>
</ul>
$flags

<h2>Figures</h2>
$table
<div class="plots">$plots</div>

<footer>
<p>The same flags and figures stand in <a href="check.json">check.json</a>. Grey values are judged as a build would map
them to 8 bits, off the outermost tenth of each side. Published figures are CRASS12's; other data sets have their own.
Research software, not a medical device.</p>
</footer>
</body>
</html>
"""
