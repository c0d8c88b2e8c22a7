"""TIFF files: what may be decoded, by the tags; their spacing, orientation and grey values."""

import struct

import numpy as np

from crass_tf.files import InputError
from crass_tf.formats import directories, orientation
from crass_tf.formats.content import Decoded, check_size

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANES = 254, 256, 257, 258, 259, 262, 277, 284
X_RESOLUTION, Y_RESOLUTION, UNIT, TILE_WIDTH, TILE_HEIGHT, SAMPLE_FORMAT = 282, 283, 296, 322, 323, 339
# Where the pixels lie, and in how many bytes: of strips, or of tiles.
PARTS = ((273, 279), (324, 325))
TAGS = {SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANES, X_RESOLUTION, Y_RESOLUTION, UNIT}
TAGS |= {TILE_WIDTH, TILE_HEIGHT, SAMPLE_FORMAT, orientation.TAG, *PARTS[0], *PARTS[1]}
# None, three kinds of fax, LZW, JPEG, deflate, PackBits and deflate's older number.
COMPRESSIONS = (1, 2, 3, 4, 5, 7, 8, 32773, 32946)
WHITE_IS_ZERO, RGB = 0, 2
# Samples per pixel by photometric interpretation: grey (0, 1), RGB with or without alpha, palette, YCbCr.
SAMPLE_COUNTS = {0: (1,), 1: (1,), 2: (3, 4), 3: (1,), 6: (3,)}
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
    _check_whole(path, tags, len(data))
    return tags


def finish(path, pixels, tags):
    """Returns the `Decoded` of what OpenCV made of a TIFF file: upright already, grey values of 16 bits as stored."""
    if _first(tags, PHOTOMETRIC, 1) == WHITE_IS_ZERO and pixels.dtype.itemsize > 1:
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
    whole = [tags for tags in pages if not _first(tags, SUBFILE, 0) & 1]
    if len(whole) != 1 or whole[0] is not pages[0]:
        raise InputError(f"{path}: found {len(whole)} pages in the TIFF file, expected one, the first")
    return pages[0]


def _check_kind(path, tags):
    photometric, samples, bits = _first(tags, PHOTOMETRIC, 1), _first(tags, SAMPLES, 1), _first(tags, BITS, 1)
    if _first(tags, SAMPLE_FORMAT, 1) not in (1, 2) or bits not in (1, 8, 12, 16):
        kind = {1: "unsigned", 2: "signed", 3: "floating point"}.get(_first(tags, SAMPLE_FORMAT, 1), "other")
        raise InputError(f"{path}: found {kind} values of {bits} bits in the TIFF file, expected integers of 8 or 16")
    if samples not in SAMPLE_COUNTS.get(photometric, ()):
        found = f"{samples} samples a pixel of photometric interpretation {photometric}"
        raise InputError(f"{path}: found {found} in the TIFF file, expected grey values or RGB")
    if _first(tags, COMPRESSION, 1) not in COMPRESSIONS:
        found = f"compression {_first(tags, COMPRESSION, 1)} in the TIFF file"
        raise InputError(f"{path}: found {found}, expected none, LZW, deflate, PackBits or JPEG")
    if samples > 1 and bits != 8 and _first(tags, PLANES, 1) != 1:
        raise InputError(
            f"{path}: found separate planes of {bits} bits in the TIFF file, expected colours pixel by pixel"
        )


def _check_whole(path, tags, size):
    """Raises InputError where parts of the picture lie behind the end of the file."""
    offsets, counts = next(((tags[a], tags[b]) for a, b in PARTS if tags.get(a) and tags.get(b)), ((), ()))
    if not offsets or len(offsets) != len(counts):
        raise InputError(f"{path}: found no pixels in the TIFF file, expected strips or tiles")
    if max(offset + count for offset, count in zip(offsets, counts)) > size:
        raise InputError(f"{path}: the TIFF file is truncated after {size} bytes; copy the file again")


def _spacing(tags):
    """Returns `(row, column)` in millimetres of the stored grid, or None where the tags hold no measurement."""
    unit = MILLIMETRES.get(_first(tags, UNIT, 2))
    ratios = [tags.get(tag, ()) for tag in (Y_RESOLUTION, X_RESOLUTION)]
    if unit is None or any(len(ratio) != 2 or not all(ratio) for ratio in ratios):
        return None
    row, column = (numerator / denominator for numerator, denominator in ratios)
    if row == column and any(abs(row * 25.4 / unit - dpi) < 0.5 for dpi in SCREEN_DPI):
        return None
    return unit / row, unit / column


def _first(tags, tag, default):
    values = tags.get(tag) or (default,)
    return values[0]
