"""What every form of a data set becomes before it is built: examples, findings, spacing and grey values."""

import dataclasses
import pathlib
import typing

from crass_tf.files import InputError
from crass_tf.radiograph import GreyScale, read_grey, read_mask
from crass_tf.sources.spacing import SpacingRule
from crass_tf.sources.survey import survey


@dataclasses.dataclass(frozen=True, order=True)
class Example:
    """One radiograph: `image_id` is its name, `mask_paths` hold its clavicles: no file, one, or one a side."""

    image_id: str
    image_path: pathlib.Path
    mask_paths: tuple[pathlib.Path, ...] = ()


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something about a folder that a curator would want to know.

    Attributes:
        kind: one word or two for tables and programs, such as `missing mask`.
        text: one line that names the file, what was found and what was expected.
        stops: whether the folder cannot be built because of it.
        image_ids: the names of the radiographs that are concerned, where the text is about some of many.
    """

    kind: str
    text: str
    stops: bool = True
    image_ids: tuple[str, ...] = ()


def fit_mask(path, mask, size):
    """Returns a mask of its radiograph's size `(height, width)`; InputError for another one."""
    if mask.shape != size:
        raise InputError(size_mismatch(path, mask.shape, size))
    return mask


def size_mismatch(path, found, expected):
    """Returns the line on a mask of another size than its radiograph's."""
    return (
        f"{path}: found a mask of {found[0]} x {found[1]} pixels (rows x columns), "
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
        spacing: the `SpacingRule` where the user asked for nothing.
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
    spacing: SpacingRule = SpacingRule()
    findings: list[Finding] = dataclasses.field(default_factory=list)
    fixed_scale: GreyScale | None = None
    read_image: typing.Callable = read_grey
    fit_mask: typing.Callable = fit_mask

    @property
    def labelled(self):
        """The examples of all splits."""
        return [example for examples in self.splits.values() for example in examples]

    @property
    def examples(self):
        """All examples, those without masks included."""
        return self.labelled + self.unlabelled

    @property
    def remarks(self):
        """Lines on what is unusual, but no error."""
        return [finding.text for finding in self.findings if not finding.stops]

    def checked(self):
        """Returns the source itself; raises InputError with the first finding that stops a build."""
        for finding in self.findings:
            if finding.stops:
                raise InputError(finding.text)
        return self

    def asked_spacing(self, spacing_mm):
        """Returns the `SpacingRule`: what the user asked for, `(row, column)`, outranks the source's own."""
        return self.spacing if spacing_mm is None else SpacingRule.asked(spacing_mm)

    def grey_scale(self):
        """Returns the one `GreyScale` of all radiographs; decodes those of more than 8 bits."""
        return self.fixed_scale or self._survey().grey_scale

    def fingerprint(self, rule):
        """Returns a digest of all that the data set is made from: names, splits, file contents, spacing."""
        return self._survey().fingerprint(self, rule)

    def read(self, example):
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

    def _survey(self):
        return survey(self.examples, None if self.fixed_scale else self.read_image)
