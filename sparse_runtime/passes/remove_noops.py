"""Nodes that return what they get: Identity, Cast to the same type, Reshape to the same shape, Transpose that moves
nothing, Pad by nothing, Slice of everything, Concat of one, multiplication by one and the like; Unsqueeze and Squeeze
of the same axes. Of two reshapings in a row, the first."""

from __future__ import annotations

import math

from ..ir import DTYPES, Graph, Node
from .match import ints, is_kept, scalar

_SHAPED = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
_WHERE = ("axes", "steps")  # of a Slice
_ENDLESS = 2**31 - 1  # what exporters write for "to the end", or more
_NEUTRAL = {"add": 0.0, "sub": 0.0, "mul": 1.0, "div": 1.0, "pow": 1.0}


def run(graph: Graph) -> int:
    count = 0
    for node in graph:
        if node.op == "Reshape" and _skip_reshape(graph, node):
            count += 1
        kept = _kept(node)
        if kept is not None and graph.can_replace(node.output, kept):
            graph.replace(node.output, kept)
            graph.remove(node)
            count += 1
    graph.remove_dead()
    return count


def _kept(node: Node):
    """The input that `node` returns unchanged, or None."""
    if node.op == "Binary":
        return _unchanged_operand(node)
    x = node.inputs[0]
    if x is None or x.is_const:
        return None
    op, same = node.op, is_kept(x, node.output)
    if op == "Identity":
        return x
    if op == "Unary":
        nothing = node["fn"] == "none" or (node["fn"] == "clip" and node["a"] == -math.inf and node["b"] == math.inf)
        return x if nothing else None
    if op == "Cast":
        return x if DTYPES.get(node["to"]) == x.dtype else None
    if op == "Concat":
        return x if len(node.inputs) == 1 else None
    if op in ("Squeeze", "Unsqueeze") and _axes(node) is not None and _axes(node) == _axes(x.producer):
        return x.producer.inputs[0] if x.producer.op != op else None
    if not same:
        return None
    if op == "Transpose":
        perm = node["perm"] or tuple(range(x.rank))[::-1]
        return x if perm == tuple(range(x.rank)) else None
    if op in ("Flatten", "Squeeze") or (op == "Split" and len(node.outputs) == 1):
        return x
    if op == "Reshape":
        return x if node.input("shape").is_const else None
    if op == "Expand":
        return x if ints(node.input("shape")) is not None else None
    if op == "Tile":
        return x if set(ints(node.input("repeats")) or [0]) == {1} else None
    if op == "Slice":
        return x if _takes_all(node) else None
    if op == "Pad":
        pads = ints(node.input("pads"))
        return x if pads is not None and not any(pads) else None
    if op == "Resize":
        if node["coordinate_transformation_mode"] == "tf_crop_and_resize":
            return None
        scales = node.input("scales")
        return x if scales is not None and scales.is_const and (scales.const == 1).all() else None
    return None


def _takes_all(node: Node) -> bool:
    """Whether a Slice whose result is as large as its input where that was looked at is so for longer inputs too."""
    x = node.inputs[0]
    starts, ends, axes, steps = (ints(node.input(name)) for name in ("starts", "ends", "axes", "steps"))
    if starts is None or ends is None or any(node.input(n) is not None and not node.input(n).is_const for n in _WHERE):
        return False
    for i, axis in enumerate(range(len(starts)) if axes is None else axes):
        fixed = all(shape is None or shape[axis] == x.shape[axis] for shape in x.tries)
        if (steps and steps[i] < 1) or not (fixed or (starts[i] == 0 and ends[i] >= _ENDLESS)):
            return False
    return True


def _axes(node: Node | None) -> list[int] | None:
    """The axes of a Squeeze or Unsqueeze, counted in the tensor that has them."""
    if (
        node is None
        or node.op not in ("Squeeze", "Unsqueeze")
        or node.output.rank is None
        or node.inputs[0].rank is None
    ):
        return None
    axes, rank = ints(node.input("axes")), max(node.inputs[0].rank, node.output.rank)
    return None if axes is None else sorted(a % rank for a in axes)


def _unchanged_operand(node: Node):
    if node["fn"] not in _NEUTRAL or node["act"] != "none":
        return None
    for i in (1, 0) if node["fn"] in ("add", "mul") else (1,):
        x = node.inputs[1 - i]
        if (
            scalar(node.inputs[i]) == _NEUTRAL[node["fn"]]
            and is_kept(x, node.output)
            and x.dtype == node.output.dtype
        ):
            return None if x.is_const else x
    return None


def _skip_reshape(graph: Graph, node: Node) -> bool:
    """Lets a Reshape read what a reshaping before it read, where its target does not refer to that one's dimensions."""
    before, target = node.inputs[0].producer, ints(node.input("shape"))
    if before is None or before.op not in _SHAPED or target is None or 0 in target:
        return False
    if graph.sole_user(node.inputs[0]) is not node:
        return False
    node.set_input(0, before.inputs[0])
    return True
