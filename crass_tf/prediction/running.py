"""A run over radiographs: threads read, segment and write; what an earlier run has done is not done again."""

import collections
import contextlib
import dataclasses
import errno
import os
import pathlib
import sys

from crass_tf.files import InputError, one_line, remove_leftovers, write_json
from crass_tf.formats.content import MAX_PIXELS, before_decoding
from crass_tf.native import quiet_native
from crass_tf.parallel import Room, ordered_map
from crass_tf.prediction import summary
from crass_tf.prediction.planning import plan
from crass_tf.radiograph import read_radiograph
from crass_tf.results import DEFAULTS, OUTPUTS, check_outputs, record
from crass_tf.segmenter import Segmenter
from crass_tf.spacing import known_spacing

# Of files in the memory at once; one that is larger is alone there.
MAX_BYTES_AT_ONCE = 64_000_000
# All radiographs would be refused for it.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def predict(paths, out, model=None, outputs=DEFAULTS, spacing_mm=None, threads=None, progress=True, overwrite=False):
    """Segments radiographs and writes the results to a folder.

    A radiograph that cannot be segmented gets a JSON with the reason and a line on standard error; what an earlier
    run left for it is removed. So it is where its results cannot be written, or anything else goes wrong with it.

    Where a path is a folder, `out` gets `summary.csv`, too, one row a radiograph; and a run that was stopped goes on:
    a radiograph is passed over whose results an earlier run has written, from the same file, by the same model and
    spacing. Files that could not be read are tried again.

    Args:
        paths: radiographs, and folders that are searched through; a folder's subfolders are mirrored.
        out: the folder for the results.
        model: a model in any form, or None for the shipped one.
        outputs: names out of `results.OUTPUTS`.
        spacing_mm: `(row, column)` of all radiographs; outranks their headers.
        threads: for a `.tflite`; None: chosen by the number of cores.
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
    jobs, unreadable = plan(paths, out)
    run = _Run(Segmenter.load(model, threads), tuple(outputs), spacing_mm, overwrite)
    _make_folder(out)
    for line in unreadable:
        print(one_line(line), file=sys.stderr)
    is_folder = any(pathlib.Path(path).is_dir() for path in paths)
    with _disk_errors(out):
        counts = _go_on(run, jobs, progress) if is_folder else _go(run, jobs, None, progress)
    if is_folder and progress:
        _report(counts, len(jobs), pathlib.Path(out, summary.NAME))
    return _exit_code(counts, len(jobs)) or int(bool(unreadable))


@dataclasses.dataclass(frozen=True)
class _Run:
    """What is the same for all radiographs of a run."""

    segmenter: Segmenter
    outputs: tuple[str, ...]
    spacing_mm: tuple[float, float] | None
    overwrite: bool = False
    # What threads share: the largest radiograph that is read, and its results, just fit into memory.
    bytes: Room = dataclasses.field(default_factory=lambda: Room(MAX_BYTES_AT_ONCE))
    pixels: Room = dataclasses.field(default_factory=lambda: Room(MAX_PIXELS))


@contextlib.contextmanager
def _disk_errors(out):
    """Makes one line of what has nothing to do with a single radiograph."""
    try:
        yield
    except OSError as error:
        hint = "; make room and start again: what is done is not done again" if error.errno in DISK_FULL else ""
        raise InputError(f"{error.filename or out}: {error.strerror}{hint}") from None


def _go_on(run, jobs, progress):
    """Does what of the jobs is left to be done, and writes the summary; returns what `_go` does."""
    with summary.Journal(jobs[0].out) as journal:
        if journal.interrupted:
            _tidy(jobs)
        counts = _go(run, jobs, journal, progress)
        journal.finish()
    return counts


def _go(run, jobs, journal, progress):
    """Does the jobs and returns how many were `segmented`, `refused`, and `reused` from an earlier run."""
    counts = collections.Counter()
    stamp = journal and summary.settings_stamp(run.segmenter.path, run.spacing_mm)
    # What decoders would print of damaged files is in the one line of each.
    with quiet_native() as voice, _bar(len(jobs), progress, voice) as bar:
        for row, reused in ordered_map(lambda job: _done(run, job, journal, stamp), jobs):
            if journal:
                journal.add(row)
            if row["status"] == "refused" and not reused:
                bar.write(row["reason"], file=voice)
            counts.update([row["status"], *["reused"] * reused])
            bar.update()
    return counts


def _done(run, job, journal, stamp):
    """Returns a job's row of the summary, and whether an earlier run had done it all."""
    named = {"image": job.source.as_posix(), "result": job.result}
    if journal is None:
        return named | _run_job(run, job), False
    stamps = {"input": summary.input_stamp(job.source), "settings": stamp}
    earlier = journal.find(job) or {}
    made, is_same = _made(earlier, job), summary.is_same(earlier, stamps)
    refused = earlier.get("status") == "refused"
    if is_same and not run.overwrite and (made == ["json"] if refused else set(run.outputs) <= set(made)):
        return earlier | named, True
    if refused or not is_same:
        # Beside the new results they would seem to be of the same radiograph, by the same model.
        _remove(job, made)
        made = []
    row = named | stamps | _run_job(run, job, summary.figures, made)
    if row["status"] == "segmented":
        row["outputs"] = " ".join(name for name in OUTPUTS if name in made or name in run.outputs)
    return row, False


def _made(row, job):
    """Returns which results that an earlier run's row tells of are there."""
    named = str(row.get("outputs") or "").split()
    # Path.is_file would raise where a name is too long.
    return [name for name in named if name in OUTPUTS and os.path.isfile(job.target(name))]  # noqa: PTH113


def _remove(job, outputs):
    for output in outputs:
        with contextlib.suppress(OSError):
            job.target(output).unlink()


def _run_job(run, job, figures=lambda segmentation: {}, made=()):
    """Segments and writes one radiograph, of which results are `made`; returns the summary's cells on what came of it.

    Whatever goes wrong with it, the run goes on.
    """
    ours = [*made]
    try:
        _check_json(run, job)
        with run.pixels.share() as need:
            return _segment(run, job, _read(run, job, need), figures, ours)
    except InputError as error:
        reason = error
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        reason = f"{job.source}: its results {job.stem}* cannot be written ({error.strerror or error})"
    except Exception as error:
        reason = f"{job.source}: unexpected {type(error).__name__} ({error})"
    # Without a stamp it is tried again: the file may have been locked, a library missing.
    return _refuse(run, job, reason, ours) | {"input": ""}


def _check_json(run, job):
    """Raises InputError where something else would be overwritten."""
    path = job.target("json")
    if "json" in run.outputs and _is_foreign(path):
        raise InputError(f"{job.source}: found a {path} that is no result of crass-tf; move it, or change --out")


def _is_foreign(path):
    """Returns whether a file has some content that is not ours; it has none where the machine lost its power."""
    try:
        return path.stat().st_size > 0 and record.status(path) is None
    except OSError:
        return False


def _read(run, job, need):
    """Returns the radiograph, once there is room for its file, and then for its pixels, of which `need` is told."""
    size = summary.input_size(job.source)
    with run.bytes.take(size):
        if size > MAX_BYTES_AT_ONCE:
            need(MAX_PIXELS)
        token = before_decoding.set(need)
        try:
            return read_radiograph(job.source, run.spacing_mm)
        finally:
            before_decoding.reset(token)


def _segment(run, job, radiograph, figures, ours):
    """Segments and writes; adds what it has written to the names of results that are `ours`."""
    segmentation = run.segmenter.segment(radiograph)
    if segmentation.refusal:
        return _refuse(run, job, f"{job.source}: {segmentation.refusal}", ours)
    for output in run.outputs:
        OUTPUTS[output].write(job.target(output), segmentation, job.source, run.segmenter.path)
        ours.append(output)
    if "json" not in run.outputs and record.status(job.target("json")) == "refused":
        _remove(job, ["json"])
    return {"status": "segmented"} | figures(segmentation)


def _refuse(run, job, error, ours):
    """Leaves a JSON with the reason as the only result of a radiograph; returns the cells that say so.

    What is not ours stays: `ours` names results, and a JSON of ours that speaks of results stands for all.
    """
    path, reason = job.target("json"), one_line(str(error))
    known = OUTPUTS if record.status(path) == "segmented" else ours
    _remove(job, [output for output in known if output != "json"])
    written = not _is_foreign(path) and _try_to_write(path, record.refusal(reason, job.source, run.segmenter.path))
    return {"status": "refused", "reason": reason, "outputs": "json" if written else ""}


def _try_to_write(path, content):
    """Returns whether a JSON could be written; its name may be too long, its folder locked."""
    try:
        write_json(path, content)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        return False
    return True


def _make_folder(out):
    try:
        pathlib.Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: the folder cannot be made ({error.strerror})") from None


def _tidy(jobs):
    """Removes what a killed run has left half-written beside the results."""
    for folder in {jobs[0].out, *(os.path.dirname(job.stem) for job in jobs)}:  # noqa: PTH120
        remove_leftovers(folder)


def _report(counts, total, path):
    again = f", {counts['reused']} of them by an earlier run" if counts["reused"] else ""
    print(f"{total} radiographs: {counts['segmented']} segmented, {counts['refused']} refused{again}; wrote {path}")


def _exit_code(counts, total):
    return 0 if not counts["refused"] else 2 if counts["refused"] == total else 1


def _bar(total, progress, file):
    """Returns a progress bar, a context, or what stands for one where there is none to show."""
    if not progress or total < 2:
        return _NoBar()
    try:
        from tqdm import tqdm
    except ImportError:  # A device has NumPy, OpenCV and LiteRT only; it works without a bar.
        return _NoBar()
    return tqdm(total=total, unit="radiograph", file=file)


class _NoBar(contextlib.nullcontext):
    """What of a `tqdm` bar is used here, without the bar."""

    def __enter__(self):
        return self

    def update(self):
        """Shows nothing."""

    def write(self, line, file):
        """Prints a line."""
        print(line, file=file)
