"""A compact residual U-Net."""

from collections.abc import Iterable

import keras
import numpy as np

from crass_tf.common.files import InputError

# Channels at strides 2, 4, 8, 16 and 32: wide where an image is small, thin where it is large.
DEFAULT_FILTERS = (12, 32, 64, 96, 128)
MULTIPLE = 32
# Standard deviations at which grey values are clipped.
SATURATION = 4.0


def unet(image_size=(512, 512), filters=DEFAULT_FILTERS, seed=0, classes=1):
    """Returns a residual U-Net that maps grey values to logits.

    Nothing is computed at full resolution but the stem's strided convolution and the last bilinear upsampling: the
    cost of a U-Net on radiographs lies there, and a clavicle's outline needs no more than half of the pixels.

    Args:
        image_size: `(height, width)`, both multiples of 32. Weights fit any size: `set_weights` carries them over.
        filters: channels at strides 2, 4, 8, 16, 32.
        seed: initial weights are a function of it.
        classes: channels of the logits: one mask each.

    Returns:
        A functional `keras.Model`: float32 `[B, H, W, 1]` grey values from 0 to 255 -> float32 logits
        `[B, H, W, classes]`.

    Raises:
        InputError: for a size that is no multiple of 32.

    Example:

    >>> model = crass_tf.model.unet((256, 256))
    >>> model.output_shape
    (None, 256, 256, 1)
    """
    # An open size, None, builds, but Keras cannot upsample it inside a TensorFlow graph.
    sides = tuple(image_size) if isinstance(image_size, Iterable) else ()
    if len(sides) != 2 or any(side is None or side < MULTIPLE or side % MULTIPLE for side in sides):
        raise InputError(f"image_size: found {image_size}, expected (height, width), both multiples of {MULTIPLE}")
    # One generator for all layers would tie each one's weights to the layers before it; a counter does not.
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))

    # Layers and functional graph, from the image down to stride 32 and back.
    image = keras.Input((*image_size, 1), dtype="float32", name="image")
    x = convolution(standardise(image), filters[0], seeds, kernel=5, strides=2, name="stem")
    skips = [x]
    for level, width in enumerate(filters[1:], start=2):
        x = convolution(x, width, seeds, strides=2, name=f"down{2**level}")
        for block in range(1 if level < 4 else 2):
            x = residual(x, width, seeds, name=f"encoder{2**level}_{block}")
        if classes > 1 and level == len(filters):
            x = add_place(x, seeds)
        skips.append(x)
    for level, skip in reversed(list(enumerate(skips[:-1], start=1))):
        x = upsample(convolution(x, skip.shape[-1], seeds, kernel=1, name=f"narrow{2**level}"), name=f"up{2**level}")
        x = keras.layers.Add(name=f"merge{2**level}")([x, skip])
        x = residual(x, skip.shape[-1], seeds, name=f"decoder{2**level}")
    # About 2 % of a radiograph is clavicle: training starts from that probability instead of from a half.
    normal, prior = keras.initializers.RandomNormal(stddev=0.01, seed=next(seeds)), keras.initializers.Constant(-4.0)
    head = keras.layers.Conv2D(
        classes, 1, dtype="float32", kernel_initializer=normal, bias_initializer=prior, name="head"
    )
    logits = head(x)
    # Bilinear resizing fails in float16 under XLA on TensorFlow, hence float32.
    return keras.Model(image, upsample(logits, name="logits"), name="clavicle_unet")


def standardise(image):
    """Returns grey values `[B, H, W, 1]` with mean 0 and standard deviation 1 for each image, float32.

    What lies further than `SATURATION` away is clipped. Exact black and white, 0 and 255, count for nothing in mean and
    deviation: they are padding, collimation, markers or saturation, and a frame must not change how a chest looks.
    """
    x = image / 255.0
    weight = keras.ops.clip(keras.ops.minimum(image, 255.0 - image), 1e-6, 1.0)
    total = keras.ops.sum(weight, axis=(1, 2, 3), keepdims=True)
    mean = keras.ops.sum(weight * x, axis=(1, 2, 3), keepdims=True) / total
    centred = x - mean
    variance = keras.ops.sum(weight * keras.ops.square(centred), axis=(1, 2, 3), keepdims=True) / total
    # A film digitised too bright leaves seven steps of grey: the constant has to stay below one step's variance.
    return keras.ops.clip(centred / keras.ops.sqrt(variance + 1e-6), -SATURATION, SATURATION)


def convolution(x, filters, seeds, kernel=3, strides=1, activation=True, *, name):
    """Convolution, batch normalisation and, unless switched off, a ReLU."""
    x = keras.layers.Conv2D(
        filters, kernel, strides, "same", use_bias=False, kernel_initializer=_he_initializer(seeds), name=f"{name}_conv"
    )(x)
    x = keras.layers.BatchNormalization(momentum=0.95, name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x) if activation else x


def residual(x, filters, seeds, *, name):
    """Two 3 x 3 convolutions with a skip connection."""
    y = convolution(x, filters, seeds, name=f"{name}_a")
    y = convolution(y, filters, seeds, activation=False, name=f"{name}_b")
    return keras.layers.ReLU(name=f"{name}_relu")(keras.layers.Add(name=f"{name}_add")([x, y]))


def add_place(x, seeds):
    """Returns features `[B, h, w, C]` plus a learned function of where in the image they are.

    Convolutions do not know positions, and only their positions distinguish the clavicles of both sides.
    """
    rows, columns = (np.linspace(-1, 1, side, dtype=np.float32) for side in x.shape[1:3])
    place = np.stack(np.meshgrid(columns, rows), axis=-1)
    place = keras.ops.zeros_like(x[:, :, :, :2]) + place
    place = keras.layers.Dense(x.shape[3], kernel_initializer=_he_initializer(seeds), name="place")(place)
    return keras.layers.Add(name="place_add")([x, place])


def upsample(x, *, name):
    """Bilinear upsampling by 2, in float32 whatever the model's precision."""
    return keras.layers.UpSampling2D(2, interpolation="bilinear", dtype="float32", name=name)(x)


def _he_initializer(seeds):
    return keras.initializers.HeNormal(seed=next(seeds))
