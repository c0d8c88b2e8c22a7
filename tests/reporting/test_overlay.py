"""Overlays colour the patient's sides and leave the radiograph as it is."""

import numpy as np

from crass_tf.geometry import LEFT, RIGHT
from crass_tf.reporting.overlay import LEFT_COLOUR, RIGHT_COLOUR, TRUTH_COLOUR, overlay


def radiograph(height=40, width=80, grey=50):
    return np.full((height, width), grey, np.uint8)


def rectangles():
    """The patient's right clavicle in rows 10 to 19, columns 5 to 24; the left one in columns 55 to 74."""
    labels = np.zeros((40, 80), np.uint8)
    labels[10:20, 5:25], labels[10:20, 55:75] = RIGHT, LEFT
    return labels


def has(picture, colour, grey=50):
    """Where the colour is, and no other: at least 60 % of it on the radiograph's grey, because lines are smoothed."""
    difference, whole = picture - np.float32(grey), np.array(colour) - np.float32(grey)
    share = difference @ whole / (whole @ whole)
    other = np.abs(difference - share[..., None] * whole).max(axis=-1)
    return (share > 0.6) & (other < 10)


def test_sides_have_their_colours():
    image = radiograph()
    picture = overlay(image, rectangles())
    assert picture.shape == (40, 80, 3) and picture.dtype == np.uint8
    # A rectangle of 10 x 20 pixels has 2 * 20 + 2 * 10 - 4 = 56 on its outline.
    for colour, columns in ((RIGHT_COLOUR, slice(5, 25)), (LEFT_COLOUR, slice(55, 75))):
        found = has(picture, colour)
        assert found.sum() == 56
        assert found[10, columns].all() and found[19, columns].all()
    # Blue, green, red: orange has most red, light blue most blue.
    assert np.argmax(RIGHT_COLOUR) == 2 and np.argmax(LEFT_COLOUR) == 0 and np.argmax(TRUTH_COLOUR) == 1
    # Only outlines are drawn, and the image stays as it is.
    assert (picture[12:18, 8:22] == 50).all() and (picture[:, 30:50] == 50).all() and (image == 50).all()


def test_truth_lies_below_in_green():
    truth = np.zeros((40, 80), np.uint8)
    truth[10:20, 5:25] = truth[25:35, 30:50] = 1
    picture = overlay(radiograph(), rectangles(), mask_gt=truth)
    # The first outline is the right clavicle's as well, which lies above: more red than green.
    assert (picture[10, 5:25, 2] > picture[10, 5:25, 1]).all()
    # The second has 56 pixels of its own.
    green = has(picture, TRUTH_COLOUR)
    assert green[25:35, 30:50].sum() == green.sum() == 56
    # Nothing to draw.
    nothing = np.zeros((40, 80), np.uint8)
    np.testing.assert_array_equal(overlay(radiograph(), nothing, mask_gt=nothing), np.full((40, 80, 3), 50))


def test_holes_are_outlined_and_lines_grow_with_the_radiograph():
    labels = np.zeros((40, 80), np.uint8)
    labels[5:35, 5:35] = RIGHT
    labels[15:25, 15:25] = 0
    found = has(overlay(radiograph(), labels), RIGHT_COLOUR)
    # The clavicle's pixels that border on the hole, in rows 14 and 25.
    assert found[14, 15:25].all() and found[25, 15:25].all()
    # 1400 / 700 = 2 pixels, against 1 in a small one: further in, the line is still there.
    labels = np.zeros((1400, 1400), np.uint8)
    labels[400:800, 400:800] = RIGHT
    column = has(overlay(radiograph(1400, 1400), labels), RIGHT_COLOUR)[:, 600]
    assert column[390:410].sum() >= 2 and not column[420:780].any()
