"""BatchNormalization and products and sums with constants per channel, into the weights of the Conv or FullyConnected
next to them.

Behind it always, through a DepthToSpace as well; before it sums only where no padding (which is zero for the layer, but
not for what was folded) comes between. Weights are rounded to float32 once, when all is folded into them."""

from __future__ import annotations

import numpy as np

from ..ir import Graph, Node, Value
from .match import is_float, only_reader, per_channel

Affine = tuple[Value, np.ndarray, np.ndarray]  # x, scale, shift: value = x * scale + shift, float64 per channel


def run(graph: Graph) -> int:
    count = 0
    with np.errstate(all="ignore"):  # _set looks at what came out
        for node in graph:
            before = count
            if node.op in ("Conv", "FullyConnected"):
                while _fold_behind(graph, node) or _fold_before(graph, node):
                    count += 1
            for value in node.inputs[1:3] if count > before else ():
                if value is not None and value.const.dtype == np.float64:
                    value.const, value.dtype = value.const.astype(np.float32), "float32"
    return count


def _fold_behind(graph: Graph, node: Node) -> bool:
    value, user = node.output, only_reader(graph, node.output)
    weight, bias = node.input("W"), node.input("B")
    if user is None or node["act"] != "none" or node.input("Z") is not None or not _plain(weight, bias):
        return False
    block, mode = 1, ""
    if user.op == "DepthToSpace" and node.op == "Conv":
        block, mode, value = user["blocksize"] ** 2, user["mode"], user.output
        user = only_reader(graph, value)
    found = _affine(user, _channel_axis(node), len(weight.const) // block) if user is not None else None
    if found is None or found[0] is not value:
        return False
    # DCR: channel c of the image comes from channels c, C + c, 2 C + c ...; CRD: from those that begin with c * block
    scale, shift = (np.repeat(v, block) if mode == "CRD" else np.tile(v, block) for v in found[1:])
    old = np.zeros(len(scale)) if bias is None else bias.const.astype(np.float64)
    return _set(
        graph, node, weight.const * scale.reshape((-1,) + (1,) * (weight.const.ndim - 1)), old * scale + shift
    ) and (_bypass(graph, user, value))


def _fold_before(graph: Graph, node: Node) -> bool:
    x, weight, bias = node.inputs[0], node.input("W"), node.input("B")
    if x.producer is None or graph.sole_user(x) is not node or not _plain(weight, bias):
        return False
    group = node["group"] if node.op == "Conv" else 1
    inputs, outputs = weight.const.shape[1], weight.const.shape[0]
    found = _affine(x.producer, _channel_axis(node), inputs * group)
    if found is None:
        return False
    source, scale, shift = found
    if node.op == "Conv" and shift.any() and (any(node["pads"]) or node["auto_pad"] not in ("NOTSET", "VALID")):
        return _factors_last(graph, x.producer, inputs * group)
    # [group, inputs] -> one row per output channel -> behind W's axes
    rows = [np.repeat(v.reshape(group, inputs), outputs // group, axis=0) for v in (scale, shift)]
    scales, shifts = (r.reshape(r.shape + (1,) * (weight.const.ndim - 2)) for r in rows)
    old = np.zeros(outputs) if bias is None else bias.const.astype(np.float64)
    added = (weight.const * shifts).reshape(outputs, -1).sum(axis=1)
    if not _set(graph, node, weight.const * scales, old + added):
        return False
    node.set_input(0, source)
    graph.remove_dead()
    return True


def _factors_last(graph: Graph, node: Node, channels: int) -> bool:
    """x * c + d as (x + d / c) * c: factors go through padding, sums do not."""
    outer = _affine(node, 1, channels) if node.op == "Binary" else None
    inner = outer[0].producer if outer is not None and (outer[1] == 1).all() else None
    if inner is None or inner.op != "Binary" or graph.sole_user(outer[0]) is not node:
        return False
    found = _affine(inner, 1, channels)
    if found is None or found[2].any() or not found[1].all():
        return False
    x, factors, _ = found
    shape = (channels,) + (1,) * (x.rank - 2)
    summand, factor = ((v if (v != v[0]).any() else v[:1]).astype(np.float32) for v in (outer[2] / factors, factors))
    if not (np.isfinite(summand).all() and np.isfinite(factor).all()):
        return False
    consts = []
    for name, values in (("summand", summand), ("factor", factor)):
        consts.append(graph.add_const(f"{node.name}/{name}", values.reshape(shape) if len(values) > 1 else values))
        consts[-1].shapes *= len(node.output.shapes)
    total = graph.add_node("Binary", [x, consts[0]], f"{node.name}/sum", before=node, fn="add")
    total.output.dtype, total.output.shapes = x.dtype, x.shapes
    graph.rewrite(node.output, "Binary", [total.output, consts[1]], fn="mul")
    return True


def _plain(weight: Value, bias: Value | None) -> bool:
    return weight.is_const and weight.const.dtype in (np.float32, np.float64) and (bias is None or bias.is_const)


def _channel_axis(node: Node) -> int | None:
    return 1 if node.op == "Conv" else (node.output.rank - 1 if node.output.rank else None)


def _affine(node: Node, axis: int | None, channels: int) -> Affine | None:
    """What `node` does to an input per index of `axis`, without changing its shape; None if it does anything else."""
    if axis is None or not is_float(node.output):
        return None
    if node.op == "BatchNormalization":
        if axis != 1 or not all(v.is_const for v in node.inputs[1:]):
            return None
        gamma, beta, mean, var = (v.const.astype(np.float64) for v in node.inputs[1:])
        scale = gamma / np.sqrt(var + node["epsilon"])
        return node.inputs[0], scale, beta - mean * scale
    if node.op != "Binary" or node["fn"] not in ("add", "sub", "mul", "div") or node["act"] != "none":
        return None
    for i in (1, 0):
        x = node.inputs[1 - i]
        c = per_channel(node.inputs[i], x.rank, axis, channels) if x.rank and not x.is_const else None
        if c is None or any(s[axis] != channels for s in x.shapes) or x.shapes != node.output.shapes:
            continue
        one, zero, first = np.ones(channels), np.zeros(channels), i == 0
        if node["fn"] == "add":
            return x, one, c
        if node["fn"] == "sub":
            return (x, -one, c) if first else (x, one, -c)
        if node["fn"] == "mul":
            return x, c, zero
        return None if first else (x, one / c, zero)
    return None


def _set(graph: Graph, node: Node, weight: np.ndarray, bias: np.ndarray) -> bool:
    """Gives a layer new weights, not rounded yet, unless they are no longer finite: infinities do not commute with
    sums."""
    if not all(np.isfinite(v.astype(np.float32)).all() for v in (weight, bias)):
        return False
    old_weight, old_bias = node.input("W"), node.input("B")
    node.set_input("W", graph.add_const(old_weight.name, weight))
    if old_bias is not None or bias.any():
        node.set_input("B", graph.add_const(old_bias.name if old_bias is not None else f"{node.name}/B", bias))
    for value in (node.input("W"), node.input("B")):
        if value is not None:
            value.shapes = (value.const.shape,) * len(node.output.shapes)
    return True


def _bypass(graph: Graph, node: Node, value: Value) -> bool:
    graph.replace(node.output, value)
    graph.remove(node)
    return True
