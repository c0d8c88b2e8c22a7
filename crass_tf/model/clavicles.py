"""The clavicle model: a radiograph in, both clavicles out, one functional graph around two U-Nets."""

import keras
from keras import ops

from crass_tf.common.files import InputError
from crass_tf.model import strips

IMAGE_SIZE = (1024, 1024)
# Pixels of the image, in rows and columns, for one pixel of `logits`.
STEP = 2
CLAVICLE_MODEL = "clavicle_model"
# Names of the layers that are networks.
FINDER, OUTLINER = "finder", "outliner"
# Pixels of a strip, in rows and columns, for one of the coarse grid on which finder and outliner are compared.
COARSE = 8
# Distance from a clavicle down to lung / height of the strip.
BELOW = 0.25
# Logit of the probability 3/4; its negative is that of 1/4.
SURE = 1.0986
# One clavicle's area / its length squared, with a margin around what JSRT/SCR and phantoms have.
AREA_PER_LENGTH_SQUARED = (0.05, 0.45)
# Range of the horizontal distance of both centres, and largest vertical one, in mean lengths. In 98 % of 60 clinical
# radiographs of adults they are 1.2 to 2.4, and at most 0.5.
PAIR_DISTANCE, PAIR_HEIGHT = (0.7, 2.8), 1.0
# Of 119 radiographs of adults from clinics 117 have a clavicle with this score, of 44 other pictures none.
LEAST_BEST_SCORE = 0.7


def clavicle_model(finder, outliner, image_size=IMAGE_SIZE):
    """Returns the model that finds both clavicles, cuts a level strip around each, outlines it and lays it back.

    Args:
        finder: `keras.Model`, float32 `[B, h, w, 1]` grey values of the whole radiograph -> logits `[B, h, w, 2]`, the
            clavicle at the image's left first. `image_size` is a whole multiple of its size.
        outliner: `keras.Model`, float32 `[B, h, w, 1]` grey values of a strip -> logits of that shape.
        image_size: `(height, width)` of the letterboxed radiograph.

    Returns:
        A functional `keras.Model`: `image` float32 `[B, H, W, 1]`, grey values from 0 to 255, letterboxed -> a dict of
        float32: `logits` `[B, H / 2, W / 2, 2]`, channel 0 the clavicle at the image's left (the patient's right);
        `score` `[B, 2]`, from 0 to 1, how far each can be trusted; `strip_logits` `[B, 2, h, w]` and `strip_matrices`
        `[B, 2, 2, 3]`, which map coordinates (x, y) of the image's pixels to the strips'.

    Raises:
        InputError: for networks that do not fit.

    Example:

    >>> model = clavicle_model(unet((32, 32), classes=2), unet((32, 64)), (64, 64))
    >>> model.output["logits"].shape, model.output["strip_logits"].shape
    ((None, 32, 32, 2), (None, 2, 32, 64))
    """
    _check_networks(finder, outliner, image_size)
    # The same layers under the names by which `networks` finds them.
    finder = keras.Model(finder.inputs, finder.outputs[0], name=FINDER)
    outliner = keras.Model(outliner.inputs, outliner.outputs[0], name=OUTLINER)
    strip_size = outliner.input_shape[1:3]

    image = keras.Input((*image_size, 1), dtype="float32", name="image")
    # Find.
    step = image_size[0] // finder.input_shape[1]
    # The strides are explicit: without them Keras on JAX does not pool.
    coarse = ops.average_pool(image, step, step, padding="valid")
    probability = ops.sigmoid(finder(coarse))
    centre, axis, length = strips.locate(probability, image_size)
    matrices = strips.matrices(centre, axis, length, strip_size)
    # Cut.
    finder_strips = strips.sample(ops.transpose(probability, (0, 3, 1, 2)), matrices, strip_size, COARSE, image_size)
    strip = unify_polarity(strips.cut(image, matrices, strip_size), finder_strips)
    # Outline: one batch of all strips.
    outlined = outliner(ops.reshape(strip, (-1, *strip_size, 1)))
    strip_logits = ops.reshape(outlined, (-1, 2, *strip_size))
    # Place.
    logits = strips.place(strip_logits, matrices, image_size, STEP)
    scores = score(strip_logits, finder_strips) * (0.5 + 0.5 * can_be(centre, length, image_size[1]))
    scores = lower_doubtful(scores)
    outputs = {"logits": logits, "score": scores, "strip_logits": strip_logits, "strip_matrices": matrices}
    return keras.Model(image, outputs, name=CLAVICLE_MODEL)


def networks(model):
    """Returns the finder and the outliner of a clavicle model, `{name: keras.Model}`; InputError where it has none."""
    try:
        return {name: model.get_layer(name) for name in (FINDER, OUTLINER)}
    except ValueError:
        raise InputError(f"found the model {model.name!r}, expected one with the layers {FINDER}, {OUTLINER}") from None


def unify_polarity(strip, probability):
    """Returns strips `[B, 2, h, w]` with bright bones: 255 minus them where clavicles are darker than the lung below.

    One decision is made for both clavicles. In all of the 124 odd-numbered JSRT radiographs clavicles are
    brighter by a quarter of a standard deviation or more, by 0.6 in the median.

    `probability` is the finder's on every `COARSE`th row and column, `[B, 2, h / 8, w / 8]`.
    """
    grey = _pool_blocks(strip)
    down = round(BELOW * grey.shape[2])
    below = ops.pad(probability, ((0, 0), (0, 0), (down, 0), (0, 0)))[:, :, : grey.shape[2]] * (1 - probability)
    bone, lung = _sum_pixels(probability), _sum_pixels(below) + 1e-3
    difference = _sum_pixels(probability * grey) - bone / lung * _sum_pixels(below * grey)
    # -1 or 1 for a radiograph, 1 where nothing was found.
    bright = ops.clip(1e3 * ops.sum(difference, axis=1) + 1, -1, 1)
    bright = ops.reshape(bright, (-1, 1, 1, 1))
    return 127.5 + bright * (strip - 127.5)


def score(strip_logits, probability):
    """Returns how far each outline can be trusted, `[B, 2]`, from 0 to 1; it ranks them by their IoU with the truth.

    The outline's stability (pixels above 3/4 in those above 1/4), times its agreement with the finder's pixels, which
    are coarse and agree from an IoU of one half on; halved for an area that no clavicle of that length has.
    `strip_logits` are `[B, 2, h, w]`, `probability` as in `unify_polarity`.

    Source: the stability score of Kirillov et al., Segment Anything, ICCV 2023.
    """
    # On the coarse grid: sums over all pixels of a strip would be slow.
    outline, narrow, wide = (_pool_blocks(_is_above(strip_logits, level)) for level in (0.0, SURE, -SURE))
    stability = _sum_pixels(narrow) / (_sum_pixels(wide) + 1e-3)
    coarse = _is_above(probability, 0.5)
    agreement = _sum_pixels(ops.minimum(outline, coarse)) / (_sum_pixels(ops.maximum(outline, coarse)) + 1e-3)
    share = _sum_pixels(outline) / (strips.STRIP_FILL * outline.shape[3]) ** 2
    least, most = AREA_PER_LENGTH_SQUARED
    plausible = 0.5 + 0.5 * _is_above(share, least) * _is_above(-share, -most)
    return stability * ops.minimum(1.0, 0.2 + 1.6 * agreement) * plausible


def lower_doubtful(scores):
    """Returns scores `[B, 2]`, multiplied by `LEAST_BEST_SCORE` in radiographs where neither reaches it.

    Then both are below one half, so every client refuses the picture: two doubtful clavicles, not a sure and a doubtful
    one, are what other pictures show.
    """
    best = ops.max(scores, axis=1, keepdims=True)
    return scores * (LEAST_BEST_SCORE + (1 - LEAST_BEST_SCORE) * _is_above(best, LEAST_BEST_SCORE))


def can_be(centre, length, width):
    """Returns 1 where two clavicles are plausibly placed, side by side and not too far apart, else 0: `[B, 1]`.

    `centre` and `length` are what `strips.locate` returns, `width` is the image's. Where a clavicle is missing, its
    length is the least one, and the result is 1.
    """
    both = _is_above(ops.min(length, axis=1, keepdims=True), 1.01 * strips.LEAST_LENGTH * width)
    mean_length = ops.mean(length, axis=1, keepdims=True)
    distance_x, distance_y = (centre[:, 1:, i] - centre[:, :1, i] for i in (0, 1))
    nearest, furthest = PAIR_DISTANCE
    side_by_side = _is_above(distance_x, nearest * mean_length) * _is_above(-distance_x, -furthest * mean_length)
    return 1 - both * (1 - side_by_side * _is_above(PAIR_HEIGHT * mean_length, ops.abs(distance_y)))


def _is_above(values, threshold):
    """Returns 1 where values exceed a threshold, 0 elsewhere, without a comparison."""
    return ops.clip(1e4 * (values - threshold), 0, 1)


def _pool_blocks(values):
    """Returns `[B, 2, h, w]` averaged over blocks of `COARSE` rows and columns."""
    height, width = values.shape[2:]
    pooled = ops.average_pool(ops.reshape(values, (-1, height, width, 1)), COARSE, COARSE, padding="valid")
    return ops.reshape(pooled, (-1, 2, height // COARSE, width // COARSE))


def _sum_pixels(values):
    """Returns the sums `[B, 2]` of `[B, 2, h, w]`."""
    return ops.sum(values, axis=(2, 3))


def _check_networks(finder, outliner, image_size):
    finder_size, strip_size = finder.input_shape[1:3], outliner.input_shape[1:3]
    factors = {side / part for side, part in zip(image_size, finder_size)}
    if len(factors) > 1 or not all(factor.is_integer() for factor in factors) or finder.output_shape[3] != 2:
        raise InputError(
            f"finder: found {finder.input_shape} -> {finder.output_shape}, expected two classes and a size of which "
            f"{tuple(image_size)} is a whole multiple"
        )
    if outliner.output_shape[3] != 1 or any(side % COARSE for side in strip_size):
        raise InputError(f"outliner: found {outliner.input_shape} -> {outliner.output_shape}, expected one class")
