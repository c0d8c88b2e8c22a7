"""Two networks in one model: one finds the clavicles in the whole radiograph, one outlines them in a strip."""

import keras

from crass_tf.networks import CASCADE


def cascade(locator, outliner):
    """Returns both networks as one functional model; what lies between them is geometry: `geometry.Strip`.

    Args:
        locator: `keras.Model`, float32 `[B, h, w, 1]` grey values of the whole radiograph -> logits of that shape.
        outliner: `keras.Model`, the same for the strip, of another size.

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
    networks = [_named(network, name) for network, name in zip((locator, outliner), CASCADE)]
    return keras.Model([image, strip], [network(x) for network, x in zip(networks, (image, strip))], name="cascade")


def parts(model):
    """Returns the networks of a model in their order: `[locator, outliner]` of a cascade, else the model itself."""
    if len(model.inputs) == 1:
        return [model]
    return [model.get_layer(name) for name in CASCADE]


def _named(model, name):
    return keras.Model(model.inputs, model.outputs[0], name=name)
