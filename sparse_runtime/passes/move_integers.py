"""What only moves values moves 8 bit integers: DequantizeLinear goes behind it and QuantizeLinear before it, and where
they meet with the same scale and zero point, both go. Bytes are moved in place of floats, and nothing is rounded."""

from __future__ import annotations

import numpy as np

from ..ir import Graph, Node, Value
from .match import is_float, scalar

# Of as many elements as they read, or more: quantizing before them is no more work than behind them.
_KEEPING = {
    "ChannelShuffle", "Concat", "DepthToSpace", "Expand", "Flatten", "Pad", "Reshape", "Resize", "SpaceToDepth",
    "Squeeze", "Tile", "Transpose", "Unsqueeze",
}  # fmt: skip
_MOVES = _KEEPING | {"Gather", "Slice", "Split"}
_ROUNDS = 100


def run(graph: Graph) -> int:
    count = _merge(graph)
    for _ in range(_ROUNDS):
        made = sum(_sink(graph, node) for node in graph)
        made += sum(_hoist(graph, node) for node in reversed(list(graph.nodes)))
        made += sum(_cancel(graph, node) + _ask(node) for node in graph)
        if not made:
            break
        count += made
        graph.remove_dead()
    return count


def parameters(node: Node | None, op: str) -> tuple[float, int, str] | None:
    """(scale, zero point, type of the integers) of a QuantizeLinear or DequantizeLinear node for a whole tensor of 8
    bit integers and float32."""
    if node is None or node.op != op:
        return None
    integers, floats = (node.output, node.inputs[0]) if op == "QuantizeLinear" else (node.inputs[0], node.output)
    scale, zero = scalar(node.input("scale")), node.input("zero_point")
    point = 0.0 if zero is None else scalar(zero)
    if scale is None or point is None or integers.dtype not in ("int8", "uint8") or not is_float(floats):
        return None
    return scale, int(point), integers.dtype


def is_move(node: Node) -> bool:
    if node.op == "Resize":
        return node["mode"] == "nearest" and node["coordinate_transformation_mode"] != "tf_crop_and_resize"
    return node.op in _MOVES


def moved(node: Node) -> list[Value]:
    """The inputs whose values a move hands on."""
    return list(node.inputs) if node.op == "Concat" else node.inputs[:1]


def _merge(graph: Graph) -> int:
    """Of nodes that quantize a value in the same way, one."""
    first: dict[tuple, Node] = {}
    count = 0
    for node in graph:
        found = parameters(node, "QuantizeLinear")
        kept = first.setdefault((node.inputs[0], *found), node) if found else node
        if kept is not node and graph.can_replace(node.output, kept.output):
            graph.replace(node.output, kept.output)
            graph.remove(node)
            count += 1
    return count


def _padding(graph: Graph, node: Node, found: tuple[float, int, str]) -> Value | None:
    """The value of a Pad in integers; None where there is none that is the same."""
    scale, zero, kind = found
    value = node.input("value")
    number = 0.0 if value is None else scalar(value)
    if number is None or (number != 0 and value.dtype != "float32"):
        return None
    quanta = np.rint(np.float32(number) / np.float32(scale)) + zero
    limits = np.iinfo(kind)
    if not limits.min <= quanta <= limits.max or np.float32(scale) * np.float32(quanta - zero) != np.float32(number):
        return None
    return graph.add_const(f"{node.name}/padding", np.array(quanta, kind))


def _prepare(graph: Graph, node: Node, found: tuple[float, int, str]) -> bool:
    """Lets a Pad fill in integers. False if it cannot."""
    if node.op != "Pad" or node["mode"] != "constant":
        return True
    value = _padding(graph, node, found)
    if value is not None:
        node.set_input("value", value)
    return value is not None


def _sink(graph: Graph, node: Node) -> int:
    """DequantizeLinear from before a move to behind it."""
    if not is_move(node) or any(v is None or v.is_const for v in moved(node)):
        return 0
    makers = [v.producer for v in moved(node)]
    kinds = {parameters(maker, "DequantizeLinear") for maker in makers}
    if len(kinds) != 1 or None in kinds or makers[0].inputs[0].is_const or not _prepare(graph, node, next(iter(kinds))):
        return 0
    for i, maker in enumerate(makers):
        node.set_input(i, maker.inputs[0])
    after = node
    for value in node.outputs:
        value.dtype = makers[0].inputs[0].dtype
        inputs = [value, *makers[0].inputs[1:]]
        after = graph.add_node("DequantizeLinear", inputs, f"{value.name}/dequantize", after=after)
        after.output.dtype, after.output.shapes = "float32", value.shapes
        graph.replace(value, after.output)
    return 1


def _hoist(graph: Graph, node: Node) -> int:
    """QuantizeLinear from behind a move to before it."""
    found = parameters(node, "QuantizeLinear")
    move = node.inputs[0].producer if found else None
    if move is None or move.op not in _KEEPING or not is_move(move) or graph.sole_user(move.output) is not node:
        return 0
    if any(v is None or v.is_const or not is_float(v) for v in moved(move)) or not _prepare(graph, move, found):
        return 0
    for i, value in enumerate(moved(move)):
        inputs = [value, *node.inputs[1:]]
        made = graph.add_node("QuantizeLinear", inputs, f"{node.name}/{i}" if i else node.name, before=move).output
        made.dtype, made.shapes = found[2], value.shapes
        move.set_input(i, made)
    move.output.dtype = found[2]
    graph.replace(node.output, move.output)
    graph.remove(node)
    return 1


def _ask(node: Node) -> int:
    """The shape of the same tensor before it was converted."""
    maker = node.inputs[0].producer if node.op == "Shape" else None
    if maker is None or maker.op not in ("QuantizeLinear", "DequantizeLinear") or maker.inputs[0].is_const:
        return 0
    node.set_input(0, maker.inputs[0])
    return 1


def _cancel(graph: Graph, node: Node) -> int:
    """QuantizeLinear of what was dequantized with the same numbers."""
    found = parameters(node, "QuantizeLinear")
    if found is None or parameters(node.inputs[0].producer, "DequantizeLinear") != found:
        return 0
    integers = node.inputs[0].producer.inputs[0]
    if not graph.can_replace(node.output, integers):
        return 0
    graph.replace(node.output, integers)
    graph.remove(node)
    return 1
