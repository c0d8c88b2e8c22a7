"""A cascade: both networks in one model, the outliner on a strip and on its mirror image."""

import keras
import numpy as np

from crass_tf.model import cascade, parts, unet

SMALL = (4, 8, 8, 8, 8)


def test_the_outliner_sees_the_mirror_image_too(tmp_path):
    outliner = unet((32, 96), SMALL, seed=1, strip=True)
    cascade(unet((32, 32), SMALL), outliner).save(tmp_path / "cascade.keras")
    _, found = parts(keras.saving.load_model(tmp_path / "cascade.keras"))
    strips = np.random.default_rng(0).uniform(0, 255, (3, 32, 96, 1)).astype(np.float32)
    mirrored = outliner.predict_on_batch(strips[:, :, ::-1])[:, :, ::-1]
    expected = (outliner.predict_on_batch(strips) + mirrored) / 2
    np.testing.assert_allclose(found.predict_on_batch(strips), expected, atol=1e-5)
    assert not np.allclose(expected, outliner.predict_on_batch(strips), atol=1e-3)


def test_weights_of_a_part_fit_its_network():
    locator, outliner = unet((32, 32), SMALL), unet((32, 96), SMALL, seed=1)
    for network, part in zip((locator, outliner), parts(cascade(locator, outliner))):
        for mine, its in zip(network.get_weights(), part.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, its)
