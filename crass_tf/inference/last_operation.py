"""What a SavedModel's output is, by the last operation of its graph: there are no layers to look at."""

from typing import Any

LOGITS, NEVER_ABOVE_ZERO = "logits", "log-probabilities"

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# They keep the range of what goes through them; the first input is what matters.
NEUTRAL = ("Identity", "IdentityN", "Reshape", "Transpose", "Squeeze", "ExpandDims", "StridedSlice", "Slice", "Cast")
NEUTRAL += ("ResizeBilinear", "ResizeNearestNeighbor", "Tile", "BroadcastTo")
# Two networks, one for each side.
JOINS = ("ConcatV2", "Pack")
# Their values have no bounds.
PRODUCTS = ("Conv2D", "Conv2DBackpropInput", "DepthwiseConv2dNative", "MatMul", "BatchMatMulV2", "Einsum", "BiasAdd")
SUMS = ("AddV2", "Add", "Sub")
# Their values lie between 0 and 1.
SHARES = ("Sigmoid", "Softmax")


def kind_of_signature(function: Any) -> str | None:
    """Returns what the single output of a SavedModel's signature is.

    Args:
        function: `tf.types.experimental.ConcreteFunction`.

    Returns:
        `LOGITS` after a convolution with or without a bias; `NEVER_ABOVE_ZERO` after the logarithm of a sigmoid or
        softmax; None where the graph does not tell.
    """
    graph = function.graph.as_graph_def()
    library = {each.signature.name: each for each in graph.library.function}
    return _kind({node.name: node for node in graph.node}, function.outputs[0].name, library)


def _kind(nodes, name, library):
    nodes, node = _resolve(nodes, name, library)
    if node is None:
        return None
    if node.op in PRODUCTS:
        return LOGITS
    if node.op == "LogSoftmax":
        return NEVER_ABOVE_ZERO
    inputs = [each for each in node.input if not each.startswith("^")]
    if node.op in JOINS:
        parts = inputs[:-1] if node.op == "ConcatV2" else inputs
        kinds = {_kind(nodes, part, library) for part in parts}
        return kinds.pop() if len(kinds) == 1 else None
    before = [_resolve(nodes, each, library)[1] for each in inputs]
    operations = [each.op for each in before if each is not None]
    if node.op == "Neg" and operations == ["Softplus"] or node.op == "Log" and operations and operations[0] in SHARES:
        return NEVER_ABOVE_ZERO
    return LOGITS if node.op in SUMS and set(operations) & set(PRODUCTS) else None


def _resolve(nodes, name, library):
    """Returns the node that gives a tensor, behind calls and `NEUTRAL` ones, and the graph that it lies in.

    Args:
        nodes: the graph, by name.
        name: `node`, `node:number`, or in a function `node:output:number`.
        library: the functions, by name.
    """
    while (node := nodes.get(name.split(":")[0])) is not None:
        if node.op in CALLS:
            function = library[node.attr["f"].func.name]
            number = int(name.split(":")[-1]) if ":" in name else 0
            name = function.ret[function.signature.output_arg[number].name]
            nodes = {each.name: each for each in function.node_def}
        elif node.op in NEUTRAL:
            name = node.input[0]
        else:
            break
    return nodes, node
