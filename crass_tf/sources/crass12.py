"""CRASS12 in whichever form it lies in a folder."""

from crass_tf.common.files import InputError, local_path
from crass_tf.common.types import PathLike
from crass_tf.sources import crass12_mhd, crass12_png
from crass_tf.sources.source import Source

FOLDER = "CRASS12"
EXPECTED = (
    f"{FOLDER}/{{{crass12_png.IMAGE_FOLDER},{crass12_png.MASK_FOLDER}}}/*{crass12_png.SUFFIX}, or "
    f"the original release's {FOLDER}/{{{crass12_mhd.IMAGE_FOLDERS[0]},{crass12_mhd.MASK_FOLDER}}}/*.mhd"
)


def open_crass12(manual_dir: PathLike) -> Source:
    """Lists what `manual_dir/CRASS12` holds, or `manual_dir` itself, recognised by its folders.

    No pixels are decoded: what is checked is which files there are, the split files, and what headers say. Flaws are
    the source's `findings`; `Source.checked` raises the first that stops a build.

    Raises:
        InputError: where there is no such folder.
    """
    folder, form, listing = _recognise(local_path(manual_dir, "manual_dir"))
    splits, origin = listing.splits()
    unlabelled = listing.unlabelled()
    spacing = listing.spacing_rule([example for examples in (*splits.values(), unlabelled) for example in examples])
    return Source(folder, form, splits, unlabelled, origin, spacing, listing.findings)


def _recognise(manual_dir):
    """Returns `(folder, form, Listing)`."""
    where = f"expected {EXPECTED} in {manual_dir}"
    if not manual_dir.is_dir():
        raise InputError(f"{manual_dir}: folder not found, expected a folder with {EXPECTED}")
    for folder in (manual_dir / FOLDER, manual_dir):
        for image_folder, mask_folder, form, list_folder in (
            (crass12_png.IMAGE_FOLDER, crass12_png.MASK_FOLDER, crass12_png.FORM, crass12_png.list_published),
            (crass12_mhd.IMAGE_FOLDERS[0], crass12_mhd.MASK_FOLDER, crass12_mhd.FORM, crass12_mhd.list_release),
        ):
            if (folder / image_folder).is_dir():
                if not (folder / mask_folder).is_dir():
                    raise InputError(f"{folder / mask_folder}: folder not found, {where}")
                return folder, form, list_folder(folder)
    missing = manual_dir / FOLDER
    missing = missing / crass12_png.IMAGE_FOLDER if missing.is_dir() else missing
    raise InputError(f"{missing}: folder not found, {where}")
