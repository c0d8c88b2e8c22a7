"""CRASS12 in whichever form it lies in a folder: PNG files as published, or the original release."""

import collections
import pathlib

from crass_tf.common.files import InputError, local_path
from crass_tf.common.types import PathLike
from crass_tf.radiographs.formats.metaimage import SUFFIXES
from crass_tf.sources.listing import Listing, composed, files_by_name, image_files
from crass_tf.sources.source import Source

FOLDER = "CRASS12"
IMAGE_FOLDER, MASK_FOLDER = "image", "mask"
SUFFIX = ".PNG"
RELEASE_IMAGE_FOLDERS, RELEASE_MASK_FOLDER = ("data_train", "data_test"), "mask_mhd"
EXPECTED = (
    f"{FOLDER}/{{{IMAGE_FOLDER},{MASK_FOLDER}}}/*{SUFFIX}, or "
    f"the original release's {FOLDER}/{{{RELEASE_IMAGE_FOLDERS[0]},{RELEASE_MASK_FOLDER}}}/*.mhd"
)
SIDES = ("right", "left")


def open_crass12(manual_dir: PathLike) -> Source:
    """Lists what `manual_dir/CRASS12` holds, or `manual_dir` itself, recognised by its folders.

    No pixels are decoded: what is checked is which files there are, the split files, and what headers say. Flaws are
    the source's `findings`; `Source.checked` raises the first that stops a build.

    Raises:
        InputError: where there is no such folder.
    """
    form, listing = _recognise(local_path(manual_dir, "manual_dir"))
    splits, origin = listing.splits()
    unlabelled = listing.unlabelled()
    fallback_mm = listing.fallback_mm([example for examples in (*splits.values(), unlabelled) for example in examples])
    return Source(listing.folder, form, splits, unlabelled, origin, fallback_mm, listing.findings)


def _recognise(manual_dir):
    """Returns `(form, Listing)`."""
    where = f"expected {EXPECTED} in {manual_dir}"
    if not manual_dir.is_dir():
        raise InputError(f"{manual_dir}: folder not found, expected a folder with {EXPECTED}")
    for folder in (manual_dir / FOLDER, manual_dir):
        for image_folder, mask_folder, form, list_folder in (
            (IMAGE_FOLDER, MASK_FOLDER, "the published folder", _list_published),
            (RELEASE_IMAGE_FOLDERS[0], RELEASE_MASK_FOLDER, "the original release", _list_release),
        ):
            if (folder / image_folder).is_dir():
                if not (folder / mask_folder).is_dir():
                    raise InputError(f"{folder / mask_folder}: folder not found, {where}")
                return form, list_folder(folder)
    missing = manual_dir / FOLDER
    missing = missing / IMAGE_FOLDER if missing.is_dir() else missing
    raise InputError(f"{missing}: folder not found, {where}")


def _list_published(folder):
    listing = Listing(folder, (folder / IMAGE_FOLDER,), folder / MASK_FOLDER, SUFFIX)
    listing.images = files_by_name(folder / IMAGE_FOLDER, (SUFFIX.lower(),), listing.findings.note)
    masks = files_by_name(folder / MASK_FOLDER, (SUFFIX.lower(),), listing.findings.note)
    listing.masks = {name: (path,) for name, path in masks.items()}
    return listing


def _list_release(folder):
    """Returns the `Listing` of a folder with `data_train`, `mask_mhd` and, where it is there, `data_test`.

    A mask belongs to the radiograph of its name. Where each side has a file, the name goes on with the side
    (`NAME_left.mhd`) or the file lies in a folder called after it (`mask_mhd/left/NAME.mhd`), in whatever case.
    """
    image_folders = tuple(folder / name for name in RELEASE_IMAGE_FOLDERS)
    listing = Listing(folder, image_folders, folder / RELEASE_MASK_FOLDER, SUFFIXES[0])
    note = listing.findings.note
    for image_folder in filter(pathlib.Path.is_dir, image_folders):
        for name, path in files_by_name(image_folder, SUFFIXES, note).items():
            first = listing.images.setdefault(name, path)
            if first is not path:
                note("two files", f"{path}: found {first} too, expected one file a name")
    listing.masks = _release_masks(listing)
    return listing


def _release_masks(listing):
    """Returns `{name: (path, ...)}`: one file for both clavicles, or the right one's and the left one's."""
    masks = collections.defaultdict(lambda: collections.defaultdict(list))
    for path in image_files(lambda: listing.mask_folder.rglob("*"), SUFFIXES):
        name, side = _name_and_side(path, listing)
        masks[name][side].append(path)
    return {name: paths for name, sides in masks.items() if (paths := _pair(listing, name, sides))}


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
    paths = sorted(path for files in sides.values() for path in files)
    shown = ", ".join(path.name for path in paths)
    text = f"found {shown} as masks of {name}, expected one file, or one of the left and one of the right clavicle"
    listing.findings.note("mask files", f"{paths[0]}: {text}")
    return ()
