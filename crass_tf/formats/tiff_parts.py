"""The strips or tiles that a TIFF file's pixels lie in: whether all are there, and each holds as much as it should.

Where one unpacks to too little OpenCV fills up what is missing, and says so of 16-bit values only.
"""

import itertools
import struct

import cv2
import numpy as np

from crass_tf.files import InputError
from crass_tf.formats import jpeg

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, SAMPLES = 256, 257, 258, 259, 262, 266, 277
OFFSETS, STRIP_ROWS, COUNTS, PLANES, TILE_WIDTH, TILE_HEIGHT = 273, 278, 279, 284, 322, 323
TILE_OFFSETS, TILE_COUNTS = 324, 325
TAGS = {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, SAMPLES, OFFSETS, STRIP_ROWS, COUNTS, PLANES}
TAGS |= {TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS}
# None, LZW, JPEG, deflate, PackBits and deflate's older number.
NONE, JPEG, PACKED = 1, 7, (5, 8, 32773, 32946)
YCBCR = 6


def check(path, data, tags):
    """Raises InputError where parts of the picture are missing, lie behind the end of the file or end too soon."""
    offsets, counts = _places(tags)
    if not offsets or len(offsets) != len(counts):
        raise InputError(f"{path}: found no pixels in the TIFF file, expected strips or tiles")
    if max(offset + count for offset, count in zip(offsets, counts)) > len(data):
        raise InputError(f"{path}: the TIFF file is truncated after {len(data)} bytes; copy the file again")
    number, sizes = _sizes(tags)
    if len(offsets) < number:
        raise InputError(f"{path}: found {len(offsets)} strips or tiles in the TIFF file, expected {number}")
    data = memoryview(data)
    for offset, count, size in zip(offsets, counts, sizes):
        if not _is_whole(data[offset : offset + count], tags, *size):
            raise InputError(f"{path}: the pixels in the TIFF file end too soon; copy the file again")


def first(tags, tag, default):
    """Returns the first of a tag's values, or the default where it has none."""
    values = tags.get(tag) or (default,)
    return values[0]


def _places(tags):
    """Returns where the parts lie, and how many bytes each has."""
    pairs = ((OFFSETS, COUNTS), (TILE_OFFSETS, TILE_COUNTS))
    return next(((tags[a], tags[b]) for a, b in pairs if tags.get(a) and tags.get(b)), ((), ()))


def _sizes(tags):
    """Returns the number of parts, and `(bytes in a row, rows)` of each."""
    width, height, samples = tags[WIDTH][0], tags[HEIGHT][0], first(tags, SAMPLES, 1)
    planes = samples if first(tags, PLANES, 1) == 2 else 1
    bits = first(tags, BITS, 1) * samples // planes
    if tags.get(TILE_WIDTH) and tags.get(TILE_HEIGHT):
        tile_width, rows = tags[TILE_WIDTH][0], tags[TILE_HEIGHT][0]
        number = planes * _ceil(width, tile_width) * _ceil(height, rows)
        return number, itertools.repeat((_ceil(tile_width * bits, 8), rows))
    step = min(first(tags, STRIP_ROWS, 0) or height, height)
    strips = [(_ceil(width * bits, 8), min(step, height - top)) for top in range(0, height, step)]
    return planes * len(strips), planes * strips


def _ceil(number, divisor):
    return -(-number // divisor)


def _is_whole(part, tags, row_bytes, rows):
    """Returns whether a part ends no sooner than it should, as far as that can be told: of fax it cannot."""
    compression = first(tags, COMPRESSION, 1)
    if compression == JPEG:
        return jpeg.is_whole(part)
    # How many bytes the pixels of YCbCr take depends on more than is read here.
    if first(tags, PHOTOMETRIC, 1) == YCBCR:
        return True
    if compression == NONE:
        return len(part) >= row_bytes * rows
    if compression in PACKED and first(tags, BITS, 1) != 16:
        return _unpacks(part, compression, first(tags, FILL_ORDER, 1), row_bytes, rows)
    return True


def _unpacks(part, compression, fill_order, row_bytes, rows):
    """Returns whether a packed part holds so many rows of so many bytes, by what OpenCV says of them as 16-bit values.

    Of rows of an odd number of bytes the last byte of each is left out.
    """
    width, start = row_bytes // 2, 8 + 2 + 10 * 12 + 4
    tags = {WIDTH: width, HEIGHT: rows, BITS: 16, COMPRESSION: compression, PHOTOMETRIC: 1, FILL_ORDER: fill_order}
    tags |= {OFFSETS: start, SAMPLES: 1, STRIP_ROWS: rows, COUNTS: len(part)}
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    file = b"".join([b"II*\0", struct.pack("<IH", 8, len(tags)), table, bytes(4), part])
    return not width or cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED) is not None
