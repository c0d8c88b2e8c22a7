"""TIFF files: what may be decoded, by the tags; their spacing, orientation and grey values."""

import struct

import numpy as np

from crass_tf.files import InputError
from crass_tf.formats import directories, orientation, tiff_parts
from crass_tf.formats.content import Decoded, check_size
from crass_tf.formats.tiff_parts import (
    BITS,
    COMPRESSION,
    HEIGHT,
    PHOTOMETRIC,
    PLANES,
    SAMPLES,
    TILE_HEIGHT,
    TILE_WIDTH,
    WIDTH,
    YCBCR,
    first,
)

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SUBFILE, X_RESOLUTION, Y_RESOLUTION, UNIT, SAMPLE_FORMAT = 254, 282, 283, 296, 339
TAGS = {SUBFILE, X_RESOLUTION, Y_RESOLUTION, UNIT, SAMPLE_FORMAT, orientation.TAG} | tiff_parts.TAGS
# None, three kinds of fax, LZW, JPEG, deflate, PackBits and deflate's older number.
COMPRESSIONS = (1, 2, 3, 4, 5, 7, 8, 32773, 32946)
WHITE_IS_ZERO = 0
# Samples per pixel by photometric interpretation: grey (0, 1), RGB with or without alpha, palette, YCbCr.
SAMPLE_COUNTS = {WHITE_IS_ZERO: (1,), 1: (1,), 2: (3, 4), 3: (1,), YCBCR: (3,)}
MILLIMETRES = {2: 25.4, 3: 10.0}
# Pixels per inch that are no measurement, but what programs write when they know nothing.
SCREEN_DPI = (1.0, 72.0, 96.0)


def check(path, data):
    """Returns the tags of a TIFF file's picture; raises InputError where it is none that can be read faithfully."""
    tags = _picture(path, data)
    if not all(tags.get(tag) for tag in (WIDTH, HEIGHT)):
        raise InputError(f"{path}: found a TIFF file without a width or height, expected both")
    check_size(path, tags[WIDTH][0], tags[HEIGHT][0])
    if all(tags.get(tag) for tag in (TILE_WIDTH, TILE_HEIGHT)):
        check_size(path, tags[TILE_WIDTH][0], tags[TILE_HEIGHT][0])
    _check_kind(path, tags)
    tiff_parts.check(path, data, tags)
    return tags


def finish(path, pixels, tags):
    """Returns the `Decoded` of what OpenCV made of a TIFF file: upright already, grey values of 16 bits as stored."""
    if first(tags, PHOTOMETRIC, 1) == WHITE_IS_ZERO and pixels.dtype.itemsize > 1:
        pixels = ~pixels
    # OpenCV multiplies by alpha, so nothing but opaque pixels keep their grey values.
    if pixels.ndim == 3 and pixels.shape[2] == 4 and (pixels[:, :, 3] != np.iinfo(pixels.dtype).max).any():
        raise InputError(f"{path}: found a TIFF file with transparent pixels, expected opaque ones")
    return orientation.noted(Decoded(pixels, _spacing(tags)), orientation.of_directory(tags))


def _picture(path, data):
    """Returns the tags of the one picture; further pages may only be smaller copies of it."""
    try:
        pages = list(directories.read(data, TAGS))
    except (ValueError, struct.error):
        raise InputError(f"{path}: the TIFF file's tags are damaged; copy the file again") from None
    whole = [tags for tags in pages if not first(tags, SUBFILE, 0) & 1]
    if len(whole) != 1 or whole[0] is not pages[0]:
        raise InputError(f"{path}: found {len(whole)} pages in the TIFF file, expected one, the first")
    return pages[0]


def _check_kind(path, tags):
    photometric, samples, bits = first(tags, PHOTOMETRIC, 1), first(tags, SAMPLES, 1), first(tags, BITS, 1)
    if first(tags, SAMPLE_FORMAT, 1) not in (1, 2) or bits not in (1, 8, 12, 16):
        kind = {1: "unsigned", 2: "signed", 3: "floating point"}.get(first(tags, SAMPLE_FORMAT, 1), "other")
        raise InputError(f"{path}: found {kind} values of {bits} bits in the TIFF file, expected integers of 8 or 16")
    if samples not in SAMPLE_COUNTS.get(photometric, ()):
        found = f"{samples} samples a pixel of photometric interpretation {photometric}"
        raise InputError(f"{path}: found {found} in the TIFF file, expected grey values or RGB")
    if first(tags, COMPRESSION, 1) not in COMPRESSIONS:
        found = f"compression {first(tags, COMPRESSION, 1)} in the TIFF file"
        raise InputError(f"{path}: found {found}, expected none, LZW, deflate, PackBits or JPEG")
    if samples > 1 and bits != 8 and first(tags, PLANES, 1) != 1:
        raise InputError(
            f"{path}: found separate planes of {bits} bits in the TIFF file, expected colours pixel by pixel"
        )


def _spacing(tags):
    """Returns `(row, column)` in millimetres of the stored grid, or None where the tags hold no measurement."""
    unit = MILLIMETRES.get(first(tags, UNIT, 2))
    ratios = [tags.get(tag, ()) for tag in (Y_RESOLUTION, X_RESOLUTION)]
    if unit is None or any(len(ratio) != 2 or not all(ratio) for ratio in ratios):
        return None
    row, column = (numerator / denominator for numerator, denominator in ratios)
    if row == column and any(abs(row * 25.4 / unit - dpi) < 0.5 for dpi in SCREEN_DPI):
        return None
    return unit / row, unit / column
