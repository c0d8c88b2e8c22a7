"""The table of a check: counts, sizes, grey values and mask statistics beside CRASS12's published ones."""

import collections
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from crass_tf.check.examples import Look
from crass_tf.radiographs.radiograph import GreyScale
from crass_tf.sources.listing import DOCUMENTED_SPACING_MM, RADIOGRAPH_COUNT
from crass_tf.sources.source import Source

PUBLISHED_TITLE = "CRASS12 as published"
PUBLISHED = {
    "radiographs": f"{RADIOGRAPH_COUNT} with masks, 234 without",
    "train": "227 (the one public result)",
    "validation": "57 (the one public result)",
    "size": "smallest 1560 x 1520, median 1768 x 1812",
    "spacing_mm": f"{DOCUMENTED_SPACING_MM[0]} x {DOCUMENTED_SPACING_MM[1]}",
    "clavicle_pixels_min": "9,768",
    "clavicle_pixels_median": "48,715",
    "clavicle_share": "1.62 %",
}
NOTHING = "–"


def make_table(source: Source, looks: Sequence[Look], scale: GreyScale) -> dict[str, Any]:
    """Returns the table for programs: counts, `{value: radiographs}`, and `{"min", "median", "max"}` or None."""
    greys = [look.grey for look in looks if look.grey]
    masks = [look.mask for look in looks if look.mask]
    pixels = sum(int(np.prod(look.grey.size)) for look in looks if look.mask and look.grey)
    sides = [mask.sides for mask in masks]
    return {
        "radiographs": len(looks),
        "splits": {split: len(examples) for split, examples in source.splits.items()},
        "unlabelled": len(source.unlabelled),
        "unreadable": sum(bool(look.errors) for look in looks),
        "size": _count_values(f"{grey.size[0]} x {grey.size[1]}" for grey in greys),
        "bits": _count_values(str(8 * grey.range.itemsize) for grey in greys),
        "grey": _measure_spread([value for grey in greys for value in grey.range.tolist()]),
        "grey_median": _measure_spread([int(scale.to_grey8(grey.percentiles)[1]) for grey in greys]),
        "spacing_mm": _count_values(_spacing(grey.spacing_mm or source.fallback_mm) for grey in greys),
        "mask_values": _count_values(_list_values(mask.values) for mask in masks),
        "clavicle_pixels": _measure_spread([mask.pixels for mask in masks]),
        "clavicle_share": sum(mask.pixels for mask in masks) / pixels if pixels else None,
        "clavicles": _count_values(str(len(mask.components)) for mask in masks),
        "left_to_right": _measure_spread([left / right for right, left in sides if right and left]),
    }


def table_rows(table: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Returns `[(title, found, published or "")]`, for people."""
    whole, fine = "{min:.0f} to {max:.0f}, median {median:.0f}", "{min:.2f} to {max:.2f}, median {median:.2f}"
    pixels, share = table["clavicle_pixels"], table["clavicle_share"]
    rows = {
        "radiographs": ("radiographs", str(table["radiographs"])),
        **{split: (f"split {split}", str(count)) for split, count in table["splits"].items()},
        "unlabelled": ("without a mask", str(table["unlabelled"])),
        "unreadable": ("unreadable", str(table["unreadable"])),
        "size": ("size (rows x columns)", _count_text(table["size"])),
        "bits": ("bits a pixel", _count_text(table["bits"])),
        "grey": ("stored grey values", _format_spread(table["grey"], "{min:,.0f} to {max:,.0f}")),
        "grey_median": ("median grey value (of 255)", _format_spread(table["grey_median"], whole)),
        "spacing_mm": ("pixel spacing in mm", _count_text(table["spacing_mm"])),
        "mask_values": ("mask values", _count_text(table["mask_values"])),
        "clavicle_pixels_min": ("clavicle pixels, minimum", _format_spread(pixels, "{min:,.0f}")),
        "clavicle_pixels_median": ("clavicle pixels, median", _format_spread(pixels, "{median:,.0f}")),
        "clavicle_pixels_max": ("clavicle pixels, maximum", _format_spread(pixels, "{max:,.0f}")),
        "clavicle_share": ("clavicles' share of all pixels", NOTHING if share is None else f"{100 * share:.2f} %"),
        "clavicles": ("connected parts a mask", _count_text(table["clavicles"])),
        "left_to_right": ("area of left to right clavicle", _format_spread(table["left_to_right"], fine)),
    }
    return [(title, text, PUBLISHED.get(name, "")) for name, (title, text) in rows.items()]


def table_text(rows: Iterable[Sequence[str]]) -> str:
    """Returns the rows as lines of aligned text below a heading."""
    rows = [("", "found", PUBLISHED_TITLE), *rows]
    first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
    return "\n".join(f"{a:<{first}}  {b:<{second}}  {c}".rstrip() for a, b, c in rows)


def _count_values(values):
    """Returns `{value: how often}`, the most frequent first."""
    return dict(collections.Counter(values).most_common())


def _measure_spread(values):
    return {"min": min(values), "median": float(np.median(values)), "max": max(values)} if values else None


def _spacing(spacing_mm):
    return "unknown" if spacing_mm is None else f"{spacing_mm[0]:.4g} x {spacing_mm[1]:.4g}"


def _list_values(values, most=4):
    if len(values) > most:
        return f"{len(values)} values from {values[0]} to {values[-1]}"
    return ", ".join(map(str, values))


def _count_text(counts, most=3):
    shown = [f"{value} ({count})" for value, count in list(counts.items())[:most]]
    shown += [f"{len(counts) - most} more"] * (len(counts) > most)
    return "; ".join(shown) or NOTHING


def _format_spread(spread, form):
    return form.format(**spread) if spread else NOTHING
