"""The CRASS12 folder as published: PNG files in `image` and `mask`."""

import pathlib

from crass_tf.sources.listing import Listing, files_by_name

IMAGE_FOLDER, MASK_FOLDER = "image", "mask"
SUFFIX = ".PNG"
FORM = "the published folder"


def list_published(folder: pathlib.Path) -> Listing:
    """Returns the `Listing` of a folder with `image/*.PNG` and `mask/*.PNG`."""
    listing = Listing(folder, (folder / IMAGE_FOLDER,), folder / MASK_FOLDER, SUFFIX)
    note = listing.findings.note
    listing.images = files_by_name(folder / IMAGE_FOLDER, (SUFFIX.lower(),), note)
    masks = files_by_name(folder / MASK_FOLDER, (SUFFIX.lower(),), note)
    listing.masks = {name: (path,) for name, path in masks.items()}
    return listing
