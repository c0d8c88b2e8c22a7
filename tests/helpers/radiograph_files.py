"""What several tests read: pixels, PNG files by the specification, DICOM files from pydicom."""

import io
import struct
import warnings
import zlib

import numpy as np
import pydicom
from pydicom import uid

from crass_tf.radiographs.formats.png import SIGNATURE, _chunk


def ramp(dtype=np.uint8, step=1):
    """Values 0, 1 ... 95 times `step`, `[12, 8]`."""
    return (np.arange(96, dtype=np.int64) * step).astype(dtype).reshape(12, 8)


def png(width, height, bits=8, colour_type=0, data=b"\0", interlace=0, extra=()):
    """Returns a PNG file that OpenCV cannot write, or would write differently; `data` is what it compresses."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlace)
    parts = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return SIGNATURE + b"".join(_chunk(*part) for part in parts)


def dicom(pixels, syntax=uid.ExplicitVRLittleEndian, compress=None, **tags):
    """Returns the data set of a computed radiograph; `tags` replace its elements, or remove them where None."""
    dataset = pydicom.Dataset()
    dataset.preamble, dataset.file_meta = bytes(128), pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    bits, is_colour = 8 * pixels.dtype.itemsize, pixels.ndim == 3
    elements = {
        "SOPClassUID": uid.ComputedRadiographyImageStorage,
        "SOPInstanceUID": "1.2.3",
        "Modality": "CR",
        "SamplesPerPixel": 3 if is_colour else 1,
        "PhotometricInterpretation": "RGB" if is_colour else "MONOCHROME2",
        "PlanarConfiguration": 0 if is_colour else None,
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": (tags.get("BitsStored", bits) or bits) - 1,
        "PixelRepresentation": int(np.issubdtype(pixels.dtype, np.signedinteger)),
        "PixelData": pixels.astype(pixels.dtype.newbyteorder("><"[syntax.is_little_endian])).tobytes(),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in (elements | tags).items():
            if value is not None:
                setattr(dataset, name, value)
        if "PixelData" in dataset and "PixelData" not in tags:
            dataset["PixelData"].VR = "OB" if bits == 8 and not syntax.is_implicit_VR else "OW"
        if compress:
            dataset.compress(compress, generate_instance_uid=False)
    return dataset


def stored(dataset, **options):
    """Returns the bytes of a data set's file."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(file, **options)
    return file.getvalue()
