"""DICOM files through pydicom: which are frontal projection radiographs, their pixels, spacing and orientation."""

import io
import math
import re
import struct
import warnings
import zlib

from crass_tf.common.files import InputError, one_line
from crass_tf.common.types import PathLike
from crass_tf.radiographs.formats import MAX_BYTES, Content, Decoded, dicom_grey, is_surplus, suffix, surplus_notes

# What a file has at its byte 128, and how many bytes have to be read to see it.
MARK, HEAD = (b"DICM", 128), 132
SUFFIXES = (".dcm", ".dicom")
DEFLATED = "1.2.840.10008.1.2.1.99"
# Radiographs' headers have some hundred elements, each of which pydicom reads in two steps or three.
MAX_READS = 100_000
# Limit of one element, except the pixels: each number of a list becomes an object. Only GROUPS are read.
MAX_ELEMENT_BYTES = 1_000_000
GROUPS = (0x0008, 0x0018, 0x0020, 0x0028, 0x0054)
JPEG, JPEG_2000 = b"\xff\xd8\xff", b"\xff\x4f\xff\x51"
# The marker of the part that holds the size, in JPEG of any process and JPEG-LS.
FRAME = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf\xf7]")
# Codes of JPEG, JPEG-LS and JPEG 2000 alike end with this marker, which cannot stand within.
END_MARKER = b"\xff\xd9"
EXPECTED = "a projection radiograph: CR, DX or secondary capture"
# Other and secondary capture are what converters and film scanners write.
MODALITIES = ("CR", "DX", "DR", "RG", "OT", "SC")
STORAGE = "1.2.840.10008.5.1.4.1.1."
CLASSES = tuple(STORAGE + end for end in ("1", "1.1", "7", "7.1", "7.2", "7.3", "7.4"))
FOR_PROCESSING = STORAGE + "1.1.1"
# DICOM's terms for views that are not frontal: laterals, obliques, and those of a patient who lies on one side.
OTHER_VIEWS = ("LL", "RL", "LLD", "RLD", "LLO", "RLO", "LAO", "RAO", "LPO", "RPO")
# What words for them begin with, in English and its neighbours' languages.
OTHER_WORDS = ("LAT", "OBL")
# DICOM's terms for parts of the body that show no clavicles.
OTHER_PARTS = re.compile(
    "ABDOMEN|ANKLE|ARM|BREAST|CALCANEUS|CALF|COCCYX|CSPINE|ELBOW|EXTREMITY|FEMUR|FINGER|FOOT|FOREARM|HAND|HEAD|HIP|JAW|"
    "KNEE|LEG|LSPINE|LUMBARSPINE|MANDIBLE|MAXILLA|ORBIT|PATELLA|PELVIS|SKULL|SSPINE|TOE|TEETH|THIGH|THUMB|TIBIA|WRIST"
)
# Distances between pixels, the most trustworthy first, and what has to be known of the others.
SPACINGS = {
    "PixelSpacing": None,
    "ImagerPixelSpacing": "spacing from ImagerPixelSpacing: at the detector, not corrected for magnification",
    "NominalScannedPixelSpacing": "spacing from NominalScannedPixelSpacing: of the film scanner",
}
NOT_MEASURED = ((0, 0), (1, 1))


def is_named_so(path: PathLike | Content) -> bool:
    """Returns whether a file's suffix is one of DICOM's; old files have no mark."""
    return suffix(path) in SUFFIXES


def read(content: Content) -> Decoded:
    """Returns the `content.Decoded` of a frontal projection radiograph.

    Raises:
        InputError: where pydicom is missing, the file is damaged, or holds anything else; the message says what.
    """
    try:
        import pydicom  # noqa: F401
    except ImportError:
        raise InputError(f"{content}: DICOM files need pydicom; install it with: pip install crass-tf[dicom]") from None
    try:
        # What pydicom would warn of is either refused here or does not matter.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(content)
    except InputError as error:
        # A damaged header's texts may hold anything, line ends included.
        error.args = (one_line(str(error)[:500]),)
        raise
    # A damaged file may raise any error in pydicom and its decoders.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{content}: the DICOM file cannot be read ({reason})") from None


def _read(path):
    dataset = _open(path)
    if not any(name in dataset for name in ("SOPClassUID", "Modality", "Rows")):
        raise InputError(f"{path}: found no whole DICOM data set (it starts with {path.data[:8]!r}), expected one")
    _check_lengths(path, dataset)
    _check_kind(path, dataset)
    _check_view(path, dataset)
    mirrored = _is_mirrored(path, dataset)
    spacing_mm, spacing_notes = _read_spacing(path, dataset)
    surplus = _check_pixels(path, dataset)
    pixels, bits, notes = dicom_grey.grey(path, dataset)
    return Decoded(pixels, spacing_mm, bits, mirrored, (*notes, *spacing_notes, *surplus_notes(surplus)))


class _File(io.BytesIO):
    """A DICOM file as pydicom reads it; raises InputError where that would take too long, or too much memory."""

    def __init__(self, path: object, data: bytes) -> None:
        super().__init__(data)
        self.path, self.reads = path, 0

    def read(self, count: int | None = -1, /) -> bytes:
        """Returns the next `count` bytes; refuses to read all the rest, which pydicom would inflate without limit."""
        self.reads += 1
        if count is None or count < 0:
            raise InputError(f"{self.path}: found deflated data behind an unusual header, expected one in explicit VR")
        if self.reads > MAX_READS:
            raise InputError(f"{self.path}: found too many elements in the DICOM file, expected some hundred")
        return super().read(count)


def _open(path):
    """Returns pydicom's data set of a file; one that is deflated is inflated here, up to a limit."""
    from pydicom import dcmread, filereader
    from pydicom.dataset import FileMetaDataset

    data = path.data
    file = _File(path, data)
    filereader.read_preamble(file, force=True)
    meta = filereader.read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
    if meta.get("TransferSyntaxUID") != DEFLATED:
        file.seek(0)
        return dcmread(file, force=not data.startswith(*MARK))
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[file.tell() :], MAX_BYTES + 1)
    if len(inflated) > MAX_BYTES:
        raise InputError(f"{path}: found more than {MAX_BYTES} bytes in the deflated DICOM file, expected fewer")
    dataset = filereader.read_dataset(_File(path, inflated), False, True)
    dataset.file_meta = FileMetaDataset(meta)
    return dataset


def _check_lengths(path, dataset):
    """Raises InputError where an element in GROUPS is too long: each of its numbers would become an object."""
    for element in dataset.elements():
        count = len(element.value) if isinstance(element.value, bytes) else 0
        if element.tag.group in GROUPS and count > MAX_ELEMENT_BYTES:
            problem = f"{count} bytes in the element {element.tag}"
            raise InputError(f"{path}: found {problem}, expected at most {MAX_ELEMENT_BYTES}")


def _check_kind(path, dataset):
    """Raises InputError for anything but one projection radiograph as it is shown."""
    kind, modality = dataset.get("SOPClassUID"), _read_text(dataset, "Modality")
    intent = _read_text(dataset, "PresentationIntentType")
    if kind == FOR_PROCESSING or intent == "FOR PROCESSING":
        raise InputError(f"{path}: found a detector's raw values (FOR PROCESSING), expected them FOR PRESENTATION")
    if kind and kind not in CLASSES:
        raise InputError(f"{path}: found {kind.name}, expected {EXPECTED}")
    if modality and modality not in MODALITIES:
        raise InputError(f"{path}: found modality {modality}, expected {EXPECTED}")
    frames = _read_integer(path, dataset, "NumberOfFrames", 1)
    if frames != 1:
        raise InputError(f"{path}: found {frames} frames in the DICOM file, expected 1")


def _check_view(path, dataset):
    """Raises InputError where the header clearly says that this is no frontal view of the chest."""
    part, view = _read_text(dataset, "BodyPartExamined"), _read_text(dataset, "ViewPosition")
    if OTHER_PARTS.fullmatch(part):
        raise InputError(f"{path}: found BodyPartExamined = {part}, expected CHEST")
    if any(word in OTHER_VIEWS or word.startswith(OTHER_WORDS) for word in re.findall("[A-Z]+", view)):
        raise InputError(f"{path}: found ViewPosition = {view}, expected a frontal view, PA or AP")
    for item in dataset.get("ViewCodeSequence") or []:
        meaning = _read_text(item, "CodeMeaning")
        if "LATERAL" in meaning or "OBLIQUE" in meaning:
            raise InputError(f"{path}: found the view {meaning.lower()!r}, expected a frontal one, PA or AP")


def _is_mirrored(path, dataset):
    """Returns whether image left is the patient's left; InputError for views other than frontal and upright."""
    right, down = ([*(dataset.get("PatientOrientation") or []), "", ""])[:2]
    if str(right)[:1] not in ("L", "R", "") or str(down)[:1] not in ("F", ""):
        problem = rf"found PatientOrientation = {right}\{down}"
        raise InputError(rf"{path}: {problem}, expected L\F or R\F, frontal and upright")
    return str(right)[:1] == "R"


def _read_spacing(path, dataset):
    """Returns `((row, column) in millimetres or None, notes)`.

    A spacing of 1 x 1 mm or 0 x 0 is a default of writers, and counts as unknown.
    """
    for name, note in SPACINGS.items():
        if dataset.get_item(name) is None or not (stored := _read_words(dataset, name)):
            continue
        try:
            row_mm, column_mm = map(float, stored)
        except (TypeError, ValueError):
            row_mm = column_mm = math.nan
        if (row_mm, column_mm) in NOT_MEASURED:
            continue
        if not all(math.isfinite(length) and length > 0 for length in (row_mm, column_mm)):
            shown = "\\".join(map(str, stored)) if isinstance(stored, list) else stored
            raise InputError(f"{path}: found {name} = {shown!r}, expected two lengths above 0 in millimetres")
        return (row_mm, column_mm), (note,) if note else ()
    return None, ()


def _read_words(dataset, name):
    """Returns the words of an element as they stand in the file, since pydicom raises at what is no number."""
    value = getattr(dataset.get_item(name), "value", None)
    if isinstance(value, bytes):
        value = value.decode("latin-1").strip(" \0").split("\\")
    return value if isinstance(value, str) or not value else list(value)


def _check_pixels(path, dataset):
    """Removes bytes behind the pixels that the header promises, and returns how many; InputError without those."""
    from pydicom import uid

    if "PixelData" not in dataset or not dataset.PixelData:
        raise InputError(f"{path}: found a DICOM file without pixels, expected {EXPECTED}")
    height, width = (_read_integer(path, dataset, name) for name in ("Rows", "Columns"))
    path.check_size(width, height)
    for name in ("SamplesPerPixel", "BitsAllocated", "BitsStored"):
        _read_integer(path, dataset, name)
    dicom_grey.check(path, dataset)
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is not None and syntax.is_compressed:
        _check_frame(path, dataset, (height, width))
        return 0
    if syntax is None:
        # As pydicom could read it.
        implicit, little = dataset.original_encoding
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit
    expected = whole = height * width * dataset.SamplesPerPixel * dataset.BitsAllocated // 8
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        expected = expected * 2 // 3
    length = len(dataset.PixelData)
    if length in (expected, expected + expected % 2):
        return 0
    # The bytes of colours stored without subsampling are no surplus.
    is_whole = dataset.PhotometricInterpretation == "YBR_FULL_422" and length in (whole, whole + whole % 2)
    if not is_surplus(length - expected, expected) or is_whole:
        raise InputError(f"{path}: found {length} bytes of pixels, expected {expected} for {width} x {height}")
    dataset.PixelData = dataset.PixelData[: expected + expected % 2]
    return length - expected


def _check_frame(path, dataset, size):
    """Raises InputError where no decoder for a compressed image is installed, or it is of another size, or cut off."""
    from pydicom.encaps import generate_frames
    from pydicom.pixels.decoders.base import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    if not get_decoder(syntax).is_available:
        raise InputError(f"{path}: {syntax.name} needs a decoder; install it with: pip install crass-tf[dicom]")
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    frame_size = _read_frame_size(frame)
    if frame_size is not None and frame_size != size:
        expected = f"expected {size[1]} x {size[0]} by the header"
        raise InputError(f"{path}: found pixels of {frame_size[1]} x {frame_size[0]}, {expected}")
    # Padding may follow the marker. Decoders fill missing parts with grey.
    if frame_size is not None and END_MARKER not in frame.rstrip(b"\0")[-64:]:
        raise InputError(f"{path}: the compressed pixels are truncated, expected their end marker; copy the file again")


def _read_frame_size(frame):
    """Returns the `(height, width)` that compressed pixels of JPEG, JPEG-LS or JPEG 2000 claim, else None."""
    if frame.startswith(JPEG):
        marker = FRAME.search(frame)
        return struct.unpack_from(">HH", frame, marker.end() + 3) if marker else None
    if frame.startswith(JPEG_2000):
        right, bottom, left, top = struct.unpack_from(">IIII", frame, 8)
        return bottom - top, right - left
    return None


def _read_integer(path, dataset, name, default=None):
    """Returns a whole number above 0 of the header; InputError where there is another or none."""
    value = dataset.get(name)
    value = default if value in (None, "") else value
    try:
        number = 0 if value is None else int(value)
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        raise InputError(f"{path}: found {name} = {value}, expected a whole number above 0")
    return number


def _read_text(dataset, name):
    """Returns an element's text in capitals, without space around it; "" where it is missing."""
    return str(dataset.get(name) or "").strip().upper()
