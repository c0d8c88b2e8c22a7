"""The networks of a model, from any of its forms (.keras, SavedModel, .tflite), as functions on arrays.

A `.tflite` needs NumPy and ai-edge-litert only, and is opened only where it says that it is a model of this package.
TensorFlow and Keras are imported where a form needs them.
"""

import dataclasses
import pathlib
import typing

import numpy as np

from crass_tf import metadata
from crass_tf.files import InputError
from crass_tf.native import quiet_native
from crass_tf.parallel import cores

SIGNATURE = "serving_default"
# The signatures, or layers, of a cascade's networks.
CASCADE = ("locate", "segment")
# More threads than this gain nothing on a net of this size.
MAX_THREADS = 4


@dataclasses.dataclass(frozen=True)
class Network:
    """A function from float32 `[B, h, w, 1]` to float32 of that shape.

    Attributes:
        image_size: `(height, width)`.
        run: the function.
        metadata: what the `.tflite` that it is from says of itself, see `crass_tf.metadata`; None for other forms.
    """

    image_size: tuple[int, int]
    run: typing.Callable
    metadata: dict | None = None


def open_model(path, threads=None):
    """Returns the `Network`s of a model: one, or a cascade's locator and outliner.

    Args:
        path: a `.keras` file, a SavedModel folder or a `.tflite` file.
        threads: for a `.tflite`; None: the cores this process may use, at most 4. TensorFlow chooses its own.

    Raises:
        InputError: where there is no model, a network that does not map one float32 `[*, h, w, 1]` to one output of
            the same shape, or a `.tflite` that is damaged or was not made by `crass-tf export`.
    """
    path = pathlib.Path(path)
    opened = _opener(path)(path, threads)
    return [Network(_image_size(path, inputs, outputs), run, about) for inputs, outputs, run, about in opened]


def default_threads():
    """Returns how many threads a `.tflite` gets by default: the cores this process may use, at most 4."""
    return min(cores(), MAX_THREADS)


def _opener(path):
    """Returns the function that opens this form of a model."""
    if not path.exists():
        raise InputError(f"{path}: model not found")
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return _open_saved_model
        raise InputError(f"{path}: found a folder without saved_model.pb, expected a SavedModel, .keras or .tflite")
    openers = {".keras": _open_keras, ".tflite": _open_tflite}
    if path.suffix not in openers:
        raise InputError(
            f"{path}: found {path.suffix or 'no suffix'}, expected a .keras or .tflite file or a SavedModel"
        )
    return openers[path.suffix]


# Each opener returns `[(inputs, outputs, run, metadata)]`, one for each network: (shape, dtype name) of every input and
# output, a function from float32 [B, h, w, 1] to float32 [B, h, w, 1], and what a `.tflite` says of itself.


def _open_keras(path, threads):
    with quiet_native():
        import keras

    from crass_tf.model import parts

    try:
        model = keras.saving.load_model(path, compile=False)
    # A damaged archive surfaces as whatever its reader meets first.
    except Exception as error:
        raise InputError(f"{path}: cannot be opened as a Keras model ({_first_line(error)})") from None
    try:
        networks = parts(model)
    except ValueError:
        found = f"{len(model.inputs)} inputs"
        raise InputError(f"{path}: found {found}, expected one, or the layers {' and '.join(CASCADE)}") from None
    return [_keras_network(network) for network in networks]


def _keras_network(network):
    inputs, outputs = ([(tuple(x.shape), x.dtype) for x in tensors] for tensors in (network.inputs, network.outputs))
    return inputs, outputs, lambda batch: np.asarray(network.predict_on_batch(batch), np.float32), None


def _open_saved_model(path, threads):
    with quiet_native():
        import tensorflow as tf

    try:
        model = tf.saved_model.load(str(path))
    except Exception as error:
        raise InputError(f"{path}: cannot be opened as a SavedModel ({_first_line(error)})") from None
    names = CASCADE if set(CASCADE) <= set(model.signatures) else (SIGNATURE,)
    if names[0] not in model.signatures:
        raise InputError(f"{path}: found signatures {sorted(model.signatures)}, expected {SIGNATURE}")
    return [_saved_network(model, name, tf) for name in names]


def _saved_network(model, name, tf):
    function = model.signatures[name]
    inputs = function.structured_input_signature[1]

    def run(batch, model=model):
        # The signature keeps no reference to the model that owns its variables, hence the argument.
        return next(iter(function(**{next(iter(inputs)): tf.constant(batch)}).values())).numpy()

    described = ([(tuple(s.shape), s.dtype.name) for s in x.values()] for x in (inputs, function.structured_outputs))
    return *described, run, None


def _open_tflite(path, threads):
    about = metadata.read(path)
    _check_meaning(path, about)
    from ai_edge_litert.interpreter import Interpreter

    try:
        with quiet_native():
            interpreter = Interpreter(str(path), num_threads=threads or default_threads())
            interpreter.allocate_tensors()
            networks = {name: _lite_network(interpreter, name) for name in interpreter.get_signature_list()}
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{path}: cannot be opened as a LiteRT model ({_first_line(error)})") from None
    return [(*networks[name], about) for name in _signatures(path, networks, about)]


def _check_meaning(path, about):
    """Raises InputError where a `.tflite` takes other grey values or marks something else than this package's."""
    for key, expected in metadata.MEANING.items():
        if about.get(key) != expected:
            raise InputError(f"{path}: found {key} = {about.get(key)} in its {metadata.NAME}, expected {expected}")


def _signatures(path, networks, about):
    """Returns the names of a `.tflite`'s networks; InputError where these are not what its description says."""
    found = {name: list(inputs[0][0][1:3]) for name, (inputs, _, _) in networks.items()}
    said = _said_sizes(about.get("signatures"))
    if found != said:
        raise InputError(f"{path}: found signatures with image sizes {found}, expected {said} by its {metadata.NAME}")
    return CASCADE if set(CASCADE) <= set(found) else (SIGNATURE,)


def _said_sizes(signatures):
    """Returns `{name: image_size}` by a `.tflite`'s description, which may hold anything; {} where it holds none."""
    if not isinstance(signatures, dict):
        return {}
    return {name: isinstance(said, dict) and said.get("image_size") for name, said in signatures.items()}


def _lite_network(interpreter, name):
    """Returns the inputs, outputs and function of one signature."""
    runner = interpreter.get_signature_runner(name)
    details = (runner.get_input_details(), runner.get_output_details())
    (input_name, *_), (output_name, *_) = details

    def run(batch):
        rows = [runner(**{input_name: image[None]})[output_name] for image in batch]
        return np.concatenate(rows) if rows else batch

    return *(_tensors(each.values()) for each in details), run


def _tensors(details):
    return [(tuple(map(int, detail["shape"])), np.dtype(detail["dtype"]).name) for detail in details]


def _image_size(path, inputs, outputs):
    """Returns `(height, width)` of a network with one float32 [*, h, w, 1] in and the same out; InputError else."""
    matches = len(inputs) == len(outputs) == 1
    if matches:
        (shape, dtype), (output_shape, output_dtype) = inputs[0], outputs[0]
        matches = len(shape) == 4 and None not in shape[1:] and shape[3] == 1 and shape[1:] == output_shape[1:]
        matches = matches and dtype == output_dtype == "float32"
    if not matches:
        raise InputError(
            f"{path}: found a model with inputs {_describe(inputs)} and outputs {_describe(outputs)}, "
            "expected one float32 [*, h, w, 1] in and one of the same shape out"
        )
    return shape[1:3]


def _describe(tensors):
    return ", ".join(f"{dtype} {list(shape)}" for shape, dtype in tensors)


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
