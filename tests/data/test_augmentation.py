"""Augmentation moves image and mask together, each setting does its own thing, and the generator decides all."""

import dataclasses

import cv2
import numpy as np
import pytest

from crass_tf.data.augmentation import Augmentation, augment, change_exposure, collimate, draw_haze, spoil, transform
from crass_tf.data.negatives import negative
from crass_tf.measurement.metrics import iou

IDENTITY = Augmentation(
    flip=0, rotation_deg=0, scale=1, stretch=1, shift=0, gamma=1, contrast=1, brightness=0, invert=0, blur=0,
    noise=0, shading=0, bars=0,
)  # fmt: skip
SEEDS = range(12)
# All 256 grey values.
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def only(**settings):
    return dataclasses.replace(IDENTITY, **settings)


def clavicles(height=128, width=160):
    """A mask that no mirroring, turn or shift leaves as it is."""
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (50, 50), (32, 10), 15, 0, 360, 1, -1)
    cv2.ellipse(mask, (115, 60), (26, 8), -10, 0, 360, 1, -1)
    return mask


def grey(value, shape=(40, 60)):
    return np.full(shape, value, np.uint8)


def exposures(image, **settings):
    return [change_exposure(image, only(**settings), np.random.default_rng(seed)) for seed in SEEDS]


def masks(mask, **settings):
    return [transform(mask, mask, only(**settings), np.random.default_rng(seed))[1] for seed in SEEDS]


def centre(mask):
    """Mean row and column of the foreground."""
    return np.argwhere(mask).mean(axis=0)


def test_nothing_set_changes_nothing_but_a_smaller_result_has_the_same_centre():
    image, mask = augment(RAMP, RAMP % 2, IDENTITY, np.random.default_rng(0))
    np.testing.assert_array_equal(image, RAMP)
    np.testing.assert_array_equal(mask, RAMP % 2)
    mask = clavicles()
    image, smaller = transform(mask, mask, IDENTITY, np.random.default_rng(0), (100, 140))
    np.testing.assert_array_equal(smaller, mask[14:114, 10:150])
    np.testing.assert_array_equal(image, smaller)


def test_same_generator_same_pair_and_another_another_and_the_input_is_left_alone():
    pair = np.random.default_rng(9).integers(0, 256, (128, 160), dtype=np.uint8), clavicles()
    (image, mask), again, other = (augment(*pair, Augmentation(), np.random.default_rng([n, 1])) for n in (7, 7, 8))
    np.testing.assert_array_equal(again, (image, mask))
    assert (image != other[0]).any() and (mask != other[1]).any()
    image, mask = grey(90, (128, 160)), clavicles()
    for seed in SEEDS:
        new_image, new_mask = augment(image, mask, Augmentation(), np.random.default_rng(seed))
        assert new_image.dtype == new_mask.dtype == np.uint8
        assert new_image.shape == new_mask.shape == image.shape
        assert set(np.unique(new_mask)) <= {0, 1}
        assert not augment(image, 0 * mask, Augmentation(), np.random.default_rng(seed))[1].any()
    assert (image == 90).all() and (mask == clavicles()).all()


@pytest.mark.parametrize("shape", [(128, 160), (32, 96), (96, 32)])
def test_mask_follows_the_image(shape):
    # The image is drawn from the mask, so after any move it still shows where the mask has to be.
    mask = clavicles() if shape == (128, 160) else np.pad(np.ones(np.subtract(shape, 8), np.uint8), 4)
    moves = Augmentation(gamma=1, contrast=1, brightness=0, invert=0, blur=0, noise=0, shading=0, bars=0)
    for seed in SEEDS:
        moved_image, moved_mask = augment(mask * np.uint8(200), mask, moves, np.random.default_rng(seed))
        assert iou(moved_image > 100, moved_mask) > 0.97 > iou(mask, moved_mask)


def test_flips_and_inversion_are_exact():
    mask = clavicles()
    image, flipped = transform(mask * np.uint8(9), mask, only(flip=1), np.random.default_rng(0))
    np.testing.assert_array_equal(flipped, mask[:, ::-1])
    np.testing.assert_array_equal(image, 9 * mask[:, ::-1])
    for image in exposures(RAMP, invert=1):
        np.testing.assert_array_equal(image, 255 - RAMP)


def test_rotation_stays_within_its_angle():
    # A long bar's direction, from the second moments of its pixels.
    bar = np.zeros((161, 161), np.uint8)
    bar[78:83, 30:131] = 1
    angles = []
    for turned in masks(bar, rotation_deg=10):
        rows, columns = (axis - axis.mean() for axis in np.nonzero(turned))
        angles.append(np.rad2deg(np.arctan2((rows * columns).sum(), (columns**2).sum())))
        # Around the image's centre, pixel (80, 80).
        np.testing.assert_allclose(centre(turned), (80, 80), atol=0.3)
    assert max(np.abs(angles)) < 10.3
    assert min(angles) < -4 and max(angles) > 4


def test_scale_changes_both_axes_alike_and_shift_is_a_fraction_of_each_side():
    # Areas go with the square: between 1 / 1.25^2 = 0.64 and 1.25^2 = 1.5625.
    ratios = [mask.sum() / clavicles().sum() for mask in masks(clavicles(), scale=1.25)]
    assert 0.62 < min(ratios) < 0.85 and 1.2 < max(ratios) < 1.6
    # 0.1 of 128 rows and of 160 columns.
    shifts = np.array([centre(mask) - centre(clavicles()) for mask in masks(clavicles(), shift=0.1)])
    assert (np.abs(shifts) <= (12.9, 16.1)).all()
    assert (np.abs(shifts).max(axis=0) > (5, 6)).all()
    # Rows and columns are drawn apart.
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.9


def test_stretch_keeps_the_area():
    square = np.zeros((101, 101), np.uint8)
    square[30:71, 30:71] = 1
    aspects = []
    for stretched in masks(square, stretch=1.2):
        rows, columns = np.ptp(np.argwhere(stretched), axis=0) + 1
        aspects.append(columns / rows)
        # A side of 41 pixels changes by whole pixels: 1 / 41 each.
        assert abs(stretched.sum() / 41**2 - 1) < 0.06
    assert 1 / 1.26 < min(aspects) < 0.95 and 1.05 < max(aspects) < 1.26


def test_elastic_bends_image_and_mask_alike_after_the_other_changes():
    mask = clavicles()
    image = mask * np.uint8(200)
    others = only(rotation_deg=20, scale=1.2, shift=0.1)
    for seed in SEEDS:
        bent, bent_mask = transform(image, mask, only(elastic=0.03), np.random.default_rng(seed))
        # Half covered: rounding decides.
        assert ((bent > 100) != (bent_mask > 0)).sum() <= 3
        # A standard deviation of 0.03 x 128 = 4 pixels moves a bar of 20 pixels, and does not lose it.
        assert 0.3 < iou(mask, bent_mask) < 0.97
        changed, hardly_bent = (
            transform(mask, mask, dataclasses.replace(others, elastic=elastic), np.random.default_rng(seed))[1]
            for elastic in (0, 1e-9)
        )
        assert iou(changed, hardly_bent) > 0.99


def test_faint_leaves_a_tenth_of_the_range_at_most_and_no_grey_value_overtakes_another():
    faint = exposures(RAMP, faint=1)
    spans = [int(image.max()) - int(image.min()) for image in faint]
    assert max(spans) <= 26 and min(spans) >= 4
    assert max(image.max() for image in faint) > 128 > min(image.min() for image in faint)
    for image in (*faint, *exposures(RAMP, gamma=2.0)):
        assert (np.diff(image.ravel().astype(int)) >= 0).all()


def test_what_comes_from_outside_is_black():
    for seed in SEEDS:
        image, mask = transform(grey(200), grey(1), only(shift=0.2), np.random.default_rng(seed))
        # Image and mask covered the whole picture: they still end at the same place.
        assert iou(image > 100, mask) > 0.97
        assert image.min() == 0


@pytest.mark.parametrize(
    "settings, before, darkest, brightest",
    [
        # Mid-grey 128: exponent 2 gives 255 * (128 / 255)^2 = 64.3, exponent 1 / 2 gives 180.7.
        ({"gamma": 2.0}, 128, (64, 109), (146, 181)),
        ({"gamma": 2.0}, 0, (0, 0), (0, 0)),
        ({"gamma": 2.0}, 255, (255, 255), (255, 255)),
        # 127.5 + (100 - 127.5) * 1.5 = 86.25 and 127.5 - 27.5 / 1.5 = 109.2.
        ({"contrast": 1.5}, 100, (86, 99), (101, 109)),
        # 127 is half a grey value away from the middle, and stays there: 127.5 -+ 0.75 at most.
        ({"contrast": 1.5}, 127, (127, 127), (127, 127)),
        ({"brightness": 25}, 100, (75, 94), (106, 125)),
        # Clipped, not wrapped around.
        ({"brightness": 25}, 250, (225, 250), (250, 255)),
    ],
)
def test_exposure_changes_all_grey_values_alike_within_limits(settings, before, darkest, brightest):
    images = exposures(grey(before), **settings)
    assert all(image.min() == image.max() for image in images)
    values = [int(image[0, 0]) for image in images]
    assert darkest[0] <= min(values) <= darkest[1] and brightest[0] <= max(values) <= brightest[1]


def test_blur_smooths_an_edge_and_keeps_the_mean():
    edge = np.repeat(np.array([[0] * 20 + [200] * 20], np.uint8), 30, axis=0)
    for image in exposures(edge, blur=1):
        assert 0 < image[15, 19] < 100 < image[15, 20] < 200
        assert abs(image.mean() - 100) < 0.5
        # 1.5 pixels at most: six pixels from the edge, four standard deviations, nothing has changed.
        assert image[15, 13] == 0 and image[15, 26] == 200


def test_noise_has_no_bias_at_most_its_deviation_and_a_grain():
    flat = grey(120, (200, 200))
    images = [change_exposure(flat, only(noise=20), np.random.default_rng(seed)).astype(float) for seed in range(30)]
    # Cubic interpolation keeps 0.6 to 1 of the standard deviation of at most 20.
    assert 10 < max(image.std() for image in images) < 21
    correlations = []
    for noise in (image - 120 for image in images if image.std() > 4):
        correlations.append((noise[:, 1:] * noise[:, :-1]).mean() / noise.var())
        # The mean of 40,000 pixels, a ninth of them independent, is known to 20 / 67 = 0.3.
        assert abs(noise.mean()) < 1
    # From independent pixels to neighbours that are alike.
    assert min(correlations) < 0.05 and max(correlations) > 0.5


def test_shading_is_a_ramp_and_bars_cover_the_border_only():
    for image in exposures(grey(100, (41, 61)), shading=30):
        # Nothing at the centre, opposite corners opposite, at most half of 30 along each axis.
        values = image.astype(int) - 100
        assert values[20, 30] == 0
        assert abs(values[0, 0] + values[-1, -1]) <= 1
        assert np.abs(values).max() <= 30
        assert abs(values[0, 0] + values[0, -1] - 2 * values[0, 30]) <= 2
    # At most 6 % of 100 rows and of 200 columns: 6 and 12 pixels.
    image = grey(100, (100, 200))
    colours = set()
    for seed in range(40):
        framed = collimate(image, np.random.default_rng(seed))
        assert (framed[6:94, 12:188] == 100).all()
        colours |= set(np.unique(framed))
    assert colours == {0, 100, 255}
    assert (image == 100).all()


@pytest.mark.parametrize(
    "setting",
    ["flip", "bars", "invert", "spoil", "negatives", "local_contrast", "detail", "window", "haze", "clutter", "crop"],
)
def test_what_may_happen_has_its_probability(setting):
    image, mask = np.random.default_rng(0).integers(60, 200, (64, 80), dtype=np.uint8), clavicles(64, 80)
    plain = augment(image, mask, IDENTITY, np.random.default_rng(0))[0]
    seeds, settings = range(200), only(**{setting: 0.4})
    changed = [(augment(image, mask, settings, np.random.default_rng(s))[0] != plain).any() for s in seeds]
    # Binomial, 200 draws: 80 +- 7; four standard deviations.
    assert 52 <= sum(changed) <= 108


def test_a_spoilt_radiograph_keeps_its_size_and_has_no_mask_nor_has_a_negative():
    image, mask = np.full((60, 80), 100, np.uint8), np.zeros((60, 80, 2), np.uint8)
    mask[10:20, 10:30, 0] = mask[10:20, 50:70, 1] = 1
    image[10:20] = 200
    kinds = set()
    for seed in range(40):
        for setting in ({"spoil": 1}, {"negatives": 1}):
            changed, empty = augment(image, mask, Augmentation(**setting), np.random.default_rng(seed))
            assert changed.shape == image.shape and changed.dtype == np.uint8
            assert empty.shape == mask.shape and not empty.any()
        # The bright band: gone, at the right or left side, below the middle, or in each of several pictures.
        bright = spoil(image, mask, np.random.default_rng(seed)) > 150
        kinds.add((bool(bright.any()), bool(bright.any(axis=1).all()), bool(bright[:30].any())))
    assert len(kinds) >= 3 and (False, False, False) in kinds


def test_haze_lowers_contrast_and_leaves_padding_black():
    stripes = np.full((120, 160), 60, np.uint8)
    stripes[:, ::2] = 100
    stripes[:10] = 0
    for seed in SEEDS:
        hazy = draw_haze(stripes, np.random.default_rng(seed)).astype(int)
        contrast = hazy[10:, ::2] - hazy[10:, 1::2]
        assert not hazy[:10].any() and contrast.min() >= 0 and contrast.max() <= 50
        assert contrast.min() < 32 and hazy[10:].max() > 110


def test_compression_has_its_probability_and_keeps_what_is_smooth():
    steps = np.repeat(np.repeat(np.arange(16, dtype=np.uint8).reshape(4, 4) * 16, 16, 0), 16, 1)
    changed = [change_exposure(steps, only(compression=0.5), np.random.default_rng(seed)) for seed in range(60)]
    differences = [abs(each.astype(int) - steps).max() for each in changed]
    assert 15 <= sum(difference > 0 for difference in differences) <= 45 and max(differences) < 40


@pytest.mark.parametrize("size", [(64, 64), (40, 100), (256, 256)])
def test_negatives_of_all_kinds_have_the_size_and_differ(size):
    pictures = [negative(size, np.random.default_rng(seed)) for seed in range(40)]
    assert {(picture.shape, picture.dtype) for picture in pictures} == {(size, np.dtype(np.uint8))}
    assert len({picture.tobytes() for picture in pictures}) > 35
    np.testing.assert_array_equal(negative(size, np.random.default_rng(3)), pictures[3])
