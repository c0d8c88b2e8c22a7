"""MetaImage files (`.mhd` with a raw file, `.mha`), as CRASS12 was first released; decoded by SimpleITK.

The header is read here first: what SimpleITK would only call unreadable gets a name, and so does what it would believe.
"""

import math
import pathlib

import numpy as np

from crass_tf.files import InputError
from crass_tf.formats.content import Header, check_size, read_bytes
from crass_tf.native import quiet_native

SUFFIXES = (".mhd", ".mha")
TYPES = {"MET_UCHAR": np.uint8, "MET_CHAR": np.int8, "MET_USHORT": np.uint16, "MET_SHORT": np.int16}
# A header's text ends long before this; in a `.mha` the pixels follow.
MAX_HEADER = 65536
LOCAL = "LOCAL"


def is_header(path):
    """Returns whether the file is called `.mhd` or `.mha`, in whatever case."""
    return pathlib.Path(path).suffix.lower() in SUFFIXES


def read_header(path):
    """Returns the `Header` of a MetaImage file, after checking that the file with the pixels can be what it promises.

    Raises:
        InputError: where the header is no such header, promises an impossible size, or the pixels are elsewhere.
    """
    fields = _fields(path)
    size, dtype = _size(path, fields), _dtype(path, fields)
    _check_data_file(path, fields, size[0] * size[1] * np.dtype(dtype).itemsize)
    return Header(size, dtype)


def read(path):
    """Returns `(pixels, spacing_mm)`: uint8, uint16, int8 or int16 `[H, W]`, and `(row, column)` or None.

    A spacing of 1 x 1 mm is what writers fill in when they know nothing, and taken as no measurement.
    """
    size = read_header(path).size
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
    return pixels.reshape(size), _spacing(path, _fields(path))


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
    if int(fields.get("ElementNumberOfChannels", "1")) != 1:
        raise InputError(f"{path}: found {fields['ElementNumberOfChannels']} channels, expected grey values")
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
    if not name or pathlib.PurePath(name).name != name or "\\" in name:
        raise InputError(f"{path}: found ElementDataFile = {name}, expected the name of one file beside it")
    data_file = pathlib.Path(path).with_name(name)
    try:
        found = data_file.stat().st_size
    except OSError:
        raise InputError(f"{data_file}: file not found, expected because {pathlib.Path(path).name} names it") from None
    compressed = fields.get("CompressedData", "False").lower() == "true"
    if not compressed and fields.get("HeaderSize", "0") == "0" and found != expected:
        raise InputError(f"{data_file}: found {found} bytes, expected the {expected} that {path} promises")


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
