"""Which radiographs a run segments, and where the results of each go: settled before work starts."""

import dataclasses
import functools
import os
import pathlib

from crass_tf.files import InputError
from crass_tf.formats import dicom, metaimage
from crass_tf.formats.content import read_bytes
from crass_tf.results import OUTPUTS

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", *dicom.SUFFIXES, *metaimage.SUFFIXES)
# What CDs hold beside DICOM files: a list of them, itself in DICOM's form.
DICOM_INDEX = "DICOMDIR"


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One radiograph and where its results go. Paths are text, of which a million need little memory.

    Attributes:
        image: the radiograph's file.
        result: the results' path below `out`, parted by `/`, without the suffixes of `results.OUTPUTS`.
        out: the folder for the results of all.
    """

    image: str
    result: str
    out: str

    @property
    def source(self):
        """The radiograph's path."""
        return pathlib.Path(self.image)

    @property
    def stem(self):
        """The results' path without the suffixes of `results.OUTPUTS`."""
        return os.path.join(self.out, self.result)  # noqa: PTH118

    def target(self, output):
        """Returns the path of one of `results.OUTPUTS`."""
        return pathlib.Path(self.stem + OUTPUTS[output].suffix)


def plan(paths, out):
    """Returns the `Job`s of files and folders, sorted within each folder, and a line on each folder that is unreadable.

    Raises:
        InputError: as `predict` says.
    """
    if "" in map(os.fspath, [*paths, out]):
        raise InputError("found an empty path, expected files or folders, and a folder as --out")
    out, unreadable = pathlib.Path(out), []
    jobs = [job for path in paths for job in _jobs(pathlib.Path(path), out, unreadable)]
    if not jobs:
        raise InputError("found no radiographs to segment, expected at least one path")
    _check_collisions(jobs)
    return jobs, unreadable


def _jobs(path, out, unreadable):
    """Returns the jobs of one path that a user named; adds to the lines on what is `unreadable`."""
    if path.is_file():
        return [Job(str(path), _stem(path.name), str(out))]
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder")
    if _real(path) == _real(out):
        raise InputError(f"{out}: the results would lie among the radiographs; give another folder as --out")
    lines = []
    found = _radiographs(path, out, lines)
    if not found:
        expected = f"found no radiographs in this folder, expected files that end in {' '.join(SUFFIXES)}"
        raise InputError(lines[0] if lines else f"{path}: {expected}")
    unreadable += lines
    return [Job(str(path / name), _result(name), str(out)) for name in found]


def _radiographs(folder, out, unreadable):
    """Returns the radiographs below a folder, sorted, as paths in it; hidden files and `out` are passed over."""
    found = []
    for here, names in _folders(folder, out, unreadable):
        kept = (name for name in names if not name.startswith(".") and _is_radiograph(here, name))
        below = here.relative_to(folder)
        found += [str(below / name) for name in kept]
    # As paths are sorted: a folder's files before those of a folder whose name goes on.
    return sorted(found, key=lambda name: pathlib.PurePath(name).parts)


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
    """Returns whether a file in a folder is taken for a radiograph: by its suffix, or as DICOM by its first bytes.

    DICOM files are often named by number, `IM0001` or `1.2.840.113619`; only those are opened to find out.
    """
    if name.lower().endswith(SUFFIXES):
        return True
    if name.upper() == DICOM_INDEX:
        return False
    suffix = pathlib.Path(name).suffix
    if suffix and not suffix[1:].isdigit():
        return False
    try:
        return dicom.is_dicom(read_bytes(folder / name, dicom.HEAD))
    except InputError:
        return False


def _result(name):
    """Returns `Job.result` of a radiograph's path in its folder."""
    path = pathlib.PurePath(name)
    return path.with_name(_stem(path.name)).as_posix()


def _stem(name):
    """Returns a file's name without its suffix; what follows the last point of a DICOM number is none."""
    stem, _, suffix = name.rpartition(".")
    return name if not stem or suffix.isdigit() else stem


def _check_collisions(jobs):
    """Raises InputError where two radiographs would write the same file, or one would overwrite another."""
    place = _places()
    writers = {}
    for job in jobs:
        writer = writers.setdefault(place(job.stem), job)
        if writer is not job:
            raise _would_both_write(writer, job, next(iter(OUTPUTS.values())).suffix)
    suffixes = [output.suffix for output in OUTPUTS.values()]
    # Of one suffix that ends with another one: `a_x` + `.json` is `a` + `_x.json`.
    longer = [(one, one.removesuffix(end)) for one in suffixes for end in suffixes if one != end and one.endswith(end)]
    for job in jobs:
        for suffix, part in longer:
            if writer := writers.get(place(job.stem) + part):
                raise _would_both_write(writer, job, suffix)
        source = place(job.image) if not os.path.islink(job.image) else str(_real(job.image))  # noqa: PTH114
        for suffix in suffixes:
            if source.endswith(suffix) and (writer := writers.get(source.removesuffix(suffix))):
                raise InputError(f"{writer.image}: its result would overwrite the radiograph {source}; change --out")


def _would_both_write(one, other, suffix):
    return InputError(f"{one.image} and {other.image} would both write {one.stem}{suffix}; rename one of them")


def _places():
    """Returns a function from a path to the same with no links in its folder; each folder is looked up once."""
    real = functools.cache(_real)

    def place(path):
        folder, name = os.path.split(path)
        return f"{real(folder)}{os.sep}{name}"

    return place


def _real(path):
    """Returns the path without links; unlike `Path.resolve` it takes a link that leads to itself as it is."""
    return pathlib.Path(os.path.realpath(path))
