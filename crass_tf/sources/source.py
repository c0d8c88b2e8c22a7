"""What every form of a data set becomes before it is built: examples, findings, spacing and grey values."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from crass_tf.common.files import InputError
from crass_tf.common.parallel import ordered_map
from crass_tf.common.types import PathLike, Spacing
from crass_tf.radiographs.formats import data_files, read_bytes, read_header
from crass_tf.radiographs.radiograph import GreyScale, read_grey, read_mask


@dataclasses.dataclass(frozen=True, order=True)
class Example:
    """One radiograph: `image_id` is its name, `mask_paths` hold its clavicles: no file, one, or one a side."""

    image_id: str
    image_path: pathlib.Path
    mask_paths: tuple[pathlib.Path, ...] = ()


# A finding stops a build; or it spoils one, which goes on although something is wrong; or it only says what is unusual.
STOPS, SPOILS, REMARK = "stops", "spoils", "remark"


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something about a folder that a curator would want to know.

    Attributes:
        kind: a few words for tables and programs, such as `missing mask`.
        severity: `STOPS`, `SPOILS` or `REMARK`.
        text: one line that names the files, what was found and what was expected.
        image_ids: the names of the radiographs that are concerned, where the text is about some of many.
        files: the files that the text names.
    """

    kind: str
    severity: str
    text: str
    image_ids: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Findings(list[Finding]):
    """What was noticed about a folder, in order."""

    def note(self, kind: str, text: str, severity: str = STOPS, image_ids: Sequence[str] = ()) -> None:
        """Adds a finding, whose text begins with the file concerned."""
        self.append(Finding(kind, severity, text, tuple(image_ids), (named_file(text),)))

    def note_names(self, kind: str, folder: pathlib.Path, names: Iterable[str], text: str, severity: str) -> None:
        """Adds a finding on radiographs, if there are any: their number, `text`, and the first names."""
        if names := sorted(names):
            shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            are = "radiographs are" if len(names) > 1 else "radiograph is"
            self.note(kind, f"{folder}: {len(names)} {are} {text}: {shown}", severity, names)


def named_file(text: str) -> str:
    """Returns the file that a message names: all of them begin with it."""
    return text.split(": ", 1)[0]


def fit_mask(path: PathLike, mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns a mask of its radiograph's size `(height, width)`; InputError for another one."""
    if mask.shape != size:
        raise InputError(size_mismatch(path, mask.shape, size))
    return mask


def size_mismatch(path: PathLike, size: tuple[int, int], expected: tuple[int, int]) -> str:
    """Returns the line on a mask of another size than its radiograph's."""
    return (
        f"{path}: found a mask of {size[0]} x {size[1]} pixels (rows x columns), "
        f"expected its radiograph's {expected[0]} x {expected[1]}"
    )


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set as it lies on the disk, listed but not decoded.

    Attributes:
        folder: where it lies.
        form: what it was recognised as.
        splits: `{split: [Example, ...]}` of the radiographs with masks, sorted by `image_id`.
        unlabelled: the radiographs without masks.
        split_origin: where the splits come from, for the record.
        fallback_mm: the spacing `(row, column)` where a file's header says nothing; None where it is unknown then.
        findings: what was noticed while listing.
        fixed_scale: the `GreyScale` of formats that define theirs; None to find it from the values.
        read_image: function of a path to `(stored grey values [H, W], spacing_mm or None)`.
        fit_mask: function of a mask's path, the mask `[h, w]` and its radiograph's `(height, width)` to the mask on the
            radiograph's grid; InputError where it does not fit.
    """

    folder: pathlib.Path
    form: str
    splits: dict[str, list[Example]]
    unlabelled: list[Example] = dataclasses.field(default_factory=list)
    split_origin: str = ""
    fallback_mm: Spacing | None = None
    findings: Findings = dataclasses.field(default_factory=Findings)
    fixed_scale: GreyScale | None = None
    read_image: Callable = read_grey
    fit_mask: Callable = fit_mask

    @property
    def labelled(self) -> list[Example]:
        """The examples of all splits."""
        return [example for examples in self.splits.values() for example in examples]

    @property
    def examples(self) -> list[Example]:
        """All examples, those without masks included."""
        return self.labelled + self.unlabelled

    @property
    def remarks(self) -> list[str]:
        """Lines on what is unusual, but no error."""
        return [finding.text for finding in self.findings if finding.severity != STOPS]

    def checked(self) -> Source:
        """Returns the source itself; raises InputError with the first finding that stops a build."""
        for finding in self.findings:
            if finding.severity == STOPS:
                raise InputError(finding.text)
        return self

    @functools.cached_property
    def _survey(self) -> tuple[dict[pathlib.Path, bytes], GreyScale]:
        """Digests by path, and the scale of all but unsigned 8-bit radiographs: one pass over all files."""
        paths = dict.fromkeys(path for example in self.examples for path in (example.image_path, *example.mask_paths))
        images = {example.image_path for example in self.examples}

        def look(path):
            digest = hashlib.sha256(b"".join(hashlib.sha256(read_bytes(part)).digest() for part in data_files(path)))
            if self.fixed_scale or path not in images or read_header(path).dtype == np.uint8:
                return digest.digest(), ()
            pixels, _ = self.read_image(path)
            return digest.digest(), (int(pixels.min()), int(pixels.max()))

        looks = dict(zip(paths, ordered_map(look, paths)))
        values = [value for _, ends in looks.values() for value in ends] or [0, 255]
        scale = self.fixed_scale or GreyScale.holding(min(values), max(values))
        return {path: digest for path, (digest, _) in looks.items()}, scale

    def grey_scale(self) -> GreyScale:
        """Returns the one `GreyScale` of all radiographs; decodes those of more than 8 bits."""
        return self.fixed_scale or self._survey[1]

    def fingerprint(self, spacing_mm: Spacing | None = None) -> str:
        """Returns a digest of all that the data set is made from: names, splits, file contents, spacing asked for."""
        digest = hashlib.sha256(repr((spacing_mm, self.fallback_mm, self.fixed_scale)).encode())
        for split, examples in [*self.splits.items(), ("unlabelled", self.unlabelled)]:
            for example in examples:
                digest.update(f"\n{split} {example.image_id} ".encode())
                for path in (example.image_path, *example.mask_paths):
                    digest.update(self._survey[0][path])
        return digest.hexdigest()

    def read(self, example: Example) -> tuple[np.ndarray, Spacing | None, list[np.ndarray], list[int]]:
        """Reads one of the examples.

        Returns:
            `(pixels, spacing_mm, masks, mask_values)`: stored grey values `[H, W]`, 8 or 16 bits; the header's
            `(row, column)` or None; one uint8 `[H, W]` of 0 and 1 for each of `mask_paths`; and the sorted values that
            the mask files held.

        Raises:
            InputError: where a file cannot be read, or a mask does not fit its radiograph.
        """
        pixels, spacing_mm = self.read_image(example.image_path)
        read = [read_mask(path) for path in example.mask_paths]
        masks = [self.fit_mask(path, mask, pixels.shape) for path, (mask, _) in zip(example.mask_paths, read)]
        return pixels, spacing_mm, masks, sorted({value for _, values in read for value in values})
