"""Sizes that exporters wrote into constants, made to follow the input again: targets of Reshape and Expand, sizes of
Resize.

A target is only replaced by one that means the same at the shapes converted with. What it should be elsewhere follows
from how the dimensions on both sides factor: a dimension kept, several merged, or one split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import SparseRuntimeError
from ..ir import Graph, Node, Shape, Value
from .match import ints
from .probes import Probe


def run(graph: Graph, probes: Sequence[Probe], tries: Sequence[Probe]) -> int:
    """`probes`: the shapes converted with first, then others that the model may be run with. `tries`: others that the
    model leaves free, at which parts of it may be possible: targets keep their meaning there."""
    count = 0
    for node in graph:
        rewrite, target = _REWRITES.get(node.op, (None, ""))
        if rewrite is None or node.inputs[0].is_const or ints(node.input(target)) is None:
            continue
        shapes = _shapes(graph, node.inputs[0], probes)
        given = _shapes(graph, node.inputs[0], [*(p for p in probes if _is_given(graph, probes[0], p)), *tries])
        if shapes and given and len(set(shapes)) > 1 and rewrite(graph, node, shapes, given):
            count += 1
    return count


def _is_given(graph: Graph, base: Probe, probe: Probe) -> bool:
    """Whether the model itself leaves free what differs between two probes: then it says what its targets mean there."""
    return all(
        d < 0 or probe[v.name][i] == base[v.name][i] for v in graph.inputs for i, d in enumerate(v.dims)
    )


def _shapes(graph: Graph, value: Value, probes: Sequence[Probe]) -> list[Shape] | None:
    """Shapes of a value at those probes at which it can be computed; None if the first is not one of them."""
    model = graph.upto([value]).model()
    found: list[Shape] = []
    for i, probe in enumerate(probes):
        try:
            found.append(tuple(model.infer(probe)[value.name][1]))
        except SparseRuntimeError:
            if i == 0:
                return None
    return found


# ---- Reshape -------------------------------------------------------------------------------------


class _Dim(NamedTuple):
    """One dimension of a target: the product of the input's dimensions `axes`, over or as `number`."""

    axes: tuple[int, ...]  # () for a constant
    number: int  # the constant, or what divides the product


def _reshape(graph: Graph, node: Node, shapes: Sequence[Shape], given: Sequence[Shape]) -> bool:
    target = ints(node.input("shape"))
    if node["allowzero"] or any(0 in s for s in shapes):
        return False
    source = shapes[0]
    fixed = _resolve(target, source)
    dims = _plan(shapes, fixed)
    if dims is None:
        shapes = [source] + [s for s in shapes[1:] if s[0] != source[0]]
        dims = _plan(shapes, fixed)
    if dims is None or all(_resolve(target, s) == _evaluate(dims, s) for s in shapes):
        return False
    if any(_evaluate(dims, s) != _resolve(target, s) for s in given if math.prod(_resolve(target, s)) == math.prod(s)):
        return False
    node.set_input("shape", _spell(graph, node, dims))
    return True


def _resolve(target: Sequence[int], shape: Shape) -> list[int]:
    """A target's dimensions for an input shape: 0 is the input's, -1 what is left."""
    dims = [shape[i] if t == 0 and i < len(shape) else t for i, t in enumerate(target)]
    if -1 in dims:
        known = int(np.prod([d for d in dims if d != -1], dtype=np.int64))
        dims[dims.index(-1)] = int(np.prod(shape, dtype=np.int64)) // max(known, 1)
    return dims


def _evaluate(dims: Sequence[_Dim], shape: Shape) -> list[int]:
    return [int(np.prod([shape[i] for i in d.axes], dtype=np.int64)) // d.number if d.axes else d.number for d in dims]


def _plan(shapes: Sequence[Shape], target: Sequence[int]) -> list[_Dim] | None:
    """Pairs dimensions of the input with those of the target by their products."""
    source = shapes[0]
    varies = [any(s[i] != source[i] for s in shapes) for i in range(len(source))]
    if len(shapes) < 2 or not any(varies):
        return None
    plan: list[_Dim] = []
    i = j = 0
    while i < len(source) or j < len(target):
        if i < len(source) and source[i] == 1 and not varies[i]:
            i += 1
            continue
        if i < len(source) and source[i] == 1:  # a batch of one: its place must be a one
            if j >= len(target) or target[j] != 1:
                return None
            plan.append(_Dim((i,), 1))
            i, j = i + 1, j + 1
            continue
        if j < len(target) and target[j] == 1:
            plan.append(_Dim((), 1))
            j += 1
            continue
        block = _block(source, target, i, j)
        if block is None:
            return None
        found = _pair(shapes, varies, target, range(i, block[0]), range(j, block[1]))
        if found is None:
            return None
        plan += found
        i, j = block
    return plan


def _block(source: Shape, target: Sequence[int], i: int, j: int) -> tuple[int, int] | None:
    """Ends of the shortest runs from i and j with equal products."""
    if i >= len(source) or j >= len(target):
        return None
    a, b, i, j = source[i], target[j], i + 1, j + 1
    while a != b:
        if a < b and i < len(source):
            a, i = a * source[i], i + 1
        elif b < a and j < len(target):
            b, j = b * target[j], j + 1
        else:
            return None
    return i, j


def _pair(
    shapes: Sequence[Shape], varies: Sequence[bool], target: Sequence[int], left: range, right: range
) -> list[_Dim] | None:
    if not any(varies[i] for i in left):
        return [_Dim((), target[j]) for j in right]
    if any(varies[i] and shapes[0][i] == 1 for i in left):
        return None
    # One dimension of the target takes what varies, the largest; the others have to divide it.
    largest = max(target[j] for j in right)
    takers = [j for j in right if target[j] == largest]
    constant = int(np.prod([target[j] for j in right])) // largest
    if len(takers) > 1 or any(int(np.prod([s[i] for i in left])) % constant for s in shapes):
        return None
    return [_Dim(tuple(left), constant) if j == takers[0] else _Dim((), target[j]) for j in right]


def _spell(graph: Graph, node: Node, dims: Sequence[_Dim]) -> Value:
    """The target as a constant with 0 and -1, or computed from the input's shape where these do not suffice."""
    out: list[int | None] = []
    for j, d in enumerate(dims):
        out.append(d.number if not d.axes else (0 if d == ((j,), 1) else None))
    if out.count(None) <= 1:
        return _ints(graph, node, [-1 if d is None else d for d in out])

    def add(op: str, *inputs: Value, **attrs: object) -> Value:
        return graph.add_node(op, inputs, f"{node.name}/{op}", before=node, **attrs).output

    shape, parts = add("Shape", node.inputs[0]), []
    for d in dims:
        if not d.axes:
            parts.append(_ints(graph, node, [d.number]))
            continue
        part = add("Gather", shape, _ints(graph, node, d.axes))
        part = add("Reduce", part, fn="prod") if len(d.axes) > 1 else part
        parts.append(add("Binary", part, _ints(graph, node, [d.number]), fn="div") if d.number > 1 else part)
    return add("Concat", *parts)


def _ints(graph: Graph, node: Node, values: Sequence[int]) -> Value:
    return graph.add_const(f"{node.name}/shape", np.array(values, np.int64))


# ---- Expand, Resize ------------------------------------------------------------------------------


def _expand(graph: Graph, node: Node, shapes: Sequence[Shape], given: Sequence[Shape]) -> bool:
    """A target dimension that the input has already may as well be 1."""
    target = ints(node.input("shape"))
    sources = [((1,) * (len(target) - len(s)) + s)[-len(target) :] for s in given]
    new = [1 if all(s == t for s in sizes) else t for t, *sizes in zip(target, *sources)]
    if new == target:
        return False
    node.set_input("shape", _ints(graph, node, new))
    return True


def _resize(graph: Graph, node: Node, shapes: Sequence[Shape], given: Sequence[Shape]) -> bool:
    """Sizes as scales, where they are multiples of the input's, or its halves, quarters ..."""
    sizes = ints(node.input("sizes"))
    if node.input("roi") is not None or node["keep_aspect_ratio_policy"] != "stretch":
        return False
    axes = [a % len(shapes[0]) for a in node["axes"]] or list(range(len(shapes[0])))
    scales: list[float] = []
    for size, axis in zip(sizes, axes):
        old = shapes[0][axis]
        if not old or size % old and (old % size or (old // size) & (old // size - 1)):
            return False
        if any(s[axis] != old for s in given):  # a size for all sizes
            return False
        scales.append(size / old)
    node.set_input("scales", graph.add_const(f"{node.name}/scales", np.array(scales, np.float32)))
    node.set_input("sizes", None)
    return True


_REWRITES = {"Reshape": (_reshape, "shape"), "Expand": (_expand, "shape"), "Resize": (_resize, "sizes")}
