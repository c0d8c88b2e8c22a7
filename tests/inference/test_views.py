"""Changed views of a radiograph, and the second look at doubtful clavicles."""

import types

import cv2
import numpy as np
import pytest

from crass_tf.inference.segmenter import Segmenter
from crass_tf.inference.views import SECOND_LOOK, views
from crass_tf.measurement.metrics import iou

SIZE = 256, 256


def radiograph():
    """A picture uint8 `[300, 200]` with two bright bars, and the mask of each."""
    image = np.full((300, 200), 60, np.uint8)
    left, right = np.zeros_like(image), np.zeros_like(image)
    cv2.line(left, (40, 60), (85, 90), 1, 12)
    cv2.line(right, (115, 80), (160, 70), 1, 12)
    image[(left | right) > 0] = 220
    return image, [left, right]


def brightness_network(scores):
    """A clavicle model that marks what is bright in each half of its grid; its scores are those of one look each."""
    given = iter(scores)

    def run(batch):
        logits = np.stack([batch[..., 0], batch[..., 0]], axis=1) - 140
        logits[:, 0, :, SIZE[1] // 2 :] = logits[:, 1, :, : SIZE[1] // 2] = -20
        whole = np.tile(np.float32([[1, 0, 0], [0, 1, 0]]), (1, 2, 1, 1))
        return {"strip_logits": logits, "strip_matrices": whole, "score": np.float32([next(given)])}

    return types.SimpleNamespace(run=run, has_strips=True, image_size=SIZE, metadata=None)


def test_clavicles_are_found_where_they_are_in_each_view():
    image, masks = radiograph()
    segmenter = Segmenter(brightness_network([(1, 1)] * 16))
    found = list(views(image, SIZE))
    assert len(found) == 16 and all(view.shape == SIZE and view.dtype == np.uint8 for view, _ in found)
    for number, (view, matrix) in enumerate(found):
        for outline, mask in zip(segmenter.look(view, matrix, image.shape), masks):
            box, logits = outline.to_native()
            marked = np.zeros(image.shape, bool)
            marked[box] = logits > 0
            assert iou(marked, mask) > 0.8, number


@pytest.mark.parametrize("second_look", [True, False])
@pytest.mark.parametrize("scores", [(0.81, 0.95), (0.3, 0.45)], ids=["sure", "no radiograph"])
def test_one_look_is_enough(scores, second_look):
    image, _ = radiograph()
    segmentation = Segmenter(brightness_network([scores]), second_look=second_look).segment(image)
    assert [each.score for each in segmentation.outlines] == pytest.approx(scores)


def test_a_doubtful_clavicle_is_taken_from_the_surest_view():
    image, masks = radiograph()
    # The second view is mirrored: its scores are those of the other side. The third one, which is turned, is the surest
    # of the first clavicle; the second clavicle was sure at once.
    later = [(0.9, 0.5), (0.75, 0.99)] + [(0.4, 0.9)] * (SECOND_LOOK - 3)
    segmentation = Segmenter(brightness_network([(0.45, 0.85), *later])).segment(image)
    assert [each.score for each in segmentation.outlines] == pytest.approx([0.75, 0.85])
    (cos, sin, _), _ = segmentation.outlines[0].grid.matrix
    assert np.degrees(np.arctan2(sin, cos)) == pytest.approx(-7, abs=0.1)
    assert iou(segmentation.labels == 1, masks[0]) > 0.8 and iou(segmentation.labels == 2, masks[1]) > 0.9
    assert segmentation.quality["right"]["score"] == pytest.approx(0.75)


def test_after_a_second_look_a_score_stays_below_that_of_a_sure_clavicle():
    image, _ = radiograph()
    segmentation = Segmenter(brightness_network([(0.6, 0.7)] + [(0.95, 0.95)] * (SECOND_LOOK - 1))).segment(image)
    assert [each.score for each in segmentation.outlines] == pytest.approx([0.79, 0.79])
