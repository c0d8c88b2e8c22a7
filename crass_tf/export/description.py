"""What a `.tflite` says of itself: the content of its `crass_tf.json`."""

from crass_tf import __version__, metadata
from crass_tf.export.conversion import INPUT, OUTPUT, networks_of

NOTICE = "Research software, not a medical device: not for diagnosis or treatment."
SIDES = "the patient's: components whose centroid lies in the left of the image are the right clavicle"
NOT_STATED = "not stated"


def describe(model, form, training_data=NOT_STATED, terms=NOT_STATED):
    """Returns what travels inside a `.tflite`, for `crass_tf.metadata.attach`.

    Args:
        model: the Keras model.
        form: the name of its form, such as `int8`.
        training_data: what the model was trained on.
        terms: on what terms its weights may be used.
    """
    networks = networks_of(model)
    return {
        "made_by": f"crass-tf {__version__}",
        "notice": NOTICE,
        "form": form,
        "architecture": "single" if len(networks) == 1 else "cascade",
        "signatures": {name: _signature(network) for name, network in networks.items()},
        **metadata.MEANING,
        "sides": SIDES,
        "training_data": training_data,
        "terms": terms,
    }


def _signature(network):
    """Returns the names of a network's input and output, and the `[height, width]` of both."""
    return {"input": INPUT, "output": OUTPUT, "image_size": list(network.input_shape[1:3])}
