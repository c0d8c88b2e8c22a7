"""The original release of CRASS12: MetaImage files in `data_train`, `mask_mhd` and `data_test`."""

import collections
import pathlib

from crass_tf.radiographs.formats.metaimage import SUFFIXES
from crass_tf.sources.listing import Listing, composed, files_by_name, image_files

IMAGE_FOLDERS = ("data_train", "data_test")
MASK_FOLDER = "mask_mhd"
SIDES = ("right", "left")


def list_release(folder: pathlib.Path) -> Listing:
    """Returns the `Listing` of a folder with `data_train`, `mask_mhd` and, where it is there, `data_test`.

    A mask belongs to the radiograph of its name. Where each side has a file, the name goes on with the side
    (`NAME_left.mhd`) or the file lies in a folder called after it (`mask_mhd/left/NAME.mhd`), in whatever case.
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
    stem, folder = composed(path.stem), path.parent.name.lower()
    name, _, side = stem.rpartition("_")
    if stem not in listing.images and name in listing.images and side.lower() in SIDES:
        return name, side.lower()
    return stem, folder if folder in SIDES else None


def _pair(listing, name, sides):
    """Returns the files of a radiograph's mask, right before left; none, and a finding, where they make no whole."""
    for wanted in ((None,), SIDES):
        if sides.keys() == set(wanted) and all(len(paths) == 1 for paths in sides.values()):
            return tuple(sides[side][0] for side in wanted)
    paths = sorted(path for found in sides.values() for path in found)
    shown = ", ".join(path.name for path in paths)
    text = f"found {shown} as masks of {name}, expected one file, or one of the left and one of the right clavicle"
    listing.findings.note("mask files", f"{paths[0]}: {text}")
    return ()
