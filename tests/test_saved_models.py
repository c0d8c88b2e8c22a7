import hashlib
import pathlib
import re

import numpy as np

import crass_tf
from crass_tf.phantom import render
from crass_tf.segmenter import shipped_model


def test_shipped_model_finds_the_clavicles_of_a_phantom_it_never_saw():
    phantom = render(seed=0, index=3, size=512)
    segmentation = crass_tf.Segmenter.load().segment(phantom.image, phantom.spacing_mm)
    both = np.count_nonzero(segmentation.mask & phantom.mask) / np.count_nonzero(segmentation.mask | phantom.mask)
    # 0.80 when it was shipped.
    assert both > 0.7
    assert segmentation.quality["right"]["found"] and segmentation.quality["left"]["found"]
    # The patient's right clavicle lies in the image's left.
    assert np.nonzero(segmentation.labels == 1)[1].mean() < np.nonzero(segmentation.labels == 2)[1].mean()


def test_model_card_describes_the_shipped_file():
    card = (shipped_model().parent / "model_card.md").read_text(encoding="utf-8")
    checksum = hashlib.sha256(pathlib.Path(shipped_model()).read_bytes()).hexdigest()
    assert re.search(rf"`{shipped_model().name}` {checksum}", card)
    assert "research and education" in card and "not a medical device" in card
