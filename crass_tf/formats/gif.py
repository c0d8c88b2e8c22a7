"""GIF files, the form of SCR's masks: whether they are whole and hold one picture."""

import struct

from crass_tf.files import InputError
from crass_tf.formats.content import check_size

SIGNATURES = (b"GIF87a", b"GIF89a")
EXTENSION, PICTURE, END = b"!", b",", b";"


def check(path, data):
    """Raises InputError where the end or the only picture is missing, or the header claims too many pixels."""
    check_size(path, *struct.unpack("<HH", data[6:10].ljust(4, b"\0")))
    try:
        pictures = _count(data)
    except IndexError:
        found = f"the GIF file is truncated after {len(data)} bytes"
        raise InputError(f"{path}: the image cannot be decoded, {found}; copy the file again") from None
    if pictures != 1:
        raise InputError(f"{path}: found {pictures} pictures in the GIF file, expected 1, no animation")


def _count(data):
    """Returns the number of pictures, by walking from block to block; IndexError where the file ends too soon."""
    position, pictures = 13 + _table(data[10]), 0
    while (kind := bytes([data[position]])) != END:
        if kind == EXTENSION:
            position = _behind(data, position + 2)
        elif kind == PICTURE:
            pictures += 1
            position = _behind(data, position + 11 + _table(data[position + 9]))
        else:
            raise IndexError
    return pictures


def _table(flags):
    """Returns the bytes of the colour table that a block's flags announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _behind(data, position):
    """Returns where a chain of sub-blocks ends."""
    while data[position]:
        position += 1 + data[position]
    return position + 1
