"""What a worker does with a radiograph, on any engine: read, segment, write, and return a row of the summary."""

import contextlib
import csv
import dataclasses
import hashlib
import io
import json
import pathlib
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from crass_tf.beam import storage
from crass_tf.beam.sources import Reference
from crass_tf.common.files import InputError
from crass_tf.common.parallel import ordered_map, quiet_native
from crass_tf.inference.segmenter import Segmenter, shipped_model
from crass_tf.measurement.extent import DEFAULT_EXTENT
from crass_tf.prediction import summary
from crass_tf.prediction.outputs import DEFAULTS, OUTPUTS
from crass_tf.prediction.run import Job, Run, refuse, run_job

# The folder in `out` for rows of finished radiographs, until the summary is complete.
JOURNAL = ".rows"
ROWS_A_FILE, SECONDS_A_FILE = 500, 30
# Of summaries in parts.
FORMS = ("csv", "parquet")
# The metric of a refused radiograph, by words of the reason.
REASONS = {
    "frontal chest radiograph": "no_frontal_chest",
    "both write": "same_result",
    "cannot be read": "unreadable",
    "cannot be opened": "unreadable",
    "file not found": "unreadable",
    "unexpected": "unexpected",
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is the same for all radiographs of a run; it is sent to every worker.

    Attributes:
        out: the folder for the results, a path or URL.
        model: a path that every worker has; None: the shipped model.
        outputs: names out of `outputs.OUTPUTS`.
        spacing_mm: `(row, column)` of all radiographs; outranks their headers.
        threads: of each worker process; None: one a core.
        output: `logits` or `probability`, what a network of your own gives; see `model_files.open_model`.
        extent: how far to the side clavicles are marked, see `Segmenter.load`.
    """

    out: str
    model: str | None = None
    outputs: tuple[str, ...] = DEFAULTS
    spacing_mm: tuple[float, float] | None = None
    threads: int | None = None
    output: str | None = None
    extent: str = DEFAULT_EXTENT

    def stamp(self) -> str:
        """Returns what results by the same model, spacing and version of the package have in common."""
        return summary.settings_stamp(self.model or shipped_model(), self.spacing_mm, self.output, self.extent)


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of one radiograph.

    Attributes:
        row: its row of the summary, `{column: cell}`.
        milliseconds: by stage: `read`, `segment` (decoding, networks, encoding), `write`.
    """

    row: dict[str, Any]
    milliseconds: dict[str, float]


class Worker:
    """A model, and what a process does with it; threads share it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        segmenter = Segmenter.load(settings.model, settings.threads, settings.output, settings.extent)
        self._run = Run(segmenter, settings.outputs, settings.spacing_mm, settings.stamp())

    def segment_all(self, references: Iterable[Reference]) -> Iterator[Result]:
        """Yields the results of radiographs, in order; threads read, segment and write ahead."""
        with quiet_native():
            yield from ordered_map(self.segment, references, self._settings.threads)

    def segment(self, reference: Reference) -> Result:
        """Returns what came of one radiograph, whose result files are then written.

        Raises:
            OSError: where results cannot be written: the engine tries again, and stops in the end.
        """
        milliseconds: dict[str, float] = {}
        with tempfile.TemporaryDirectory(prefix="crass-tf-") as folder:
            cells, files = self._segment_in(folder, reference, milliseconds)
        kept = reference.written if reference.is_same and cells["status"] == "segmented" else ()
        cells["outputs"] = " ".join(name for name in OUTPUTS if name in files or name in kept)
        with _time_stage(milliseconds, "write"):
            _store(f"{self._settings.out}/{reference.result}", files, set(reference.written) - set(kept))
        named = {"image": reference.name, "result": reference.result}
        stamps = {"input": reference.stamp, "settings": self._run.stamp}
        return Result(named | stamps | cells, milliseconds)

    def _segment_in(self, folder, reference, milliseconds):
        """Returns the summary's cells and the result files `{output: bytes}`, all of which names the reference's."""
        problem, path = reference.problem, pathlib.Path(folder, "radiograph")
        if not problem:
            with _time_stage(milliseconds, "read"):
                try:
                    path = reference.fetch(folder)
                except OSError as error:
                    problem = f"cannot be read ({error.strerror or error})"
        job = Job(str(path), "result", f"{folder}/results")
        with _time_stage(milliseconds, "segment"):
            if problem:
                cells = refuse(self._run, job, f"{reference.name}: {problem}", []) | {"input": ""}
            else:
                cells = run_job(self._run, job)
        if cells.get("reason"):
            cells["reason"] = cells["reason"].replace(job.image, reference.name)
        cells.pop("notes", None)
        names = cells["outputs"].split()
        files = {name: _replace_name(job.target(name), job.image, reference.name) for name in names}
        return cells, files


def _replace_name(path, before, after):
    """Returns a result file's content; in a JSON the radiograph's name replaces its path on the worker."""
    data = path.read_bytes()
    if before == after or path.suffix != ".json":
        return data
    quoted = (json.dumps(pathlib.PurePath(before).as_posix()), json.dumps(after))
    return data.replace(*(text[1:-1].encode() for text in quoted))


def _store(stem, files, stale):
    """Writes result files, and removes those of an earlier run that are out of date."""
    storage.remove(stem + OUTPUTS[name].suffix for name in stale if name not in files)
    for name, data in files.items():
        storage.write(stem + OUTPUTS[name].suffix, data)


@contextlib.contextmanager
def _time_stage(milliseconds, stage):
    start = time.perf_counter()
    yield
    milliseconds[stage] = 1000 * (time.perf_counter() - start)


_WORKERS: dict[Settings, Worker] = {}
_LOCK = threading.Lock()


def worker_of_process(settings: Settings) -> Worker:
    """Returns this process' only Worker of these settings: a model is opened once."""
    with _LOCK:
        if settings not in _WORKERS:
            _WORKERS.clear()
            _WORKERS[settings] = Worker(settings)
        return _WORKERS[settings]


def reason_class(row: dict[str, Any]) -> str:
    """Returns what a refused radiograph counts as in metrics: a word that tells nothing of the radiograph."""
    reason = str(row.get("reason"))
    return next((name for words, name in REASONS.items() if words in reason), "not_usable")


class RowFiles:
    """Files with the rows of finished radiographs, `written` during the run: a killed run resumes after them."""

    def __init__(self, out: str) -> None:
        self._out, self._lines = out, []
        self.written: list[str] = []
        self._last = time.monotonic()

    def add(self, row: dict[str, Any]) -> None:
        """Keeps a row, and writes the waiting rows where they are many or old."""
        self._lines.append(json.dumps(row))
        if len(self._lines) >= ROWS_A_FILE or time.monotonic() - self._last > SECONDS_A_FILE:
            self.flush()

    def flush(self) -> None:
        """Writes the rows that wait; the same rows always into the same file."""
        if self._lines:
            data = ("\n".join(self._lines) + "\n").encode()
            self.written.append(f"{self._out}/{JOURNAL}/{hashlib.sha256(data).hexdigest()[:16]}.jsonl")
            storage.write(self.written[-1], data)
        self._lines, self._last = [], time.monotonic()


def earlier_files(out: str) -> list[str]:
    """Returns the files with rows of earlier runs: their summary, and the journal of one that was stopped."""
    names = ("summary.csv", *(f"summary-*.{form}" for form in FORMS), f"{JOURNAL}/*.jsonl")
    return [path for name in names for path in storage.below(out, name)]


def rows_in(path: str) -> Iterator[dict[str, Any]]:
    """Yields the rows in one of `earlier_files`."""
    data = storage.read(path)
    if path.endswith(".parquet"):
        import pyarrow.parquet

        yield from pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
    elif path.endswith(".jsonl"):
        yield from map(json.loads, data.splitlines())
    else:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8", "replace"), newline=""))
        if not {"result", "input", "settings"} <= set(reader.fieldnames or ("result", "input", "settings")):
            raise InputError(f"{path}: found something else, expected a table of crass-tf; change --out")
        yield from reader


def choose(current: list[Reference], earlier: list[dict[str, Any]], settings: Settings, stamp: str, overwrite: bool):
    """Returns the `Reference` to segment for one key, or the row that an earlier run wrote.

    `current` are those of this run, at least one, `earlier` the rows of earlier runs, `stamp` is `settings.stamp()`.
    """
    # Sorted, since engines keep no order.
    current = sorted(current, key=lambda one: (one.url, one.start))
    first = current[0]
    written = tuple(sorted({name for row in earlier for name in summary.outputs_of(row)}))
    others = [other for other in current if (other.url, other.start) != (first.url, first.start)]
    if others:
        problem = f"it and {others[0].name} would both write {first.result}*; rename one of them"
        return dataclasses.replace(first, problem=problem, written=written)
    stamps = {"input": first.stamp, "settings": stamp}
    same = [row for row in earlier if summary.is_same(row, stamps)]
    for row in same:
        if not overwrite and summary.is_enough(row, summary.outputs_of(row), settings.outputs):
            return row | {"image": first.name}
    is_same = bool(same) and len(same) == len(earlier) and same[0].get("status") == "segmented"
    return dataclasses.replace(first, written=written, is_same=is_same)
