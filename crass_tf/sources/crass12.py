"""CRASS12 in whichever form it lies in a folder: PNG files as published, or the original release."""

from crass_tf.common.files import InputError, local_path
from crass_tf.common.types import PathLike
from crass_tf.sources import crass12_mhd
from crass_tf.sources.listing import Listing, files_by_name
from crass_tf.sources.source import Source

FOLDER = "CRASS12"
IMAGE_FOLDER, MASK_FOLDER = "image", "mask"
SUFFIX = ".PNG"
EXPECTED = (
    f"{FOLDER}/{{{IMAGE_FOLDER},{MASK_FOLDER}}}/*{SUFFIX}, or "
    f"the original release's {FOLDER}/{{{crass12_mhd.IMAGE_FOLDERS[0]},{crass12_mhd.MASK_FOLDER}}}/*.mhd"
)


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
    spacing = listing.spacing_rule([example for examples in (*splits.values(), unlabelled) for example in examples])
    return Source(listing.folder, form, splits, unlabelled, origin, spacing, listing.findings)


def _recognise(manual_dir):
    """Returns `(form, Listing)`."""
    where = f"expected {EXPECTED} in {manual_dir}"
    if not manual_dir.is_dir():
        raise InputError(f"{manual_dir}: folder not found, expected a folder with {EXPECTED}")
    for folder in (manual_dir / FOLDER, manual_dir):
        for image_folder, mask_folder, form, list_folder in (
            (IMAGE_FOLDER, MASK_FOLDER, "the published folder", _list_published),
            (crass12_mhd.IMAGE_FOLDERS[0], crass12_mhd.MASK_FOLDER, "the original release", crass12_mhd.list_release),
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
