import hashlib
import pathlib
import re

import cv2
import numpy as np
import pytest
import SimpleITK

import crass_tf
from crass_tf.common.files import InputError
from crass_tf.data.negatives import negative
from crass_tf.inference.segmenter import Segmenter, shipped_model
from crass_tf.measurement.extent import EXTENTS
from crass_tf.phantom import render
from crass_tf.radiographs.formats.png import write_png

FOLDER = pathlib.Path(shipped_model()).parent
FILES = sorted(path for path in FOLDER.glob("model_*.*") if path.is_file())
LITE = [path for path in FILES if path.suffix == ".tflite"]
MODELS = [path for path in FILES if path.suffix != ".md"]


@pytest.fixture(scope="module")
def phantom():
    """One that is in no training set."""
    return render(seed=0, index=3, size=512)


def test_the_shipped_model_finds_the_clavicles_of_a_phantom_it_never_saw(phantom):
    segmentation = crass_tf.Segmenter.load().segment(phantom.image, phantom.spacing_mm)
    both = np.count_nonzero(segmentation.mask & phantom.mask) / np.count_nonzero(segmentation.mask | phantom.mask)
    assert both > 0.75
    assert segmentation.quality["right"]["found"] and segmentation.quality["left"]["found"]
    assert segmentation.quality["score"] > 0.6 and segmentation.refusal is None
    # The patient's right clavicle lies in the image's left.
    assert np.nonzero(segmentation.labels == 1)[1].mean() < np.nonzero(segmentation.labels == 2)[1].mean()


def test_what_is_no_chest_radiograph_is_refused(phantom):
    segmenter = Segmenter.load()
    rng = np.random.default_rng(5)
    pictures = [negative((300, 260), np.random.default_rng(seed)) for seed in range(900, 930)]
    pictures += [np.full((300, 260), 128, np.uint8), rng.integers(0, 256, (300, 260), dtype=np.uint8)]
    # Lungs without the upper third of the picture, where the clavicles are.
    pictures.append(phantom.image[250:])
    for picture in pictures:
        segmentation = segmenter.segment(picture)
        assert segmentation.refusal is not None and not segmentation.mask.any()


@pytest.mark.parametrize("path", MODELS, ids=[f"{path.parent.name}/{path.name}" for path in MODELS])
def test_model_cards_describe_the_shipped_files(path):
    card = (path.parent / "model_card.md").read_text(encoding="utf-8")
    assert re.search(rf"`{path.name}` {hashlib.sha256(path.read_bytes()).hexdigest()}", card)
    assert "not a medical device" in card
    assert "Research and education only" in card


def test_every_form_of_the_shipped_model_is_there_and_they_agree(phantom):
    names = ("model_int8.tflite", "model_float16.tflite", "model_float16.keras")
    masks = [Segmenter.load(FOLDER / name).segment(phantom.image).mask for name in names]
    for mask in masks[1:]:
        assert np.count_nonzero(masks[0] & mask) / np.count_nonzero(masks[0] | mask) > 0.97
    assert sum(path.stat().st_size for path in FILES) <= 12_000_000
    assert (FOLDER / names[0]).stat().st_size <= 2_500_000


@pytest.mark.parametrize("path", LITE, ids=[f"{path.parent.name}/{path.name}" for path in LITE])
def test_shipped_files_say_what_they_are_and_on_what_terms(path):
    about = Segmenter.load(path).metadata
    assert path.name == f"model_{about['form']}.tflite"
    assert about["architecture"] == "clavicles" and about["signature"] == "serving_default"
    assert about["image_size"] == [1024, 1024] and about["outputs"]["logits"] == [512, 512, 2]
    assert "Research and education only" in about["terms"]
    assert path.stat().st_size <= 4_000_000


def write_dicom(path, pixels, photometric):
    """Writes uint8 `[H, W]` as a computed radiograph; MONOCHROME1 stores white as 0."""
    import pydicom

    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = pydicom.uid.ComputedRadiographyImageStorage, "1.2.3"
    dataset.Modality, dataset.PhotometricInterpretation = "CR", photometric
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = (255 - pixels if photometric == "MONOCHROME1" else pixels).tobytes()
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path, enforce_file_format=True)


def test_one_radiograph_gives_one_mask_from_every_kind_of_file(phantom, tmp_path):
    image, segmenter = phantom.image, Segmenter.load()
    write_png(tmp_path / "8bits.png", image)
    expected = segmenter.segment(tmp_path / "8bits.png").mask
    assert expected.any()
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        write_dicom(tmp_path / f"{photometric}.dcm", image, photometric)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(image), tmp_path / "8bits.mhd")
    cv2.imwrite(str(tmp_path / "16bits.png"), image.astype(np.uint16) * 257)
    # 255 becomes 4080 of 4095: a little darker.
    cv2.imwrite(str(tmp_path / "12bits.png"), image.astype(np.uint16) * 16)
    least = {"MONOCHROME1.dcm": 0.999, "MONOCHROME2.dcm": 0.999, "8bits.mhd": 0.999}
    for name, least_iou in (least | {"16bits.png": 0.99, "12bits.png": 0.99}).items():
        found = segmenter.segment(tmp_path / name).mask
        assert np.count_nonzero(expected & found) / np.count_nonzero(expected | found) >= least_iou, name


def test_extents_of_the_shipped_model(phantom):
    found = {extent: Segmenter.load(extent=extent).segment(phantom.image) for extent in EXTENTS}
    scr, crass = (found[extent] for extent in ("scr", "crass"))
    assert crass.mask[scr.mask > 0].all()
    for side, line in scr.centre_lines.items():
        longer = crass.centre_lines[side].length(np.ones(2)) / line.length(np.ones(2))
        assert 1.15 < longer < 1.35
    assert crass.quality["right"]["iou_expected"] is None
    with pytest.raises(InputError, match="extent: found 'whole', expected one of scr, crass"):
        Segmenter.load(extent="whole")
