"""The formats of image files: stored pixels and pixel spacing in, whatever they mean as radiographs."""

import dataclasses
import pathlib

from crass_tf.common.files import InputError
from crass_tf.common.types import PathLike
from crass_tf.radiographs.formats import dicom, metaimage, png, raster
from crass_tf.radiographs.formats.content import Content, Decoded, Header, read_bytes
from crass_tf.radiographs.spacing import RANGE, is_plausible

EXPECTED = "PNG, JPEG, TIFF, GIF, DICOM or MetaImage"
# What is often found in an image's place, by its first bytes. Pillow would read some of these; but no radiograph
# comes as WebP or BMP unless a program between detector and user made it, and those write PNG as well.
FOREIGN = {
    b"%PDF": "a PDF document",
    b"PK\3\4": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"RIFF": "a WebP or other RIFF file",
    b"BM": "a BMP file",
    b"MM\0+": "a BigTIFF file in big-endian byte order",
    b"\xff\x4f\xff\x51": "a JPEG 2000 file",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 file",
    b"<": "an HTML, SVG or other XML file",
    b"ObjectType": "a MetaImage header without the suffix .mhd or .mha",
}


def decode(content: Content) -> Decoded:
    """Returns the `content.Decoded` of a PNG, JPEG, TIFF, GIF, DICOM or MetaImage file; the content decides which.

    An implausible pixel spacing is taken as unknown, with a note: no mask depends on it.

    Raises:
        InputError: where the file is truncated, damaged or no such image; the message names it.
        TooLargeError: where it has more than `content.max_pixels`.
    """
    decoded = _read(content)
    if decoded.spacing_mm is None or is_plausible(decoded.spacing_mm):
        return decoded
    row_mm, column_mm = decoded.spacing_mm
    note = f"the file's pixel spacing of {row_mm:g} x {column_mm:g} mm was ignored, expected lengths {RANGE}"
    return dataclasses.replace(decoded, spacing_mm=None, notes=(*decoded.notes, note))


def read_header(path: PathLike) -> Header:
    """Returns the `content.Header` of a PNG or MetaImage file; nothing is decoded.

    Raises:
        InputError: where the file is missing, empty or no such file, or claims an impossible size.
    """
    path = pathlib.Path(path)
    content = Content(read_bytes(path, metaimage.MAX_HEADER), path)
    return metaimage.read_header(content) if metaimage.is_header(content) else png.read_header(content)


def _read(content):
    if dicom.is_dicom(content.data):
        return dicom.read(content)
    if content.data.startswith(raster.SIGNATURES):
        return raster.read(content)
    if metaimage.is_header(content):
        return metaimage.read(content)
    if dicom.is_named_so(content):
        return dicom.read(content)
    for start, name in FOREIGN.items():
        if content.data.startswith(start):
            raise InputError(f"{content}: found {name}, expected a {EXPECTED} file")
    raise InputError(f"{content}: found no {EXPECTED} file (it starts with {content.data[:8]!r})")
