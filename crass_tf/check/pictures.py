"""Small pictures of flagged radiographs, their masks outlined."""

import cv2
import numpy as np

from crass_tf.files import InputError
from crass_tf.geometry import split_sides
from crass_tf.overlay import SIDE_COLOURS, draw_mask
from crass_tf.parallel import ordered_map

WIDTH = 300
JPEG_QUALITY = 85
# The page shows pictures at two thirds of their size.
THICKNESS = 2


def write_pictures(folder, source, looks, scale, names):
    """Writes `NAME.jpg` for each look that can be read; returns the set of the names written.

    Args:
        folder: where to.
        source: the `Source`.
        looks: the `Look`s to show; each is read again.
        scale: the data set's `GreyScale`.
        names: `{image_id: stem}`.
    """
    shown = [look for look in looks if look.grey is not None]
    pictures = ordered_map(lambda look: _encode(draw(source, look, scale)), shown)
    for look, picture in zip(shown, pictures):
        (folder / f"{names[look.image_id]}.jpg").write_bytes(picture)
    return {look.image_id for look in shown}


def draw(source, look, scale):
    """Returns a radiograph, uint8 `[h, 300, 3]`, with the clavicles outlined where it has a mask that fits."""
    try:
        pixels, _, masks, _ = source.read(look)
    except InputError:
        pixels, masks = source.read_image(look.image_path)[0], []
    size = (WIDTH, max(1, round(pixels.shape[0] * WIDTH / pixels.shape[1])))
    canvas = cv2.cvtColor(cv2.resize(scale.to_grey8(pixels), size, interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2BGR)
    if masks:
        # The sides first: shrinking a mask may join or lose its parts.
        labels = cv2.resize(split_sides(np.maximum.reduce(masks)), size, interpolation=cv2.INTER_NEAREST_EXACT)
        for side, colour in SIDE_COLOURS.items():
            draw_mask(canvas, labels == side, colour, THICKNESS)
    return canvas


def _encode(picture):
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
