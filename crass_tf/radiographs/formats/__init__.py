"""What image files hold: one module a format, and here what all of them share, and which of them reads a file."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import stat
from typing import Any

import numpy as np

from crass_tf.common.files import InputError
from crass_tf.common.types import PathLike, Spacing

EXPECTED = "PNG, JPEG, TIFF, GIF, DICOM or MetaImage"
# What is often found in an image's place, by its first bytes. Pillow would read some of these; but no radiograph
# comes as WebP or BMP unless a program between detector and user made it, and those write PNG as well.
FOREIGN = {
    b"%PDF": "a PDF document",
    b"PK\3\4": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"RIFF": "a WebP or other RIFF file",
    b"BM": "a BMP file",
    b"MM\0+": "a BigTIFF file in big-endian byte order",
    b"\xff\x4f\xff\x51": "a JPEG 2000 file",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 file",
    b"<": "an HTML, SVG or other XML file",
    b"ObjectType": "a MetaImage header without the suffix .mhd or .mha",
}
# Decoding is refused beyond this: the largest detectors have about 30 million pixels, and a model's result for twice
# as many has to fit into 1.5 GiB, too.
MAX_PIXELS = 64_000_000
# The longest side that OpenCV can warp.
MAX_SIDE = 32_766
# Largest file; a larger one holds mostly other content than MAX_PIXELS pixels.
MAX_BYTES = 400_000_000
# Bytes behind the pixels that are always passed over, as DICOM's part 5, 8.1.1, asks for. Otherwise as many as the
# pixels themselves are a second image, or values of more bytes than the header says.
MAX_SURPLUS = 4096


class TooLargeError(InputError):
    """A radiograph has more pixels than its reader allows: so many `pixels`."""

    def __init__(self, text: str, pixels: int) -> None:
        super().__init__(text)
        self.pixels = pixels


@dataclasses.dataclass(frozen=True, eq=False)
class Content:
    """What a file holds, or the beginning of it.

    Attributes:
        data: the bytes.
        path: where they come from, if that is known.
        max_pixels: a file that claims more is not decoded.
    """

    data: bytes
    path: pathlib.Path | None = None
    max_pixels: int = MAX_PIXELS

    @classmethod
    def of(cls, source: Any, max_pixels: int = MAX_PIXELS) -> Content:
        """Returns what a path, bytes, or a file opened for reading them, hold.

        Raises:
            InputError: where there is no such file, it is empty, gives text or too many bytes.
        """
        if isinstance(source, pathlib.Path):
            return cls(read_bytes(source), source, max_pixels)
        name = getattr(source, "name", None)
        path = pathlib.Path(name) if isinstance(name, str) and pathlib.Path(name).is_file() else None
        if hasattr(source, "read"):
            try:
                source = source.read(MAX_BYTES + 1)
            # It is closed, or opened for writing.
            except (OSError, ValueError) as error:
                raise InputError(f"{path or 'file'}: cannot be read ({error}), expected one opened as 'rb'") from None
        if not isinstance(source, (bytes, bytearray, memoryview)):
            raise InputError(f"{path or 'file'}: found {type(source).__name__}, expected a file opened as 'rb'")
        if len(source) > MAX_BYTES:
            raise InputError(f"{path or 'bytes'}: found more than {MAX_BYTES} bytes, expected at most as many")
        return cls(_check_not_empty(path or "bytes", bytes(source)), path, max_pixels)

    def __str__(self) -> str:
        return str(self.path or "bytes")

    def check_size(self, width: int, height: int) -> None:
        """Raises InputError where a header claims no pixels, or more than are decoded."""
        claim = f"{self}: the header claims {width} x {height} pixels"
        if not 0 < width * height <= MAX_PIXELS or max(width, height) > MAX_SIDE:
            raise InputError(f"{claim}, expected at most {MAX_PIXELS} in all and {MAX_SIDE} a side")
        if width * height > self.max_pixels:
            raise TooLargeError(f"{claim}, expected at most {self.max_pixels}", width * height)


def suffix(path: PathLike | Content) -> str:
    """Returns a path's suffix in lower case."""
    return pathlib.Path(str(path)).suffix.lower()


def is_surplus(surplus: int, expected: int) -> bool:
    """Returns whether so many bytes behind those `expected` mean nothing."""
    return 0 < surplus < max(expected, MAX_SURPLUS + 1)


def surplus_notes(surplus: int) -> tuple[str, ...]:
    """Returns the note on bytes that were passed over, if there are any."""
    return (f"{surplus} bytes behind the pixels were ignored",) if surplus else ()


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
    spacing_mm: Spacing | None = None
    bits: int | None = None
    mirrored: bool = False
    notes: tuple[str, ...] = ()


def read_bytes(path: PathLike, count: int = -1) -> bytes:
    """Returns the content of a file that has to be there and must not be empty, or its first `count` bytes."""
    path = pathlib.Path(path)
    try:
        status = path.stat()
        # A pipe or a device might never end.
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or device"
            raise InputError(f"{path}: cannot be opened, found {kind}, expected a file")
        if count < 0 and status.st_size > MAX_BYTES:
            raise InputError(f"{path}: found a file of {status.st_size} bytes, expected at most {MAX_BYTES}")
        with path.open("rb") as file:
            return _check_not_empty(path, file.read(count))
    except FileNotFoundError:
        raise InputError(f"{path}: file not found") from None
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be opened ({reason})") from None


def _check_not_empty(path, data):
    if not data:
        raise InputError(f"{path}: found an empty file of 0 bytes, expected an image")
    return data


def decode(content: Content) -> Decoded:
    """Returns what a PNG, JPEG, TIFF, GIF, DICOM or MetaImage file holds; the content decides which it is.

    Raises:
        InputError: where the file is truncated, damaged or no such image; the message names it.
        TooLargeError: where it has more than `content.max_pixels`.
    """
    # Late: the formats' modules import this one.
    from crass_tf.radiographs.formats import dicom, metaimage, raster

    # The DICOM mark is tested first: the bytes before it may look like a TIFF file.
    if content.data.startswith(*dicom.MARK):
        return dicom.read(content)
    if content.data.startswith(raster.SIGNATURES):
        return raster.read(content)
    if metaimage.is_header(content):
        return metaimage.read(content)
    if dicom.is_named_so(content):
        return dicom.read(content)
    for start, name in FOREIGN.items():
        if content.data.startswith(start):
            raise InputError(f"{content}: found {name}, expected a {EXPECTED} file")
    raise InputError(f"{content}: found no {EXPECTED} file (it starts with {content.data[:8]!r})")


def read_header(path: PathLike) -> Header:
    """Returns the `Header` of a PNG or MetaImage file; nothing is decoded.

    Raises:
        InputError: where the file is missing, empty or no such file, or claims an impossible size.
    """
    from crass_tf.radiographs.formats import metaimage, png

    content = Content(read_bytes(path, metaimage.MAX_HEADER), pathlib.Path(path))
    return metaimage.read_header(content) if metaimage.is_header(content) else png.read_header(content)


def data_files(path: PathLike) -> list[pathlib.Path]:
    """Returns the files that hold an image, of whatever format: `path`, and what a `.mhd` header points to."""
    from crass_tf.radiographs.formats import metaimage

    path = pathlib.Path(path)
    return [path, *metaimage.pixel_files(path)] if suffix(path) in metaimage.SUFFIXES else [path]


def data_status(path: PathLike) -> list[os.stat_result]:
    """Returns the status of each of `data_files`; none where one cannot be found."""
    try:
        return [file.stat() for file in data_files(path)]
    except (OSError, ValueError, KeyError):  # A MetaImage header may name no file, or one that cannot be.
        return []
