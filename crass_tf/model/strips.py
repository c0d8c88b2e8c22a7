"""Strips inside the graph: where a clavicle lies, the level rectangle around it, cut out of an image and laid back.

All functions take and return float32 tensors of any Keras backend. Coordinates are (x, y) in pixels; whole numbers are
pixel centres. A matrix `[2, 3]` maps an image's coordinates to a strip's. `geometry.Strip` lays the same strips around
masks for training. Nothing is compared at every pixel: comparisons are slow in LiteRT, `minimum` and `maximum` are not.
"""

import numpy as np
from keras import ops

from crass_tf.geometry import OUTSIDE_LOGIT, STRIP_FILL, STRIP_MEAN

# A bar's ends lie 1.73 standard deviations from its middle: what lies further out than this belongs to something else.
FURTHEST = 2.5
# A pixel's weight rises from 0 to 1 between these probabilities of the finder. With a threshold of one half clavicles
# came out 5 % too short in the mean, since their ends are less certain than the middle.
FROM, TO = 0.2, 0.5
# Number of times that moments are computed again without the pixels that lie too far out.
ROUNDS = 2
# Least length / width of the image. Where no clavicle is found, the strip of this length is in the image's centre.
LEAST_LENGTH = 0.04


def locate(probability, image_size):
    """Returns where each clavicle lies, by the moments of a finder's probabilities.

    Args:
        probability: `[B, h, w, 2]`, on a grid with the field of view of the image.
        image_size: `(height, width)` of the image, as in all functions here.

    Returns:
        `(centre, axis, length)` in the image's pixels: the mean `[B, 2, 2]`; the unit vector along the principal axis
        `[B, 2, 2]`, which points to the image's right; the length `[B, 2]` of a bar with that variance along the axis.
    """
    weight = ops.transpose(ops.clip((probability - FROM) / (TO - FROM), 0, 1), (0, 3, 1, 2))
    x, y = _scaled_centres(probability.shape[2]), _scaled_centres(probability.shape[1])
    moments = _measure_moments(weight, x, y)
    for _ in range(ROUNDS):
        moments = _measure_moments(weight * _is_near(x, y, *moments), x, y)
    mean_x, mean_y, xx, yy, xy = moments
    # From the unit square, -0.5 to 0.5, to the image's pixels.
    height, width = image_size
    # One factor at a time: half precision ends at 65504.
    xx, yy, xy = xx * width * width, yy * height * height, xy * width * height
    centre = ops.stack([mean_x * width + (width - 1) / 2, mean_y * height + (height - 1) / 2], axis=-1)
    # Half of the angle whose cosine is `difference / spread`, without an inverse trigonometric function.
    difference = xx - yy
    spread = ops.sqrt(difference * difference + 4 * xy * xy) + 1e-3
    cos = ops.sqrt(ops.maximum((1 + difference / spread) / 2, 1e-4))
    sin = xy / (spread * cos)
    norm = ops.sqrt(cos * cos + sin * sin)
    length = ops.sqrt(6 * (xx + yy + spread))
    return centre, ops.stack([cos / norm, sin / norm], axis=-1), ops.maximum(length, LEAST_LENGTH * width)


def _scaled_centres(side):
    """Returns the pixels' centres along a side of length 1 around 0, float32 `[side]`."""
    return ((np.arange(side, dtype=np.float32) + 0.5) / side - 0.5).astype(np.float32)


def _measure_moments(weight, x, y):
    """Returns mean and covariance `(x, y, xx, yy, xy)`, each `[B, 2]`, of weights `[B, 2, h, w]`."""
    powers_x, powers_y = (np.stack([np.ones_like(each), each, each * each]) for each in (x, y))
    # All sums of weight * x^i * y^j by two small matrix products: `[B, 2, j, i]`.
    sums = ops.matmul(powers_y, ops.matmul(weight, powers_x.T))
    # A millionth of the image is added in its centre, so that an empty channel has moments, too.
    total = sums[..., 0, 0] + 1e-6 * len(x) * len(y)
    mean_x, mean_y = sums[..., 0, 1] / total, sums[..., 1, 0] / total
    xx, yy, xy = sums[..., 0, 2] / total, sums[..., 2, 0] / total, sums[..., 1, 1] / total
    return mean_x, mean_y, xx - mean_x * mean_x, yy - mean_y * mean_y, xy - mean_x * mean_y


def _is_near(x, y, mean_x, mean_y, xx, yy, xy):
    """Returns 1 for pixels within `FURTHEST` standard deviations, 0 beyond, `[B, 2, h, w]`."""
    # At least a hundredth of the side: otherwise a thin line would exclude itself.
    xx, yy = xx + 1e-4, yy + 1e-4
    determinant = xx * yy - xy * xy
    dx, dy = _add_grid_axes(-mean_x) + x, _add_grid_axes(-mean_y) + y[:, None]
    squared = dx * dx * _add_grid_axes(yy / determinant) + dy * dy * _add_grid_axes(xx / determinant)
    squared = squared - dx * (dy * _add_grid_axes(2 * xy / determinant))
    return ops.clip(FURTHEST**2 + 1 - squared, 0, 1)


def _add_grid_axes(values):
    """Returns `[B, 2]` as `[B, 2, 1, 1]`."""
    return ops.reshape(values, (-1, 2, 1, 1))


def matrices(centre, axis, length, strip_size):
    """Returns the matrices `[B, 2, 2, 3]` of the strips, of `(height, width)`, around what `locate` returns.

    The clavicle lies level, its mean at `STRIP_MEAN`, and takes `STRIP_FILL` of the strip's width. The second one, at
    the image's right, is mirrored: the medial end lies at the right of both strips.
    """
    height, width = strip_size
    scale = STRIP_FILL * width / length
    mirrored = ops.stack([scale[:, 0], -scale[:, 1]], axis=-1)
    cos, sin, x, y = axis[..., 0], axis[..., 1], centre[..., 0], centre[..., 1]
    along, across = (mirrored * cos, mirrored * sin), (-scale * sin, scale * cos)
    means = (part * side - 0.5 for part, side in zip(STRIP_MEAN, (width, height)))
    rows = [[row[0], row[1], mean - row[0] * x - row[1] * y] for row, mean in zip((along, across), means)]
    return ops.stack([ops.stack(row, axis=-1) for row in rows], axis=-2)


def cut(image, matrix, strip_size):
    """Returns the strips `[B, 2, h, w]` of an image `[B, H, W, 1]`: nearest pixels, 0 outside."""
    x, y = _map_block_centres(_invert_matrix(matrix), strip_size)
    return _sample_nearest(ops.transpose(image, (0, 3, 1, 2)), x, y, outside=0.0)


def sample(maps, matrix, strip_size, step, image_size):
    """Returns maps as each side's strip sees them, `[B, 2, h / step, w / step]`: nearest pixels, 0 outside.

    Sampled are `[B, 2, rows, columns]` with the image's field of view, at the centres of blocks of `step` x `step`.
    """
    x, y = _map_block_centres(_invert_matrix(matrix), strip_size, step)
    rows, columns = maps.shape[2:]
    x, y = (x + 0.5) * (columns / image_size[1]) - 0.5, (y + 0.5) * (rows / image_size[0]) - 0.5
    return _sample_nearest(maps, x, y, outside=0.0)


def place(strip_logits, matrix, image_size, step):
    """Returns strips' logits `[B, 2, h, w]` on the image's grid, `[B, H / step, W / step, 2]`; background outside.

    Of the strip, which is finer than that grid, the nearest pixel is taken. Reading is what takes time, so each pixel
    of the image reads one strip only: that of the clavicle whose mean is nearer, in lengths of the clavicles.
    """
    second = _second_is_nearer(matrix, strip_logits.shape[2:], image_size, step)
    x, y = (each[:, :1] + second * (each[:, 1:] - each[:, :1]) for each in _map_block_centres(matrix, image_size, step))
    logits = _sample_nearest(strip_logits, x, y, OUTSIDE_LOGIT, second)
    others = second * (logits - OUTSIDE_LOGIT)
    return ops.transpose(ops.concatenate([logits - others, OUTSIDE_LOGIT + others], axis=1), (0, 2, 3, 1))


def _second_is_nearer(matrix, strip_size, image_size, step):
    """Returns 1 where the second clavicle's mean is nearer, in lengths of each, else 0: `[B, 1, H / step, W / step]`.

    The line between both is straight, at right angles to the line through the means.
    """
    a, b, c, d, e, f = _split_matrix(_invert_matrix(matrix))
    # Pixels of the image for one pixel of a strip.
    size = ops.sqrt(a * a + d * d)
    share = size[:, 0] / (size[:, 0] + size[:, 1])
    mean_x, mean_y = (part * side - 0.5 for part, side in zip(STRIP_MEAN, strip_size[::-1]))
    x, y = a * mean_x + b * mean_y + c, d * mean_x + e * mean_y + f
    # Divided by the sides: half precision ends at 65504.
    towards_x, towards_y = ((each[:, 1] - each[:, 0]) / max(image_size) for each in (x, y))
    border_x, border_y = (each[:, 0] + share * (each[:, 1] - each[:, 0]) for each in (x, y))
    rows, columns = (_block_centres(side, step) + np.float32((side - 1) / 2) for side in image_size)
    towards_x, towards_y, border = (
        ops.reshape(each, (-1, 1, 1, 1)) for each in (towards_x, towards_y, towards_x * border_x + towards_y * border_y)
    )
    # Subtracted: Keras on TensorFlow adds `[1, 1, N, 1]` as if it were `[N]`, a bias of the last axis.
    beyond = towards_x * columns - (border - towards_y * rows[:, None])
    return ops.floor(ops.clip(beyond + 1, 0, 1))


def _sample_nearest(maps, x, y, outside, number=None):
    """Returns the values of `[B, N, H, W]` at the pixels nearest to `(x, y)`, `[B, 2, rows, columns]`.

    `number` tells for each place of `[B, 1, rows, columns]` which map is read; where it is None, the first `(x, y)`
    belong to the first map and the second ones to the last.
    """
    count, height, width = maps.shape[1:]
    # A frame of one pixel stands for all that lies outside.
    padded = ops.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=outside)
    flat = ops.reshape(padded, (-1, count * (height + 2) * (width + 2)))
    column, row = (ops.floor(ops.clip(each + 1.5, 0, side + 1.5)) for each, side in ((x, width), (y, height)))
    number = np.array([0, count - 1], np.float32).reshape(1, 2, 1, 1) if number is None else number
    # The maps lie below each other.
    return _take_values(flat, ops.cast((row + number * (height + 2)) * (width + 2) + column, "int32"))


def _map_block_centres(matrix, size, step=1):
    """Returns where a matrix takes the centres of blocks of `step` pixels of a grid: `(x, y)`, `[B, 2, h, w]` each."""
    # From the grid's middle, so that half precision holds these constants exactly up to 2048 pixels a side.
    rows, columns = (_block_centres(side, step) for side in size)
    middle_y, middle_x = ((side - 1) / 2 for side in size)
    a, b, c, d, e, f = (_add_grid_axes(part) for part in _split_matrix(matrix))
    c, f = c + a * middle_x + b * middle_y, f + d * middle_x + e * middle_y
    return a * columns + (b * rows[:, None] + c), d * columns + (e * rows[:, None] + f)


def _block_centres(side, step):
    """Returns the centres of blocks of `step` pixels along a side, from its middle, float32 `[side / step]`."""
    return np.arange(side // step, dtype=np.float32) * step + np.float32((step - side) / 2)


def _split_matrix(matrix):
    """Returns the six numbers of each matrix, row by row, `[B, 2]` each."""
    return [matrix[:, :, row, column] for row in (0, 1) for column in (0, 1, 2)]


def _invert_matrix(matrix):
    a, b, c, d, e, f = _split_matrix(matrix)
    determinant = a * e - b * d
    rows = [(e, -b, b * f - c * e), (-d, a, c * d - a * f)]
    return ops.stack([ops.stack([part / determinant for part in row], axis=-1) for row in rows], axis=-2)


def _take_values(flat, index):
    """Returns the values of `[B, N]` at an index int32 `[B, ...]`."""
    size = tuple(index.shape[1:])
    values = ops.take_along_axis(flat, ops.reshape(index, (-1, int(np.prod(size)))), axis=1)
    return ops.reshape(values, (-1, *size))
