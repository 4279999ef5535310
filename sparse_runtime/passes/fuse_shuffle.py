"""Reshape - Transpose - Reshape that deals the channels out to groups, as ChannelShuffle; and that behind a Concat of
as many equal parts as a Concat that interleaves them, so that each can be computed where it ends up."""

from __future__ import annotations

from ..ir import Graph, Node, Value
from .match import is_kept


def run(graph: Graph) -> int:
    count = 0
    for node in graph:
        group = _group(graph, node)
        if group:
            first = node.inputs[0].producer.inputs[0].producer
            graph.rewrite(node.output, "ChannelShuffle", [first.inputs[0]], group=group)
            count += 1
    for node in graph:
        if node.op == "ChannelShuffle" and _joins_groups(graph, node.inputs[0], node["group"]):
            graph.rewrite(node.output, "Concat", node.inputs[0].producer.inputs, axis=1, interleave=1)
            count += 1
    return count


def _joins_groups(graph: Graph, x: Value, group: int) -> bool:
    """Whether x is a concatenation of the groups, and of use to nothing but their shuffle."""
    node = x.producer
    if node is None or node.op != "Concat" or node["interleave"] or x.rank != 4 or node["axis"] not in (1, -3):
        return False
    if len(node.inputs) != group or graph.sole_user(x) is None or not all(v.shapes for v in node.inputs):
        return False
    return all(len({shape[1] for shape in shapes}) == 1 for shapes in zip(*(v.shapes for v in node.inputs)))


def _group(graph: Graph, node: Node) -> int:
    """Number of groups if `node` ends a channel shuffle, else 0. The planes may be one axis or two in between."""
    if node.op != "Reshape":
        return 0
    swap = node.inputs[0].producer
    if swap is None or swap.op != "Transpose" or graph.sole_user(swap.output) is not node:
        return 0
    first = swap.inputs[0].producer
    if first is None or first.op != "Reshape" or graph.sole_user(first.output) is not swap:
        return 0
    x, middle = first.inputs[0], first.output
    if x.rank != 4 or middle.rank not in (4, 5) or swap["perm"] != (0, 2, 1, 3, 4)[: middle.rank]:
        return 0
    if not is_kept(x, node.output) or len(middle.tries) != len(x.tries):
        return 0
    groups = {m[1] for m in middle.shapes}
    if len(groups) != 1:
        return 0
    group = groups.pop()
    for outer, inner in zip(x.shapes + x.tries, middle.shapes + middle.tries):
        if outer is None:
            continue
        planes = outer[2:] if middle.rank == 5 else (outer[2] * outer[3],)
        if group < 1 or inner != (outer[0], group, outer[1] // group) + planes:
            return 0
    return group
