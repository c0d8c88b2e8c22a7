"""The learning rate over a run: linear warm-up, cosine decay to 0."""

import keras
import numpy as np


class LearningRate(keras.callbacks.Callback):
    """Sets the learning rate after each step, until another callback sets it; then that rate stays.

    A schedule in the optimizer would do the same, but Keras lets no callback change the learning rate then.
    """

    def __init__(self, peak: float, steps: int, warmup: float) -> None:
        """Takes the highest rate, the number of steps, and the part of them over which the rate rises."""
        super().__init__()
        warmup_steps = max(1, round(warmup * steps))
        self._schedule = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, steps - warmup_steps), warmup_target=peak, warmup_steps=warmup_steps
        )
        self._step, self._set = 0, None

    def start(self, model: keras.Model, step: int) -> None:
        """Starts after this number of steps, 0 for a new run; a resumed run keeps the model's rate."""
        self._step, self._set = step, self._rate_at(step)
        if step == 0:
            model.optimizer.learning_rate = self._set

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Resumes at the step that `keras.callbacks.BackupAndRestore` restored."""
        step = epoch * self.params["steps"]
        if step != self._step:
            self.start(self.model, step)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Sets the next step's rate."""
        self._step += 1
        if self._set is None or self._set != rate_of(self.model):
            self._set = None
            return
        self._set = self._rate_at(self._step)
        self.model.optimizer.learning_rate = self._set

    def _rate_at(self, step):
        return float(np.float32(keras.ops.convert_to_numpy(self._schedule(step))))


def rate_of(model: keras.Model) -> float:
    """Returns a compiled model's learning rate."""
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
