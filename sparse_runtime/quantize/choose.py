"""Which nodes compute on int8, and which tensors are int8 between them.

Convolutions and fully connected layers do, unless they are skipped; what lies between two of them does where all it
reads comes from int8 already, so that a network starts and ends in FP32 with as few conversions as there can be."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import ArgumentError
from ..ir import Graph, Node, Value

LAYERS = ("Conv", "FullyConnected")
# They hand values on, or pick or mix them within their range: their tensors share scale and zero point.
_SAME_SCALE = {
    "ChannelShuffle", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GlobalMaxPool", "Identity", "MaxPool",
    "Pad", "Reshape", "Resize", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
}  # fmt: skip
_OWN_SCALE = {"AveragePool", "Binary", "GlobalAveragePool", "Unary"}
_BINARIES = ("add", "sub", "mul")


@dataclass
class Choice:
    """`nodes` in the order of the graph, `tensors` that become int8 in the order in which they are made, `skipped`:
    {layer that stays FP32: why}."""

    nodes: list[Node] = field(default_factory=list)
    tensors: list[Value] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def same_scale(node: Node) -> bool:
    """Whether a node's results have the scale of what it reads."""
    return node.op in _SAME_SCALE


def data_inputs(node: Node) -> list[int]:
    """Indices of the inputs that hold activations."""
    if node.op in LAYERS:
        wanted = [node.schema.input_index("X"), node.schema.input_index("Z")]
    elif node.op in ("Binary", "Concat"):
        wanted = list(range(len(node.inputs)))
    else:
        wanted = [0]
    return [i for i in wanted if i < len(node.inputs) and node.inputs[i] is not None]


def data(node: Node) -> list[Value]:
    return [node.inputs[i] for i in data_inputs(node)]


def choose(graph: Graph, skip: Sequence[str] = ()) -> Choice:
    """skip: names or fnmatch patterns of nodes or of their results. The graph must be annotated."""
    found = Choice()
    left_out = _skipped(graph, skip)
    chosen: set[Node] = set()
    for node in graph.nodes:
        if node in left_out:
            found.skipped[node.name] = "skipped by name"
        elif node.op in LAYERS:
            why = _unfit(node)
            if why:
                found.skipped[node.name] = why
            else:
                chosen.add(node)
        elif _able(node) and all(v.producer in chosen for v in data(node)):
            chosen.add(node)
    for node in reversed(graph.nodes):  # nothing is gained where no layer follows
        if node in chosen and node.op not in LAYERS:
            if not any(user in chosen and v in data(user) for v in node.outputs for user in v.uses):
                chosen.remove(node)
    found.nodes = [node for node in graph.nodes if node in chosen]
    reads = {v for node in found.nodes for v in data(node)}
    found.tensors = [v for v in graph.values() if v in reads]
    return found


def _unfit(node: Node) -> str:
    """Why a layer cannot be quantized, "" if it can."""
    weight, bias = node.input("W"), node.input("B")
    if weight.is_const and weight.const.dtype == np.float32 and not weight.const.size:
        return "empty weights"
    if not weight.is_const or weight.const.dtype != np.float32:
        return "its weights are no float32 constants"
    if bias is not None and not bias.is_const:
        return "its bias is computed"
    return _no_activation(node)


def _no_activation(node: Node) -> str:
    return next((f"{v.name!r} is no float32 activation" for v in data(node) if not _is_activation(v)), "")


def _is_activation(value: Value) -> bool:
    return not value.is_const and value.dtype == "float32"


def _able(node: Node) -> bool:
    """Whether there is a form in int8 of a node that is no layer."""
    if (
        node.op not in _SAME_SCALE | _OWN_SCALE
        or _no_activation(node)
        or any(v.dtype != "float32" for v in node.outputs)
    ):
        return False
    special: dict[str, Callable[[], bool]] = {
        "Binary": lambda: node["fn"] in _BINARIES,
        "Pad": lambda: node["mode"] != "constant" or _is_zero(node.input("value")),
        "Resize": lambda: node["mode"] != "cubic" and node["coordinate_transformation_mode"] != "tf_crop_and_resize",
    }
    return special.get(node.op, lambda: True)()


def _is_zero(value: Value | None) -> bool:
    return value is None or (value.is_const and not value.const.any())


def _skipped(graph: Graph, skip: Sequence[str]) -> set[Node]:
    patterns = [skip] if isinstance(skip, str) else list(skip)
    left_out: set[Node] = set()
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise ArgumentError(f"int8_skip takes names and patterns, not {pattern!r}")
        hits = {
            node
            for node in graph.nodes
            if any(name == pattern or fnmatch.fnmatchcase(name, pattern) for name in names_of(node))
        }
        if not hits:
            names = [node.name for node in graph.nodes if node.op in LAYERS]
            close = difflib.get_close_matches(pattern, names, n=3)
            shown = f"close to it: {', '.join(close)}" if close else f"layers: {', '.join(names[:8])}"
            raise ArgumentError(f"int8_skip {pattern!r} matches no node and no tensor; {shown}")
        left_out |= hits
    return left_out


def names_of(node: Node) -> list[str]:
    return [node.name, *(v.name for v in node.outputs)]
