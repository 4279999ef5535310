"""Functions that exporters spell out by several nodes, as one: softplus, mish, silu, gelu, hard_sigmoid, hard_swish,
clip, leaky_relu."""

from __future__ import annotations

import math
from typing import Optional

from ..ir import Graph, Node, Value
from .match import affine, close, is_float, product, same_shape, unary, with_scalar

Found = Optional[tuple[Value, str, float, float]]  # x, fn, a, b


def run(graph: Graph) -> int:
    count = 0
    for node in graph:
        found = _find(graph, node) if is_float(node.output) and node.op in ("Unary", "Binary") else None
        if found is not None and same_shape(found[0], node.output):
            x, fn, a, b = found
            graph.rewrite(node.output, "Unary", [x], fn=fn, a=a, b=b)
            count += 1
    return count


def _find(graph: Graph, node: Node) -> Found:
    if node.op == "Unary":
        return _softplus(node) or (
            _clip(graph, node.output, node["a"], node["b"], node.inputs[0]) if node["fn"] == "clip" else None
        )
    if node["act"] != "none":
        return None
    return _min_max(graph, node) or _leaky_relu(node) or _product(node)


def _softplus(node: Node) -> Found:
    """log(exp(x) + 1)"""
    found = with_scalar(node.inputs[0], "add") if node["fn"] == "log" else None
    inner = unary(found[1], "exp") if found and found[2] == 1.0 else None
    return (inner.inputs[0], "softplus", 0.0, 0.0) if inner is not None else None


def _min_max(graph: Graph, node: Node) -> Found:
    """max(x, number) or min(x, number)"""
    found = with_scalar(node.output, "min", "max")
    if found is None or math.isnan(found[2]):
        return None
    fn, x, number, _ = found
    low, high = (number, math.inf) if fn == "max" else (-math.inf, number)
    return _clip(graph, node.output, low, high, x) or (x, "clip", low, high)


def _clip(graph: Graph, value: Value, low: float, high: float, x: Value) -> Found:
    """A clip of a clip is one, and clip(a * x + b, 0, 1) is a hard sigmoid."""
    inner = unary(x, "clip")
    if inner is not None and graph.sole_user(x) is value.producer and inner["a"] <= inner["b"] and low <= high:
        a, b = (min(max(bound, low), high) for bound in (inner["a"], inner["b"]))
        return inner.inputs[0], "clip", a, b
    root, a, b = affine(x)
    if root is not x and low == 0.0 and high == 1.0 and a != 0.0:
        return root, "hard_sigmoid", a, b
    return None


def _leaky_relu(node: Node) -> Found:
    """max(x, a * x), 0 < a <= 1"""
    if node["fn"] != "max":
        return None
    for x, other in (node.inputs, node.inputs[::-1]):
        found = with_scalar(other, "mul")
        if found is not None and found[1] is x and 0.0 < found[2] <= 1.0:
            return x, "leaky_relu", found[2], 0.0
    return None


def _hard_sigmoid(value: Value, k: float, of: Value | None = None) -> Found:
    """k * clip(a * x + b, 0, h) with k * h = 1; x is `of` if that is on the way."""
    node = unary(value, "clip")
    if node is None or node["a"] != 0.0 or not k > 0.0 or not close(k * node["b"], 1.0):
        return None
    x, a, b = affine(node.inputs[0], of)
    return x, "hard_sigmoid", k * a, k * b


def _product(node: Node) -> Found:
    """Products of numbers, x and a function of x."""
    if node["fn"] not in ("mul", "div"):
        return None
    k, factors = product(node.output)
    if len(factors) == 1:
        return _hard_sigmoid(factors[0], k)
    if len(factors) != 2:
        return None
    for x, gate in (factors, factors[::-1]):
        found = _gated(x, gate, k)
        if found is not None:
            return found
    return None


def _gated(x: Value, gate: Value, k: float) -> Found:
    """k * x * gate(x)"""
    if k == 1.0:
        sigmoid, tanh, hard = unary(gate, "sigmoid"), unary(gate, "tanh"), unary(gate, "hard_sigmoid")
        if sigmoid is not None and sigmoid.inputs[0] is x:
            return x, "silu", 0.0, 0.0
        softplus = unary(tanh.inputs[0], "softplus") if tanh is not None else None
        if softplus is not None and softplus.inputs[0] is x:
            return x, "mish", 0.0, 0.0
        if hard is not None and hard.inputs[0] is x:
            return x, "hard_swish", hard["a"], hard["b"]
    hard = _hard_sigmoid(gate, k, x)
    if hard is not None and hard[0] is x:
        return x, "hard_swish", hard[2], hard[3]
    one_plus = with_scalar(gate, "add") if close(k, 0.5) else None
    erf = unary(one_plus[1], "erf") if one_plus and one_plus[2] == 1.0 else None
    if erf is not None:
        root, a, b = affine(erf.inputs[0], x)
        if root is x and close(a, math.sqrt(0.5)) and b == 0.0:
            return x, "gelu", 0.0, 0.0
    return None
