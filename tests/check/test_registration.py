"""Masks on their radiograph's edges, on another one's, mirrored and moved aside."""

import pathlib

import numpy as np
import pytest

from crass_tf.check.examples import Look
from crass_tf.check.registration import FOREIGN, GRID, MIRRORED, MISPLACED, register, registration_flags
from crass_tf.phantom.rendering import render

COUNT = 12


def disc(row, column, radius=60):
    rows, columns = np.mgrid[:GRID, :GRID]
    return ((rows - row) ** 2 + (columns - column) ** 2 < radius**2).astype(np.uint8)


def test_contrast_does_not_count_and_nothing_may_be_there_to_compare():
    """A bright disc: its gradient points to its centre, as the normals of its mask do."""
    pixels = 50 + 100 * disc(128, 156)
    for disc_pixels in (pixels, (pixels // 50).astype(np.uint16)):
        found = register(disc_pixels, disc(128, 156))
        # Directions are rounded to 1.4 degrees, on average by 0.35: the cosine stays above 0.9999.
        assert found.own == pytest.approx(1, abs=1e-3) and found.share == 1
    assert register(pixels, np.zeros((GRID, GRID), np.uint8)) is None
    # In the lower half, which is not looked at.
    assert register(pixels, disc(420, 156)) is None


@pytest.fixture(scope="module")
def phantoms():
    """`[(pixels, mask)]`."""
    return [(phantom.image, phantom.mask) for phantom in (render(3, index, 256) for index in range(COUNT))]


def looks(pairs):
    return [
        Look(f"{i}", pathlib.Path(f"image/{i}.PNG"), (pathlib.Path(f"mask/{i}.PNG"),), registration=register(*pair))
        for i, pair in enumerate(pairs)
    ]


def kinds(pairs):
    return [(flag.kind, flag.image_ids) for flag in registration_flags(looks(pairs))]


EVERY = tuple(map(str, range(COUNT)))


def test_single_ones(phantoms):
    """Two are exchanged, one is mirrored: each is named, and where it belongs."""
    pairs = list(phantoms)
    (image, mask), (other_image, other_mask) = phantoms[2], phantoms[7]
    pairs[2], pairs[7] = (image, other_mask), (other_image, mask)
    pairs[4] = phantoms[4][0], mirror(phantoms[4][1])
    flags = registration_flags(looks(pairs))
    assert [(flag.kind, *flag.image_ids) for flag in flags] == [(FOREIGN, "2"), (MIRRORED, "4"), (FOREIGN, "7")]
    assert flags[0].text.startswith("mask/2.PNG: found a mask that fits image/7.PNG better than its own (")
    assert flags[0].files == ("mask/2.PNG",)


@pytest.mark.parametrize("places", [1, 5])
def test_all_moved_to_another_radiograph(phantoms, places):
    images, masks = zip(*phantoms)
    assert kinds(zip(images, masks[places:] + masks[:places])) == [(FOREIGN, EVERY)]


def mirror(pixels):
    return np.fliplr(pixels).copy()


def move(mask):
    """By 8 of 256 pixels."""
    return np.roll(mask, (8, 8), (0, 1))


@pytest.mark.parametrize(
    "change, expected",
    [
        (lambda image, mask: (image, mask), []),
        (lambda image, mask: (mirror(image), mirror(mask)), []),
        (lambda image, mask: (image, mirror(mask)), [(MIRRORED, EVERY)]),
        (lambda image, mask: (image, move(mask)), [(MISPLACED, EVERY)]),
    ],
    ids=["sound", "mirrored together", "mirrored", "moved aside"],
)
def test_all_changed_alike(phantoms, change, expected):
    assert kinds(change(*pair) for pair in phantoms) == expected


def test_too_few_masks_inverted_radiographs_and_empty_masks_give_no_finding(phantoms):
    moved = looks([(image, move(mask)) for image, mask in phantoms[:5]])
    assert MISPLACED not in [flag.kind for flag in registration_flags(moved)]
    # An inverted radiograph is none that a mask can be judged against.
    pairs = [(255 - phantoms[0][0], phantoms[0][1]), *phantoms[1:]]
    assert registration_flags(looks(pairs), {"0"}) == []
    assert kinds([]) == []
    assert kinds([(np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8))]) == []
