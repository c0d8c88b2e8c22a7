"""A DICOM file gives the grey values a viewer shows, of frontal projection radiographs only."""

import struct
import zlib

import cv2
import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import apply_voi_lut
from radiograph_files import dicom, ramp, stored
from refusals import refuses

from crass_tf.common.files import InputError
from crass_tf.radiographs.formats.png import write_png
from crass_tf.radiographs.radiograph import read_radiograph

SYNTAXES = [
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
]


def save(path, dataset, **options):
    path.write_bytes(stored(dataset, **options))
    return path


def read(tmp_path, pixels, **options):
    return read_radiograph(save(tmp_path / "image.dcm", dicom(pixels, **options)))


def lut(entries, first, bits):
    item = pydicom.Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = np.asarray(entries, "<u2").tobytes()
    item["LUTData"].VR = "OW"
    return [item]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_8_bits_are_the_pngs_values(tmp_path, syntax):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 31), dtype=np.uint8)
    write_png(tmp_path / "image.png", pixels)
    image = read_radiograph(tmp_path / "image.png").image
    np.testing.assert_array_equal(read(tmp_path, pixels, syntax=syntax).image, image)
    inverted = read(tmp_path, 255 - pixels, syntax=syntax, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(inverted.image, image)
    in_words = read(tmp_path, pixels.astype(np.uint16), syntax=syntax, BitsStored=8)
    np.testing.assert_array_equal(in_words.image, image)


@pytest.mark.parametrize("compress", [uid.RLELossless, uid.JPEG2000Lossless, uid.JPEGLSLossless])
@pytest.mark.parametrize("dtype, bits", [(np.uint8, 8), (np.uint16, 12)])
def test_compressed_pixels_are_the_same(tmp_path, compress, dtype, bits):
    pixels = np.random.default_rng(0).integers(0, 2**bits, (80, 64)).astype(dtype)
    plain = read(tmp_path, pixels, BitsStored=bits)
    np.testing.assert_array_equal(read(tmp_path, pixels, BitsStored=bits, compress=compress).image, plain.image)


def test_without_a_window_the_smallest_depth_that_holds_the_values_is_the_grey_scale(tmp_path):
    # 95 * 30 = 2850 needs 12 bits, full scale 4095: 40 * 30 * 255 / 4095 = 74.7, whatever the bits stored.
    pixels = ramp(np.uint16, 30)
    write_png(tmp_path / "image.png", pixels)
    expected = read_radiograph(tmp_path / "image.png").image
    assert expected[5, 0] == 75
    for bits in (12, 14, 16):
        np.testing.assert_array_equal(read(tmp_path, pixels, BitsStored=bits).image, expected)
    # Inverted within that scale, not within 16 bits; and a rescaling that rises says nothing.
    inverted = read(tmp_path, 4095 - pixels, PhotometricInterpretation="MONOCHROME1", RescaleSlope=2)
    np.testing.assert_array_equal(inverted.image, expected)
    # Bits above those stored hold old files' overlays.
    np.testing.assert_array_equal(read(tmp_path, pixels | 0x8000, BitsStored=12).image, expected)


PADDED = dict(PixelPaddingValue=60000, PixelPaddingRangeLimit=60010)
INVERTED = dict(PhotometricInterpretation="MONOCHROME1")
MIDDLE = np.full((1, 1, 3), 2048, np.uint16)


@pytest.mark.parametrize(
    "pixels, options, expected",
    [
        # 13 bits stored: 8191 is white, 4096 * 255 / 8191 = 127.52. By 14 bits it would be 127 and 64.
        (np.array([[0, 4096, 8191]], np.uint16), dict(BitsStored=13), [0, 128, 255]),
        # Signed values begin at the lowest: 0 is 2048 of 4095, and 2048 * 255 / 4095 = 127.53.
        (np.array([[-2048, 2047, 0]], np.int16), dict(BitsStored=12), [0, 255, 128]),
        # Colours of 12 bits in 16, in either byte order; and red alone: 0.299 * 255 = 76.2.
        (MIDDLE, dict(Modality="OT"), [128]),
        (MIDDLE, dict(Modality="OT", syntax=uid.ExplicitVRBigEndian), [128]),
        (np.array([[[255, 0, 0]]], np.uint8), dict(Modality="OT"), [76]),
        # Padding is black, and no part of the scale, 12 bits: 1000 * 255 / 4095 = 62.3, 3000 * 255 / 4095 = 186.8.
        (np.array([[60000, 60005, 1000, 3000]], np.uint16), PADDED, [0, 0, 62, 187]),
        (np.array([[60000, 60005, 3095, 1095]], np.uint16), PADDED | INVERTED, [0, 0, 62, 187]),
    ],
    ids=["13 bits", "signed", "colours", "colours, big-endian", "red", "padding", "padding, inverted"],
)
def test_grey_values_by_hand(tmp_path, pixels, options, expected):
    assert read(tmp_path, pixels, **options).image.tolist() == [expected]


def test_rescaling_that_falls_turns_grey_values(tmp_path):
    rises = read(tmp_path, ramp(), RescaleSlope=2, RescaleIntercept=-1000)
    np.testing.assert_array_equal(rises.image, ramp())
    falls = read(tmp_path, ramp(), RescaleSlope=-1, RescaleIntercept=255)
    np.testing.assert_array_equal(falls.image, 255 - ramp())


# A window one value wide is a threshold.
@pytest.mark.parametrize("function, width", [("LINEAR", 800), ("LINEAR", 1), ("LINEAR_EXACT", 800), ("SIGMOID", 800)])
def test_windows_are_the_standards(tmp_path, function, width):
    options = dict(BitsStored=12, WindowCenter=1000, WindowWidth=width, VOILUTFunction=function)
    pixels = ramp(np.uint16, 25)
    radiograph = read(tmp_path, pixels, **options)
    expected = apply_voi_lut(pixels, dicom(pixels, **options)) * 255 / 4095
    assert np.abs(radiograph.image - expected).max() <= 0.51
    assert radiograph.notes == (f"window 1000 / {width} ({function}) applied",)
    inverted = read(tmp_path, pixels, PhotometricInterpretation="MONOCHROME1", **options)
    assert np.abs(inverted.image - (255 - expected)).max() <= 0.51


def test_the_first_window_counts_and_none_of_no_width(tmp_path):
    first = read(tmp_path, ramp(), WindowCenter=[48, 10], WindowWidth=[50, 5])
    np.testing.assert_array_equal(first.image, read(tmp_path, ramp(), WindowCenter=48, WindowWidth=50).image)
    none = read(tmp_path, ramp(), WindowCenter=48, WindowWidth=0)
    np.testing.assert_array_equal(none.image, ramp())
    assert none.notes == ("WindowWidth = 0 means nothing and was ignored",)


def test_luts_come_in_order_and_a_voi_lut_before_a_window(tmp_path):
    # 12 bits to 8: value 1000 is entry 1000, grey 1000 // 16 = 62.
    entries = np.arange(4096) // 16
    pixels = ramp(np.uint16, 40)
    options = dict(BitsStored=12, VOILUTSequence=lut(entries, 0, 8), WindowCenter=10, WindowWidth=5)
    radiograph = read(tmp_path, pixels, **options)
    np.testing.assert_array_equal(radiograph.image, pixels // 16)
    assert radiograph.notes == ("VOI LUT applied",)
    # A modality LUT that turns 0 ... 95 round; values behind its end get its last entry.
    both = read(tmp_path, ramp(), ModalityLUTSequence=lut(np.arange(50)[::-1] * 80, 0, 12))
    assert both.image[0, 0] == round(49 * 80 * 255 / 4095) and both.image[11, 7] == 0
    # The first mapped value: everything up to 20 is entry 0.
    late = read(tmp_path, ramp(), VOILUTSequence=lut([0, 255], 20, 8))
    assert late.image.ravel()[[0, 20, 21, 95]].tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize(
    "tags, expected, note",
    [
        ({"PixelSpacing": [0.25, 0.2], "ImagerPixelSpacing": [0.3, 0.3]}, (0.25, 0.2), ""),
        ({"ImagerPixelSpacing": [0.3, 0.2]}, (0.3, 0.2), "not corrected for magnification"),
        ({"NominalScannedPixelSpacing": [0.1, 0.1]}, (0.1, 0.1), "film scanner"),
        ({"PixelSpacing": [1, 1]}, None, ""),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.2]}, (0.2, 0.2), "ImagerPixelSpacing"),
        ({}, None, ""),
        # What there cannot be is unknown.
        ({"PixelSpacing": [0.1, 2]}, None, "the file's pixel spacing of 0.1 x 2 mm was ignored"),
    ],
)
def test_spacing(tmp_path, tags, expected, note):
    radiograph = read(tmp_path, ramp(), **tags)
    assert radiograph.spacing_mm == expected
    assert note in "".join(radiograph.notes) and bool(note) == bool(radiograph.notes)


def test_sides_are_the_patients_where_the_image_is_mirrored(tmp_path):
    assert not read(tmp_path, ramp()).mirrored
    assert not read(tmp_path, ramp(), PatientOrientation=["L", "F"]).mirrored
    assert read(tmp_path, ramp(), PatientOrientation=["R", "F"]).mirrored


def test_old_files_without_a_mark_are_read_by_their_suffix(tmp_path):
    dataset = dicom(ramp(), syntax=uid.ImplicitVRLittleEndian)
    del dataset.file_meta
    save(tmp_path / "old.dcm", dataset, implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(read_radiograph(tmp_path / "old.dcm").image, ramp())


VIEW = pydicom.Dataset()
VIEW.CodeMeaning = "Left lateral projection"

REFUSED = {
    "ct": (dict(SOPClassUID=uid.CTImageStorage, Modality="CT"), "found CT Image Storage, expected a projection"),
    "ct-by-modality": (dict(SOPClassUID=None, Modality="CT"), "found modality CT, expected a projection"),
    "ultrasound": (dict(SOPClassUID=uid.UltrasoundImageStorage, Modality="US"), "found Ultrasound Image Storage"),
    "pdf": (dict(SOPClassUID=uid.EncapsulatedPDFStorage, PixelData=None), "found Encapsulated PDF Storage"),
    "raw": (dict(SOPClassUID=uid.DigitalXRayImageStorageForProcessing), "FOR PROCESSING"),
    "raw-by-intent": (dict(PresentationIntentType="FOR PROCESSING"), "FOR PROCESSING"),
    "lateral": (dict(ViewPosition="LL"), "found ViewPosition = LL, expected a frontal view"),
    "lateral-by-word": (dict(ViewPosition="Left laterale"), "found ViewPosition = LEFT LATERALE"),
    "lateral-cut-off": (dict(ViewPosition="THORAX LAT."), "found ViewPosition = THORAX LAT."),
    "lateral-by-code": (dict(ViewCodeSequence=[VIEW]), "found the view 'left lateral projection'"),
    "lateral-by-orientation": (dict(PatientOrientation=["P", "F"]), r"PatientOrientation = P\\F"),
    "upside-down": (dict(PatientOrientation=["L", "H"]), r"PatientOrientation = L\\H"),
    "hand": (dict(BodyPartExamined="HAND"), "found BodyPartExamined = HAND, expected CHEST"),
    "no-pixels": (dict(PixelData=None), "without pixels"),
    "no-rows": (dict(Rows=None), "found Rows = None, expected a whole number"),
    "frames": (dict(NumberOfFrames=2, PixelData=bytes(192)), "found 2 frames"),
    "rows": (dict(Rows=13), "found 96 bytes of pixels, expected 104 for 8 x 13"),
    "short": (dict(PixelData=bytes(50)), "found 50 bytes of pixels, expected 96"),
    "long": (dict(PixelData=bytes(96 + 4098)), "found 4194 bytes of pixels, expected 96"),
    "bits": (dict(BitsStored=9), "BitsAllocated = 8, BitsStored = 9"),
    "no-samples": (dict(SamplesPerPixel=None), "found SamplesPerPixel = None, expected a whole number"),
    "no-sign": (dict(PixelRepresentation=None), "found PixelRepresentation = None, expected 0 or 1"),
    "high-bit": (dict(HighBit=6), "HighBit = 6"),
    "no-photometric": (dict(PhotometricInterpretation=None), "found 1 samples a pixel of None"),
    "palette": (dict(PhotometricInterpretation="PALETTE COLOR"), "PALETTE COLOR"),
    "half-a-spacing": (dict(PixelSpacing=[0, 0.2]), r"found PixelSpacing = '0(.0)?\\\\0.2'"),
    "one-spacing": (dict(PixelSpacing=[0.2]), "found PixelSpacing"),
    "slope": (dict(RescaleSlope=0, RescaleIntercept=0), "RescaleSlope = 0"),
    "lut": (dict(VOILUTSequence=lut([1, 2], 0, 20)), "found 2 entries of 20 bits in VOILUTSequence"),
    "empty-lut": (dict(VOILUTSequence=[pydicom.Dataset()]), "found VOILUTSequence without a table"),
    "huge": (dict(Rows=20000, Columns=20000), "claims 20000 x 20000 pixels"),
}


@pytest.mark.parametrize("surplus", [2, 96, 1000, 4096])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_bytes_behind_the_pixels_are_passed_over_with_a_note(tmp_path, syntax, surplus):
    data = ramp().tobytes() + b"\xaa" * surplus
    found = read(tmp_path, ramp(), syntax=syntax, PixelData=data)
    np.testing.assert_array_equal(found.image, read(tmp_path, ramp(), syntax=syntax).image)
    assert found.notes == (f"{surplus} bytes behind the pixels were ignored",)


def test_colours_that_are_signed_or_of_which_no_sample_was_left_out(tmp_path):
    signed = np.zeros((4, 4, 3), np.int8)
    refuses("image.dcm: found colours as signed values, int8", read, tmp_path, signed, Modality="OT")
    tags = dict(PhotometricInterpretation="YBR_FULL_422", PixelData=bytes(12 * 8 * 3))
    refuses("found 288 bytes of pixels, expected 192", read, tmp_path, np.zeros((12, 8, 3), np.uint8), **tags)


@pytest.mark.parametrize("length", ["defined", "undefined"])
def test_sequences_3000_deep_are_refused_or_read_in_no_time(tmp_path, length):
    # (0040,0275) of one item that holds the same again: pydicom #2330.
    inner, ends = b"", struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0) if length == "undefined" else b""
    for _ in range(3000):
        sizes = (0xFFFFFFFF, 0xFFFFFFFF) if ends else (len(inner) + 8, len(inner))
        inner = struct.pack("<HH2s2xIHHI", 0x0040, 0x0275, b"SQ", sizes[0], 0xFFFE, 0xE000, sizes[1]) + inner + ends
    path = tmp_path / "image.dcm"
    dicom(ramp()).save_as(path)
    pixels = struct.pack("<HH2s", 0x7FE0, 0x0010, b"OB")
    path.write_bytes(path.read_bytes().replace(pixels, inner + pixels, 1))
    try:
        np.testing.assert_array_equal(read_radiograph(path).image, ramp())
    except InputError as error:
        assert "\n" not in str(error) and "image.dcm" in str(error)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(tmp_path, name):
    tags, message = REFUSED[name]
    refuses(f"image.dcm: .*{message}", read, tmp_path, ramp(), **tags)


@pytest.mark.parametrize("before", [b"", struct.pack("<HH2s2xI", 2, 1, b"OB", 3000) + bytes(3000)])
def test_deflated_data_are_inflated_up_to_a_limit(tmp_path, monkeypatch, before):
    """Wherever in the header the transfer syntax stands, and whatever length the header claims."""
    monkeypatch.setattr("crass_tf.radiographs.formats.dicom.MAX_BYTES", 1_000_000)
    path = save(tmp_path / "image.dcm", dicom(ramp(), syntax=uid.DeflatedExplicitVRLittleEndian))
    meta = before + struct.pack("<HH2sH", 2, 16, b"UI", 22) + b"1.2.840.10008.1.2.1.99"
    squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = squeezer.compress(bytes(1_000_001)) + squeezer.flush()
    path.write_bytes(bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, 7) + meta + data)
    refuses("found more than 1000000 bytes in the deflated DICOM file", read_radiograph, path)


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian])
def test_no_more_elements_than_some(tmp_path, monkeypatch, syntax):
    monkeypatch.setattr("crass_tf.radiographs.formats.dicom.MAX_READS", 100)
    dataset = dicom(ramp(), syntax=syntax)
    for number in range(100):
        dataset.add_new(0x00111000 + number, "LO", "")
    with pytest.raises(InputError, match="image.dcm: found too many elements in the DICOM file"):
        read_radiograph(save(tmp_path / "image.dcm", dataset))


def test_text_as_spacing_and_no_longer_elements_than_some(tmp_path):
    path = save(tmp_path / "image.dcm", dicom(ramp(), PixelSpacing=[0.25, 0.25]))
    path.write_bytes(path.read_bytes().replace(b"0.25\\0.25", b"wide\\tall"))
    refuses(r"found PixelSpacing = 'wide\\\\tall', expected two lengths above 0", read_radiograph, path)
    path = save(tmp_path / "image.dcm", dicom(ramp(), syntax=uid.ImplicitVRLittleEndian))
    pixels = path.read_bytes().index(b"\xe0\x7f\x10\0")
    window = struct.pack("<HHI", 0x28, 0x1050, 1_000_002) + b"1\\" * 500_001
    path.write_bytes(path.read_bytes()[:pixels] + window + path.read_bytes()[pixels:])
    refuses(r"found 1000002 bytes in the element \(0028,1050\), expected at most 1000000", read_radiograph, path)


def test_compressed_pixels_of_another_size(tmp_path):
    dataset = dicom(np.tile(ramp(), (8, 8)), compress=uid.JPEG2000Lossless)
    dataset.Rows, dataset.Columns = 64, 96
    with pytest.raises(InputError, match="found pixels of 64 x 96, expected 96 x 64 by the header"):
        read_radiograph(save(tmp_path / "image.dcm", dataset))


def test_truncated_anywhere(tmp_path):
    whole = save(tmp_path / "whole.dcm", dicom(ramp(), PixelSpacing=[0.25, 0.25])).read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "part.dcm").write_bytes(whole[:length])
        refuses("part.dcm: ", read_radiograph, tmp_path / "part.dcm")


def test_without_pydicom_the_next_step_is_named(tmp_path, monkeypatch):
    path = save(tmp_path / "image.dcm", dicom(ramp()))
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    refuses(r"need pydicom; install it with: pip install crass-tf\[dicom\]", read_radiograph, path)


def scanned(path, frame):
    """A film scanner's file: 64 x 64 pixels as JPEG baseline."""
    dataset = dicom(np.zeros((64, 64), np.uint8), Modality="OT")
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    return save(path, dataset)


def test_jpeg_by_a_scanner(tmp_path):
    """Close to what was stored, not equal; whatever bytes fill up the end."""
    pixels = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8), (9, 9), 0)
    frame = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
    for padding in (b"", bytes(99), b"\xff"):
        image = read_radiograph(scanned(tmp_path / "image.dcm", frame + padding)).image
        assert np.abs(image.astype(int) - pixels).max() <= 4
    half = scanned(tmp_path / "image.dcm", frame[: len(frame) // 2])
    refuses("image.dcm: the compressed pixels are truncated, expected their end marker", read_radiograph, half)


@pytest.mark.parametrize("compress", [uid.JPEG2000Lossless, uid.JPEGLSLossless])
def test_half_of_the_compressed_pixels(tmp_path, compress):
    dataset = dicom(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8), compress=compress)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame[: len(frame) // 2]])
    half = save(tmp_path / "image.dcm", dataset)
    refuses("image.dcm: the compressed pixels are truncated, expected their end marker", read_radiograph, half)
