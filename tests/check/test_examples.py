"""What is kept of a radiograph and its mask, with numbers that can be worked out by hand."""

import numpy as np
import pytest
from drawn import mask_of

from crass_tf.check.examples import look_at_grey, look_at_masks
from crass_tf.check.flags import is_inverted
from crass_tf.radiographs.radiograph import GreyScale

ONE_FILE = mask_of("""
    ..........
    .####..###
    .####..###
    ..........
    ....#.....
""")


def test_of_masks():
    # The files say which side is which, wherever they lie; parts that touch stay two.
    seen = look_at_masks([mask_of(".###.. .###.."), mask_of("....## ....##")], [0, 1])
    assert seen.sides == (6, 4) and [c.pixels for c in seen.components] == [6, 4]
    # The digest is of the foreground only.
    assert look_at_masks([ONE_FILE], [0, 1]).digest == look_at_masks([ONE_FILE], [0, 255]).digest
    assert look_at_masks([ONE_FILE], [0, 1]).digest != look_at_masks([ONE_FILE[:, ::-1]], [0, 1]).digest


def test_of_grey_values():
    # The digest is of the values in whatever format.
    pixels = np.arange(200, dtype=np.uint8).reshape(10, 20)
    assert look_at_grey(pixels).digest == look_at_grey(pixels.astype(np.uint16)).digest
    assert look_at_grey(pixels).digest != look_at_grey(pixels.reshape(20, 10)).digest
    pixels = np.full((100, 100), 50, np.uint8)
    pixels[:10], pixels[90:] = 0, 255
    # Within the rim, rows and columns 10 to 89, lie 80 x 80 pixels, and 64 of them are the lowest.
    pixels[40:48, 40:48] = 0
    seen = look_at_grey(pixels)
    assert seen.range.tolist() == [0, 255] and seen.range.dtype == np.uint8
    assert seen.darkest == pytest.approx(0.01) and seen.brightest == 0
    assert seen.percentiles.tolist()[1:] == [50, 50]
    for shape in ((1, 1), (1, 300), (7, 3)):
        assert look_at_grey(np.zeros(shape, np.uint8)).size == shape


def chest(right_lung, left_lung, mediastinum):
    """A radiograph of three grey values and a background between them."""
    pixels = np.full((100, 100), 120, np.uint8)
    pixels[25:65, 15:42], pixels[25:65, 58:85], pixels[20:95, 44:56] = right_lung, left_lung, mediastinum
    return look_at_grey(pixels)


@pytest.mark.parametrize(
    "fields, inverted",
    [((60, 60, 200), False), ((200, 200, 60), True), ((60, 215, 200), False), ((192, 192, 190), False)],
    ids=["sound", "inverted", "one white lung", "two white lungs"],
)
def test_inverted(fields, inverted):
    assert is_inverted(chest(*fields), GreyScale()) is inverted
