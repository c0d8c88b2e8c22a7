"""Proposals: what many views outline alike, and nothing else."""

import cv2
import numpy as np
import pytest
from folders import table
from refusals import refuses

from crass_tf.commands.propose import propose
from crass_tf.measurement.metrics import iou
from crass_tf.phantom import write_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four phantoms, noise, and a text file."""
    top = tmp_path_factory.mktemp("unlabelled")
    write_folder(top, 4, seed=0, size=512, workers=1, progress=False)
    images = top / "CRASS12" / "image"
    noise = np.random.default_rng(0).integers(0, 256, (300, 300)).astype(np.uint8)
    cv2.imwrite(str(images / "noise.png"), noise)
    (images / "broken.png").write_text("no picture")
    return top


@pytest.fixture(scope="module")
def proposals(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("proposals")
    return propose([folder / "CRASS12" / "image"], out, least=0.5), out


def test_what_views_agree_on_is_proposed_where_the_clavicles_are(folder, proposals):
    rows, out = proposals
    by_name = {row["image"]: row for row in rows}
    assert by_name["noise"]["kept"] is False and by_name["broken"]["kept"] is False
    assert "broken.png" in by_name["broken"]["reason"]
    kept = (out / "CRASS12" / "train.txt").read_text().split()
    assert kept and set(kept) <= {name for name in by_name if name not in ("noise", "broken")}
    overlaps = []
    for name in kept:
        mask = cv2.imread(str(out / "CRASS12" / "mask" / f"{name}.png"), 0) > 0
        truth = cv2.imread(str(folder / "CRASS12" / "mask" / f"{name}.PNG"), 0) > 0
        overlaps.append(iou(mask, truth))
    # The shipped weights learned from real radiographs last: of phantoms some are outlined badly.
    assert np.median(overlaps) > 0.8, overlaps
    assert [row["image"] for row in table(out / "proposals.csv")] == list(by_name)
    assert (out / "sheets" / "00.jpg").stat().st_size > 1000


def test_names_that_cannot_be_told_apart(tmp_path):
    for name in ("a/b.png", "a_b.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("")
    refuses("^a_b: found two radiographs of this name", propose, [tmp_path / "in"], tmp_path / "out")


def test_nothing_to_propose_is_an_error(folder, tmp_path):
    noise = folder / "CRASS12/image/noise.png"
    refuses("found no radiograph whose clavicles", propose, [noise], tmp_path / "out")
    assert not (tmp_path / "out" / "CRASS12").exists()
