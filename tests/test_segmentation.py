"""What a Segmentation says of logits drawn by hand."""

import numpy as np
import pytest

from crass_tf import segmentation as segmentations
from crass_tf.geometry import Letterbox
from crass_tf.radiograph import Radiograph
from crass_tf.segmentation import Segmentation


def bars():
    """Two bright bars on dark ground, uint8 [96, 128]: rows 20 to 39, columns 8 to 47 and 72 to 111."""
    image = np.full((96, 128), 28, np.uint8)
    image[20:40, 8:48] = image[20:40, 72:112] = 228
    return image


def segmentation_of(mask, spacing_mm=None):
    """The Segmentation of a mask drawn on its own grid: logit 4 inside, -4 outside."""
    logits = np.where(mask, np.float32(4), np.float32(-4))
    grid = Letterbox.fit(mask.shape, logits.shape)
    return Segmentation(Radiograph(np.zeros(mask.shape, np.uint8), spacing_mm), logits, grid)


def test_results_of_a_drawn_mask():
    mask = np.zeros((20, 40), np.uint8)
    mask[4:8, 2:12] = 1  # 40 pixels, the patient's right
    mask[5:9, 30:35] = 1  # 20 pixels, the patient's left
    segmentation = segmentation_of(mask, (0.5, 0.2))
    np.testing.assert_array_equal(segmentation.mask, mask)
    # Each pixel has 0.5 x 0.2 = 0.1 square millimetres.
    assert segmentation.quality["right"] == {"found": True, "area_pixels": 40, "area_mm2": pytest.approx(4.0)}
    assert segmentation.quality["left"] == {"found": True, "area_pixels": 20, "area_mm2": pytest.approx(2.0)}
    # sigmoid(4) = 0.98201.
    assert segmentation.probability.dtype == np.float32
    np.testing.assert_allclose(segmentation.probability, np.where(mask, 0.98201, 0.01799), atol=1e-5)
    (right,) = segmentation.contours["right"]
    assert right.dtype == np.float32
    # Between a logit of -4 and one of 4 the outline lies halfway.
    assert right.min(axis=0).tolist() == [1.5, 3.5] and right.max(axis=0).tolist() == [11.5, 7.5]
    # It crosses the grid once above and below each of 10 columns, and on both sides of 4 rows.
    assert len(right) == 28


def two_bars(mirrored=False, refused=False, spacing_mm=(0.5, 0.25)):
    """Bars of 10 rows and 60 columns that begin at columns 20 and 120 of 200."""
    mask = np.zeros((100, 200), np.uint8)
    mask[40:50, 20:80] = mask[40:50, 120:180] = 1
    logits = np.where(mask, np.float32(4), np.float32(-4))
    image, grid = np.full(mask.shape, 100, np.uint8), Letterbox.fit(mask.shape, mask.shape)
    return Segmentation(Radiograph(image, spacing_mm, mirrored=mirrored), logits, grid, -logits if refused else None)


@pytest.mark.parametrize("mirrored", [False, True])
def test_measures_go_by_the_patients_sides(mirrored):
    segmentation = two_bars(mirrored)
    image_left, image_right = ("left", "right") if mirrored else ("right", "left")
    assert segmentation.measures[image_left]["medial_end"] == pytest.approx([79.5, 44.5], abs=0.01)
    assert segmentation.measures[image_left]["lateral_end"] == pytest.approx([19.5, 44.5], abs=0.01)
    assert segmentation.measures[image_right]["medial_end"] == pytest.approx([119.5, 44.5], abs=0.01)
    for side in ("right", "left"):
        # 60 columns of 0.25 mm, 10 rows of 0.5 mm.
        assert segmentation.measures[side]["length_mm"] == pytest.approx(15, abs=0.01)
        assert segmentation.measures[side]["width_mm"] == pytest.approx(5, abs=0.01)
        assert segmentation.measures[side]["angle_deg"] == pytest.approx(0, abs=0.01)


def test_distances_to_the_midline_of_a_picture_without_contrast():
    # The same grey everywhere: nothing says where the axis is, so it is the centre, x = 99.5.
    segmentation = two_bars()
    np.testing.assert_allclose(segmentation.midline, [[99.5, 0], [99.5, 99]], atol=0.01)
    # 20 columns of 0.25 mm to either side.
    found = segmentation.medial_distances
    assert found["right_mm"] == pytest.approx(5, abs=0.01) and found["left_mm"] == pytest.approx(5, abs=0.01)


def test_what_is_refused_has_no_measures():
    segmentation = two_bars(refused=True)
    assert segmentation.refusal
    assert segmentation.contours == {"right": [], "left": []}
    assert segmentation.centre_lines == {"right": None, "left": None}
    assert set(segmentation.medial_distances.values()) == {None}


def test_nothing_found_is_said():
    segmentation = segmentation_of(np.zeros((8, 8), np.uint8))
    nothing = {"found": False, "area_pixels": 0, "area_mm2": None}
    assert segmentation.quality["right"] == segmentation.quality["left"] == nothing
    assert segmentation.quality["score"] == 0 and segmentation.refusal is None
    assert segmentation.contours == {"right": [], "left": []}
    assert not segmentation.mask.any() and not segmentation.labels.any()


def test_extreme_logits_give_probabilities_without_warnings():
    logits = np.float32([[-1e4, 0], [1e4, 1]])
    grid = Letterbox.fit((2, 2), logits.shape)
    probability = Segmentation(Radiograph(np.zeros((2, 2), np.uint8)), logits, grid).probability
    np.testing.assert_allclose(probability, [[0, 0.5], [1, 0.731059]], atol=1e-6)


def test_what_is_not_asked_for_is_not_computed(monkeypatch):
    calls = []
    monkeypatch.setattr(segmentations, "split_sides", lambda mask, mirrored: calls.append(1) or mask)
    segmentation = segmentation_of(np.ones((4, 4), np.uint8))
    assert segmentation.mask.all() and not calls
    assert segmentation.labels is segmentation.labels and len(calls) == 1


def located(agrees):
    """A cascade's Segmentation of two bars whose locator found them, or found something else."""
    image = bars()
    logits = np.where(image > 128, np.float32(8), np.float32(-8))
    coarse = logits if agrees else logits[::-1]
    return Segmentation(Radiograph(image), logits, Letterbox.fit(image.shape, logits.shape), coarse)


def test_a_cascade_whose_networks_agree_gives_its_mask():
    segmentation = located(agrees=True)
    assert segmentation.refusal is None
    np.testing.assert_array_equal(segmentation.mask, bars() > 128)
    assert segmentation.quality["agreement"] == 1 and segmentation.quality["score"] > 0.5


def test_what_only_one_network_sees_is_refused_and_gives_no_mask():
    segmentation = located(agrees=False)
    assert "only one of two networks" in segmentation.refusal
    assert not segmentation.mask.any() and not segmentation.labels.any()
    assert segmentation.quality["score"] == 0


def test_what_is_uncertain_everywhere_is_refused():
    sure = located(agrees=True)
    unsure = Segmentation(sure.radiograph, sure.model_logits / 80, sure.grid, sure.located)
    # Logits of -0.1 and 0.1: the expected IoU is 0.525 of the mask's pixels over these and 0.475 of all others.
    assert "too uncertain" in unsure.refusal and not unsure.mask.any() and not unsure.labels.any()
