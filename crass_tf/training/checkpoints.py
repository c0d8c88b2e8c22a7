"""What resuming needs: weights, optimizer state and history after each completed epoch."""

import csv
import io
import pathlib
import re

import keras

from crass_tf.files import atomic_file, write_text

FOLDER = "checkpoints"
HISTORY = "history.csv"
KEPT = 2


class Checkpoints(keras.callbacks.Callback):
    """Writes `RUN/history.csv` and, in `RUN/checkpoints`, `average_NNNN` and `epoch_NNNN.weights.h5` after each epoch.

    The latter, with the optimizer's state, is written last: an epoch counts as completed once it is in place.
    """

    def __init__(self, run, averaged):
        super().__init__()
        self._run, self._averaged, self.rows = pathlib.Path(run), averaged, []

    def restore(self, model):
        """Loads the newest checkpoint into a compiled model and returns the number of completed epochs, or 0."""
        found = completed_epochs(self._run)
        if not found:
            return 0
        model.load_weights(_path(self._run, found[-1]))
        self._averaged.load_weights(_path(self._run, found[-1], "average"))
        with (self._run / HISTORY).open(newline="", encoding="utf-8") as file:
            self.rows = list(csv.DictReader(file))[: found[-1]]
        return found[-1]

    def on_epoch_end(self, epoch, logs=None):
        """Writes history and checkpoint, then removes checkpoints that nobody needs any more."""
        values = {name: f"{float(value):.6g}" for name, value in (logs or {}).items()}
        self.rows.append({"epoch": str(epoch + 1)} | values)
        write_text(self._run / HISTORY, _as_csv(self.rows))
        _save_weights(self._averaged, _path(self._run, epoch + 1, "average"))
        _save_weights(self.model, _path(self._run, epoch + 1))
        for old in completed_epochs(self._run)[:-KEPT]:
            _path(self._run, old).unlink()
            _path(self._run, old, "average").unlink(missing_ok=True)


def completed_epochs(run):
    """Returns the sorted numbers of the epochs whose checkpoint lies in the run's folder."""
    names = (path.name for path in (pathlib.Path(run) / FOLDER).glob("*.weights.h5"))
    matches = (re.fullmatch(r"epoch_(\d+)\.weights\.h5", name) for name in names)
    return sorted(int(match[1]) for match in matches if match)


def _path(run, epoch, kind="epoch"):
    return pathlib.Path(run) / FOLDER / f"{kind}_{epoch:04d}.weights.h5"


def _save_weights(model, path):
    with atomic_file(path) as temporary:
        # Keras insists on the suffix `.weights.h5`, of which a temporary name keeps only the last part.
        whole = temporary.with_suffix(".weights.h5")
        model.save_weights(whole)
        whole.replace(temporary)


def _as_csv(rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
