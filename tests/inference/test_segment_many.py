"""One Segmenter serves many radiographs and many threads, and each result is the one it gives alone."""

import concurrent.futures

import cv2
import numpy as np
import pytest

import crass_tf
from crass_tf.common.files import InputError
from crass_tf.phantom import render
from crass_tf.radiographs.formats.png import write_png


@pytest.fixture(scope="module")
def segmenter():
    return crass_tf.Segmenter.load()


@pytest.fixture(scope="module")
def radiographs():
    """Five of different sizes, among them one in which nothing is found."""
    phantoms = [render(seed=3, index=index, size=256).image for index in range(4)]
    sizes = ((256, 256), (300, 280), (320, 400), (200, 210))
    return [cv2.resize(image, size) for image, size in zip(phantoms, sizes)] + [np.full((90, 80), 7, np.uint8)]


def same(one, other):
    assert one.refusal == other.refusal
    for first, second in zip(one.outlines, other.outlines, strict=True):
        assert first.grid == second.grid and first.score == second.score
        np.testing.assert_array_equal(first.logits, second.logits)
    np.testing.assert_array_equal(one.mask, other.mask)


def test_each_result_is_the_one_that_segment_gives(segmenter, radiographs):
    alone = [segmenter.segment(image) for image in radiographs]
    assert any(segmentation.mask.any() for segmentation in alone)
    for workers in (1, 4):
        many = list(segmenter.segment_many(radiographs, workers=workers))
        assert len(many) == len(alone)
        for one, other in zip(many, alone):
            same(one, other)


def test_threads_share_a_segmenter(segmenter, radiographs):
    alone = [segmenter.segment(image) for image in radiographs]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        shared = list(pool.map(segmenter.segment, radiographs * 8))
    for one, other in zip(shared, alone * 8):
        same(one, other)


def test_what_cannot_be_read_is_raised_or_given_in_its_place(segmenter, radiographs, tmp_path):
    write_png(tmp_path / "good.png", radiographs[0])
    paths = [tmp_path / "good.png", tmp_path / "none.png", tmp_path / "good.png"]
    first, error, last = segmenter.segment_many(paths, spacing_mm=(0.5, 0.5), return_errors=True)
    assert isinstance(error, InputError) and "none.png: file not found" in str(error)
    assert first.spacing_mm == last.spacing_mm == (0.5, 0.5)
    same(first, last)
    results = segmenter.segment_many(paths)
    same(next(results), first)
    with pytest.raises(InputError, match="none.png"):
        next(results)
