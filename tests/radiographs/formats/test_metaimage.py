"""MetaImage headers mean one thing only, and the pixels are as many as they say."""

import os
import sys
import zlib

import numpy as np
import pytest
from refusals import refuses

from crass_tf.common.files import InputError
from crass_tf.radiographs.formats import Content, decode
from crass_tf.radiographs.radiograph import read_radiograph

PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4) * 300
STORED = PIXELS.astype("<u2").tobytes()


def read(path):
    return decode(Content.of(path))


def header(*lines, data_file="LOCAL", **changes):
    fields = {"ObjectType": "Image", "NDims": "2", "DimSize": "4 3", "ElementType": "MET_USHORT"} | changes
    lines = [*(f"{key} = {value}" for key, value in fields.items()), *lines, f"ElementDataFile = {data_file}"]
    return "".join(f"{line}\n" for line in lines).encode()


def write(path, *lines, data=STORED, **changes):
    path.write_bytes(header(*lines, **changes) + data)
    return path


@pytest.mark.parametrize(
    "lines, data",
    [
        ([], STORED),
        (["BinaryData = True"], STORED),
        (["BinaryDataByteOrderMSB = True"], PIXELS.astype(">u2").tobytes()),
        (["ElementByteOrderMSB = True"], PIXELS.astype(">u2").tobytes()),
        # Where both are there ITK goes by the longer name.
        (["BinaryDataByteOrderMSB = False", "ElementByteOrderMSB = True"], STORED),
        (["HeaderSize = -1"], b"something before" + STORED),
        *(([f"CompressedData = {word}"], zlib.compress(STORED)) for word in ("True", "true", "T", "t", "1")),
        (["CompressedData = False"], STORED),
        (["DimSizes = 1 1", "Comment = DimSize = 1 1"], STORED),
        # What writers say where they know nothing.
        (["ElementSpacing = 1 1"], STORED),
    ],
)
def test_pixels_as_itk_reads_them(tmp_path, lines, data):
    decoded = read(write(tmp_path / "image.mha", *lines, data=data))
    assert decoded.pixels.dtype == np.uint16 and decoded.pixels.flags.writeable and decoded.spacing_mm is None
    np.testing.assert_array_equal(decoded.pixels, PIXELS)


def test_a_header_of_its_own_before_the_pixels_and_one_slice_of_a_volume(tmp_path):
    (tmp_path / "image.raw").write_bytes(b"something before" + STORED)
    for size in (16, -1):
        path = write(tmp_path / "image.mhd", data=b"", data_file="image.raw", HeaderSize=size)
        np.testing.assert_array_equal(read(path).pixels, PIXELS)
    decoded = read(write(tmp_path / "image.mha", NDims="3", DimSize="4 3 1"))
    np.testing.assert_array_equal(decoded.pixels, PIXELS)


def test_lines_that_end_as_on_windows(tmp_path):
    (tmp_path / "image.mha").write_bytes(header().replace(b"\n", b"\r\n") + STORED)
    np.testing.assert_array_equal(read(tmp_path / "image.mha").pixels, PIXELS)


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems have no such names")
@pytest.mark.parametrize("name", [b"name\xff", "Röntgen".encode()])
def test_names_of_any_bytes(tmp_path, name):
    path = tmp_path / os.fsdecode(name + b".mha")
    np.testing.assert_array_equal(read(write(path)).pixels, PIXELS)
    (tmp_path / os.fsdecode(name + b".raw")).write_bytes(STORED)
    path.with_suffix(".mhd").write_bytes(header(data_file="X").replace(b"X", name + b".raw"))
    np.testing.assert_array_equal(read(path.with_suffix(".mhd")).pixels, PIXELS)


@pytest.mark.parametrize(
    "lines, found",
    [
        (["DimSize: 2 2 = 4"], "found 'DimSize: 2 2' in the MetaImage header"),
        (["ElementNumberOfChannels: 3 = 1"], "found 'ElementNumberOfChannels: 3'"),
        (["DimSize = 2 2"], "found 'DimSize' in the MetaImage header, expected each key once"),
        (["BinaryData = False"], "found BinaryData = False"),
        (["HeaderSize = many"], "found HeaderSize = many, expected numbers"),
        (["HeaderSize = 99999999999999999999"], "the pixels of the MetaImage file are not the 24 bytes"),
        (["CompressedData = T"], "the compressed pixels do not unpack to the 24 bytes"),
    ],
)
def test_headers_that_can_be_read_in_two_ways_or_in_none(tmp_path, lines, found):
    refuses(f"image.mha: {found}", read, write(tmp_path / "image.mha", *lines))


@pytest.mark.parametrize(
    "changes, found",
    [
        ({"NDims": "1"}, "found NDims = 1 with DimSize = 4 3"),
        ({"NDims": "3"}, "found NDims = 3 with DimSize = 4 3"),
        ({"NDims": "two"}, "found NDims = two with DimSize = 4 3"),
        ({"NDims": "2000000000"}, "found NDims = 2000000000 with DimSize = 4 3"),
        ({"DimSize": "40000 25000"}, "the header claims 40000 x 25000 pixels"),
        ({"DimSize": "4 3 3"}, "found DimSize = 4 3 3, expected one image"),
        ({"DimSize": "many"}, "found DimSize = many, expected numbers"),
        ({"ElementType": "MET_FLOAT"}, "found ElementType = MET_FLOAT"),
        ({"ElementNumberOfChannels": "3"}, "found 3 channels, expected 1"),
        ({"data_file": "../a.raw"}, "found ElementDataFile = '../a.raw', expected the name of one file"),
        ({"ElementSpacing": "-0.2 0.25"}, "found ElementSpacing = -0.2"),
    ],
)
def test_headers_that_claim_what_there_cannot_be(tmp_path, changes, found):
    refuses(f"image.mha: .*{found}", read_radiograph, write(tmp_path / "image.mha", **changes))


@pytest.mark.parametrize(
    "lines, data",
    [
        ([], STORED[:-1]),
        ([], STORED + bytes(4097)),
        (["CompressedData = 1"], zlib.compress(STORED[:-1])),
        (["CompressedData = 1"], zlib.compress(STORED + bytes(4097))),
        (["CompressedData = 1"], zlib.compress(STORED)[:-9]),
    ],
)
def test_fewer_or_many_more_pixels_than_promised(tmp_path, lines, data):
    path = write(tmp_path / "image.mha", *lines, data=data)
    refuses("24 bytes that .*image.mha promises; copy the file again", read, path)


@pytest.mark.parametrize("surplus", [1, 2, 24, 4096])
@pytest.mark.parametrize("packed", [False, True])
def test_bytes_behind_the_pixels_are_passed_over_with_a_note(tmp_path, surplus, packed):
    data, notes = STORED + bytes(range(1, 256)) * 17, (f"{surplus} bytes behind the pixels were ignored",)
    data = data[: len(STORED) + surplus]
    lines = ["CompressedData = 1"] * packed
    decoded = read(write(tmp_path / "image.mha", *lines, data=zlib.compress(data) if packed else data))
    np.testing.assert_array_equal(decoded.pixels, PIXELS)
    assert decoded.notes == notes
    if not packed:
        (tmp_path / "image.raw").write_bytes(data)
        (tmp_path / "image.mhd").write_bytes(header(data_file="image.raw"))
        assert read(tmp_path / "image.mhd").notes == notes


@pytest.mark.parametrize("name", ["x" * 600, "x/" * 300 + "y", "ü" * 200, "x\0y"])
def test_a_second_image_is_no_surplus_and_names_that_no_file_can_have(tmp_path, name):
    path = tmp_path / "image.mhd"
    (tmp_path / "image.raw").write_bytes(bytes(2 * 100 * 90))
    path.write_bytes(header(DimSize="100 90", ElementType="MET_UCHAR", data_file="image.raw"))
    refuses("found 18000 bytes, expected the 9000", read, path)
    (tmp_path / "image.raw").write_bytes(bytes(100 * 90 - 1))
    refuses("found 8999 bytes, expected the 9000", read, path)
    path.write_bytes(b"hello")
    refuses(r"image.mhd: found no MetaImage header \(it starts with 'hello'\)", read, path)
    path.write_bytes(header(data_file=name))
    with pytest.raises(InputError):
        read(path)
