"""Overlays of validation radiographs for TensorBoard."""

import keras
import numpy as np
import tensorflow as tf

from crass_tf.geometry import split_sides
from crass_tf.overlay import overlay


class Pictures(keras.callbacks.Callback):
    """Writes overlays of the first validation batch, truth in green, after the first, every tenth and the last epoch.

    They come from `model`, which holds the averaged weights, like the validation figures.
    """

    def __init__(self, folder, model, validation, every=10):
        super().__init__()
        self._averaged = model
        self._writer = tf.summary.create_file_writer(str(folder))
        self._images, self._masks = next(iter(validation.take(1)))
        self._every = every

    def on_epoch_end(self, epoch, logs=None):
        """Draws, where this epoch's turn it is."""
        if epoch and (epoch + 1) % self._every and epoch + 1 < self.params["epochs"]:
            return
        logits = self._averaged.predict_on_batch(self._images)
        pictures = [_picture(*parts) for parts in zip(self._images.numpy(), self._masks.numpy(), logits)]
        with self._writer.as_default():
            tf.summary.image("overlay", np.stack(pictures), step=epoch, max_outputs=len(pictures))


def _picture(image, mask, logits):
    labels = split_sides(logits[:, :, 0] > 0)
    drawn = overlay(image[:, :, 0].astype(np.uint8), labels, mask[:, :, 0])
    return drawn[:, :, ::-1]
