"""Whether a network gives logits or probabilities: by the last layer of a Keras model, the last operation of others."""

from typing import Any

from crass_tf.common.files import InputError

# What an output may be: `probability` lies between 0 and 1.
KINDS = LOGITS, PROBABILITY = ("logits", "probability")
NEVER_ABOVE_ZERO = "log-probabilities"
# Keras layers that keep the range of their input.
NEUTRAL_LAYERS = ("Identity", "UpSampling2D", "Resizing", "Reshape", "Cropping2D", "ZeroPadding2D", "Permute")
NEUTRAL_LAYERS += ("Dropout", "Cast")
SIGMOIDS = ("sigmoid", "hard_sigmoid")
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# Operations that keep the range of their first input.
NEUTRAL_OPERATIONS = ("Identity", "IdentityN", "Reshape", "Transpose", "Squeeze", "ExpandDims", "StridedSlice")
NEUTRAL_OPERATIONS += ("Slice", "Cast", "ResizeBilinear", "ResizeNearestNeighbor", "Tile", "BroadcastTo")
# Two networks, one for each side.
JOINS = ("ConcatV2", "Pack")
# Their values have no bounds.
PRODUCTS = ("Conv2D", "Conv2DBackpropInput", "DepthwiseConv2dNative", "MatMul", "BatchMatMulV2", "Einsum", "BiasAdd")
SUMS = ("AddV2", "Add", "Sub")
# Their values lie between 0 and 1.
SHARES = ("Sigmoid", "Softmax")


def kind_of_keras(model: Any, name: object) -> str | None:
    """Returns what a Keras model's single output is, by its last activation; None where that does not tell.

    Raises:
        InputError: for an activation that gives neither logits nor probabilities.
    """
    import keras

    tensor = next(iter(named_outputs(model).values()))
    while True:
        operation = tensor._keras_history.operation
        if getattr(operation, "outputs", None):
            # A model within the model.
            tensor = operation.outputs[0]
        elif type(operation).__name__ in NEUTRAL_LAYERS or _activation(operation) == "linear" and not operation.weights:
            tensor = operation.input if not isinstance(operation.input, list) else operation.input[0]
        else:
            break
    activation = _activation(operation)
    if activation in SIGMOIDS:
        return PROBABILITY
    if activation == "linear":
        return LOGITS
    # Layers are called as these functions, but for underscores.
    if activation.replace("_", "") in {known.replace("_", "") for known in dir(keras.activations)}:
        raise InputError(f"{name}: found an output after {activation}, expected logits (no activation) or a sigmoid")
    return None


def named_outputs(model: Any) -> dict[str, Any]:
    """Returns the output tensors of a Keras model by name; a single one without a name is `logits`."""
    # A Sequential has `outputs` only.
    structure = getattr(model, "output", None)
    if isinstance(structure, dict):
        return structure
    outputs = model.outputs
    return {LOGITS: outputs[0]} if len(outputs) == 1 else {tensor.name: tensor for tensor in outputs}


def _activation(operation):
    """Returns the name of a layer's or an operation's activation, in lower case."""
    activation = getattr(operation, "activation", None)
    return getattr(activation, "__name__", type(operation).__name__.lower())


def kind_of_signature(function: Any) -> str | None:
    """Returns what the single output of a SavedModel's signature is, a `tf.types.experimental.ConcreteFunction`.

    `LOGITS` after a convolution with or without a bias; `NEVER_ABOVE_ZERO` after the logarithm of a sigmoid or softmax;
    None where the graph does not tell.
    """
    graph = function.graph.as_graph_def()
    library = {each.signature.name: each for each in graph.library.function}
    return _find_kind({node.name: node for node in graph.node}, function.outputs[0].name, library)


def _find_kind(nodes, name, library):
    nodes, node = _resolve_tensor(nodes, name, library)
    if node is None:
        return None
    if node.op in PRODUCTS:
        return LOGITS
    if node.op == "LogSoftmax":
        return NEVER_ABOVE_ZERO
    inputs = [each for each in node.input if not each.startswith("^")]
    if node.op in JOINS:
        parts = inputs[:-1] if node.op == "ConcatV2" else inputs
        kinds = {_find_kind(nodes, part, library) for part in parts}
        return kinds.pop() if len(kinds) == 1 else None
    before = [_resolve_tensor(nodes, each, library)[1] for each in inputs]
    operations = [each.op for each in before if each is not None]
    if node.op == "Neg" and operations == ["Softplus"] or node.op == "Log" and operations and operations[0] in SHARES:
        return NEVER_ABOVE_ZERO
    return LOGITS if node.op in SUMS and set(operations) & set(PRODUCTS) else None


def _resolve_tensor(nodes, name, library):
    """Returns the graph, nodes by name, and its node that gives a tensor, behind calls and `NEUTRAL_OPERATIONS`.

    A tensor's name is `node`, `node:number`, or in a function of the library `node:output:number`.
    """
    while (node := nodes.get(name.split(":")[0])) is not None:
        if node.op in CALLS:
            function = library[node.attr["f"].func.name]
            number = int(name.split(":")[-1]) if ":" in name else 0
            name = function.ret[function.signature.output_arg[number].name]
            nodes = {each.name: each for each in function.node_def}
        elif node.op in NEUTRAL_OPERATIONS:
            name = node.input[0]
        else:
            break
    return nodes, node
