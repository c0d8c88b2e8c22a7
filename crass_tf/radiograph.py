"""Radiographs and masks as they come in: readers, pixel spacing, and the one rule for grey values."""

import dataclasses
import pathlib
import struct
import zlib

import cv2
import numpy as np

from crass_tf.files import InputError, atomic_file

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
# Bytes in the parts that are read here.
PNG_LENGTHS = {b"IHDR": 13, b"pHYs": 9}
# The markers of the part that holds the size; three of that range mean other things.
JPEG_FRAMES = set(range(0xFFC0, 0xFFD0)) - {0xFFC4, 0xFFC8, 0xFFCC}
# Decoding is refused beyond this: the largest detectors have about 30 million pixels.
MAX_PIXELS = 200_000_000
GREY_BITS = (8, 10, 12, 14, 16)
# 72 and 96 dots per inch are what image editors write when they know nothing; they are no measurement.
SCREEN_PIXELS_PER_METRE = (2834, 2835, 3779, 3780)


@dataclasses.dataclass(frozen=True, eq=False)
class Radiograph:
    """A chest radiograph.

    Attributes:
        image: uint8 `[H, W]`, grey values from 0 to 255, dense tissue bright.
        spacing_mm: pixel spacing `(row, column)` in millimetres, or None where unknown.
        source: where the pixels came from, for messages and reports.
    """

    image: np.ndarray
    spacing_mm: tuple[float, float] | None = None
    source: str = "array"

    def __post_init__(self):
        if self.image.dtype != np.uint8 or self.image.ndim != 2:
            raise InputError(
                f"{self.source}: found {self.image.dtype} of shape {self.image.shape}, expected uint8 [H, W]"
            )


def to_grey8(pixels):
    """Maps stored grey values to uint8 by the package's one rule.

    8-bit values stay as they are. 16-bit values are divided by the full scale of the smallest usual bit depth
    (8, 10, 12, 14, 16) that holds the largest value: the same detector gives the same scale for every radiograph,
    so grey values stay comparable between images. Colours become luminance; an alpha channel is ignored.

    Args:
        pixels: uint8 or uint16, `[H, W]`, `[H, W, 1]`, `[H, W, 3]` or `[H, W, 4]` (blue, green, red).

    Returns:
        uint8 `[H, W]`.

    Raises:
        InputError: for another dtype or shape.
    """
    if not pixels.size:
        raise InputError(f"found no pixels, shape {pixels.shape}")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(f"found {pixels.dtype} pixels, expected 8 or 16 bits, unsigned")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim == 3 and pixels.shape[2] in (3, 4):
        pixels = cv2.cvtColor(pixels[:, :, :3], cv2.COLOR_BGR2GRAY)
    if pixels.ndim != 2:
        raise InputError(f"found pixels of shape {pixels.shape}, expected [H, W] or [H, W, channels]")
    if pixels.dtype == np.uint8:
        return pixels
    full_scale = next(2**bits - 1 for bits in GREY_BITS if pixels.max() < 2**bits)
    return np.round(pixels * np.float32(255 / full_scale)).astype(np.uint8)


def from_array(pixels, spacing_mm=None, source="array"):
    """Returns the `Radiograph` of an array of grey values.

    Args:
        pixels: uint8 or uint16 as in `to_grey8`, or floats from 0 to 255, `[H, W]` or `[H, W, 1]`.
        spacing_mm: `(row, column)` or None.
        source: a name for messages.
    """
    pixels = np.asarray(pixels)
    if np.issubdtype(pixels.dtype, np.floating) and pixels.size:
        if not np.isfinite(pixels).all() or pixels.min() < 0 or pixels.max() > 255:
            raise InputError(f"{source}: found float grey values outside 0 to 255, expected 0 to 255")
        pixels = np.round(pixels).astype(np.uint8)
    try:
        image = to_grey8(pixels)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    return Radiograph(image, spacing_mm, source)


def read_radiograph(path, spacing_mm=None):
    """Reads a PNG or JPEG file as a `Radiograph`.

    Args:
        path: the file.
        spacing_mm: `(row, column)`; where given it outranks the file's header.

    Raises:
        InputError: where the file is missing, empty, truncated, damaged or no such image; the message names it.
    """
    pixels, header_spacing_mm = _decode(path)
    return from_array(pixels, spacing_mm or header_spacing_mm, str(path))


def read_mask(path):
    """Reads a PNG mask: any value above 0 is foreground.

    Returns:
        `(mask, values)`: uint8 `[H, W]` of 0 and 1, and the sorted list of values that the file held.

    Raises:
        InputError: as `read_radiograph`.
    """
    pixels, _ = _decode(path)
    if pixels.ndim == 3:
        pixels = pixels[:, :, :3].max(axis=2)
    return (pixels > 0).astype(np.uint8), [int(value) for value in np.unique(pixels)]


def read_png_size(path):
    """Returns the size `(height, width)` that a PNG file's header gives; nothing is decoded.

    Raises:
        InputError: where the file is missing, empty or no PNG file, or claims an impossible size.
    """
    data = read_bytes(path, 33)
    if not data.startswith(PNG_SIGNATURE):
        raise InputError(f"{path}: found no PNG file (it starts with {data[:8]!r}), expected one")
    if len(data) < 33:
        raise InputError(f"{path}: the PNG file is truncated after {len(data)} bytes; copy the file again")
    width, height = struct.unpack(">II", data[16:24])
    _check_size(path, width, height)
    return height, width


def write_png(path, image, spacing_mm=None):
    """Writes uint8 `[H, W]` or `[H, W, 3]` (blue, green, red) to a PNG file, whole or not at all.

    With `spacing_mm` (row, column) the file gets a pHYs chunk, rounded to whole pixels per metre.
    """
    try:
        data = cv2.imencode(".png", image)[1].tobytes()
    except cv2.error:
        raise InputError(f"{path}: found an image of shape {image.shape} that cannot be written as PNG") from None
    if spacing_mm is not None:
        row_mm, column_mm = spacing_mm
        physical = struct.pack(">IIB", round(1000 / column_mm), round(1000 / row_mm), 1)
        # pHYs has to stand before the pixel data; directly behind the header is always right.
        end = len(PNG_SIGNATURE) + 12 + 13
        data = data[:end] + _png_chunk(b"pHYs", physical) + data[end:]
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def _decode(path):
    """Returns `(pixels, spacing_mm or None)` of a PNG or JPEG file."""
    data = read_bytes(path)
    if data.startswith(PNG_SIGNATURE):
        spacing_mm = _check_png(path, data)
    elif data.startswith(JPEG_SIGNATURE):
        spacing_mm = None
        _check_jpeg(path, data)
    else:
        raise InputError(f"{path}: found no PNG or JPEG file (it starts with {data[:8]!r})")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise InputError(f"{path}: the image cannot be decoded; copy the file again")
    return pixels, spacing_mm


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


def _check_png(path, data):
    """Raises InputError unless every chunk is whole; returns the spacing of the pHYs chunk, or None.

    OpenCV fills what is missing from a truncated file with grey and says nothing, hence the check.
    """
    position, spacing_mm, kind = len(PNG_SIGNATURE), None, b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise InputError(f"{path}: the PNG file is truncated after {len(data)} bytes; copy the file again")
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        body, position = data[position + 8 : position + 8 + length], position + 12 + length
        if position > len(data):
            raise InputError(f"{path}: the PNG file is truncated after {len(data)} bytes; copy the file again")
        if zlib.crc32(kind + body) != struct.unpack(">I", data[position - 4 : position])[0]:
            raise InputError(f"{path}: wrong checksum in the PNG file's {kind!r} part; copy the file again")
        if length != PNG_LENGTHS.get(kind, length):
            raise InputError(
                f"{path}: found {length} bytes in the PNG file's {kind!r} part, expected {PNG_LENGTHS[kind]}"
            )
        if kind == b"IHDR":
            _check_size(path, *struct.unpack(">II", body[:8]))
        if kind == b"pHYs":
            spacing_mm = _physical_spacing(body)
    return spacing_mm


def _check_jpeg(path, data):
    """Raises InputError where the end is missing or the header claims more pixels than are decoded."""
    if b"\xff\xd9" not in data[-64:]:
        raise InputError(f"{path}: the JPEG file is truncated, expected its end marker; copy the file again")
    position = len(JPEG_SIGNATURE) - 1
    while position + 9 <= len(data):
        marker, length = struct.unpack(">HH", data[position : position + 4])
        if marker in JPEG_FRAMES:
            height, width = struct.unpack(">HH", data[position + 5 : position + 9])
            _check_size(path, width, height)
            return
        position += 2 + length


def _check_size(path, width, height):
    if not 0 < width * height <= MAX_PIXELS:
        raise InputError(f"{path}: the header claims {width} x {height} pixels, expected at most {MAX_PIXELS} in all")


def _physical_spacing(body):
    """Returns `(row, column)` in millimetres from the body of a pHYs chunk, or None where it holds no measurement."""
    columns, rows, unit = struct.unpack(">IIB", body)
    if unit != 1 or not columns or not rows or (columns == rows and columns in SCREEN_PIXELS_PER_METRE):
        return None
    return 1000 / rows, 1000 / columns


def _png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
