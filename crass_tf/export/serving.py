"""From a file's bytes to its mask as one TensorFlow function: what `Segmenter` does around the model, by `tf`."""

import typing

import tensorflow as tf

from crass_tf.export.conversion import BYTES, MASK
from crass_tf.geometry import OUTSIDE_LOGIT
from crass_tf.inference.model_files import LOGITS, SCORE, STRIP_LOGITS, STRIP_MATRICES
from crass_tf.measurement.quality import LEAST_SCORE
from crass_tf.radiographs.formats import png
from crass_tf.radiographs.radiograph import GREY_BITS

# Of red, green and blue, as in OpenCV.
LUMINANCE = (0.299, 0.587, 0.114)


def serve_bytes(serve: typing.Any) -> typing.Any:
    """Returns a `tf.function` from `image_bytes` string `[1]`, a PNG or JPEG file, to `mask` uint8 `[1, H, W, 1]`.

    The mask has the radiograph's own pixels: 1 clavicle, 0 background. Radiographs have sizes of their own, so there is
    one a call; more are an error.

    Args:
        serve: `tf.function` of the model, from `image` float32 `[B, h, w, 1]` to its outputs by name.
    """
    (image_spec,) = serve.input_signature
    size = tuple(image_spec.shape[1:3])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=BYTES)])
    def from_bytes(data):
        tf.debugging.assert_equal(tf.size(data), 1, "image_bytes: expected one image a call, as masks differ in size")
        image = decode_grey(data[0])
        box = Box.fit(image, size)
        outputs = serve(box.image_to_model(image)[None])
        if STRIP_LOGITS in outputs:
            logits = _from_strips(outputs, box)
        else:
            logits = box.to_native(tf.reduce_max(outputs[LOGITS][0], axis=-1, keepdims=True))
        return {MASK: tf.cast(logits > 0, tf.uint8)[None]}

    return from_bytes


def _from_strips(outputs, box):
    """Returns the logits float32 `[H, W, 1]` of a clavicle model's strips on the radiograph's grid."""
    matrices = outputs[STRIP_MATRICES][0] @ box.matrix()
    transforms = tf.concat([tf.reshape(matrices, [2, 6]), tf.zeros([2, 2])], axis=1)
    logits = tf.raw_ops.ImageProjectiveTransformV3(
        images=outputs[STRIP_LOGITS][0][..., None],
        transforms=transforms,
        output_shape=box.native,
        fill_value=OUTSIDE_LOGIT,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    trusted = (outputs[SCORE][0] >= LEAST_SCORE)[:, None, None, None]
    return tf.reduce_max(tf.where(trusted, logits, OUTSIDE_LOGIT), axis=0)


def decode_grey(data: tf.Tensor) -> tf.Tensor:
    """Returns grey values from 0 to 255, whole numbers, float32 `[H, W, 1]`, of an encoded image, string `[]`.

    16-bit PNGs are scaled by the rule of `radiograph.GreyScale`; colours become luminance, an alpha channel is ignored.
    An EXIF orientation is not applied.
    """
    # Padded: the decoder takes shorter bytes for no image.
    head = tf.strings.substr(tf.strings.join([data, b"\0" * (png.BIT_DEPTH + 1)]), 0, png.BIT_DEPTH + 1)
    is_png = tf.strings.substr(head, 0, len(png.SIGNATURE)) == png.SIGNATURE
    has_16_bits = is_png & (tf.strings.substr(head, png.BIT_DEPTH, 1) == b"\x10")
    decoders = [(has_16_bits, lambda: _grey_of_16_bits(data)), (is_png, lambda: _luminance(tf.io.decode_png(data)))]
    # OpenCV decodes as accurately.
    jpeg = lambda: _luminance(tf.io.decode_jpeg(data, dct_method="INTEGER_ACCURATE"))  # noqa: E731
    return tf.case(decoders, default=jpeg)


def _grey_of_16_bits(data):
    grey = _luminance(tf.io.decode_png(data, dtype=tf.uint16))
    full_scales = tf.constant([2.0**bits - 1 for bits in GREY_BITS])
    full_scale = tf.reduce_min(full_scales[tf.reduce_max(grey) <= full_scales])
    return tf.round(grey * (255 / full_scale))


def _luminance(pixels):
    """Returns whole grey values float32 `[H, W, 1]` of pixels `[H, W, C]` with 1 to 4 channels."""
    colours = tf.cast(pixels[..., :3], tf.float32)
    weighted = lambda: tf.round(tf.reduce_sum(colours * LUMINANCE, axis=-1, keepdims=True))  # noqa: E731
    grey = tf.cond(tf.shape(colours)[-1] == 3, weighted, lambda: colours[..., :1])
    return tf.ensure_shape(grey, [None, None, 1])


class Box(typing.NamedTuple):
    """`geometry.Letterbox` by TensorFlow, for radiographs whose size is known only when a graph runs.

    `native`, `inner` and `offset` are int32 `[2]` (rows, columns), `model` is `(height, width)`.
    """

    native: tf.Tensor
    model: tuple[int, int]
    inner: tf.Tensor
    offset: tf.Tensor

    @classmethod
    def fit(cls, image: tf.Tensor, model: tuple[int, int]) -> typing.Self:
        """Returns the box of an image `[H, W, 1]` in a grid of `(height, width)`."""
        native = tf.shape(image)[:2]
        sides = tf.cast(native, tf.float64)
        scale = tf.reduce_min(tf.constant(model, tf.float64) / sides)
        inner = tf.clip_by_value(tf.cast(tf.round(sides * scale), tf.int32), 1, model)
        return cls(native, model, inner, (tf.constant(model) - inner) // 2)

    def image_to_model(self, image: tf.Tensor) -> tf.Tensor:
        """Returns an image float32 `[H, W, 1]` on the model grid, whole grey values float32 `[h, w, 1]`."""
        resized = _resize(image, self.inner)
        # OpenCV rounds a half up where it halves an image, and to the next even number elsewhere.
        halved = tf.reduce_all(tf.equal(self.native, 2 * self.inner))
        whole = tf.where(halved, tf.floor(resized + 0.5), tf.round(resized))
        padded = tf.image.pad_to_bounding_box(whole, *tf.unstack(self.offset), *self.model)
        return tf.ensure_shape(padded, [*self.model, 1])

    def to_native(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns logits float32 `[h, w, 1]` of the model grid, or a coarser one, on the native grid, bilinearly."""
        if tuple(logits.shape[:2]) != tuple(self.model):
            logits = tf.image.resize(logits, self.model)
        inside = tf.slice(logits, [*tf.unstack(self.offset), 0], [*tf.unstack(self.inner), 1])
        return tf.image.resize(inside, self.native)

    def matrix(self) -> tf.Tensor:
        """Returns float32 `[3, 3]`, which maps native pixel coordinates (x, y, 1) to the model's."""
        y, x = tf.unstack(tf.cast(self.inner, tf.float32) / tf.cast(self.native, tf.float32))
        top, left = tf.unstack(tf.cast(self.offset, tf.float32))
        return tf.stack([[x, 0.0, (x - 1) / 2 + left], [0.0, y, (y - 1) / 2 + top], [0.0, 0.0, 1.0]])


def _resize(image, size):
    """Returns an image float32 `[H, W, 1]` in another size: area averaging where it shrinks, bilinearly elsewhere."""
    shrinks = tf.reduce_prod(size) < tf.reduce_prod(tf.shape(image)[:2])
    return tf.cond(shrinks, lambda: tf.image.resize(image, size, "area"), lambda: tf.image.resize(image, size))
