"""Native libraries write to standard error past Python; here they are kept quiet."""

import contextlib
import os
import sys
import threading

_LOCK = threading.Lock()
# How many blocks are open; the first one turns standard error off, the last one on again.
_open = 0
_kept = None


@contextlib.contextmanager
def quiet_native():
    """Drops what is written to standard error, by native code too, within the block; errors still raise.

    Blocks of several threads, and blocks within blocks, run side by side: standard error is off while any is open, for
    the whole process.

    Yields:
        A text file for what is to be seen all the same.
    """
    _enter()
    try:
        with _voice() as voice:
            yield voice
    finally:
        _leave()


def _enter():
    global _open, _kept
    with _LOCK:
        if not _open:
            sys.stderr.flush()
            _kept = os.dup(2)
            with open(os.devnull, "wb") as nothing:  # noqa: PTH123
                os.dup2(nothing.fileno(), 2)
        _open += 1


def _leave():
    global _open, _kept
    with _LOCK:
        _open -= 1
        if not _open:
            sys.stderr.flush()
            os.dup2(_kept, 2)
            os.close(_kept)
            _kept = None


@contextlib.contextmanager
def _voice():
    """Yields a text file that writes to where standard error went before."""
    if not _is_standard_error(sys.stderr):
        yield sys.stderr
        return
    with os.fdopen(os.dup(_kept), "w", encoding=sys.stderr.encoding, errors=sys.stderr.errors, buffering=1) as file:
        yield file


def _is_standard_error(file):
    try:
        return file.fileno() == 2
    except (AttributeError, OSError):
        return False
