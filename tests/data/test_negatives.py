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


def test_they_come_with_an_empty_mask():
    image, mask = np.full((32, 48), 100, np.uint8), np.ones((32, 48), np.uint8)
    for seed in range(40):
        changed, changed_mask = augment(image, mask, Augmentation(negatives=1), np.random.default_rng(seed))
        assert changed.shape == (32, 48) and changed.dtype == np.uint8 and not changed_mask.any()
