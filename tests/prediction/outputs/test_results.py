"""Every form of a result, read back by the programs it is meant for."""

import json

import cv2
import highdicom
import jsonschema
import numpy as np
import pydicom
import pytest
from drawn import segmentation_of
from pycocotools import mask as coco_masks
from pydicom.uid import DigitalXRayImageStorageForPresentation
from pydicom.uid import MultiFrameGrayscaleByteSecondaryCaptureImageStorage as MANY_FRAMES
from radiograph_files import dicom, stored

from crass_tf.common.files import InputError
from crass_tf.measurement.quality import SIDES
from crass_tf.prediction import predict, run
from crass_tf.prediction.outputs import OUTPUTS, coco, dicom_seg, record
from crass_tf.radiographs.formats.png import write_png
from crass_tf.radiographs.radiograph import read_radiograph

MODEL = "models/model.tflite"
# Right clavicle in rows 10 to 19, columns 4 to 33; left clavicle in rows 12 to 21, columns 60 to 93.
DRAWN = np.zeros((40, 100), np.uint8)
DRAWN[10:20, 4:34] = DRAWN[12:22, 60:94] = 1


def written(output, folder, segmentation, source="radiographs/a.png"):
    path = folder / f"a{OUTPUTS[output].suffix}"
    OUTPUTS[output].write(path, segmentation, source, MODEL)
    return path


@pytest.fixture(scope="module")
def schema():
    found = record.schema()
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


MASKS = {
    "both": DRAWN,
    "one": np.where(np.arange(100) < 50, DRAWN, 0),
    "none": np.zeros((40, 100), np.uint8),
    "a speck": np.pad(np.ones((1, 1), np.uint8), ((9, 30), (9, 90))),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("spacing_mm", [None, (0.5, 0.25)])
def test_json_follows_its_schema(schema, tmp_path, mask, spacing_mm):
    content = json.loads(written("json", tmp_path, segmentation_of(mask, spacing_mm)).read_text())
    schema.validate(content)
    assert content["schema"] == schema.schema["$id"]
    for name, side in SIDES.items():
        assert content["clavicles"][name]["found"] == (segmentation_of(mask).labels == side).any()


@pytest.mark.parametrize(
    "damage",
    [{"status": "refused"}, {"clavicles": {}}, {"spacing_mm": 0.25}, {"schema": "urn:crass-tf:result:0"}, {"extra": 1}],
    ids=str,
)
def test_the_schema_refuses_what_is_something_else(schema, damage):
    schema.validate(record.refusal("a.png: file not found", "a.png", MODEL))
    content = record.result(segmentation_of(DRAWN), "a.png", MODEL)
    with pytest.raises(jsonschema.ValidationError):
        schema.validate(content | damage)


def test_measures_in_json():
    content = record.result(segmentation_of(DRAWN, (0.5, 0.5)), "a.png", MODEL)
    # 30 x 10 pixels of 0.5 mm whose medial end is the image's right one, at x = 33.5; y from 9.5 to 19.5.
    right = {name: content["clavicles"]["right"][name] for name in ("length_mm", "width_mm", "angle_deg", "medial_end")}
    assert right == {"length_mm": 15.0, "width_mm": 5.0, "angle_deg": 0.0, "medial_end": [33.5, 14.5]}
    # A picture of one grey has its midline in the middle, x = 49.5: 16 pixels right of 33.5, 10 left of 59.5.
    assert content["midline"]["ends"] == [[49.5, 0.0], [49.5, 39.0]]
    distances = content["medial_distances"]
    assert (distances["right_mm"], distances["left_mm"], distances["difference_mm"]) == (8.0, 5.0, 3.0)
    assert distances["ratio"] == 0.62


def test_probability_has_16_bits(tmp_path):
    segmentation = segmentation_of(DRAWN, (0.25, 0.25))
    path = written("probability", tmp_path, segmentation)
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    # sigmoid(4) = 0.982014 and sigmoid(-4) = 0.017986, of 65535.
    assert picture.dtype == np.uint16 and picture.shape == (40, 100)
    np.testing.assert_allclose(picture[DRAWN == 1], 64356, atol=1)
    np.testing.assert_allclose(picture[DRAWN == 0], 1179, atol=1)
    assert read_radiograph(path).spacing_mm == pytest.approx((0.25, 0.25))


def test_contours_and_coco_of_a_mask_and_of_nothing(tmp_path):
    content = json.loads(written("contours", tmp_path, segmentation_of(DRAWN)).read_text())
    (right,) = content["contours"]["right"]
    assert np.min(right, axis=0).tolist() == [3.5, 9.5] and np.max(right, axis=0).tolist() == [33.5, 19.5]
    assert content["centre_lines"]["right"][0] == [33.5, 14.5] and content["centre_lines"]["right"][-1] == [3.5, 14.5]
    assert content["midline"] == [[49.5, 0.0], [49.5, 39.0]] and content["native_size"] == [40, 100]
    nothing = segmentation_of(MASKS["none"])
    coco_content, content = (json.loads(written(k, tmp_path, nothing).read_text()) for k in ("coco", "contours"))
    assert coco_content["annotations"] == [] and len(coco_content["images"]) == 1
    assert content["contours"] == {"right": [], "left": []} and content["centre_lines"] == {"right": None, "left": None}


@pytest.mark.parametrize(
    "mask",
    [
        DRAWN,
        1 - DRAWN,
        np.ones((3, 4)),
        np.zeros((3, 4)),
        np.random.default_rng(0).integers(0, 2, (37, 61)),
        np.pad(np.ones((700, 900)), 300),
    ],
    ids=["drawn", "the rest", "all", "nothing", "noise", "large"],
)
def test_run_lengths_are_those_of_pycocotools(mask):
    found = coco.run_lengths(mask)
    assert found["counts"] == coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    np.testing.assert_array_equal(coco_masks.decode(found), mask)


def test_coco_is_read_by_pycocotools(tmp_path):
    from pycocotools.coco import COCO

    segmentation = segmentation_of(DRAWN)
    data = COCO(str(written("coco", tmp_path, segmentation)))
    assert data.loadImgs(1)[0] == {"id": 1, "file_name": "a.png", "height": 40, "width": 100}
    assert [category["name"] for category in data.loadCats([1, 2])] == ["right clavicle", "left clavicle"]
    right, left = data.loadAnns(data.getAnnIds(imgIds=1))
    for annotation, side in ((right, 1), (left, 2)):
        assert annotation["category_id"] == side
        np.testing.assert_array_equal(data.annToMask(annotation), segmentation.labels == side)
        # Polygons lie on the pixels' edges here, so that drawn they are the mask again, but for its cut corners.
        drawn_again = coco_masks.decode(coco_masks.merge(coco_masks.frPyObjects(annotation["polygons"], 40, 100)))
        assert (drawn_again != (segmentation.labels == side)).sum() <= 4
    assert right["bbox"] == [4, 10, 30, 10] and right["area"] == 300
    assert left["bbox"] == [60, 12, 34, 10] and left["area"] == 340


def write_dicom(path, **tags):
    """A digital radiograph of 40 x 100 pixels whose header has what a scanner's has, but for `tags`."""
    uids = {"SOPInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4", "StudyInstanceUID": "1.2.5"}
    scanner = {"SOPClassUID": DigitalXRayImageStorageForPresentation, "Modality": "DX", "PatientID": "phantom"}
    place = {"PatientOrientation": ["L", "F"], "PixelSpacing": [0.5, 0.25]}
    pixels = np.full((40, 100), 90, np.uint8)
    path.write_bytes(stored(dicom(pixels, **(uids | scanner | place | tags)), enforce_file_format=True))
    return path


def read_back(tmp_path, mask=None, **tags):
    """Returns the segmentation object of a radiograph with such tags, whose labels are the segmentation's."""
    source = write_dicom(tmp_path / "a.dcm", **tags)
    segmentation = segmentation_of(DRAWN if mask is None else mask, radiograph=read_radiograph(source))
    found = highdicom.seg.segread(written("dicom-seg", tmp_path, segmentation, source))
    labels = found.get_pixels_by_source_instance(["1.2.3"], combine_segments=True)[0]
    np.testing.assert_array_equal(labels, segmentation.labels)
    return found, labels


def test_a_dicom_seg_read_back(tmp_path):
    # With R first, image left is the patient's left.
    assert read_back(tmp_path, PatientOrientation=["R", "F"])[1][15, 10] == 2
    # A side that was not found is an empty segment.
    for name in ("one", "none"):
        assert read_back(tmp_path, MASKS[name], PatientID=None)[0].number_of_segments == 2
    found, labels = read_back(tmp_path)
    assert labels[15, 10] == 1
    assert found.StudyInstanceUID == "1.2.5" and found.SeriesInstanceUID != "1.2.4" and found.PatientID == "phantom"
    # SNOMED: 51299004 clavicle, 24028007 right, 7771000 left.
    for number, label, laterality in ((1, "Right clavicle", "24028007"), (2, "Left clavicle", "7771000")):
        segment = found.get_segment_description(number)
        assert segment.segment_label == label and segment.segmented_property_type.value == "51299004"
        (kind,) = segment.SegmentedPropertyTypeCodeSequence
        assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == laterality
        assert "not for diagnosis" in segment.SegmentDescription
        assert segment.algorithm_type.value == "AUTOMATIC"
        (algorithm,) = segment.algorithm_identification
        assert algorithm.AlgorithmName == "crass-tf" and "model.tflite" in algorithm.AlgorithmParameters
    assert "research only" in found.SeriesDescription


def test_dicom_seg_says_what_is_missing(tmp_path):
    with pytest.raises(InputError, match="found no SeriesInstanceUID, StudyInstanceUID in the DICOM"):
        read_back(tmp_path, StudyInstanceUID=None, SeriesInstanceUID="")
    assert not (tmp_path / "a_seg.dcm").exists()


ANONYMISED = [
    ("PatientBirthDate", "ANON"),
    ("PatientBirthDate", "00000000"),
    ("StudyDate", "2001/01/01"),
    ("StudyTime", "99:99"),
    ("StudyTime", "999999"),
    ("PatientSex", "UNKNOWN"),
]


@pytest.mark.parametrize("name, value", ANONYMISED)
def test_what_an_anonymised_header_says_in_no_valid_form_is_left_empty(tmp_path, name, value):
    assert not read_back(tmp_path, **{name: value})[0].get(name)
    source, path = tmp_path / "a.dcm", tmp_path / "a_seg.dcm"
    segmentation = segmentation_of(DRAWN, radiograph=read_radiograph(source))
    said = f"{path}: left {name} empty, since {source} has no such value as DICOM allows"
    assert dicom_seg.write(path, segmentation, source, MODEL) == [said]


@pytest.mark.parametrize("name", ["", "Yamada^Tarou=山田^太郎=やまだ^たろう"])
def test_a_japanese_header(tmp_path, name):
    found, _ = read_back(tmp_path, SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName=name)
    assert found.PatientName == pydicom.dcmread(tmp_path / "a.dcm").PatientName == name
    assert found.SpecificCharacterSet == "ISO_IR 192"


PLACE = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}


@pytest.mark.parametrize(
    "tags",
    [{"SOPClassUID": MANY_FRAMES, "NumberOfFrames": 1, "Modality": "OT"}, PLACE | {"FrameOfReferenceUID": "1.2.9"}],
)
def test_one_of_several_frames_and_a_frame_of_reference(tmp_path, tags):
    found, _ = read_back(tmp_path, **tags)
    kinds = [element.value for element in found.iterall() if element.keyword == "ReferencedSOPClassUID"]
    assert kinds and set(kinds) == {tags.get("SOPClassUID", DigitalXRayImageStorageForPresentation)}


def test_what_an_output_needs_is_said_before_work_starts(monkeypatch):
    run.check_outputs(list(OUTPUTS))
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None)
    run.check_outputs(["mask", "coco"])
    with pytest.raises(InputError, match=r"dicom-seg needs highdicom; install it with: pip install crass-tf\[dicom\]"):
        run.check_outputs(["mask", "dicom-seg"])


def test_dicom_and_png_in_one_run(litert_model, tmp_path, capsys):
    pixels = np.where(np.pad(DRAWN, ((12, 12), (0, 0))), 228, 28).astype(np.uint8)
    write_dicom(tmp_path / "a.dcm", Rows=64, PixelData=pixels.tobytes())
    write_png(tmp_path / "b.png", pixels)
    out = tmp_path / "out"
    assert predict([tmp_path / "a.dcm", tmp_path / "b.png"], out, litert_model, ["mask", "dicom-seg"]) == 1
    assert sorted(path.name for path in out.iterdir()) == ["a_mask.png", "a_seg.dcm", "b_mask.png"]
    assert "b.png: found no DICOM file, which dicom-seg needs" in capsys.readouterr().err
    labels = highdicom.seg.segread(out / "a_seg.dcm").get_pixels_by_source_instance(["1.2.3"], combine_segments=True)
    assert labels.shape == (1, 64, 100) and set(np.unique(labels)) == {0, 1, 2}
