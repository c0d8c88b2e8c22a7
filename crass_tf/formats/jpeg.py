"""JPEG files: whether they are whole, and how large they claim to be."""

import struct

from crass_tf.files import InputError
from crass_tf.formats.content import check_size

SIGNATURE = b"\xff\xd8\xff"
# The markers of the part that holds the size; three of that range mean other things.
FRAMES = set(range(0xFFC0, 0xFFD0)) - {0xFFC4, 0xFFC8, 0xFFCC}


def check(path, data):
    """Raises InputError where the end is missing or the header claims more pixels than are decoded."""
    if b"\xff\xd9" not in data[-64:]:
        raise InputError(f"{path}: the JPEG file is truncated, expected its end marker; copy the file again")
    position = len(SIGNATURE) - 1
    while position + 9 <= len(data):
        marker, length = struct.unpack(">HH", data[position : position + 4])
        if marker in FRAMES:
            height, width = struct.unpack(">HH", data[position + 5 : position + 9])
            check_size(path, width, height)
            return
        position += 2 + length
