"""Folds for cross-validation, drawn from the radiographs' names alone: the same for every config."""

import collections
import hashlib
import re
from collections.abc import Iterable

from crass_tf.common.files import InputError


def folds(image_ids: Iterable[str], k: int) -> list[list[str]]:
    """Returns k sorted lists of image ids: disjoint, together all of them, their lengths differing by at most one.

    The names are ranked by their SHA-256 digest and dealt out in turn, so their order does not matter.

    Args:
        image_ids: the radiographs' names, each once.
        k: the number of folds, from 2 to the number of names.

    Raises:
        InputError: where k is out of range, or a name occurs twice.

    Example:

    >>> folds(["0001", "0002", "0003"], 2)
    [['0001', '0003'], ['0002']]
    """
    image_ids = list(image_ids)
    repeated = sorted(name for name, count in collections.Counter(image_ids).items() if count > 1)
    if repeated:
        raise InputError(f"image ids: found {repeated[0]!r} more than once, expected every name once")
    if not 2 <= k <= len(image_ids):
        raise InputError(f"folds: found {k}, expected 2 to {len(image_ids)}, the number of radiographs")
    ranked = sorted(image_ids, key=lambda name: hashlib.sha256(name.encode()).digest())
    return [sorted(ranked[first::k]) for first in range(k)]


def held_out(image_ids: Iterable[str], fold: str) -> list[str]:
    """Returns the sorted image ids of one fold, named as in `parse_fold`; errors as there and in `folds`."""
    number, k = parse_fold(fold)
    return folds(image_ids, k)[number - 1]


def parse_fold(text: str) -> tuple[int, int]:
    """Returns `(number, k)` of `NUMBER/K`, such as `2/5` for the second of five folds; raises InputError otherwise."""
    match = re.fullmatch(r"([1-9][0-9]*)/([1-9][0-9]*)", text)
    number, k = (int(part) for part in match.groups()) if match else (0, 0)
    if not 1 <= number <= k or k < 2:
        raise InputError(f"fold: found {text!r}, expected NUMBER/K such as 2/5, the second of five folds")
    return number, k
