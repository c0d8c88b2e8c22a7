"""EXIF orientation is applied as viewers do."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from crass_tf.radiographs.radiograph import read_radiograph


def picture():
    """Blocks of 8 x 8 pixels, which JPEG keeps apart: grey 0, 40 ... 200 in 2 rows and 3 columns."""
    return np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40, np.ones((8, 8), np.uint8))


@pytest.mark.parametrize("kind, suffix", [("PNG", ".png"), ("JPEG", ".jpg")])
@pytest.mark.parametrize("value", range(1, 9))
def test_as_pillow_does(tmp_path, kind, suffix, value):
    block = Image.Exif()
    block[0x112] = value
    path = tmp_path / f"image{suffix}"
    Image.fromarray(picture()).save(path, kind, exif=block)
    radiograph = read_radiograph(path)
    with Image.open(path) as image:
        np.testing.assert_array_equal(radiograph.image, np.asarray(ImageOps.exif_transpose(image)))
    said = (f"turned upright by the file's orientation tag (EXIF), value {value}",)
    assert radiograph.notes == (said if value > 1 else ())


@pytest.mark.parametrize("value, expected", [(1, (0.5, 0.2)), (3, (0.5, 0.2)), (6, (0.2, 0.5)), (8, (0.2, 0.5))])
def test_spacing_turns_with_the_pixels(tmp_path, value, expected):
    block = Image.Exif()
    block[0x112] = value
    # Columns first: 127 and 50.8 pixels an inch are 0.2 and 0.5 mm.
    Image.fromarray(picture()).save(tmp_path / "image.png", exif=block, dpi=(127, 50.8))
    assert read_radiograph(tmp_path / "image.png").spacing_mm == expected


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_what_means_nothing_turns_nothing(tmp_path, value):
    block, file = Image.Exif(), io.BytesIO()
    block[0x112] = value
    Image.fromarray(picture()).save(file, "PNG", exif=block)
    (tmp_path / "image.png").write_bytes(file.getvalue())
    np.testing.assert_array_equal(read_radiograph(tmp_path / "image.png").image, picture())
