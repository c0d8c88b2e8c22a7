"""The original release of CRASS12: MetaImage files in `data_train`, `mask_mhd` and `data_test`."""

import collections
import pathlib
import re

from crass_tf.radiographs.formats.metaimage import SUFFIXES
from crass_tf.sources.listing import Listing, composed, files_by_name, image_files

IMAGE_FOLDERS = ("data_train", "data_test")
MASK_FOLDER = "mask_mhd"
SEPARATORS = re.compile(r"[-_. ]+")
SIDE_WORDS = {"left": "left", "l": "left", "right": "right", "r": "right"}
# Words that a mask's name may hold beyond its radiograph's name and a side.
MASK_WORDS = {"mask", "clavicle", "clavicles", "seg", "segmentation", "label"}


def list_release(folder: pathlib.Path) -> Listing:
    """Returns the `Listing` of a folder with `data_train`, `mask_mhd` and, where it is there, `data_test`.

    A mask belongs to the radiograph of its name. Where each side has a file, the name goes on with the side
    (`NAME_left.mhd`) or the file lies in a folder called after it (`mask_mhd/left/NAME.mhd`).
    """
    listing = Listing(folder, tuple(folder / name for name in IMAGE_FOLDERS), folder / MASK_FOLDER, SUFFIXES[0])
    note = listing.findings.note
    for image_folder in filter(pathlib.Path.is_dir, listing.image_folders):
        for name, path in files_by_name(image_folder, SUFFIXES, note).items():
            first = listing.images.setdefault(name, path)
            if first is not path:
                note("two files", f"{path}: found {first} too, expected one file a name")
    listing.masks = _masks(listing)
    return listing


def _masks(listing):
    """Returns `{name: (path, ...)}`: one file for both clavicles, or the right one's and the left one's."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for path in image_files(lambda: listing.mask_folder.rglob("*"), SUFFIXES):
        name, side = _name_and_side(path, listing)
        found[name][side].append(path)
    return {name: paths for name, sides in found.items() if (paths := _pair(listing, name, sides))}


def _name_and_side(path, listing):
    """Returns the radiograph's name and `left`, `right` or None; a mask of no radiograph keeps its own name."""
    folders = path.relative_to(listing.mask_folder).parts[:-1]
    folder_side = next((side for folder in folders if (side := _side(folder))), None)
    stem = composed(path.stem)
    if stem in listing.images:
        return stem, folder_side
    for gap in reversed(list(SEPARATORS.finditer(stem))):
        name, rest = stem[: gap.start()], stem[gap.end() :]
        if name in listing.images and set(_words(rest)) <= SIDE_WORDS.keys() | MASK_WORDS:
            return name, _side(rest) or folder_side
    return stem, folder_side


def _pair(listing, name, sides):
    """Returns the files of a radiograph's mask, right before left; none, and a finding, where they make no whole."""
    for wanted in ((None,), ("right", "left")):
        if sides.keys() == set(wanted) and all(len(paths) == 1 for paths in sides.values()):
            return tuple(sides[side][0] for side in wanted)
    paths = sorted(path for found in sides.values() for path in found)
    shown = ", ".join(path.name for path in paths)
    text = f"found {shown} as masks of {name}, expected one file, or one of the left and one of the right clavicle"
    listing.findings.note("mask files", f"{paths[0]}: {text}")
    return ()


def _side(text):
    return next((SIDE_WORDS[word] for word in _words(text) if word in SIDE_WORDS), None)


def _words(text):
    return [word for word in SEPARATORS.split(text.lower()) if word]
