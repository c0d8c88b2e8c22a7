"""Which radiographs train and which validate: by the files that say so, or the one published split."""

import collections
import math

import numpy as np

from crass_tf.files import InputError, read_text

# What a line may have behind the name, in whatever case.
SUFFIXES = ("png", "mhd", "mha")
SPLIT_FILES = {"train": "train.txt", "validation": "val.txt"}


def derive_split(names):
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


def read_split_file(path, note):
    """Returns the names in a split file: bare stems, file names, or paths of which the last part counts.

    Args:
        path: the file.
        note: function of a kind and a line of text, called with every flaw.
    """
    try:
        lines = read_text(path).splitlines() if path.is_file() else None
    except InputError as error:
        note("split file", str(error))
        return []
    if lines is None:
        note("split file", f"{path}: file not found, expected text with the name of one radiograph a line")
        return []
    counts = collections.Counter()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name = _name_in_line(path, number, line.strip(), note)
        counts[name] += name is not None
        if counts[name] == 2:
            note("split file", f"{path}: found {name} a second time in line {number}, expected each name once")
    names = [name for name in counts if name is not None]
    if not names:
        note("split file", f"{path}: found no name, expected the name of one radiograph a line")
    return names


def _name_in_line(path, number, line, note):
    """Returns the name in a line; None, and a note, where it holds none."""
    name = line.replace("\\", "/").rsplit("/", 1)[-1]
    # Not pathlib's stem: a bare name may have dots of its own.
    stem, dot, suffix = name.rpartition(".")
    if dot and suffix.lower() in SUFFIXES:
        name = stem
    if ".." in line.replace("\\", "/").split("/"):
        note("split file", f"{path}: found '..' in line {number}, {line!r}; expected the name of a radiograph")
        return None
    if name in ("", "."):
        note("split file", f"{path}: found no name in line {number}, {line!r}; expected the name of a radiograph")
        return None
    return name
