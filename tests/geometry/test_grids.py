"""A radiograph lands on the model's grid whole and undistorted, and a mask comes back to where it was."""

import numpy as np
import pytest
from drawn import bar_of, mask_of
from refusals import refuses

from crass_tf.geometry import LEFT, RIGHT, STRIP_FILL, Letterbox, Strip, split_sides
from crass_tf.measurement.metrics import iou


@pytest.mark.parametrize(
    "native, model, inner, offset",
    [
        # CRASS12's usual size: 512 / 1812 is the smaller scale; 1768 * 512 / 1812 = 499.6 rows, 12 to pad.
        ((1768, 1812), (512, 512), (500, 512), (6, 0)),
        # Its smallest: 512 / 1560; 1520 * 512 / 1560 = 498.9 columns, 13 to pad, 6 of them on the left.
        ((1560, 1520), (512, 512), (512, 499), (0, 6)),
        ((1024, 1024), (512, 512), (512, 512), (0, 0)),
        # Odd sizes: 64 / 101 is the smaller scale; 75 * 64 / 101 = 47.5 rows, to the even neighbour; 16 to pad.
        ((75, 101), (64, 64), (48, 64), (8, 0)),
        # Upscaled by 2 into a wide grid.
        ((20, 30), (40, 100), (40, 60), (0, 20)),
        # A strip: 1 * 32 / 1000 = 0.03 rows, of which one has to be left.
        ((1, 1000), (32, 32), (1, 32), (15, 0)),
        ((1000, 1), (32, 32), (32, 1), (0, 15)),
    ],
)
def test_sizes_by_hand(native, model, inner, offset):
    letterbox = Letterbox.fit(native, model)
    assert (letterbox.inner, letterbox.offset) == (inner, offset)
    image = letterbox.image_to_model(np.full(native, 200, np.uint8))
    assert image.shape == model and image.dtype == np.uint8
    # Exactly the inner part is grey, everything else is 0.
    expected = np.zeros(model, np.uint8)
    expected[offset[0] : offset[0] + inner[0], offset[1] : offset[1] + inner[1]] = 200
    np.testing.assert_array_equal(image, expected)
    assert letterbox.to_native(np.zeros(model, np.float32)).shape == native


def test_same_size_returns_the_same_pixels():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (64, 96), dtype=np.uint8)
    mask = rng.integers(0, 2, (64, 96), dtype=np.uint8)
    values = rng.standard_normal((64, 96), dtype=np.float32)
    letterbox = Letterbox.fit((64, 96), (64, 96))
    np.testing.assert_array_equal(letterbox.image_to_model(image), image)
    np.testing.assert_array_equal(letterbox.mask_to_model(mask), mask)
    np.testing.assert_array_equal(letterbox.to_native(values), values)


def test_shrinking_averages_areas_and_a_mask_holds_what_covers_half_a_pixel():
    # Halved: each pixel is the mean of four, 0 + 100 + 200 + 60 = 4 * 90 and 8 + 8 + 8 + 12 = 4 * 9.
    image = np.array([[0, 100, 8, 8], [200, 60, 8, 12]], np.uint8)
    np.testing.assert_array_equal(Letterbox.fit((2, 4), (1, 2)).image_to_model(image), [[90, 9]])

    # Every tenth of 320 pixels is 250, so each of the 32 means is 25; picking pixels would give 0 or 250.
    image = np.zeros((1, 320), np.uint8)
    image[0, ::10] = 250
    np.testing.assert_array_equal(Letterbox.fit((1, 320), (1, 32)).image_to_model(image), np.full((1, 32), 25))
    # Two by two pixels become one: 2 of 4 are enough, 1 of 4 is not.
    mask = mask_of("##.#....", "......##", "....###.", ".#..##..")
    # Counts: 2, 1, 0, 2 above; 1, 0, 4, 1 below.
    np.testing.assert_array_equal(Letterbox.fit((4, 8), (2, 4)).mask_to_model(mask), mask_of("#..# ..#."))


@pytest.mark.parametrize("native", [(177, 181), (600, 450), (48, 61)])
def test_mask_comes_back_to_where_it_was(native):
    letterbox = Letterbox.fit(native, (128, 128))
    mask = np.zeros(native, np.uint8)
    rows, columns = slice(native[0] // 5, native[0] // 2), slice(native[1] // 8, native[1] // 3)
    mask[rows, columns] = 1
    back = letterbox.to_native(letterbox.mask_to_model(mask).astype(np.float32))
    assert back.dtype == np.float32
    assert iou(back > 0.5, mask) > 0.93
    # No shift: the centre stays within a quarter of a pixel, of the coarser of both grids.
    step = max(1, native[0] / letterbox.inner[0])
    centres = [np.argwhere(part).mean(axis=0) for part in (back > 0.5, mask)]
    assert np.abs(centres[0] - centres[1]).max() < 0.25 * step + 0.25


def test_what_the_model_sees_in_the_padding_does_not_come_back():
    letterbox = Letterbox.fit((50, 100), (64, 64))
    values = np.full((64, 64), 9.0, np.float32)
    values[16:48] = -9.0
    # 50 x 100 lies in rows 16 to 47 of 64.
    assert (letterbox.inner, letterbox.offset) == ((32, 64), (16, 0))
    np.testing.assert_array_equal(letterbox.to_native(values), np.full((50, 100), -9.0))


def test_spacing_grows_as_pixels_do_of_which_there_is_one_at_least():
    # 1768 rows on 500, 1812 columns on 512: the rounding of 499.6 to 500 makes rows a little finer.
    spacing_mm = Letterbox.fit((1768, 1812), (512, 512)).spacing_to_model((0.25, 0.25))
    np.testing.assert_allclose(spacing_mm, (0.884, 0.884766), rtol=1e-6)
    # Rows and columns apart: 40 x 80 halved.
    assert Letterbox.fit((40, 80), (40, 40)).spacing_to_model((0.2, 0.1)) == (0.4, 0.2)
    for native, model in (((0, 5), (32, 32)), ((5, 5), (32, 0))):
        refuses("expected at least one pixel a side", Letterbox.fit, native, model)


SIDES = {
    "image left is the patient's right": (
        "................ .####......####. ...##......##...",
        "................ .RRRR......LLLL. ...RR......LL...",
    ),
    # Both lie on one side of column 7.5, the centre; 4 columns apart, at least 16 / 8 = 2.
    "a pair left of the centre": (".##..##.........", ".RR..LL........."),
    "a pair right of the centre": (".........##..##.", ".........RR..LL."),
    # The two largest have their centroids in columns 2.5 and 13; the midline is at 7.75.
    "fragments go to the nearer side": (
        ".####.#..#...... ............###. #..............#",
        ".RRRR.R..L...... ............LLL. R..............L",
    ),
    # In an image of 32 columns, 3 columns apart, less than 32 / 8: pieces; the centre, column 15.5, decides.
    "pieces of the right one": (".##.###.........................", ".RR.RRR........................."),
    "pieces of the left one": (".........................##.###.", ".........................LL.LLL."),
    "the right one alone, by the centre": ("..####..........", "..RRRR.........."),
    "the left one alone, by the centre": ("..........####..", "..........LLLL.."),
    # Ten columns: without the diagonal step the right part would be a second component, and the other side.
    "a corner joins": ("####...... ....#.....", "RRRR...... ....R....."),
}


@pytest.mark.parametrize("mask, expected", SIDES.values(), ids=SIDES)
def test_sides(mask, expected):
    labels = split_sides(mask_of(mask))
    assert labels.dtype == np.uint8 and (RIGHT, LEFT) == (1, 2)
    assert ["".join(".RL"[label] for label in row) for row in labels] == expected.split()


def test_empty_mask_and_any_foreground_value():
    mirrored = split_sides(mask_of(".##..##."), mirrored=True).max(axis=0)
    assert mirrored.tolist() == [0, LEFT, LEFT, 0, 0, RIGHT, RIGHT, 0]
    np.testing.assert_array_equal(split_sides(np.zeros((4, 6), np.uint8)), np.zeros((4, 6)))
    np.testing.assert_array_equal(split_sides(mask_of(".##..##.") * 255), split_sides(mask_of(".##..##.")))


def bar(angle_deg):
    return bar_of((200, 220), (60, 80), 80, 14, angle_deg)


@pytest.mark.parametrize("angle_deg", [-30, 0, 25])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_strip_is_level_with_its_clavicle(angle_deg, mirrored):
    mask = bar(angle_deg)
    strip = Strip.around(mask, (96, 224), mirrored)
    level = strip.mask_to_model(mask)
    columns, rows = (np.flatnonzero(level.any(axis=axis)) for axis in (0, 1))
    # 80 pixels take 0.78 of 224 columns, 14 as much less: 174.7 and 30.6, with the corners of the turned bar.
    assert np.ptp(columns) + 1 == pytest.approx(STRIP_FILL * 224, abs=5)
    assert np.ptp(rows) + 1 == pytest.approx(STRIP_FILL * 224 * 14 / 80, abs=5)
    # The mean lies at 0.5585 of the width.
    assert (columns.min() + columns.max()) / 2 == pytest.approx(0.5585 * 224 - 0.5, abs=2)
    # The end at the image's right, (60, 80) + 40 (cos, sin), lies at the strip's right, or left.
    end = np.array([60 + 40 * np.cos(np.deg2rad(angle_deg)), 80 + 40 * np.sin(np.deg2rad(angle_deg)), 1])
    expected = 0.5585 * 224 - 0.5 + (-1 if mirrored else 1) * STRIP_FILL * 112
    x, y = np.array(strip.matrix) @ end
    assert abs(x - expected) < 3 and abs(y - 47.5) < 2


def test_a_strip_goes_there_and_back():
    mask = bar(20)
    strip = Strip.around(mask, (96, 224))
    box, logits = strip.to_native((strip.mask_to_model(mask).astype(np.float32) - 0.5) * 8)
    back = np.zeros_like(mask)
    back[box] = logits > 0
    assert iou(mask, back) > 0.96
    assert logits.shape < mask.shape and mask.sum() == mask[box].sum()
    assert strip.resized((192, 224)).mask_to_model(mask)[48:144].tolist() == strip.mask_to_model(mask).tolist()


def test_a_strip_outside_of_the_radiograph_has_an_empty_box_and_no_clavicle_gives_no_strip():
    strip = Strip.of_matrix([[1, 0, 500], [0, 1, 0]], (20, 30), (8, 16))
    box, logits = strip.to_native(np.full((8, 16), 5, np.float32))
    assert logits.size == 0 and np.zeros((20, 30))[box].shape == logits.shape
    refuses("found no clavicle", Strip.around, np.zeros((9, 9), np.uint8), (8, 16))


def test_the_letterboxs_matrix_and_coarser_values_by_hand():
    # 50 x 100 lies halved in rows 8 to 32 of 41: x' = (x + 0.5) / 2 - 0.5, y' 8 more.
    box = Letterbox.fit((50, 100), (41, 50))
    assert (box.inner, box.offset) == ((25, 50), (8, 0))
    np.testing.assert_allclose(box.matrix @ [0.5, 0.5, 1], [0, 8, 1])
    np.testing.assert_allclose(box.matrix @ [99.5, 49.5, 1], [49.5, 32.5, 1])
    box = Letterbox.fit((64, 64), (64, 64))
    coarse = np.zeros((16, 16), np.float32)
    coarse[4:8, 8:12] = 1
    # Pixels 4 to 7 are rows 16 to 31, 8 to 11 columns 32 to 47.
    expected = np.zeros((64, 64), bool)
    expected[16:32, 32:48] = True
    assert iou(box.to_native(coarse) > 0.5, expected) > 0.9
