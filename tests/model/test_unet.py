"""The U-Net: small, float32 logits, blind to exposure, and opened by Keras alone."""

import keras
import numpy as np
import pytest
from refusals import refuses

from crass_tf.model import unet
from crass_tf.model.unet import standardise

SMALL = (4, 8, 8, 8, 8)


def noise(*shape, low=60, high=180, seed=0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


@pytest.fixture(scope="module")
def small():
    return unet((64, 96), SMALL)


def test_one_float32_logit_a_pixel_by_at_most_two_million_parameters(small):
    model = unet()
    assert model.input_shape == model.output_shape == (None, 512, 512, 1)
    assert 200_000 < model.count_params() <= 2_000_000
    logits = small.predict_on_batch(noise(2, 64, 96, 1))
    assert logits.shape == (2, 64, 96, 1) and logits.dtype == np.float32
    # Untrained it takes about 2 % of the pixels for clavicle: sigmoid(-4) = 0.018.
    assert abs(logits.mean() + 4) < 1


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_gives_float32_logits(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = unet((32, 32), SMALL)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("stem_conv").compute_dtype == policy.removeprefix("mixed_")
    assert model.get_layer("up2").compute_dtype == "float32"
    assert model.predict_on_batch(noise(1, 32, 32, 1)).dtype == np.float32


def test_standardise_by_hand_within_a_black_or_white_frame_too():
    # 51 and 204 are 0.2 and 0.8: mean 0.5, variance 0.09, so -+ 0.3 / sqrt(0.090001). The second is of one grey: 0.
    images = np.array([[51, 204], [77, 77]], np.float32)[:, :, None, None]
    found = keras.ops.convert_to_numpy(standardise(images))[:, :, 0, 0]
    np.testing.assert_allclose(found, [[-0.3 / 0.090001**0.5, 0.3 / 0.090001**0.5], [0, 0]], atol=1e-6)
    for grey in (0, 255):
        assert np.isfinite(keras.ops.convert_to_numpy(standardise(np.full((1, 32, 32, 1), grey, np.float32)))).all()
    image = noise(1, 64, 96, 1, low=100, high=150)
    framed = np.pad(image, ((0, 0), (9, 0), (0, 7), (0, 0)))
    framed = np.pad(framed, ((0, 0), (0, 3), (0, 0), (0, 0)), constant_values=255)
    plain, found = (keras.ops.convert_to_numpy(standardise(x)) for x in (image, framed))
    np.testing.assert_allclose(found[:, 9:-3, :-7], plain, atol=1e-3)
    assert found.min() == -4 and found.max() == 4


def test_two_classes_know_where_they_are():
    model = unet((32, 64), SMALL, classes=2)
    assert model.output_shape == (None, 32, 64, 2)
    # The same everywhere: only the place can make a difference within the image.
    logits = model.predict_on_batch(np.full((1, 32, 64, 1), 99, np.float32))[0]
    assert np.ptp(logits[16, 8:-8], axis=0).max() > 1e-3


@pytest.mark.parametrize("scale, offset", [(1.4, -20), (0.7, 60), (1, 70)])
def test_exposure_does_not_matter(small, scale, offset):
    image = noise(1, 64, 96, 1)
    logits, exposed = (small.predict_on_batch(x) for x in (image, image * scale + offset))
    # The 1e-4 that guards against division by 0 is all that differs, 0.5 % of the variance of (35 / 255)^2.
    assert np.abs(exposed - logits).max() < 0.01 * np.ptp(logits)
    # It sees something: another picture gives other logits.
    assert np.abs(small.predict_on_batch(noise(1, 64, 96, 1, seed=1)) - logits).max() > 0.1 * np.ptp(logits)


def test_a_picture_does_not_depend_on_its_batch(small):
    images = noise(3, 64, 96, 1)
    images[1] *= 0.3
    together = small.predict_on_batch(images)
    for image, logits in zip(images, together):
        np.testing.assert_allclose(small.predict_on_batch(image[None])[0], logits, atol=1e-5)


@pytest.mark.parametrize(
    "image_size", [(500, 512), (512, 500), (0, 32), (-32, 32), (16, 32), (None, None), (32, None), 64]
)
def test_other_sizes_are_refused(image_size):
    refuses(r"^image_size: found .*, expected \(height, width\), both multiples of 32$", unet, image_size)


def test_weights_are_a_function_of_the_seed_and_fit_any_size(small):
    one, same, other = (unet((32, 32), SMALL, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(one, same))
    kernels = [weight for weight in one if weight.ndim == 4]
    assert all((a != b).any() for a, b in zip(kernels, (weight for weight in other if weight.ndim == 4)))
    # No two layers begin alike.
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels)
    larger = unet((96, 128), SMALL, seed=1)
    larger.set_weights(small.get_weights())
    assert larger.predict_on_batch(noise(1, 96, 128, 1)).shape == (1, 96, 128, 1)
    assert all((a == b).all() for a, b in zip(larger.get_weights(), small.get_weights()))
