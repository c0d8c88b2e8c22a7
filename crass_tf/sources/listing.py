"""From files to examples: pairs, splits and what is wrong with them. Nothing is decoded; no flaw ends the search."""

import collections
import dataclasses
import json
import math
import pathlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from crass_tf.common.files import InputError, read_text
from crass_tf.common.types import PathLike, Spacing
from crass_tf.radiographs.formats import read_header
from crass_tf.radiographs.radiograph import check_spacing
from crass_tf.sources.source import REMARK, SPOILS, Example, Findings, size_mismatch

RADIOGRAPH_COUNT = 284
SPLIT_FILES = {"train": "train.txt", "validation": "val.txt"}
# Suffixes that a name in a split file may have.
NAME_SUFFIX = re.compile(r"\.(png|mhd|mha)$", re.IGNORECASE)
DERIVED = "sorted names, scikit-learn's train_test_split(test_size=0.2, random_state=0)"
SPACING_FILE = "spacing.json"
DOCUMENTED_SPACING_MM = (0.25, 0.25)
# Every radiograph of CRASS12 is larger than this; a folder with smaller ones was resized or holds something else.
DOCUMENTED_MIN_SIDE = 1500


@dataclasses.dataclass
class Listing:
    """What lies in a CRASS12 folder of either form; findings are added as they turn up.

    Attributes:
        folder: the folder `CRASS12`.
        image_folders: where its radiographs lie, for messages on missing ones.
        mask_folder: where its masks lie.
        suffix: of its files.
        images: `{name: path}`.
        masks: `{name: (path, ...)}`, several where each side has a file.
        findings: what was noticed.
    """

    folder: pathlib.Path
    image_folders: tuple[pathlib.Path, ...]
    mask_folder: pathlib.Path
    suffix: str
    images: dict[str, pathlib.Path] = dataclasses.field(default_factory=dict)
    masks: dict[str, tuple[pathlib.Path, ...]] = dataclasses.field(default_factory=dict)
    findings: Findings = dataclasses.field(default_factory=Findings)

    def splits(self) -> tuple[dict[str, list[Example]], str]:
        """Returns `({split: [Example, ...]}, where the split comes from)`."""
        if any((self.folder / name).exists() for name in SPLIT_FILES.values()):
            names, origin = self._from_files(), f"{self.folder.name}/{{{','.join(SPLIT_FILES.values())}}}"
        else:
            names, origin = self._list_derived()
        self._note_left_out(names)
        return {
            split: [example for name in sorted(set(names[split])) if (example := self._example(name, split))]
            for split in SPLIT_FILES
        }, origin

    def unlabelled(self) -> list[Example]:
        """Returns the examples without masks."""
        return [Example(name, path) for name, path in sorted(self.images.items()) if name not in self.masks]

    def fallback_mm(self, examples: Sequence[Example]) -> Spacing | None:
        """Returns the spacing where a radiograph's header says none, after comparing all sizes; None: unknown."""
        headers = [header for example in examples if (header := self._header(example))]
        path = self.folder / SPACING_FILE
        if path.exists():
            try:
                return read_spacing_file(path)
            except InputError as error:
                self.findings.note("spacing file", str(error))
        if headers and min(min(header.size) for header in headers) >= DOCUMENTED_MIN_SIDE:
            spacing = f"CRASS12's documented {DOCUMENTED_SPACING_MM[0]} mm is assumed where no header says another"
            text = f"{self.folder}: {spacing}, as all sides have {DOCUMENTED_MIN_SIDE} pixels or more"
            self.findings.note("assumed spacing", text, REMARK)
            return DOCUMENTED_SPACING_MM
        return None

    def _list_derived(self):
        """Returns the names of the one published split, which was drawn from all radiographs with masks."""
        names = sorted(set(self.images) & set(self.masks))
        if len(names) < 2:
            text = f"{self.folder}: found {len(names)} radiographs with masks, expected at least 2"
            self.findings.note("no examples", text)
            return {split: [] for split in SPLIT_FILES}, ""
        derived = derive_split(names)
        counts = " and ".join(f"{len(members)} for {split}" for split, members in derived.items())
        missing = " and ".join(SPLIT_FILES.values())
        self.findings.note("derived split", f"{self.folder}: found no {missing}; derived {counts}: {DERIVED}", REMARK)
        return derived, f"derived: {DERIVED}"

    def _from_files(self):
        names = {split: read_split_file(self.folder / name, self.findings.note) for split, name in SPLIT_FILES.items()}
        train, validation = names.values()
        train_file, validation_file = (self.folder / name for name in SPLIT_FILES.values())
        if train and len(validation) > len(train):
            problem = f"found {len(validation)} names, but {len(train)} in {train_file.name}"
            text = f"{validation_file}: {problem}, expected fewer; exchange the files if that is a slip"
            self.findings.note("larger validation", text, SPOILS)
        if both := sorted(set(train) & set(validation)):
            more = f" and {len(both) - 1} more ({', '.join(both[1:6])})" if len(both) > 1 else ""
            problem = f"found {both[0]}{more}, which {train_file} has too"
            text = f"{validation_file}: {problem}, expected each radiograph in one of them"
            self.findings.note("in both splits", text, image_ids=both)
        return names

    def _note_left_out(self, names):
        named = {name for members in names.values() for name in members}
        labelled = set(self.images) & set(self.masks)
        if len(labelled) != RADIOGRAPH_COUNT:
            text = f"found {len(labelled)} radiographs with masks; CRASS12 as published has {RADIOGRAPH_COUNT}"
            self.findings.note("count", f"{self.folder}: {text}", REMARK)
        left_out = f"left out, in neither {' nor '.join(SPLIT_FILES.values())}"
        self.findings.note_names("in no split", self.folder, labelled - named, left_out, SPOILS)
        bare = "without a mask; they become the config unlabelled"
        without = set(self.images) - set(self.masks) - named
        # Only the first folder is meant to have masks.
        masked = {name for name in without if self.images[name].parent == self.image_folders[0]}
        self.findings.note_names("no mask", self.folder, masked, bare, SPOILS)
        self.findings.note_names("unlabelled", self.folder, without - masked, bare, REMARK)
        for name in sorted(set(self.masks) - set(self.images) - named):
            text = f"{self.masks[name][0]}: found a mask of no radiograph; left out"
            self.findings.note("mask without image", text, SPOILS, [name])

    def _example(self, name, split):
        """Returns the example of that name; None, and a finding, where a file is missing."""
        for kind, folder, files in (
            ("missing image", self.image_folders[0], self.images),
            ("missing mask", self.mask_folder, self.masks),
        ):
            if name not in files:
                text = f"file not found, expected because {SPLIT_FILES[split]} names {name}"
                self.findings.note(kind, f"{folder / (name + self.suffix)}: {text}", image_ids=[name])
                return None
        return Example(name, self.images[name], self.masks[name])

    def _header(self, example):
        """Returns the radiograph's `Header`; None, and a finding, where a file has none or the masks do not fit."""
        try:
            header = read_header(example.image_path)
            for path in example.mask_paths:
                mask = read_header(path)
                if mask.size != header.size:
                    text = size_mismatch(path, mask.size, header.size)
                    self.findings.note("size mismatch", text, image_ids=[example.image_id])
        except InputError as error:
            self.findings.note("unreadable", str(error), image_ids=[example.image_id])
            return None
        return header


def files_by_name(folder: pathlib.Path, suffixes: Sequence[str], note: Callable[..., None]) -> dict[str, pathlib.Path]:
    """Returns `{stem: path}` of the files in `folder` with one of the lower-case `suffixes`; notes second ones."""
    files = {}
    for path in image_files(folder.iterdir, suffixes):
        first = files.setdefault(composed(path.stem), path)
        if first is not path:
            note("two files", f"{path}: found {first.name} beside it, expected one file a name")
    return files


def image_files(list_paths: Callable[[], Iterable[pathlib.Path]], suffixes: Sequence[str]) -> list[pathlib.Path]:
    """Returns those of `list_paths()`, sorted, that are files with one of the lower-case `suffixes`.

    Hidden files are left out: on foreign disks macOS puts its own `._NAME.PNG` beside each file.

    Raises:
        InputError: where the folder cannot be read.
    """
    try:
        return [
            path
            for path in sorted(list_paths())
            if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
        ]
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be opened ({error.strerror})") from None


def derive_split(names: Sequence[str]) -> dict[str, list[str]]:
    """Returns `{"train": names, "validation": names}` as the one public result on CRASS splits it.

    The sorted names, then scikit-learn's `train_test_split(test_size=0.2, random_state=0)`: 227 and 57 of 284.

    Args:
        names: two or more.
    """
    names = sorted(names)
    order = np.random.RandomState(0).permutation(len(names))
    held_out = math.ceil(0.2 * len(names))
    return {
        "train": sorted(names[i] for i in order[held_out:]),
        "validation": sorted(names[i] for i in order[:held_out]),
    }


def composed(name: str) -> str:
    """Returns a name with each accent in its letter: macOS writes them apart, and lists may differ from the files."""
    return unicodedata.normalize("NFC", name)


def read_split_file(path: pathlib.Path, note: Callable[..., None]) -> list[str]:
    """Returns the names in a split file: bare stems, file names, or paths of which the last part counts.

    `note`, a function of a kind and a line of text, is called with every flaw.
    """
    if not path.is_file():
        note("split file", f"{path}: file not found, expected text with the name of one radiograph a line")
        return []
    try:
        lines = [line.strip() for line in read_text(path).splitlines()]
    except InputError as error:
        note("split file", str(error))
        return []
    counts = collections.Counter()
    for number, line in enumerate(lines, start=1):
        parts = line.replace("\\", "/").split("/")
        # Not pathlib's stem: a bare name may have dots of its own.
        name = NAME_SUFFIX.sub("", composed(parts[-1]))
        place = f"in line {number}, {line!r}; expected the name of a radiograph"
        if ".." in parts:
            note("split file", f"{path}: found '..' {place}")
        elif line and name in ("", "."):
            note("split file", f"{path}: found no name {place}")
        elif line:
            counts[name] += 1
            if counts[name] == 2:
                note("split file", f"{path}: found {name} a second time in line {number}, expected each name once")
    if not counts:
        note("split file", f"{path}: found no name, expected the name of one radiograph a line")
    return list(counts)


def read_spacing_file(path: PathLike) -> Spacing:
    """Returns `(row, column)` from a file `{"spacing_mm": [row, column]}`."""
    expected = 'expected {"spacing_mm": [row, column]}'
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: found no JSON ({error}), {expected}") from None
    if not isinstance(content, dict) or "spacing_mm" not in content:
        raise InputError(f'{path}: found no "spacing_mm", {expected}')
    return check_spacing(content["spacing_mm"], f'{path}, "spacing_mm"')
