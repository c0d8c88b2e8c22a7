"""Which pixel spacings there can be: one rule for the command line, files and Python. Imports nothing that is slow."""

import math
import numbers
from collections.abc import Sequence
from typing import Any

from crass_tf.common.files import InputError

# Detectors have 0.1 to 0.3 mm, and a chest of 40 cm is 32 pixels wide at 12.5 mm. Whatever lies far outside is a
# mistake in a header or in a command; with it lengths mean nothing and the measures need endless memory.
SMALLEST_MM, LARGEST_MM = 0.01, 20.0
LARGEST_RATIO = 10
RANGE = f"from {SMALLEST_MM:g} to {LARGEST_MM:g}, one at most {LARGEST_RATIO} times the other"


def is_plausible(spacing_mm: Sequence[float]) -> bool:
    """Returns whether `(row, column)`, two numbers, can be the pixel spacing of a radiograph in millimetres."""
    return (
        all(SMALLEST_MM <= length <= LARGEST_MM for length in spacing_mm)
        and max(spacing_mm) <= min(spacing_mm) * LARGEST_RATIO
    )


def check_spacing(spacing_mm: Any, source: str) -> tuple[float, float]:
    """Returns `spacing_mm` as a tuple of two floats; InputError that names `source` unless it is a plausible pair."""
    found = _pair(spacing_mm)
    if found is None or not is_plausible(found):
        shown = " ".join(repr(spacing_mm).split())[:100]
        raise InputError(f"{source}: found {shown}, expected two lengths, (row, column) in millimetres, {RANGE}")
    return found


def known_spacing(spacing_mm: Any, source: str) -> tuple[float, float] | None:
    """Returns what `check_spacing` does; None where it is unknown: None, or NaN twice as the data sets have it."""
    found = _pair(spacing_mm)
    if spacing_mm is None or (found is not None and all(math.isnan(length) for length in found)):
        return None
    return check_spacing(spacing_mm, source)


def _pair(spacing_mm):
    """Returns a tuple of two floats, or None where these are not two numbers."""
    try:
        row_mm, column_mm = spacing_mm
    except (TypeError, ValueError):
        return None
    if not all(isinstance(v, numbers.Real) and not isinstance(v, bool) for v in (row_mm, column_mm)):
        return None
    return float(row_mm), float(column_mm)
