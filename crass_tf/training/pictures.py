"""Overlays of validation radiographs for TensorBoard."""

import keras
import numpy as np
import tensorflow as tf

from crass_tf.geometry import split_sides
from crass_tf.overlay import overlay


class Pictures(keras.callbacks.Callback):
    """Writes overlays of the first validation batch, truth in green, after the first, every tenth and the last epoch.

    They come from averaged weights, like the validation figures: they are drawn while validation runs.
    """

    def __init__(self, folder, validation, every=10):
        super().__init__()
        self._writer = tf.summary.create_file_writer(str(folder))
        self._images, self._masks = next(iter(validation.take(1)))
        self._every, self._epoch = every, None

    def on_epoch_begin(self, epoch, logs=None):
        """Decides whether this epoch is drawn."""
        drawn = epoch == 0 or (epoch + 1) % self._every == 0 or epoch + 1 == self.params["epochs"]
        self._epoch = epoch if drawn else None

    def on_test_end(self, logs=None):
        """Draws, before the weights are swapped back."""
        if self._epoch is None:
            return
        logits = self.model.predict_on_batch(self._images)
        pictures = [_picture(*parts) for parts in zip(self._images.numpy(), self._masks.numpy(), logits)]
        with self._writer.as_default():
            tf.summary.image("overlay", np.stack(pictures), step=self._epoch, max_outputs=len(pictures))


def _picture(image, mask, logits):
    labels = split_sides(logits[:, :, 0] > 0)
    drawn = overlay(image[:, :, 0].astype(np.uint8), labels, mask[:, :, 0])
    return drawn[:, :, ::-1]
