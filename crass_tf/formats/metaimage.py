"""MetaImage files (`.mhd` with a raw file, `.mha`), as CRASS12 was first released; decoded by SimpleITK.

The header is read here first: what SimpleITK would only call unreadable gets a name, and so does what it would believe.
"""

import math
import pathlib
import re
import zlib

import numpy as np

from crass_tf.files import InputError
from crass_tf.formats.content import Header, check_size, read_bytes
from crass_tf.native import quiet_native

SUFFIXES = (".mhd", ".mha")
TYPES = {"MET_UCHAR": np.uint8, "MET_CHAR": np.int8, "MET_USHORT": np.uint16, "MET_SHORT": np.int16}
# A header's text ends long before this; in a `.mha` the pixels follow.
MAX_HEADER = 65536
LOCAL = "LOCAL"
# The line after which the pixels follow in the same file.
LOCAL_LINE = re.compile(rb"^[ \t]*ElementDataFile[ \t]*=[ \t]*LOCAL[ \t\r]*\n", re.MULTILINE)


def is_header(path):
    """Returns whether the file is called `.mhd` or `.mha`, in whatever case."""
    return pathlib.Path(path).suffix.lower() in SUFFIXES


def read_header(path):
    """Returns the `Header` of a MetaImage file, after checking that the file with the pixels can be what it promises.

    Raises:
        InputError: where the header is no such header, promises an impossible size, or the pixels are elsewhere.
    """
    fields = _fields(path)
    header = Header(_size(path, fields), _dtype(path, fields))
    _check_data_file(path, fields, _byte_count(header))
    return header


def read(path):
    """Returns `(pixels, spacing_mm)`: uint8, uint16, int8 or int16 `[H, W]`, and `(row, column)` or None.

    A spacing of 1 x 1 mm is what writers fill in when they know nothing, and taken as no measurement.
    """
    header, fields = read_header(path), _fields(path)
    _check_compressed(path, fields, _byte_count(header))
    try:
        import SimpleITK as sitk
    except ImportError:
        raise InputError(f"{path}: MetaImage files need SimpleITK; install it with: pip install SimpleITK") from None
    try:
        # Its lines on damaged files come beside the error.
        with quiet_native():
            pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="MetaImageIO"))
    except RuntimeError:
        raise InputError(f"{path}: the MetaImage file cannot be decoded; copy it and its raw file again") from None
    return pixels.reshape(header.size), _spacing(path, fields)


def data_files(path):
    """Returns the files that hold an image, of whatever format: `path`, and what a `.mhd` header points to."""
    path = pathlib.Path(path)
    name = _fields(path)["ElementDataFile"] if is_header(path) else LOCAL
    return [path] if name == LOCAL else [path, path.with_name(name)]


def _fields(path):
    """Returns the header's `{key: value}`."""
    text = read_bytes(path, MAX_HEADER).decode("latin-1")
    fields = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if not equals:
            break
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            return fields
    raise InputError(f"{path}: found no MetaImage header (it starts with {text[:20]!r}), expected lines KEY = VALUE")


def _size(path, fields):
    numbers = _numbers(path, fields, "DimSize", int)
    if len(numbers) not in (2, 3) or numbers[2:] not in ([], [1]) or min(numbers) < 1:
        raise InputError(f"{path}: found DimSize = {fields['DimSize']}, expected one image, WIDTH HEIGHT")
    if fields.get("ElementNumberOfChannels", "1") != "1":
        raise InputError(f"{path}: found {fields['ElementNumberOfChannels']} channels, expected 1, grey values")
    width, height = numbers[:2]
    check_size(path, width, height)
    return height, width


def _dtype(path, fields):
    kind = fields.get("ElementType")
    if kind not in TYPES:
        raise InputError(f"{path}: found ElementType = {kind}, expected one of {', '.join(TYPES)}")
    return TYPES[kind]


def _check_data_file(path, fields, expected):
    """Raises InputError unless the pixels lie beside the header, in as many bytes as it promises."""
    name = fields["ElementDataFile"]
    if name == LOCAL:
        return
    if name in ("", "..") or pathlib.PurePath(name).name != name or "\\" in name or "\0" in name:
        raise InputError(f"{path}: found ElementDataFile = {name!r}, expected the name of one file beside it")
    data_file = pathlib.Path(path).with_name(name)
    if not data_file.is_file():
        raise InputError(f"{data_file}: file not found, expected because {pathlib.Path(path).name} names it")
    found = data_file.stat().st_size
    if not _is_compressed(fields) and fields.get("HeaderSize", "0") == "0" and found != expected:
        raise InputError(f"{data_file}: found {found} bytes, expected the {expected} that {path} promises")


def _check_compressed(path, fields, expected):
    """Raises InputError unless compressed pixels unpack, by their checksum, to as many bytes as the header promises.

    ITK takes what it can unpack and fills the rest with whatever there is in memory.
    """
    if not _is_compressed(fields):
        return
    *_, data_file = data_files(path)
    data = read_bytes(data_file)
    unpacker = zlib.decompressobj(zlib.MAX_WBITS + 32)
    try:
        found = len(unpacker.decompress(data[_data_start(data, fields) :], expected + 1))
    except zlib.error:
        found = None
    if found != expected or not unpacker.eof:
        promised = f"the {expected} bytes that {path} promises"
        raise InputError(f"{data_file}: the compressed pixels do not unpack to {promised}; copy the file again")


def _data_start(data, fields):
    """Returns where the pixels begin in the content of the file that holds them."""
    line = LOCAL_LINE.search(data) if fields["ElementDataFile"] == LOCAL else None
    return line.end() if line else 0


def _is_compressed(fields):
    return fields.get("CompressedData", "False").lower() == "true"


def _byte_count(header):
    height, width = header.size
    return height * width * np.dtype(header.dtype).itemsize


def _spacing(path, fields):
    key = "ElementSpacing" if "ElementSpacing" in fields else "ElementSize"
    if key not in fields:
        return None
    column_mm, row_mm = (_numbers(path, fields, key, float) + [0, 0])[:2]
    if (column_mm, row_mm) == (1, 1):
        return None
    if not all(math.isfinite(length) and length > 0 for length in (row_mm, column_mm)):
        raise InputError(f"{path}: found {key} = {fields[key]}, expected two lengths above 0 in millimetres")
    return row_mm, column_mm


def _numbers(path, fields, key, kind):
    try:
        return [kind(word) for word in fields[key].split()]
    except (KeyError, ValueError):
        raise InputError(f"{path}: found {key} = {fields.get(key)}, expected numbers") from None
