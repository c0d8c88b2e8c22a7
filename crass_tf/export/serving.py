"""A whole model as one TensorFlow function: what `Segmenter` does with OpenCV around its networks, by `tf`."""

from crass_tf.export import letterboxing, strips
from crass_tf.export.decoding import decode_grey
from crass_tf.geometry import OUTSIDE_LOGIT
from crass_tf.quality import AGREEMENT

# The grid on which a cascade serves tensors: `(height, width)`.
SIZE = (1024, 1024)
BYTES, MASK = "image_bytes", "mask"


def serve_tensors(networks):
    """Returns a `tf.function` from `image` float32 `[B, 1024, 1024, 1]`, 0 to 255, to `logits` of that shape.

    Radiographs are letterboxed to that grid first.

    Args:
        networks: a cascade's two, `tf.function`s from float32 `[B, h, w, 1]` to one output of that shape.
    """
    import tensorflow as tf

    one = tf.TensorSpec((*SIZE, 1), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, *SIZE, 1], tf.float32, name="image")])
    def serve(image):
        return {"logits": tf.map_fn(lambda each: _logits(each, networks), image, fn_output_signature=one)}

    return serve


def serve_bytes(networks):
    """Returns a `tf.function` from `image_bytes` string `[1]`, a PNG or JPEG file, to `mask` uint8 `[1, H, W, 1]`.

    The mask has the radiograph's own pixels: 1 clavicle, 0 background.

    Args:
        networks: one, or a cascade's two, as `serve_tensors` takes them.
    """
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([1], tf.string, name=BYTES)])
    def serve(data):
        return {MASK: tf.cast(_logits(decode_grey(data[0]), networks) > 0, tf.uint8)[None]}

    return serve


def _logits(image, networks):
    """Returns the logits float32 `[H, W, 1]` of a radiograph, grey values of that shape."""
    import tensorflow as tf

    first, *second = networks
    box = letterboxing.fit(image, _size(first))
    located = _run(first, tf.round(letterboxing.image_to_model(image, box)))
    return _outlined(image, located, box, *second) if second else letterboxing.to_native(located, box)


def _outlined(image, located, box, outliner):
    """Returns the logits of the strip around what a locator found, on the radiograph's grid; background where none."""
    import tensorflow as tf

    strip_size = _size(outliner)
    matrix = strips.around_located(located[..., 0] > 0, box, strip_size)
    outlined = _run(outliner, strips.image_to_strip(image, matrix, strip_size))
    matrix = strips.around_outlined(outlined[..., 0] > 0, matrix, box, strip_size)
    outlined = _run(outliner, strips.image_to_strip(image, matrix, strip_size))
    logits = strips.strip_to_image(outlined, matrix, box.native)
    return tf.where(_agreement(located, logits, box) >= AGREEMENT, logits, OUTSIDE_LOGIT)


def _agreement(located, logits, box):
    """Returns the IoU of both networks' masks on the locator's grid, as `quality.agreement`."""
    import tensorflow as tf

    fine = letterboxing.image_to_model(tf.cast(logits > 0, tf.float32), box) >= 0.5
    coarse = located > 0
    both, either = (tf.math.count_nonzero(each) for each in (fine & coarse, fine | coarse))
    return both / tf.maximum(either, 1)


def _run(network, image):
    (logits,) = network(image[None]).values()
    return logits[0]


def _size(network):
    """Returns the `(height, width)` that a network takes."""
    (image,) = network.input_signature
    return tuple(image.shape[1:3])
