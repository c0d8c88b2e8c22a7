"""Overlays of validation radiographs for TensorBoard."""

import keras
import numpy as np
import tensorflow as tf

from crass_tf.common.types import PathLike
from crass_tf.geometry import split_sides
from crass_tf.reporting.overlay import overlay

EVERY = 10


class Pictures(keras.callbacks.Callback):
    """Writes overlays of the first validation batch, truth in green, after the first, every tenth and the last epoch.

    They come from the model as it is at an epoch's end, with the averaged weights, like the validation figures.
    """

    def __init__(self, folder: PathLike, validation: tf.data.Dataset) -> None:
        super().__init__()
        self._folder = folder
        # As NumPy arrays: Keras on JAX cannot compute with TensorFlow's tensors.
        self._images, self._masks = next(validation.take(1).as_numpy_iterator())

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Makes the log file; not before, so that a run whose settings are refused leaves none."""
        self._writer = tf.summary.create_file_writer(str(self._folder))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Draws after the first, every tenth and the last epoch."""
        if epoch and (epoch + 1) % EVERY and epoch + 1 < self.params["epochs"]:
            return
        logits = self.model.predict_on_batch(self._images)
        pictures = [_picture(*parts) for parts in zip(self._images, self._masks, logits)]
        with self._writer.as_default():
            tf.summary.image("overlay", np.stack(pictures), step=epoch, max_outputs=len(pictures))


def _picture(image, mask, logits):
    """Returns an RGB overlay of an image, its masks and logits: of one channel, or two, the image's left and right."""
    first, last = logits[:, :, 0] > 0, logits[:, :, -1] > 0
    labels = split_sides(first) if logits.shape[2] == 1 else np.where(first, 1, 2 * last)
    drawn = overlay(image[:, :, 0].astype(np.uint8), labels.astype(np.uint8), mask.any(axis=2).astype(np.uint8))
    return drawn[:, :, ::-1]
