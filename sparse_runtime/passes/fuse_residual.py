"""The sum of a layer's result and another tensor of the same shape, into the layer: Z of Conv and FullyConnected."""

from __future__ import annotations

from ..ir import Graph, Node
from .match import is_float, same_shape


def run(graph: Graph) -> int:
    count = 0
    for add in graph:
        if add.op != "Binary" or add["fn"] != "add" or not is_float(add.output):
            continue
        a, b = add.inputs
        if a is b or not same_shape(a, b):
            continue
        # The later layer takes the sum: the other operand is there already, and the result is needed last.
        candidates = [
            (layer, other)
            for layer, other in ((a.producer, b), (b.producer, a))
            if layer is not None and _is_free(graph, layer, add) and not other.is_const
        ]
        if candidates:
            layer, other = max(candidates, key=lambda c: graph.nodes.index(c[0]))
            layer.set_input("Z", other)
            for key in ("act", "act_a", "act_b"):
                layer[key] = add[key]
            graph.replace(add.output, layer.output)
            graph.nodes.remove(layer)  # to where `other` is known to exist
            graph.nodes.insert(graph.nodes.index(add), layer)
            graph.remove(add)
            count += 1
    return count


def _is_free(graph: Graph, layer: Node, add: Node) -> bool:
    return (
        layer.op in ("Conv", "FullyConnected")
        and layer["act"] == "none"
        and layer.input("Z") is None
        and graph.sole_user(layer.output) is add
    )
