"""JPEG files: whether they are whole, how large they claim to be, and how the camera was held."""

import re
import struct

from crass_tf.files import InputError
from crass_tf.formats import orientation
from crass_tf.formats.content import check_size

SIGNATURES = (b"\xff\xd8\xff",)
# FF and what follows it where a part begins; any number of FF may stand before. Within compressed pixels an FF is
# followed by 0 or by a restart's mark, D0 to D7; in those of JPEG-LS by any byte below 80.
MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
START, END = 0xD8, 0xD9
# The markers of the part that holds the size, JPEG-LS' included; three of that range mean other things.
FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
EXIF_PART, EXIF_MARK = 0xE1, b"Exif\0\0"
# More than twice as many as the largest file has if its parts are as long as they can be.
MAX_PARTS = 2**14


def check(path, data):
    """Returns the EXIF orientation, 1 to 8.

    What follows the end of the image is passed over: telephones keep data of their own there.

    Raises:
        InputError: where the end is missing, or the header claims more pixels than are decoded or cannot be found.
    """
    exif, size, marker = b"", None, None
    for marker, body in _parts(data):
        if marker in FRAMES:
            size = size or _size(body)
        if marker == EXIF_PART and body.startswith(EXIF_MARK):
            exif = exif or body[len(EXIF_MARK) :]
    if marker != END:
        raise InputError(f"{path}: the JPEG file is truncated, expected its end marker; copy the file again")
    if size is None:
        raise InputError(f"{path}: the JPEG file is damaged, expected a header with a size; copy the file again")
    check_size(path, *size[::-1])
    return orientation.of_exif(exif)


def is_whole(data):
    """Returns whether JPEG data have their end."""
    return any(marker == END for marker, _ in _parts(data))


def frame_size(data):
    """Returns the `(height, width)` of JPEG data of any process, or None where no header is found."""
    return next((_size(body) for marker, body in _parts(data) if marker in FRAMES), None)


def _size(body):
    return struct.unpack(">HH", body[1:5]) if len(body) > 4 else None


def _parts(data):
    """Yields `(marker, body)` of the parts, the end of the image last, if it is there."""
    position = 2
    for _ in range(MAX_PARTS):
        found = MARKER.search(data, position)
        if found is None:
            return
        marker, position = data[found.end() - 1], found.end()
        if marker in (START, END):
            yield marker, b""
            return
        length = int.from_bytes(data[position : position + 2], "big")
        yield marker, data[position + 2 : position + length]
        position += length
