"""CRASS12 in whichever form it lies in a folder."""

import pathlib

from crass_tf.files import InputError
from crass_tf.sources import published, release
from crass_tf.sources.source import Source

FOLDER = "CRASS12"
EXPECTED = (
    f"{FOLDER}/{{{published.IMAGE_FOLDER},{published.MASK_FOLDER}}}/*{published.SUFFIX}, or the original release's "
    f"{FOLDER}/{{{release.IMAGE_FOLDERS[0]},{release.MASK_FOLDER}}}/*.mhd"
)


def open_crass12(manual_dir):
    """Lists what `manual_dir/CRASS12` holds, or `manual_dir` itself, recognised by its folders.

    No pixels are decoded: what is checked is which files there are, the split files, and what headers say. Flaws are
    the source's `findings`; `Source.checked` raises the first that stops a build.

    Raises:
        InputError: where there is no such folder.
    """
    folder, form, listing = _recognise(pathlib.Path(manual_dir))
    splits, origin = listing.splits()
    unlabelled = listing.unlabelled()
    labelled = [example for examples in splits.values() for example in examples]
    spacing = listing.spacing_rule(labelled + unlabelled)
    return Source(folder, form, splits, unlabelled, origin, spacing, listing.findings)


def _recognise(manual_dir):
    """Returns `(folder, form, Listing)`."""
    if not manual_dir.is_dir():
        raise InputError(f"{manual_dir}: folder not found, expected a folder with {EXPECTED}")
    for folder in (manual_dir / FOLDER, manual_dir):
        for image_folder, mask_folder, form, list_folder in (
            (published.IMAGE_FOLDER, published.MASK_FOLDER, published.FORM, published.list_published),
            (release.IMAGE_FOLDERS[0], release.MASK_FOLDER, release.FORM, release.list_release),
        ):
            if (folder / image_folder).is_dir():
                _check_folder(folder / mask_folder, manual_dir)
                return folder, form, list_folder(folder)
    if (manual_dir / FOLDER).is_dir():
        _check_folder(manual_dir / FOLDER / published.IMAGE_FOLDER, manual_dir)
    raise InputError(f"{manual_dir / FOLDER}: folder not found, expected {EXPECTED} in {manual_dir}")


def _check_folder(path, manual_dir):
    if not path.is_dir():
        raise InputError(f"{path}: folder not found, expected {EXPECTED} in {manual_dir}")
