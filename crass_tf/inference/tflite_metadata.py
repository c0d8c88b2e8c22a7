"""What a `.tflite` says of itself: `crass_tf.json` in a zip archive at its end, as LiteRT's associated files are kept.

LiteRT reads such a file as any other; zip tools list and extract what is attached. Standard library only.
"""

import hashlib
import io
import json
import pathlib
import zipfile
import zlib
from typing import Any

from crass_tf.common.files import InputError
from crass_tf.common.types import PathLike

NAME = "crass_tf.json"
FORMAT_VERSION = 2
# What goes into every model of this package, and what comes out.
MEANING = {"grey_range": [0, 255], "classes": ["background", "clavicle"], "logit_threshold": 0.0}
# Of a FlatBuffer with LiteRT's schema: bytes 4 to 7.
MARK = slice(4, 8), b"TFL3"
MAX_BYTES = 1_000_000
EARLIEST = (1980, 1, 1, 0, 0, 0)


def attach(model: bytes, about: dict[str, Any]) -> bytes:
    """Returns the bytes of a `.tflite` with its description attached; the same arguments give the same bytes.

    Args:
        model: the bytes of a `.tflite` without description.
        about: what `crass_tf.export.describe` returned. `format_version` and the model's `sha256` are added.
    """
    content = {"format_version": FORMAT_VERSION, **about, "sha256": hashlib.sha256(model).hexdigest()}
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(zipfile.ZipInfo(NAME, EARLIEST), json.dumps(content, indent=2) + "\n")
    return file.getvalue()


def read(path: PathLike) -> dict[str, Any]:
    """Returns the description in a `.tflite`, a dictionary, once it is known to be this model's.

    Raises:
        InputError: for a file that is no LiteRT model, comes from elsewhere, is damaged, or is newer than this package.
    """
    data = pathlib.Path(path).read_bytes()
    place, mark = MARK
    if data[place] != mark:
        raise InputError(f"{path}: cannot be opened as a LiteRT model (it starts with {data[:8]!r})")
    about, end = _attached(path, data)
    version = about.get("format_version")
    if version != FORMAT_VERSION:
        found = f"found format version {version!r} in its {NAME}, expected {FORMAT_VERSION}"
        raise InputError(f"{path}: {found}; install the crass-tf that made it, or export it again")
    if about.get("sha256") != hashlib.sha256(memoryview(data)[:end]).hexdigest():
        raise InputError(f"{path}: found another checksum than its {NAME} says; the file is damaged: copy it again")
    return about


def _attached(path, data):
    """Returns the content of `crass_tf.json` and the number of bytes before the archive."""
    file = io.BytesIO(data)
    missing = (
        f"{path}: found no {NAME} in it, expected a model made by `crass-tf export`; "
        "one that an earlier version made has to be exported again, one cut short copied again"
    )
    if not zipfile.is_zipfile(file):
        raise InputError(missing)
    try:
        with zipfile.ZipFile(file) as archive:
            info = archive.getinfo(NAME)
            if info.file_size > MAX_BYTES:
                raise ValueError(f"it claims {info.file_size} bytes")
            about = json.loads(archive.read(info))
            end = min(info.header_offset for info in archive.infolist())
        if not isinstance(about, dict):
            raise ValueError("no JSON object")
    except KeyError:
        raise InputError(missing) from None
    # What damage leads to; a JSON nested without end is one case of it.
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, RuntimeError) as error:
        raise InputError(f"{path}: its {NAME} cannot be read ({error}); copy the file again") from None
    return about, end
