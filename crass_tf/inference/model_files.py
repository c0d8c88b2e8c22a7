"""A model in any of its forms (Keras, SavedModel, `.tflite`) as one function on arrays.

A `.tflite` needs NumPy and ai-edge-litert only, and is opened only where it says that it is a model of this package.
TensorFlow and Keras are imported where a form needs them.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from crass_tf.common.files import InputError, local_path
from crass_tf.common.parallel import cores
from crass_tf.common.quiet import quiet_native
from crass_tf.common.types import PathLike
from crass_tf.inference import last_operation
from crass_tf.inference import tflite_metadata as metadata

SIGNATURE = "serving_default"
INPUT = "image"
# The outputs of a clavicle model; a network of a user's own has the first one only, under any name.
LOGITS, SCORE, STRIP_LOGITS, STRIP_MATRICES = OUTPUTS = ("logits", "score", "strip_logits", "strip_matrices")
# What an output may be: `probability` lies between 0 and 1.
KINDS = ("logits", "probability")
# Farther from one half than this a probability has no finite logit.
LARGEST_PROBABILITY = 1 - 1e-7
# The logarithm of a probability to which some 1e-7 was added.
NEARLY_ZERO = 1e-5
# One clavicle covers 2 % of a radiograph; the background, the first of two classes, nearly all of it.
MOST_CLAVICLE = 0.5
# More threads than this gain nothing on a net of this size.
MAX_THREADS = 4


@dataclasses.dataclass(frozen=True)
class Network:
    """A model as a function from float32 `[B, h, w, 1]` to its outputs, float32 each, by name.

    Attributes:
        image_size: `(height, width)` of its input.
        run: the function; `logits` `[B, h', w', C]` is always among its outputs, with C = 1 for both clavicles
            together, or C = 2 for the one at the image's left and the other. A clavicle model has all of `OUTPUTS`.
        has_strips: whether it is a clavicle model.
        metadata: what the `.tflite` that it is from says of itself, see `crass_tf.inference.tflite_metadata`; None for
            other forms.
    """

    image_size: tuple[int, int]
    run: Callable[[np.ndarray], dict[str, np.ndarray]]
    has_strips: bool
    metadata: dict[str, Any] | None = None


def open_model(path: PathLike, threads: int | None = None, output: str | None = None) -> Network:
    """Returns the `Network` of a model's file or folder.

    Args:
        path: a `.keras` file, a SavedModel folder or a `.tflite` file.
        threads: for a `.tflite`; None: the cores this process may use, at most 4. TensorFlow chooses its own.
        output: `logits` or `probability`, what a network of one output gives; None: found out from a Keras model's last
            layer or a SavedModel's last operation; where these do not tell, taken for logits if it is called so, or
            has values on both sides of 0.

    Raises:
        InputError: where there is no model, one with other inputs or outputs, or a `.tflite` that is damaged or was not
            made by `crass-tf export`.
    """
    if output not in (None, *KINDS):
        raise InputError(f"output: found {output!r}, expected one of {', '.join(KINDS)}")
    path = local_path(path, "model")
    if not path.exists():
        raise InputError(f"{path}: model not found")
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return _open_saved_model(path, output)
        raise InputError(f"{path}: found a folder without saved_model.pb, expected a SavedModel, .keras or .tflite")
    if path.suffix == ".keras":
        return of_keras(load_keras(path), output, path)
    if path.suffix == ".tflite":
        return _open_tflite(path, threads, output)
    found = path.suffix or "no suffix"
    raise InputError(f"{path}: found {found}, expected a .keras or .tflite file or a SavedModel")


def of_keras(model: Any, output: str | None = None, name: object = "the model") -> Network:
    """Returns the `Network` of a Keras model in memory; arguments and errors as in `open_model`."""
    if not getattr(model, "inputs", None):
        found = f"{type(model).__name__} without inputs"
        raise InputError(f"{name}: found {found}, expected a functional or Sequential model")
    inputs = {tensor.name: (tuple(tensor.shape), tensor.dtype) for tensor in model.inputs}
    outputs = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in _named_outputs(model).items()}
    kind = kind_of_keras(model, name)
    if kind and output and kind != output:
        raise InputError(f"{name}: found an output of {kind} by its last layer, expected {output} as --output says")

    def run(batch):
        values = model.predict_on_batch(batch)
        if not isinstance(values, dict):
            values = dict(zip(outputs, values if isinstance(values, (list, tuple)) else [values]))
        return {name: np.asarray(value, np.float32) for name, value in values.items()}

    return _network(name, inputs, outputs, run, kind or output, is_keras=True)


def default_threads() -> int:
    """Returns how many threads a `.tflite` gets by default: the cores this process may use, at most 4."""
    return min(cores(), MAX_THREADS)


def load_keras(path: PathLike) -> Any:
    """Returns the Keras model of a `.keras` file; InputError where it cannot be opened."""
    with quiet_native():
        import keras

    try:
        return keras.saving.load_model(path, compile=False)
    # A damaged archive surfaces as whatever its reader meets first.
    except Exception as error:
        raise InputError(f"{path}: cannot be opened as a Keras model ({_first_line(error)})") from None


def _open_saved_model(path, output):
    with quiet_native():
        import tensorflow as tf

    try:
        model = tf.saved_model.load(str(path))
    except Exception as error:
        raise InputError(f"{path}: cannot be opened as a SavedModel ({_first_line(error)})") from None
    if SIGNATURE not in model.signatures:
        raise InputError(f"{path}: found signatures {sorted(model.signatures)}, expected {SIGNATURE}")
    function = model.signatures[SIGNATURE]
    inputs, outputs = (
        {name: (tuple(spec.shape), spec.dtype.name) for name, spec in specs.items()}
        for specs in (function.structured_input_signature[1], function.structured_outputs)
    )

    def run(batch, model=model):
        # The signature keeps no reference to the model that owns its variables, hence the argument.
        return {name: value.numpy() for name, value in function(**{next(iter(inputs)): tf.constant(batch)}).items()}

    kind = last_operation.kind_of_signature(function) if len(outputs) == 1 else None
    if kind == last_operation.NEVER_ABOVE_ZERO:
        raise InputError(f"{path}: found an output of {kind}, never above 0, expected logits or probabilities")
    return _network(path, inputs, outputs, run, output or kind)


def _open_tflite(path, threads, output):
    about = metadata.read(path)
    # It may take other grey values, or mark something else, than this package's.
    for key, expected in metadata.MEANING.items():
        if about.get(key) != expected:
            raise InputError(f"{path}: found {key} = {about.get(key)} in its {metadata.NAME}, expected {expected}")
    from ai_edge_litert.interpreter import Interpreter

    try:
        with quiet_native():
            interpreter = Interpreter(str(path), num_threads=threads or default_threads())
            interpreter.allocate_tensors()
            signatures = interpreter.get_signature_list()
            if list(signatures) != [SIGNATURE]:
                found = f"found signatures {sorted(signatures)}, expected {SIGNATURE} alone"
                raise InputError(f"{path}: {found}: a model of an earlier version, to be exported again")
            runner = interpreter.get_signature_runner(SIGNATURE)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{path}: cannot be opened as a LiteRT model ({_first_line(error)})") from None
    inputs, outputs = (
        {name: (tuple(map(int, d["shape"])), np.dtype(d["dtype"]).name) for name, d in details.items()}
        for details in (runner.get_input_details(), runner.get_output_details())
    )
    input_name = next(iter(inputs))

    def run(batch):
        rows = [runner(**{input_name: image[None]}) for image in batch]
        return {name: np.concatenate([row[name] for row in rows]) for name in outputs}

    network = _network(path, inputs, outputs, run, output)
    if list(network.image_size) != about.get("image_size"):
        found = f"an input of {list(network.image_size)}"
        raise InputError(f"{path}: found {found}, expected {about.get('image_size')} by its {metadata.NAME}")
    return dataclasses.replace(network, metadata=about)


def _network(name, inputs, outputs, run, kind, is_keras=False):
    """Returns a `Network`, given shape and dtype of its inputs and outputs by name; InputError where they differ."""
    matches = len(inputs) == 1 and (len(outputs) == 1 or set(OUTPUTS) <= set(outputs))
    if matches:
        (shape, dtype), (dense, _) = next(iter(inputs.values())), outputs.get(LOGITS, next(iter(outputs.values())))
        matches = len(shape) == len(dense) == 4 and None not in (*shape[1:], *dense[1:]) and shape[3] == 1
        matches = matches and dense[3] in (1, 2)
        # The same field of view.
        matches = matches and shape[1] * dense[2] == shape[2] * dense[1]
        matches = matches and {dtype, *(each for _, each in outputs.values())} == {"float32"}
    if not matches:
        old = " (a model of two networks, of an earlier version: train or download it again)"
        raise InputError(
            f"{name}: found a model with inputs {_describe(inputs)} and outputs {_describe(outputs)}"
            f"{old if len(inputs) == 2 else ''}, "
            "expected one float32 [*, h, w, 1] in and logits [*, h, w, 1 or 2] of the same field of view out"
        )
    if len(outputs) > 1:
        return Network(tuple(shape[1:3]), run, has_strips=True)
    if kind is None and LOGITS in outputs and not is_keras:
        # So an export calls them; an unnamed output of a Keras model in memory is called so here, too.
        kind = "logits"
    return Network(tuple(shape[1:3]), _dense(name, run, kind), has_strips=False)


def _dense(name, run, kind):
    """Returns a function that gives the single output of another one as `{"logits": ...}`."""

    def run_dense(batch):
        (values,) = run(batch).values()
        if kind is None and values.size and (values.min() >= 0 or values.max() <= NEARLY_ZERO):
            raise InputError(
                f"{name}: found an output from {values.min():.3g} to {values.max():.3g}, expected logits; "
                "say what it is: --output probability or --output logits"
            )
        logits = probability_to_logits(name, values) if kind == "probability" else values
        share = np.mean(logits[..., 0] > 0)
        if logits.shape[-1] == 2 and share > MOST_CLAVICLE:
            raise InputError(
                f"{name}: found the first of two channels above 0 on {share:.0%} of the pixels, expected the clavicle "
                "at the image's left, then the other one; of background and clavicle give their difference, one channel"
            )
        return {LOGITS: logits}

    return run_dense


def probability_to_logits(name: object, values: np.ndarray) -> np.ndarray:
    """Returns the logits of probabilities, float32 of the same shape; InputError for values beyond 0 and 1."""
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        found = f"values from {values.min():.3g} to {values.max():.3g}"
        raise InputError(f"{name}: found {found}, expected probabilities between 0 and 1: its output is logits")
    inner = np.clip(values.astype(np.float64), 1 - LARGEST_PROBABILITY, LARGEST_PROBABILITY)
    return np.log(inner / (1 - inner)).astype(np.float32)


# Keras layers that keep the range of what goes through them, by class.
NEUTRAL = ("Identity", "UpSampling2D", "Resizing", "Reshape", "Cropping2D", "ZeroPadding2D", "Permute", "Dropout")
NEUTRAL += ("Cast",)
PROBABILITY = ("sigmoid", "hard_sigmoid")


def kind_of_keras(model: Any, name: object) -> str | None:
    """Returns what a Keras model's single output is, by its last activation; None where that does not tell.

    Raises:
        InputError: for an activation that gives neither logits nor probabilities.
    """
    import keras

    tensor = next(iter(_named_outputs(model).values()))
    while True:
        operation = tensor._keras_history.operation
        if getattr(operation, "outputs", None):
            # A model within the model.
            tensor = operation.outputs[0]
        elif type(operation).__name__ in NEUTRAL or _activation(operation) == "linear" and not operation.weights:
            tensor = operation.input if not isinstance(operation.input, list) else operation.input[0]
        else:
            break
    activation = _activation(operation)
    if activation in PROBABILITY:
        return "probability"
    if activation == "linear":
        return "logits"
    # Layers are called as these functions, but for underscores.
    if activation.replace("_", "") in {known.replace("_", "") for known in dir(keras.activations)}:
        raise InputError(f"{name}: found an output after {activation}, expected logits (no activation) or a sigmoid")
    return None


def _activation(operation):
    """Returns the name of a layer's or an operation's activation, in lower case."""
    activation = getattr(operation, "activation", None)
    return getattr(activation, "__name__", type(operation).__name__.lower())


def _named_outputs(model):
    """Returns the output tensors of a Keras model by name."""
    # A Sequential has `outputs` only.
    structure = getattr(model, "output", None)
    if isinstance(structure, dict):
        return structure
    outputs = model.outputs
    return {LOGITS: outputs[0]} if len(outputs) == 1 else {tensor.name: tensor for tensor in outputs}


def _describe(tensors):
    return ", ".join(f"{name} {dtype} {list(shape)}" for name, (shape, dtype) in tensors.items())


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
