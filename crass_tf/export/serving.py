"""A whole cascade as one TensorFlow function: what `Segmenter` does with OpenCV between its networks, by `tf`."""

import math

from crass_tf.geometry import MAX_TILT_DEG, OUTSIDE_LOGIT, STRIP_FILL

# The grid on which radiographs are served: `(height, width)`.
SIZE = (1024, 1024)


def whole_cascade(locator, outliner):
    """Returns a `tf.function` from `image` float32 `[B, 1024, 1024, 1]`, 0 to 255, to `logits` of that shape.

    Radiographs are letterboxed to that grid first. Other than `Segmenter` it takes all that the locator marks for
    clavicle, specks included, and where it marks one side only, the strip covers that side only.
    """
    import tensorflow as tf

    strip_size = outliner.input_shape[1:3]
    matrices = (tf.TensorSpec([8]), tf.TensorSpec([8]))

    @tf.function(input_signature=[tf.TensorSpec([None, *SIZE, 1], tf.float32, name="image")])
    def serve(image):
        small = tf.image.resize(image, locator.input_shape[1:3], method="area")
        marked = locator(small, training=False) > 0
        forward, inverse = tf.map_fn(
            lambda m: _lay(*_whole_points(m), strip_size), marked, fn_output_signature=matrices
        )
        outlined = outliner(_warp(image, inverse, strip_size, 0.0), training=False)
        forward, inverse = tf.map_fn(
            lambda each: _lay_again(*each, strip_size), (outlined > 0, forward, inverse), fn_output_signature=matrices
        )
        outlined = outliner(_warp(image, inverse, strip_size, 0.0), training=False)
        found = tf.reduce_any(marked, axis=(1, 2, 3), keepdims=True)
        return {"logits": tf.where(found, _warp(outlined, forward, SIZE, OUTSIDE_LOGIT), OUTSIDE_LOGIT)}

    return serve


def _whole_points(marked):
    """Returns the served grid's coordinates (x, y) of what a locator marked, bool `[h, w, 1]`."""
    import tensorflow as tf

    yx = tf.cast(tf.where(marked[..., 0]), tf.float32)
    # Nothing found: any strip will do, as its result is dropped.
    yx = tf.cond(tf.shape(yx)[0] > 0, lambda: yx, lambda: tf.constant([[0.0, 0.0], [1.0, 1.0]]))
    y, x = ((yx[:, axis] + 0.5) * (SIZE[axis] / marked.shape[axis]) - 0.5 for axis in (0, 1))
    return x, y


def _lay_again(marked, forward, inverse, strip_size):
    """Returns the matrices of the strip around an outline, bool `[h, w, 1]`; those given where it is empty."""
    import tensorflow as tf

    def lay():
        yx = tf.cast(tf.where(marked[..., 0]), tf.float32)
        x, y = yx[:, 1], yx[:, 0]
        m = inverse
        return _lay(m[0] * x + m[1] * y + m[2], m[3] * x + m[4] * y + m[5], strip_size)

    return tf.cond(tf.reduce_any(marked), lay, lambda: (forward, inverse))


def _lay(x, y, strip_size):
    """Returns the matrix of the strip around pixels and its inverse, as `geometry.Strip.around` lays it.

    The matrix maps the served grid's pixels to the strip's; both are float32 `[8]`, as `ImageProjectiveTransformV3`
    takes them.
    """
    import tensorflow as tf

    tilt = _tilt(x, y)
    cos, sin = tf.cos(tilt), tf.sin(tilt)
    along, across = x * cos + y * sin, y * cos - x * sin
    (left, right), (top, bottom) = ([_quantile(axis, q) for q in (0.01, 0.99)] for axis in (along, across))
    scale = STRIP_FILL * strip_size[1] / tf.maximum(right - left, 1.0)
    shift_x = (strip_size[1] - 1) / 2 - scale * (left + right) / 2
    shift_y = (strip_size[0] - 1) / 2 - scale * (top + bottom) / 2
    a, b = scale * cos, scale * sin
    forward = tf.stack([a, b, shift_x, -b, a, shift_y, 0.0, 0.0])
    back = tf.stack([a, -b, b * shift_y - a * shift_x, b, a, -b * shift_x - a * shift_y]) / (scale * scale)
    return forward, tf.concat([back, [0.0, 0.0]], 0)


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
    place = q * tf.cast(tf.shape(ordered)[0] - 1, tf.float32)
    below = tf.cast(tf.floor(place), tf.int32)
    above = tf.minimum(below + 1, tf.shape(ordered)[0] - 1)
    part = place - tf.floor(place)
    return (1 - part) * ordered[below] + part * ordered[above]


def _warp(images, transforms, size, outside):
    """Returns images `[B, h, w, 1]` on a grid of `size`, bilinearly; `transforms` map its pixels to the images'."""
    import tensorflow as tf

    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=size,
        fill_value=outside,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(warped, [None, *size, 1])
