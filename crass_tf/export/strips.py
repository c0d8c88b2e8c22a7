"""`geometry.Strip`, and how `segmenter` lays it, by TensorFlow.

Coordinates (x, y) and matrices are float64. A matrix `[2, 3]` maps the radiograph's pixels to the strip's.
"""

import math

from crass_tf.export.letterboxing import resize
from crass_tf.geometry import MAX_TILT_DEG, OUTSIDE_LOGIT, STRIP_FILL
from crass_tf.segmenter import GAP, OFF_CENTRE, SMALLEST_PART


def around_located(marked, box, strip_size):
    """Returns the matrix of the strip around what a locator marked, bool `[h, w]` on the grid of a `Box`."""
    import tensorflow as tf

    x, y = _points(marked)
    (top, left), (height, width), native = (
        tf.unstack(tf.cast(each, tf.float64)) for each in (box.offset, box.inner, box.native)
    )
    x, y = (x - left + 0.5) * native[1] / width - 0.5, (y - top + 0.5) * native[0] / height - 0.5
    return _lay(x, y, native[1], strip_size)


def around_outlined(marked, matrix, box, strip_size):
    """Returns the matrix of the strip around an outline, bool `[h, w]` on a strip; that strip's where it is empty."""
    import tensorflow as tf

    def lay():
        x, y = _points(marked)
        (a, b, c), (d, e, f) = (tf.unstack(row) for row in tf.unstack(_inverse(matrix)))
        return _lay(a * x + b * y + c, d * x + e * y + f, tf.cast(box.native[1], tf.float64), strip_size)

    return tf.cond(tf.reduce_any(marked), lay, lambda: matrix)


def image_to_strip(image, matrix, strip_size):
    """Returns the strip of a radiograph float32 `[H, W, 1]`, whole grey values float32 `[h, w, 1]`."""
    import tensorflow as tf

    scale = tf.norm(matrix[0, :2])

    def shrunk():
        native = tf.cast(tf.shape(image)[:2], tf.float64)
        size = tf.maximum(tf.round(native * scale), 1.0)
        x_factor, y_factor = tf.unstack(size / native)[::-1]
        # Pixel centres: x of the small image is (x + 0.5) * factor - 0.5.
        back = [[1 / x_factor, 0.0, 0.5 / x_factor - 0.5], [0.0, 1 / y_factor, 0.5 / y_factor - 0.5]]
        return tf.round(resize(image, tf.cast(size, tf.int32))), _chain(matrix, tf.stack(back))

    source, matrix = tf.cond(scale < 1, shrunk, lambda: (image, matrix))
    return tf.round(_warp(source, _inverse(matrix), strip_size, 0.0))


def strip_to_image(logits, matrix, native):
    """Returns logits float32 `[h, w, 1]` of a strip on a grid of `native`, int32 `[2]`; background outside."""
    return _warp(logits, matrix, native, OUTSIDE_LOGIT)


def without_specks(marked):
    """Returns what a mask bool `[h, w]` holds without components much smaller than its largest one."""
    import tensorflow as tf

    labels = _components(marked)
    areas = tf.math.bincount(labels, weights=tf.cast(marked, tf.float32), minlength=tf.size(marked) + 1)
    return marked & (tf.gather(areas, labels) >= SMALLEST_PART * tf.reduce_max(areas))


def _components(marked):
    """Returns the number of each pixel's component, int32 of the same shape: one of its pixels' places, from 1 on."""
    import tensorflow as tf

    def grow(labels, _):
        seen = tf.nn.max_pool2d(labels[None, ..., None], 3, 1, "SAME")[0, ..., 0]
        seen = tf.where(marked, seen, 0.0)
        # A label is the place of a pixel of the same component, which may have seen further.
        seen = tf.gather(tf.concat([[0.0], tf.reshape(seen, [-1])], 0), tf.cast(seen, tf.int32))
        return seen, tf.reduce_any(seen != labels)

    places = tf.reshape(tf.range(1, tf.size(marked) + 1), tf.shape(marked))
    labels = tf.where(marked, tf.cast(places, tf.float32), 0.0)
    labels, _ = tf.while_loop(lambda _, changed: changed, grow, (labels, True))
    return tf.cast(labels, tf.int32)


def _points(marked):
    """Returns the coordinates (x, y) of a mask's pixels, bool `[h, w]`, without specks."""
    import tensorflow as tf

    yx = tf.cast(tf.where(without_specks(marked)), tf.float64)
    # Nothing found: any strip will do, as its result is dropped.
    yx = tf.cond(tf.shape(yx)[0] > 0, lambda: yx, lambda: tf.constant([[0.0, 0.0], [1.0, 1.0]], tf.float64))
    return yx[:, 1], yx[:, 0]


def _lay(x, y, native_width, strip_size):
    """Returns the matrix of the strip around pixels, as `segmenter` and `geometry.Strip.around` lay it."""
    import tensorflow as tf

    x, y = _both_sides(x, y, native_width)
    tilt = _tilt(x, y)
    cos, sin = tf.cos(tilt), tf.sin(tilt)
    along, across = x * cos + y * sin, y * cos - x * sin
    (left, right), (top, bottom) = ([_quantile(axis, q) for q in (0.01, 0.99)] for axis in (along, across))
    scale = STRIP_FILL * strip_size[1] / tf.maximum(right - left, 1.0)
    shift_x = (strip_size[1] - 1) / 2 - scale * (left + right) / 2
    shift_y = (strip_size[0] - 1) / 2 - scale * (top + bottom) / 2
    return tf.stack([[scale * cos, scale * sin, shift_x], [-scale * sin, scale * cos, shift_y]])


def _both_sides(x, y, native_width):
    """Returns the pixels and, where they are of one clavicle only, those of its mirror image, too."""
    import tensorflow as tf

    ordered = tf.sort(x)
    least, most = ordered[0], ordered[-1]
    off_centre = tf.abs((least + most) / 2 / native_width - 0.5) > OFF_CENTRE
    gap = tf.reduce_max(tf.concat([[0.0], ordered[1:] - ordered[:-1]], 0)) > GAP * (most - least)
    alone = off_centre & ~gap & (most - least < native_width / 2)
    mirrored = lambda: (tf.concat([x, native_width - 1 - x], 0), tf.concat([y, y], 0))  # noqa: E731
    return tf.cond(alone, mirrored, lambda: (x, y))


def _tilt(x, y):
    """Returns the angle in radians as `geometry.Strip.around` finds it."""
    import tensorflow as tf

    first = x < (tf.reduce_min(x) + tf.reduce_max(x)) / 2
    means = [[tf.reduce_mean(axis[side]) for axis in (x, y)] for side in (first, ~first)]
    tilt = tf.atan2(means[1][1] - means[0][1], means[1][0] - means[0][0])
    # NaN where a side is empty; it compares false.
    return tf.where(tf.abs(tilt) <= math.radians(MAX_TILT_DEG), tilt, 0.0)


def _quantile(values, q):
    """Returns the linearly interpolated quantile of values `[N]`, as NumPy does."""
    import tensorflow as tf

    ordered = tf.sort(values)
    place = q * tf.cast(tf.shape(ordered)[0] - 1, tf.float64)
    below = tf.cast(tf.floor(place), tf.int32)
    above = tf.minimum(below + 1, tf.shape(ordered)[0] - 1)
    part = place - tf.floor(place)
    return (1 - part) * ordered[below] + part * ordered[above]


def _inverse(matrix):
    import tensorflow as tf

    turn = tf.linalg.inv(matrix[:, :2])
    return tf.concat([turn, -turn @ matrix[:, 2:]], 1)


def _chain(matrix, first):
    """Returns the matrix that maps as `first` does, and then as `matrix`."""
    import tensorflow as tf

    return tf.concat([matrix[:, :2] @ first[:, :2], matrix[:, :2] @ first[:, 2:] + matrix[:, 2:]], 1)


def _warp(image, matrix, size, outside):
    """Returns an image float32 `[h, w, 1]` on a grid of `size`, bilinearly; `matrix` maps its pixels to the image's."""
    import tensorflow as tf

    transform = tf.concat([tf.reshape(tf.cast(matrix, tf.float32), [6]), [0.0, 0.0]], 0)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=transform[None],
        output_shape=size,
        fill_value=outside,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0]
