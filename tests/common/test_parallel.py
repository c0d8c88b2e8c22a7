"""Threads work ahead, but only so far."""

import itertools
import time

import pytest

from crass_tf.common.parallel import ordered_map


def test_results_come_in_order_errors_in_their_place_and_no_more_is_read_ahead_than_some():
    delays = [0.02, 0.0, 0.01, 0.0]
    assert list(ordered_map(lambda delay: time.sleep(delay) or delay, delays, workers=4)) == delays
    results = ordered_map(lambda item: 1 // item, [1, 1, 0, 1], workers=2)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    taken = []
    results = ordered_map(lambda item: item, map(lambda item: taken.append(item) or item, itertools.count()), workers=3)
    assert [next(results) for _ in range(10)] == list(range(10))
    # The first six, and one more for each that was asked for.
    assert len(taken) == 16
    results.close()
