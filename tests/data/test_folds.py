import random

import pytest
from refusals import refuses

from crass_tf.data import folds
from crass_tf.data.folds import held_out, parse_fold

# SHA-256 of the names begins 0001 88, 0002 4f, 0003 44, 0004 05, 0005 1e, 0006 6b, 0007 f1 (`printf 0001 | sha256sum`).
# So they rank 0004 0005 0003 0002 0006 0001 0007, and are dealt out in that order.
NAMES = ["0001", "0002", "0003", "0004", "0005", "0006", "0007"]
THREE = [["0002", "0004", "0007"], ["0005", "0006"], ["0001", "0003"]]


def test_names_are_dealt_out_by_the_rank_of_their_digests_whatever_their_order():
    assert folds(NAMES, 3) == folds(reversed(NAMES), 3) == folds({*NAMES}, 3) == THREE
    assert folds(NAMES, 7) == [["0004"], ["0005"], ["0003"], ["0002"], ["0006"], ["0001"], ["0007"]]
    # Counted from one.
    assert parse_fold("2/5") == (2, 5) and [held_out(NAMES, fold) for fold in ("1/3", "2/3", "3/3")] == THREE


@pytest.mark.parametrize(("count", "k"), [(2, 2), (10, 3), (284, 5), (57, 10)])
def test_every_name_is_in_one_fold_and_sizes_differ_by_one_at_most(count, k):
    names = [f"JPCLN{number}" for number in random.Random(0).sample(range(1000), count)]
    found = folds(names, k)
    assert len(found) == k
    assert sorted(name for fold in found for name in fold) == sorted(names)
    assert all(fold == sorted(fold) for fold in found)
    # 284 names in 5 folds: 57, 57, 57, 57, 56.
    assert sorted(map(len, found)) == [count // k] * (k - count % k) + [count // k + 1] * (count % k)


@pytest.mark.parametrize("k", [-1, 0, 1, 8])
def test_k_out_of_range_and_repeated_names(k):
    refuses(f"folds: found {k}, expected 2 to 7, the number of radiographs", folds, NAMES, k)
    refuses("image ids: found '0003' more than once", folds, [*NAMES, "0003"], 2)


@pytest.mark.parametrize("text", ["6/5", "0/5", "x", "", "1/1", "2", "2/5/7", "-1/5", "1.0/5", " 2/5", "2/5\n", "/5"])
def test_malformed_fold(text):
    expected = f"fold: found {text!r}, expected NUMBER/K such as 2/5, the second of five folds"
    assert refuses("^fold", parse_fold, text) == expected
