"""A Keras model as SavedModel and as LiteRT files. TensorFlow is imported when the first function is called."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from crass_tf.common.files import InputError
from crass_tf.common.parallel import quiet_native
from crass_tf.common.types import PathLike
from crass_tf.export.operators import FINDER, OUTLINER, outer_scopes
from crass_tf.inference.model_files import INPUT, LARGEST_PROBABILITY, LOGITS, SIGNATURE

if TYPE_CHECKING:
    import keras

# The SavedModel's signature from files to masks, its input and output.
FROM_BYTES, BYTES, MASK = "from_bytes", "image_bytes", "mask"
CALIBRATION_THREADS = 2


def as_served(model: keras.Model, kind: str | None = None) -> keras.Model:
    """Returns a Keras model with its outputs by name, and logits where it gives probabilities.

    Args:
        model: a clavicle model, or a network of one output.
        kind: `logits` or `probability`, what the single output is; see `model_files.open_model`.
    """
    import keras

    if isinstance(getattr(model, "output", None), dict):
        return model
    logits = model.outputs[0]
    if kind == "probability":
        inner = keras.ops.clip(logits, 1 - LARGEST_PROBABILITY, LARGEST_PROBABILITY)
        logits = keras.ops.log(inner) - keras.ops.log(1 - inner)
    return keras.Model(model.inputs[0], {LOGITS: logits}, name=model.name)


def write_saved_model(model: keras.Model, folder: PathLike) -> None:
    """Writes a SavedModel, which plain TensorFlow loads: nothing of Keras or of this package is needed.

    `serving_default` maps `image` float32 `[B, h, w, 1]` to the model's outputs; `from_bytes` maps `image_bytes`, one
    encoded PNG or JPEG, to its `mask`; see `serving.serve_bytes`.

    Args:
        model: what `as_served` returned.
        folder: the folder to write.
    """
    import tensorflow as tf

    from crass_tf.export.serving import serve_bytes

    module: Any = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    serve = _make_function(model)
    with quiet_native():
        tf.saved_model.save(module, str(folder), signatures={SIGNATURE: serve, FROM_BYTES: serve_bytes(serve)})


def write_onnx(model: keras.Model, path: PathLike) -> None:
    """Writes the model as ONNX, by Keras; InputError where tf2onnx and onnx are not installed."""
    signature = _make_function(model).input_signature
    try:
        with quiet_native():
            model.export(str(path), format="onnx", verbose=False, input_signature=signature)
    except ImportError as error:
        raise InputError(f"--onnx: needs further packages ({error}): pip install 'crass-tf[onnx]'") from None


def write_compact_keras(source: PathLike, path: PathLike) -> None:
    """Writes a `.keras` file again in less than half the bytes: kernels in float16, everything compressed.

    Keras opens it as any other, with float32 variables.
    """
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, _compact_weights(content) if name.endswith(".h5") else content)


def _compact_weights(content):
    """Returns the bytes of an HDF5 file in which what has two dimensions or more is float16."""
    import h5py

    def copy(name, item):
        if isinstance(item, h5py.Group):
            smaller.create_group(name)
        elif item.ndim > 1:
            smaller.create_dataset(name, data=item[()].astype("float16"), compression="gzip", shuffle=True)
        else:
            smaller.create_dataset(name, data=item[()])
        smaller[name].attrs.update(item.attrs)

    compact = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as stored, h5py.File(compact, "w", libver="latest") as smaller:
        stored.visititems(copy)
    return compact.getvalue()


def to_float32(model: keras.Model, half: bool = False) -> bytes:
    """Returns the model as the bytes of a `.tflite` with a static batch of 1.

    Args:
        model: what `as_served` returned.
        half: whether weights are stored in float16; input and output are float32 all the same.

    Raises:
        InputError: for operators that are not built into LiteRT.
    """
    import tensorflow as tf
    from tensorflow.lite.python.convert import ConverterError

    with quiet_native(), tempfile.TemporaryDirectory() as folder:
        module: Any = tf.Module()
        module.function = _freeze_model(model)
        # By way of a SavedModel, which gives the signature its name.
        tf.saved_model.save(module, folder, signatures={SIGNATURE: module.function})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if half:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        try:
            return converter.convert()
        except ConverterError as error:
            reasons = [line.strip() for line in str(error).splitlines() if " ops: " in line]
            reason = "; ".join(reasons) or str(error).splitlines()[0]
            raise InputError(f"the model cannot be converted to LiteRT's built-in operators ({reason})") from None


def to_dynamic_int8(float32: bytes) -> bytes:
    """Returns a float32 `.tflite`, the bytes of `to_float32`, with weights in 8 bits; activations need no ranges.

    What `to_int8` keeps in float stays in float here, too.
    """
    from litert_quantizer import recipe

    with _open_quantizer(float32, recipe.dynamic_wi8_afp32()) as quantizer:
        return bytes(quantizer.quantize(enable_progress_report=False).quantized_model)


def to_int8(float32: bytes, calibration: Sequence[np.ndarray]) -> bytes:
    """Returns a float32 `.tflite` with weights and activations in 8 bits; input and output stay float32.

    The operators up to the first convolution and from the last one on stay in float, too. The first ones standardise
    the radiograph: a variance in 8 bits scales the whole image wrongly. Together they cost no measurable time.
    The whole finder of a clavicle model stays in float, with its weights in float16: in 8 bits a change of 1e-7 of the
    grey values could move its strips by pixels, and each processor gave another outline.

    Args:
        float32: the bytes of `to_float32`.
        calibration: typical radiographs as `segmenter.model_input` gives them, float32 `[h, w, 1]` each.
    """
    from litert_quantizer import recipe

    kept = [(".*", "INPUT"), (".*", "OUTPUT"), (f".*/{FINDER}", "*")]
    inputs, ranges = {SIGNATURE: [{INPUT: image[None]} for image in calibration]}, None
    # litert-quantizer 0.11 cannot cast kernels that convolutions share, as in untrained networks: float32 then.
    for halved in (True, False):
        with _open_quantizer(float32, recipe.static_wi8_ai8(), kept) as quantizer:
            if halved:
                _halve_finder(quantizer)
            ranges = ranges or quantizer.calibrate(inputs, num_threads=CALIBRATION_THREADS)
            with contextlib.suppress(TypeError) if halved else contextlib.nullcontext():
                return bytes(quantizer.quantize(ranges, enable_progress_report=False).quantized_model)
    raise AssertionError("unreachable")


def _halve_finder(quantizer):
    """Stores the kernels of a clavicle model's finder in float16; it computes in float."""
    from litert_quantizer import qtyping
    from litert_quantizer.algorithm_manager import AlgorithmName

    half = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    quantizer.update_quantization_recipe(f".*/{FINDER}", "CONV_2D", half, algorithm_key=AlgorithmName.FLOAT_CASTING)


@contextlib.contextmanager
def _open_quantizer(float32, recipe, kept=()) -> Iterator[Any]:
    """Yields a quantizer with a recipe that leaves the outer operators, and those in `kept`, in float."""
    from litert_quantizer.algorithm_manager import AlgorithmName
    from litert_quantizer.qtyping import TFLOperationName
    from litert_quantizer.quantizer import Quantizer

    with quiet_native(), warnings.catch_warnings():
        # The quantizer keeps all tensors on purpose; LiteRT warns of their memory.
        warnings.simplefilter("ignore", UserWarning)
        quantizer = Quantizer(float32)
        quantizer.load_quantization_recipe(recipe)
        # One expression: hundreds would overflow the cache of `re` and be compiled again for each operator.
        outer = "|".join(f"^{re.escape(scope)}" for scope in outer_scopes(float32))
        for scope, operator in (*kept, *([(outer, TFLOperationName.ALL_SUPPORTED)] if outer else [])):
            quantizer.update_quantization_recipe(scope, operator, algorithm_key=AlgorithmName.NO_QUANTIZE)
        yield quantizer


def _make_function(model, batch=None):
    """Returns the model as a `tf.function` on float32, with named input and outputs and a batch of any or one size."""
    import tensorflow as tf

    signature = tf.TensorSpec([batch, *model.input_shape[1:]], tf.float32, name=INPUT)
    return tf.function(lambda image: model(image, training=False), input_signature=[signature])


def _freeze_model(model):
    """Returns a model as a `tf.function` with its weights as constants and a batch of 1.

    With variables left in, LiteRT would keep them as resources, and calibration stops at reading them.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    function = _make_function(model, 1)
    concrete = function.get_concrete_function()
    constant = convert_variables_to_constants_v2(concrete)
    graph = constant.graph.as_graph_def()
    if {FINDER, OUTLINER} <= {layer.name for layer in model.layers}:
        _drop_index_guards(graph)
    # A frozen function returns a list, in the order of the sorted names.
    names, outputs = sorted(concrete.structured_outputs), [output.name for output in constant.outputs]

    def run(image):
        given = {constant.inputs[0].name: image}
        return dict(zip(names, tf.graph_util.import_graph_def(graph, given, return_elements=outputs, name="")))

    return tf.function(run, input_signature=function.input_signature)


def _drop_index_guards(graph):
    """Removes from a clavicle model's graph, a GraphDef, what Keras puts before each read for negative indices.

    Strips are read at none, and LiteRT spends a fortieth of the model's time there. The networks inside stay as they
    are: those of a user may count from the end.
    """
    nodes = {node.name: node for node in graph.node}
    for node in graph.node:
        if node.op == "SelectV2" and node.name.count("/") == 1:
            condition, _, index = node.input
            if nodes[condition].op == "Less" and nodes[condition].input[0] == index:
                node.op, node.input[:] = "Identity", [index]
