"""JSRT/SCR: the JSRT data base's radiographs with the SCR data base's masks, in whatever folders they lie."""

import os
import pathlib

import numpy as np

from crass_tf.common.files import InputError, local_path
from crass_tf.common.types import PathLike
from crass_tf.radiographs.formats import read_bytes
from crass_tf.radiographs.radiograph import GreyScale
from crass_tf.sources.source import Example, Findings, Source, size_mismatch
from crass_tf.sources.spacing_rule import SpacingRule

FORM = "the JSRT and SCR data bases"
RADIOGRAPH_COUNT = 247
# Radiographs are bare pixels: what a header would say is documented instead.
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
        FORM,
        splits,
        split_origin=f"the SCR data base's folders {' and '.join(FOLDS)}",
        spacing=SpacingRule(fallback_mm=SPACING_MM, fallback_source="the JSRT data base's documented value"),
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
        folder: the folder that was searched.
        images: `{name: path}`.
        masks: `{fold: {name: {side: path}}}`.
        elsewhere: masks of clavicles outside the folds.
        findings: what was noticed.

    Raises:
        InputError: where there is no radiograph, or no mask of a clavicle.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.findings, self.elsewhere = folder, Findings(), []
        self.images: dict[str, pathlib.Path] = {}
        self.masks: dict[str, dict[str, dict[str, pathlib.Path]]] = {fold: {} for fold in FOLDS}
        if not folder.is_dir():
            raise InputError(f"{folder}: folder not found, expected a folder with {EXPECTED}")
        for path in _files(folder):
            if path.suffix.lower() == ".img":
                self._add(self.images, path.stem.lower(), path)
                if (size := path.stat().st_size) != BYTES:
                    self.findings.note("unreadable", _wrong_length(path, size), image_ids=[path.stem])
            elif path.suffix.lower() == ".gif" and path.parent.name.lower() in SIDE_FOLDERS:
                self._add_mask(path)
        if not self.images:
            raise InputError(f"{folder}: found no *.IMG, expected {EXPECTED}")
        if not any(self.masks.values()) and not self.elsewhere:
            raise InputError(f"{folder}: found no masks of clavicles, expected {EXPECTED}")

    def splits(self) -> dict[str, list[Example]]:
        """Returns `{fold: [Example, ...]}` of what is whole: a radiograph, and both masks in one fold."""
        twice = self.masks["fold1"].keys() & self.masks["fold2"].keys()
        splits = {}
        for fold, masks in self.masks.items():
            whole = [name for name in sorted(masks) if self._has_sides(masks[name]) and name not in twice]
            examples = sorted(self._example(name, masks[name]) for name in whole if name in self.images)
            splits |= {fold: examples} if examples else {}
        return splits

    def note_left_out(self, splits: dict[str, list[Example]]) -> None:
        """Notes what did not become an example."""
        first, second = self.masks.values()
        self._note_paths(
            "in both folds",
            [_a_mask(second[name]) for name in sorted(first.keys() & second.keys())],
            f"found a mask of a radiograph that {FOLDS[0]} has too, expected each radiograph in one fold",
        )
        masks = first | second
        self._note_paths(
            "mask without image",
            [_a_mask(masks[name]) for name in sorted(masks.keys() - self.images.keys())],
            f"found a mask of no radiograph, expected an .IMG of that name in {self.folder}",
        )
        lost = [path for path in self.elsewhere if path.stem.lower() not in masks]
        text = f"found a mask outside {' and '.join(f'{fold}/{MASKS}' for fold in FOLDS)}"
        self._note_paths("in no fold", lost, f"{text}, expected each in one of them")
        self._note_paths("further masks", sorted({*self.elsewhere} - {*lost}), f"{text}; left out", False)
        bare = [self.images[name].stem for name in self.images.keys() - masks.keys()]
        self.findings.note_names("no mask", self.folder, bare, "without masks; left out")
        count = sum(len(examples) for examples in splits.values())
        if count != RADIOGRAPH_COUNT:
            text = f"found {count} radiographs with masks; JSRT/SCR as published has {RADIOGRAPH_COUNT}"
            self.findings.note("count", f"{self.folder}: {text}", False)

    def _add(self, files, key, path):
        if (first := files.setdefault(key, path)) is not path:
            text = f"{path}: found {first} too, expected one file a name"
            self.findings.note("two files", text, image_ids=[path.stem])

    def _add_mask(self, path):
        """Adds the mask of a clavicle to its fold, which its folders name."""
        fold, masks, side_folder = (part.lower() for part in ("", "", *path.absolute().parts)[-4:-1])
        if fold in self.masks and masks == MASKS:
            self._add(self.masks[fold].setdefault(path.stem.lower(), {}), SIDE_FOLDERS[side_folder], path)
        else:
            self.elsewhere.append(path)

    def _has_sides(self, masks):
        for side in SIDES:
            if side not in masks:
                other = _a_mask(masks)
                path = other.parent.with_name(f"{side} clavicle") / other.name
                text = f"{path}: file not found, expected because {other} is there"
                self.findings.note("missing mask", text, image_ids=[path.stem])
        return len(masks) == len(SIDES)

    def _example(self, name, masks):
        path = self.images[name]
        return Example(path.stem, path, tuple(masks[side] for side in SIDES))

    def _note_paths(self, kind, paths, text, stops=True):
        if paths:
            more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
            image_ids = dict.fromkeys(path.stem for path in paths)
            self.findings.note(kind, f"{paths[0]}: {text}{more}", stops, [*image_ids])


def _files(folder):
    """Yields all files in a folder and those below it, but hidden ones; each folder once, behind links, too."""
    seen = set()
    for found, folders, names in os.walk(folder, followlinks=True):
        real = pathlib.Path(found).resolve()
        # A link may lead back to where the search came from.
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        # Archives packed on a Mac hold hidden twins such as `._JPCLN001.IMG`.
        paths = (pathlib.Path(found, name) for name in sorted(names) if not name.startswith("."))
        yield from (path for path in paths if path.is_file())


def _a_mask(masks):
    return next(masks[side] for side in SIDES if side in masks)


def _wrong_length(path, found):
    return f"{path}: found {found} bytes, expected {BYTES}: {SIZE[0]} x {SIZE[1]} pixels of 16 bits"
