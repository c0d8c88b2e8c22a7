import cv2
import numpy as np
import pytest

from crass_tf.phantom import render, rendering
from crass_tf.phantom.projection import lay

COUNT, SIZE = 10, 128


@pytest.fixture(scope="module")
def phantoms():
    return [render(3, index, SIZE) for index in range(COUNT)]


def middle(mask):
    rows, columns = np.nonzero(mask)
    return rows.mean(), columns.mean()


def test_types_and_two_clavicles_on_their_sides(phantoms):
    for phantom in phantoms:
        for image in (phantom.image, phantom.mask, phantom.structures):
            assert image.dtype == np.uint8 and image.shape == (SIZE, SIZE)
        assert phantom.structures.max() < 32
        np.testing.assert_array_equal(phantom.mask, (phantom.structures & 3) > 0)
        assert cv2.connectedComponents(phantom.mask)[0] - 1 == 2
        assert 0.005 < phantom.mask.mean() < 0.04
        right, left = (middle(phantom.structures & bit) for bit in (1, 2))
        assert right[1] < left[1]  # the patient's right is the image's left
        assert max(right[0], left[0]) < SIZE / 2


def test_lungs_and_heart_lie_where_they_belong_and_lungs_are_darker(phantoms):
    for phantom in phantoms:
        right, left, heart = (middle(phantom.structures & bit) for bit in (4, 8, 16))
        assert right[1] < heart[1] < left[1]
        assert heart[0] > right[0]
        assert not np.any((phantom.structures & 12) == 12)
        grey = phantom.image.astype(float)
        assert np.median(grey[(phantom.structures & 12) > 0]) + 3 < np.median(grey[(phantom.structures & 16) > 0])


def test_clavicles_go_on_beyond_the_rib_cage(monkeypatch):
    silhouettes = []

    def spy(view, tubes, hard=False):
        image = lay(view, tubes, hard)
        if hard:
            silhouettes.append(image > 0)
        return image

    monkeypatch.setattr(rendering, "lay", spy)
    phantom = render(3, 0, SIZE)
    for bone, bit in zip(silhouettes, (1, 2)):
        annotated = (phantom.structures & bit) > 0
        assert np.all(bone[annotated])
        assert 0.4 < annotated.sum() / bone.sum() < 0.9


@pytest.mark.parametrize("reach", [{}, {"reach_mm": 0.0}])
def test_same_arguments_give_the_same_pixels_and_no_reach_changes_nothing(phantoms, reach):
    same = render(3, 4, SIZE, **reach)
    for name in ("image", "mask", "structures", "spacing_mm"):
        np.testing.assert_array_equal(getattr(same, name), getattr(phantoms[4], name))


def test_reach_annotates_more_to_the_sides_of_the_rib_cage_only(phantoms):
    for index, near in enumerate(phantoms):
        far = render(3, index, SIZE, reach_mm=20)
        np.testing.assert_array_equal(far.image, near.image)
        np.testing.assert_array_equal(far.structures & ~np.uint8(3), near.structures & ~np.uint8(3))
        for bit, outwards in ((1, -1), (2, 1)):
            before, after = ((phantom.structures & bit) > 0 for phantom in (near, far))
            assert np.all(after[before])
            known_mm, added_mm = (
                outwards * np.nonzero(mask)[1] * near.spacing_mm[1] for mask in (before, after & ~before)
            )
            # The outline runs at a slant: what is added begins beyond the middle of the bone, not beyond all of it.
            assert added_mm.min() > np.median(known_mm)
            assert known_mm.max() < added_mm.max() < known_mm.max() + 20 + 2 * near.spacing_mm[1]


def test_spacing_fits_a_detector():
    spacings = [render(5, index, 64).spacing_mm for index in range(6)]
    assert len(set(spacings)) == 6
    assert all(row == column and 330 < 64 * row < 480 for row, column in spacings)


def clavicle_frame(phantom):
    """Returns how many rows above the lungs' top the clavicles lie, and how many degrees they rise to the side."""
    lungs = np.nonzero((phantom.structures & 12).any(axis=1))[0][0]
    tilts, rows = [], []
    for bit, outwards in ((1, -1), (2, 1)):
        y, x = np.nonzero(phantom.structures & bit)
        if len(x) > 20:
            rows.append(lungs - y.mean())
            tilts.append(np.degrees(np.arctan(-outwards * np.polyfit(x, y, 1)[0])))
    return np.mean(rows), np.mean(tilts)


def test_clavicles_of_patients_in_bed_are_higher_and_steeper_and_end_where_others_do(phantoms):
    frames = np.array([clavicle_frame(phantom) for phantom in phantoms])
    in_bed = np.array([clavicle_frame(render(3, index, SIZE, bedside=True)) for index in range(COUNT)])
    higher, steeper = (in_bed - frames).mean(axis=0)
    assert higher > 0.02 * SIZE and steeper > 3
    # Some lie above the lungs, which no clavicle of an upright patient does.
    assert frames[:, 0].max() < 0 < in_bed[:, 0].max()
    for index in range(COUNT):
        phantom = render(3, index, SIZE, bedside=True)
        clavicles, lungs = (np.nonzero(phantom.structures & bits)[1] for bits in (3, 12))
        assert np.ptp(clavicles) < 1.15 * np.ptp(lungs)
