"""Which radiographs train and which validate: by the files that say so, or the one published split."""

import collections
import math
import pathlib
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np

from crass_tf.common.files import InputError, read_text

# What a line may have behind the name, in whatever case.
SUFFIXES = ("png", "mhd", "mha")
SPLIT_FILES = {"train": "train.txt", "validation": "val.txt"}


def derive_split(names: Sequence[str]) -> dict[str, list[str]]:
    """Returns `{"train": names, "validation": names}` as the one public result on CRASS splits it.

    The sorted names, then scikit-learn's `train_test_split(test_size=0.2, random_state=0)`: 227 and 57 of 284.

    Args:
        names: all names, in any order, two or more.
    """
    names = sorted(names)
    order = np.random.RandomState(0).permutation(len(names))
    held_out = math.ceil(0.2 * len(names))
    return {
        "train": sorted(names[i] for i in order[held_out:]),
        "validation": sorted(names[i] for i in order[:held_out]),
    }


def composed(name: str) -> str:
    """Returns a name with each accent in its letter: macOS writes them apart, and lists may differ from the files."""
    return unicodedata.normalize("NFC", name)


def read_split_file(path: pathlib.Path, note: Callable[..., None]) -> list[str]:
    """Returns the names in a split file: bare stems, file names, or paths of which the last part counts.

    Args:
        path: the file.
        note: function of a kind and a line of text, called with every flaw.
    """
    if not path.is_file():
        note("split file", f"{path}: file not found, expected text with the name of one radiograph a line")
        return []
    try:
        lines = read_text(path).splitlines()
    except InputError as error:
        note("split file", str(error))
        return []
    counts = collections.Counter()
    for number, line in enumerate(lines, start=1):
        line = line.strip()
        name = composed(line.replace("\\", "/").rsplit("/", 1)[-1])
        # Not pathlib's stem: a bare name may have dots of its own.
        stem, dot, suffix = name.rpartition(".")
        if dot and suffix.lower() in SUFFIXES:
            name = stem
        has_dots = ".." in line.replace("\\", "/").split("/")
        if line and (has_dots or name in ("", ".")):
            found = "'..'" if has_dots else "no name"
            note("split file", f"{path}: found {found} in line {number}, {line!r}; expected the name of a radiograph")
        elif line:
            counts[name] += 1
            if counts[name] == 2:
                note("split file", f"{path}: found {name} a second time in line {number}, expected each name once")
    if not counts:
        note("split file", f"{path}: found no name, expected the name of one radiograph a line")
    return list(counts)
