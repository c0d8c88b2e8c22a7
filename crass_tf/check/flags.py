"""What a curator objects to: flaws of the folder's list, and flaws of each radiograph and mask."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from crass_tf.radiographs.radiograph import GreyScale
from crass_tf.sources.source import REMARK, SPOILS, STOPS, Finding, named_file

if TYPE_CHECKING:
    from crass_tf.check.examples import Grey, Look

SEVERITIES = {STOPS: "flags that stop a build", SPOILS: "flags that spoil a build", REMARK: "remarks"}

# Grey values of 256 between the 1st and the 99th percentile: fewer than 16 are four bits for a whole chest.
LEAST_CONTRAST = 16
# Share of the pixels within the rim. Air beside a narrow patient is black in many sound radiographs.
MOST_BRIGHTEST, MOST_DARKEST = 0.1, 0.3
# In an inverted radiograph both lungs are brighter than the mediastinum by this share of the grey range.
INVERTED_BY = 0.05
# Smaller components than this share of the mask's largest one are specks; a speck is no clavicle.
SPECK = 0.05
CLAVICLES = 2
# Share of the pixels; clavicles covered 0.9 to 3 % in all data sets that were counted.
MASK_SHARES = (0.001, 0.1)
LEAST_SIDE_RATIO = 1 / 3
MOST_MASK_VALUES = 2


def reading_flags(look: Look, known: Sequence[Finding]) -> list[Finding]:
    """Returns the flags of unreadable files, without the files that `known` flags name."""
    named = {file for flag in known if flag.kind in ("unreadable", "size mismatch") for file in flag.files}
    return [
        Finding("unreadable", STOPS, error, (look.image_id,), (named_file(error),))
        for error in look.errors
        if named_file(error) not in named
    ]


def spoiling_flag(kind: str, look: Look, paths: Iterable[object], text: str) -> Finding:
    """Returns the flag of one radiograph, whose text begins with the files concerned."""
    files = tuple(map(str, paths))
    return Finding(kind, SPOILS, f"{' and '.join(files)}: {text}", (look.image_id,), files)


def grey_flags(look: Look, scale: GreyScale) -> list[Finding]:
    """Returns the flags of a radiograph's grey values, if it could be read; `scale` is the data set's."""
    flaws = _grey_flaws(look.grey, scale) if look.grey else ()
    return [spoiling_flag(kind, look, [look.image_path], text) for kind, text in flaws]


def mask_flags(look: Look) -> list[Finding]:
    """Returns the flags of a mask, if it could be read: its values, what it covers, and where."""
    flaws = _mask_flaws(look.mask, look.grey.size) if look.mask and look.grey else ()
    return [spoiling_flag(kind, look, look.mask_paths, text) for kind, text in flaws]


def is_inverted(grey: Grey, scale: GreyScale) -> bool:
    """Returns whether both lungs are brighter than the mediastinum; a single one may be, by disease."""
    span = np.ptp(scale.to_grey8(grey.percentiles).astype(int))
    *lungs, mediastinum = scale.to_grey8(grey.fields).astype(int)
    return bool(min(lungs) - mediastinum > INVERTED_BY * span)


def _grey_flaws(grey, scale):
    """Yields `(kind, what was found and expected)` of grey values."""
    low, high = grey.range.tolist()
    if low == high:
        yield "constant", f"found {low} in every pixel, expected a radiograph"
        return
    ends = (("highest", high, grey.brightest, MOST_BRIGHTEST), ("lowest", low, grey.darkest, MOST_DARKEST))
    for name, value, share, most in ends:
        if share > most:
            problem = f"found the {name} value, {value}, in {_percent(share)} of the pixels off the rim"
            yield "saturated", f"{problem}, expected {_percent(most)} at most"
    dark, _, bright = scale.to_grey8(grey.percentiles).tolist()
    if bright - dark < LEAST_CONTRAST:
        problem = f"found 98 % of the grey values between {dark} and {bright} of 255"
        yield "low contrast", f"{problem}, expected {LEAST_CONTRAST} or more apart"
    if is_inverted(grey, scale):
        yield "inverted", "found lungs brighter than the mediastinum, expected them darker: dense tissue bright"


def _mask_flaws(mask, size):
    """Yields `(kind, what was found and expected)` of a mask in a radiograph of `(height, width)`."""
    if len(mask.values) > MOST_MASK_VALUES:
        problem = f"found {len(mask.values)} values from {mask.values[0]} to {mask.values[-1]}"
        yield "mask values", f"{problem}, expected background and clavicle; whatever is above 0 counts as clavicle"
    if not mask.pixels:
        yield "empty mask", "found no clavicle pixel, expected two clavicles"
        return
    yield from _component_flaws(mask.components, size[0])
    share, (low, high) = mask.pixels / np.prod(size), MASK_SHARES
    if not low <= share <= high:
        problem = f"found clavicles on {_percent(share)} of the pixels"
        yield "mask area", f"{problem}, expected {_percent(low)} to {_percent(high)}"
    right, left = mask.sides
    if 0 < min(right, left) < LEAST_SIDE_RATIO * max(right, left):
        problem = f"found {right} pixels on the patient's right and {left} on the left"
        yield "unequal clavicles", f"{problem}, expected less than three times as many on one side"


def _component_flaws(components, height):
    large = [part for part in components if part.pixels >= SPECK * components[0].pixels]
    specks = components[len(large) :]
    if len(large) != CLAVICLES:
        kind = "one clavicle" if len(large) < CLAVICLES else "more than two clavicles"
        parts = f"{len(large)} connected part{'s' * (len(large) > 1)}"
        yield kind, f"found {parts} of {_list([str(part.pixels) for part in large])} pixels, expected {CLAVICLES}"
    if specks:
        places = _list([f"{part.pixels} pixels at row {part.row}, column {part.column}" for part in specks])
        yield "specks", f"found {places} beside the clavicles, expected none"
    end = max(part.end for part in large)
    if end > height / 2:
        problem = f"found clavicle pixels down to row {end - 1} of {height}"
        yield "mask below the middle", f"{problem}, expected them in the upper half"


def _percent(share):
    return f"{100 * share:.3g} %"


def _list(words, most=4):
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
