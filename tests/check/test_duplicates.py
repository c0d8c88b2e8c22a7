"""Copies of a phantom are told from other phantoms, whatever was done to them."""

import cv2
import numpy as np
import pytest

from crass_tf.check.duplicates import THRESHOLD, near_pairs
from crass_tf.check.examples import thumbnail
from crass_tf.phantom.rendering import render

OTHERS = 8


def turn(image, degrees):
    centre = (image.shape[1] / 2, image.shape[0] / 2)
    return cv2.warpAffine(image, cv2.getRotationMatrix2D(centre, degrees, 1), image.shape[::-1])


CHANGES = {
    "jpeg": lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 70])[1], 0),
    "half the size": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "brighter": lambda p: (p * 0.7 + 70).astype(np.uint8),
    "gamma": lambda p: (255 * (p / 255) ** 1.8).astype(np.uint8),
    "16 bits": lambda p: p.astype(np.uint16) * 16,
    "inverted": lambda p: 255 - p,
    "mirrored": lambda p: p[:, ::-1],
    # Of 192 pixels: 2, 6, 10 and 8 in a hundred.
    "cropped a little": lambda p: p[4:-4, 4:-4],
    "cropped on the left": lambda p: p[:, 12:],
    "cropped below": lambda p: p[:-19],
    "cropped all around": lambda p: p[15:-15, 15:-15],
    "turned": lambda p: turn(p, 2),
}


@pytest.fixture(scope="module")
def images():
    return [render(1, index, 192).image for index in range(OTHERS)]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_copy(images, change):
    copies = [*images, np.ascontiguousarray(change(images[2]))]
    (pair,) = near_pairs([thumbnail(image) for image in copies])
    assert (pair.first, pair.second) == (2, OTHERS)
    assert pair.mirrored == (change is CHANGES["mirrored"])
    assert pair.correlation > THRESHOLD + 0.05


def test_different_radiographs_none_one_and_constant_ones(images):
    assert near_pairs([thumbnail(image) for image in images]) == []
    assert near_pairs([]) == []
    assert near_pairs([thumbnail(images[0])]) == []
    assert near_pairs([thumbnail(np.full((9, 9), 7, np.uint8))] * 3) == []
