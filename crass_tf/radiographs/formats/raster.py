"""PNG, JPEG, TIFF and GIF files, opened, checked and decoded by Pillow; their spacing and orientation.

Pillow accepts files that are not safe for radiographs; these checks are added here: it ignores the end of a file while
it reads tags and parts (`_Header`), and over what is missing at the end of PNG, JPEG and TIFF files (`_check_png`,
`_read`, `_check_tiff`); it reduces colours of 16 bits to 8, and accepts wrong codes in GIF files (`_pixels`); it
leaves grey values of more than 8 bits inverted, and takes signed values of 8 bits for unsigned ones (`_tiff_pixels`).
"""

import io

import cv2
import numpy as np
from PIL import ImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from crass_tf.common.files import InputError
from crass_tf.radiographs.formats import Content, Decoded, png

# The first bytes of each format, and Pillow's reader for it.
READERS = {
    png.SIGNATURE: PngImageFile,
    b"\xff\xd8\xff": JpegImageFile,
    b"II*\0": TiffImageFile,
    b"MM\0*": TiffImageFile,
    b"II+\0": TiffImageFile,
    b"GIF87a": GifImageFile,
    b"GIF89a": GifImageFile,
}
SIGNATURES = tuple(READERS)
# To know a file's size and tags, Pillow reads a few kilobytes in some hundred steps. Tags of TIFF may share their
# values' bytes, so that without a limit a small file could fill the memory.
MAX_HEADER_BYTES, MAX_READS = 2**22, 2**16
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
JPEG_END = b"\xff\xd9"
# Pixels per inch that programs write by default; they are no measurement.
SCREEN_DPI = (1.0, 72.0, 96.0)
# Tags of TIFF and EXIF.
SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, SAMPLES = 254, 256, 257, 258, 259, 262, 274, 277
# Where the strips or the tiles of a TIFF file lie, and how many bytes each has.
STRIPS, TILES, TILE_WIDTH, TILE_HEIGHT = (273, 279), (324, 325), 322, 323
NO_COMPRESSION, JPEG_COMPRESSION, WHITE_IS_ZERO = 1, 7, 0
SAMPLE_FORMAT, SIGNED = 339, 2
# What turns stored pixels upright, by the value of the orientation tag; 5 to 8 exchange rows and columns.
TURNS = {
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: cv2.transpose,
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.rotate(cv2.transpose(pixels), cv2.ROTATE_180),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


class _Header(io.BytesIO):
    """A file's bytes, of which Pillow may read no more than there are, and not far more than a header has.

    `has_limits` is set to False before the pixels are decoded, where reading up to the end is normal.
    """

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(data)
        self.name, self.size, self.has_limits = name, len(data), True
        self.bytes_left, self.reads_left = MAX_HEADER_BYTES, MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """Returns the next bytes; InputError where there are fewer, or a limit is reached."""
        data = super().read(size)
        if self.has_limits:
            self.bytes_left, self.reads_left = self.bytes_left - len(data), self.reads_left - 1
            if size is not None and len(data) < size:
                raise InputError(f"{self.name} is truncated after {self.size} bytes; copy the file again")
            if self.bytes_left < 0 or self.reads_left < 0:
                raise InputError(f"{self.name} is damaged, its header does not end; copy the file again")
        return data


def read(content: Content) -> Decoded:
    """Returns the `content.Decoded` of a PNG, JPEG, TIFF or GIF file: upright, spacing with it.

    Raises:
        InputError: where the file is truncated, damaged, no picture of grey values or colours, or more than one.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        problem = "found PIL.ImageFile.LOAD_TRUNCATED_IMAGES set, with which damaged files pass for whole ones"
        raise InputError(f"{content}: {problem}, expected False")
    try:
        return _read(content)
    except InputError:
        raise
    # A damaged file may raise any error in Pillow.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{content}: the image cannot be decoded ({reason}); copy the file again") from None


def _read(content):
    image, header = _open(content)
    is_tiff, is_png = isinstance(image, TiffImageFile), isinstance(image, PngImageFile)
    # Pillow turns the pixels of TIFF files itself, and forgets that it did.
    orientation = _check_tiff(content, image) if is_tiff else None
    header.bytes_left = header.size
    if not is_tiff and getattr(image, "is_animated", False):
        raise InputError(f"{content}: found more than one picture, an animation, expected 1 picture")
    if is_png:
        _check_png(content, image, header)
        image, header = _open(content)
    # Before the end of a JPEG file, a small copy with an end of its own may stand in its header.
    if isinstance(image, JpegImageFile) and JPEG_END not in content.data[header.tell() :]:
        raise InputError(f"{content}: the JPEG file is truncated after {len(content.data)} bytes; copy the file again")
    header.has_limits = False
    image.load()
    spacing_mm = _spacing(image.info.get("dpi")) if is_tiff or is_png else None
    if is_tiff:
        pixels = _tiff_pixels(content, image)
    else:
        pixels = _pixels(content, image, content.data[png.BIT_DEPTH] if is_png else 8)
        orientation = _exif_orientation(image.info.get("exif", b""))
    if orientation not in TURNS:
        return Decoded(pixels, spacing_mm)
    if spacing_mm and orientation > 4:
        spacing_mm = spacing_mm[1], spacing_mm[0]
    note = f"turned upright by the file's orientation tag (EXIF), value {orientation}"
    return Decoded(pixels if is_tiff else TURNS[orientation](pixels), spacing_mm, notes=(note,))


def _open(content):
    """Returns Pillow's image, none of whose pixels are decoded yet, and what it reads from."""
    reader = next(READERS[start] for start in SIGNATURES if content.data.startswith(start))
    header = _Header(f"{content}: the {reader.format} file", content.data)
    if reader is PngImageFile:
        png.read_header(content)
    image = reader(header)
    content.check_size(*image.size)
    return image, header


def _check_png(content, image, header):
    """Raises InputError unless all checksums are right, up to the end, and colours are there where they are needed."""
    if image.mode == "P" and image.palette is None:
        raise InputError(f"{content}: the image cannot be decoded (no palette); copy the file again")
    image.verify()
    if not content.data.startswith(PNG_END, header.tell() - 8):
        problem = f"truncated after {len(content.data)} bytes, or damaged at its end"
        raise InputError(f"{content}: the PNG file is {problem}; copy the file again")


def _check_tiff(content, image):
    """Returns the orientation; InputError for several pages, and where pixels are missing, which Pillow ignores."""
    subfiles = []
    for page in range(image.n_frames):
        image.seek(page)
        subfiles.append(image.tag_v2.get(SUBFILE, 0) & 1)
    # Further pages may only be smaller copies of the picture.
    if subfiles.count(0) != 1 or subfiles[0]:
        raise InputError(f"{content}: found {subfiles.count(0)} pages in the TIFF file, expected one, the first")
    image.seek(0)
    tags = image.tag_v2
    offsets, counts = next(((tags[a], tags.get(b, ())) for a, b in (STRIPS, TILES) if a in tags), ((), ()))
    stored_bytes = _stored_bytes(content, tags)
    if tags.get(COMPRESSION, NO_COMPRESSION) == NO_COMPRESSION:
        is_whole = sum(counts) >= stored_bytes
    else:
        # libtiff gives JPEG data an end where they have none.
        parts = [content.data[offset : offset + count].rstrip(b"\0") for offset, count in zip(offsets, counts)]
        is_whole = tags[COMPRESSION] != JPEG_COMPRESSION or all(part.endswith(JPEG_END) for part in parts)
    if not is_whole:
        raise InputError(f"{content}: the pixels in the TIFF file end too soon; copy the file again")
    return tags.get(ORIENTATION)


def _stored_bytes(content, tags):
    """Returns the bytes of a TIFF file's pixels where they are not compressed; tiles are filled up to their size."""
    tile_width, tile_height = (tags.get(tag, 1) for tag in (TILE_WIDTH, TILE_HEIGHT))
    content.check_size(tile_width, tile_height)
    width, height = tile_width * -(-tags[WIDTH] // tile_width), tile_height * -(-tags[HEIGHT] // tile_height)
    return -(-width * max(tags.get(BITS, (1,))) * tags.get(SAMPLES, 1) // 8) * height


def _tiff_pixels(content, image):
    """Returns the pixels of a TIFF file as `_pixels` does; InputError for kinds that cannot be kept as they are."""
    tags, bits = image.tag_v2, max(image.tag_v2.get(BITS, (1,)))
    if image.mode in ("F", "CMYK", "LAB") or bits > 16 or PHOTOMETRIC not in tags:
        problem = f"found {bits} bits of photometric interpretation {tags.get(PHOTOMETRIC)} in the TIFF file"
        raise InputError(f"{content}: {problem}, expected integers of 8 or 16 bits, grey values or RGB")
    # Whether colours are premultiplied by alpha depends on the program that wrote them.
    if image.mode in ("LA", "La", "RGBA") and image.getchannel(image.getbands()[-1]).getextrema() != (255, 255):
        raise InputError(f"{content}: found a TIFF file with transparent pixels, expected opaque ones")
    pixels = _pixels(content, image, bits)
    if bits == 8 and max(tags.get(SAMPLE_FORMAT, (1,))) == SIGNED:
        pixels = pixels.view(np.int8)
    is_inverted = tags[PHOTOMETRIC] == WHITE_IS_ZERO and bits > 8
    return (2**bits - 1 - pixels).astype(pixels.dtype) if is_inverted else pixels


def _pixels(content, image, bits):
    """Returns what `Decoded.pixels` is of an image that Pillow has decoded without an error."""
    if image.mode.startswith("I"):
        pixels = np.asarray(image)
        return pixels.astype(np.int16) if pixels.dtype == np.int32 else pixels
    if bits > 8 or isinstance(image, GifImageFile):
        # Pillow reduces colours to 8 bits, and passes over wrong codes in GIF files.
        pixels = cv2.imdecode(np.frombuffer(content.data, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise InputError(f"{content}: the image cannot be decoded; copy the file again")
        return pixels
    if image.mode in ("1", "LA", "La"):
        image = image.convert("L")
    if image.mode == "L":
        return np.asarray(image)
    return cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR)


def _spacing(dpi):
    """Returns `(row, column)` in millimetres, given columns and rows per inch; None where they were not measured."""
    if dpi is None or not all(dpi):
        return None
    columns, rows = map(float, dpi)
    if columns == rows and any(abs(rows - screen) < 0.5 for screen in SCREEN_DPI):
        return None
    # Without what was lost on the way from pixels per metre.
    return round(25.4 / rows, 9), round(25.4 / columns, 9)


def _exif_orientation(exif):
    """Returns the orientation that an EXIF block gives, or None where it is broken or gives none."""
    block = _Header("EXIF", exif.removeprefix(b"Exif\0\0"))
    try:
        tags = ImageFileDirectory_v2(block.read(8))
        block.seek(tags.next)
        tags.load(block)
        return tags.get(ORIENTATION)
    # As in `read`; without the block the picture is whole.
    except Exception:
        return None
