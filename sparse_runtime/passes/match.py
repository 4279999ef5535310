"""What passes recognize patterns with. All of it needs an annotated graph (Graph.annotate)."""

from __future__ import annotations

import math

import numpy as np

from ..ir import Graph, Node, Value

FLT_MAX = float(np.finfo(np.float32).max)


def only_reader(graph: Graph, value: Value) -> Node | None:
    """The only node that reads the contents of a value; others may ask for its shape. None for a graph output."""
    readers = [node for node in value.uses if node.op != "Shape"]
    return readers[0] if len(readers) == 1 and value not in graph.outputs else None


def same_shape(a: Value, b: Value) -> bool:
    """Whether two values have the same shape at every probe; False where shapes are not known."""
    return bool(a.shapes) and a.shapes == b.shapes


def is_kept(x: Value, y: Value) -> bool:
    """Whether y, made of x, has x's shape whatever the sizes that the model leaves free: at every probe, and wherever
    else x can be computed."""
    return same_shape(x, y) and len(x.tries) == len(y.tries) and all(a in (None, b) for a, b in zip(x.tries, y.tries))


def is_float(value: Value) -> bool:
    return value.dtype == "float32"


def scalar(value: Value | None) -> float | None:
    """The number that a constant of one element holds."""
    if value is None or not value.is_const or value.const.size != 1 or value.const.dtype.kind not in "fiu":
        return None
    return float(value.const.reshape(()))


def ints(value: Value | None) -> list[int] | None:
    """A constant list of integers."""
    if value is None or not value.is_const or value.const.dtype.kind not in "iu":
        return None
    return [int(v) for v in value.const.reshape(-1)]


def unary(value: Value | None, fn: str) -> Node | None:
    """The node that computes fn for this value, if one does."""
    node = value.producer if value is not None else None
    return node if node is not None and node.op == "Unary" and node["fn"] == fn else None


def binary(value: Value | None, *fns: str) -> Node | None:
    """The node without activation that computes one of fns for this value."""
    node = value.producer if value is not None else None
    return node if node is not None and node.op == "Binary" and node["fn"] in fns and node["act"] == "none" else None


def with_scalar(value: Value | None, *fns: str) -> tuple[str, Value, float, bool] | None:
    """(fn, x, number, number is first) if a binary node combines x with a number without changing x's shape or type."""
    node = binary(value, *fns)
    if node is None or not is_float(node.output):
        return None
    for i in (0, 1):
        x, number = node.inputs[1 - i], scalar(node.inputs[i])
        if number is not None and not x.is_const and same_shape(x, node.output):
            return node["fn"], x, number, i == 0
    return None


def product(value: Value) -> tuple[float, list[Value]]:
    """(k, factors): value = k * factor * ..., through products and divisions by numbers."""
    found = with_scalar(value, "mul", "div")
    if found:
        fn, x, number, first = found
        if fn == "mul":
            k, factors = product(x)
            return k * number, factors
        if not first and number:
            k, factors = product(x)
            return k / number, factors
        return 1.0, [value]
    node = binary(value, "mul")
    if node is not None and is_float(value) and all(same_shape(v, value) and not v.is_const for v in node.inputs):
        (k0, f0), (k1, f1) = product(node.inputs[0]), product(node.inputs[1])
        return k0 * k1, f0 + f1
    return 1.0, [value]


def affine(value: Value, until: Value | None = None) -> tuple[Value, float, float]:
    """(x, a, b): value = a * x + b with numbers a and b; x is `until` if that is on the way."""
    found = with_scalar(value, "add", "sub", "mul", "div") if value is not until else None
    if found:
        fn, inner, number, first = found
        if fn == "div" and (first or not number):
            return value, 1.0, 0.0
        x, a, b = affine(inner, until)
        if fn == "add":
            return x, a, b + number
        if fn == "sub":
            return (x, -a, number - b) if first else (x, a, b - number)
        factor = number if fn == "mul" else 1.0 / number
        return x, a * factor, b * factor
    return value, 1.0, 0.0


def per_channel(value: Value | None, rank: int, axis: int, channels: int) -> np.ndarray | None:
    """A float32 constant that numpy broadcasting applies per index of `axis` of a tensor of `rank`, as float64
    [channels]. None if it is anything else, or would make the tensor larger."""
    if value is None or not value.is_const or value.const.dtype != np.float32 or value.const.ndim > rank:
        return None
    shape = (1,) * (rank - value.const.ndim) + value.const.shape
    if any(d != 1 for i, d in enumerate(shape) if i != axis) or shape[axis] not in (1, channels):
        return None
    return np.broadcast_to(value.const.reshape(-1).astype(np.float64), (channels,))


def close(a: float, b: float) -> bool:
    """Equal up to the rounding of float32 constants; nothing is close to an infinity but itself."""
    return math.isclose(a, b, rel_tol=1e-6)
