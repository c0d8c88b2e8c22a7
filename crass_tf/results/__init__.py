"""The forms in which a segmentation is written to files: one entry of `OUTPUTS` for each."""

import dataclasses
from collections.abc import Callable

from crass_tf.files import InputError
from crass_tf.results import pictures, record


@dataclasses.dataclass(frozen=True)
class Output:
    """One form of a result.

    Attributes:
        suffix: what follows the radiograph's stem in the file's name.
        write: `write(path, segmentation, source, model)` writes the file, whole or not at all; `source` and `model` are
            the paths of the radiograph and of the model. Raises InputError where this radiograph has no such result.
    """

    suffix: str
    write: Callable


OUTPUTS = {
    "mask": Output("_mask.png", pictures.write_mask),
    "labels": Output("_labels.png", pictures.write_labels),
    "overlay": Output("_overlay.png", pictures.write_overlay),
    "json": Output(".json", record.write),
}
DEFAULTS = ("mask", "labels", "overlay", "json")


def check_outputs(names):
    """Raises InputError unless all names, at least one, are of `OUTPUTS`."""
    unknown = [name for name in names if name not in OUTPUTS]
    if unknown or not names:
        raise InputError(f"outputs: found {', '.join(unknown) or 'none'}, expected some of {', '.join(OUTPUTS)}")
