"""What a curator objects to: what listing the folder found, and what each radiograph and mask look like."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from crass_tf.radiographs.radiograph import GreyScale
from crass_tf.sources.source import Finding

if TYPE_CHECKING:
    from crass_tf.check.examples import Grey, Look

STOPS, SPOILS, REMARK = "stops", "spoils", "remark"
IMAGE, MASK = "image", "mask"
SEVERITIES = {STOPS: "flags that stop a build", SPOILS: "flags that spoil a build", REMARK: "remarks"}
# What listing noticed and a build goes on with, though something is not as it was meant to be.
SPOILING = ("in no split", "larger validation", "no mask", "mask without image")

# Grey values of 256 between the 1st and the 99th percentile: fewer than 16 are four bits for a whole chest.
LEAST_CONTRAST = 16
# Share of the pixels within the rim. Air beside a narrow patient is black in many sound radiographs.
MOST_BRIGHTEST, MOST_DARKEST = 0.1, 0.3
# Of the range of grey values, by which both lungs outshine the mediastinum where bright means dark.
INVERTED_BY = 0.05
# Smaller components than this share of the mask's largest one are specks; a speck is no clavicle.
SPECK = 0.05
CLAVICLES = 2
# Clavicles covered 0.9 to 3 % of the pixels wherever that was counted.
MASK_SHARES = (0.001, 0.1)
LEAST_SIDE_RATIO = 1 / 3
MOST_MASK_VALUES = 2


@dataclasses.dataclass(frozen=True)
class Flag:
    """Something that is flagged.

    Attributes:
        kind: a few words for tables and programs, such as `empty mask`.
        severity: `stops` a build, `spoils` it, or a `remark`.
        text: one line that names the files, what was found and what was expected.
        image_ids: names of the radiographs.
        files: paths of the files.
    """

    kind: str
    severity: str
    text: str
    image_ids: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def finding_flags(findings: Sequence[Finding]) -> list[Flag]:
    """Returns the flags of what listing found."""
    return [
        Flag(
            found.kind,
            STOPS if found.stops else SPOILS if found.kind in SPOILING else REMARK,
            found.text,
            found.image_ids,
            (named_file(found.text),),
        )
        for found in findings
    ]


def reading_flags(look: Look, known: Sequence[Flag]) -> list[Flag]:
    """Returns the flags of what could not be read, without those on files that `known` flags name."""
    named = {file for flag in known if flag.kind in ("unreadable", "size mismatch") for file in flag.files}
    return [
        Flag("unreadable", STOPS, error, (look.image_id,), (named_file(error),))
        for error in look.errors
        if named_file(error) not in named
    ]


def named_file(text: str) -> str:
    """Returns the file that a message names: all of them begin with it.

    Example:

    >>> named_file("CRASS12/val.txt: found no name, expected the name of one radiograph a line")
    'CRASS12/val.txt'
    """
    return text.split(": ", 1)[0]


def grey_flags(look: Look, scale: GreyScale) -> list[Flag]:
    """Returns the flags of a radiograph's grey values; `scale` is the data set's `GreyScale`."""
    assert look.grey is not None
    low, high = look.grey.range.tolist()
    if low == high:
        return [_flag("constant", look, IMAGE, f"found {low} in every pixel, expected a radiograph")]
    flags = []
    for share, most, value, name in (
        (look.grey.brightest, MOST_BRIGHTEST, high, "highest"),
        (look.grey.darkest, MOST_DARKEST, low, "lowest"),
    ):
        if share > most:
            found = f"found the {name} value, {value}, in {_percent(share)} of the pixels off the rim"
            flags.append(_flag("saturated", look, IMAGE, f"{found}, expected {_percent(most)} at most"))
    darkest, _, brightest = scale.to_grey8(look.grey.percentiles).tolist()
    if brightest - darkest < LEAST_CONTRAST:
        found = f"found 98 % of the grey values between {darkest} and {brightest} of 255"
        flags.append(_flag("low contrast", look, IMAGE, f"{found}, expected {LEAST_CONTRAST} or more apart"))
    if is_inverted(look.grey, scale):
        found = "found lungs brighter than the mediastinum, expected them darker: dense tissue bright"
        flags.append(_flag("inverted", look, IMAGE, found))
    return flags


def is_inverted(grey: Grey, scale: GreyScale) -> bool:
    """Returns whether both lungs are brighter than the mediastinum; a single one may be, by disease."""
    span = np.ptp(scale.to_grey8(grey.percentiles).astype(int))
    *lungs, mediastinum = scale.to_grey8(grey.fields).astype(int)
    return bool(min(lungs) - mediastinum > INVERTED_BY * span)


def mask_flags(look: Look) -> list[Flag]:
    """Returns the flags of a mask: its values, what it covers, and where."""
    mask, grey = look.mask, look.grey
    assert mask is not None and grey is not None
    flags = []
    if len(mask.values) > MOST_MASK_VALUES:
        found = f"found {len(mask.values)} values from {mask.values[0]} to {mask.values[-1]}"
        expected = "expected background and clavicle; whatever is above 0 counts as clavicle"
        flags.append(_flag("mask values", look, MASK, f"{found}, {expected}"))
    if not mask.pixels:
        return [*flags, _flag("empty mask", look, MASK, "found no clavicle pixel, expected two clavicles")]
    flags += _component_flags(look, mask.components, grey.size[0])
    share, (low, high) = mask.pixels / np.prod(grey.size), MASK_SHARES
    if not low <= share <= high:
        found = f"found clavicles on {_percent(share)} of the pixels, expected {_percent(low)} to {_percent(high)}"
        flags.append(_flag("mask area", look, MASK, found))
    right, left = mask.sides
    if 0 < min(right, left) < LEAST_SIDE_RATIO * max(right, left):
        found = f"found {right} pixels on the patient's right and {left} on the left"
        expected = "expected less than three times as many on one side"
        flags.append(_flag("unequal clavicles", look, MASK, f"{found}, {expected}"))
    return flags


def _component_flags(look, components, height):
    large = [c for c in components if c.pixels >= SPECK * components[0].pixels]
    specks = components[len(large) :]
    flags = []
    if len(large) != CLAVICLES:
        kind = "one clavicle" if len(large) < CLAVICLES else "more than two clavicles"
        word = "part" if len(large) == 1 else "parts"
        found = f"found {len(large)} connected {word} of {_list([str(c.pixels) for c in large])} pixels"
        flags.append(_flag(kind, look, MASK, f"{found}, expected {CLAVICLES}"))
    if specks:
        places = [f"{c.pixels} pixels at row {c.centre[0]}, column {c.centre[1]}" for c in specks]
        flags.append(_flag("specks", look, MASK, f"found {_list(places)} beside the clavicles, expected none"))
    end = max(c.end for c in large)
    if end > height / 2:
        found = f"found clavicle pixels down to row {end - 1} of {height}, expected them in the upper half"
        flags.append(_flag("mask below the middle", look, MASK, found))
    return flags


def _flag(kind, look, place, text):
    paths = tuple(map(str, look.mask_paths if place == MASK else (look.image_path,)))
    return Flag(kind, SPOILS, f"{' and '.join(paths)}: {text}", (look.image_id,), paths)


def _percent(share):
    return f"{100 * share:.3g} %"


def _list(words, most=4):
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
