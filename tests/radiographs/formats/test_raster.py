"""PNG, JPEG, TIFF and GIF files give the stored grey values, upright, and the spacing that was measured; or a line."""

import io
import struct

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps
from radiograph_files import ramp
from refusals import refuses

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
def test_a_jpeg_is_whole_if_it_comes_to_its_end_whatever_its_parts_hold(tmp_path, options):
    data = encoded(**options)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    trailer = b"SEFH" + bytes(200) + b"\xff\xd8" + bytes(50_000) + b"SEFT"
    for form in (data, data + trailer, data[:2] + b"\xff" * 9 + data[2:], data[:-2] + b"\xff\xff" + data[-2:]):
        (tmp_path / "image.jpg").write_bytes(form)
        np.testing.assert_array_equal(read_radiograph(tmp_path / "image.jpg").image, expected)
    # A small copy, as cameras put into EXIF, has an end of its own.
    data = data[:2] + part(0xFFE1, b"Exif\0\0" + encoded()) + data[2:]
    assert read_radiograph(data).image.shape == NOISE.shape
    for length in range(3, len(data), 7):
        for cut in (data[:length], data[:length] + bytes(20)):
            refuses("truncated|broken|cannot be decoded", read_radiograph, cut)
    # Cut before another image begins.
    refuses("broken data stream", read_radiograph, encoded()[:-100] + encoded())


MUCH = {
    "fill bytes": b"\xff\xd8" + b"\xff" * 8_000_000 + b"\xff\xd9",
    "empty parts": b"\xff\xd8" + part(0xFFE0, b"") * 2_000_000 + b"\xff\xd9",
    "empty parts of a PNG file": png.SIGNATURE
    + png._chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 12, 8, 0, 0, 0, 0))
    + png._chunk(b"tEXt", b"") * 2**18,
}


@pytest.mark.parametrize("data", MUCH.values(), ids=MUCH)
def test_much_of_nothing_is_refused_before_its_end(data):
    refuses("its header does not end", read_radiograph, data)


def picture():
    """Blocks of 8 x 8 pixels, which JPEG keeps apart: grey 0, 40 ... 200 in 2 rows and 3 columns."""
    return np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40, np.ones((8, 8), np.uint8))


@pytest.mark.parametrize("kind, suffix", [("PNG", ".png"), ("JPEG", ".jpg")])
@pytest.mark.parametrize("value", [*range(10), 65535])
def test_as_pillow_does(tmp_path, kind, suffix, value):
    block = Image.Exif()
    block[0x112] = value
    path = tmp_path / f"image{suffix}"
    Image.fromarray(picture()).save(path, kind, exif=block)
    radiograph = read_radiograph(path)
    with Image.open(path) as image:
        np.testing.assert_array_equal(radiograph.image, np.asarray(ImageOps.exif_transpose(image)))
    said = (f"turned upright by the file's orientation tag (EXIF), value {value}",)
    # Other values mean nothing.
    assert radiograph.notes == (said if 2 <= value <= 8 else ())


@pytest.mark.parametrize("value, expected", [(1, (0.5, 0.2)), (3, (0.5, 0.2)), (6, (0.2, 0.5)), (8, (0.2, 0.5))])
def test_spacing_turns_with_the_pixels(tmp_path, value, expected):
    block = Image.Exif()
    block[0x112] = value
    # Columns first: 127 and 50.8 pixels an inch are 0.2 and 0.5 mm.
    Image.fromarray(picture()).save(tmp_path / "image.png", exif=block, dpi=(127, 50.8))
    assert read_radiograph(tmp_path / "image.png").spacing_mm == expected


def tiff(tmp_path, pixels, cut=None, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    (tmp_path / "image.tif").write_bytes(file.getvalue()[:cut])
    return read_radiograph(tmp_path / "image.tif")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"bigtiff": True},
        {"compression": "lzw", "predictor": True},
        {"compression": "deflate"},
        {"compression": "packbits"},
        {"tile": (16, 16), "compression": "lzw"},
        {"rowsperstrip": 5},
    ],
)
def test_stored_values_of_8_and_16_bits(tmp_path, options):
    np.testing.assert_array_equal(tiff(tmp_path, ramp(), **options).image, ramp())
    # 95 * 600 = 57000, so 16 bits: 600 * 255 / 65535 = 2.33 a step.
    expected = np.round(ramp(np.float64, 600) * 255 / 65535)
    np.testing.assert_array_equal(tiff(tmp_path, ramp(np.uint16, 600), **options).image, expected)


# 95 * 257 = 24415 needs 16 bits, where 257 is one step.
@pytest.mark.parametrize("dtype, step", [(np.uint8, 1), (np.uint16, 257)])
def test_white_as_zero_and_grey_as_colour(tmp_path, dtype, step):
    pixels = ramp(dtype, step)
    inverted = tiff(tmp_path, np.iinfo(dtype).max - pixels, photometric="miniswhite")
    np.testing.assert_array_equal(inverted.image, ramp())
    np.testing.assert_array_equal(tiff(tmp_path, np.dstack([pixels] * 3), photometric="rgb").image, ramp())


def test_transparency_is_refused_unless_there_is_none(tmp_path):
    options = dict(photometric="rgb", extrasamples=["unassalpha"])
    opaque = np.dstack([ramp()] * 3 + [np.full_like(ramp(), 255)])
    np.testing.assert_array_equal(tiff(tmp_path, opaque, **options).image, ramp())
    opaque[0, 0, 3] = 9
    refuses("transparent pixels", tiff, tmp_path, opaque, **options)


@pytest.mark.parametrize(
    "resolution, unit, expected",
    [
        # Columns first: 50 and 40 pixels a centimetre are 0.2 and 0.25 mm.
        ((50, 40), "CENTIMETER", (0.25, 0.2)),
        ((254, 127), "INCH", (0.2, 0.1)),
        ((254, 127), "NONE", None),
        # What programs write when they know nothing: 72 and 96 dots an inch, also in centimetres, and 1.
        ((72, 72), "INCH", None),
        ((96, 96), "INCH", None),
        ((28.3465, 28.3465), "CENTIMETER", None),
        ((1, 1), "INCH", None),
    ],
)
def test_tiff_spacing(tmp_path, resolution, unit, expected):
    found = tiff(tmp_path, ramp(), resolution=resolution, resolutionunit=unit).spacing_mm
    assert found == (expected if expected is None else pytest.approx(expected))


def test_orientation_turns_pixels_and_spacing_once(tmp_path):
    tag = [(274, 3, 1, 6, True)]
    turned = tiff(tmp_path, ramp(), extratags=tag, resolution=(50, 40), resolutionunit="CENTIMETER")
    np.testing.assert_array_equal(turned.image, np.rot90(ramp(), -1))
    assert turned.spacing_mm == pytest.approx((0.2, 0.25))
    assert turned.notes == ("turned upright by the file's orientation tag (EXIF), value 6",)


def test_a_small_copy_behind_the_picture_is_passed_over(tmp_path):
    with tifffile.TiffWriter(tmp_path / "image.tif") as file:
        file.write(ramp())
        file.write(ramp()[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(read_radiograph(tmp_path / "image.tif").image, ramp())


@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"compression": "deflate"}])
def test_tiff_truncated_anywhere(tmp_path, options):
    file = io.BytesIO()
    tifffile.imwrite(file, ramp(), **options)
    for length in range(8, len(file.getvalue()), 5):
        refuses("image.tif: ", tiff, tmp_path, ramp(), cut=length, **options)


def rewritten(tmp_path, changes, pixels=None, **options):
    """Writes a TIFF file and changes values of its tags, given functions of what was written."""
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, ramp() if pixels is None else pixels, **options)
    with tifffile.TiffFile(path, mode="r+") as file:
        for name, change in changes.items():
            tag = file.pages[0].tags[name]
            tag.overwrite(change(tag.value))
    return path


TOO_SOON = "image.tif: the .* (end too soon|cannot be decoded .decoder error -2)"
COMPRESSIONS = ["none", "lzw", "deflate", "packbits", "jpeg"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize(
    "options, counts",
    [({"rowsperstrip": 8}, "StripByteCounts"), ({"tile": (16, 16)}, "TileByteCounts"), ({}, "StripByteCounts")],
)
def test_a_part_that_ends_too_soon(tmp_path, compression, options, counts):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 33), dtype=np.uint8)
    changes = {counts: lambda value: (*value[:-1], value[-1] * 2 // 3) if isinstance(value, tuple) else value * 2 // 3}
    path = rewritten(tmp_path, {}, pixels, compression=compression, **options)
    assert read_radiograph(path).image.shape == pixels.shape
    path = rewritten(tmp_path, changes, pixels, compression=compression, **options)
    refuses(TOO_SOON, read_radiograph, path)


@pytest.mark.parametrize("compression", COMPRESSIONS[:-1])
@pytest.mark.parametrize("options", [{}, {"photometric": "rgb"}, {"photometric": "rgb", "planarconfig": "separate"}])
def test_a_part_that_unpacks_to_too_little_or_is_missing(tmp_path, compression, options):
    pixels = ramp() if not options else np.stack([ramp()] * 3, axis=0 if "planarconfig" in options else 2)
    changes = {"ImageLength": lambda value: value + 1, "RowsPerStrip": lambda value: value + 1}
    np.testing.assert_array_equal(tiff(tmp_path, pixels, compression=compression, **options).image, ramp())
    refuses(TOO_SOON, read_radiograph, rewritten(tmp_path, changes, pixels, compression=compression, **options))
    # 12 rows by 8 are 2 strips, 17 rows 3.
    path = rewritten(tmp_path, {"ImageLength": lambda value: 17}, rowsperstrip=8)
    refuses("end too soon", read_radiograph, path)


@pytest.mark.parametrize("tags, values", [(5000, 1), (2, 2**21)])
def test_tags_that_would_fill_the_memory(tmp_path, tags, values):
    # BigTIFF: values of a tag may lie anywhere, so that every tag can have the same megabytes as its own.
    table = b"".join(struct.pack("<HHQQ", 273, 1, values, 16) for _ in range(tags))
    path = tmp_path / "image.tif"
    path.write_bytes(struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, tags) + table + bytes(8 + values))
    refuses("Missing dimensions|header does not end", read_radiograph, path)
