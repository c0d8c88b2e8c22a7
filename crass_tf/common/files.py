"""Reading text, writing files so that nobody ever sees half of one, and the error that names a user's mistake."""

import contextlib
import errno
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import typing
from collections.abc import Iterable, Iterator

from crass_tf.common.types import PathLike

# With these errors no other file can be written either.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
# What the names of temporary files begin with.
TEMPORARY = ".crass-tf-"
# `gs://bucket`, and `gs:/bucket`, which pathlib makes of it; a drive of Windows has one letter.
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(/+)(.*)", re.DOTALL)
# What TFDS reads and writes through etils.epath.
DATA_URLS = ("gs", "s3", "az", "hf")


class InputError(ValueError):
    """A user's mistake: one line that names the file or argument, what was found and what was expected."""


def one_line(text: str) -> str:
    """Returns a text as a terminal may show it: a space for each white space, `?` for what cannot be printed."""
    return "".join(" " if letter.isspace() else letter if letter.isprintable() else "?" for letter in text)


@typing.overload
def local_path(path: None, name: str = ...) -> None: ...


@typing.overload
def local_path(path: PathLike, name: str = ...) -> pathlib.Path: ...


def local_path(path: PathLike | None, name: str = "path") -> pathlib.Path | None:
    """Returns a path that a user gave as a `pathlib.Path`: `~` is the home folder; None stays None.

    Args:
        path: text or a path.
        name: the argument, for messages.

    Raises:
        InputError: for a URL, which would become a local folder called `gs:`, and for the home of an unknown user.
    """
    if path is None:
        return None
    return _check_local(_expand_home(path, name), name)


def local_paths(paths: PathLike | Iterable[PathLike], name: str = "path") -> list[pathlib.Path]:
    """Returns `local_path` of one path or of each of many, as a list."""
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    return [local_path(path, name) for path in paths]


@typing.overload
def output_folder(path: None, name: str = ...) -> None: ...


@typing.overload
def output_folder(path: PathLike, name: str = ...) -> pathlib.Path: ...


def output_folder(path: PathLike | None, name: str = "out") -> pathlib.Path | None:
    """Returns `local_path` of a folder for results, after a check, before any work, that it can be written to.

    Raises:
        InputError: as `local_path`, and where no file can be made there.
    """
    path = local_path(path, name)
    if path is not None:
        with made_folder(path):
            pass
    return path


def output_file(path: PathLike | None, name: str = "out") -> pathlib.Path | None:
    """Returns the same of a file; InputError also for what a file cannot replace: a folder, a pipe, a device."""
    path = local_path(path, name)
    if path is not None:
        with made_folder(path.parent):
            if path.exists() and not path.is_file():
                raise InputError(f"{path}: found a folder or device, expected a file to write")
    return path


@contextlib.contextmanager
def made_folder(path: PathLike) -> Iterator[None]:
    """Makes a folder and its missing parents; afterwards those that are still empty are removed.

    Raises:
        InputError: where it cannot be made, or nothing can be written into it.
    """
    path, missing = pathlib.Path(path), []
    try:
        try:
            missing += [folder for folder in (path, *path.parents) if not folder.exists()]
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                pass
        except OSError as error:
            raise InputError(f"{path}: the folder cannot be made or written to ({error.strerror})") from None
        yield
    finally:
        with contextlib.suppress(OSError):
            for folder in missing:
                folder.rmdir()


def data_path(path: PathLike | None, name: str = "data_dir") -> str | None:
    """Returns a folder of TFDS as text: `~` is the home folder; a URL that TFDS can serve stays one; None stays None.

    Raises:
        InputError: for another URL, and for the home of an unknown user.
    """
    if path is None:
        return None
    text = _expand_home(path, name)
    url = URL.match(text)
    if url and url[1] not in DATA_URLS:
        expected = ", ".join(f"{scheme}://" for scheme in DATA_URLS)
        raise InputError(f"{name}: found the URL {remote_url(text)}, expected a path on this machine or {expected}")
    return remote_url(text) if url else text


def remote_url(path: PathLike) -> str | None:
    """Returns a URL with both of its slashes, one of which pathlib takes away; None for a path on this machine."""
    url = URL.match(os.fspath(path))
    if url is None:
        return None
    slashes = "///" if url[1] == "file" else "//"
    return f"{url[1]}:{slashes if url[2] == '/' else url[2]}{url[3]}"


def _check_local(path, name="path"):
    if url := remote_url(path):
        problem = f"found the URL {url}, expected a path on this machine"
        raise InputError(f"{name}: {problem}; copy files with another program")
    return pathlib.Path(path)


def _expand_home(path, name):
    """Returns a path as text with `~` and `~user` replaced, as a shell does (which leaves them after a `=`)."""
    text = os.fspath(path)
    if not text or "\0" in text:
        problem = "a path with a zero byte" if text else "an empty path"
        raise InputError(f"{name}: found {problem}, expected a file or folder")
    expanded = os.path.expanduser(text)  # noqa: PTH111 -- pathlib's raises where there is no such user.
    # Editors call their copies `~name`.
    if expanded.startswith("~") and not os.path.lexists(expanded):  # noqa: PTH110
        raise InputError(f"{text}: found no such user's home folder, expected ~ or ~USER; write ./{text} for a name")
    return expanded


@contextlib.contextmanager
def atomic_file(path: PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path`; moves it into place on success, removes it on any error."""
    path = _check_local(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name is independent of `path`'s, which may have the greatest length. The suffix stays last, because writers
    # choose the format by it.
    temporary = path.with_name(f"{TEMPORARY}{os.urandom(4).hex()}{path.suffix}")
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def lock(file: int | typing.IO, folder: PathLike, work: str) -> None:
    """Locks an open file or folder until it is closed or the process ends.

    Where the system or the file system has no such locks, as some network folders have none, a line on standard error
    says so.

    Args:
        file: the file, or its number.
        folder: where work is done, for messages.
        work: what another process would be doing there, for messages.

    Raises:
        InputError: where another process holds the lock.
    """
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"{folder}: another process is {work} here; try again when it has ended") from None
    except (ImportError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        print(f"{folder}: cannot be locked ({reason}); start nothing else that writes there", file=sys.stderr)


def remove_leftovers(folder: PathLike) -> None:
    """Removes what `atomic_file` left in a folder where its process was killed; nothing where there is no folder."""
    for path in _temporary_paths(folder):
        with contextlib.suppress(OSError):
            path.unlink()


def _temporary_paths(folder):
    """Returns the files and folders that `atomic_file` and `temporary_folder` have made in a folder."""
    name = re.compile(re.escape(TEMPORARY) + r"[0-9a-f]{8}(\.[^.]*)?", re.DOTALL)
    return [path for path in pathlib.Path(folder).glob(f"{TEMPORARY}*") if name.fullmatch(path.name)]


@contextlib.contextmanager
def temporary_folder(parent: PathLike) -> Iterator[pathlib.Path]:
    """Yields a new folder in `parent`, which is made where it is missing; what is left there is removed at the end.

    First it removes such folders of processes that were killed: nobody holds their locks any more. Where the system or
    the file system has no locks, these stay.
    """
    parent = _check_local(parent)
    parent.mkdir(parents=True, exist_ok=True)
    for path in _temporary_paths(parent):
        with contextlib.suppress(ImportError, OSError), _locked_folder(path):
            shutil.rmtree(path)
    number = os.urandom(4).hex()
    temporary, unlocked = parent / f"{TEMPORARY}{number}", parent / f".{number}"
    unlocked.mkdir()
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError, OSError):
            stack.enter_context(_locked_folder(unlocked))
        # Named only when locked: another process could remove it in between.
        unlocked.rename(temporary)
        try:
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _locked_folder(path):
    """Locks a folder within the block; ImportError or OSError where this cannot be, or another process has done it."""
    import fcntl

    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(number)


@contextlib.contextmanager
def atomic_folder(path: PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary folder beside `path`; it replaces `path` on success and is removed on any error."""
    path = _check_local(path)
    with temporary_folder(path.parent) as temporary:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)


def read_text(path: PathLike) -> str:
    """Returns the UTF-8 text of a file, without a byte order mark; InputError where it cannot be read as such."""
    path = pathlib.Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}), expected a text file") from None
    # UTF-16 of English letters, without a byte order mark, reads as UTF-8 with zero bytes.
    if "\0" in text:
        raise InputError(f"{path}: found bytes that are no UTF-8 text, expected text; save it as UTF-8")
    return text


def write_text(path: PathLike, text: str) -> None:
    """Writes `text` as UTF-8 to `path`, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: PathLike, content: object) -> None:
    """Writes `content` as indented JSON to `path`, whole or not at all. NaN is refused: unknown is null."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
