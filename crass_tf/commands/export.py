"""`crass-tf export`: a Keras model, with the radiographs to calibrate it on and to compare its forms on."""

import itertools
from typing import Any

from crass_tf.common.files import data_path, local_path, output_folder
from crass_tf.common.types import PathLike
from crass_tf.data.loading import DEFAULT_DATASET, default_splits, examples
from crass_tf.export.exporting import export
from crass_tf.export.parity import phantom_examples

CALIBRATION = 32
COMPARED = 32


def export_from(
    model: PathLike, out: PathLike, data_dir: PathLike | None = None, dataset: str = DEFAULT_DATASET, **options: Any
) -> dict[str, Any]:
    """Exports a model; int8 ranges come from the data set's training split, the comparison from its validation split.

    Args:
        model: a `.keras` file.
        out: the folder to write.
        data_dir: where the data set was prepared; None takes phantoms instead of a data set.
        dataset: its name.
        **options: `training_data`, `terms`, `output` and `onnx` of `exporting.export`.

    Returns:
        What `parity.json` holds.
    """
    model, out, data_dir = local_path(model, "model"), output_folder(out), data_path(data_dir)
    if data_dir is None:
        calibration, compared = phantom_examples(CALIBRATION), phantom_examples(COMPARED, first=CALIBRATION)
    else:
        splits = default_splits(dataset, data_dir=data_dir)
        options |= dict(zip(("calibration_source", "examples_source"), (f"{dataset}, split {name}" for name in splits)))
        calibration, compared = (examples(dataset, name, data_dir) for name in splits)
    return export(
        model,
        out,
        # Iterators: a model that cannot be exported is refused before any radiograph is drawn or read.
        itertools.islice(calibration, CALIBRATION),
        itertools.islice(compared, COMPARED),
        **options,
    )
