import numpy as np
import pytest

from crass_tf.data.augmentation import Augmentation
from crass_tf.data.pipeline import augment_at
from crass_tf.data.views import View
from crass_tf.files import InputError
from crass_tf.geometry import STRIP_FILL


def clavicles(height=200, width=240):
    """Two bars, bright on a grey ramp: rows 60 to 79, columns 40 to 99 and 140 to 199."""
    mask = np.zeros((height, width), np.uint8)
    mask[60:80, 40:100] = mask[60:80, 140:200] = 1
    image = np.tile(np.linspace(20, 100, width), (height, 1)).astype(np.uint8)
    return np.where(mask, 220, image).astype(np.uint8), mask


def test_a_strip_holds_the_clavicles_level_and_scaled():
    image, mask = View((64, 160), "strip").fit(*clavicles())
    assert image.shape == mask.shape == (64, 160)
    columns = np.flatnonzero(mask.any(axis=0))
    # The outermost 1 % of the pixels on either side do not count: 160 columns less 2 x 1.2 of them.
    assert np.ptp(columns) + 1 == pytest.approx(STRIP_FILL * 160 * 160 / 157.6, abs=2)
    assert columns.min() + columns.max() == pytest.approx(159, abs=1)
    rows = np.flatnonzero(mask.any(axis=1))
    assert rows.min() + rows.max() == pytest.approx(63, abs=1)
    assert (image[mask > 0] > 100).all()


def test_what_is_prepared_has_the_strip_in_its_middle():
    view = View((64, 160), "strip")
    prepared = view.prepare(*clavicles())
    assert prepared[0].shape == prepared[1].shape == (128, 240)
    for found, expected in zip(augment_at(*prepared, 0, 0, 0, None, view.image_size), view.fit(*clavicles())):
        # 240 - 160 and 128 - 64 are even: the grids coincide.
        np.testing.assert_array_equal(found, expected)


def test_augmented_strips_have_the_strips_size_and_no_black_where_the_margin_reaches():
    view = View((64, 160), "strip")
    still = Augmentation(gamma=1, contrast=1, brightness=0, invert=0, blur=0, noise=0, shading=0, bars=0, shift=0)
    for position in range(20):
        image, mask = augment_at(*view.prepare(*clavicles()), 0, 0, position, still, view.image_size)
        assert image.shape == mask.shape == (64, 160)
        assert (image[mask > 0] > 100).all() and mask.any()


def test_a_whole_radiograph_is_letterboxed():
    image, mask = View((100, 120)).fit(*clavicles())
    assert image.shape == (100, 120) and mask.sum() == 2 * 10 * 30
    for found, prepared in zip((image, mask), View((100, 120)).prepare(*clavicles())):
        np.testing.assert_array_equal(found, prepared)


def test_no_clavicles_still_give_a_strip():
    image, mask = View((64, 160), "strip").fit(np.full((90, 100), 77, np.uint8), np.zeros((90, 100), np.uint8))
    assert image.shape == mask.shape == (64, 160) and not mask.any() and image[32, 80] == 77


def test_unknown_view():
    with pytest.raises(InputError, match="view: found 'half', expected one of whole, strip"):
        View((64, 64), "half")
