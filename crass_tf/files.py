"""Reading text, writing files so that nobody ever sees half of one, and the error that names a user's mistake."""

import contextlib
import json
import os
import pathlib
import re
import shutil

# What the names of temporary files begin with.
TEMPORARY = ".crass-tf-"


class InputError(ValueError):
    """A user's mistake: one line that names the file or argument, what was found and what was expected."""


def one_line(text):
    """Returns a text as a terminal may show it: a space for each white space, `?` for what cannot be printed."""
    return "".join(" " if letter.isspace() else letter if letter.isprintable() else "?" for letter in text)


@contextlib.contextmanager
def atomic_file(path):
    """Yields a temporary path beside `path`; moves it into place on success, removes it on any error."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own, since `path` may have the longest one possible. The suffix stays last, because writers choose
    # the format by it.
    temporary = path.with_name(f"{TEMPORARY}{os.urandom(4).hex()}{path.suffix}")
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder):
    """Removes what `atomic_file` left in a folder where its process was killed; nothing where there is no folder."""
    for path in pathlib.Path(folder).glob(f"{TEMPORARY}*"):
        if re.fullmatch(r"[0-9a-f]{8}(\.[^.]*)?", path.name.removeprefix(TEMPORARY), re.DOTALL):
            with contextlib.suppress(OSError):
                path.unlink()


@contextlib.contextmanager
def atomic_folder(path):
    """Yields a temporary folder beside `path`; it replaces `path` on success and is removed on any error."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{os.urandom(4).hex()}")
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_text(path):
    """Returns the UTF-8 text of a file, without a byte order mark; InputError where it cannot be read as such."""
    path = pathlib.Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}), expected a text file") from None
    # UTF-16 of English letters, without its mark, is UTF-8 with zeros in between.
    if "\0" in text:
        raise InputError(f"{path}: found bytes that are no UTF-8 text, expected text; save it as UTF-8")
    return text


def write_text(path, text):
    """Writes `text` as UTF-8 to `path`, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path, content):
    """Writes `content` as indented JSON to `path`, whole or not at all. NaN is refused: unknown is null."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
