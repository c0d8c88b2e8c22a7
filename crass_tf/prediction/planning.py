"""Which radiographs a run segments, and where the results of each go: settled before work starts."""

import collections
import dataclasses
import functools
import os
import pathlib
from collections.abc import Iterable

from crass_tf.common.files import InputError, local_path, local_paths
from crass_tf.common.types import PathLike
from crass_tf.prediction.outputs import OUTPUTS
from crass_tf.radiographs.formats import dicom, metaimage, raster, read_bytes

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", *dicom.SUFFIXES, *metaimage.SUFFIXES)
# What CDs hold beside DICOM files: a list of them, itself in DICOM's form.
DICOM_INDEX = "DICOMDIR"
# What files of other suffixes, such as `.jfif`, begin with to be taken for radiographs; a GIF has to be named.
SIGNATURES = tuple(start for start in raster.SIGNATURES if not start.startswith(b"GIF"))
# The pixels of a `.mhd` header beside it.
RAW_SUFFIXES = (".raw", ".zraw")


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
    out, jobs, unreadable, passed_over = local_path(out, "out"), [], [], collections.Counter()
    for path in local_paths(paths, "path"):
        if path.is_file():
            jobs.append(Job(str(path), _stem(path.name), str(out)))
            continue
        if not path.is_dir():
            raise InputError(f"{path}: no such file or folder")
        if _real(path) == _real(out):
            raise InputError(f"{out}: the results would lie among the radiographs; give another folder as --out")
        lines = []
        names = _radiographs(path, out, lines, passed_over)
        if not names:
            expected = f"found no radiographs in this folder, expected files that end in {' '.join(SUFFIXES)}"
            raise InputError(lines[0] if lines else f"{path}: {expected}")
        unreadable += lines
        # `~` below the working folder is a name of its own, not the home folder.
        images = [str(path / name) for name in names]
        images = [os.path.abspath(image) if image.startswith("~") else image for image in images]  # noqa: PTH100
        jobs += [Job(image, result_path(name), str(out)) for image, name in zip(images, names)]
    if not jobs:
        raise InputError("found no radiographs to segment, expected at least one path")
    _check_collisions(jobs)
    return jobs, unreadable, passed_over


def _radiographs(folder, out, unreadable, passed_over):
    """Returns the radiographs below a folder, sorted, as paths in it; hidden files and `out` are passed over."""
    radiographs = []
    for here, names in _folders(folder, out, unreadable):
        names = [name for name in names if not name.startswith(".")]
        kept = [name for name in names if _is_radiograph(here, name)]
        headers = {pathlib.Path(name).stem for name in kept if metaimage.is_header(name)}
        for path in map(pathlib.Path, set(names) - set(kept)):
            suffix = path.suffix.lower()
            is_part = suffix in RAW_SUFFIXES and path.stem in headers
            if not is_part and path.name.upper() != DICOM_INDEX:
                passed_over[suffix or "without a suffix"] += 1
        below = here.relative_to(folder)
        radiographs += [str(below / name) for name in kept]
    # As paths are sorted: a folder's files before those of a folder whose name goes on.
    return sorted(radiographs, key=lambda name: pathlib.PurePath(name).parts)


def _folders(top, out, unreadable):
    """Yields `(path, names of files)` of a folder and of those below it, each folder once; hidden ones and `out` never.

    Links are followed once all is seen that is no link: so what does not need one keeps its own path.
    """

    def note(error):
        unreadable.append(f"{error.filename}: the folder cannot be read ({error.strerror}), nor what lies below it")

    # A link to a folder that holds `top` would lead to everything beside it, too.
    seen, waiting = {str(_real(out)), *map(str, _real(top).parents)}, [top]
    while waiting:
        for parent, folders, names in os.walk(waiting.pop(0), onerror=note):
            here, real = pathlib.Path(parent), str(_real(parent))
            folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
            waiting += [here / name for name in folders if (here / name).is_symlink()]
            if real not in seen:
                seen.add(real)
                yield here, names


def _is_radiograph(folder, name):
    """Returns whether a file in a folder is taken for a radiograph: by its suffix, or else by its first bytes.

    DICOM files are often named by number, `IM0001` or `1.2.840.113619`; a JPEG may be called `.jfif`, or anything.
    """
    if name.lower().endswith(SUFFIXES):
        return True
    if name.upper() == DICOM_INDEX:
        return False
    try:
        head = read_bytes(folder / name, dicom.HEAD)
    except InputError:
        return False
    return head.startswith(*dicom.MARK) or head.startswith(SIGNATURES)


def result_path(name: PathLike) -> str:
    """Returns `Job.result` of a radiograph's path in its folder."""
    path = pathlib.PurePath(name)
    return path.with_name(_stem(path.name)).as_posix()


def _stem(name):
    """Returns a file's name without its suffix; what follows the last point of a DICOM number is none."""
    stem, _, suffix = name.rpartition(".")
    return name if not stem or suffix.isdigit() else stem


def _check_collisions(jobs):
    """Raises InputError where two radiographs would write the same file, or one would overwrite another."""
    # Each folder is looked up once.
    real_folder = functools.cache(_real)

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
    # Of one suffix that ends with another one: `a_x` + `.json` is `a` + `_x.json`.
    longer = [(one, one.removesuffix(end)) for one in suffixes for end in suffixes if one != end and one.endswith(end)]
    for job in jobs:
        for suffix, part in longer:
            if writer := writers.get(place(job.stem) + part):
                raise both_write(writer, job, suffix)
        source = place(job.image) if not os.path.islink(job.image) else str(_real(job.image))  # noqa: PTH114
        for suffix in suffixes:
            if source.endswith(suffix) and (writer := writers.get(source.removesuffix(suffix))):
                raise InputError(f"{writer.image}: its result would overwrite the radiograph {source}; change --out")


def _real(path):
    """Returns the path without links; unlike `Path.resolve` it takes a link that leads to itself as it is."""
    return pathlib.Path(os.path.realpath(path))
