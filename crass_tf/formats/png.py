"""PNG files: checked part by part, since OpenCV fills what is missing with grey; the pixel spacing in pHYs."""

import struct
import zlib

import cv2
import numpy as np

from crass_tf.files import InputError, atomic_file
from crass_tf.formats import orientation
from crass_tf.formats.content import Header, check_size, read_bytes

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Bytes in the parts that are read here.
LENGTHS = {b"IHDR": 13, b"pHYs": 9, b"acTL": 8}
# Each takes a microsecond; the largest files, in parts of 8 KiB as is usual, have fewer than half as many.
MAX_CHUNKS = 2**17
# 72 and 96 dots per inch are what image editors write when they know nothing; they are no measurement.
SCREEN_PIXELS_PER_METRE = (2834, 2835, 3779, 3780)


def read_header(path):
    """Returns the `Header` of a PNG file; nothing is decoded."""
    data = read_bytes(path, 33)
    if not data.startswith(SIGNATURE):
        raise InputError(f"{path}: found no PNG file (it starts with {data[:8]!r}), expected one")
    if len(data) < 33:
        raise InputError(f"{path}: the PNG file is truncated after {len(data)} bytes; copy the file again")
    width, height, bits = struct.unpack(">IIB", data[16:25])
    check_size(path, width, height)
    return Header((height, width), np.uint16 if bits == 16 else np.uint8)


def check(path, data):
    """Raises InputError unless every chunk is whole; returns the spacing, or None, and the EXIF orientation, 1 to 8.

    OpenCV fills what is missing from a truncated file with grey and says nothing, hence the check.
    """
    spacing_mm, exif = None, b""
    for kind, body in _chunks(path, data):
        if len(body) != LENGTHS.get(kind, len(body)):
            found = f"found {len(body)} bytes in the PNG file's {kind!r} part"
            raise InputError(f"{path}: {found}, expected {LENGTHS[kind]}")
        if kind == b"IHDR":
            check_size(path, *struct.unpack(">II", body[:8]))
        if kind == b"pHYs":
            spacing_mm = _physical_spacing(body)
        if kind == b"eXIf":
            exif = bytes(body)
        if kind == b"acTL" and (pictures := struct.unpack(">I", body[:4])[0]) != 1:
            raise InputError(f"{path}: found an animation of {pictures} pictures in the PNG file, expected 1 picture")
    return spacing_mm, orientation.of_exif(exif)


def _chunks(path, data):
    """Yields `(kind, body)` of each chunk up to the last, once its checksum is known to be right."""
    data, position = memoryview(data), len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        length = int.from_bytes(data[position : position + 4], "big")
        start, position = position + 4, position + 12 + length
        if position > len(data):
            raise InputError(f"{path}: the PNG file is truncated after {len(data)} bytes; copy the file again")
        kind, body = bytes(data[start : start + 4]), data[start + 4 : position - 4]
        if zlib.crc32(data[start : position - 4]) != int.from_bytes(data[position - 4 : position], "big"):
            raise InputError(f"{path}: wrong checksum in the PNG file's {kind!r} part; copy the file again")
        yield kind, body
        if kind == b"IEND":
            return
    raise InputError(f"{path}: found more than {MAX_CHUNKS} parts in the PNG file, expected fewer")


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
        end = len(SIGNATURE) + 12 + 13
        data = data[:end] + _chunk(b"pHYs", physical) + data[end:]
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def _physical_spacing(body):
    """Returns `(row, column)` in millimetres from the body of a pHYs chunk, or None where it holds no measurement."""
    columns, rows, unit = struct.unpack(">IIB", body)
    if unit != 1 or not columns or not rows or (columns == rows and columns in SCREEN_PIXELS_PER_METRE):
        return None
    return 1000 / rows, 1000 / columns


def _chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
