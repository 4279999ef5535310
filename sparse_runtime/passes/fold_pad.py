"""Pad of the planes of [N, C, H, W], into the convolution or pooling that reads it."""

from __future__ import annotations

from ..ir import Graph, Node, Value
from .match import FLT_MAX, ints, scalar


def run(graph: Graph) -> int:
    count = 0
    for node in graph:
        x = node.inputs[0]
        pad = x.producer if node.op in ("Conv", "AveragePool", "MaxPool") else None
        if pad is None or pad.op != "Pad" or graph.sole_user(x) is not node:
            continue
        extra = _plane_pads(pad)
        if extra is None or node["auto_pad"] not in ("NOTSET", "VALID") or not _allowed(node, pad, extra):
            continue
        own = node["pads"] if node["auto_pad"] == "NOTSET" else (0, 0, 0, 0)
        node["pads"], node["auto_pad"] = tuple(a + b for a, b in zip(own, extra)), "NOTSET"
        if node.op == "AveragePool":
            node["count_include_pad"] = 1
        node.set_input(0, pad.inputs[0])
        graph.remove(pad)
        count += 1
    return count


def _plane_pads(pad: Node) -> list[int] | None:
    """[top, left, bottom, right] of a Pad with a constant that touches nothing but the planes."""
    pads, axes, rank = ints(pad.input("pads")), ints(pad.input("axes")), pad.output.rank
    if pad["mode"] != "constant" or pads is None or rank != 4 or (pad.input("axes") is not None and axes is None):
        return None
    where = list(range(4)) if axes is None else [a % 4 for a in axes]
    begin, end = [0] * 4, [0] * 4
    for i, axis in enumerate(where):
        begin[axis], end[axis] = pads[i], pads[i + len(where)]
    if any(begin[:2]) or any(end[:2]) or min(begin + end) < 0:
        return None
    return begin[2:] + end[2:]


def _allowed(node: Node, pad: Node, extra: list[int]) -> bool:
    value = 0.0 if pad.input("value") is None else scalar(pad.input("value"))
    if node.op == "Conv":
        return value == 0.0
    kernel, own = node["kernel_shape"], node["pads"] if node["auto_pad"] == "NOTSET" else (0, 0, 0, 0)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, node["dilations"])]
    if any(own[i] + extra[i] >= reach[i % 2] for i in range(4)):  # some window would hold nothing but padding
        return False
    if node["ceil_mode"] or (node.op == "MaxPool" and any(d != 1 for d in node["dilations"])):
        return False
    if node.op == "AveragePool":  # the padding counted before, so it does now
        return value == 0.0 and (bool(node["count_include_pad"]) or not any(own))
    if value is None:
        return False
    # MaxPool's own padding never wins: what was padded must not either.
    return value <= -FLT_MAX or (value == 0.0 and _not_negative(pad.inputs[0]))


def _not_negative(value: Value) -> bool:
    """Whether a value is known to be 0 or more."""
    node = value.producer
    if node is None or node.op not in ("Unary", "Conv", "FullyConnected", "Binary"):
        return False
    fn, low = (node["fn"], node["a"]) if node.op == "Unary" else (node["act"], node["act_a"])
    return fn in ("sigmoid", "hard_sigmoid") or (fn == "clip" and low >= 0.0)
