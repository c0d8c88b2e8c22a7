"""A moving average of the weights: what is validated and saved."""

import keras
import numpy as np


class WeightAverage(keras.callbacks.Callback):
    """Keeps the moving average of a model's weights in a twin of it, and validates the twin after each epoch.

    Unlike the optimizers' own averaging it includes the statistics of batch normalisation, which otherwise belong to
    other weights than the averaged ones, and forgets the initial weights quickly: after step t the momentum is
    `min(momentum, (1 + t) / (10 + t))`.
    """

    def __init__(self, twin, momentum, validation=None):
        super().__init__()
        self._twin, self._momentum, self._validation = twin, momentum, validation
        self._average = twin.get_weights()

    def on_train_batch_end(self, batch, logs=None):
        """Moves the average towards the current weights."""
        model = self.model
        step = int(model.optimizer.iterations)
        rate = np.float32(1 - min(self._momentum, (1 + step) / (10 + step)))
        for average, weight in zip(self._average, model.get_weights()):
            average += rate * (weight - average)

    def on_epoch_end(self, epoch, logs=None):
        """Hands the average to the twin and adds its `val_` figures to the epoch's logs."""
        self._twin.set_weights(self._average)
        if self._validation is not None:
            batches = self._validation if isinstance(self._validation, tuple) else (self._validation,)
            results = self._twin.evaluate(*batches, verbose=0, return_dict=True)
            logs.update({f"val_{name}": value for name, value in results.items()})
