"""From a DICOM file's stored values to the grey values that a viewer shows, by the standard's part 3, C.11."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from crass_tf.common.files import InputError
from crass_tf.radiographs.radiograph import GreyScale

if TYPE_CHECKING:
    import pydicom

GREY = ("MONOCHROME1", "MONOCHROME2")
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


def check(path: object, dataset: pydicom.Dataset) -> None:
    """Raises InputError where the header promises pixels that are no grey values or colours of 8 or 16 bits."""
    kind, samples = dataset.get("PhotometricInterpretation"), dataset.get("SamplesPerPixel", 1)
    if (kind, samples) not in [*((grey, 1) for grey in GREY), *((colour, 3) for colour in COLOURS)]:
        problem = f"{samples} samples a pixel of {kind}"
        raise InputError(f"{path}: found {problem}, expected 1 of {' or '.join(GREY)}, or 3 of RGB")
    allocated, stored = dataset.get("BitsAllocated"), dataset.get("BitsStored")
    high = dataset.get("HighBit", stored - 1 if stored else None)
    if allocated not in (8, 16) or not stored or not 1 <= stored <= allocated or high != stored - 1:
        problem = f"BitsAllocated = {allocated}, BitsStored = {stored}, HighBit = {high}"
        raise InputError(f"{path}: found {problem}, expected 8 or 16 bits, all stored ones from the lowest on")
    for name, wanted in (("PixelRepresentation", True), ("PlanarConfiguration", samples == 3)):
        if wanted and dataset.get(name) not in (0, 1):
            raise InputError(f"{path}: found {name} = {dataset.get(name)}, expected 0 or 1")


def grey(path: object, dataset: pydicom.Dataset) -> tuple[np.ndarray, int | None, tuple[str, ...]]:
    """Returns `(pixels, bits, notes)`: uint8 or uint16 `[H, W]` or `[H, W, 3]` (blue, green, red), and their depth.

    Where neither a window nor a LUT says what is shown, `GreyScale` does, as for any other file; `bits` is None for
    colours, whose luminance has to be known first.
    """
    from pydicom.pixels.utils import pixel_array

    stored = pixel_array(dataset)
    if stored.shape[:2] != (dataset.Rows, dataset.Columns):
        raise InputError(f"{path}: found pixels of shape {stored.shape}, expected {dataset.Rows} x {dataset.Columns}")
    if stored.ndim == 3:
        return np.ascontiguousarray(stored[..., ::-1]), None, ("colours became luminance",)
    stored = _clear_unused_bits(stored, dataset.BitsStored)
    padding = _padding(path, dataset)
    low, table, bits, notes = _table(path, dataset, _scale(dataset, stored, padding))
    if padding is not None:
        table[padding[0] - low : padding[1] - low + 1] = 0
    if stored.dtype == np.uint8 and np.array_equal(table, np.arange(256)):
        return stored, bits, notes
    shown = np.empty(stored.shape, table.dtype)
    # Row by row, since NumPy needs eight bytes for each index.
    for number, row in enumerate(stored):
        shown[number] = table[row.astype(np.int32) - low]
    return shown, bits, notes


def _clear_unused_bits(stored, bits):
    """Returns stored values without the bits above those stored, where old files store overlays."""
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    unused = 8 * stored.dtype.itemsize - bits
    # Shifted to the left and back, signed values keep their sign.
    return stored << unused >> unused if unused else stored


def _stored_range(dataset):
    low = -(2 ** (dataset.BitsStored - 1)) if dataset.PixelRepresentation else 0
    return low, low + 2**dataset.BitsStored - 1


def _padding(path, dataset):
    """Returns the first and last of the values that stand where there is no image, and are shown black; or None."""
    names = ("PixelPaddingValue", "PixelPaddingRangeLimit")
    first, last = (_read_float(path, dataset, name, None) for name in names)
    if first is None:
        return None
    # Signed values may be written as unsigned ones.
    span = 2**dataset.BitsAllocated
    lowest = -span // 2 if dataset.PixelRepresentation else 0
    first, last = sorted((int(end) - lowest) % span + lowest for end in (first, first if last is None else last))
    low, high = _stored_range(dataset)
    return (first, last) if low <= first and last <= high else None


def _scale(dataset, stored, padding):
    """Returns the `GreyScale` that holds all stored values but those of the padding, of at most the bits stored."""
    if padding is not None:
        image = stored[(stored < padding[0]) | (stored > padding[1])]
        stored = image if image.size else stored
    scale = GreyScale.holding(int(stored.min()), int(stored.max()))
    # 13 bits, say, which are no usual depth.
    return scale if scale.bits <= dataset.BitsStored else GreyScale(-_stored_range(dataset)[0], dataset.BitsStored)


def _table(path, dataset, scale):
    """Returns `(low, table, bits, notes)`: `table[value - low]` is the grey value of a stored value.

    Possible stored values are fewer than an image's pixels, so that only they are computed in floating point.
    """
    low, high = _stored_range(dataset)
    values, full, notes = _apply_modality(path, dataset, np.arange(low, high + 1, dtype=np.float64), scale)
    shown, voi_notes = _apply_voi(path, dataset, values, full)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = 1 - shown
    depth = 16 if notes or voi_notes else scale.bits
    table = np.round(np.clip(shown, 0, 1) * (2**depth - 1)).astype(np.uint8 if depth == 8 else np.uint16)
    return low, table, depth, (*notes, *voi_notes)


def _apply_modality(path, dataset, values, scale):
    """Returns `(values, full, notes)` behind the Modality LUT or the rescaling; `full` are their black and white.

    Rescaling alone changes nothing but, where it falls, their order: `full` is the range of `scale`, rescaled.
    """
    if dataset.get("ModalityLUTSequence"):
        values, bits = _apply_lut(path, dataset, "ModalityLUTSequence", values)
        return values, (0, 2**bits - 1), ("Modality LUT applied",)
    slope, intercept = _read_float(path, dataset, "RescaleSlope", 1), _read_float(path, dataset, "RescaleIntercept", 0)
    if slope == 0:
        raise InputError(f"{path}: found RescaleSlope = 0, expected another number")
    ends = (end * slope + intercept for end in (-scale.offset, 2**scale.bits - 1 - scale.offset))
    return values * slope + intercept, sorted(ends), ()


def _apply_voi(path, dataset, values, full):
    """Returns `(shown, notes)`: what a viewer shows, from 0 to 1; a LUT outranks a window, the first outranks others.

    Where the file says nothing, `full` are black and white.
    """
    if dataset.get("VOILUTSequence"):
        values, bits = _apply_lut(path, dataset, "VOILUTSequence", values)
        return values / (2**bits - 1), ("VOI LUT applied",)
    center, width = (_read_float(path, dataset, name, None) for name in ("WindowCenter", "WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if center is None or width is None:
        return (values - full[0]) / (full[1] - full[0]), ()
    if width <= 0 or (function == "LINEAR" and width < 1):
        return (values - full[0]) / (full[1] - full[0]), (f"WindowWidth = {width:g} means nothing and was ignored",)
    return window(values, center, width, function), (f"window {center:g} / {width:g} ({function}) applied",)


def window(values: np.ndarray, center: float, width: float, function: str = "LINEAR") -> np.ndarray:
    """Returns values behind a window, from 0 to 1, by PS3.3 C.11.2.1; an unknown function is taken for LINEAR.

    pydicom's `apply_windowing` gives the same on the scale of the values; where that falls (a negative rescale slope)
    it turns black into white.
    """
    if function == "SIGMOID":
        # exp of a large number would overflow; tanh does not.
        return 0.5 * (1 + np.tanh(2 * (values - center) / width))
    if function != "LINEAR_EXACT":
        # A window of width 1 is a threshold.
        center, width = center - 0.5, max(width - 1, 1e-6)
    return np.clip((values - center) / width + 0.5, 0, 1)


def _apply_lut(path, dataset, name, values):
    """Returns `(values, bits)` behind the first LUT of a sequence.

    pydicom's functions count entries in as many bits as an entry has, and wrap around in LUTs from 12 to 8 bits.
    """
    item = dataset[name].value[0]
    if not item.get("LUTDescriptor") or not item.get("LUTData"):
        raise InputError(f"{path}: found {name} without a table, expected its LUTDescriptor and LUTData")
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    count = count or 2**16
    # The VR of the first mapped value is ambiguous: it is signed where stored values are.
    if dataset.get("PixelRepresentation") and first >= 2**15:
        first -= 2**16
    entries = _entries(dataset, item, count, bits)
    if len(entries) < count or not 8 <= bits <= 16:
        problem = f"{len(entries)} entries of {bits} bits"
        raise InputError(f"{path}: found {problem} in {name}, expected {count} of 8 to 16 bits")
    index = np.clip(np.round(values - first), 0, count - 1).astype(np.int64)
    return np.minimum(entries.astype(np.float64), 2**bits - 1)[index], bits


def _entries(dataset, item, count, bits):
    """Returns a LUT's entries, which stand in the file as bytes or words."""
    data = item.LUTData
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data, np.int64))
    order = ">" if dataset.original_encoding[1] is False else "<"
    packed = bits == 8 and len(data) < 2 * count
    return np.frombuffer(data, np.uint8 if packed else f"{order}u2")


def _read_float(path, dataset, name, default):
    """Returns the first of an element's numbers, or the default where there is none."""
    if dataset.get_item(name) is None:
        return default
    try:
        value = dataset.get(name)
        value = value[0] if isinstance(value, (list, tuple)) or hasattr(value, "append") else value
        number = default if value in (None, "") else float(value)
    except (TypeError, ValueError, IndexError):
        number = math.nan
    if number is not None and not math.isfinite(number):
        raise InputError(f"{path}: found {name} that is no finite number, expected one")
    return number
