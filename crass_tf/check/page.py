"""`check.html`: the table of a check, and every flag with pictures of the radiographs that it is about."""

import itertools
import pathlib
import urllib.parse
from collections.abc import Sequence

import cv2
import numpy as np

from crass_tf.check.examples import Look
from crass_tf.check.flags import SEVERITIES
from crass_tf.check.table import PUBLISHED_TITLE, table_rows
from crass_tf.common.files import InputError, atomic_folder
from crass_tf.common.parallel import ordered_map
from crass_tf.geometry import split_sides
from crass_tf.radiographs.radiograph import GreyScale
from crass_tf.reporting import pages
from crass_tf.reporting.overlay import overlay
from crass_tf.reporting.pictures import picture_name, write_jpeg
from crass_tf.reporting.plots import histogram
from crass_tf.sources.source import REMARK, SPOILS, STOPS, Finding, Source

FOLDER = "check_pictures"
# A flag may be about hundreds of radiographs; its text and check.json name them.
SHOWN = 8
# The page shows pictures at two thirds of their size.
WIDTH, THICKNESS = 300, 2
CONSEQUENCES = {STOPS: "stops a build", SPOILS: "spoils a build", REMARK: "remark"}


def write_page(
    out: pathlib.Path, source: Source, looks: Sequence[Look], scale: GreyScale, table: dict, flags: Sequence[Finding]
) -> None:
    """Writes `check.html`, and `check_pictures/` beside it; `table` is what `make_table` returned."""
    flagged = {image_id for flag in flags for image_id in flag.image_ids[:SHOWN]}
    shown = [look for look in looks if look.grey is not None and look.image_id in flagged]
    names = {}
    for look in shown:
        names[look.image_id] = picture_name(look.image_id, names.values())
    with atomic_folder(out / FOLDER) as folder:
        for look, picture in zip(shown, ordered_map(lambda look: _draw(source, look, scale), shown)):
            write_jpeg(folder / f"{names[look.image_id]}.jpg", picture)
    links = {image_id: f"{FOLDER}/{urllib.parse.quote(name)}.jpg" for image_id, name in names.items()}
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
        groups=_groups(flags, links, {look.image_id: look.splits for look in looks}),
        shown=SHOWN,
    )


def _draw(source, look, scale):
    """Returns a radiograph, uint8 `[h, 300, 3]`, with the clavicles outlined where it has a mask that fits."""
    try:
        pixels, _, masks, _ = source.read(look)
    except InputError:
        pixels, masks = source.read_image(look.image_path)[0], []
    size = (WIDTH, max(1, round(pixels.shape[0] * WIDTH / pixels.shape[1])))
    image = cv2.resize(scale.to_grey8(pixels), size, interpolation=cv2.INTER_AREA)
    # Sides are split before shrinking, which may join or lose parts of a mask.
    labels = split_sides(np.maximum.reduce(masks or [np.zeros_like(pixels, np.uint8)]))
    labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return overlay(image, labels, thickness=THICKNESS)


def _plots(looks, scale):
    greys = {look.image_id: scale.to_grey8(look.grey.percentiles).astype(int) for look in looks if look.grey}
    masked = [look for look in looks if look.mask and look.mask.pixels]
    sides = {look.image_id: look.mask.sides for look in masked if all(look.mask.sides)}
    shares = {look.image_id: 100 * look.mask.pixels / np.prod(look.grey.size) for look in masked}
    plots = {
        "Clavicles' share of all pixels [%]": shares,
        "Area of left to right clavicle": {name: left / right for name, (right, left) in sides.items()},
        "Median grey value [of 255]": {name: middle for name, (_, middle, _) in greys.items()},
        "Contrast: 1st to 99th percentile of grey values": {n: high - low for n, (low, _, high) in greys.items()},
    }
    return [histogram([*values], [*values.values()], title) for title, values in plots.items() if values]


def _groups(flags, links, splits):
    """Returns the flags for the page, those of one severity and kind together."""

    def cards(flag):
        names = [name for name in flag.image_ids[:SHOWN] if name in links]
        return [{"image_id": name, "link": links[name], "splits": splits[name]} for name in names]

    return [
        {
            "severity": severity,
            "consequence": CONSEQUENCES[severity],
            "kind": kind,
            "flags": [vars(flag) | {"cards": cards(flag)} for flag in group],
        }
        for (severity, kind), group in itertools.groupby(flags, key=lambda flag: (flag.severity, flag.kind))
    ]
