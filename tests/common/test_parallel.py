"""Threads work ahead, but only so far."""

import itertools
import threading
import time

import pytest

from crass_tf.common.parallel import Room, ordered_map


def test_results_come_in_order_and_an_error_is_raised_in_its_place():
    delays = [0.02, 0.0, 0.01, 0.0]
    assert list(ordered_map(lambda delay: time.sleep(delay) or delay, delays, workers=4)) == delays
    results = ordered_map(lambda item: 1 // item, [1, 1, 0, 1], workers=2)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_an_endless_iterable_is_read_ahead_by_twice_the_threads():
    taken = []
    results = ordered_map(lambda item: item, map(lambda item: taken.append(item) or item, itertools.count()), workers=3)
    assert [next(results) for _ in range(10)] == list(range(10))
    # The first six, and one more for each that was asked for.
    assert len(taken) == 16
    results.close()


def test_room_is_shared():
    room, held, most = Room(10), [], []

    def use(amount):
        with room.take(amount):
            held.append(min(amount, 10))
            most.append(sum(held))
            time.sleep(0.002)
            held.remove(min(amount, 10))

    # 50 is more than there is: it waits until it is alone.
    threads = [threading.Thread(target=use, args=[amount]) for amount in (4, 4, 7, 50, 3, 10, 1, 6) * 3]
    [thread.start() for thread in threads]
    [thread.join(timeout=10) for thread in threads]
    assert len(most) == 24 and max(most) == 10
