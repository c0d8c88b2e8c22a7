"""A run over radiographs: threads read, segment and write; what an earlier run has done is not done again."""

import collections
import contextlib
import dataclasses
import json
import os
import pathlib

from crass_tf.files import InputError, remove_leftovers, write_json
from crass_tf.formats.content import MAX_PIXELS
from crass_tf.native import quiet_native
from crass_tf.parallel import Room, ordered_map
from crass_tf.prediction import summary
from crass_tf.prediction.planning import plan
from crass_tf.radiograph import read_radiograph
from crass_tf.results import DEFAULTS, OUTPUTS, check_outputs, record
from crass_tf.segmenter import Segmenter


def predict(paths, out, model=None, outputs=DEFAULTS, spacing_mm=None, threads=None, progress=True, overwrite=False):
    """Segments radiographs and writes the results to a folder.

    A radiograph that cannot be segmented gets a JSON with the reason and a line on standard error; what an earlier
    run left for it is removed.

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
        The exit code: 0, 1 where some of many radiographs failed, 2 where none succeeded.

    Raises:
        InputError: before any work, for a path that does not exist, a folder without radiographs, inputs that would
            write the same file, an unknown output, no usable model, another run that writes to `out`.
    """
    check_outputs(outputs)
    jobs = plan(paths, out)
    segmenter = Segmenter.load(model, threads)
    _make_folder(out)
    run = _Run(segmenter, tuple(outputs), spacing_mm)
    if not any(pathlib.Path(path).is_dir() for path in paths):
        return _exit_code(_go(run, jobs, None, progress), len(jobs))
    with summary.Journal(out, overwrite) as journal:
        if journal.interrupted:
            _tidy(jobs)
        counts = _go(run, jobs, journal, progress)
        journal.finish()
    if progress:
        _report(counts, len(jobs), pathlib.Path(out, summary.NAME))
    return _exit_code(counts, len(jobs))


@dataclasses.dataclass(frozen=True)
class _Run:
    """What is the same for all radiographs of a run."""

    segmenter: Segmenter
    outputs: tuple[str, ...]
    spacing_mm: tuple[float, float] | None
    # Results of the largest radiograph that is read just fit into memory; threads share that.
    pixels: Room = dataclasses.field(default_factory=lambda: Room(MAX_PIXELS))


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
    earlier = journal.find(job, stamps)
    made = _made(earlier, job)
    if earlier and (made == ["json"] if earlier["status"] == "refused" else set(run.outputs) <= set(made)):
        return earlier | named, True
    row = named | stamps | _run_job(run, job, summary.figures)
    if row["status"] == "segmented":
        row["outputs"] = " ".join(name for name in OUTPUTS if name in made or name in run.outputs)
    return row, False


def _made(row, job):
    """Returns which results that an earlier run's row tells of are there."""
    return [name for name in row["outputs"].split() if name in OUTPUTS and job.target(name).is_file()] if row else []


def _run_job(run, job, figures=lambda segmentation: {}):
    """Segments and writes one radiograph; returns the cells of the summary that say what came of it."""
    try:
        radiograph = read_radiograph(job.source, run.spacing_mm)
        with run.pixels.take(radiograph.image.size):
            return _segment(run, job, radiograph, figures)
    except InputError as error:
        # Without a stamp it is tried again: the file may have been locked, a library missing.
        return _refuse(run, job, error) | {"input": ""}


def _segment(run, job, radiograph, figures):
    segmentation = run.segmenter.segment(radiograph)
    if segmentation.refusal:
        return _refuse(run, job, f"{job.source}: {segmentation.refusal}")
    for output in run.outputs:
        OUTPUTS[output].write(job.target(output), segmentation, job.source, run.segmenter.path)
    if "json" not in run.outputs and _is_refusal(job.target("json")):
        job.target("json").unlink()
    return {"status": "segmented"} | figures(segmentation)


def _refuse(run, job, error):
    """Leaves a JSON with the reason as the only result of a radiograph; returns the cells that say so."""
    for output in OUTPUTS:
        if output != "json":
            job.target(output).unlink(missing_ok=True)
    # A file's name may have several lines.
    reason = " ".join(str(error).splitlines())
    write_json(job.target("json"), record.refusal(reason, job.source, run.segmenter.path))
    return {"status": "refused", "reason": reason, "outputs": "json"}


def _is_refusal(path):
    """Returns whether a file is the refusal of an earlier run; a JSON that is not ours is nobody's to remove."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("status") == "refused" and content.get("note") == record.NOTE


def _make_folder(out):
    try:
        pathlib.Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: the folder cannot be made ({error.strerror})") from None


def _tidy(jobs):
    """Removes what a killed run has left half-written beside the results."""
    suffixes = tuple(output.suffix for output in OUTPUTS.values())
    remove_leftovers(jobs[0].out, summary.NAME.__eq__)
    for folder in {os.path.dirname(job.stem) for job in jobs}:  # noqa: PTH120
        remove_leftovers(folder, lambda name: name.endswith(suffixes))


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
