"""The formats of image files: stored pixels and pixel spacing in, whatever they mean as radiographs."""

import cv2
import numpy as np

from crass_tf.files import InputError
from crass_tf.formats import dicom, gif, jpeg, metaimage, orientation, png, tiff
from crass_tf.formats.content import Decoded, read_bytes, with_plausible_spacing

EXPECTED = "PNG, JPEG, TIFF, GIF, DICOM or MetaImage"
SIGNATURES = (png.SIGNATURE, *jpeg.SIGNATURES, *tiff.SIGNATURES, *gif.SIGNATURES)
# What is often found in an image's place, by its first bytes. OpenCV would read some of these; but no radiograph
# comes as WebP or BMP unless a program between detector and user made it, and those write PNG as well.
FOREIGN = {
    b"%PDF": "a PDF document",
    b"PK\3\4": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"RIFF": "a WebP or other RIFF file",
    b"BM": "a BMP file",
    b"\xff\x4f\xff\x51": "a JPEG 2000 file",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 file",
    b"<": "an HTML, SVG or other XML file",
    b"ObjectType": "a MetaImage header without the suffix .mhd or .mha",
}


def decode(path):
    """Returns the `content.Decoded` of a PNG, JPEG, TIFF, GIF, DICOM or MetaImage file; the content decides which.

    A pixel spacing that there cannot be is taken as unknown, with a note.

    Raises:
        InputError: where the file is missing, empty, truncated, damaged or no such image; the message names it.
    """
    return with_plausible_spacing(_read(path))


def read_header(path):
    """Returns the `content.Header` of a PNG or MetaImage file; nothing is decoded.

    Raises:
        InputError: where the file is missing, empty or no such file, or claims an impossible size.
    """
    return metaimage.read_header(path) if metaimage.is_header(path) else png.read_header(path)


def _read(path):
    head = read_bytes(path, dicom.HEAD)
    if dicom.is_dicom(head):
        return dicom.read(path)
    if not head.startswith(SIGNATURES):
        if metaimage.is_header(path):
            return Decoded(*metaimage.read(path))
        if dicom.is_named_so(path):
            return dicom.read(path)
        raise InputError(f"{path}: {_foreign(head)}")
    return _decode(path, read_bytes(path))


def _decode(path, data):
    """Returns the `Decoded` of a file that OpenCV decodes, once it is known to be whole and of a possible size."""
    if data.startswith(tiff.SIGNATURES):
        tags = tiff.check(path, data)
        return tiff.finish(path, _pixels(path, data), tags)
    if data.startswith(gif.SIGNATURES):
        gif.check(path, data)
        return Decoded(_pixels(path, data))
    spacing_mm, turned = png.check(path, data) if data.startswith(png.SIGNATURE) else (None, jpeg.check(path, data))
    return orientation.upright(Decoded(_pixels(path, data), spacing_mm), turned)


def _pixels(path, data):
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise InputError(f"{path}: the image cannot be decoded; copy the file again")
    return pixels


def _foreign(head):
    for start, name in FOREIGN.items():
        if head.startswith(start):
            return f"found {name}, expected a {EXPECTED} file"
    return f"found no {EXPECTED} file (it starts with {head[:8]!r})"
