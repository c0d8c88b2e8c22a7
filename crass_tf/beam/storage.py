"""Files on any file system that Beam serves, such as `gs://`: read with patience, written whole or not at all."""

import os
import pathlib
import time
from collections.abc import Iterable, Iterator

from apache_beam.io.filesystem import CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems

from crass_tf.common.files import TEMPORARY, InputError, atomic_file

# Object stores show only complete files; elsewhere a temporary file is written and then moved into place.
OBJECT_STORES = ("gs", "s3", "azfs")
# Seconds between attempts to read.
PAUSES = (1, 4)


def is_local(url: str) -> bool:
    """Returns whether a path is one of this machine, without a scheme."""
    return FileSystems.get_scheme(url) is None


def match(pattern: str) -> list[FileMetadata]:
    """Returns path, size and time of change of the files that match a pattern, where `**` also matches `/`.

    InputError where the file system cannot be had, or does not answer.
    """
    try:
        return FileSystems.match([pattern])[0].metadata_list
    # Each file system raises errors of its own.
    except Exception as error:
        raise InputError(f"{pattern}: cannot be listed ({' '.join(str(error).split())})") from None


def read(url: str, start: int = 0, size: int = -1) -> bytes:
    """Returns the content of a file, or `size` bytes of it; tries again for a moment before it raises OSError."""
    if is_local(url):
        return _read_from(pathlib.Path(url).open("rb"), start, size)
    for pause in (*PAUSES, None):
        try:
            return _read_from(FileSystems.open(url, compression_type=CompressionTypes.UNCOMPRESSED), start, size)
        except FileNotFoundError:
            raise
        except Exception as error:
            if pause is None:
                raise OSError(f"cannot be read ({error})") from None
            time.sleep(pause)
    raise AssertionError


def _read_from(file, start, size):
    with file:
        if start:
            file.seek(start)
        if size >= 0:
            return file.read(size)
        return b"".join(iter(lambda: file.read(16_000_000), b""))


def write(url: str, data: bytes) -> None:
    """Writes a file whole or not at all; one that is there is replaced."""
    if is_local(url):
        with atomic_file(url) as temporary:
            temporary.write_bytes(data)
        return
    if FileSystems.get_scheme(url) in OBJECT_STORES:
        _create(url, data)
        return
    folder, name = FileSystems.split(url)
    temporary = FileSystems.join(folder, f"{TEMPORARY}{os.urandom(4).hex()}{pathlib.PurePath(name).suffix}")
    _create(temporary, data)
    FileSystems.rename([temporary], [url])


def _create(url, data):
    with FileSystems.create(url, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        file.write(data)


def remove(urls: Iterable[str]) -> None:
    """Removes files, where they are there."""
    for url in urls:
        if is_local(url):
            pathlib.Path(url).unlink(missing_ok=True)
        elif FileSystems.exists(url):
            FileSystems.delete([url])


def below(folder: str, pattern: str) -> Iterator[str]:
    """Yields the paths that match a pattern in a folder, which need not be there."""
    if not is_local(folder) or pathlib.Path(folder).is_dir():
        yield from (entry.path for entry in match(f"{folder}/{pattern}"))
