"""`geometry.Letterbox` by TensorFlow, for radiographs whose size is known only when a graph runs."""

import typing


class Box(typing.NamedTuple):
    """A letterbox: `native`, `inner` and `offset` are int32 `[2]` (rows, columns), `model` is `(height, width)`."""

    native: typing.Any
    model: tuple[int, int]
    inner: typing.Any
    offset: typing.Any


def fit(image, model):
    """Returns the `Box` of an image `[H, W, 1]` in a grid of `(height, width)`."""
    import tensorflow as tf

    native = tf.shape(image)[:2]
    sides = tf.cast(native, tf.float64)
    scale = tf.reduce_min(tf.constant(model, tf.float64) / sides)
    inner = tf.clip_by_value(tf.cast(tf.round(sides * scale), tf.int32), 1, model)
    return Box(native, model, inner, (tf.constant(model) - inner) // 2)


def image_to_model(image, box):
    """Returns an image float32 `[H, W, 1]` on the model grid, float32 `[h, w, 1]`."""
    import tensorflow as tf

    padded = tf.image.pad_to_bounding_box(resize(image, box.inner), *tf.unstack(box.offset), *box.model)
    return tf.ensure_shape(padded, [*box.model, 1])


def to_native(logits, box):
    """Returns logits float32 `[h, w, 1]` of the model grid on the native grid, bilinearly."""
    import tensorflow as tf

    return tf.image.resize(tf.slice(logits, [*tf.unstack(box.offset), 0], [*tf.unstack(box.inner), 1]), box.native)


def resize(image, size):
    """Returns an image float32 `[H, W, 1]` in another size: area averaging where it shrinks, bilinearly elsewhere."""
    import tensorflow as tf

    shrinks = tf.reduce_prod(size) < tf.reduce_prod(tf.shape(image)[:2])
    return tf.cond(shrinks, lambda: tf.image.resize(image, size, "area"), lambda: tf.image.resize(image, size))
