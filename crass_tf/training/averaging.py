"""A moving average of the weights: what is validated, saved and seen by callbacks."""

import contextlib
from collections.abc import Iterator

import keras
import numpy as np


class WeightAverage(keras.callbacks.Callback):
    """Keeps the moving average of a model's weights, which the model itself holds between epochs.

    The model has the averaged weights from the last batch of an epoch until the first of the next: for validation, for
    other callbacks at an epoch's end, and after the training. So this has to be the first callback. If another
    callback changes weights at an epoch's end, training and averaging continue from these.

    Unlike the optimizers' own averaging it includes the statistics of batch normalisation, which otherwise belong to
    other weights than the averaged ones, and forgets the initial weights quickly: after step t the momentum is
    `min(momentum, (1 + t) / (10 + t))`.
    """

    def __init__(self, momentum: float, steps: int = 0) -> None:
        """Starts after this number of steps."""
        super().__init__()
        self._momentum, self._steps = momentum, steps
        # The average, the trained weights, and the weights that the model got between epochs.
        self._average: list[np.ndarray] = []
        self._trained: list[np.ndarray] = []
        self._shown: list[np.ndarray] | None = None

    def start(self, model: keras.Model, average: list[np.ndarray] | None = None) -> None:
        """Starts from the model's weights and their average, which by default are the same weights."""
        self._average = model.get_weights() if average is None else average

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Gives the model the weights that are trained, or that `keras.callbacks.BackupAndRestore` has restored."""
        step = epoch * self.params["steps"]
        if step != self._steps:
            self._steps = step
            self.start(self.model)
        self._hide(self.model)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Moves the average towards the current weights."""
        self._steps += 1
        rate = np.float32(1 - min(self._momentum, (1 + self._steps) / (10 + self._steps)))
        for average, weight in zip(self._average, self.model.get_weights()):
            average += rate * (weight - average)

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Gives the model the average: at an epoch's end it is validated."""
        self._show(self.model)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Gives the model the average where nothing is validated."""
        self._show(self.model)

    @contextlib.contextmanager
    def trained(self, model: keras.Model) -> Iterator[None]:
        """Gives the model the weights that are trained for a while."""
        self._hide(model)
        try:
            yield
        finally:
            self._show(model)

    def _show(self, model):
        if self._shown is None:
            self._trained, self._shown = model.get_weights(), [average.copy() for average in self._average]
            model.set_weights(self._shown)

    def _hide(self, model):
        if self._shown is None:
            return
        for index, weight in enumerate(model.get_weights()):
            if not np.array_equal(weight, self._shown[index], equal_nan=True):
                self._trained[index], self._average[index] = weight, weight.copy()
        model.set_weights(self._trained)
        self._shown = None
