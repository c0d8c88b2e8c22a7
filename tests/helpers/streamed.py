"""Examples that come one after the other."""

import weakref


def one_at_a_time(make, names):
    """Yields what `make` returns for each name, and asserts that whoever takes it keeps one at a time."""
    alive = weakref.WeakSet()
    for name in names:
        example = make(name)
        alive.add(example)
        yield example
        del example
        assert len(alive) <= 1
