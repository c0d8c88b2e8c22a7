"""JPEG files: whether they are whole, how large they claim to be, and how the camera was held."""

import struct

from crass_tf.files import InputError
from crass_tf.formats import orientation
from crass_tf.formats.content import check_size

SIGNATURES = (b"\xff\xd8\xff",)
# The markers of the part that holds the size, JPEG-LS' included; three of that range mean other things.
FRAMES = set(range(0xFFC0, 0xFFD0)) - {0xFFC4, 0xFFC8, 0xFFCC} | {0xFFF7}
EXIF_PART, EXIF_MARK = 0xFFE1, b"Exif\0\0"


def check(path, data):
    """Returns the EXIF orientation, 1 to 8.

    Raises:
        InputError: where the end is missing, or the header claims more pixels than are decoded or cannot be found.
    """
    if b"\xff\xd9" not in data[-64:]:
        raise InputError(f"{path}: the JPEG file is truncated, expected its end marker; copy the file again")
    turned = 1
    for marker, body in _parts(data):
        if marker == EXIF_PART and body.startswith(EXIF_MARK):
            turned = orientation.of_exif(body[len(EXIF_MARK) :])
    size = frame_size(data)
    if size is None:
        raise InputError(f"{path}: the JPEG file is damaged, expected a header with a size; copy the file again")
    check_size(path, *size[::-1])
    return turned


def frame_size(data):
    """Returns the `(height, width)` of JPEG data of any process, or None where no header is found."""
    sizes = [struct.unpack(">HH", body[1:5]) for marker, body in _parts(data) if marker in FRAMES and len(body) > 4]
    return sizes[0] if sizes else None


def _parts(data):
    """Yields `(marker, body)` of the parts up to the frame's header."""
    position = 2
    while position + 4 <= len(data):
        marker, length = struct.unpack_from(">HH", data, position)
        if marker == 0xFFFF:  # Any number of these bytes may fill the space between parts.
            position += 1
            continue
        if marker < 0xFF00 or length < 2:
            return
        yield marker, data[position + 4 : position + 2 + length]
        if marker in FRAMES:
            return
        position += 2 + length
