"""The mean over both spatial axes of [N, C, H, W], as GlobalAveragePool, which refuses planes without pixels."""

from __future__ import annotations

import numpy as np

from ..ir import Graph
from .match import ints, is_float


def run(graph: Graph) -> int:
    count = 0
    for node in graph:
        x = node.inputs[0]
        if node.op != "Reduce" or node["fn"] != "mean" or x is None or x.rank != 4 or not is_float(x):
            continue
        axes = ints(node.input("axes"))
        if axes is None or sorted(a % 4 for a in axes) != [2, 3] or any(0 in s[2:] for s in x.shapes):
            continue
        if node["keepdims"]:
            graph.rewrite(node.output, "GlobalAveragePool", [x])
        else:
            pool = graph.add_node("GlobalAveragePool", [x], node.name, before=node)
            pool.output.dtype, pool.output.shapes = x.dtype, tuple(s[:2] + (1, 1) for s in x.shapes)
            plane = graph.add_const(f"{node.name}/axes", np.array([2, 3], np.int64))
            squeeze = graph.rewrite(node.output, "Squeeze", [pool.output, plane])
            squeeze.name = f"{node.name}/Squeeze"
        count += 1
    return count
