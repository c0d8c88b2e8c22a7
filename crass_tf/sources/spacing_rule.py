"""Which pixel spacing a radiograph of a data set gets."""

from __future__ import annotations

import dataclasses
import json

from crass_tf.common.files import InputError, read_text
from crass_tf.common.types import PathLike, Spacing
from crass_tf.radiographs.radiograph import check_spacing


@dataclasses.dataclass(frozen=True)
class SpacingRule:
    """Spacings are `(row, column)` in millimetres.

    Attributes:
        option_mm: what the user asked for; outranks everything. None where nothing was asked.
        fallback_mm: what holds where the file's header says nothing; None where it is unknown then.
        fallback_source: where `fallback_mm` comes from.
    """

    option_mm: Spacing | None = None
    fallback_mm: Spacing | None = None
    fallback_source: str = "unknown"

    @classmethod
    def asked(cls, spacing_mm: Spacing | None) -> SpacingRule:
        """Returns the rule where the user asked for `spacing_mm`; InputError for an impossible one."""
        return cls(option_mm=check_spacing(spacing_mm, "spacing_mm"))

    def resolve(self, header_mm: Spacing | None) -> tuple[Spacing | None, str]:
        """Returns `(spacing_mm or None, source)` for a radiograph whose header says `header_mm` (None: nothing)."""
        if self.option_mm is not None:
            return self.option_mm, "as asked for"
        if header_mm is not None:
            return header_mm, "file header"
        return self.fallback_mm, self.fallback_source


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
