"""Results as DICOM segmentation objects, through highdicom."""

import io
import pathlib
import warnings

import numpy as np

import crass_tf
from crass_tf.common.files import InputError, atomic_file
from crass_tf.common.types import PathLike
from crass_tf.inference.segmenter import Segmentation
from crass_tf.measurement.quality import SIDES
from crass_tf.prediction.outputs.record import NOTE
from crass_tf.radiographs.formats import dicom, read_bytes
from crass_tf.reporting.overlay import SIDE_COLOURS

# Elements that link a segmentation to its radiograph.
NEEDED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
# Elements that highdicom copies and DICOM allows to be empty; anonymisation removes them.
MAY_BE_EMPTY = (
    "AccessionNumber",
    "PatientBirthDate",
    "PatientID",
    "PatientName",
    "PatientSex",
    "ReferringPhysicianName",
    "StudyDate",
    "StudyID",
    "StudyTime",
)
# Secondary capture, and what its classes for several frames begin with. Of one frame, as the reader takes them, they
# lack what highdicom would look for in them.
ONE_FRAME = "1.2.840.10008.5.1.4.1.1.7"
SEVERAL_FRAMES = f"{ONE_FRAME}."
# Unicode, to which texts of any other character set can be converted.
UTF_8 = "ISO_IR 192"
# A text that DICOM cuts off at 64 characters; the segments' own hold `NOTE`.
DESCRIPTION = "Clavicles, research only: not for diagnosis or treatment"
SERIES_NUMBER = 900


def write(path: PathLike, segmentation: Segmentation, source: PathLike, model: PathLike) -> list[str]:
    """Writes a DICOM segmentation object whose segments 1 and 2 are the patient's right and left clavicle.

    A side that was not found has an empty segment. What the radiograph's header says in a form that DICOM does not
    allow is left empty.

    Returns:
        Lines that say what was left empty.

    Raises:
        InputError: where the radiograph is no DICOM file, or lacks a UID.
    """
    try:
        # What pydicom would warn of stands in the radiograph's header already.
        with warnings.catch_warnings(), atomic_file(path) as temporary:
            warnings.simplefilter("ignore")
            header, emptied = _read_header(source)
            _make_object(segmentation, header, model).save_as(temporary)
    except InputError:
        raise
    # highdicom and pydicom raise whatever an unusual header leads to.
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{source}: no DICOM segmentation can be made of this file ({reason})") from None
    return [f"{path}: left {name} empty, since {source} has no such value as DICOM allows" for name in emptied]


def _read_header(path):
    """Returns the header of the radiograph's DICOM file, and the names of what was emptied in it."""
    import pydicom

    if not (read_bytes(path, dicom.HEAD).startswith(*dicom.MARK) or dicom.is_named_so(path)):
        raise InputError(f"{path}: found no DICOM file, which dicom-seg needs; choose other outputs for this one")
    header = pydicom.dcmread(io.BytesIO(read_bytes(path)), stop_before_pixels=True, force=True)
    # highdicom knows neither an empty name of a character set nor several of them, which Japanese headers have.
    header.decode()
    header.SpecificCharacterSet = UTF_8
    missing = [name for name in NEEDED if not header.get(name)]
    if missing:
        raise InputError(f"{path}: found no {', '.join(missing)} in the DICOM file, which dicom-seg needs")
    emptied = [name for name in MAY_BE_EMPTY if name in header and not _is_valid(header[name])]
    for name in MAY_BE_EMPTY:
        if name not in header or name in emptied:
            setattr(header, name, "")
    # A projection has no slices: highdicom would ask for their thickness, or note a spacing that it cannot read back.
    for name in ("PixelSpacing", "FrameOfReferenceUID"):
        header.pop(name, None)
    return header, emptied


def _is_valid(element):
    """Returns whether a value is what DICOM allows there: those who make patients anonymous write `ANON` as a date."""
    from pydicom import config
    from pydicom.valuerep import DA, TM, validate_value

    if element.keyword == "PatientSex":
        return element.value in ("M", "F", "O", "", None)
    try:
        validate_value(element.VR, element.value, config.RAISE)
        if element.VR in ("DA", "TM") and element.value:
            (DA if element.VR == "DA" else TM)(element.value)
    # pydicom raises whatever such a value leads to.
    except Exception:
        return False
    return True


def _make_object(segmentation, header, model):
    """Returns the segmentation object of a radiograph of any class."""
    import highdicom
    from pydicom.uid import generate_uid

    kind = header.SOPClassUID
    if kind.startswith(SEVERAL_FRAMES):
        header.SOPClassUID = ONE_FRAME
    instance = highdicom.seg.Segmentation(
        source_images=[header],
        pixel_array=np.stack([segmentation.labels == side for side in SIDES.values()], axis=-1)[None],
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(name, side, model) for name, side in SIDES.items()],
        series_instance_uid=generate_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="crass-tf",
        manufacturer_model_name="crass-tf",
        software_versions=crass_tf.__version__,
        device_serial_number="none",
        # highdicom keeps a frame of nothing where all are empty, and would say so.
        omit_empty_frames=bool(segmentation.labels.any()),
        content_label="CLAVICLES",
        content_description=DESCRIPTION,
        series_description=DESCRIPTION,
    )
    for element in instance.iterall() if kind != header.SOPClassUID else ():
        if element.keyword == "ReferencedSOPClassUID":
            element.value = kind
    return instance


def _description(name, side, model):
    """Returns the segment of one side: SNOMED's codes for the clavicle and its side, and what found it."""
    import highdicom
    from pydicom.sr.codedict import codes

    parameters = {"model": pathlib.Path(model).name}
    algorithm = highdicom.AlgorithmIdentificationSequence(
        "crass-tf", codes.DCM.ArtificialIntelligence, crass_tf.__version__, parameters=parameters
    )
    description = highdicom.seg.SegmentDescription(
        segment_number=side,
        segment_label=f"{name.capitalize()} clavicle",
        segmented_property_category=codes.cid7150.AnatomicalStructure,
        segmented_property_type=codes.SCT.Clavicle,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        display_color=highdicom.color.CIELabColor.from_rgb(*SIDE_COLOURS[side][::-1]),
    )
    description.SegmentDescription = NOTE
    (kind,) = description.SegmentedPropertyTypeCodeSequence
    laterality = highdicom.sr.CodedConcept.from_code(getattr(codes.SCT, name.capitalize()))
    kind.SegmentedPropertyTypeModifierCodeSequence = [laterality]
    return description
