"""Reshape - Transpose - Reshape that deals the channels out to groups, as ChannelShuffle."""

from __future__ import annotations

from ..ir import Graph, Node


def run(graph: Graph) -> int:
    count = 0
    for node in graph:
        group = _group(graph, node)
        if group:
            first = node.inputs[0].producer.inputs[0].producer
            graph.rewrite(node.output, "ChannelShuffle", [first.inputs[0]], group=group)
            count += 1
    return count


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
    if not x.shapes or node.output.shapes != x.shapes:
        return 0
    groups = {m[1] for m in middle.shapes}
    if len(groups) != 1:
        return 0
    group = groups.pop()
    for outer, inner in zip(x.shapes, middle.shapes):
        planes = outer[2:] if middle.rank == 5 else (outer[2] * outer[3],)
        if group < 1 or inner != (outer[0], group, outer[1] // group) + planes:
            return 0
    return group
