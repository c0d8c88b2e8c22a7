"""Work on many files with all cores and bounded memory, while native libraries keep off standard error."""

import collections
import concurrent.futures
import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO

_LOCK = threading.Lock()
# How many blocks of `quiet_native` are open; the first one turns standard error off, the last one on again.
_open = 0
# The copy of its descriptor while it is off; None where the process has no standard error.
_kept = None


def cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(function: Callable, items: Iterable, workers: int | None = None) -> Iterator:
    """Yields `function(item)` for each item, in order, computed by threads ahead of their use.

    Decoding, encoding and hashing leave Python's lock to others, so threads do. No more results than twice the threads
    wait at any time.

    Args:
        function: of one item; what it raises is raised here.
        items: an iterable.
        workers: threads; None for one a core.
    """
    workers = workers or cores()
    items = iter(items)
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        waiting = collections.deque(pool.submit(function, item) for item in itertools.islice(items, 2 * workers))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in itertools.islice(items, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()


class Room:
    """An amount of something, such as pixels in memory, that threads share.

    Example:

    >>> room = Room(100)
    >>> with room.take(60):
    ...     pass  # Another thread that wants more than 40 waits until here.
    """

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def take(self, amount: int) -> Iterator[None]:
        """Waits until so much is free, and holds it within the block; at most all of it."""
        amount = min(amount, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= amount)
            self._free -= amount
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()


@contextlib.contextmanager
def quiet_native() -> Iterator[TextIO]:
    """Drops what is written to standard error, by native code too, within the block; errors still raise.

    Blocks of several threads, and blocks within blocks, run side by side: standard error is off while any is open, for
    the whole process.

    Yields:
        A text file for what is to be seen all the same.
    """
    global _open, _kept
    with _LOCK:
        if not _open:
            _kept = _silence_stderr()
        _open += 1
    try:
        with _open_stderr() as voice:
            yield voice
    finally:
        with _LOCK:
            _open -= 1
            if not _open and _kept is not None:
                sys.stderr.flush()
                os.dup2(_kept, 2)
                os.close(_kept)
                _kept = None


def _silence_stderr():
    """Redirects descriptor 2 to the null device; returns a copy of it, or None where it is not standard error."""
    try:
        kept = os.dup(2)
    except OSError:
        kept = None
    if kept is not None:
        if sys.stderr is None:  # Closed when Python started; by now the number may be some file's.
            os.close(kept)
            return None
        sys.stderr.flush()
    # Descriptor 2 stays in use: otherwise the next file would get it, and native code would write its messages there.
    nothing = os.open(os.devnull, os.O_WRONLY)
    if nothing != 2:
        os.dup2(nothing, 2)
        os.close(nothing)
    return kept


def _open_stderr():
    """Returns a text file, for a `with` block, that writes to the original standard error."""
    if sys.stderr is None:
        return open(os.devnull, "w")  # noqa: PTH123, SIM115
    try:
        is_standard = sys.stderr.fileno() == 2
    except (AttributeError, OSError):
        is_standard = False
    if _kept is None or not is_standard:
        return contextlib.nullcontext(sys.stderr)
    return os.fdopen(os.dup(_kept), "w", encoding=sys.stderr.encoding, errors=sys.stderr.errors, buffering=1)
