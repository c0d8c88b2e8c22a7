"""JSRT/SCR: the JSRT data base's radiographs with the SCR data base's masks, in whatever folders they lie."""

import dataclasses
import os
import pathlib

import numpy as np

from crass_tf.files import InputError
from crass_tf.formats.content import read_bytes
from crass_tf.radiograph import GreyScale
from crass_tf.sources.source import Example, Finding, Source, size_mismatch
from crass_tf.sources.spacing import SpacingRule

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


def open_jsrt(manual_dir):
    """Lists the radiographs and masks of clavicles in `manual_dir`, which is searched to its full depth.

    Names, suffixes and the names of the folders count in any case. Each fold is a split.

    Raises:
        InputError: where there is no radiograph, or no mask of a clavicle.
    """
    listing = _list_files(pathlib.Path(manual_dir))
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


def read_img(path):
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


def repeat_pixels(path, mask, size):
    """Returns a mask `[h, w]` on the grid of `size` `(height, width)`: each pixel repeated, so nothing is lost.

    Raises:
        InputError: where `mask` is not of that size divided by a whole number; it names `path`.
    """
    factor = size[0] // mask.shape[0]
    if (mask.shape[0] * factor, mask.shape[1] * factor) != size:
        raise InputError(f"{size_mismatch(path, mask.shape, size)} or that divided by a whole number")
    return np.repeat(np.repeat(mask, factor, axis=0), factor, axis=1)


@dataclasses.dataclass
class JsrtListing:
    """What lies in a folder; findings are added as they turn up. Names are lower case here.

    Attributes:
        folder: the folder that was searched.
        images: `{name: path}`.
        masks: `{fold: {name: {side: path}}}`.
        elsewhere: masks of clavicles outside the folds.
        findings: the list of `Finding`.
    """

    folder: pathlib.Path
    images: dict = dataclasses.field(default_factory=dict)
    masks: dict = dataclasses.field(default_factory=lambda: {fold: {} for fold in FOLDS})
    elsewhere: list[pathlib.Path] = dataclasses.field(default_factory=list)
    findings: list[Finding] = dataclasses.field(default_factory=list)

    def add_image(self, path):
        """Adds a radiograph, after comparing its number of bytes."""
        self._add(self.images, path.stem.lower(), path)
        if (found := path.stat().st_size) != BYTES:
            self.note("unreadable", _wrong_length(path, found), image_ids=[path.stem])

    def add_mask(self, path):
        """Adds the mask of a clavicle to its fold, which its folders name."""
        fold, masks, side_folder = (part.lower() for part in ("", "", *path.absolute().parts)[-4:-1])
        if fold in self.masks and masks == MASKS:
            self._add(self.masks[fold].setdefault(path.stem.lower(), {}), SIDE_FOLDERS[side_folder], path)
        else:
            self.elsewhere.append(path)

    def splits(self):
        """Returns `{fold: [Example, ...]}` of what is whole: a radiograph, and both masks in one fold."""
        twice = self.masks["fold1"].keys() & self.masks["fold2"].keys()
        splits = {}
        for fold, found in self.masks.items():
            whole = [name for name in sorted(found) if self._has_sides(found[name]) and name not in twice]
            examples = sorted(self._example(name, found[name]) for name in whole if name in self.images)
            splits |= {fold: examples} if examples else {}
        return splits

    def note_left_out(self, splits):
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
        self._note_bare(sorted(self.images[name].stem for name in self.images.keys() - masks.keys()))
        count = sum(len(examples) for examples in splits.values())
        if count != RADIOGRAPH_COUNT:
            text = f"found {count} radiographs with masks; JSRT/SCR as published has {RADIOGRAPH_COUNT}"
            self.note("count", f"{self.folder}: {text}", False)

    def note(self, kind, text, stops=True, image_ids=()):
        """Adds a finding."""
        self.findings.append(Finding(kind, text, stops, tuple(image_ids)))

    def _add(self, files, key, path):
        if key in files:
            self.note("two files", f"{path}: found {files[key]} too, expected one file a name", image_ids=[path.stem])
        files.setdefault(key, path)

    def _has_sides(self, found):
        for side in SIDES:
            if side not in found:
                other = _a_mask(found)
                path = other.parent.with_name(f"{side} clavicle") / other.name
                text = f"{path}: file not found, expected because {other} is there"
                self.note("missing mask", text, image_ids=[path.stem])
        return len(found) == len(SIDES)

    def _example(self, name, found):
        path = self.images[name]
        return Example(path.stem, path, tuple(found[side] for side in SIDES))

    def _note_paths(self, kind, paths, text, stops=True):
        if paths:
            more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
            self.note(kind, f"{paths[0]}: {text}{more}", stops, dict.fromkeys(path.stem for path in paths))

    def _note_bare(self, names):
        if names:
            shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            are = "radiographs are" if len(names) > 1 else "radiograph is"
            self.note("no mask", f"{self.folder}: {len(names)} {are} without masks; left out: {shown}", False, names)


def _list_files(folder):
    """Returns the `JsrtListing` of a folder; InputError where it holds no radiograph or no mask."""
    if not folder.is_dir():
        raise InputError(f"{folder}: folder not found, expected a folder with {EXPECTED}")
    listing = JsrtListing(folder)
    for path in _files(folder):
        if path.suffix.lower() == ".img":
            listing.add_image(path)
        elif path.suffix.lower() == ".gif" and path.parent.name.lower() in SIDE_FOLDERS:
            listing.add_mask(path)
    if not listing.images:
        raise InputError(f"{folder}: found no *.IMG, expected {EXPECTED}")
    if not any(listing.masks.values()) and not listing.elsewhere:
        raise InputError(f"{folder}: found no masks of clavicles, expected {EXPECTED}")
    return listing


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


def _a_mask(found):
    return next(found[side] for side in SIDES if side in found)


def _wrong_length(path, found):
    return f"{path}: found {found} bytes, expected {BYTES}: {SIZE[0]} x {SIZE[1]} pixels of 16 bits"
