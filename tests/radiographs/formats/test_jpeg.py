"""A JPEG file is whole if it comes to its end, whatever else stands before or behind."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from crass_tf.common.files import InputError
from crass_tf.radiographs.formats import png
from crass_tf.radiographs.radiograph import read_radiograph

NOISE = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)


def encoded(**options):
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, "JPEG", **options)
    return file.getvalue()


def part(marker, body):
    return struct.pack(">HH", marker, len(body) + 2) + body


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
def test_trailers_and_fill_bytes_change_nothing(tmp_path, options):
    data = encoded(**options)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    trailer = b"SEFH" + bytes(200) + b"\xff\xd8" + bytes(50_000) + b"SEFT"
    for form in (data, data + trailer, data[:2] + b"\xff" * 9 + data[2:], data[:-2] + b"\xff\xff" + data[-2:]):
        (tmp_path / "image.jpg").write_bytes(form)
        np.testing.assert_array_equal(read_radiograph(tmp_path / "image.jpg").image, expected)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
def test_truncated_whatever_its_parts_hold(options):
    # A small copy, as cameras put into EXIF, has an end of its own.
    data = encoded(**options)
    data = data[:2] + part(0xFFE1, b"Exif\0\0" + encoded()) + data[2:]
    assert read_radiograph(data).image.shape == NOISE.shape
    for length in range(3, len(data), 7):
        for cut in (data[:length], data[:length] + bytes(20)):
            with pytest.raises(InputError, match="truncated|broken|cannot be decoded"):
                read_radiograph(cut)


def test_cut_before_another_image_begins():
    with pytest.raises(InputError, match="broken data stream"):
        read_radiograph(encoded()[:-100] + encoded())


MUCH = {
    "fill bytes": b"\xff\xd8" + b"\xff" * 8_000_000 + b"\xff\xd9",
    "empty parts": b"\xff\xd8" + part(0xFFE0, b"") * 2_000_000 + b"\xff\xd9",
    "empty parts of a PNG file": png.SIGNATURE
    + png._chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 12, 8, 0, 0, 0, 0))
    + png._chunk(b"tEXt", b"") * 2**18,
}


@pytest.mark.parametrize("data", MUCH.values(), ids=MUCH)
def test_much_of_nothing_is_refused_before_its_end(data):
    with pytest.raises(InputError, match="its header does not end"):
        read_radiograph(data)
