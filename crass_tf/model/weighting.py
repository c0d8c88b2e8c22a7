"""What losses and metrics share: masks as Keras hands them over, weights of images and of pixels."""

from keras import ops

# Axes of rows and columns.
PIXELS = (1, 2)


def as_pairs(y_true, y_pred, from_logits):
    """Returns `(y_true, y_pred)` as float32 `[B, H, W, C]`; masks `[B, H, W]` get the axis of their one channel.

    What is above 1, as in masks of 0 and 255, counts as 1. ValueError for other shapes, and for the output of a sigmoid
    where logits are expected.
    """
    if from_logits and _is_sigmoid(y_pred):
        raise ValueError(
            "found the output of a sigmoid, expected logits; say from_logits=False, or leave the last activation out"
        )
    y_true, y_pred = (ops.cast(ops.convert_to_tensor(part), "float32") for part in (y_true, y_pred))
    if len(y_true.shape) == 3 and y_pred.shape[-1] == 1:
        y_true = y_true[..., None]
    if len(y_true.shape) != 4 or not _fits(y_true.shape, y_pred.shape):
        raise ValueError(f"found y_true {tuple(y_true.shape)} and y_pred {tuple(y_pred.shape)}, expected [B, H, W, C]")
    return ops.minimum(y_true, 1.0), y_pred


def as_pixel_weights(sample_weight, y_true):
    """Returns weights of images, `[B]`, or of pixels, `[B, H, W]` or `[B, H, W, 1 or C]`, as float32 `[B, H, W, C]`.

    One number stands for all weights, None is 1. ValueError for any other shape than those of masks `y_true`
    `[B, H, W, C]`: broadcasting it would weight an image by the weights of another.
    """
    if sample_weight is None:
        return ops.ones_like(y_true)
    weights = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
    shape = tuple(weights.shape)
    while 0 < len(weights.shape) < 4:
        weights = weights[..., None]
    # `[B, H]` would be weights of rows.
    spread = {side == 1 and wanted != 1 for side, wanted in zip(weights.shape[1:3], y_true.shape[1:3])}
    mixed = len(shape) > 1 and len(spread) > 1
    if mixed or len(shape) > 4 or (shape and not _fits(weights.shape, y_true.shape, allow_ones=True)):
        found = f"found {shape} for masks {tuple(y_true.shape)}"
        raise ValueError(f"sample_weight: {found}, expected [B], [B, H, W] or [B, H, W, 1]")
    return weights * ops.ones_like(y_true)


def weighted_mean(values, weights, axes):
    """Returns the mean of `values` over `axes`, weighted; 0 where all weights are."""
    return ops.divide_no_nan(ops.sum(values * weights, axes), ops.sum(weights, axes))


def _fits(shape, expected, allow_ones=False):
    """Returns whether the known sides of two shapes are equal; those after the first may be 1 if `allow_ones`."""
    return len(shape) == len(expected) and all(
        None in (side, wanted) or side == wanted or (allow_ones and axis > 0 and side == 1)
        for axis, (side, wanted) in enumerate(zip(shape, expected))
    )


def _is_sigmoid(y_pred):
    """Returns whether a tensor is known to come out of a sigmoid; on JAX, whose tensors forget it, always False."""
    if hasattr(y_pred, "_keras_logits"):
        return True
    operation = getattr(y_pred, "op", None)
    while operation is not None and operation.type in ("Cast", "Identity"):
        operation = operation.inputs[0].op
    return operation is not None and operation.type == "Sigmoid"
