"""A model in any of its forms (Keras, SavedModel, `.tflite`) as one function on arrays.

A `.tflite` needs NumPy and ai-edge-litert only, and is opened only where it says that it is a model of this package.
TensorFlow and Keras are imported where a form needs them.
"""

import dataclasses
import hashlib
import io
import json
import pathlib
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from crass_tf.common.files import InputError, local_path
from crass_tf.common.parallel import cores, quiet_native
from crass_tf.common.types import PathLike
from crass_tf.inference import output_kind

SIGNATURE = "serving_default"
INPUT = "image"
# The outputs of a clavicle model; a network of a user's own has the first one only, under any name.
LOGITS, SCORE, STRIP_LOGITS, STRIP_MATRICES = OUTPUTS = ("logits", "score", "strip_logits", "strip_matrices")
# The largest probability that has a finite logit.
LARGEST_PROBABILITY = 1 - 1e-7
# The logarithm of a probability to which some 1e-7 was added.
NEARLY_ZERO = 1e-5
# One clavicle covers 2 % of a radiograph; the background, the first of two classes, nearly all of it.
MOST_CLAVICLE = 0.5
# More threads than this gain nothing on a net of this size.
MAX_THREADS = 4
# LiteRT starts as many as it is told; more than a system has leave none for the rest of the process.
MOST_THREADS = 256
# What a `.tflite` says of itself: a file in a zip archive at its end, as LiteRT's associated files are kept. LiteRT
# reads such a file as any other; zip tools list and extract what is attached.
METADATA = "crass_tf.json"
FORMAT_VERSION = 2
# What goes into every model of this package, and what comes out.
MEANING = {"grey_range": [0, 255], "classes": ["background", "clavicle"], "logit_threshold": 0.0}
# Of a FlatBuffer with LiteRT's schema: bytes 4 to 7.
TFLITE_MARK = slice(4, 8), b"TFL3"
MAX_METADATA_BYTES = 1_000_000
EARLIEST = (1980, 1, 1, 0, 0, 0)


@dataclasses.dataclass(frozen=True)
class Network:
    """A model as a function from float32 `[B, h, w, 1]` to its outputs, float32 each, by name.

    `logits` `[B, h', w', C]` is always among the outputs, with C = 1 for both clavicles together, or C = 2 for the one
    at the image's left and the other. A clavicle model has all of `OUTPUTS`.
    """

    image_size: tuple[int, int]  # (height, width) of its input
    run: Callable[[np.ndarray], dict[str, np.ndarray]]
    has_strips: bool  # whether it is a clavicle model
    metadata: dict[str, Any] | None = None  # what a `.tflite` says of itself, see `attach_metadata`


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
    if output not in (None, *output_kind.KINDS):
        raise InputError(f"output: found {output!r}, expected one of {', '.join(output_kind.KINDS)}")
    if threads is not None and threads not in range(1, MOST_THREADS + 1):
        raise InputError(f"threads: found {threads}, expected a whole number from 1 to {MOST_THREADS}, or None")
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
    suffix = path.suffix or "no suffix"
    raise InputError(f"{path}: found {suffix}, expected a .keras or .tflite file or a SavedModel")


def of_keras(model: Any, output: str | None = None, name: object = "the model") -> Network:
    """Returns the `Network` of a Keras model in memory; arguments and errors as in `open_model`."""
    if not getattr(model, "inputs", None):
        problem = f"{type(model).__name__} without inputs"
        raise InputError(f"{name}: found {problem}, expected a functional or Sequential model")
    inputs = {tensor.name: (tuple(tensor.shape), tensor.dtype) for tensor in model.inputs}
    outputs = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in output_kind.named_outputs(model).items()}
    kind = output_kind.kind_of_keras(model, name)
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
    # A damaged archive may raise any error of its reader.
    except Exception as error:
        raise InputError(f"{path}: cannot be opened as a Keras model ({_first_line(error)})") from None


def attach_metadata(model: bytes, about: dict[str, Any]) -> bytes:
    """Returns the bytes of a `.tflite` with its description attached; the same arguments give the same bytes.

    `about` is what `crass_tf.export.describe` returned; `format_version` and the model's `sha256` are added.
    """
    content = {"format_version": FORMAT_VERSION, **about, "sha256": hashlib.sha256(model).hexdigest()}
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(zipfile.ZipInfo(METADATA, EARLIEST), json.dumps(content, indent=2) + "\n")
    return file.getvalue()


def read_metadata(path: PathLike) -> dict[str, Any]:
    """Returns the description in a `.tflite`, a dictionary, once it is known to be this model's.

    Raises:
        InputError: for a file that is no LiteRT model, comes from elsewhere, is damaged, or is newer than this package.
    """
    data = pathlib.Path(path).read_bytes()
    place, mark = TFLITE_MARK
    if data[place] != mark:
        raise InputError(f"{path}: cannot be opened as a LiteRT model (it starts with {data[:8]!r})")
    about, end = _attached_metadata(path, data)
    version = about.get("format_version")
    if version != FORMAT_VERSION:
        problem = f"found format version {version!r} in its {METADATA}, expected {FORMAT_VERSION}"
        raise InputError(f"{path}: {problem}; install the crass-tf that made it, or export it again")
    if about.get("sha256") != hashlib.sha256(memoryview(data)[:end]).hexdigest():
        raise InputError(f"{path}: found another checksum than its {METADATA} says; the file is damaged: copy it again")
    return about


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

    kind = output_kind.kind_of_signature(function) if len(outputs) == 1 else None
    if kind == output_kind.NEVER_ABOVE_ZERO:
        raise InputError(f"{path}: found an output of {kind}, never above 0, expected logits or probabilities")
    return _network(path, inputs, outputs, run, output or kind)


def _open_tflite(path, threads, output):
    about = read_metadata(path)
    # A foreign model may take other grey values, or mark something else.
    for key, expected in MEANING.items():
        if about.get(key) != expected:
            raise InputError(f"{path}: found {key} = {about.get(key)} in its {METADATA}, expected {expected}")
    from ai_edge_litert.interpreter import Interpreter

    try:
        with quiet_native():
            interpreter = Interpreter(str(path), num_threads=int(threads or default_threads()))
            interpreter.allocate_tensors()
            signatures = interpreter.get_signature_list()
            if list(signatures) != [SIGNATURE]:
                problem = f"found signatures {sorted(signatures)}, expected {SIGNATURE} alone"
                raise InputError(f"{path}: {problem}: a model of an earlier version, to be exported again")
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
        problem = f"an input of {list(network.image_size)}"
        raise InputError(f"{path}: found {problem}, expected {about.get('image_size')} by its {METADATA}")
    return dataclasses.replace(network, metadata=about)


def _attached_metadata(path, data):
    """Returns the content of `crass_tf.json` and the number of bytes before the archive."""
    file = io.BytesIO(data)
    missing = (
        f"{path}: found no {METADATA} in it, expected a model made by `crass-tf export`; "
        "one that an earlier version made has to be exported again, one cut short copied again"
    )
    if not zipfile.is_zipfile(file):
        raise InputError(missing)
    try:
        with zipfile.ZipFile(file) as archive:
            info = archive.getinfo(METADATA)
            if info.file_size > MAX_METADATA_BYTES:
                raise ValueError(f"it claims {info.file_size} bytes")
            about = json.loads(archive.read(info))
            end = min(info.header_offset for info in archive.infolist())
        if not isinstance(about, dict):
            raise ValueError("no JSON object")
    except KeyError:
        raise InputError(missing) from None
    # Errors from damage; an endlessly nested JSON is one case.
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, RuntimeError) as error:
        raise InputError(f"{path}: its {METADATA} cannot be read ({error}); copy the file again") from None
    return about, end


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
        # An export uses this name; so does this module for an unnamed output of a Keras model in memory.
        kind = "logits"
    return Network(tuple(shape[1:3]), _name_output(name, run, kind), has_strips=False)


def _name_output(name, run, kind):
    """Returns a function that gives the single output of another one as `{"logits": ...}`."""

    def run_dense(batch):
        (values,) = run(batch).values()
        if kind is None and values.size and (values.min() >= 0 or values.max() <= NEARLY_ZERO):
            raise InputError(
                f"{name}: found an output from {values.min():.3g} to {values.max():.3g}, expected logits; "
                "say what it is: --output probability or --output logits"
            )
        logits = _to_logits(name, values) if kind == "probability" else values
        share = np.mean(logits[..., 0] > 0)
        if logits.shape[-1] == 2 and share > MOST_CLAVICLE:
            raise InputError(
                f"{name}: found the first of two channels above 0 on {share:.0%} of the pixels, expected the clavicle "
                "at the image's left, then the other one; of background and clavicle give their difference, one channel"
            )
        return {LOGITS: logits}

    return run_dense


def _to_logits(name, values):
    """Returns the logits of probabilities."""
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        problem = f"values from {values.min():.3g} to {values.max():.3g}"
        raise InputError(f"{name}: found {problem}, expected probabilities between 0 and 1: its output is logits")
    inner = np.clip(values.astype(np.float64), 1 - LARGEST_PROBABILITY, LARGEST_PROBABILITY)
    return np.log(inner / (1 - inner)).astype(np.float32)


def _describe(tensors):
    return ", ".join(f"{name} {dtype} {list(shape)}" for name, (shape, dtype) in tensors.items())


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
