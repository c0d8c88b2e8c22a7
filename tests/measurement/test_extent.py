"""Outlines prolonged to the side: straight, as wide as they end, by the share of their length that is asked for."""

import numpy as np
import pytest

from crass_tf.measurement.extent import prolong
from crass_tf.measurement.metrics import iou

BOX = (slice(20, 40), slice(30, 120))


def bar(rows=(5, 15), columns=(5, 85)):
    """Logits of an upright rectangle: 80 pixels long, 10 wide, in the box `BOX` of the radiograph."""
    logits = np.full((20, 90), -4, np.float32)
    logits[slice(*rows), slice(*columns)] = 4
    return logits


@pytest.mark.parametrize(("towards", "columns"), [(1, (35, 135)), (-1, (15, 115))])
def test_a_bar_becomes_longer_by_its_share(towards, columns):
    box, logits = prolong(BOX, bar(), 0.25, towards, (100, 200), None)
    mask, expected = np.zeros((2, 100, 200), bool)
    mask[box] = logits > 0
    expected[25:35, slice(*columns)] = True
    assert iou(mask, expected) > 0.97


def test_lengths_are_in_millimetres_the_radiograph_ends_them_and_a_blob_stays():
    # A row has 0.5 mm, a column 0.2 mm: 80 columns are 16 mm, a quarter of that 4 mm, 20 columns.
    box, logits = prolong(BOX, bar(), 0.25, 1, (100, 200), (0.5, 0.2))
    rows, columns = np.nonzero(logits > 0)
    assert (rows.min() + box[0].start, rows.max() + box[0].start) == (25, 34)
    assert abs(columns.max() + box[1].start - 134) <= 1
    box, logits = prolong(BOX, bar(), 0.25, 1, (100, 125), None)
    assert box[1].stop == 125 and (logits > 0)[:, -1].any()
    blob = bar((5, 15), (40, 50))
    box, logits = prolong(BOX, blob, 0.25, 1, (100, 200), None)
    assert box == BOX and logits is blob
