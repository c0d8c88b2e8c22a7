"""The bytes of a PNG or JPEG file as grey values, by TensorFlow: what `radiograph.read_radiograph` does with OpenCV."""

from crass_tf.formats import png
from crass_tf.grey_scale import GREY_BITS

# Of blue, green and red after OpenCV, in the order of TensorFlow.
LUMINANCE = (0.299, 0.587, 0.114)
# A PNG's bit depth is its 25th byte.
BIT_DEPTH = 24


def decode_grey(data):
    """Returns grey values from 0 to 255, whole numbers, float32 `[H, W, 1]`, of an encoded image, string `[]`.

    16-bit PNGs are scaled by the rule of `grey_scale.GreyScale`; colours become luminance, an alpha channel is ignored.
    An EXIF orientation is not applied.
    """
    import tensorflow as tf

    # Filled up: of what is shorter the decoder says that it is no image.
    head = tf.strings.substr(tf.strings.join([data, b"\0" * (BIT_DEPTH + 1)]), 0, BIT_DEPTH + 1)
    is_png = tf.strings.substr(head, 0, len(png.SIGNATURE)) == png.SIGNATURE
    has_16_bits = is_png & (tf.strings.substr(head, BIT_DEPTH, 1) == b"\x10")
    decoders = [(has_16_bits, lambda: _grey_of_16_bits(data)), (is_png, lambda: _luminance(tf.io.decode_png(data)))]
    # OpenCV decodes as accurately.
    jpeg = lambda: _luminance(tf.io.decode_jpeg(data, dct_method="INTEGER_ACCURATE"))  # noqa: E731
    return tf.case(decoders, default=jpeg)


def _grey_of_16_bits(data):
    import tensorflow as tf

    grey = _luminance(tf.io.decode_png(data, dtype=tf.uint16))
    full_scales = tf.constant([2.0**bits - 1 for bits in GREY_BITS])
    full_scale = tf.reduce_min(full_scales[tf.reduce_max(grey) <= full_scales])
    return tf.round(grey * (255 / full_scale))


def _luminance(pixels):
    """Returns whole grey values float32 `[H, W, 1]` of pixels `[H, W, C]` with 1 to 4 channels."""
    import tensorflow as tf

    colours = tf.cast(pixels[..., :3], tf.float32)
    weighted = lambda: tf.round(tf.reduce_sum(colours * LUMINANCE, axis=-1, keepdims=True))  # noqa: E731
    grey = tf.cond(tf.shape(colours)[-1] == 3, weighted, lambda: colours[..., :1])
    return tf.ensure_shape(grey, [None, None, 1])
