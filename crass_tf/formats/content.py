"""What all formats share: opening a file, what a header says, what comes out, and how much is too much."""

import contextvars
import dataclasses
import pathlib
import stat

import numpy as np

from crass_tf.files import InputError
from crass_tf.spacing import RANGE, is_plausible

# Decoding is refused beyond this: the largest detectors have about 30 million pixels, and a model's result for twice
# as many has to fit into 1.5 GiB, too.
MAX_PIXELS = 64_000_000
# OpenCV warps no longer side.
MAX_SIDE = 32_766
# No file of so many pixels is larger, unless most of it is something else.
MAX_BYTES = 400_000_000
# Called with the number of a file's pixels before they are decoded: threads that share memory wait there for theirs.
before_decoding = contextvars.ContextVar("before_decoding", default=lambda pixels: None)


@dataclasses.dataclass(frozen=True)
class Header:
    """What a file's header says of its pixels: `size` is `(height, width)`, `dtype` NumPy's."""

    size: tuple[int, int]
    dtype: type


@dataclasses.dataclass(frozen=True, eq=False)
class Decoded:
    """What a file holds.

    Attributes:
        pixels: stored grey values `[H, W]`, or `[H, W, channels]` (blue, green, red, alpha).
        spacing_mm: `(row, column)` in millimetres, or None where the file has no measurement.
        bits: bit depth of the grey values where the file states it, else None.
        mirrored: whether the file says that image left is the patient's left.
        notes: what was done to the pixels, or has to be known of the spacing, one line each.
    """

    pixels: np.ndarray
    spacing_mm: tuple[float, float] | None = None
    bits: int | None = None
    mirrored: bool = False
    notes: tuple[str, ...] = ()


def with_plausible_spacing(decoded):
    """Returns a `Decoded` without a spacing that there cannot be, and with a note of it: no mask depends on it."""
    if decoded.spacing_mm is None or is_plausible(decoded.spacing_mm):
        return decoded
    row_mm, column_mm = decoded.spacing_mm
    note = f"the file's pixel spacing of {row_mm:g} x {column_mm:g} mm was ignored, expected lengths {RANGE}"
    return dataclasses.replace(decoded, spacing_mm=None, notes=(*decoded.notes, note))


def read_bytes(path, count=-1):
    """Returns the content of a file that has to be there and must not be empty, or its first `count` bytes."""
    path = pathlib.Path(path)
    try:
        _check_file(path, path.stat(), count)
        with path.open("rb") as file:
            data = file.read(count)
    except FileNotFoundError:
        raise InputError(f"{path}: file not found") from None
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be opened ({reason})") from None
    if not data:
        raise InputError(f"{path}: found an empty file of 0 bytes, expected an image")
    return data


def check_size(path, width, height):
    """Raises InputError where a header claims no pixels, or more than are decoded."""
    if not 0 < width * height <= MAX_PIXELS or max(width, height) > MAX_SIDE:
        expected = f"at most {MAX_PIXELS} in all and {MAX_SIDE} a side"
        raise InputError(f"{path}: the header claims {width} x {height} pixels, expected {expected}")
    before_decoding.get()(width * height)


def _check_file(path, status, count):
    """Raises InputError for what would never end, a pipe or a device, or not fit into memory."""
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or device"
        raise InputError(f"{path}: cannot be opened, found {kind}, expected a file")
    if count < 0 and status.st_size > MAX_BYTES:
        raise InputError(f"{path}: found a file of {status.st_size} bytes, expected at most {MAX_BYTES}")
