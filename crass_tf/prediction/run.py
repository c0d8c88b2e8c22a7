"""A run over radiographs: threads read, segment and write; what an earlier run has done is not done again."""

import collections
import contextlib
import dataclasses
import functools
import importlib.util
import os
import pathlib
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from crass_tf.common import files
from crass_tf.common.files import InputError, one_line
from crass_tf.common.parallel import Room, ordered_map, quiet_native
from crass_tf.common.types import PathLike, Spacing
from crass_tf.inference.segmenter import Segmenter
from crass_tf.measurement.extent import DEFAULT_EXTENT
from crass_tf.prediction import folders, summary
from crass_tf.prediction.outputs import DEFAULTS, OUTPUTS, record
from crass_tf.radiographs.formats import MAX_PIXELS, TooLargeError, data_status
from crass_tf.radiographs.radiograph import known_spacing, read_radiograph

# A radiograph takes as many of MAX_PIXELS as its file has bytes, or as it has pixels if more; at least this many.
ORDINARY_PIXELS = 4_000_000


def predict(
    paths: PathLike | Iterable[PathLike],
    out: PathLike,
    model: PathLike | None = None,
    outputs: Sequence[str] = DEFAULTS,
    spacing_mm: Spacing | None = None,
    threads: int | None = None,
    progress: bool = True,
    overwrite: bool = False,
    output: str | None = None,
    extent: str = DEFAULT_EXTENT,
) -> int:
    """Segments radiographs and writes the results to a folder.

    A radiograph that cannot be segmented gets a JSON with the reason and a line on standard error; what an earlier
    run left for it is removed. The same holds where its results cannot be written, and for any other error. If one
    output cannot be made, a line says so, and the others are written.

    Where a path is a folder, `out` gets `summary.csv`, too, one row a radiograph; and a run that was stopped goes on:
    a radiograph is passed over whose results an earlier run has written, from the same file, by the same model and
    spacing. Files that could not be read are tried again.

    Args:
        paths: radiographs, and folders that are searched through; a folder's subfolders are mirrored.
        out: the folder for the results.
        model: a model in any form, or None for the shipped one.
        outputs: names out of `outputs.OUTPUTS`.
        spacing_mm: `(row, column)` of all radiographs; outranks their headers.
        threads: for a `.tflite`; None: chosen by the number of cores.
        output: `logits` or `probability`, what a network of your own gives; see `model_files.open_model`.
        extent: how far to the side clavicles are marked, see `Segmenter.load`.
        progress: shows a bar where there is more than one radiograph, and says what came of a folder.
        overwrite: does all radiographs of a folder again.

    Returns:
        The exit code: 0, 1 where some of many radiographs failed or a subfolder could not be read, 2 where none
        succeeded.

    Raises:
        InputError: before any work, for a path that does not exist, a folder without radiographs, inputs that would
            write the same file, an unknown output, an impossible spacing, no usable model, another run that writes to
            `out`; later, where the disk is full.
    """
    check_outputs(outputs)
    spacing_mm = known_spacing(spacing_mm, "spacing_mm")
    paths, out = files.local_paths(paths, "path"), files.output_folder(out)
    jobs, unreadable, passed_over = plan(paths, out)
    segmenter = Segmenter.load(model, threads, output, extent)
    stamp = summary.settings_stamp(str(segmenter.path), spacing_mm, output, extent)
    run = Run(segmenter, tuple(outputs), spacing_mm, stamp, overwrite)
    out.mkdir(parents=True, exist_ok=True)
    for line in unreadable:
        print(one_line(line), file=sys.stderr)
    is_folder = any(path.is_dir() for path in paths)
    try:
        with summary.Journal(out) if is_folder else contextlib.nullcontext() as journal:
            counts = _run_all(run, jobs, journal, progress)
    except OSError as error:
        hint = "; make room and start again: what is done is not done again" if error.errno in files.DISK_FULL else ""
        raise InputError(f"{error.filename or out}: {error.strerror}{hint}") from None
    if is_folder and progress:
        _report(counts, len(jobs), out / summary.NAME, passed_over)
    if not counts["refused"] and not counts["incomplete"]:
        return int(bool(unreadable))
    return 2 if counts["refused"] == len(jobs) else 1


def check_outputs(names: Sequence[str]) -> None:
    """Raises InputError unless all names, at least one, are of `OUTPUTS`, and what they need is installed."""
    unknown = [name for name in names if name not in OUTPUTS]
    if unknown or not names:
        raise InputError(f"outputs: found {', '.join(unknown) or 'none'}, expected some of {', '.join(OUTPUTS)}")
    for name in names:
        if OUTPUTS[name].needs and importlib.util.find_spec(OUTPUTS[name].needs) is None:
            raise InputError(f"{name} needs {OUTPUTS[name].needs}; install it with: pip install crass-tf[dicom]")


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One radiograph and where its results go. Paths are text, of which a million need little memory.

    Attributes:
        image: the radiograph's file.
        result: the results' path below `out`, parted by `/`, without the suffixes of `outputs.OUTPUTS`.
        out: the folder for the results of all.
    """

    image: str
    result: str
    out: str

    @property
    def source(self) -> pathlib.Path:
        """The radiograph's path."""
        return pathlib.Path(self.image)

    @property
    def stem(self) -> str:
        """The results' path without the suffixes of `outputs.OUTPUTS`."""
        return os.path.join(self.out, self.result)  # noqa: PTH118

    def target(self, output: str) -> pathlib.Path:
        """Returns the path of one of `outputs.OUTPUTS`."""
        return pathlib.Path(self.stem + OUTPUTS[output].suffix)


def plan(paths: PathLike | Iterable[PathLike], out: PathLike) -> tuple[list[Job], list[str], collections.Counter[str]]:
    """Returns `(jobs, unreadable, passed_over)` of files and folders.

    They are the `Job`s, sorted within each folder; a line on each folder that is unreadable; and how many files of the
    folders are no radiographs, by suffix.

    Raises:
        InputError: as `predict` says.
    """
    out, jobs, unreadable, passed_over = files.local_path(out, "out"), [], [], collections.Counter()
    for path in files.local_paths(paths, "path"):
        if path.is_file():
            jobs.append(Job(str(path), _strip_suffix(path.name), str(out)))
            continue
        if not path.is_dir():
            raise InputError(f"{path}: no such file or folder")
        if os.path.realpath(path) == os.path.realpath(out):
            raise InputError(f"{out}: the results would lie among the radiographs; give another folder as --out")
        names, lines, others = folders.radiographs_in(path, out)
        if not names:
            expected = f"found no radiographs in this folder, expected files that end in {' '.join(folders.SUFFIXES)}"
            raise InputError(lines[0] if lines else f"{path}: {expected}")
        unreadable += lines
        passed_over.update(others)
        # `~` below the working folder is a name of its own, not the home folder.
        images = [str(path / name) for name in names]
        images = [os.path.abspath(image) if image.startswith("~") else image for image in images]  # noqa: PTH100
        jobs += [Job(image, result_path(name), str(out)) for image, name in zip(images, names)]
    if not jobs:
        raise InputError("found no radiographs to segment, expected at least one path")
    _check_collisions(jobs)
    return jobs, unreadable, passed_over


def result_path(name: PathLike) -> str:
    """Returns `Job.result` of a radiograph's path in its folder."""
    path = pathlib.PurePath(name)
    return path.with_name(_strip_suffix(path.name)).as_posix()


def _strip_suffix(name):
    """Returns a file's name without its suffix; what follows the last point of a DICOM number is none."""
    stem, _, suffix = name.rpartition(".")
    return name if not stem or suffix.isdigit() else stem


def _check_collisions(jobs):
    """Raises InputError where two radiographs would write the same file, or one would overwrite another."""
    # Each folder is looked up once. Unlike `Path.resolve` this takes a link that leads to itself as it is.
    real_folder = functools.cache(os.path.realpath)

    def place(path):
        folder, name = os.path.split(path)
        return f"{real_folder(folder)}{os.sep}{name}"

    def both_write(one, other, suffix):
        return InputError(f"{one.image} and {other.image} would both write {one.stem}{suffix}; rename one of them")

    suffixes, writers = [output.suffix for output in OUTPUTS.values()], {}
    for job in jobs:
        writer = writers.setdefault(place(job.stem), job)
        if writer is not job:
            raise both_write(writer, job, suffixes[0])
    # Where one suffix ends with another: `a_x` + `.json` is `a` + `_x.json`.
    longer = [(one, one.removesuffix(end)) for one in suffixes for end in suffixes if one != end and one.endswith(end)]
    for job in jobs:
        for suffix, part in longer:
            if writer := writers.get(place(job.stem) + part):
                raise both_write(writer, job, suffix)
        source = place(job.image) if not os.path.islink(job.image) else os.path.realpath(job.image)  # noqa: PTH114
        for suffix in suffixes:
            if source.endswith(suffix) and (writer := writers.get(source.removesuffix(suffix))):
                raise InputError(f"{writer.image}: its result would overwrite the radiograph {source}; change --out")


@dataclasses.dataclass(frozen=True)
class Run:
    """What is the same for all radiographs of a run; `stamp` stands for its settings, `room` is for its threads."""

    segmenter: Segmenter
    outputs: tuple[str, ...]
    spacing_mm: Spacing | None
    stamp: str
    overwrite: bool = False
    room: Room = dataclasses.field(default_factory=lambda: Room(MAX_PIXELS))


def _run_all(run, jobs, journal, progress):
    """Runs the jobs and returns how many were `segmented`, `refused`, `reused` from an earlier run, and `incomplete`.

    These lack one of the outputs.
    """
    counts = collections.Counter()
    if journal and journal.interrupted:
        for folder in {jobs[0].out, *(os.path.dirname(job.stem) for job in jobs)}:  # noqa: PTH120
            files.remove_leftovers(folder)
    # Decoders' messages are hidden: the line on a damaged file says the same.
    with quiet_native() as voice, _open_bar(len(jobs), progress, voice) as bar:
        for row, reused in ordered_map(lambda job: _run_or_keep(run, job, journal), jobs):
            notes, reason = row.pop("notes", []), row.get("reason")
            if journal:
                journal.add(row)
            for line in [*notes, *[reason] * bool(reason and not reused)]:
                (bar.write if bar is not None else print)(line, file=voice)
            incomplete = row["status"] == "segmented" and bool(reason)
            counts.update([row["status"], *["reused"] * reused, *["incomplete"] * incomplete])
            if bar is not None:
                bar.update()
    if journal:
        journal.finish()
    return counts


def _run_or_keep(run, job, journal):
    """Returns a job's row of the summary, and whether an earlier run had done it all."""
    named = {"image": job.source.as_posix(), "result": job.result}
    if journal is None:
        return named | run_job(run, job), False
    stamps = {"input": summary.input_stamp(job.source), "settings": run.stamp}
    earlier = journal.find(job.result) or {}
    # Path.is_file would raise where a name is too long.
    written = [name for name in summary.outputs_of(earlier) if os.path.isfile(job.target(name))]  # noqa: PTH113
    is_same = summary.is_same(earlier, stamps)
    if is_same and not run.overwrite and summary.is_enough(earlier, written, run.outputs):
        return earlier | named, True
    if not is_same or earlier.get("status") == "refused":
        # Old results must not stand beside new ones of another file or model.
        _remove(job, written)
        written = []
    return named | stamps | run_job(run, job, written), False


def run_job(run: Run, job: Job, kept: Sequence[str] = ()) -> dict[str, Any]:
    """Segments and writes one radiograph; returns the summary's cells on what came of it.

    `kept` are names of an earlier run's results, which stay beside the new ones. An error with the radiograph does not
    end the run, but for an OSError where the disk is full.
    """
    try:
        if "json" in run.outputs and record.is_foreign(path := job.target("json")):
            raise InputError(f"{job.source}: found a {path} that is no result of crass-tf; move it, or change --out")
        return _segment(run, job, kept)
    except InputError as error:
        reason = error
    except OSError as error:
        if error.errno in files.DISK_FULL:
            raise
        reason = f"{job.source}: its results {job.stem}* cannot be written ({error.strerror or error})"
    except Exception as error:
        reason = f"{job.source}: unexpected {type(error).__name__} ({error})"
    # Without a stamp the next run tries again: the file may have been locked, or a library missing.
    return refuse(run, job, reason, kept) | {"input": ""}


def _segment(run, job, kept):
    """Reads, segments and writes once there is memory for the radiograph; its header may show that it needs more."""
    pixels = max(ORDINARY_PIXELS, sum(status.st_size for status in data_status(job.source)))
    while True:
        with run.room.take(pixels):
            try:
                radiograph = read_radiograph(job.source, run.spacing_mm, pixels)
            except TooLargeError as error:
                pixels = error.pixels
                continue
            return _write(run, job, run.segmenter.segment(radiograph), kept)


def _write(run, job, segmentation, kept):
    if segmentation.refusal:
        return refuse(run, job, f"{job.source}: {segmentation.refusal}", kept)
    written, mistakes, notes = [], [], []
    try:
        for output in run.outputs:
            try:
                notes += OUTPUTS[output].write(job.target(output), segmentation, job.source, run.segmenter.path) or ()
                written.append(output)
            except InputError as error:
                mistakes.append(one_line(str(error)))
    except Exception:
        _remove(job, [output for output in written if output != "json"])
        raise
    if not written:
        return refuse(run, job, mistakes[0], kept)
    if "json" not in run.outputs and record.status(job.target("json")) == "refused":
        _remove(job, ["json"])
    outputs = " ".join(name for name in OUTPUTS if name in written or name in kept)
    cells = {"status": "segmented", "outputs": outputs, "reason": "; ".join(mistakes), "notes": notes}
    return cells | record.figures(segmentation)


def refuse(run: Run, job: Job, error: object, kept: Sequence[str]) -> dict[str, Any]:
    """Leaves a JSON with the reason as the only result of a radiograph; returns the cells that say so.

    Files that are not `kept` from an earlier run stay, unless a JSON of this package speaks of results.
    """
    path, reason = job.target("json"), one_line(str(error))
    known = OUTPUTS if record.status(path) == "segmented" else kept
    _remove(job, [output for output in known if output != "json"])
    outputs = ""
    if not record.is_foreign(path):
        try:
            files.write_json(path, record.refusal(reason, job.source, str(run.segmenter.path)))
            outputs = "json"
        except OSError as error:  # The name may be too long, the folder locked.
            if error.errno in files.DISK_FULL:
                raise
    return {"status": "refused", "reason": reason, "outputs": outputs}


def _remove(job, outputs):
    for output in outputs:
        with contextlib.suppress(OSError):
            job.target(output).unlink()


def _report(counts, total, path, passed_over):
    again = f", {counts['reused']} of them by an earlier run" if counts["reused"] else ""
    listed = ", ".join(f"{number} {one_line(suffix)}" for suffix, number in sorted(passed_over.items()))
    others = f"; passed over what is no radiograph: {listed}" if listed else ""
    done = f"{counts['segmented']} segmented, {counts['refused']} refused{again}"
    print(f"{total} radiographs: {done}; wrote {path}{others}")


def _open_bar(total, progress, file):
    """Returns a progress bar, or a context of None where there is none to show."""
    if progress and total > 1:
        # A device has NumPy, OpenCV, Pillow and LiteRT only; it works without a bar.
        with contextlib.suppress(ImportError):
            from tqdm import tqdm

            return tqdm(total=total, unit="radiograph", file=file, disable=None)
    return contextlib.nullcontext()
