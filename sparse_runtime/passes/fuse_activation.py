"""A function applied to nothing but the result of a Conv, FullyConnected or Binary, into that node."""

from __future__ import annotations

import numpy as np

from ..ir import Graph, Node
from .match import is_float


def run(graph: Graph) -> int:
    count = 0
    for node in graph:
        layer = node.inputs[0].producer if node.op == "Unary" else None
        if layer is None or layer.op not in ("Conv", "FullyConnected", "Binary") or layer["act"] != "none":
            continue
        if graph.sole_user(layer.output) is not node or not is_float(layer.output):
            continue
        if node["fn"] == "prelu" and not _take_slope(graph, node, layer):
            continue
        layer["act"], layer["act_a"], layer["act_b"] = node["fn"], node["a"], node["b"]
        graph.replace(node.output, layer.output)
        graph.remove(node)
        count += 1
    return count


def _take_slope(graph: Graph, node: Node, layer: Node) -> bool:
    """prelu's slope is per channel: axis 1, which for FullyConnected has to be the last."""
    slope = node.input("slope")
    if layer.op == "Binary" or not slope.is_const or (layer.op == "FullyConnected" and layer.output.rank != 2):
        return False
    channels = len(layer.input("W").const)
    full = np.broadcast_to(slope.const.reshape(-1), (channels,))
    layer.set_input("slope", slope if slope.const.shape == full.shape else graph.add_const(slope.name, full))
    return True
