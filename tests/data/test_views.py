import numpy as np
import pytest
from refusals import refuses

from crass_tf.data.augmentation import Augmentation
from crass_tf.data.pipeline import augment_at
from crass_tf.data.views import View
from crass_tf.geometry import STRIP_FILL


def clavicles(height=200, width=240):
    """Two bars, bright on a grey ramp: rows 60 to 79, columns 40 to 99 and 140 to 199."""
    mask = np.zeros((height, width), np.uint8)
    mask[60:80, 40:100] = mask[60:80, 140:200] = 1
    image = np.tile(np.linspace(20, 100, width), (height, 1)).astype(np.uint8)
    return np.where(mask, 220, image).astype(np.uint8), mask


STRIP = View((64, 160), "strip")


def test_a_strip_holds_each_clavicle_level_and_scaled():
    examples = STRIP.fit(*clavicles())
    assert len(examples) == 2
    for image, mask in examples:
        assert image.shape == (64, 160) and mask.shape == (64, 160, 1)
        columns = np.flatnonzero(mask.any(axis=(0, 2)))
        # A bar of 60 columns.
        assert np.ptp(columns) + 1 == pytest.approx(STRIP_FILL * 160, abs=2)
        # Its mean at 0.5585 of the width.
        assert columns.min() + columns.max() == pytest.approx(2 * (0.5585 * 160 - 0.5), abs=1)
        rows = np.flatnonzero(mask.any(axis=(1, 2)))
        assert rows.min() + rows.max() == pytest.approx(63, abs=1)
        assert (image[mask[..., 0] > 0] > 100).all()
    # The grey ramp rises to the image's right: the second strip is mirrored.
    (first, _), (second, _) = examples
    assert first[2, 150] > first[2, 10] and second[2, 150] < second[2, 10]


def test_what_is_prepared_has_the_strip_in_its_middle_and_no_black_where_the_margin_reaches():
    for prepared, fitted in zip(STRIP.prepare(*clavicles()), STRIP.fit(*clavicles())):
        assert prepared[0].shape == (128, 240) and prepared[1].shape == (128, 240, 1)
        for found, expected in zip(augment_at(*prepared, 0, 0, 0, None, STRIP.image_size), fitted):
            # 240 - 160 and 128 - 64 are even: the grids coincide, but for a rounded grey value.
            np.testing.assert_allclose(found, expected, atol=1)
    still = Augmentation(gamma=1, contrast=1, brightness=0, invert=0, blur=0, noise=0, shading=0, bars=0, shift=0)
    for position in range(20):
        image, mask = augment_at(*STRIP.prepare(*clavicles())[0], 0, 0, position, still, STRIP.image_size)
        assert image.shape == (64, 160) and mask.shape == (64, 160, 1)
        assert (image[mask[..., 0] > 0] > 90).all() and mask.any()


def test_a_whole_radiograph_is_letterboxed_and_sides_have_a_channel_each():
    ((image, mask),) = View((100, 120)).fit(*clavicles())
    assert image.shape == (100, 120) and mask.shape == (100, 120, 1) and mask.sum() == 2 * 10 * 30
    ((prepared, _),) = View((100, 120)).prepare(*clavicles())
    np.testing.assert_array_equal(image, prepared)
    ((image, mask),) = View((100, 120), "sides").fit(*clavicles())
    assert image.shape == (100, 120) and mask.shape == (100, 120, 2)
    # Columns 40 to 99 and 140 to 199, halved.
    for channel, columns in enumerate((range(20, 50), range(70, 100))):
        assert np.flatnonzero(mask[..., channel].any(axis=0)).tolist() == list(columns)


def test_a_clavicle_that_is_not_there_gives_no_strip_and_an_unknown_view_is_refused():
    image, mask = clavicles()
    mask[:, 120:] = 0
    assert len(STRIP.fit(image, mask)) == 1 and STRIP.fit(image, 0 * mask) == []
    refuses("view: found 'half', expected one of whole, sides, strip", View, (64, 64), "half")


@pytest.mark.parametrize("view", [View((96, 128)), View((96, 128), "sides"), STRIP])
def test_any_value_above_0_of_a_mask_is_clavicle(view):
    image, mask = clavicles()
    for (_, expected), (_, found) in zip(view.fit(image, mask), view.fit(image, mask * np.uint8(255))):
        np.testing.assert_array_equal(found, expected)
