"""What `crass-tf predict` does: radiographs in, one set of result files for each out."""

import dataclasses
import json
import os
import pathlib
import sys

import numpy as np

from crass_tf.files import InputError, write_json
from crass_tf.formats import dicom, metaimage
from crass_tf.formats.content import read_bytes
from crass_tf.formats.png import write_png
from crass_tf.native import quiet_native
from crass_tf.overlay import overlay
from crass_tf.radiograph import read_radiograph
from crass_tf.segmenter import SIDES, Segmenter

PICTURES = ("mask", "labels", "overlay")
OUTPUTS = (*PICTURES, "json")
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", *dicom.SUFFIXES, *metaimage.SUFFIXES)
NOTE = "Research software, not a medical device: not for diagnosis or treatment."


@dataclasses.dataclass(frozen=True)
class Job:
    """One radiograph and where its results go.

    Attributes:
        source: the radiograph's file.
        stem: the results' path without `_mask.png` and the like.
    """

    source: pathlib.Path
    stem: pathlib.Path

    def target(self, output):
        """Returns the path of one of `OUTPUTS`."""
        return self.stem.with_name(f"{self.stem.name}.json" if output == "json" else f"{self.stem.name}_{output}.png")


def predict(paths, out, model=None, outputs=OUTPUTS, spacing_mm=None, threads=None, progress=True):
    """Segments radiographs and writes the results to a folder.

    A radiograph that cannot be segmented gets a JSON with the reason and a line on standard error; what an earlier
    run left for it is removed.

    Args:
        paths: radiographs, and folders that are searched through; a folder's subfolders are mirrored.
        out: the folder for the results.
        model: a model in any form, or None for the shipped one.
        outputs: names out of `OUTPUTS`.
        spacing_mm: `(row, column)` of all radiographs; outranks their headers.
        threads: for a `.tflite`; None: chosen by the number of cores.
        progress: shows a bar where there is more than one radiograph.

    Returns:
        The exit code: 0, 1 where some of many radiographs failed, 2 where none succeeded.

    Raises:
        InputError: before any work, for a path that does not exist, a folder without radiographs, inputs that would
            write the same file, an unknown output, no usable model.
    """
    _check_outputs(outputs)
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


def result(segmentation, image, model):
    """Returns what `STEM.json` says about a segmented radiograph. All lengths are native pixels unless named otherwise.

    `bounding_box` is `[x, y, width, height]`, `centroid` `[x, y]`; both are null for a side that was not found.
    """
    quality = dict(segmentation.quality)
    clavicles = {name: quality.pop(name) | _place(segmentation.labels == label) for name, label in SIDES.items()}
    return _header(image, model) | {
        "status": "segmented",
        "native_size": list(segmentation.mask.shape),
        "spacing_mm": None if segmentation.spacing_mm is None else list(segmentation.spacing_mm),
        "sides": "patient",
        "notes": list(segmentation.radiograph.notes),
        "clavicles": clavicles,
        "quality": quality,
    }


def refusal(reason, image, model):
    """Returns what `STEM.json` says about a radiograph that was not segmented."""
    return _header(image, model) | {"status": "refused", "reason": str(reason)}


def _header(image, model):
    return {"image": pathlib.Path(image).as_posix(), "model": pathlib.Path(model).as_posix(), "note": NOTE}


def _place(mask):
    """Returns the bounding box and the centroid of a mask `[H, W]`."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return {"bounding_box": None, "centroid": None}
    top, left = rows[0], columns[0]
    inner = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    y, x = (float(axis.mean()) for axis in np.nonzero(inner))
    box = [left, top, inner.shape[1], inner.shape[0]]
    return {"bounding_box": [int(value) for value in box], "centroid": [x + float(left), y + float(top)]}


def _run_job(segmenter, job, outputs, spacing_mm):
    """Segments and writes one radiograph; returns whether it succeeded."""
    try:
        segmentation = segmenter.segment(_read(job.source, spacing_mm))
    except InputError as error:
        _refuse(job, error, segmenter.path)
        return False
    if segmentation.refusal:
        _refuse(job, f"{job.source}: {segmentation.refusal}", segmenter.path)
        return False
    _write(job, segmentation, outputs, segmenter.path)
    return True


def _read(path, spacing_mm):
    """Returns the Radiograph of a file; what decoders would print of damaged ones is in its one line."""
    with quiet_native():
        return read_radiograph(path, spacing_mm)


def _write(job, segmentation, outputs, model):
    if "mask" in outputs:
        write_png(job.target("mask"), segmentation.mask * np.uint8(255), segmentation.spacing_mm)
    if "labels" in outputs:
        write_png(job.target("labels"), segmentation.labels, segmentation.spacing_mm)
    if "overlay" in outputs:
        write_png(job.target("overlay"), overlay(segmentation.radiograph.image, segmentation.labels))
    if "json" in outputs:
        write_json(job.target("json"), result(segmentation, job.source, model))
    elif _is_refusal(job.target("json")):
        job.target("json").unlink()


def _refuse(job, error, model):
    """Leaves a JSON with the reason as the only result of a radiograph, and says so on standard error."""
    for output in PICTURES:
        job.target(output).unlink(missing_ok=True)
    # A file's name may have several lines.
    reason = " ".join(str(error).splitlines())
    write_json(job.target("json"), refusal(reason, job.source, model))
    _say(reason)


def _is_refusal(path):
    """Returns whether a file is the refusal of an earlier run; a JSON that is not ours is nobody's to remove."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("status") == "refused" and content.get("note") == NOTE


def _check_outputs(outputs):
    unknown = [name for name in outputs if name not in OUTPUTS]
    if unknown or not outputs:
        raise InputError(f"outputs: found {', '.join(unknown) or 'none'}, expected some of {', '.join(OUTPUTS)}")


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
