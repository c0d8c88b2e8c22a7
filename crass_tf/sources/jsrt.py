"""JSRT/SCR: the JSRT data base's radiographs with the SCR data base's masks, in whatever folders they lie."""

import os
import pathlib

import numpy as np

from crass_tf.common.files import InputError, local_path
from crass_tf.common.types import PathLike
from crass_tf.radiographs.formats import read_bytes
from crass_tf.radiographs.radiograph import GreyScale
from crass_tf.sources.source import REMARK, SPOILS, Example, Findings, Source, size_mismatch

RADIOGRAPH_COUNT = 247
# Radiographs are bare pixels without a header; these facts are documented.
SIZE = (2048, 2048)
BYTES = SIZE[0] * SIZE[1] * 2
SPACING_MM = (0.175, 0.175)
SCALE = GreyScale(bits=12)
WHITE = 2**SCALE.bits - 1
FOLDS = ("fold1", "fold2")
MASKS = "masks"
# In the order of `Example.mask_paths`.
SIDES = ("right", "left")
SIDE_FOLDERS = {f"{side} clavicle": side for side in SIDES}
EXPECTED = (
    f"*.IMG of the JSRT data base and {{{','.join(FOLDS)}}}/{MASKS}/{{{','.join(SIDE_FOLDERS)}}}/*.gif of the SCR data "
    "base, at whatever depth"
)


def open_jsrt(manual_dir: PathLike) -> Source:
    """Lists the radiographs and masks of clavicles in `manual_dir`, which is searched to its full depth.

    Names, suffixes and the names of the folders count in any case. Each fold is a split.

    Raises:
        InputError: where there is no radiograph, or no mask of a clavicle.
    """
    listing = Listing(local_path(manual_dir, "manual_dir"))
    splits = listing.splits()
    listing.note_left_out(splits)
    return Source(
        listing.folder,
        "the JSRT and SCR data bases",
        splits,
        split_origin=f"the SCR data base's folders {' and '.join(FOLDS)}",
        fallback_mm=SPACING_MM,
        findings=listing.findings,
        fixed_scale=SCALE,
        read_image=read_img,
        fit_mask=repeat_pixels,
    )


def read_img(path: PathLike) -> tuple[np.ndarray, None]:
    """Reads a radiograph of the JSRT data base: 2048 x 2048 big-endian words of 12 bits, 0 for the brightest.

    Returns:
        `(pixels, None)`: uint16 `[2048, 2048]`, inverted, so that dense tissue is bright; no header tells a spacing.

    Raises:
        InputError: where the file is missing or holds another number of bytes, or a value of more than 12 bits.
    """
    data = read_bytes(path)
    if len(data) != BYTES:
        raise InputError(_wrong_length(path, len(data)))
    stored = np.frombuffer(data, ">u2").reshape(SIZE).astype(np.uint16)
    if stored.max() > WHITE:
        raise InputError(f"{path}: found the value {stored.max()}, expected at most {WHITE} (12 bits, big-endian)")
    return WHITE - stored, None


def repeat_pixels(path: PathLike, mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns a mask `[h, w]` on the grid of `size` `(height, width)`: each pixel repeated, so nothing is lost.

    Raises:
        InputError: where `mask` is not of that size divided by a whole number; it names `path`.
    """
    factor = size[0] // mask.shape[0]
    if (mask.shape[0] * factor, mask.shape[1] * factor) != size:
        raise InputError(f"{size_mismatch(path, mask.shape, size)} or that divided by a whole number")
    return np.repeat(np.repeat(mask, factor, axis=0), factor, axis=1)


class Listing:
    """What lies in a folder; findings are added as they turn up. Names are lower case here.

    Attributes:
        images: `{name: path}`.
        masks: `{name: {(fold, side): path}}`; what lies in other folders is none.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.findings = folder, Findings()
        self.images: dict[str, pathlib.Path] = {}
        self.masks: dict[str, dict[tuple[str, str], pathlib.Path]] = {}
        if not folder.is_dir():
            raise InputError(f"{folder}: folder not found, expected a folder with {EXPECTED}")
        for path in _walk_files(folder):
            if path.suffix.lower() == ".img":
                self._add(self.images, path.stem.lower(), path)
                if (size := path.stat().st_size) != BYTES:
                    self.findings.note("unreadable", _wrong_length(path, size), image_ids=[path.stem])
            elif path.suffix.lower() == ".gif":
                self._add_mask(path)
        if not self.images:
            raise InputError(f"{folder}: found no *.IMG, expected {EXPECTED}")
        if not self.masks:
            raise InputError(f"{folder}: found no masks of clavicles, expected {EXPECTED}")

    def splits(self) -> dict[str, list[Example]]:
        """Returns `{fold: [Example, ...]}` of what is whole: a radiograph, and both masks in one fold."""
        splits: dict[str, list[Example]] = {}
        for name, masks in sorted(self.masks.items()):
            # The second fold's before the first one's, the right one before the left one.
            ((fold, _), path), *_ = sorted(masks.items(), reverse=True)
            if flaw := self._find_flaw(name, masks, path):
                self.findings.note(*flaw, image_ids=[path.stem])
            else:
                image, mask_paths = self.images[name], tuple(masks[fold, side] for side in SIDES)
                splits.setdefault(fold, []).append(Example(image.stem, image, mask_paths))
        return {fold: sorted(splits[fold]) for fold in FOLDS if fold in splits}

    def _find_flaw(self, name, masks, path):
        """Returns `(kind, line)` of why masks, one of them at `path`, make no example; None where they do."""
        if len({fold for fold, _ in masks}) > 1:
            text = f"found a mask of a radiograph that {FOLDS[0]} has too, expected each radiograph in one fold"
            return "in both folds", f"{path}: {text}"
        if len(masks) < len(SIDES):
            (missing,) = {*SIDES} - {side for _, side in masks}
            other = path.parent.with_name(f"{missing} clavicle") / path.name
            return "missing mask", f"{other}: file not found, expected because {path} is there"
        if name not in self.images:
            text = f"found a mask of no radiograph, expected an .IMG of that name in {self.folder}"
            return "mask without image", f"{path}: {text}"
        return None

    def note_left_out(self, splits: dict[str, list[Example]]) -> None:
        """Notes which radiographs have no masks, and where the examples are not as many as published."""
        bare = [self.images[name].stem for name in self.images.keys() - self.masks.keys()]
        self.findings.note_names("no mask", self.folder, bare, "without masks; left out", SPOILS)
        count = sum(len(examples) for examples in splits.values())
        if count != RADIOGRAPH_COUNT:
            text = f"found {count} radiographs with masks; JSRT/SCR as published has {RADIOGRAPH_COUNT}"
            self.findings.note("count", f"{self.folder}: {text}", REMARK)

    def _add(self, files, key, path):
        if (first := files.setdefault(key, path)) is not path:
            text = f"{path}: found {first} too, expected one file a name"
            self.findings.note("two files", text, image_ids=[path.stem])

    def _add_mask(self, path):
        """Adds the mask of a clavicle of a fold, which its folders name."""
        fold, masks, side_folder = (part.lower() for part in ("", "", *path.absolute().parts)[-4:-1])
        if fold in FOLDS and masks == MASKS and side_folder in SIDE_FOLDERS:
            self._add(self.masks.setdefault(path.stem.lower(), {}), (fold, SIDE_FOLDERS[side_folder]), path)


def _walk_files(folder):
    """Yields all files in a folder and those below it, but hidden ones; each folder once, behind links, too."""
    visited = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = pathlib.Path(parent).resolve()
        # A link may lead back to where the search came from.
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders.sort()
        # Archives packed on a Mac hold hidden twins such as `._JPCLN001.IMG`.
        paths = (pathlib.Path(parent, name) for name in sorted(names) if not name.startswith("."))
        yield from (path for path in paths if path.is_file())


def _wrong_length(path, length):
    return f"{path}: found {length} bytes, expected {BYTES}: {SIZE[0]} x {SIZE[1]} pixels of 16 bits"
