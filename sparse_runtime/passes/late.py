"""What runs after the rest: nodes whose outputs' shapes depend on contents, and all behind them.

Nothing is known of their shapes, so the passes see the graph without them."""

from __future__ import annotations

from ..ir import Graph, Node, Value
from .probes import Probe


class Late:
    """The late nodes, cut off a graph; attach() puts them back."""

    def __init__(self, graph: Graph, probe: Probe):
        (known,) = graph.infer(probe)
        self.nodes: list[Node] = [n for n in graph.nodes if any(v.name not in known for v in n.outputs)]
        self.outputs = list(graph.outputs)
        if not self.nodes:
            return
        lost = {v for n in self.nodes for v in n.outputs}
        reads = dict.fromkeys(v for n in self.nodes for v in n.inputs if v is not None and v not in lost)
        self.kept = [v for v in dict.fromkeys([*self.outputs, *reads]) if v.producer is not None and v not in lost]
        graph.outputs = list(self.kept)
        for node in reversed(self.nodes):
            graph.remove(node)
        self.inputs = list(graph.inputs)

    def attach(self, graph: Graph) -> None:
        if not self.nodes:
            return
        now: dict[Value, Value] = dict(zip(self.kept, graph.outputs)) | dict(zip(self.inputs, graph.inputs))
        for node in self.nodes:
            for value in node.inputs:
                if value is not None and value not in now:
                    now[value] = graph.add_const(value.name, value.const)
            made = graph.add_node(
                node.op,
                [None if v is None else now[v] for v in node.inputs],
                node.name,
                [v.name for v in node.outputs],
                **node.attrs,
            )
            now.update(zip(node.outputs, made.outputs))
        graph.outputs = [now[v] for v in self.outputs]
