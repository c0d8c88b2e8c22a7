"""What a Segmentation says of logits drawn by hand."""

import dataclasses
import json

import cv2
import numpy as np
import pytest
from drawn import bars, segmentation_of
from refusals import refuses

from crass_tf.geometry import Letterbox, Strip
from crass_tf.inference.segmenter import Outline, Segmentation
from crass_tf.measurement.quality import UNKNOWN
from crass_tf.radiographs.radiograph import Radiograph


def test_results_of_a_drawn_mask():
    mask = np.zeros((20, 40), np.uint8)
    mask[4:8, 2:12] = 1  # 40 pixels, the patient's right
    mask[5:9, 30:35] = 1  # 20 pixels, the patient's left
    segmentation = segmentation_of(mask, (0.5, 0.2))
    np.testing.assert_array_equal(segmentation.mask, mask)
    # Each pixel has 0.5 x 0.2 = 0.1 square millimetres.
    right = {"found": True, "area_pixels": 40, "area_mm2": pytest.approx(4.0), "score": None} | UNKNOWN
    assert segmentation.quality["right"] == right
    assert segmentation.quality["left"]["area_mm2"] == pytest.approx(2.0)
    # sigmoid(4) = 0.98201.
    assert segmentation.probability.dtype == np.float32
    np.testing.assert_allclose(segmentation.probability, np.where(mask, 0.98201, 0.01799), atol=1e-5)
    (line,) = segmentation.contours["right"]
    # Between a logit of -4 and one of 4 the outline lies halfway. It crosses the grid once above and below each of 10
    # columns, and on both sides of 4 rows.
    assert line.min(axis=0).tolist() == [1.5, 3.5] and line.max(axis=0).tolist() == [11.5, 7.5] and len(line) == 28


def two_bars(mirrored=False, scores=(0.9, 0.8), spacing_mm=(0.5, 0.25)):
    """Bars of 10 rows and 60 columns that begin at columns 20 and 120 of 200, each in a strip of its own."""
    mask = np.zeros((100, 200), np.uint8)
    mask[40:50, 20:80] = mask[40:50, 120:180] = 1
    logits = np.where(mask, np.float32(4), np.float32(-4))
    # Strips of 40 x 100 from row 30 and columns 0 and 100 on, the second one mirrored.
    matrices = [[[1, 0, 0], [0, 1, -30]], [[-1, 0, 199], [0, 1, -30]]]
    outlines = tuple(
        Outline(part, Strip.of_matrix(matrix, mask.shape, part.shape), score)
        for part, matrix, score in zip((logits[30:70, :100], logits[30:70, :99:-1]), matrices, scores)
    )
    return Segmentation(Radiograph(np.full(mask.shape, 100, np.uint8), spacing_mm, mirrored=mirrored), outlines)


def test_nothing_found_is_said():
    segmentation = segmentation_of(np.zeros((8, 8), np.uint8))
    nothing = {"found": False, "area_pixels": 0, "area_mm2": None, "score": None} | UNKNOWN
    assert segmentation.quality["right"] == segmentation.quality["left"] == nothing
    assert segmentation.quality["score"] == 0 and segmentation.refusal is None
    assert segmentation.contours == {"right": [], "left": []}
    assert not segmentation.mask.any() and not segmentation.labels.any()


def test_extreme_logits_give_probabilities_without_warnings():
    logits = np.float32([[-1e4, 0], [1e4, 1]])
    grid = Letterbox.fit((2, 2), logits.shape)
    probability = Segmentation(Radiograph(np.zeros((2, 2), np.uint8)), (Outline(logits, grid),)).probability
    np.testing.assert_allclose(probability, [[0, 0.5], [1, 0.731059]], atol=1e-6)


@pytest.mark.parametrize("mirrored", [False, True])
def test_sides_their_scores_and_measures_are_the_patients(mirrored):
    segmentation = two_bars(mirrored)
    image_left, image_right = ("left", "right") if mirrored else ("right", "left")
    labels = {"right": 1, "left": 2}
    np.testing.assert_array_equal(np.unique(segmentation.labels[:, :100]), [0, labels[image_left]])
    np.testing.assert_array_equal(np.unique(segmentation.labels[:, 100:]), [0, labels[image_right]])
    assert segmentation.mask.sum() == 2 * 10 * 60 and segmentation.probability.shape == (100, 200)
    assert segmentation.quality[image_left]["score"] == 0.9 and segmentation.quality[image_right]["score"] == 0.8
    assert segmentation.quality["score"] == pytest.approx(0.85) and segmentation.refusal is None
    for side, medial, lateral in ((image_left, 79.5, 19.5), (image_right, 119.5, 179.5)):
        measures = segmentation.measures[side]
        assert measures["medial_end"] == pytest.approx([medial, 44.5], abs=0.01)
        assert measures["lateral_end"] == pytest.approx([lateral, 44.5], abs=0.01)
        # 60 columns of 0.25 mm, 10 rows of 0.5 mm.
        found = [measures[name] for name in ("length_mm", "width_mm", "angle_deg")]
        assert found == pytest.approx([15, 5, 0], abs=0.01)


def test_one_outline_that_is_none_is_left_out():
    segmentation = two_bars(scores=(0.9, 0.1))
    assert segmentation.refusal is None
    assert segmentation.quality["right"]["found"] and not segmentation.quality["left"]["found"]
    assert segmentation.mask.sum() == 600 and not segmentation.mask[:, 100:].any()
    assert not segmentation.quality["checks"]["both_found"]


def test_where_both_claim_a_pixel_the_larger_logit_has_it():
    strip = Strip.of_matrix([[1, 0, 0], [0, 1, 0]], (4, 6), (4, 6))
    first, second = np.full((4, 6), -4, np.float32), np.full((4, 6), -4, np.float32)
    first[1, 0:4], second[1, 2:6] = 3, 2
    outlines = tuple(Outline(logits, strip, 0.9) for logits in (first, second))
    segmentation = Segmentation(Radiograph(np.zeros((4, 6), np.uint8)), outlines)
    assert segmentation.labels[1].tolist() == [1, 1, 1, 1, 2, 2]


def test_nothing_above_zero_and_nothing_trusted_are_refused():
    uncertain = two_bars(scores=(0.1, 0.2))
    assert "too uncertain" in uncertain.refusal and uncertain.contours == {"right": [], "left": []}
    assert uncertain.centre_lines == {"right": None, "left": None}
    assert set(uncertain.medial_distances.values()) == {None}
    strip = Strip.of_matrix([[1, 0, 0], [0, 1, 0]], (4, 6), (4, 6))
    empty = Outline(np.full((4, 6), -4, np.float32), strip, 0.0)
    segmentation = Segmentation(Radiograph(np.zeros((4, 6), np.uint8)), (empty, empty))
    assert "found no clavicles" in segmentation.refusal and not segmentation.mask.any()
    assert segmentation.quality["score"] == 0


class TestSave:
    def test_default_outputs_are_those_of_predict(self, tmp_path):
        found = segmentation_of(bars() > 100, (0.5, 0.5))
        names = sorted(path.name for path in found.save(tmp_path / "out"))
        assert names == ["array.json", "array_labels.png", "array_mask.png", "array_overlay.png"]
        content = json.loads((tmp_path / "out/array.json").read_text())
        # 20 rows and 40 columns of a quarter of a square millimetre.
        assert content == found.to_dict() and content["clavicles"]["right"]["area_mm2"] == 200
        assert np.array_equal(cv2.imread(str(tmp_path / "out/array_mask.png"), 0), 255 * found.mask)

    def test_a_refused_radiograph_gets_its_reason_alone_and_keeps_no_earlier_results(self, tmp_path):
        segmentation_of(bars() > 100).save(tmp_path)
        found = two_bars(scores=(0.1, 0.1))
        assert found.save(tmp_path) == list(tmp_path.iterdir()) == [tmp_path / "array.json"]
        assert found.to_dict()["status"] == "refused" and found.to_dict()["reason"] == found.refusal

    def test_the_last_part_of_a_dicom_number_is_no_suffix(self, tmp_path):
        radiographs = (Radiograph(bars(), source=f"study/1.2.840.{number}") for number in (1, 2))
        for radiograph in radiographs:
            dataclasses.replace(segmentation_of(bars() > 100), radiograph=radiograph).save(tmp_path, ["mask"])
        assert sorted(path.name for path in tmp_path.iterdir()) == ["1.2.840.1_mask.png", "1.2.840.2_mask.png"]

    @pytest.mark.parametrize("scores", [(0.9, 0.9), (0.1, 0.1)])
    def test_a_json_of_another_program_stays_and_an_unknown_output_is_named(self, tmp_path, scores):
        refuses("outputs: found gif", two_bars(scores=scores).save, tmp_path, ["gif"])
        assert not any(tmp_path.iterdir())
        (tmp_path / "array.json").write_text("{}")
        refuses("array.json: found no result of crass-tf", two_bars(scores=scores).save, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["array.json"]
