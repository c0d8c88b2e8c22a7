"""What all formats share: opening a file, what a header says, and how many pixels are too many."""

import dataclasses
import pathlib

from crass_tf.files import InputError

# Decoding is refused beyond this: the largest detectors have about 30 million pixels.
MAX_PIXELS = 200_000_000


@dataclasses.dataclass(frozen=True)
class Header:
    """What a file's header says of its pixels: `size` is `(height, width)`, `dtype` NumPy's."""

    size: tuple[int, int]
    dtype: type


def read_bytes(path, count=-1):
    """Returns the content of a file that has to be there and must not be empty, or its first `count` bytes."""
    path = pathlib.Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(count)
    except FileNotFoundError:
        raise InputError(f"{path}: file not found") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror})") from None
    if not data:
        raise InputError(f"{path}: found an empty file of 0 bytes, expected an image")
    return data


def check_size(path, width, height):
    """Raises InputError where a header claims no pixels, or more than are decoded."""
    if not 0 < width * height <= MAX_PIXELS:
        raise InputError(f"{path}: the header claims {width} x {height} pixels, expected at most {MAX_PIXELS} in all")
