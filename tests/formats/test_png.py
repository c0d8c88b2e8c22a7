"""PNG files are checked part by part; of no more parts than a radiograph has."""

import struct

import pytest

from crass_tf.files import InputError
from crass_tf.formats import png


def chunks(count):
    header = png._chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 12, 8, 0, 0, 0, 0))
    return png.SIGNATURE + header + png._chunk(b"tEXt", b"") * (count - 2) + png._chunk(b"IEND", b"")


def test_as_many_parts_as_a_radiograph_has_and_no_more():
    assert png.check("image.png", chunks(png.MAX_CHUNKS)) == (None, 1)
    with pytest.raises(InputError, match="image.png: found more than 131072 parts"):
        png.check("image.png", chunks(png.MAX_CHUNKS + 1))
