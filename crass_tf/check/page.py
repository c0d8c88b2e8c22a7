"""`check.html`: the table of a check, and every flag with pictures of the radiographs that it is about."""

import itertools
import pathlib
import urllib.parse
from collections.abc import Sequence

import cv2
import numpy as np

from crass_tf.check.examples import Look
from crass_tf.check.flags import REMARK, SEVERITIES, SPOILS, STOPS, Flag
from crass_tf.check.table import PUBLISHED_TITLE, table_rows
from crass_tf.common.files import InputError, atomic_folder
from crass_tf.common.parallel import ordered_map
from crass_tf.geometry import split_sides
from crass_tf.radiographs.radiograph import GreyScale
from crass_tf.reporting import pages
from crass_tf.reporting.overlay import SIDE_COLOURS, draw_mask
from crass_tf.reporting.pictures import picture_name, write_jpeg
from crass_tf.reporting.plots import histogram
from crass_tf.sources.source import Example, Source

FOLDER = "check_pictures"
# A flag may be about hundreds of radiographs; its text and check.json name them.
SHOWN = 8
# The page shows pictures at two thirds of their size.
WIDTH, THICKNESS = 300, 2
CONSEQUENCES = {STOPS: "stops a build", SPOILS: "spoils a build", REMARK: "remark"}


def write_page(
    out: pathlib.Path, source: Source, looks: Sequence[Look], scale: GreyScale, table: dict, flags: Sequence[Flag]
) -> None:
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
    names = {}
    for look in looks:
        names[look.image_id] = picture_name(look.image_id, names.values())
    with atomic_folder(out / FOLDER) as folder:
        shown = [look for look in looks if look.image_id in wanted]
        drawn = _write_pictures(folder, source, shown, scale, names)
    links = {image_id: f"{FOLDER}/{urllib.parse.quote(names[image_id])}.jpg" for image_id in drawn}
    pages.write_page(
        out / "check.html",
        "check.html",
        folder=source.folder,
        facts={"Folder": source.folder, "Form": source.form, "Splits": source.split_origin},
        tiles=[
            ("radiographs", table["radiographs"], ""),
            *((title, sum(flag.severity == name for flag in flags), name) for name, title in SEVERITIES.items()),
        ],
        published_title=PUBLISHED_TITLE,
        rows=table_rows(table),
        plots=_plots(looks, scale),
        groups=_groups(flags, links, {look.image_id: look for look in looks}),
        shown=SHOWN,
    )


def _write_pictures(folder, source, looks, scale, names):
    """Writes `NAME.jpg` for each look that can be read, `{image_id: NAME}`; returns the set of the names written."""
    shown = [look for look in looks if look.grey is not None]

    def write(look):
        write_jpeg(folder / f"{names[look.image_id]}.jpg", _draw(source, look, scale))
        return look.image_id

    return set(ordered_map(write, shown))


def _draw(source, look, scale):
    """Returns a radiograph, uint8 `[h, 300, 3]`, with the clavicles outlined where it has a mask that fits."""
    try:
        pixels, _, masks, _ = source.read(Example(look.image_id, look.image_path, look.mask_paths))
    except InputError:
        pixels, masks = source.read_image(look.image_path)[0], []
    size = (WIDTH, max(1, round(pixels.shape[0] * WIDTH / pixels.shape[1])))
    canvas = cv2.cvtColor(cv2.resize(scale.to_grey8(pixels), size, interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2BGR)
    if masks:
        # The sides first: shrinking a mask may join or lose its parts.
        labels = cv2.resize(split_sides(np.maximum.reduce(masks)), size, interpolation=cv2.INTER_NEAREST_EXACT)
        for side, colour in SIDE_COLOURS.items():
            draw_mask(canvas, labels == side, colour, THICKNESS)
    return canvas


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
    return [
        histogram([name for name, _ in values], [value for _, value in values], title)
        for title, values in plots.items()
        if values
    ]


def _groups(flags, links, looks):
    """Returns the flags for the page, those of one severity and kind together."""
    groups = itertools.groupby(flags, key=lambda flag: (flag.severity, flag.kind))
    return [
        {
            "severity": severity,
            "consequence": CONSEQUENCES[severity],
            "kind": kind,
            "flags": [vars(flag) | {"cards": _cards(flag, links, looks)} for flag in group],
        }
        for (severity, kind), group in groups
    ]


def _cards(flag, links, looks):
    names = [name for name in flag.image_ids[:SHOWN] if name in links]
    return [{"image_id": name, "link": links[name], "splits": looks[name].splits} for name in names]
