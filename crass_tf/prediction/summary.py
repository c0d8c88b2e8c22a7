"""`summary.csv`: one row a radiograph of a run; a stopped run is resumed from it."""

import csv
import hashlib
import itertools
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import crass_tf
from crass_tf.common.files import InputError, atomic_file, lock
from crass_tf.common.tables import table_writer
from crass_tf.common.types import PathLike, Spacing
from crass_tf.measurement.quality import EXPECTED, SIDES
from crass_tf.prediction.outputs import OUTPUTS
from crass_tf.radiographs.formats import data_status

NAME = "summary.csv"
JOURNAL = ".summary.jsonl"
COLUMNS = (
    "image",
    "result",
    "status",
    "reason",
    "score",
    "border_confidence",
    *(f"{side}_{figure}" for side in SIDES for figure in ("found", "area_pixels", "area_mm2", "score", *EXPECTED)),
    "height",
    "width",
    "spacing_row_mm",
    "spacing_column_mm",
    # Columns that identify results: where all of them are the same, the work is done.
    "outputs",
    "input",
    "settings",
)


def settings_stamp(model: PathLike, spacing_mm: Spacing | None, *options: str | None) -> str:
    """Returns 16 hexadecimal digits for the package's version, a model's content, a given spacing and other options."""
    digest = hashlib.sha256(f"{crass_tf.__version__} {spacing_mm} {options}".encode())
    model = pathlib.Path(model)
    for file in sorted(path for path in model.rglob("*") if path.is_file()) if model.is_dir() else [model]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def input_stamp(path: PathLike) -> str:
    """Returns size and time of change of the files that hold a radiograph; "" where one cannot be found."""
    return " ".join(f"{status.st_size}@{status.st_mtime_ns}" for status in data_status(path))


def is_same(row: Mapping[str, Any], stamps: Mapping[str, str]) -> bool:
    """Returns whether a row is of the same file and settings as these stamps, `{column: text}`."""
    return bool(stamps["input"]) and all(row.get(key) == stamps[key] for key in stamps)


def outputs_of(row: Mapping[str, Any]) -> list[str]:
    """Returns the names of the `outputs.OUTPUTS` that a row lists; a table may be edited, or of another version."""
    return [name for name in str(row.get("outputs") or "").split() if name in OUTPUTS]


def is_enough(row: Mapping[str, Any], written: Sequence[str], outputs: Sequence[str]) -> bool:
    """Returns whether the results that a row's run has `written` are all that a run for these `outputs` would."""
    return list(written) == ["json"] if row.get("status") == "refused" else set(outputs) <= set(written)


class Journal:
    """The rows of a run, each on the disk as soon as it is known.

    During the run they are lines of JSON in a hidden file, of which an interruption can damage only the last one. At
    the end `summary.csv`, in the run's order, replaces it.

    Attributes:
        interrupted: whether an earlier run was stopped before its end.
    """

    def __init__(self, out: PathLike) -> None:
        """Opens the journal; InputError where another run is writing in `out`, or `summary.csv` is something else."""
        self._summary, self._path = pathlib.Path(out, NAME), pathlib.Path(out, JOURNAL)
        rows = _rows_of_summary(self._summary)
        self.interrupted = self._path.exists()
        self._file = self._path.open("ab", buffering=0)
        try:
            lock(self._file, out, "writing")
            # Kept as text, which takes less memory than dictionaries.
            self._known = {row["result"]: json.dumps(row) for row in itertools.chain(rows, _lines(self._path))}
            # Ends a line that was torn.
            self._write(b"\n")
            self._start = self._file.seek(0, os.SEEK_END)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def find(self, result: str) -> dict[str, Any] | None:
        """Returns the row that an earlier run wrote of the radiograph with this `Job.result`, or None."""
        return json.loads(self._known.get(result, "null"))

    def add(self, row: Mapping[str, Any]) -> None:
        """Writes the row of the next radiograph."""
        self._write(json.dumps(row).encode() + b"\n")

    def _write(self, data):
        # Without a buffer, a nearly full disk writes a part and raises only at the next write.
        while data:
            data = data[self._file.write(data) :]

    def finish(self) -> None:
        """Writes `summary.csv` from the rows that were added."""
        with (
            atomic_file(self._summary) as temporary,
            temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as table,
        ):
            table_writer(table, COLUMNS).writerows(_lines(self._path, self._start))
        self._file.close()
        self._path.unlink(missing_ok=True)


def _rows_of_summary(path):
    """Returns the rows of the `summary.csv` of a run that has finished, cells as text; none where there is no file."""
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as table:
            reader = csv.DictReader(table)
            if not reader.fieldnames or {"result", "input", "settings"} <= set(reader.fieldnames):
                return list(reader)
    except FileNotFoundError:
        return []
    except csv.Error:
        pass
    raise InputError(f"{path}: found something else, expected no file or a table of crass-tf; change --out")


def _lines(path, start=0):
    """Yields the rows of a journal, from a position on, without a line that was torn."""
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and "result" in row:
                yield row
