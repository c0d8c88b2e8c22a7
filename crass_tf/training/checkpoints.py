"""What resuming needs: weights, optimizer state and history after each completed epoch."""

import csv
import pathlib
import re
from typing import Any

import keras
import numpy as np

from crass_tf.common.files import InputError, atomic_file, read_text
from crass_tf.common.tables import write_table
from crass_tf.common.types import PathLike
from crass_tf.training.averaging import WeightAverage

FOLDER = "checkpoints"
HISTORY = "history.csv"
KEPT = 2


class Checkpoints(keras.callbacks.Callback):
    """Writes `RUN/history.csv` and, in `RUN/checkpoints`, `average_NNNN` and `epoch_NNNN.weights.h5` after each epoch.

    The latter, with the optimizer's state, is written last: an epoch counts as completed once it is in place.
    """

    def __init__(self, run: PathLike, average: WeightAverage, plain: keras.Model) -> None:
        """Takes the run's folder, its `WeightAverage`, and a model like the trained one, for saving."""
        super().__init__()
        self._run, self._average, self._plain, self.rows = pathlib.Path(run), average, plain, []

    def restore(self, model: keras.Model) -> list[np.ndarray]:
        """Loads the newest checkpoint into a compiled model and returns the averaged weights that belong to it."""
        epoch = completed_epochs(self._run)[-1]
        path = _checkpoint_path(self._run, epoch)
        try:
            model.load_weights(path)
            self._plain.load_weights(_checkpoint_path(self._run, epoch, "average"))
        except (ValueError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{path}: found a checkpoint that this version cannot resume ({reason})") from None
        self.rows = read_rows(self._run)[:epoch]
        return self._plain.get_weights()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes history and checkpoint, then removes checkpoints that nobody needs any more; InputError for NaN."""
        weights = self.model.get_weights()
        if not all(np.isfinite(weight).all() for weight in weights):
            where = f"{self._run}: found weights that are no numbers after epoch {epoch + 1}"
            raise InputError(f"{where}; train anew with a lower learning_rate, or in float32")
        values = {name: f"{float(value):.6g}" for name, value in (logs or {}).items()}
        self.rows.append({"epoch": str(epoch + 1)} | values)
        write_rows(self._run, self.rows)
        self._plain.set_weights(weights)
        _save_weights(self._plain, _checkpoint_path(self._run, epoch + 1, "average"))
        with self._average.trained(self.model):
            _save_weights(self.model, _checkpoint_path(self._run, epoch + 1))
        for old in completed_epochs(self._run)[:-KEPT]:
            _checkpoint_path(self._run, old).unlink()
            _checkpoint_path(self._run, old, "average").unlink(missing_ok=True)


def completed_epochs(run: PathLike) -> list[int]:
    """Returns the sorted numbers of the epochs whose checkpoint lies in the run's folder."""
    names = (path.name for path in (pathlib.Path(run) / FOLDER).glob("*.weights.h5"))
    matches = (re.fullmatch(r"epoch_(\d+)\.weights\.h5", name) for name in names)
    return sorted(int(match[1]) for match in matches if match)


def _checkpoint_path(run, epoch, kind="epoch"):
    return pathlib.Path(run) / FOLDER / f"{kind}_{epoch:04d}.weights.h5"


def _save_weights(model, path):
    with atomic_file(path) as temporary:
        # Keras needs the suffix `.weights.h5`; a temporary name keeps only `.h5`.
        whole = temporary.with_suffix(".weights.h5")
        model.save_weights(whole)
        whole.replace(temporary)


def read_rows(run: PathLike) -> list[dict[str, str]]:
    """Returns the rows of `RUN/history.csv`."""
    return list(csv.DictReader(read_text(pathlib.Path(run) / HISTORY).splitlines()))


def write_rows(run: PathLike, rows: list[dict[str, str]]) -> None:
    """Writes `RUN/history.csv`; the columns are those of any row."""
    write_table(pathlib.Path(run) / HISTORY, list(dict.fromkeys(name for row in rows for name in row)), rows)
