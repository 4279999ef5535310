"""Rewrites a graph to QDQ form: the chosen nodes read DequantizeLinear of int8, as ONNX spells quantized networks.

x ─ QuantizeLinear ─ DequantizeLinear ─┐
W int8 [M, ...] ─── DequantizeLinear ──┼─ Conv (+ Z, activation) ─ QuantizeLinear ─ DequantizeLinear ─ ...
B int32 [M] ─────── DequantizeLinear ──┘"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError
from ..ir import Graph, Node, Value
from .choose import LAYERS, Choice, choose, data, data_inputs, same_scale
from .numbers import Params, Range, bias_shift, check_sums, quantize_bias, quantize_weights

# A part of a concatenation shares the scale of the whole unless its own is so many times finer.
_CONCAT_LOSS = 4.0


@dataclass
class Plan:
    """What insert() does: which nodes and tensors, and each tensor's scale and zero point. `means`: of the channels,
    where known."""

    choice: Choice
    params: dict[str, Params]
    means: dict[str, np.ndarray]

    def only(self, node: Node) -> Plan:
        """The part of it that is one node's: its weights, its results, and what it reads that is not int8 already."""
        chosen = set(self.choice.nodes)
        mine = set(node.outputs) | {v for v in data(node) if v.producer not in chosen}
        return Plan(Choice([node], [v for v in self.choice.tensors if v in mine]), self.params, self.means)


def insert(
    graph: Graph, ranges: Mapping[str, Range], skip: Sequence[str] = (), symmetric: bool = False
) -> dict[str, str]:
    """Rewrites an annotated graph in place; returns {layer left in FP32: why}.

    ranges     of every tensor to be quantized, from calibrate()
    skip       nodes to leave in FP32: names or fnmatch patterns of nodes or of their results
    symmetric  zero points of activations are 0

    Results of a node are quantized behind its fused activation. Raises ArgumentError naming the tensor where its range
    is missing or was constant, and where a bias or a sum would leave int32."""
    made = plan(graph, ranges, skip, symmetric)
    apply(graph, made)
    return made.choice.skipped


def plan(graph: Graph, ranges: Mapping[str, Range], skip: Sequence[str] = (), symmetric: bool = False) -> Plan:
    choice = choose(graph, skip)
    for value in choice.tensors:
        _check(value, ranges)
    _check_constant(choice.tensors, ranges)
    groups = _groups(choice, ranges)
    params = {v.name: groups[v.name].params(symmetric, repr(v.name)) for v in choice.tensors}
    return Plan(choice, params, {name: np.array(ranges[name].mean) for name in params})


def _check(value: Value, ranges: Mapping[str, Range]) -> None:
    if value.name not in ranges:
        raise ArgumentError(f"there is no range for tensor {value.name!r}: it must be among what is calibrated")
    found = ranges[value.name]
    if not isinstance(found, Range):
        raise ArgumentError(f"the range of tensor {value.name!r} is {found!r}, it must be a Range")


def _check_constant(values: Sequence[Value], ranges: Mapping[str, Range]) -> None:
    found = [v for v in values if ranges[v.name].constant]
    if found:
        around = dict.fromkeys(n.name for v in found for n in ([v.producer] if v.producer else []) + v.uses)
        what = ", ".join(f"tensor {v.name!r} is {ranges[v.name].low:g}" for v in found)
        raise ArgumentError(
            f"{what} throughout the calibration data, which tells nothing of the range: calibrate on other inputs, or "
            f"keep {', '.join(map(repr, around))} in FP32 (int8_skip)"
        )


def _groups(choice: Choice, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """{tensor: range}, the same for those that share a scale."""
    parent = {v.name: v.name for v in choice.tensors}
    held = {name: ranges[name] for name in parent}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    def join(a: str, b: str) -> None:
        a, b = root(a), root(b)
        if a != b:
            held[a] = held[a] | held[b]
            parent[b] = a

    between = [node for node in choice.nodes if same_scale(node)]
    for node in between:
        if node.op != "Concat":
            for value in node.outputs:
                if value.name in parent:
                    join(data(node)[0].name, value.name)
    for node in between:
        if node.op == "Concat":
            width = max(held[root(v.name)].width for v in data(node))
            for value in data(node):
                if held[root(value.name)].width * _CONCAT_LOSS >= width:
                    join(node.output.name, value.name)
    return {name: held[root(name)] for name in parent}


# ---- the rewrite -----------------------------------------------------------------------------------------------------


def apply(graph: Graph, made: Plan) -> None:
    """Rewrites the graph, or a clone of it."""
    by_name = {v.name: v for v in graph.values()}
    nodes = {by_name[node.output.name].producer for node in made.choice.nodes}
    layers = {n: data(n)[0].name for n in graph.nodes if n in nodes and n.op in LAYERS}
    constants: dict[Params, tuple[Value, Value]] = {}
    for tensor in made.choice.tensors:
        _tensor(graph, by_name[tensor.name], made.params[tensor.name], nodes, constants)
    weights: dict[tuple[Value, bytes], Value] = {}
    for node, x in layers.items():
        _layer(graph, node, made.params[x].scale, made.means[x], weights)


def _tensor(
    graph: Graph, value: Value, params: Params, nodes: set[Node], constants: dict[Params, tuple[Value, Value]]
) -> None:
    """Lets the chosen nodes read a tensor through int8; all that read it, if it comes from int8 arithmetic."""
    everywhere = value.producer in nodes
    readers = [node for node in dict.fromkeys(value.uses) if everywhere or node in nodes]
    if params not in constants:
        constants[params] = (
            graph.add_const(f"{value.name}/scale", np.float32(params.scale)),
            graph.add_const(f"{value.name}/zero_point", np.int8(params.zero_point)),
        )
    where = {"after": value.producer} if value.producer is not None else {"before": graph.nodes[0]}
    name = f"{value.name}/quantize"
    quantize = graph.add_node("QuantizeLinear", [value, *constants[params]], name, [f"{value.name}/int8"], **where)
    whole = _dequantize(graph, quantize.output, *constants[params], f"{value.name}/dequantized", 1, after=quantize)
    quantize.output.dtype, quantize.output.shapes = "int8", value.shapes
    whole.shapes = value.shapes
    for node in readers:
        for i in data_inputs(node) if node in nodes else range(len(node.inputs)):
            if node.inputs[i] is value:
                node.set_input(i, whole)


def _dequantize(graph, x, scale, zero_point, name, axis, **where) -> Value:
    made = graph.add_node("DequantizeLinear", [x, scale, zero_point], name, axis=axis, **where).output
    made.dtype, made.shapes = "float32", x.shapes
    return made


def _layer(
    graph: Graph, node: Node, x_scale: float, mean: np.ndarray, weights: dict[tuple[Value, bytes], Value]
) -> None:
    """Weights and bias of a layer; weights that layers share stay one constant."""
    weight, bias = node.input("W"), node.input("B")
    rows = len(weight.const)
    floats = None if bias is None else np.broadcast_to(bias.const.reshape(-1), (rows,))
    quanta, scale = quantize_weights(weight.name, weight.const, floats, x_scale)
    group = node["group"] if node.op == "Conv" else 1
    if mean.size == weight.const.shape[1] * group:
        shift = bias_shift(weight.const, quanta, scale, mean, group)
        if shift.any():
            floats = (0.0 if floats is None else floats) - shift
    key = (weight, scale.tobytes())
    if key not in weights:
        stored = graph.add_const(f"{weight.name}/int8", quanta)
        scales = graph.add_const(f"{weight.name}/scale", scale)
        weights[key] = _dequantize(graph, stored, scales, None, f"{weight.name}/dequantized", 0, before=node)
    whole = None
    if floats is not None:
        name = bias.name if bias is not None else f"{node.output.name}/bias"
        bias_scale = np.float32(x_scale) * scale
        whole = quantize_bias(name, floats, bias_scale)
        stored = graph.add_const(f"{name}/int32", whole)
        scales = graph.add_const(f"{name}/scale", bias_scale)
        node.set_input("B", _dequantize(graph, stored, scales, None, f"{name}/dequantized", 0, before=node))
    check_sums(weight.name, quanta, whole)
    node.set_input("W", weights[key])
