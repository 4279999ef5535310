"""Transposes, as left by exporters from NHWC frameworks: merged, moved before Pad, and moved down through whatever can
work on the other layout until they meet their inverse. The last is tried on a copy and kept only if less is transposed
in the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

import numpy as np

from ..ir import Graph, Node, Value
from .match import ints

Perm = tuple[int, ...]


def run(graph: Graph) -> int:
    count = _merge(graph) + _raise_above_pad(graph)
    trial = graph.clone()
    moved = _sink(trial)
    if moved:
        moved += _merge(trial) + _raise_above_pad(trial)
        if _cost(trial) < _cost(graph):
            graph.adopt(trial)
            count += moved
    return count


def _perm(node: Node | None) -> Perm | None:
    """The permutation of a Transpose of known rank."""
    if node is None or node.op != "Transpose" or not node.output.rank:
        return None
    return node["perm"] or tuple(range(node.output.rank))[::-1]


def _inverse(perm: Perm) -> Perm:
    return tuple(int(i) for i in np.argsort(perm))


def _cost(graph: Graph) -> int:
    """Elements that transposes move."""
    return sum(int(np.prod(node.output.shape)) for node in graph.nodes if _perm(node) is not None)


# ---- merging ---------------------------------------------------------------------------------------------------------


def _merge(graph: Graph) -> int:
    """Transposes of transposes, transposes that move nothing, and equal transposes of one value."""
    count = 0
    seen: dict[tuple[Value, Perm], Value] = {}
    for node in graph:
        perm = _perm(node)
        if perm is None:
            continue
        inner = _perm(node.inputs[0].producer)
        if inner is not None:
            source = node.inputs[0].producer.inputs[0]
            node.set_input(0, source)
            perm = tuple(inner[i] for i in perm)
            node["perm"] = perm
            count += 1
        x = node.inputs[0]
        kept = x if perm == tuple(range(len(perm))) else seen.setdefault((x, perm), node.output)
        if kept is not node.output and graph.can_replace(node.output, kept):
            graph.replace(node.output, kept)
            graph.remove(node)
            count += 1
    graph.remove_dead()
    return count


def _raise_above_pad(graph: Graph) -> int:
    """Transpose(Pad(x)) as Pad(Transpose(x)): there the Pad may go into a convolution."""
    count = 0
    for node in graph:
        perm, pad = _perm(node), node.inputs[0].producer if node.inputs[0] is not None else None
        if perm is None or pad is None or pad.op != "Pad" or graph.sole_user(pad.output) is not node:
            continue
        pads = _full_pads(pad)
        if pads is None:
            continue
        rank, x = len(perm), pad.inputs[0]
        moved = graph.add_node("Transpose", [x], node.name, before=node, perm=perm)
        moved.output.dtype, moved.output.shapes = x.dtype, tuple(tuple(s[i] for i in perm) for s in x.shapes)
        new = [pads[i] for i in perm] + [pads[rank + i] for i in perm]
        graph.rewrite(
            node.output, "Pad", [moved.output, _ints(graph, pad, "pads", new), pad.input("value")], mode=pad["mode"]
        ).name = pad.name
        count += 1
    return count


# ---- sinking ---------------------------------------------------------------------------------------------------------


def _sink(graph: Graph) -> int:
    count = 0
    for node in graph:
        move = _MOVES.get(node.op)
        data = node.inputs if node.op == "Binary" else node.inputs[:1]
        perm = next((p for p in (_perm(v.producer) for v in data if v is not None) if p is not None), None)
        if move is None or perm is None or any(v.rank is None for v in node.outputs):
            continue
        after = move(graph, node, perm)
        if after is None:
            continue
        for i, value in enumerate(node.inputs):
            if value is not None and _perm(value.producer) == perm:
                node.set_input(i, value.producer.inputs[0])
        if after != tuple(range(len(after))):
            for value in node.outputs:
                _transpose_behind(graph, node, value, after)
        count += 1
    graph.remove_dead()
    return count


def _transpose_behind(graph: Graph, node: Node, value: Value, perm: Perm) -> None:
    moved = graph.add_node("Transpose", [value], f"{node.name}/Transpose", after=node, perm=perm)
    moved.output.dtype, moved.output.shapes = value.dtype, value.shapes
    graph.replace(value, moved.output)
    value.shapes = tuple(tuple(s[i] for i in _inverse(perm)) for s in value.shapes)


# Each of these prepares a node for inputs before their transposition by `perm`, and returns the permutation that its
# outputs then need; or returns None and leaves the node alone.


def _elementwise(graph: Graph, node: Node, perm: Perm) -> Perm | None:
    return perm


def _unary(graph: Graph, node: Node, perm: Perm) -> Perm | None:
    return None if node["fn"] == "prelu" else perm


def _per_tensor(graph: Graph, node: Node, perm: Perm) -> Perm | None:
    return perm if all(v.is_const and v.const.size == 1 for v in node.inputs[1:] if v is not None) else None


def _binary(graph: Graph, node: Node, perm: Perm) -> Perm | None:
    rank = len(perm)
    if node.output.rank != rank:
        return None
    for value in node.inputs:
        if value.is_const:
            if value.const.ndim > rank:
                return None
        elif _perm(value.producer) != perm:
            return None
    for i, value in enumerate(node.inputs):
        if value.is_const and value.const.size > 1:
            full = value.const.reshape((1,) * (rank - value.const.ndim) + value.const.shape)
            const = graph.add_const(value.name, full.transpose(_inverse(perm)))
            const.shapes = (const.const.shape,) * len(node.output.shapes)
            node.set_input(i, const)
    return perm


def _concat(graph: Graph, node: Node, perm: Perm) -> Perm | None:
    if any(_perm(v.producer) != perm for v in node.inputs):
        return None
    return _axis(graph, node, perm)


def _axis(graph: Graph, node: Node, perm: Perm) -> Perm | None:
    node["axis"] = perm[node["axis"] % len(perm)]
    return perm


def _pad(graph: Graph, node: Node, perm: Perm) -> Perm | None:
    pads = _full_pads(node)
    if pads is None:
        return None
    rank, back = len(perm), _inverse(perm)
    node.set_input("pads", _ints(graph, node, "pads", [pads[i] for i in back] + [pads[rank + i] for i in back]))
    if node.input("axes") is not None:
        node.set_input("axes", None)
    return perm


def _slice(graph: Graph, node: Node, perm: Perm) -> Perm | None:
    starts = ints(node.input("starts"))
    axes = ints(node.input("axes")) if node.input("axes") is not None else list(range(len(starts or ())))
    if starts is None or axes is None:
        return None
    node.set_input("axes", _ints(graph, node, "axes", [perm[a % len(perm)] for a in axes]))
    return perm


def _reduce(graph: Graph, node: Node, perm: Perm) -> Perm | None:
    rank, given = len(perm), node.input("axes")
    axes = ints(given) if given is not None else []
    if axes is None or (not axes and node["noop_with_empty_axes"]):
        return None
    if axes:
        node.set_input("axes", _ints(graph, node, "axes", [perm[a % rank] for a in axes]))
    if node["keepdims"]:
        return perm
    gone = {a % rank for a in axes} or set(range(rank))
    left = [perm[a] for a in range(rank) if a not in gone]
    return tuple(sorted(left).index(a) for a in left)


def _resize(graph: Graph, node: Node, perm: Perm) -> Perm | None:
    rank, which = len(perm), "scales" if node.input("scales") is not None else "sizes"
    given = node.input(which)
    if node.input("roi") is not None or not given.is_const or node["keep_aspect_ratio_policy"] != "stretch":
        return None
    if node["axes"]:
        node["axes"] = tuple(perm[a % rank] for a in node["axes"])
    else:
        node.set_input(which, graph.add_const(given.name, given.const[list(_inverse(perm))]))
    return perm


_MOVES: dict[str, Callable[[Graph, Node, Perm], Perm | None]] = {
    "Unary": _unary,
    "Identity": _elementwise,
    "Cast": _elementwise,
    "Binary": _binary,
    "Concat": _concat,
    "Split": _axis,
    "Softmax": _axis,
    "Pad": _pad,
    "Slice": _slice,
    "Reduce": _reduce,
    "Resize": _resize,
    "QuantizeLinear": _per_tensor,
    "DequantizeLinear": _per_tensor,
}


def _full_pads(pad: Node) -> list[int] | None:
    """begin and end of every axis of a Pad with constant pads."""
    pads, axes, rank = ints(pad.input("pads")), ints(pad.input("axes")), pad.output.rank
    if pads is None or not rank or (pad.input("axes") is not None and axes is None):
        return None
    where = list(range(rank)) if axes is None else [a % rank for a in axes]
    full = [0] * (2 * rank)
    for i, axis in enumerate(where):
        full[axis], full[rank + axis] = pads[i], pads[i + len(where)]
    return full


def _ints(graph: Graph, node: Node, hint: str, values: Sequence[int]) -> Value:
    value = graph.add_const(f"{node.name}/{hint}", np.asarray(values, np.int64))
    value.shapes = (value.const.shape,) * len(node.output.shapes)
    return value
