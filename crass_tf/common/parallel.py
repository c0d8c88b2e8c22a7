"""Work on many files with all cores and bounded memory."""

import collections
import concurrent.futures
import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator


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
        """Waits until so much is free, and holds it within the block; more than there is at all counts as all."""
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
