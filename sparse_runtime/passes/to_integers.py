"""Operators between DequantizeLinear and QuantizeLinear compute on the integers themselves (docs/quantization.md).

An operator is taken if all it reads is dequantized, with one scale for the tensor, and, unless it is a convolution, if
only a QuantizeLinear reads its result. Everything else stays as it is, between conversions: an island of floats."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from ..ir import Graph, Node, Value
from .match import is_float, only_reader, scalar

_FLT_MIN, _FLT_MAX = 2.0**-126, 3e38


class _Quantum:
    """Scale and zero of a tensor, the zero as that of an int8."""

    def __init__(self, scale: float, zero: int):
        self.scale, self.zero = scale, zero

    def attrs(self, name: str) -> dict[str, Any]:
        return {f"{name}_scale": self.scale, f"{name}_zero": self.zero}


def run(graph: Graph) -> int:
    return _Pass(graph).run()


class _Pass:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.quantized: dict[Value, Value] = {}  # integers of the model -> the same as a quantized value

    def run(self) -> int:
        count = 0
        for node in self.graph:
            count += bool(node.op in _CONVERT and _CONVERT[node.op](self, node))
        if count:
            self._read_quantized()
            self.graph.remove_dead()
        return count

    # ---- what nodes read and write ---------------------------------------------------------------------------------

    def quantum(self, node: Node, kind: str | None) -> _Quantum | None:
        """That of a QuantizeLinear or DequantizeLinear for 8 bit integers of type `kind`."""
        scale, zero = scalar(node.input("scale")), node.input("zero_point")
        number = 0.0 if zero is None else scalar(zero)
        if kind not in ("int8", "uint8") or scale is None or number is None or not _FLT_MIN <= scale <= _FLT_MAX:
            return None
        return _Quantum(scale, int(number) - (128 if kind == "uint8" else 0))

    def source(self, value: Value | None) -> tuple[Value, _Quantum] | None:
        """The integers behind a dequantized image, and what they mean."""
        node = value.producer if value is not None else None
        if node is None or node.op != "DequantizeLinear" or value.rank != 4 or node.inputs[0].is_const:
            return None
        quantum = self.quantum(node, node.inputs[0].dtype)
        return None if quantum is None else (node.inputs[0], quantum)

    def target(self, value: Value) -> tuple[Value, _Quantum] | None:
        """The integers that a result becomes, if nothing else reads it."""
        node = only_reader(self.graph, value)
        if node is None or node.op != "QuantizeLinear" or any(u.op == "Shape" for u in value.uses):
            return None
        quantum = self.quantum(node, node.output.dtype)
        return None if quantum is None else (node.output, quantum)

    def take(self, source: tuple[Value, _Quantum], before: Node) -> Value:
        """The quantized value for integers of the model."""
        integers, quantum = source
        if integers not in self.quantized:
            made = integers.producer
            x = made.inputs[0] if made is not None and made.op == "QuantizeLinear" and is_float(made.inputs[0]) else integers
            attrs = quantum.attrs("y")
            node = self.graph.add_node("Quantize", [x], f"{integers.name}/quantize", before=before, **attrs)
            self.quantized[integers] = self._typed(node.output, integers)
        return self.quantized[integers]

    def put(self, target: tuple[Value, _Quantum], op: str, node: Node, inputs: list[Value | None], **attrs: Any) -> bool:
        """Computes the integers of the model by a quantized operator in the place of a node."""
        made = self.graph.add_node(op, inputs, node.name, (f"{target[0].name}/quantized",), before=node, **attrs)
        self.quantized[target[0]] = self._typed(made.output, target[0])
        return True

    @staticmethod
    def _typed(value: Value, like: Value) -> Value:
        value.dtype, value.shapes = "quantized", like.shapes
        return value

    def _read_quantized(self) -> None:
        """What still reads integers of the model gets them from the quantized values."""
        for integers, value in self.quantized.items():
            if value.producer.op == "Quantize":
                continue
            for node in list(dict.fromkeys(integers.uses)):
                if node.op == "DequantizeLinear" and self.quantum(node, integers.dtype) is not None and is_float(node.output):
                    q = self.quantum(node, integers.dtype)
                    self._replace(node.output, value, q.attrs("x"))
            if integers.uses or integers in self.graph.outputs:
                self._replace(integers, value, {"to": 2 if integers.dtype == "uint8" else 3})

    def _replace(self, old: Value, value: Value, attrs: dict[str, Any]) -> None:
        if not old.uses and old not in self.graph.outputs:
            return
        node = self.graph.add_node("Dequantize", [value], f"{old.name}/dequantize", after=value.producer, **attrs)
        node.output.dtype, node.output.shapes = old.dtype, old.shapes
        self.graph.replace(old, node.output)

    # ---- operators -------------------------------------------------------------------------------------------------

    def conv(self, node: Node) -> bool:
        x, w, b = self.source(node.input("X")), node.input("W"), node.input("B")
        z = self.source(node.input("Z"))
        if x is None or node["act"] not in ("none", "clip", "hard_swish", "hard_sigmoid", "leaky_relu"):
            return False
        if z is None and node.input("Z") is not None:
            return False
        found = _stored(self.graph, w)
        weights = None if found is None else _weights(found[0])
        if weights is None:
            return False
        scale = found[1]
        bias = None if b is None else _bias(self.graph, b, x[1].scale * scale.astype(np.float64))
        if b is not None and bias is None:
            return False
        target = self.target(node.output)
        names = {"w": weights[0], "w_scale": scale.astype(np.float32), "bias": bias}
        constants = [
            None if array is None else self.graph.add_const(f"{node.name}/{name}", array) for name, array in names.items()
        ]
        attrs = {k: v for k, v in node.attrs.items()}
        attrs.update(x[1].attrs("x"), w_zero=weights[1], **(z[1].attrs("z") if z else {}))
        inputs = [self.take(x, node), *constants, self.take(z, node) if z else None]
        if target is not None:
            return self.put(target, "QConv", node, inputs, **attrs, **target[1].attrs("y"))
        name = node.output.name
        made = self.graph.add_node("QConv", inputs, node.name, (f"{name}/float",), before=node, **attrs, y_scale=0.0)
        made.output.dtype, made.output.shapes = node.output.dtype, node.output.shapes
        self.graph.replace(node.output, made.output)
        return True

    def pool(self, node: Node) -> bool:
        x, target = self.source(node.input("X")), self.target(node.output)
        if x is None or target is None:
            return False
        attrs = {k: v for k, v in node.attrs.items() if k != "count_include_pad"}
        kind = "max" if "Max" in node.op else "average"
        if node.op == "AveragePool" and node["count_include_pad"]:
            kind = "average_include_pad"
        return self.put(target, "QPool", node, [self.take(x, node)], kind=kind, **attrs, **x[1].attrs("x"), **target[1].attrs("y"))

    def binary(self, node: Node) -> bool:
        sources, target = [self.source(v) for v in node.inputs], self.target(node.output)
        if target is None or None in sources or node["fn"] not in ("add", "sub", "mul") or node["act"] not in ("none", "clip"):
            return False
        pixels = [[s[2] * s[3] for s in v.shapes] for v in node.inputs]
        if any(v.shapes != node.output.shapes and set(p) != {1} for v, p in zip(node.inputs, pixels)):
            return False
        if any(v.shapes[i][:2] != s[:2] for v in node.inputs for i, s in enumerate(node.output.shapes)):
            return False
        inputs = [self.take(s, node) for s in sources]
        attrs = {**sources[0][1].attrs("a"), **sources[1][1].attrs("b"), **target[1].attrs("y")}
        return self.put(target, "QBinary", node, inputs, **node.attrs, **attrs)

    def unary(self, node: Node) -> bool:
        x, target = self.source(node.input("X")), self.target(node.output)
        if x is None or target is None or node["fn"] == "prelu":
            return False
        return self.put(target, "QUnary", node, [self.take(x, node)], **node.attrs, **x[1].attrs("x"), **target[1].attrs("y"))

    def concat(self, node: Node) -> bool:
        sources, target = [self.source(v) for v in node.inputs], self.target(node.output)
        if target is None or None in sources or node["axis"] not in (1, -3):
            return False
        inputs = []
        for source in sources:
            value = self.take(source, node)
            if (source[1].scale, source[1].zero) != (target[1].scale, target[1].zero):
                attrs = {**source[1].attrs("x"), **target[1].attrs("y")}
                made = self.graph.add_node("QUnary", [value], f"{node.name}/requantize", before=node, **attrs)
                value = self._typed(made.output, value)
            inputs.append(value)
        return self.put(target, "QConcat", node, inputs)


_CONVERT: dict[str, Callable[[_Pass, Node], bool]] = {
    "Conv": _Pass.conv,
    "MaxPool": _Pass.pool,
    "AveragePool": _Pass.pool,
    "GlobalAveragePool": _Pass.pool,
    "GlobalMaxPool": _Pass.pool,
    "Binary": _Pass.binary,
    "Unary": _Pass.unary,
    "Concat": _Pass.concat,
}


def _stored(graph: Graph, value: Value) -> tuple[np.ndarray, np.ndarray] | None:
    """Integers and scales, one or one per row, behind a constant or what is dequantized from one."""
    if value.is_const:
        return graph.integers(value.const)
    node = value.producer
    if node is None or node.op != "DequantizeLinear" or not all(v is None or v.is_const for v in node.inputs):
        return None
    stored, scale, zero = node.inputs[0].const, node.inputs[1].const.reshape(-1), node.input("zero_point")
    if scale.size > 1 and (node["axis"] % stored.ndim != 0 or scale.size != len(stored)):
        return None
    less = 0 if zero is None else zero.const.astype(np.int64).reshape((-1,) + (1,) * (stored.ndim - 1) if zero.const.size > 1 else ())
    return stored.astype(np.int64) - less, scale


def _weights(integers: np.ndarray) -> tuple[np.ndarray, int] | None:
    """As int8 and a zero, if they fit: nine bits do where there is a zero."""
    if not integers.size:
        return None
    low, high = int(integers.min()), int(integers.max())
    zero = 0 if low >= -128 and high <= 127 else max(-128, min(127, 127 - high if high > 127 else -128 - low))
    if low + zero < -128 or high + zero > 127 or high >= 255:
        return None
    return (integers + zero).astype(np.int8), zero


def _bias(graph: Graph, bias: Value, quantum: np.ndarray) -> np.ndarray | None:
    """In int32 quanta of x_scale * w_scale."""
    known = _stored(graph, bias)
    if known is None and not bias.is_const:
        return None
    if known is not None and np.allclose(known[1].astype(np.float64), quantum, rtol=1e-4, atol=0):
        array = known[0].astype(np.float64)
    else:
        real = bias.const.astype(np.float64) if bias.is_const else known[0] * known[1].astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            array = np.rint(real / quantum)
    if not np.all(np.abs(array) < 2**31):
        return None
    return array.astype(np.int32)
