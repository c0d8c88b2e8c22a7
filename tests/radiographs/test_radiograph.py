"""What stands in a file becomes grey values from 0 to 255 by one rule, or one line that names the file."""

import io
import math
import re
import struct

import cv2
import numpy as np
import pytest
from radiograph_files import png, ramp
from refusals import refuses

from crass_tf.common.files import InputError
from crass_tf.radiographs.formats import read_header
from crass_tf.radiographs.formats.png import SIGNATURE, _chunk, write_png
from crass_tf.radiographs.radiograph import GreyScale, Radiograph, from_array, read_mask, read_radiograph


def write(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pixels", [ramp(), ramp()[:, :, None], np.dstack([ramp()] * 3)], ids=["grey", "one", "colour"])
def test_8_bits_stay_as_they_are(pixels):
    np.testing.assert_array_equal(from_array(pixels).image, ramp())


@pytest.mark.parametrize(
    "stored, expected",
    [
        # At most 255: taken for 8 bits, so nothing changes.
        ([0, 100, 255], [0, 100, 255]),
        # 10 bits, full scale 1023: 512 * 255 / 1023 = 127.62; 256 * 255 / 1023 = 63.8.
        ([0, 256, 512, 1023], [0, 64, 128, 255]),
        # One more than 8 bits hold is 10 bits, too: 256 * 255 / 1023 = 63.8.
        ([0, 256], [0, 64]),
        # 12 bits, full scale 4095: 1024 * 255 / 4095 = 63.77; 2048 * 255 / 4095 = 127.53; 3000 * 255 / 4095 = 186.8.
        ([0, 1024, 2048, 3000], [0, 64, 128, 187]),
        # 14 bits, full scale 16383: 4096 * 255 / 16383 = 63.75; 10000 * 255 / 16383 = 155.65.
        ([4096, 10000], [64, 156]),
        # 16 bits, full scale 65535 = 255 * 257: 257 grey values to each step.
        ([0, 257, 257 * 128, 65535], [0, 1, 128, 255]),
    ],
)
def test_16_bits_by_the_smallest_depth_that_holds_them(stored, expected):
    grey = from_array(np.array([stored], np.uint16)).image
    assert grey.dtype == np.uint8
    assert grey.tolist() == [expected]


@pytest.mark.parametrize(
    "stored, dtype, offset, bits",
    [
        # -1000 needs 2048 more; then 5000 at most, so 14 bits.
        ([-1000, 2952], np.int16, 2048, 14),
        ([-32768, 32767], np.int16, 32768, 16),
        ([-128, 127], np.int8, 128, 8),
    ],
)
def test_negative_values_begin_at_half_the_range_that_holds_them(stored, dtype, offset, bits):
    pixels, scale = np.array([stored], dtype), GreyScale.holding(*stored)
    assert scale == GreyScale(offset, bits)
    assert scale.to_uint16(pixels).tolist() == [[value + offset for value in stored]]
    assert from_array(pixels).image.tolist() == [[round((v + offset) * 255 / (2**bits - 1)) for v in stored]]


def test_colours_become_luminance_and_alpha_is_ignored():
    # ITU-R BT.601: 0.114 blue + 0.587 green + 0.299 red of 255 are 29.07, 149.7 and 76.2.
    blue_green_red = np.zeros((1, 4, 3), np.uint8)
    blue_green_red[0, 0, 0] = blue_green_red[0, 1, 1] = blue_green_red[0, 2, 2] = 255
    blue_green_red[0, 3] = 99
    expected = [[29, 150, 76, 99]]
    assert from_array(blue_green_red).image.tolist() == expected
    transparent = np.dstack([blue_green_red, np.array([[0, 1, 128, 255]], np.uint8)])
    assert from_array(transparent).image.tolist() == expected


@pytest.mark.parametrize(
    "pixels, found",
    [
        (np.zeros((4, 4), np.int32), "int32"),
        (np.zeros((4, 4), bool), "bool"),
        (np.zeros((4, 4, 2), np.uint8), r"\(4, 4, 2\)"),
        (np.zeros(4, np.uint8), r"\(4,\)"),
        (np.zeros((0, 5), np.uint8), r"\(0, 5\)"),
        (np.zeros((5, 0), np.float32), r"\(5, 0\)"),
        (np.zeros((0, 5, 3), np.uint8), r"\(0, 5, 3\)"),
        (np.array([[0.0, np.nan]]), "outside 0 to 255"),
        (np.array([[0.0, 255.5]]), "outside 0 to 255"),
        (np.array([[-0.1, 3.0]]), "outside 0 to 255"),
        (np.array([[0.0, 1.0]]), "from 0 to 1, expected 0 to 255; multiply them by 255"),
        (np.zeros((4, 4, 3), np.int8), "colours as signed values, int8"),
    ],
)
def test_arrays_that_are_no_radiographs(pixels, found):
    refuses(f"^mine: found.*{found}", from_array, pixels, source="mine")


def test_floats_are_rounded():
    # Halves go to the even neighbour.
    radiograph = from_array(np.array([[0.4, 0.6], [1.5, 2.5], [254.6, 255.0]]), spacing_mm=(0.2, 0.1))
    assert radiograph.image.tolist() == [[0, 1], [2, 2], [255, 255]]
    assert radiograph.spacing_mm == (0.2, 0.1)
    assert radiograph.source == "array"
    assert from_array(np.zeros((1, 2), np.float32)).image.tolist() == [[0, 0]]


@pytest.mark.parametrize("order", ["<", ">"])
def test_byte_order_does_not_matter(order):
    # 12 bits: 1024 * 255 / 4095 = 63.77; with 2048 added, -1024 is the same.
    assert from_array(np.array([[1024, 3000]], f"{order}u2")).image.tolist() == [[64, 187]]
    assert from_array(np.array([[-1024, 952]], f"{order}i2")).image.tolist() == [[64, 187]]
    assert from_array(np.full((1, 1, 3), 1024, f"{order}u2")).image.tolist() == [[64]]


def test_radiograph_is_uint8_in_two_dimensions():
    for shape, dtype in ((4, np.uint8), ((2, 2, 1), np.uint8), ((2, 2), bool), ((2, 2), np.uint16), ((0, 5), np.uint8)):
        found = rf"array: found {np.dtype(dtype)} of shape \(.*\), expected uint8 \[H, W\]$"
        refuses(f"^{found}", Radiograph, np.zeros(shape, dtype))
    refuses(r"^array: found list, expected an array uint8 \[H, W\]$", Radiograph, [[1]])
    refuses("^array: found NoneType, expected an array", Radiograph, None)


@pytest.mark.parametrize(
    "spacing_mm",
    [0.25, (0.25,), (0.2, 0.2, 0.2), "12", (-1, 1), (0, 0), (math.nan, 1), (1e-9, 1e-9), (1e300, 1e300), (0.1, 1.1)],
)
def test_a_spacing_that_there_cannot_be(spacing_mm):
    refuses(r"^array, spacing_mm: found .*, expected two lengths, .* from 0.01 to 20", from_array, ramp(), spacing_mm)


def test_spacing_is_a_pair_of_floats_or_none():
    for given in ([0.25, 0.5], np.array([0.25, 0.5], np.float32)):
        assert repr(from_array(ramp(), given).spacing_mm) == "(0.25, 0.5)"
    # The limits themselves; and unknown as the data sets have it.
    assert from_array(ramp(), (0.01, 0.1)).spacing_mm == (0.01, 0.1)
    assert from_array(ramp(), (20, 20)).spacing_mm == (20, 20)
    assert from_array(ramp(), np.full(2, np.nan, np.float32)).spacing_mm is None


@pytest.mark.parametrize("name", ["image.png", "image.PNG", "no_suffix"])
@pytest.mark.parametrize(
    "pixels", [ramp(), np.dstack([ramp()] * 3), ramp().astype(np.uint16) * 30], ids=["8", "colour", "16"]
)
def test_png_round_trip(tmp_path, name, pixels):
    write(tmp_path / name, cv2.imencode(".png", pixels)[1].tobytes())
    radiograph = read_radiograph(tmp_path / name)
    np.testing.assert_array_equal(radiograph.image, from_array(pixels).image)
    assert radiograph.spacing_mm is None and radiograph.source == str(tmp_path / name)
    assert read_header(tmp_path / name).size == (12, 8)


def test_one_bit_palette_and_alpha_png(tmp_path):
    # Bits 1011 0000, eight pixels: black and white.
    one_bit = write(tmp_path / "bits.png", png(8, 1, 1, 0, b"\0\xb0"))
    assert read_radiograph(one_bit).image.tolist() == [[255, 0, 255, 255, 0, 0, 0, 0]]
    # The entries of the palette count, not their numbers: entry 0 is grey 200, entry 1 grey 10.
    palette = (b"PLTE", bytes([200] * 3 + [10] * 3))
    indexed = write(tmp_path / "palette.png", png(3, 1, 8, 3, b"\0\0\1\0", extra=[palette]))
    assert read_radiograph(indexed).image.tolist() == [[200, 10, 200]]
    # Grey and alpha: 7 opaque, 90 transparent.
    alpha = write(tmp_path / "alpha.png", png(2, 1, 8, 4, bytes([0, 7, 255, 90, 0])))
    assert read_radiograph(alpha).image.tolist() == [[7, 90]]


def test_spacing_round_trip_row_and_column_apart_unless_another_one_is_asked_for(tmp_path):
    # 1000 / 0.25 = 4000 and 1000 / 0.2 = 5000 pixels per metre are whole numbers, so nothing is lost.
    write_png(tmp_path / "image.png", ramp(), spacing_mm=(0.25, 0.2))
    assert read_radiograph(tmp_path / "image.png").spacing_mm == (0.25, 0.2)
    assert read_radiograph(tmp_path / "image.png", spacing_mm=(0.5, 0.4)).spacing_mm == (0.5, 0.4)
    # NaN, as the data sets have it, asks for none.
    assert read_radiograph(tmp_path / "image.png", spacing_mm=(np.nan, np.nan)).spacing_mm == (0.25, 0.2)


@pytest.mark.parametrize(
    "columns, rows, unit, expected",
    [
        # pHYs holds pixels per metre, columns first; unit 1 is the metre.
        (5000, 4000, 1, (0.25, 0.2)),
        # Unit 0 gives an aspect ratio only.
        (5000, 4000, 0, None),
        (0, 4000, 1, None),
        # 72 and 96 dots per inch, rounded down and up: 72 / 0.0254 = 2834.6, 96 / 0.0254 = 3779.5.
        (2834, 2834, 1, None),
        (3780, 3780, 1, None),
        # 150 dots per inch is what a film scanner may have measured: 150 / 0.0254 = 5905.5.
        (5906, 5906, 1, (1000 / 5906, 1000 / 5906)),
        # 1000 mm a pixel: there is no such radiograph.
        (1, 1, 1, None),
        # One axis alone is no screen's.
        (2835, 4000, 1, (0.25, 1000 / 2835)),
    ],
)
def test_spacing_of_the_header(tmp_path, columns, rows, unit, expected):
    physical = (b"pHYs", struct.pack(">IIB", columns, rows, unit))
    path = write(tmp_path / "image.png", png(2, 1, 8, 0, b"\0\5\6", extra=[physical]))
    found = read_radiograph(path).spacing_mm
    assert found == (expected and pytest.approx(expected, rel=1e-6))


def all_refuse(path, *words, readers=(read_radiograph, read_mask)):
    """Asserts that all readers refuse the file with one line that begins with its name."""
    for read in readers:
        line = refuses(f"^{re.escape(str(path))}: ", read, path)
        for word in words:
            assert word in line


def test_png_truncated_anywhere(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (12, 9), dtype=np.uint8)
    write_png(tmp_path / "whole.png", noise, spacing_mm=(0.25, 0.2))
    data = (tmp_path / "whole.png").read_bytes()
    for length in range(len(SIGNATURE), len(data)):
        all_refuse(write(tmp_path / "part.png", data[:length]), f"truncated after {length} bytes")
        if length < 33:
            all_refuse(tmp_path / "part.png", f"truncated after {length} bytes", readers=[read_header])


def test_png_with_one_wrong_byte_anywhere(tmp_path):
    write_png(tmp_path / "whole.png", ramp(), spacing_mm=(0.25, 0.2))
    data = (tmp_path / "whole.png").read_bytes()
    for position in range(len(data)):
        wrong = data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :]
        all_refuse(write(tmp_path / "wrong.png", wrong))
    all_refuse(write(tmp_path / "wrong.png", data.replace(b"pHYs", b"pHYt")), "checksum in b'pHYt'")


def test_png_whose_parts_are_whole_but_wrong(tmp_path):
    header, end = (b"IHDR", struct.pack(">IIBBBBB", 8, 12, 8, 0, 0, 0, 0)), (b"IEND", b"")
    wrong = {
        "no data": [header, end],
        "half of the data": [header, (b"IDAT", b"\x78\x01\x01"), end],
        "short header": [(b"IHDR", b"\0\0\0\x09"), end],
        "short pHYs": [header, (b"pHYs", b"\0\0\0\x09"), end],
        "no pixels": [(b"IHDR", struct.pack(">IIBBBBB", 0, 12, 8, 0, 0, 0, 0)), end],
    }
    for parts in wrong.values():
        all_refuse(write(tmp_path / "wrong.png", SIGNATURE + b"".join(_chunk(*part) for part in parts)))


def test_masks_are_what_is_above_0_in_any_format(tmp_path):
    for values, name in (([0, 1], "ones"), ([0, 255], "white"), ([0, 3, 200], "odd")):
        pixels = np.array([[0, values[-1]], [values[1], 0]], np.uint8)
        write_png(tmp_path / f"{name}.png", pixels)
        mask, seen = read_mask(tmp_path / f"{name}.png")
        assert mask.dtype == np.uint8 and mask.tolist() == [[0, 1], [1, 0]]
        assert seen == values
    # Red alone, whose luminance is below that of white, is foreground; opaque black is background.
    red = np.zeros((1, 3, 4), np.uint8)
    red[0, 1, 2], red[..., 3] = 255, 255
    write_png(tmp_path / "colour.png", red)
    assert read_mask(tmp_path / "colour.png")[0].tolist() == [[0, 1, 0]]
    # 256 has a low byte of 0.
    write_png(tmp_path / "deep.png", np.array([[0, 256, 1]], np.uint16))
    write(tmp_path / "bits.png", png(8, 1, 1, 0, b"\0\xb0"))
    for name, expected, seen in (("deep", [0, 1, 1], [0, 1, 256]), ("bits", [1, 0, 1, 1, 0, 0, 0, 0], [0, 255])):
        mask, values = read_mask(tmp_path / f"{name}.png")
        assert (mask.tolist(), values) == ([expected], seen)


def test_five_channels_are_not_written(tmp_path):
    pixels = np.zeros((2, 2, 5), np.uint8)
    refuses(r"mask.png: found an image of shape \(2, 2, 5\)", write_png, tmp_path / "mask.png", pixels)


def test_bytes_and_open_files_are_read_like_the_file(tmp_path):
    write_png(tmp_path / "image.png", ramp(), (0.2, 0.5))
    data = (tmp_path / "image.png").read_bytes()
    with (tmp_path / "image.png").open("rb") as opened, (tmp_path / "image.png").open("rb", buffering=0) as bare:
        for source in (data, bytearray(data), memoryview(data), io.BytesIO(data), opened, bare):
            found = read_radiograph(source)
            np.testing.assert_array_equal(found.image, ramp())
            assert found.spacing_mm == (0.2, 0.5)
            assert found.source == (str(tmp_path / "image.png") if source in (opened, bare) else "bytes")
    assert read_radiograph(data, (1, 2)).spacing_mm == (1, 2)


def test_what_cannot_be_read_from_is_named(tmp_path):
    path = tmp_path / "one.png"
    write_png(path, np.zeros((8, 8), np.uint8))
    refuses("cannot be opened, found a folder", read_radiograph, tmp_path)
    with path.open("rb") as closed:
        pass
    refuses(r"one.png: cannot be read \(read of closed file\), expected one opened as", read_radiograph, closed)
    with (tmp_path / "new.png").open("wb") as new, pytest.raises(InputError, match="new.png: cannot be read"):
        read_radiograph(new)
    refuses("path: found a path with a zero byte, expected a file or folder", read_radiograph, "one\0.png")
    refuses("array: found rows of different lengths", from_array, [[1, 2], [3]])


def test_metaimage_from_memory(tmp_path):
    head = b"ObjectType = Image\nNDims = 2\nDimSize = 8 12\nElementType = MET_UCHAR\nElementSpacing = 0.5 0.2\n"
    found = read_radiograph(head + b"ElementDataFile = LOCAL\n" + ramp().tobytes())
    np.testing.assert_array_equal(found.image, ramp())
    assert found.spacing_mm == (0.2, 0.5)
    (tmp_path / "image.raw").write_bytes(ramp().tobytes())
    header = write(tmp_path / "image.mhd", head + b"ElementDataFile = image.raw\n")
    refuses("bytes: found ElementDataFile = 'image.raw', expected LOCAL", read_radiograph, header.read_bytes())
    with header.open("rb") as opened:
        np.testing.assert_array_equal(read_radiograph(opened).image, ramp())


def test_what_memory_cannot_hold():
    for source, found in (
        (b"", "bytes: found an empty file"),
        (io.BytesIO(), "bytes: found an empty file"),
        (b"nothing", "bytes: found no PNG"),
        (io.StringIO("text"), "found str, expected a file opened as 'rb'"),
        (3, "found int"),
    ):
        refuses(found, read_radiograph, source)
