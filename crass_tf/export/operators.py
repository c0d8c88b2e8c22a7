"""What a `.tflite` is made of, and whether it keeps the package's contract."""

import collections
from typing import Any, cast

import numpy as np

from crass_tf.common.files import InputError

# The names of the layers in `model.clavicles`, which this module does not import, since that needs Keras.
FINDER, OUTLINER = "finder", "outliner"


def count_operators(data: bytes) -> dict[str, int]:
    """Returns how often each operator occurs in the bytes of a `.tflite`, `{"CONV_2D": 30, ...}`, most frequent first.

    Operators that are not built in appear as `CUSTOM:name`.
    """
    model, names = _read(data)
    counts = collections.Counter(names[op.opcodeIndex] for graph in model.subgraphs for op in graph.operators)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def outer_scopes(data: bytes) -> list[str]:
    """Returns the quantizer's scopes of all operators that stay in float.

    These are, in each network, the operators up to the first convolution and from the last one on; and all that lies
    around the networks of a clavicle model: 8 bits are too few to place a strip. litert-quantizer calls an
    operator by the names of its outputs, each with a semicolon behind it.
    """
    model, names = _read(data)
    return [scope for graph in model.subgraphs for scope in _outer_scopes(graph, names)]


def _outer_scopes(graph, names):
    scopes = ["".join(f"{graph.tensors[i].name.decode()};" for i in op.outputs) for op in graph.operators]
    networks = [[i for i, scope in enumerate(scopes) if f"/{name}" in scope] for name in (FINDER, OUTLINER)]
    if not all(networks):
        networks = [range(len(scopes))]
    inner = set()
    for numbers in networks:
        convolutions = [i for i in numbers if names[graph.operators[i].opcodeIndex] == "CONV_2D"]
        inner.update(i for i in numbers if convolutions and convolutions[0] < i < convolutions[-1])
    # A network with nothing between two convolutions is quantized whole: the quantizer needs something to do.
    return [scope for i, scope in enumerate(scopes) if i not in inner] if inner else []


def check_contract(name: str, data: bytes) -> None:
    """Raises InputError unless a `.tflite` has built-in operators only, a static batch of 1, float32 in and out."""
    from ai_edge_litert.interpreter import Interpreter

    foreign = [operator for operator in count_operators(data) if operator.startswith("CUSTOM:")]
    if foreign:
        raise InputError(f"{name}: found operators {', '.join(foreign)}, expected those built into LiteRT only")
    interpreter = Interpreter(model_content=data)
    for tensor in interpreter.get_input_details() + interpreter.get_output_details():
        shape = [int(size) for size in tensor["shape_signature"]]
        if shape[0] != 1 or min(shape) < 1 or tensor["dtype"] != np.float32:
            kind = f"{np.dtype(tensor['dtype']).name} {shape}"
            raise InputError(f"{name}: found {tensor['name']} of {kind}, expected float32 with a static batch of 1")


def _read(data):
    """Returns the parsed model and the name of each of its operator codes."""
    from ai_edge_litert import schema_py_generated as schema

    model = cast(Any, schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0)))  # It declares its lists as None.
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    return model, [
        # Files from before 128 operators existed carry the number in the older field.
        f"CUSTOM:{code.customCode.decode()}"
        if code.customCode
        else names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for code in model.operatorCodes
    ]
