"""PNG files: their header, and writing them with the pixel spacing."""

import struct
import zlib

import cv2
import numpy as np

from crass_tf.common.files import InputError, atomic_file
from crass_tf.common.types import PathLike, Spacing
from crass_tf.radiographs.formats import Content, Header

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Where the bits of a value stand.
BIT_DEPTH = 24


def read_header(content: Content) -> Header:
    """Returns the `Header` of a PNG file; nothing is decoded."""
    data = content.data[:33]
    if not data.startswith(SIGNATURE):
        raise InputError(f"{content}: found no PNG file (it starts with {data[:8]!r}), expected one")
    if len(data) < 33:
        raise InputError(f"{content}: the PNG file is truncated after {len(data)} bytes; copy the file again")
    width, height, bits = struct.unpack(">IIB", data[16:25])
    content.check_size(width, height)
    return Header((height, width), np.uint16 if bits == 16 else np.uint8)


def write_png(path: PathLike, image: np.ndarray, spacing_mm: Spacing | None = None) -> None:
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


def _chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
