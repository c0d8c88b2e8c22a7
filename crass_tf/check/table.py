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
TITLES = {
    "radiographs": "radiographs",
    "unlabelled": "without a mask",
    "unreadable": "unreadable",
    "size": "size (rows x columns)",
    "bits": "bits a pixel",
    "grey": "stored grey values",
    "grey_median": "median grey value (of 255)",
    "spacing_mm": "pixel spacing in mm",
    "mask_values": "mask values",
    "clavicle_pixels_min": "clavicle pixels, minimum",
    "clavicle_pixels_median": "clavicle pixels, median",
    "clavicle_pixels_max": "clavicle pixels, maximum",
    "clavicle_share": "clavicles' share of all pixels",
    "clavicles": "connected parts a mask",
    "left_to_right": "area of left to right clavicle",
}
NOTHING = "–"


def make_table(source: Source, looks: Sequence[Look], scale: GreyScale) -> dict[str, Any]:
    """Returns the table for programs: counts, `{value: radiographs}`, and `{"min", "median", "max"}` or None.

    Args:
        source: the `Source`.
        looks: the `Look`s of all its examples.
        scale: its `GreyScale`.
    """
    return {
        "radiographs": len(looks),
        "splits": {split: len(examples) for split, examples in source.splits.items()},
        "unlabelled": len(source.unlabelled),
        "unreadable": sum(bool(look.errors) for look in looks),
        **_grey_table([look.grey for look in looks if look.grey], source.spacing, scale),
        **_mask_table([(look.mask, look.grey) for look in looks if look.mask]),
    }


def table_rows(table: dict) -> list[tuple[str, str, str]]:
    """Returns `[(title, found, published or "")]`, for people."""
    rows = {"radiographs": str(table["radiographs"])}
    rows |= {split: str(count) for split, count in table["splits"].items()}
    rows |= {name: str(table[name]) for name in ("unlabelled", "unreadable")}
    rows |= {name: _count_text(table[name]) for name in ("size", "bits")}
    rows["grey"] = _range_text(table["grey"], "{:,.0f}", median=False)
    rows["grey_median"] = _range_text(table["grey_median"], "{:.0f}")
    rows |= {name: _count_text(table[name]) for name in ("spacing_mm", "mask_values")}
    pixels = table["clavicle_pixels"] or {}
    rows |= {f"clavicle_pixels_{k}": f"{pixels[k]:,.0f}" if pixels else NOTHING for k in ("min", "median", "max")}
    rows["clavicle_share"] = NOTHING if table["clavicle_share"] is None else f"{100 * table['clavicle_share']:.2f} %"
    rows["clavicles"] = _count_text(table["clavicles"])
    rows["left_to_right"] = _range_text(table["left_to_right"], "{:.2f}")
    return [(TITLES.get(name, f"split {name}"), text, PUBLISHED.get(name, "")) for name, text in rows.items()]


def table_text(rows: Iterable[Sequence[str]]) -> str:
    """Returns the rows as lines of aligned text below a heading."""
    rows = [("", "found", PUBLISHED_TITLE), *rows]
    first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
    return "\n".join(f"{a:<{first}}  {b:<{second}}  {c}".rstrip() for a, b, c in rows)


def _grey_table(greys, spacing, scale):
    return {
        "size": _counts(f"{g.size[0]} x {g.size[1]}" for g in greys),
        "bits": _counts(str(g.bits) for g in greys),
        "grey": _spread([value for g in greys for value in g.range.tolist()]),
        "grey_median": _spread([int(scale.to_grey8(g.percentiles)[1]) for g in greys]),
        "spacing_mm": _counts(_spacing(spacing.resolve(g.spacing_mm)[0]) for g in greys),
    }


def _mask_table(seen):
    masks, pixels = [mask for mask, _ in seen], sum(int(np.prod(grey.size)) for _, grey in seen)
    return {
        "mask_values": _counts(_values(mask.values) for mask in masks),
        "clavicle_pixels": _spread([mask.pixels for mask in masks]),
        "clavicle_share": sum(mask.pixels for mask in masks) / pixels if pixels else None,
        "clavicles": _counts(str(len(mask.components)) for mask in masks),
        "left_to_right": _spread([left / right for right, left in (mask.sides for mask in masks) if right and left]),
    }


def _counts(values):
    """Returns `{value: how often}`, the most frequent first."""
    return dict(collections.Counter(values).most_common())


def _spread(values):
    return {"min": min(values), "median": float(np.median(values)), "max": max(values)} if values else None


def _spacing(spacing_mm):
    return "unknown" if spacing_mm is None else f"{spacing_mm[0]:.4g} x {spacing_mm[1]:.4g}"


def _values(values, most=4):
    if len(values) > most:
        return f"{len(values)} values from {values[0]} to {values[-1]}"
    return ", ".join(map(str, values))


def _count_text(counts, most=3):
    shown = [f"{value} ({count})" for value, count in list(counts.items())[:most]]
    shown += [f"{len(counts) - most} more"] * (len(counts) > most)
    return "; ".join(shown) or NOTHING


def _range_text(spread, form, median=True):
    if spread is None:
        return NOTHING
    text = f"{form.format(spread['min'])} to {form.format(spread['max'])}"
    return f"{text}, median {form.format(spread['median'])}" if median else text
