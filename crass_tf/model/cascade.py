"""Two networks in one model: one finds the clavicles in the whole radiograph, one outlines them in a strip."""

import keras

from crass_tf.networks import CASCADE


def cascade(locator, outliner):
    """Returns both networks as one functional model; what lies between them is geometry: `geometry.Strip`.

    Args:
        locator: `keras.Model`, float32 `[B, h, w, 1]` grey values of the whole radiograph -> logits of that shape.
        outliner: `keras.Model`, the same for the strip, of another size; it sees the strip's mirror image too.

    Returns:
        A functional `keras.Model` with the inputs `image` and `strip` and the outputs `locate` and `segment`; `parts`
        gives the networks back.

    Example:

    >>> model = cascade(unet((256, 256)), unet((256, 640)))
    >>> [output.shape for output in model.outputs]
    [(None, 256, 256, 1), (None, 256, 640, 1)]
    """
    image = keras.Input(locator.input_shape[1:], name="image")
    strip = keras.Input(outliner.input_shape[1:], name="strip")
    # As layers of one model they need names of their own.
    networks = [_named(network, name) for network, name in zip((locator, mirrored(outliner)), CASCADE)]
    return keras.Model([image, strip], [network(x) for network, x in zip(networks, (image, strip))], name="cascade")


def parts(model):
    """Returns the networks of a model in their order: `[locator, outliner]` of a cascade, else the model itself."""
    if len(model.inputs) == 1:
        return [model]
    return [model.get_layer(name) for name in CASCADE]


def mirrored(network):
    """Returns a network whose logits are the mean of those for an image and for its mirror image, mirrored back."""
    image = keras.Input(network.input_shape[1:], name="image")
    # One batch of both: a LiteRT file then holds each layer once.
    both = network(keras.ops.concatenate([image, keras.ops.flip(image, axis=2)], axis=0))
    as_it_is, mirror = keras.ops.split(both, 2, axis=0)
    return keras.Model(image, (as_it_is + keras.ops.flip(mirror, axis=2)) / 2)


def _named(model, name):
    return keras.Model(model.inputs, model.outputs[0], name=name)
