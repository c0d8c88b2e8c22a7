"""A Keras model as SavedModel and as LiteRT files. TensorFlow is imported when the first function is called."""

import contextlib
import io
import re
import tempfile
import warnings
import zipfile

from crass_tf.export.operators import outer_scopes
from crass_tf.export.serving import serve_bytes, serve_tensors
from crass_tf.files import InputError
from crass_tf.native import quiet_native
from crass_tf.networks import CASCADE, SIGNATURE

INPUT, OUTPUT = "image", "logits"
FROM_BYTES = "from_bytes"
CALIBRATION_THREADS = 2


def write_saved_model(model, folder):
    """Writes a SavedModel, which plain TensorFlow loads: nothing of Keras or of this package is needed.

    `serving_default` maps `image` float32 `[B, h, w, 1]` to `logits` of that shape; a cascade's does all of it on
    `serving.SIZE`, and its networks alone are the signatures `locate` and `segment`. `from_bytes` maps `image_bytes`,
    one encoded PNG or JPEG, to its `mask`; see `serving.serve_bytes`.
    """
    import tensorflow as tf

    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    networks = networks_of(model)
    signatures = {name: _function(network, [None, *network.input_shape[1:]]) for name, network in networks.items()}
    functions = list(signatures.values())
    signatures[FROM_BYTES] = serve_bytes(functions)
    if len(networks) > 1:
        signatures[SIGNATURE] = serve_tensors(functions)
    with quiet_native():
        tf.saved_model.save(module, str(folder), signatures=signatures)


def write_compact_keras(source, path):
    """Writes a `.keras` file again in less than half the bytes: kernels in float16, everything compressed.

    Keras opens it as any other, with float32 variables.
    """
    import h5py

    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith(".h5"):
                compact = io.BytesIO()
                with h5py.File(io.BytesIO(content)) as stored, h5py.File(compact, "w", libver="latest") as smaller:
                    _copy_compact(stored, smaller)
                content = compact.getvalue()
            new.writestr(name, content)


def _copy_compact(stored, smaller):
    """Copies an HDF5 group; what has two dimensions or more becomes float16."""
    import h5py

    for name, item in stored.items():
        if isinstance(item, h5py.Group):
            _copy_compact(item, smaller.create_group(name))
        elif item.ndim > 1:
            smaller.create_dataset(name, data=item[()].astype("float16"), compression="gzip", shuffle=True)
        else:
            smaller.create_dataset(name, data=item[()])
        smaller[name].attrs.update(item.attrs)


def to_float32(model):
    """Returns the model as the bytes of a `.tflite` with a static batch of 1."""
    return _convert(model)


def to_float16(model):
    """Returns the model as the bytes of a `.tflite` with weights in float16; input and output are float32."""
    return _convert(model, half=True)


def to_dynamic_int8(float32):
    """Returns a float32 `.tflite` with weights in 8 bits; activations are quantized while it runs, and need no ranges.

    What `to_int8` keeps in float stays in float here, too.

    Args:
        float32: the bytes of `to_float32`.
    """
    from litert_quantizer import recipe

    with _quantizer(float32, recipe.dynamic_wi8_afp32()) as quantizer:
        return bytes(quantizer.quantize(enable_progress_report=False).quantized_model)


def to_int8(float32, calibration):
    """Returns a float32 `.tflite` with weights and activations in 8 bits; input and output stay float32.

    So do the operators up to the first convolution and from the last one on. The first ones standardise the
    radiograph: with its variance in 8 bits the whole image is scaled wrongly. Together they cost no measurable time.

    Args:
        float32: the bytes of `to_float32`.
        calibration: for each network the inputs that `Segmenter.inputs` gives, float32 `[h, w, 1]`, of typical
            radiographs: `[[...]]`, or `[[...], [...]]` for a cascade.
    """
    from litert_quantizer import recipe

    with _quantizer(float32, recipe.static_wi8_ai8(), [(".*", "INPUT"), (".*", "OUTPUT")]) as quantizer:
        names = (SIGNATURE,) if len(calibration) == 1 else CASCADE
        inputs = {name: [{INPUT: image[None]} for image in images] for name, images in zip(names, calibration)}
        ranges = quantizer.calibrate(inputs, num_threads=CALIBRATION_THREADS)
        return bytes(quantizer.quantize(ranges, enable_progress_report=False).quantized_model)


@contextlib.contextmanager
def _quantizer(float32, recipe, kept=()):
    """Yields a quantizer with a recipe that leaves the outer operators, and those in `kept`, in float."""
    from litert_quantizer.algorithm_manager import AlgorithmName
    from litert_quantizer.quantizer import Quantizer

    with quiet_native(), warnings.catch_warnings():
        # The quantizer keeps all tensors on purpose, and LiteRT warns of the memory that takes.
        warnings.simplefilter("ignore", UserWarning)
        quantizer = Quantizer(float32)
        quantizer.load_quantization_recipe(recipe)
        for scope, operator in (*kept, *((f"^{re.escape(scope)}", "*") for scope in outer_scopes(float32))):
            quantizer.update_quantization_recipe(scope, operator, algorithm_key=AlgorithmName.NO_QUANTIZE)
        yield quantizer


def _function(model, shape):
    """Returns the model as a `tf.function` on float32 of a shape, with named input and output."""
    import tensorflow as tf

    signature = tf.TensorSpec(shape, tf.float32, name=INPUT)
    return tf.function(lambda image: {OUTPUT: model(image, training=False)}, input_signature=[signature])


def networks_of(model):
    """Returns the networks of a model, `{signature: network}`: one, or a cascade's two."""
    # Keras is heavy, too.
    from crass_tf.model import parts

    networks = parts(model)
    return dict(zip((SIGNATURE,) if len(networks) == 1 else CASCADE, networks))


def _convert(model, half=False):
    import tensorflow as tf

    with quiet_native(), tempfile.TemporaryDirectory() as folder:
        module = tf.Module()
        module.functions = {name: _frozen(network) for name, network in networks_of(model).items()}
        # Through a SavedModel: it is the one way to several signatures.
        tf.saved_model.save(module, folder, signatures=module.functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(module.functions))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if half:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        return _converted(converter)


def _converted(converter):
    """Returns the bytes of a `.tflite`; raises InputError for operators that are not built into LiteRT."""
    from tensorflow.lite.python.convert import ConverterError

    try:
        return converter.convert()
    except ConverterError as error:
        reasons = [line.strip() for line in str(error).splitlines() if " ops: " in line]
        reason = "; ".join(reasons) or str(error).splitlines()[0]
        raise InputError(f"the model cannot be converted to LiteRT's built-in operators ({reason})") from None


def _frozen(network):
    """Returns a network as a `tf.function` with its weights as constants and a batch of 1.

    With variables left in, LiteRT would keep them as resources, and calibration stops at reading them.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    shape = [1, *network.input_shape[1:]]
    constant = convert_variables_to_constants_v2(_function(network, shape).get_concrete_function())
    signature = tf.TensorSpec(shape, tf.float32, name=INPUT)
    return tf.function(lambda image: {OUTPUT: constant(image)[0]}, input_signature=[signature])
