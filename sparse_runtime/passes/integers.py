"""What the pass to_integers knows of a graph: integers of the model, what they mean, and where they are as quantized
values, which alone quantized operators take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir import Graph, Node, Shape, Value
from .match import only_reader
from .move_integers import parameters

_FLT_MIN, _FLT_MAX = 2.0**-126, 3e38
TYPES = {"uint8": 2, "int8": 3}


class Quantum:
    """Scale and zero of a tensor, the zero as that of an int8."""

    def __init__(self, scale: float, zero: int):
        self.scale, self.zero = scale, zero

    def attrs(self, name: str) -> dict[str, Any]:
        return {f"{name}_scale": self.scale, f"{name}_zero": self.zero}


Tensor = tuple[Value, Quantum]  # integers of the model and what they mean


class Stays(Exception):
    """Why a node is left in float32."""


def quantum(node: Node | None, op: str) -> Quantum | None:
    """That of a QuantizeLinear or DequantizeLinear."""
    found = parameters(node, op)
    if found is None or not _FLT_MIN <= found[0] <= _FLT_MAX:
        return None
    return Quantum(found[0], found[1] - (128 if found[2] == "uint8" else 0))


class Integers:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.quantized: dict[Value, Value] = {}  # integers of the model -> the same as a quantized value

    # ---- what nodes read -------------------------------------------------------------------------------------------

    def source(self, value: Value | None, image: bool = True) -> Tensor:
        """The integers behind a dequantized image, or tensor of any rank, and what they mean."""
        node = value.producer if value is not None else None
        found = quantum(node, "DequantizeLinear")
        if found is None or node.inputs[0].is_const:
            raise Stays("not all that it reads is dequantized from 8 bits with one scale")
        if image and value.rank != 4:
            raise Stays(f"it reads a tensor of rank {value.rank}; in 8 bits it takes images")
        return node.inputs[0], found

    def at_hand(self, integers: Value) -> bool:
        """Whether integers are there as a quantized image, or can be as soon as in any other form."""
        made = quantum(integers.producer, "QuantizeLinear") is not None
        return integers.dtype in TYPES and integers.rank == 4 and (made or integers in self.quantized)

    def take(self, integers: Value, before: Node) -> Value:
        """The quantized value for integers of the model."""
        if integers not in self.quantized:
            found, x, attrs = quantum(integers.producer, "QuantizeLinear"), integers, {}
            if found is not None:
                x, attrs = integers.producer.inputs[0], found.attrs("y")
            node = self.graph.add_node("Quantize", [x], f"{integers.name}/quantize", before=before, **attrs)
            self._set(integers, node.output)
        return self.quantized[integers]

    # ---- what they make --------------------------------------------------------------------------------------------

    def target(self, value: Value) -> Tensor:
        """The integers that a result becomes, if nothing else reads it."""
        node = only_reader(self.graph, value)
        found = quantum(node, "QuantizeLinear")
        if found is None or any(u.op == "Shape" for u in value.uses):
            raise Stays("its result is not only quantized to 8 bits with one scale")
        return node.output, found

    def put(self, integers: Value, op: str, node: Node, inputs: Sequence[Value | None], **attrs: Any) -> None:
        """Computes integers of the model by a quantized operator in the place of a node."""
        made = self.graph.add_node(op, inputs, node.name, (f"{integers.name}/quantized",), before=node, **attrs)
        self._set(integers, made.output)

    def _set(self, integers: Value, value: Value) -> None:
        value.dtype, value.shapes = "quantized", integers.shapes
        self.quantized[integers] = value

    def add(
        self, op: str, inputs: Sequence[Value | None], before: Node, like: str, shapes: Sequence[Shape], **attrs: Any
    ) -> Value:
        """A node whose result is of the type `like`."""
        value = self.graph.add_node(op, inputs, f"{before.name}/{op}", before=before, **attrs).output
        value.dtype, value.shapes = like, tuple(shapes)
        return value

    def axes(self, node: Node, *numbers: int) -> Value:
        return self.graph.add_const(f"{node.name}/axes", np.array(numbers, np.int64))

    def become(self, old: Value, new: Value) -> None:
        """Puts a value in the place of another, with its name."""
        name = old.name
        self.graph.replace(old, new)
        if name != new.name:
            self.graph.rename(old, self.graph.unique(f"{name}/replaced"), new)

    # ---- at the end ------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """What still reads integers of the model gets them from the quantized values."""
        for integers, value in self.quantized.items():
            if value.producer.op == "Quantize":
                continue
            for node in list(dict.fromkeys(integers.uses)):
                found = quantum(node, "DequantizeLinear")
                if found is not None:
                    self._read(node.output, value, found.attrs("x"))
            if integers.uses or integers in self.graph.outputs:
                self._read(integers, value, {"to": TYPES[integers.dtype]})
        self.graph.remove_dead()

    def _read(self, old: Value, value: Value, attrs: dict[str, Any]) -> None:
        if old.uses or old in self.graph.outputs:
            node = self.graph.add_node("Dequantize", [value], f"{old.name}/dequantize", after=value.producer, **attrs)
            node.output.dtype, node.output.shapes = old.dtype, old.shapes
            self.graph.replace(old, node.output)


# ---- weights ---------------------------------------------------------------------------------------------------------


def stored(graph: Graph, value: Value) -> tuple[np.ndarray, np.ndarray] | None:
    """Integers and scales, one or one per row, behind a constant or what is dequantized from one."""
    if value.is_const:
        return graph.integers(value.const)
    node = value.producer
    if node is None or node.op != "DequantizeLinear" or not all(v is None or v.is_const for v in node.inputs):
        return None
    array, scale, zero = node.inputs[0].const, node.inputs[1].const.reshape(-1), node.input("zero_point")
    if scale.size > 1 and (node["axis"] % array.ndim != 0 or scale.size != len(array)):
        return None
    each = (-1,) + (1,) * (array.ndim - 1)
    less = 0 if zero is None else zero.const.astype(np.int64).reshape(each if zero.const.size > 1 else ())
    return array.astype(np.int64) - less, scale


def weights_of(graph: Graph, value: Value) -> tuple[np.ndarray, int, np.ndarray]:
    """Weights as int8, their zero, and scales. Nine bits are possible where there is a zero."""
    found = stored(graph, value)
    if found is None or not found[0].size:
        raise Stays("its weights are not known as 8 bit integers with one scale, or one per row")
    low, high = int(found[0].min()), int(found[0].max())
    zero = 0 if low >= -128 and high <= 127 else max(-128, min(127, 127 - high if high > 127 else -128 - low))
    if low + zero < -128 or high + zero > 127 or high >= 255:
        raise Stays(f"its weights less their zero are from {low} to {high}, beyond 9 bits")
    return (found[0] + zero).astype(np.int8), zero, found[1].astype(np.float32)


def bias_of(graph: Graph, bias: Value | None, quanta: np.ndarray) -> np.ndarray | None:
    """In int32 quanta of x_scale * w_scale."""
    if bias is None:
        return None
    known = stored(graph, bias)
    if known is None and not bias.is_const:
        raise Stays("its bias is computed")
    if known is not None and np.allclose(known[1].astype(np.float64), quanta, rtol=1e-4, atol=0):
        array = known[0].astype(np.float64)
    else:
        real = bias.const.astype(np.float64) if bias.is_const else known[0] * known[1].astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            array = np.rint(real / quanta)
    wrong = ~(np.abs(array) < 2**31)
    if wrong.any():
        row = int(np.argmax(np.broadcast_to(wrong, array.shape)))
        raise Stays(f"its bias is {array.reshape(-1)[row]:g} quanta in row {row}, beyond 32 bits")
    return array.astype(np.int32)


def check_sums(weights: np.ndarray, zero: int, bias: np.ndarray | None, x_zero: int) -> None:
    """Raises Stays where a sum might leave int32, with the input's zero in the bias (docs/quantization.md), be memory
    of signed bytes or of unsigned ones."""
    w = weights.reshape(len(weights), -1).astype(np.int64) - zero
    start = 0 if bias is None else bias.astype(np.int64)
    for z in (x_zero, x_zero + 128):
        most = np.abs(start - z * w.sum(axis=1)) + 255 * np.abs(w).sum(axis=1)
        if (most >= 2**31).any():
            raise Stays(f"sums and bias of row {int(most.argmax())} of its weights may exceed 32 bits")
