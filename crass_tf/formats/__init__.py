"""The formats of image files: stored pixels and pixel spacing in, whatever they mean as radiographs."""

import struct

import cv2
import numpy as np

from crass_tf.files import InputError
from crass_tf.formats import jpeg, metaimage, png
from crass_tf.formats.content import check_size, read_bytes

GIF_SIGNATURE = b"GIF8"


def decode(path):
    """Returns `(pixels, spacing_mm)` of a PNG, JPEG, GIF or MetaImage file.

    Returns:
        Stored pixels, `[H, W]` or `[H, W, channels]` (blue, green, red, alpha), and `(row, column)` in millimetres or
        None where the file has no measurement.

    Raises:
        InputError: where the file is missing, empty, truncated, damaged or no such image; the message names it.
    """
    if metaimage.is_header(path):
        return metaimage.read(path)
    data = read_bytes(path)
    spacing_mm = _check(path, data)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise InputError(f"{path}: the image cannot be decoded; copy the file again")
    return pixels, spacing_mm


def read_header(path):
    """Returns the `content.Header` of a PNG or MetaImage file; nothing is decoded.

    Raises:
        InputError: where the file is missing, empty or no such file, or claims an impossible size.
    """
    return metaimage.read_header(path) if metaimage.is_header(path) else png.read_header(path)


def _check(path, data):
    """Raises InputError unless `data` is a whole file of a known format; returns its spacing or None."""
    if data.startswith(png.SIGNATURE):
        return png.check(path, data)
    if data.startswith(jpeg.SIGNATURE):
        return jpeg.check(path, data)
    if data.startswith(GIF_SIGNATURE):
        return check_size(path, *struct.unpack("<HH", data[6:10].ljust(4, b"\0")))
    raise InputError(f"{path}: found no PNG, JPEG, GIF or MetaImage file (it starts with {data[:8]!r})")
