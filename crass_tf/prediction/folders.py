"""Which files of a folder are radiographs, and which folders below it are searched."""

import collections
import functools
import os
import pathlib
from collections.abc import Callable

from crass_tf.common.files import InputError
from crass_tf.radiographs.formats import dicom, metaimage, raster, read_bytes

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", *dicom.SUFFIXES, *metaimage.SUFFIXES)
# The name of the index file on CDs with DICOM files, itself a DICOM file.
DICOM_INDEX = "DICOMDIR"
# What files of other suffixes, such as `.jfif`, begin with to be taken for radiographs; a GIF has to be named.
SIGNATURES = tuple(start for start in raster.SIGNATURES if not start.startswith(b"GIF"))
# The pixels of a `.mhd` header beside it.
RAW_SUFFIXES = (".raw", ".zraw")


def radiographs_in(folder: pathlib.Path, out: pathlib.Path) -> tuple[list[str], list[str], collections.Counter[str]]:
    """Returns `(radiographs, unreadable, passed_over)` of a folder and of those below it.

    They are the radiographs' paths in it, sorted; a line on each folder that is unreadable; and how many other files
    there are, by suffix. Hidden files, and what lies in `out`, count nowhere.
    """
    radiographs, unreadable, passed_over = [], [], collections.Counter()
    for here, names in _folders(folder, out, unreadable):
        names = [name for name in names if not name.startswith(".")]
        kept = [name for name in names if is_radiograph(name, functools.partial(read_bytes, here / name, dicom.HEAD))]
        headers = {pathlib.Path(name).stem for name in kept if metaimage.is_header(name)}
        for path in map(pathlib.Path, set(names) - set(kept)):
            suffix = path.suffix.lower()
            is_part = suffix in RAW_SUFFIXES and path.stem in headers
            if not is_part and path.name.upper() != DICOM_INDEX:
                passed_over[suffix or "without a suffix"] += 1
        below = here.relative_to(folder)
        radiographs += [str(below / name) for name in kept]
    # Sorted by path parts: `a/x` comes before `a_b/x`.
    return sorted(radiographs, key=lambda name: pathlib.PurePath(name).parts), unreadable, passed_over


def _folders(top, out, unreadable):
    """Yields `(path, names of files)` of a folder and of those below it, each folder once; hidden ones and `out` never.

    Links are followed last, so that a folder that can be reached without a link keeps its own path.
    """

    def note(error):
        unreadable.append(f"{error.filename}: the folder cannot be read ({error.strerror}), nor what lies below it")

    # A link to a parent of `top` would also lead to everything beside `top`.
    visited, waiting = {os.path.realpath(out), *map(str, pathlib.Path(os.path.realpath(top)).parents)}, [top]
    while waiting:
        for parent, folders, names in os.walk(waiting.pop(0), onerror=note):
            here, real = pathlib.Path(parent), os.path.realpath(parent)
            folders[:] = [] if real in visited else sorted(name for name in folders if not name.startswith("."))
            waiting += [here / name for name in folders if (here / name).is_symlink()]
            if real not in visited:
                visited.add(real)
                yield here, names


def is_radiograph(name: str, read_head: Callable[[], bytes]) -> bool:
    """Returns whether a file in a folder is taken for a radiograph: by its suffix, or else by its first bytes.

    DICOM files are often named by number, `IM0001` or `1.2.840.113619`; a JPEG may be called `.jfif`, or anything.
    `name` is without a folder; `read_head` returns the first `dicom.HEAD` bytes, or raises InputError or OSError.
    """
    if name.lower().endswith(SUFFIXES):
        return True
    if name.upper() == DICOM_INDEX:
        return False
    try:
        head = read_head()
    except (InputError, OSError):
        return False
    return head.startswith(*dicom.MARK) or head.startswith(SIGNATURES)
