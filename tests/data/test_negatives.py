import numpy as np
import pytest

from crass_tf.data.augmentation import Augmentation, augment
from crass_tf.data.negatives import negative


@pytest.mark.parametrize("size", [(64, 64), (40, 100), (256, 256)])
def test_pictures_of_all_kinds_have_the_size_and_differ(size):
    pictures = [negative(size, np.random.default_rng(seed)) for seed in range(40)]
    assert {(picture.shape, picture.dtype) for picture in pictures} == {(size, np.dtype(np.uint8))}
    assert len({picture.tobytes() for picture in pictures}) > 35
    np.testing.assert_array_equal(negative(size, np.random.default_rng(3)), pictures[3])


def test_they_come_with_their_probability_and_an_empty_mask():
    image, mask = np.full((32, 48), 100, np.uint8), np.ones((32, 48), np.uint8)
    settings = Augmentation(negatives=0.25)
    results = [augment(image, mask, settings, np.random.default_rng(seed)) for seed in range(200)]
    empty = sum(not changed_mask.any() for _, changed_mask in results)
    # 50 expected, standard deviation 6.
    assert 30 <= empty <= 70
    assert all(changed.shape == (32, 48) and changed.dtype == np.uint8 for changed, _ in results)
