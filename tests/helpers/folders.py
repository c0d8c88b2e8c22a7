"""What lies in a folder."""

import csv


def names(folder):
    """The paths of all files below, from the folder on, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def contents(folder):
    """`{path: bytes}` of all files below."""
    return {name: (folder / name).read_bytes() for name in names(folder)}


def table(path):
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
