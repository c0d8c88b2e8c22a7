import hashlib
import pathlib
import re

import numpy as np
import pytest
from refusals import refuses

import crass_tf
from crass_tf.data.negatives import negative
from crass_tf.inference.segmenter import Segmenter, shipped_model
from crass_tf.measurement.extent import EXTENTS
from crass_tf.measurement.metrics import iou

FOLDER = pathlib.Path(shipped_model()).parent
LITE = sorted(FOLDER.glob("model_*.tflite"))
MODELS = [*LITE, *FOLDER.glob("model_*.keras")]


def test_the_shipped_model_finds_the_clavicles_of_a_phantom_it_never_saw(unseen_phantom):
    segmentation = crass_tf.Segmenter.load().segment(unseen_phantom.image, unseen_phantom.spacing_mm)
    assert iou(unseen_phantom.mask, segmentation.mask) > 0.75
    assert segmentation.quality["right"]["found"] and segmentation.quality["left"]["found"]
    assert segmentation.quality["score"] > 0.6 and segmentation.refusal is None
    # The patient's right clavicle lies in the image's left.
    assert np.nonzero(segmentation.labels == 1)[1].mean() < np.nonzero(segmentation.labels == 2)[1].mean()


def test_what_is_no_chest_radiograph_is_refused(unseen_phantom, shipped_segmenter):
    rng = np.random.default_rng(5)
    pictures = [negative((300, 260), np.random.default_rng(seed)) for seed in range(900, 930)]
    pictures += [np.full((300, 260), 128, np.uint8), rng.integers(0, 256, (300, 260), dtype=np.uint8)]
    # Lungs without the upper third of the picture, where the clavicles are.
    pictures.append(unseen_phantom.image[250:])
    for picture in pictures:
        segmentation = shipped_segmenter.segment(picture)
        assert segmentation.refusal is not None and not segmentation.mask.any()


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_model_cards_and_shipped_files_say_what_they_are_and_on_what_terms(path):
    card = (path.parent / "model_card.md").read_text(encoding="utf-8")
    assert re.search(rf"`{path.name}` {hashlib.sha256(path.read_bytes()).hexdigest()}", card)
    assert "not a medical device" in card and "Research and education only" in card
    if path in LITE:
        about = Segmenter.load(path).metadata
        assert path.name == f"model_{about['form']}.tflite"
        assert about["architecture"] == "clavicles" and about["signature"] == "serving_default"
        assert about["image_size"] == [1024, 1024] and about["outputs"]["logits"] == [512, 512, 2]
        assert "Research and education only" in about["terms"]


def test_every_form_of_the_shipped_model_is_there_and_they_agree(unseen_phantom):
    names = ("model_int8.tflite", "model_float16.tflite", "model_float16.keras")
    masks = [Segmenter.load(FOLDER / name).segment(unseen_phantom.image).mask for name in names]
    assert min(iou(masks[0], mask) for mask in masks[1:]) > 0.97
    assert sum(path.stat().st_size for path in MODELS) <= 12_000_000
    assert (FOLDER / names[0]).stat().st_size <= 2_500_000


def test_weights_from_phantoms_alone(unseen_phantom):
    folder = FOLDER.parent / "clavicle_unet_phantom"
    card = (folder / "model_card.md").read_text(encoding="utf-8")
    for name in ("model_dynamic_int8.tflite", "model_float16.keras"):
        assert f"`{name}` {hashlib.sha256((folder / name).read_bytes()).hexdigest()}" in card
        assert iou(unseen_phantom.mask, Segmenter.load(folder / name).segment(unseen_phantom.image).mask) > 0.75
    assert "Apache-2.0" in Segmenter.load(folder / "model_dynamic_int8.tflite").metadata["terms"]


def test_extents_of_the_shipped_model(unseen_phantom):
    found = {extent: Segmenter.load(extent=extent).segment(unseen_phantom.image) for extent in EXTENTS}
    scr, crass = (found[extent] for extent in ("scr", "crass"))
    assert crass.mask[scr.mask > 0].all()
    for side, line in scr.centre_lines.items():
        longer = crass.centre_lines[side].length(np.ones(2)) / line.length(np.ones(2))
        assert 1.15 < longer < 1.35
    assert crass.quality["right"]["iou_expected"] is None
    refuses("extent: found 'whole', expected one of scr, crass", Segmenter.load, extent="whole")
