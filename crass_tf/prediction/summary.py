"""`summary.csv`: one row a radiograph of a run; with it, a run goes on where an earlier one was stopped."""

import csv
import hashlib
import itertools
import json
import os
import pathlib

import crass_tf
from crass_tf.files import InputError, atomic_file
from crass_tf.formats import metaimage
from crass_tf.quality import SIDES

NAME = "summary.csv"
JOURNAL = ".summary.jsonl"
COLUMNS = (
    "image",
    "result",
    "status",
    "reason",
    "score",
    "agreement",
    "border_confidence",
    *(f"{side}_{figure}" for side in SIDES for figure in ("found", "area_pixels", "area_mm2")),
    "height",
    "width",
    "spacing_row_mm",
    "spacing_column_mm",
    # Which results these are, of what file, by what: with the same again, the work is done.
    "outputs",
    "input",
    "settings",
)


def figures(segmentation):
    """Returns the cells that say what was found in a radiograph."""
    quality = segmentation.quality
    sides = {f"{side}_{name}": value for side in SIDES for name, value in quality[side].items()}
    height, width = segmentation.radiograph.image.shape
    row_mm, column_mm = segmentation.spacing_mm or (None, None)
    about = {"height": height, "width": width, "spacing_row_mm": row_mm, "spacing_column_mm": column_mm}
    return {name: quality[name] for name in ("score", "agreement", "border_confidence")} | sides | about


def settings_stamp(model, spacing_mm):
    """Returns 16 hexadecimal digits that stand for the package's version, a model's content and a given spacing."""
    digest = hashlib.sha256(f"{crass_tf.__version__} {spacing_mm}".encode())
    model = pathlib.Path(model)
    for file in sorted(path for path in model.rglob("*") if path.is_file()) if model.is_dir() else [model]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def input_stamp(path):
    """Returns size and time of change of the files that hold a radiograph; "" where one cannot be found."""
    return " ".join(f"{status.st_size}@{status.st_mtime_ns}" for status in _data_files(path))


def input_size(path):
    """Returns how many bytes the files have that hold a radiograph; 0 where one cannot be found."""
    return sum(status.st_size for status in _data_files(path))


def is_same(row, stamps):
    """Returns whether a row is of the same file and settings as these stamps, `{column: text}`."""
    return bool(stamps["input"]) and all(row.get(key) == stamps[key] for key in stamps)


def _data_files(path):
    try:
        return [pathlib.Path(file).stat() for file in metaimage.data_files(path)]
    except (OSError, ValueError, KeyError):  # A MetaImage header may name no file, or one that cannot be.
        return []


class Journal:
    """The rows of a run, each on the disk as soon as it is known.

    Until the run has finished they are lines of JSON in a hidden file, of which an interruption can tear no more than
    the last one; then `summary.csv`, in the run's order, replaces it.

    Attributes:
        interrupted: whether an earlier run was stopped before its end.
    """

    def __init__(self, out):
        """Opens the journal in a folder, `out`, for the results.

        Raises:
            InputError: where another run is writing there, or `summary.csv` is something else.
        """
        self._summary, self._path = pathlib.Path(out, NAME), pathlib.Path(out, JOURNAL)
        rows = _rows_of_summary(self._summary)
        self.interrupted = self._path.exists()
        self._file = self._path.open("ab", buffering=0)
        try:
            _lock(self._file, out)
            # As text, which takes less memory than dictionaries.
            self._known = {row["result"]: json.dumps(row) for row in itertools.chain(rows, _lines(self._path))}
            # Ends a line that was torn.
            self._write(b"\n")
            self._start = self._file.seek(0, os.SEEK_END)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def find(self, job):
        """Returns the row that an earlier run wrote of a job, or None."""
        return json.loads(self._known.get(job.result, "null"))

    def add(self, row):
        """Writes the row of the next radiograph."""
        self._write(json.dumps(row).encode() + b"\n")

    def _write(self, data):
        # Without a buffer, a disk that is nearly full takes a part and raises at the next one only.
        while data:
            data = data[self._file.write(data) :]

    def finish(self):
        """Writes `summary.csv` from the rows that were added."""
        with (
            atomic_file(self._summary) as temporary,
            temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as table,
        ):
            writer = csv.DictWriter(table, COLUMNS, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(_lines(self._path, self._start))
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


def _lock(file, out):
    """Raises InputError where another process holds the journal; it is free again when that one ends, however."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock.
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"{out}: another crass-tf predict is writing there; wait for it, or change --out") from None
    except OSError:  # Some network folders have none either.
        return
