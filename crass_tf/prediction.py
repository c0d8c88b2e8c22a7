"""What `crass-tf predict` does: radiographs in, one set of result files for each out."""

import dataclasses
import json
import os
import pathlib
import sys

from crass_tf.files import InputError, write_json
from crass_tf.formats import dicom, metaimage
from crass_tf.formats.content import read_bytes
from crass_tf.native import quiet_native
from crass_tf.radiograph import read_radiograph
from crass_tf.results import DEFAULTS, OUTPUTS, check_outputs, record
from crass_tf.segmenter import Segmenter

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", *dicom.SUFFIXES, *metaimage.SUFFIXES)


@dataclasses.dataclass(frozen=True)
class Job:
    """One radiograph and where its results go.

    Attributes:
        source: the radiograph's file.
        stem: the results' path without the suffixes of `results.OUTPUTS`.
    """

    source: pathlib.Path
    stem: pathlib.Path

    def target(self, output):
        """Returns the path of one of `results.OUTPUTS`."""
        return self.stem.with_name(self.stem.name + OUTPUTS[output].suffix)


def predict(paths, out, model=None, outputs=DEFAULTS, spacing_mm=None, threads=None, progress=True):
    """Segments radiographs and writes the results to a folder.

    A radiograph that cannot be segmented gets a JSON with the reason and a line on standard error; what an earlier
    run left for it is removed.

    Args:
        paths: radiographs, and folders that are searched through; a folder's subfolders are mirrored.
        out: the folder for the results.
        model: a model in any form, or None for the shipped one.
        outputs: names out of `results.OUTPUTS`.
        spacing_mm: `(row, column)` of all radiographs; outranks their headers.
        threads: for a `.tflite`; None: chosen by the number of cores.
        progress: shows a bar where there is more than one radiograph.

    Returns:
        The exit code: 0, 1 where some of many radiographs failed, 2 where none succeeded.

    Raises:
        InputError: before any work, for a path that does not exist, a folder without radiographs, inputs that would
            write the same file, an unknown output, no usable model.
    """
    check_outputs(outputs)
    jobs = plan(paths, out)
    segmenter = Segmenter.load(model, threads)
    _make_folder(out)
    failed = sum(not _run_job(segmenter, job, outputs, spacing_mm) for job in _shown(jobs, progress))
    return 0 if not failed else 2 if failed == len(jobs) else 1


def plan(paths, out):
    """Returns the `Job`s of files and folders, sorted within each folder; raises InputError as `predict` says."""
    out = pathlib.Path(out)
    jobs = [job for path in paths for job in _jobs(pathlib.Path(path), out)]
    if not jobs:
        raise InputError("found no radiographs to segment, expected at least one path")
    _check_collisions(jobs)
    return jobs


def _run_job(segmenter, job, outputs, spacing_mm):
    """Segments and writes one radiograph; returns whether it succeeded."""
    try:
        segmentation = segmenter.segment(_read(job.source, spacing_mm))
        if segmentation.refusal:
            raise InputError(f"{job.source}: {segmentation.refusal}")
        _write(job, segmentation, outputs, segmenter.path)
    except InputError as error:
        _refuse(job, error, segmenter.path)
        return False
    return True


def _read(path, spacing_mm):
    """Returns the Radiograph of a file; what decoders would print of damaged ones is in its one line."""
    with quiet_native():
        return read_radiograph(path, spacing_mm)


def _write(job, segmentation, outputs, model):
    for output in outputs:
        OUTPUTS[output].write(job.target(output), segmentation, job.source, model)
    if "json" not in outputs and _is_refusal(job.target("json")):
        job.target("json").unlink()


def _refuse(job, error, model):
    """Leaves a JSON with the reason as the only result of a radiograph, and says so on standard error."""
    for output in OUTPUTS:
        if output != "json":
            job.target(output).unlink(missing_ok=True)
    # A file's name may have several lines.
    reason = " ".join(str(error).splitlines())
    write_json(job.target("json"), record.refusal(reason, job.source, model))
    _say(reason)


def _is_refusal(path):
    """Returns whether a file is the refusal of an earlier run; a JSON that is not ours is nobody's to remove."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("status") == "refused" and content.get("note") == record.NOTE


def _jobs(path, out):
    """Returns the jobs of one path that a user named."""
    if path.is_file():
        return [Job(path, out / _stem(path.name))]
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder")
    if _real(path) == _real(out):
        raise InputError(f"{out}: the results would lie among the radiographs; give another folder as --out")
    found = _radiographs(path, out)
    if not found:
        raise InputError(
            f"{path}: found no radiographs in this folder, expected files that end in {' '.join(SUFFIXES)}"
        )
    return [Job(file, out / file.parent.relative_to(path) / _stem(file.name)) for file in found]


def _radiographs(folder, out):
    """Returns the radiographs below a folder, sorted; hidden files and `out` are passed over."""
    out, found = _real(out), []
    for parent, folders, names in os.walk(folder):
        here = pathlib.Path(parent)
        folders[:] = [name for name in folders if not name.startswith(".") and _real(here / name) != out]
        found += [here / name for name in names if not name.startswith(".") and _is_radiograph(here / name)]
    return sorted(found)


def _is_radiograph(path):
    """Returns whether a file in a folder is taken for a radiograph: by its suffix, or as DICOM by its first bytes.

    DICOM files are often named by number, `IM0001` or `1.2.840.113619`; only those are opened to find out.
    """
    if path.name.lower().endswith(SUFFIXES):
        return True
    if path.suffix and not path.suffix[1:].isdigit():
        return False
    try:
        return dicom.is_dicom(read_bytes(path, dicom.HEAD))
    except InputError:
        return False


def _stem(name):
    """Returns a file's name without its suffix; what follows the last point of a DICOM number is none."""
    stem, _, suffix = name.rpartition(".")
    return name if not stem or suffix.isdigit() else stem


def _real(path):
    """Returns the path without links; unlike `Path.resolve` it takes a link that leads to itself as it is."""
    return pathlib.Path(os.path.realpath(path))


def _check_collisions(jobs):
    """Raises InputError where two radiographs would write the same file, or one would overwrite another."""
    sources = {_real(job.source) for job in jobs}
    writers = {}
    for job in jobs:
        for target in (_real(job.target(output)) for output in OUTPUTS):
            if target in sources:
                raise InputError(f"{job.source}: its result would overwrite the radiograph {target}; change --out")
            if target in writers:
                raise InputError(f"{writers[target]} and {job.source} would both write {target}; rename one of them")
            writers[target] = job.source


def _make_folder(out):
    try:
        pathlib.Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: the folder cannot be made ({error.strerror})") from None


def _shown(jobs, progress):
    """Returns the jobs behind a progress bar where there is more than one."""
    if not progress or len(jobs) < 2:
        return jobs
    try:
        from tqdm import tqdm
    except ImportError:  # A device has NumPy, OpenCV and LiteRT only; it works without a bar.
        return jobs
    return tqdm(jobs, unit="radiograph", file=sys.stderr)


def _say(line):
    """Prints a line to standard error; above the progress bar where there is one."""
    bar = sys.modules.get("tqdm")
    if bar:
        bar.tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr)
