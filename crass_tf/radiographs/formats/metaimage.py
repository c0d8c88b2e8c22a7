"""MetaImage files (`.mhd` with a raw file, `.mha`), as CRASS12 was first released: 2-D grey values of 8 and 16 bits."""

import math
import pathlib
import stat
import zlib

import numpy as np

from crass_tf.common.files import InputError
from crass_tf.common.types import PathLike
from crass_tf.radiographs import formats

SUFFIXES = (".mhd", ".mha")
TYPES = {"MET_UCHAR": np.uint8, "MET_CHAR": np.int8, "MET_USHORT": np.uint16, "MET_SHORT": np.int16}
# A header's text ends long before this; in a `.mha` the pixels follow.
MAX_HEADER = 65536
LOCAL = "LOCAL"
# Keys with which writers begin a header.
START = b"ObjectType"
# What the format takes for true, by its first letter.
TRUE = ("T", "t", "1")


def is_header(path: PathLike | formats.Content) -> bool:
    """Returns whether a file is called `.mhd` or `.mha`, in whatever case; bytes without a name begin like one."""
    if isinstance(path, formats.Content) and path.path is None:
        return path.data.startswith(START)
    return formats.suffix(path) in SUFFIXES


def read_header(content: formats.Content) -> formats.Header:
    """Returns the `Header` of a MetaImage file, after checking that the file with the pixels can be what it promises.

    Raises:
        InputError: where the header is no such header, promises an impossible size, or the pixels are elsewhere.
    """
    return _open(content)[0]


def read(content: formats.Content) -> formats.Decoded:
    """Returns the `Decoded` of a MetaImage file: uint8, uint16, int8 or int16 `[H, W]`.

    A spacing of 1 x 1 mm is a default of writers, and counts as unknown.

    Raises:
        InputError: as `read_header`, and where there are fewer pixels than the header promises, or twice as many.
    """
    header, fields, start = _open(content)
    data, surplus = _pixel_bytes(content, fields, start, _byte_count(header))
    order = ">" if _is_true(fields, "BinaryDataByteOrderMSB", "ElementByteOrderMSB") else "<"
    stored = np.frombuffer(data, np.dtype(header.dtype).newbyteorder(order)).reshape(header.size)
    return formats.Decoded(stored.astype(header.dtype), _spacing(content, fields), notes=formats.surplus_notes(surplus))


def pixel_files(path: PathLike) -> list[pathlib.Path]:
    """Returns the file that a `.mhd` header points to; none where the pixels follow the header."""
    name = _fields(path, formats.read_bytes(path, MAX_HEADER))[0]["ElementDataFile"]
    return [] if name == LOCAL else [pathlib.Path(path).with_name(name)]


def _open(content):
    """Returns the `Header`, the header's `{key: value}`, and the number of its bytes."""
    fields, end = _fields(content, content.data[:MAX_HEADER])
    size, kind = _read_size(content, fields), fields.get("ElementType")
    if kind not in TYPES:
        raise InputError(f"{content}: found ElementType = {kind}, expected one of {', '.join(TYPES)}")
    header = formats.Header(size, TYPES[kind])
    _check_data_file(content, fields, _byte_count(header))
    return header, fields, end


def _fields(path, head):
    """Returns the header's `{key: value}`, and the number of its bytes."""
    fields, end = {}, 0
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


def _read_size(content, fields):
    numbers = _read_numbers(content, fields, "DimSize", int)
    if len(numbers) not in (2, 3) or numbers[2:] not in ([], [1]) or min(numbers) < 1:
        raise InputError(f"{content}: found DimSize = {fields['DimSize']}, expected one image, WIDTH HEIGHT")
    if fields.get("ElementNumberOfChannels", "1") != "1":
        raise InputError(f"{content}: found {fields['ElementNumberOfChannels']} channels, expected 1, grey values")
    if fields.get("NDims") != str(len(numbers)):
        problem = f"NDims = {fields.get('NDims')} with DimSize = {fields['DimSize']}"
        raise InputError(f"{content}: the MetaImage file cannot be decoded, found {problem}, expected as many numbers")
    width, height = numbers[:2]
    content.check_size(width, height)
    return height, width


def _check_data_file(content, fields, expected):
    """Raises InputError unless the pixels lie beside the header, in as many bytes as it promises."""
    name = fields["ElementDataFile"]
    if name == LOCAL:
        return
    if name in ("", "..") or pathlib.PurePath(name).name != name or "\\" in name or "\0" in name:
        raise InputError(f"{content}: found ElementDataFile = {name!r}, expected the name of one file beside it")
    if content.path is None:
        raise InputError(f"bytes: found ElementDataFile = {name!r}, expected {LOCAL}; give the header's path instead")
    data_file = content.path.with_name(name)
    try:
        status = data_file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError
    except OSError as error:
        # A name that is too long is that of a missing file, too.
        reason = "file not found" if isinstance(error, FileNotFoundError) else f"cannot be opened ({error.strerror})"
        raise InputError(f"{data_file}: {reason}, expected because {content.path.name} names it") from None
    is_raw = not _is_true(fields, "CompressedData") and fields.get("HeaderSize", "0") == "0"
    if is_raw and status.st_size != expected and not formats.is_surplus(status.st_size - expected, expected):
        raise InputError(f"{data_file}: found {status.st_size} bytes, expected the {expected} that {content} promises")


def _pixel_bytes(content, fields, end, expected):
    """Returns the `expected` bytes of the pixels, and how many more there are."""
    if not _is_true(fields, "BinaryData", default="True"):
        raise InputError(f"{content}: found BinaryData = {fields['BinaryData']}, expected True, no pixels as text")
    data_file, data, start = content, content.data, end
    if fields["ElementDataFile"] != LOCAL:
        data_file = content.path.with_name(fields["ElementDataFile"])
        data, start = formats.read_bytes(data_file), 0
    header_size = sum(_read_numbers(content, {"HeaderSize": "0"} | fields, "HeaderSize", int))
    # -1 says that the pixels end with the file.
    start = max(len(data) - expected, 0) if header_size == -1 else header_size or start
    data, is_packed = memoryview(data)[start:], _is_true(fields, "CompressedData")
    if is_packed:
        data = _unpack(data, expected)
    surplus = len(data) - expected
    if surplus and not formats.is_surplus(surplus, expected):
        problem = "the compressed pixels do not unpack to" if is_packed else "the pixels of the MetaImage file are not"
        raise InputError(f"{data_file}: {problem} the {expected} bytes that {content} promises; copy the file again")
    return data[:expected], surplus


def _unpack(data, expected):
    """Returns what compressed pixels unpack to, with what may be surplus; nothing where they are damaged."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS + 32)
    try:
        unpacked = unpacker.decompress(data, 2 * expected + formats.MAX_SURPLUS)
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


def _spacing(content, fields):
    key = "ElementSpacing" if "ElementSpacing" in fields else "ElementSize"
    if key not in fields:
        return None
    column_mm, row_mm = (_read_numbers(content, fields, key, float) + [0, 0])[:2]
    if (column_mm, row_mm) == (1, 1):
        return None
    if not all(math.isfinite(length) and length > 0 for length in (row_mm, column_mm)):
        raise InputError(f"{content}: found {key} = {fields[key]}, expected two lengths above 0 in millimetres")
    return row_mm, column_mm


def _read_numbers(content, fields, key, kind):
    try:
        return [kind(word) for word in fields[key].split()]
    except (KeyError, ValueError):
        raise InputError(f"{content}: found {key} = {fields.get(key)}, expected numbers") from None
