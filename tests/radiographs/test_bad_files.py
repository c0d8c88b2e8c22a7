"""Whatever lies in a folder is segmented or refused in one line; nothing crashes, hangs or takes the memory."""

import io
import json
import os
import struct
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tifffile
from drawn import bars
from metaimages import write_mhd
from PIL import Image
from radiograph_files import dicom as dicom_of
from radiograph_files import png, stored

from crass_tf.radiographs.formats.png import SIGNATURE

SIZE = (48, 40)
SCENE = bars(SIZE, (8, 16), ((4, 16), (24, 36)))
COLOUR = np.dstack([SCENE] * 3)
# Per file: a shape is segmented with, words are in the reason for its refusal.
CASES = {}


def add(name, expected, make):
    """Registers a function that returns a file's content, or makes the file at the path that it is given."""
    CASES[name] = make, expected


def encoded(pixels, suffix=".png", options=()):
    return cv2.imencode(suffix, pixels, list(options))[1].tobytes()


def pil(pixels, kind, mode=None, **options):
    file, image = io.BytesIO(), Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


def tiff(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def dicom(pixels=None, **options):
    return stored(dicom_of(SCENE if pixels is None else pixels, **options))


def flipped(data, position, bits=0x55):
    position %= len(data)
    return data[:position] + bytes([data[position] ^ bits]) + data[position + 1 :]


def jpeg_header(width, height):
    data = encoded(SCENE, ".jpg")
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


NAN = np.full(SIZE, np.nan, np.float32)

# PNG.
add("good.png", SIZE, lambda: encoded(SCENE))
add("no_bytes.png", "empty file of 0 bytes", lambda: b"")
add("one_pixel.png", (1, 1), lambda: encoded(np.full((1, 1), 9, np.uint8)))
add("claims_20000.png", "claims 20000 x 20000 pixels", lambda: png(20000, 20000))
add("claims_7000.png", "cannot be decoded", lambda: png(7000, 7000, 16, 6))
add("zip_bomb.png", "cannot be decoded", lambda: png(4, 4, data=bytes(10**6)[:3]))
add("constant.png", SIZE, lambda: encoded(np.full(SIZE, 77, np.uint8)))
add("constant_16_bits.png", SIZE, lambda: encoded(np.full(SIZE, 40000, np.uint16)))
add("16_bits.png", SIZE, lambda: encoded(SCENE.astype(np.uint16) * 257))
add("wide.png", (1, 5000), lambda: encoded(np.zeros((1, 5000), np.uint8)))
add("tall.png", (5000, 1), lambda: encoded(np.zeros((5000, 1), np.uint8)))
add("too_wide.png", "claims 40000 x 1 pixels", lambda: encoded(np.zeros((1, 40000), np.uint8)))
add("colour_and_alpha.png", SIZE, lambda: pil(COLOUR, "PNG", "RGBA"))
add("grey_and_alpha.png", SIZE, lambda: pil(SCENE, "PNG", "LA"))
add("grey_16_and_alpha.png", (1, 2), lambda: png(2, 1, 16, 4, b"\0" + struct.pack(">4H", 9, 65535, 99, 100)))
add("interlaced.png", (1, 1), lambda: png(1, 1, data=b"\0\7", interlace=1))
add("animated.png", "more than one picture", lambda: pil(
    SCENE, "PNG", save_all=True, append_images=[Image.fromarray(255 - SCENE)]
))  # fmt: skip
add("broken_exif.png", (1, 1), lambda: png(1, 1, data=b"\0\7", extra=[(b"eXIf", b"II*\0\xff\xff\xff\xff")]))
add("bad_profile.png", (1, 1), lambda: png(1, 1, data=b"\0\7", extra=[(b"iCCP", b"x\0\0nothing")]))
add("unknown_kind.png", "cannot be decoded", lambda: png(4, 4, colour_type=7))

# JPEG.
add("good.jpeg", SIZE, lambda: encoded(SCENE, ".jpg"))
add("named_wrongly.jpg", SIZE, lambda: encoded(SCENE))
add("jpeg_named.png", SIZE, lambda: encoded(SCENE, ".jpg"))
add("cmyk.jpg", SIZE, lambda: pil(COLOUR, "JPEG", "CMYK"))
add("broken_exif.jpg", SIZE, lambda: pil(SCENE, "JPEG", exif=b"Exif\0\0MM\0*\0\0"))
add("no_frame.jpg", "truncated after 10 bytes", lambda: b"\xff\xd8\xff\xe0\0\4ab\xff\xd9")
add("claims_20000.jpg", "claims 20000 x 20000 pixels", lambda: jpeg_header(20000, 20000))
add("claims_nothing.jpg", "cannot be decoded", lambda: jpeg_header(0, 0))
add("flipped_tables.jpg", None, lambda: flipped(encoded(SCENE, ".jpg"), 200))
add("flipped_data.jpg", None, lambda: flipped(encoded(SCENE, ".jpg"), -40))

# TIFF.
add("good.tif", SIZE, lambda: tiff(SCENE))
add("big_endian_big.tif", "found a BigTIFF file in big-endian", lambda: tiff(SCENE, bigtiff=True, byteorder=">"))
add("nan.tif", "found 32 bits", lambda: tiff(NAN))
add("half_floats.tif", "unknown pixel mode", lambda: tiff(NAN.astype(np.float16)))
add("32_bits.tif", "found 32 bits", lambda: tiff(SCENE.astype(np.uint32)))
add("pages.tif", "found 2 pages", lambda: tiff(np.stack([SCENE, SCENE]), photometric="minisblack"))
add("cmyk.tif", "photometric interpretation 5", lambda: tiff(np.dstack([SCENE] * 4), photometric="separated"))
add("zstd.tif", SIZE, lambda: tiff(SCENE, compression="zstd"))
add("loop.tif", "Missing dimensions", lambda: b"II*\0\x08\0\0\0\0\0\x08\0\0\0")
add("flipped_tags.tif", None, lambda: flipped(tiff(SCENE), 30))
add("words_as_width.tif", "Invalid dimensions", lambda: tiff(SCENE).replace(b"\0\1\4\0", b"\0\1\2\0", 1))
add("far_away.tif", "cannot be decoded", lambda: b"II+\0\x08\0\0\0" + b"\xff" * 8)
add("flipped_data.tif", None, lambda: flipped(tiff(SCENE, compression="deflate"), -20))

# DICOM.
add("good.dcm", SIZE, lambda: dicom())
add("IM0001", SIZE, lambda: dicom())
add("1.2.840.1", SIZE, lambda: dicom())
add("dicom_named.png", SIZE, lambda: dicom())
add("mark_only.dcm", "no whole DICOM data set", lambda: bytes(128) + b"DICM")
add("text.dcm", "DICOM", lambda: b"no radiograph, but a text of some length " * 9)
add("lines_as_class.dcm", "expected a projection", lambda: dicom().replace(b"5.1.4.1.1.1\0\x08", b"5.\n.4\n1.1\0\x08"))
add("unknown_syntax.dcm", "", lambda: dicom().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.7\0"))
add("flipped.dcm", None, lambda: flipped(dicom(), 400))

# MetaImage.
add("good.mha", SIZE, lambda path: write_mhd(path, SCENE))
add("png_named.mhd", SIZE, lambda: encoded(SCENE))

# Anything else.
add("webp.png", "found a WebP", lambda: pil(SCENE, "WEBP"))
add("bmp.png", "found a BMP file", lambda: encoded(SCENE, ".bmp"))
add("zip.png", "found a ZIP archive", lambda: b"PK\3\4" + bytes(26) + b"a.png")
add("page.png", "found an HTML", lambda: b"<!DOCTYPE html><html></html>")
add("document.jpg", "found a PDF document", lambda: b"%PDF-1.7\n%\xe2\xe3")
add("text.tif", "found no PNG, JPEG, TIFF", lambda: b"patient,left,right\n1,2,3\n")
add("noise.jpg", "found no PNG, JPEG, TIFF", lambda: np.random.default_rng(0).bytes(5000))
add("zeros.tiff", "found no PNG, JPEG, TIFF", lambda: bytes(5000))
add("animated_gif.png", "more than one picture", lambda: pil(
    SCENE, "GIF", save_all=True, append_images=[Image.fromarray(255 - SCENE)]
))  # fmt: skip
add("half_gif.png", "truncated", lambda: pil(SCENE, "GIF")[:-30])
add("two\nlines.png", "empty file", lambda: b"")


def sparse(path):
    with path.open("wb") as file:
        file.write(SIGNATURE)
        file.truncate(3 * 2**30)


def unreadable(path):
    path.write_bytes(encoded(SCENE))
    path.chmod(0)


add("pipe.png", "a pipe or device", lambda path: os.mkfifo(path))
add("loop.png", "cannot be opened", lambda path: path.symlink_to(path))
add("nowhere.png", "file not found", lambda path: path.symlink_to(path.with_name("nothing")))
add("endless.png", "a pipe or device", lambda path: path.symlink_to("/dev/zero"))
add("sparse.png", "expected at most", sparse)
add("unreadable.png", None, unreadable)


RUN = """
import json, pathlib, sys
from crass_tf.prediction import predict
code = predict([sys.argv[1]], sys.argv[2], sys.argv[3], progress=False)
# Not getrusage: its maximum is inherited from the process that started this one.
status = pathlib.Path("/proc/self/status")
peak = int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024 if status.exists() else 0
print(json.dumps({"code": code, "peak": peak}))
"""


@pytest.fixture(scope="module")
def done(litert_model, tmp_path_factory):
    """The results' folder, what the run said of itself, and its lines on standard error.

    Each file lies in a folder of its own, since some share a stem; and there is a folder called like a file.
    """
    folder, out = tmp_path_factory.mktemp("bad"), tmp_path_factory.mktemp("out")
    for number, (name, (make, _)) in enumerate(CASES.items()):
        path = folder / str(number) / name
        path.parent.mkdir()
        if make.__code__.co_argcount:
            make(path)
        else:
            path.write_bytes(make())
    (folder / "folder.png").mkdir()
    command = [sys.executable, "-c", RUN, str(folder), str(out), str(litert_model)]
    # A few seconds, unless a file hangs.
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    return out, json.loads(run.stdout), run.stderr.splitlines()


@pytest.mark.parametrize("name", CASES)
def test_each_file_is_segmented_or_refused_in_one_line(done, name):
    out, _, lines = done
    expected, place = CASES[name][1], out / str(list(CASES).index(name))
    (file,) = place.glob("*.json")
    content = json.loads(file.read_text())
    if content["status"] == "segmented":
        mask = cv2.imread(str(next(place.glob("*_mask.png"))), cv2.IMREAD_UNCHANGED)
        assert list(mask.shape) == content["native_size"]
        assert expected is None or mask.shape == expected, content
        assert len(list(place.iterdir())) == 4
        return
    assert expected is None or isinstance(expected, str), content["reason"]
    assert any(word in content["reason"] for word in (expected or "").split("|")), content["reason"]
    assert content["reason"] in lines and list(place.iterdir()) == [file]


def test_one_line_for_each_refusal_and_no_other_and_little_memory(done):
    out, said, lines = done
    refused = [file for file in out.rglob("*.json") if json.loads(file.read_text())["status"] == "refused"]
    assert said["code"] == 1 and said["peak"] < 1.5 * 2**30
    assert len(lines) == len(refused)
    assert len(list(out.rglob("*.json"))) == len(CASES)
