"""`crass-tf export`: a Keras model, with the radiographs to calibrate it on and to compare its forms on."""

import itertools

from crass_tf.data.loading import DEFAULT_DATASET, default_splits, examples
from crass_tf.export.description import NOT_STATED
from crass_tf.export.exporting import export
from crass_tf.export.samples import phantom_examples

CALIBRATION = 32
COMPARED = 32


def export_from(model, out, data_dir=None, dataset=DEFAULT_DATASET, training_data=NOT_STATED, terms=NOT_STATED):
    """Exports a model; int8 ranges come from the data set's training split, the comparison from its validation split.

    Args:
        model: a `.keras` file.
        out: the folder to write.
        data_dir: where the data set was prepared; None takes phantoms instead of a data set.
        dataset: its name.
        training_data: what the model was trained on, for the model card and the `.tflite` files.
        terms: on what terms its weights may be used, for both, too.

    Returns:
        What `parity.json` holds.
    """
    about = {"training_data": training_data, "terms": terms}
    if data_dir is None:
        calibration = list(phantom_examples(CALIBRATION))
        compared = list(phantom_examples(COMPARED, first=CALIBRATION))
        return export(model, out, calibration, compared, **about)
    training, validation = default_splits(dataset, data_dir=data_dir)
    calibration = list(itertools.islice(examples(dataset, training, data_dir), CALIBRATION))
    compared = list(itertools.islice(examples(dataset, validation, data_dir), COMPARED))
    return export(
        model,
        out,
        calibration,
        compared,
        calibration_source=f"{dataset}, split {training}",
        examples_source=f"{dataset}, split {validation}",
        **about,
    )
