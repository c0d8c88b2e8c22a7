"""MetaImage files (`.mhd` with a raw file, `.mha`), as CRASS12 was first released: 2-D grey values of 8 and 16 bits."""

import math
import pathlib
import zlib

import numpy as np

from crass_tf.files import InputError
from crass_tf.formats.content import Header, check_size, read_bytes

SUFFIXES = (".mhd", ".mha")
TYPES = {"MET_UCHAR": np.uint8, "MET_CHAR": np.int8, "MET_USHORT": np.uint16, "MET_SHORT": np.int16}
# A header's text ends long before this; in a `.mha` the pixels follow.
MAX_HEADER = 65536
LOCAL = "LOCAL"
# What the format takes for true, by its first letter.
TRUE = ("T", "t", "1")


def is_header(path):
    """Returns whether the file is called `.mhd` or `.mha`, in whatever case."""
    return pathlib.Path(path).suffix.lower() in SUFFIXES


def read_header(path):
    """Returns the `Header` of a MetaImage file, after checking that the file with the pixels can be what it promises.

    Raises:
        InputError: where the header is no such header, promises an impossible size, or the pixels are elsewhere.
    """
    fields, _ = _fields(path)
    header = Header(_size(path, fields), _dtype(path, fields))
    _check_data_file(path, fields, _byte_count(header))
    return header


def read(path):
    """Returns `(pixels, spacing_mm)`: uint8, uint16, int8 or int16 `[H, W]`, and `(row, column)` or None.

    A spacing of 1 x 1 mm is what writers fill in when they know nothing, and taken as no measurement.

    Raises:
        InputError: as `read_header`, and where there are fewer or more pixels than the header promises.
    """
    header, (fields, _) = read_header(path), _fields(path)
    order = ">" if _is_true(fields, "BinaryDataByteOrderMSB", "ElementByteOrderMSB") else "<"
    stored = np.frombuffer(_data(path, _byte_count(header)), np.dtype(header.dtype).newbyteorder(order))
    return stored.reshape(header.size).astype(header.dtype), _spacing(path, fields)


def data_files(path):
    """Returns the files that hold an image, of whatever format: `path`, and what a `.mhd` header points to."""
    path = pathlib.Path(path)
    name = _fields(path)[0]["ElementDataFile"] if is_header(path) else LOCAL
    return [path] if name == LOCAL else [path, path.with_name(name)]


def _fields(path):
    """Returns the header's `{key: value}`, and the number of its bytes."""
    head, fields, end = read_bytes(path, MAX_HEADER), {}, 0
    for line in head.splitlines(keepends=True):
        # The name of a raw file may be of any bytes, as a path may be.
        key, equals, value = (part.strip() for part in line.decode("utf-8", "surrogateescape").partition("="))
        if not equals:
            break
        # Others take a colon for the sign between key and value, and the last of two values.
        if ":" in key or key in fields:
            raise InputError(f"{path}: found {key!r} in the MetaImage header, expected each key once, as KEY = VALUE")
        fields[key], end = value, end + len(line)
        if key == "ElementDataFile":
            return fields, end
    start = head[:20].decode("latin-1")
    raise InputError(f"{path}: found no MetaImage header (it starts with {start!r}), expected lines KEY = VALUE")


def _size(path, fields):
    numbers = _numbers(path, fields, "DimSize", int)
    if len(numbers) not in (2, 3) or numbers[2:] not in ([], [1]) or min(numbers) < 1:
        raise InputError(f"{path}: found DimSize = {fields['DimSize']}, expected one image, WIDTH HEIGHT")
    if fields.get("ElementNumberOfChannels", "1") != "1":
        raise InputError(f"{path}: found {fields['ElementNumberOfChannels']} channels, expected 1, grey values")
    if fields.get("NDims") != str(len(numbers)):
        found = f"NDims = {fields.get('NDims')} with DimSize = {fields['DimSize']}"
        raise InputError(f"{path}: the MetaImage file cannot be decoded, found {found}, expected as many numbers")
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
    if not _is_true(fields, "CompressedData") and fields.get("HeaderSize", "0") == "0" and found != expected:
        raise InputError(f"{data_file}: found {found} bytes, expected the {expected} that {path} promises")


def _data(path, expected):
    """Returns the bytes of the pixels, of which there have to be `expected`."""
    (fields, end), data_file = _fields(path), data_files(path)[-1]
    if not _is_true(fields, "BinaryData", default="True"):
        raise InputError(f"{path}: found BinaryData = {fields['BinaryData']}, expected True, no pixels as text")
    data, is_packed = read_bytes(data_file), _is_true(fields, "CompressedData")
    data = memoryview(data)[_start(path, fields, end, len(data) - expected) :]
    if is_packed:
        data = _unpacked(data, expected)
    if len(data) != expected:
        found = "the compressed pixels do not unpack to" if is_packed else "the pixels of the MetaImage file are not"
        raise InputError(f"{data_file}: {found} the {expected} bytes that {path} promises; copy the file again")
    return data


def _start(path, fields, end, before_pixels):
    """Returns where the pixels begin in their file; a HeaderSize of -1 says that they end with it."""
    size = sum(_numbers(path, {"HeaderSize": "0"} | fields, "HeaderSize", int))
    if size == -1:
        return max(before_pixels, 0)
    return size or (end if fields["ElementDataFile"] == LOCAL else 0)


def _unpacked(data, expected):
    """Returns what compressed pixels unpack to, a byte more than expected at most; nothing where they are damaged."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS + 32)
    try:
        unpacked = unpacker.decompress(data, expected + 1)
    except zlib.error:
        return b""
    return unpacked if unpacker.eof else b""


def _is_true(fields, *keys, default="False"):
    """Returns whether the first of some keys that a header has is true."""
    value = next((fields[key] for key in keys if key in fields), default)
    return value.startswith(TRUE)


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
