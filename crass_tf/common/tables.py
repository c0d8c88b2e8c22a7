"""Tables as CSV, all in one form: UTF-8, one header, lines that end with a newline."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from crass_tf.common.files import write_text
from crass_tf.common.types import PathLike


def table_writer(file: TextIO, columns: Sequence[str]) -> csv.DictWriter:
    """Returns a writer of rows, dicts, to an open text file, after writing the header; other keys are left out."""
    writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    return writer


def write_table(path: PathLike, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Writes rows as CSV, whole or not at all; None becomes an empty cell, floats keep every digit."""
    text = io.StringIO()
    table_writer(text, columns).writerows(rows)
    write_text(path, text.getvalue())
