"""What a `.tflite` is made of, and whether it keeps the package's contract."""

import collections
import itertools

import numpy as np

from crass_tf.files import InputError


def count_operators(data):
    """Returns how often each operator occurs in the bytes of a `.tflite`, `{"CONV_2D": 30, ...}`, most frequent first.

    Operators that are not built in appear as `CUSTOM:name`.
    """
    model, names = _read(data)
    counts = collections.Counter(names[op.opcodeIndex] for graph in model.subgraphs for op in graph.operators)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def outer_scopes(data):
    """Returns the quantizer's scopes of the operators up to the first convolution and from the last one on.

    litert-quantizer calls an operator by the names of its outputs, each with a semicolon behind it.
    """
    model, names = _read(data)
    return [scope for graph in model.subgraphs for scope in _outer_scopes(graph, names)]


def _outer_scopes(graph, names):
    convolutions = [i for i, op in enumerate(graph.operators) if names[op.opcodeIndex] == "CONV_2D"]
    if not convolutions:
        return []
    outer = graph.operators[: convolutions[0] + 1] + graph.operators[convolutions[-1] :]
    return ["".join(f"{graph.tensors[i].name.decode()};" for i in op.outputs) for op in outer]


def check_contract(name, data):
    """Raises InputError unless a `.tflite` has built-in operators only, a static batch of 1, float32 in and out."""
    from ai_edge_litert.interpreter import Interpreter

    foreign = [operator for operator in count_operators(data) if operator.startswith("CUSTOM:")]
    if foreign:
        raise InputError(f"{name}: found operators {', '.join(foreign)}, expected those built into LiteRT only")
    interpreter = Interpreter(model_content=data)
    runners = [interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()]
    named = [
        details.values() for runner in runners for details in (runner.get_input_details(), runner.get_output_details())
    ]
    for tensor in itertools.chain(interpreter.get_input_details(), interpreter.get_output_details(), *named):
        shape = [int(size) for size in tensor["shape_signature"]]
        if shape[0] != 1 or min(shape) < 1 or tensor["dtype"] != np.float32:
            found = f"{np.dtype(tensor['dtype']).name} {shape}"
            raise InputError(f"{name}: found {tensor['name']} of {found}, expected float32 with a static batch of 1")


def _read(data):
    """Returns the parsed model and the name of each of its operator codes."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    return model, [_name(code, names) for code in model.operatorCodes]


def _name(code, names):
    # Files from before 128 operators existed carry the number in the older field.
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return names[number] if code.customCode is None else f"CUSTOM:{code.customCode.decode()}"
