"""From a DICOM file's stored values to the grey values that a viewer shows, by the standard's part 3, C.11."""

import math

import numpy as np

from crass_tf.files import InputError

GREY = ("MONOCHROME1", "MONOCHROME2")
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


def check(path, dataset):
    """Raises InputError where the header promises pixels that are no grey values or colours of 8 or 16 bits."""
    kind, samples = dataset.get("PhotometricInterpretation"), dataset.get("SamplesPerPixel", 1)
    if (kind, samples) not in [*((grey, 1) for grey in GREY), *((colour, 3) for colour in COLOURS)]:
        found = f"{samples} samples a pixel of {kind}"
        raise InputError(f"{path}: found {found}, expected 1 of {' or '.join(GREY)}, or 3 of RGB")
    allocated, stored = dataset.get("BitsAllocated"), dataset.get("BitsStored")
    high = dataset.get("HighBit", stored - 1 if stored else None)
    if allocated not in (8, 16) or not stored or not 1 <= stored <= allocated or high != stored - 1:
        found = f"BitsAllocated = {allocated}, BitsStored = {stored}, HighBit = {high}"
        raise InputError(f"{path}: found {found}, expected 8 or 16 bits, all stored ones from the lowest on")


def grey(path, dataset):
    """Returns `(pixels, bits, notes)`: uint8 or uint16 `[H, W]` or `[H, W, 3]` (blue, green, red), and their depth."""
    from pydicom.pixels import pixel_array

    stored = pixel_array(dataset)
    if stored.shape[:2] != (dataset.Rows, dataset.Columns):
        raise InputError(f"{path}: found pixels of shape {stored.shape}, expected {dataset.Rows} x {dataset.Columns}")
    if stored.ndim == 3:
        return np.ascontiguousarray(stored[..., ::-1]), dataset.BitsStored, ("colours became luminance",)
    low, table, bits, notes = _table(path, dataset)
    return _look_up(stored, low, table), bits, notes


def _table(path, dataset):
    """Returns `(low, table, bits, notes)`: `table[value - low]` is the grey value of a stored value.

    All stored values that there can be are few beside an image's pixels, so they alone go through floating point.
    """
    bits = dataset.BitsStored
    low = -(2 ** (bits - 1)) if dataset.get("PixelRepresentation") else 0
    values, full, notes = _modality(path, dataset, np.arange(low, low + 2**bits, dtype=np.float64))
    shown, voi_notes = _voi(path, dataset, values, full)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = 1 - shown
    depth = 16 if notes or voi_notes else bits
    table = np.round(shown * (2**depth - 1)).astype(np.uint8 if depth == 8 else np.uint16)
    return low, table, depth, (*notes, *voi_notes)


def _look_up(stored, low, table):
    """Returns `table[stored - low]`; bits above those stored, where old files have overlays, do not count."""
    if stored.dtype == np.uint8 and np.array_equal(table, np.arange(256)):
        return stored
    grey = np.empty(stored.shape, table.dtype)
    # Row by row, since NumPy needs eight bytes for each index.
    for row, target in zip(stored, grey):
        np.take(table, (row.astype(np.int32) - low) & (len(table) - 1), out=target)
    return grey


def _modality(path, dataset, values):
    """Returns `(values, (low, high), notes)` behind the Modality LUT or the rescaling, and their full range."""
    if dataset.get("ModalityLUTSequence"):
        values, bits = _apply_lut(path, dataset, "ModalityLUTSequence", values)
        return values, (0, 2**bits - 1), ("Modality LUT applied",)
    slope, intercept = _number(path, dataset, "RescaleSlope", 1), _number(path, dataset, "RescaleIntercept", 0)
    if slope == 0:
        raise InputError(f"{path}: found RescaleSlope = 0, expected another number")
    values = values * slope + intercept
    return values, (values.min(), values.max()), ()


def _voi(path, dataset, values, full):
    """Returns `(shown, notes)`: from 0 to 1 what a viewer shows; a LUT comes before a window, the first before others.

    Args:
        path: for messages.
        dataset: pydicom's.
        values: float64 `[N]`.
        full: the range of all possible values, shown where the file says nothing.
    """
    if dataset.get("VOILUTSequence"):
        values, bits = _apply_lut(path, dataset, "VOILUTSequence", values)
        return values / (2**bits - 1), ("VOI LUT applied",)
    center, width = (_number(path, dataset, name, None) for name in ("WindowCenter", "WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if center is None or width is None:
        return (values - full[0]) / (full[1] - full[0]), ()
    if width <= 0 or (function == "LINEAR" and width < 1):
        return (values - full[0]) / (full[1] - full[0]), (f"WindowWidth = {width:g} means nothing and was ignored",)
    return window(values, center, width, function), (f"window {center:g} / {width:g} ({function}) applied",)


def window(values, center, width, function="LINEAR"):
    """Returns values behind a window, from 0 to 1, by PS3.3 C.11.2.1; an unknown function is taken for LINEAR.

    pydicom's `apply_windowing` gives the same on the scale of the values; where that falls (a negative rescale slope)
    it turns black into white.
    """
    if function == "SIGMOID":
        # exp of a large number would overflow; tanh does not.
        return 0.5 * (1 + np.tanh(2 * (values - center) / width))
    if function != "LINEAR_EXACT":
        # One value wide is a threshold.
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
        found = f"{len(entries)} entries of {bits} bits"
        raise InputError(f"{path}: found {found} in {name}, expected {count} of 8 to 16 bits")
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


def _number(path, dataset, name, default):
    """Returns the first of an element's numbers, or the default where there is none."""
    if dataset.get_item(name) is None:
        return default
    try:
        found = dataset.get(name)
        found = found[0] if isinstance(found, (list, tuple)) or hasattr(found, "append") else found
        number = default if found in (None, "") else float(found)
    except (TypeError, ValueError, IndexError):
        number = math.nan
    if number is not None and not math.isfinite(number):
        raise InputError(f"{path}: found {name} that is no finite number, expected one")
    return number
