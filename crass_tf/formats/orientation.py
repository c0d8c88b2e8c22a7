"""How a camera was held: the orientation in EXIF and TIFF, applied as viewers do."""

import dataclasses
import struct

import cv2

from crass_tf.formats import directories

TAG = 0x112
# What turns stored pixels upright, by the value of the tag; 5 to 8 exchange rows and columns.
TURNS = {
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: cv2.transpose,
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.rotate(cv2.transpose(pixels), cv2.ROTATE_180),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


def of_exif(data):
    """Returns the orientation, 1 to 8, of an EXIF block without its `Exif` mark; 1 where it is broken or says none."""
    try:
        return of_directory(next(directories.read(data, {TAG})))
    except (StopIteration, ValueError, struct.error):
        return 1


def of_directory(tags):
    """Returns the orientation, 1 to 8, of a directory's tags; 1 where it says none."""
    value = tags.get(TAG, (1,))[:1]
    return value[0] if value and value[0] in TURNS else 1


def upright(decoded, orientation):
    """Returns a `Decoded` with stored pixels turned upright, spacing with them."""
    if orientation == 1:
        return decoded
    return noted(dataclasses.replace(decoded, pixels=TURNS[orientation](decoded.pixels)), orientation)


def noted(decoded, orientation):
    """Returns a `Decoded` whose pixels are upright already, with its spacing turned and the note on it."""
    if orientation == 1:
        return decoded
    spacing_mm = decoded.spacing_mm
    if spacing_mm is not None and orientation > 4:
        spacing_mm = spacing_mm[::-1]
    note = f"turned upright by the file's orientation tag (EXIF), value {orientation}"
    return dataclasses.replace(decoded, spacing_mm=spacing_mm, notes=(*decoded.notes, note))
