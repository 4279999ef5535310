"""A function applied to nothing but the result of a Conv, FullyConnected or Binary, into that node.

What only moves elements between the two does not matter to a function of single ones."""

from __future__ import annotations

import numpy as np

from ..ir import Graph, Node, Value
from .match import is_float, only_reader

_LAYERS = ("Conv", "FullyConnected", "Binary")
_MOVES = ("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "DepthToSpace", "SpaceToDepth")


def run(graph: Graph) -> int:
    count = 0
    for node in graph:
        layer = _layer(graph, node) if node.op == "Unary" else None
        if layer is None or layer["act"] != "none" or not is_float(layer.output):
            continue
        if not graph.can_replace(node.output, node.inputs[0]):
            continue
        if node["fn"] == "prelu" and not _take_slope(graph, node, layer):
            continue
        layer["act"], layer["act_a"], layer["act_b"] = node["fn"], node["a"], node["b"]
        graph.replace(node.output, node.inputs[0])
        graph.remove(node)
        count += 1
    return count


def _layer(graph: Graph, node: Node) -> Node | None:
    """The layer whose result reaches nothing but `node`."""
    value: Value = node.inputs[0]
    user = node
    while only_reader(graph, value) is user and value.producer is not None:
        if value.producer.op in _LAYERS:
            return value.producer
        if value.producer.op not in _MOVES or node["fn"] == "prelu":
            return None
        user, value = value.producer, value.producer.inputs[0]
    return None


def _take_slope(graph: Graph, node: Node, layer: Node) -> bool:
    """prelu's slope is per channel: axis 1, which for FullyConnected has to be the last."""
    slope = node.input("slope")
    if layer.op == "Binary" or not slope.is_const or (layer.op == "FullyConnected" and layer.output.rank != 2):
        return False
    channels = len(layer.input("W").const)
    full = np.broadcast_to(slope.const.reshape(-1), (channels,))
    layer.set_input("slope", slope if slope.const.shape == full.shape else graph.add_const(slope.name, full))
    return True
