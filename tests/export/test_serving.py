"""What TensorFlow does around the networks is what `Segmenter` does with OpenCV."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from crass_tf.export import conversion
from crass_tf.export.serving import Box, decode_grey
from crass_tf.geometry import Letterbox
from crass_tf.inference.segmenter import Segmenter
from crass_tf.measurement.metrics import iou
from crass_tf.model import clavicle_model
from crass_tf.radiographs.radiograph import read_radiograph


def noise(size, high=256, dtype=np.uint8):
    return np.random.default_rng(sum(size)).integers(0, high, size).astype(dtype)


def colours(size):
    return np.dstack([noise((size[0] + channel, size[1]))[: size[0]] for channel in range(3)])


FILES = {
    "grey.png": noise((20, 30)),
    "12bits.png": noise((20, 30), 4096, np.uint16),
    "16bits.png": noise((20, 30), 65536, np.uint16),
    "colour.png": colours((20, 30)),
    "colour16.png": colours((20, 30)).astype(np.uint16) * 200,
    "alpha.png": cv2.cvtColor(colours((20, 30)), cv2.COLOR_BGR2BGRA),
    "grey.jpg": noise((20, 30)),
    "colour.jpg": colours((20, 30)),
}


@pytest.mark.parametrize("name", FILES)
def test_files_are_decoded_as_the_package_decodes_them(tmp_path, name):
    cv2.imwrite(str(tmp_path / name), FILES[name])
    found = decode_grey(tf.constant((tmp_path / name).read_bytes())).numpy()
    assert found.shape == (20, 30, 1) and found.dtype == np.float32
    # Luminance of a whole number and a half may be rounded to either side.
    most = 1 if "colour" in name or "alpha" in name else 0
    assert np.abs(found[..., 0] - read_radiograph(tmp_path / name).image).max() <= most


@pytest.mark.parametrize("data", [b"", b"abc", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_is_no_image_is_an_error(data):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_grey(tf.constant(data))


@pytest.mark.parametrize(
    "native", [(64, 64), (128, 128), (256, 256), (100, 150), (301, 77), (1, 500), (40, 20), (1768, 1812)]
)
def test_letterboxes_are_the_packages(native):
    box, image = Letterbox.fit(native, (64, 64)), noise(native)
    found = Box.fit(tf.constant(image[..., None], tf.float32), (64, 64))
    assert (tuple(found.inner.numpy()), tuple(found.offset.numpy())) == (box.inner, box.offset)
    there = found.image_to_model(tf.constant(image[..., None], tf.float32)).numpy()[..., 0]
    assert np.abs(there - box.image_to_model(image)).max() <= 1
    if native in ((64, 64), (128, 128), (256, 256)):
        np.testing.assert_array_equal(there, box.image_to_model(image))
    logits = noise((64, 64)).astype(np.float32)
    back = found.to_native(tf.constant(logits[..., None])).numpy()[..., 0]
    np.testing.assert_allclose(back, box.to_native(logits), atol=0.01)


def bars(right=True, tilt=0):
    """Two bright bars on dark ground, or the left one alone, uint8 `[192, 256]`, turned by `tilt` degrees."""
    mask = np.zeros((192, 256), np.uint8)
    mask[60:84, 40:112] = 1
    mask[60:84, 144:216] = right
    return cv2.warpAffine(mask, cv2.getRotationMatrix2D((128, 80), tilt, 1), (256, 192))


@pytest.fixture(scope="module", params=["single", "clavicles"])
def served(request, threshold_model, sided_finder, tmp_path_factory):
    """`(Segmenter, function)` of a SavedModel that finds what is brighter than 128; bytes in, mask out."""
    if request.param == "single":
        model = threshold_model()
    else:
        model = clavicle_model(sided_finder((128, 128)), threshold_model(image_size=(64, 160)), (128, 128))
    folder = tmp_path_factory.mktemp("served") / request.param
    conversion.write_saved_model(conversion.as_served(model), folder)
    model = tf.saved_model.load(str(folder))

    def from_bytes(data, model=model):
        return model.signatures["from_bytes"](image_bytes=tf.constant([data]))["mask"].numpy()

    return Segmenter.load(folder), from_bytes


@pytest.mark.parametrize("mask", [bars(), bars(tilt=12), bars(right=False), np.pad(bars(), ((300, 0), (40, 80)))])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_from_bytes_gives_the_segmenters_mask(served, mask, suffix):
    image = 28 + 200 * cv2.GaussianBlur(mask.astype(np.float32), (5, 5), 0)
    data = cv2.imencode(suffix, image.astype(np.uint8))[1].tobytes()
    found = served[1](data)
    assert found.shape == (1, *mask.shape, 1) and found.dtype == np.uint8 and found.max() == 1
    assert iou(served[0].segment(data).mask, found[0, ..., 0]) >= 0.995


def test_two_images_at_once_are_an_error(served):
    data = cv2.imencode(".png", np.full((20, 30), 20, np.uint8))[1].tobytes()
    model = tf.saved_model.load(str(served[0].path))
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected one image a call"):
        model.signatures["from_bytes"](image_bytes=tf.constant([data, data]))


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (64, 64)])
def test_where_nothing_is_found_the_mask_is_empty(served, size):
    found = served[1](cv2.imencode(".png", np.full(size, 20, np.uint8))[1].tobytes())
    assert found.shape == (1, *size, 1) and not found.any()
