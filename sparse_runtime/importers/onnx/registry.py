"""The table of ONNX operators and what their functions work with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, Optional, Union

import numpy as np
import onnx

from ...errors import ModelFormatError
from ...ir import DTYPES, Graph, Node, Value
from .reader import Source

CONTROL = ("If", "Loop", "Scan")  # which control.py sees to
_INT64_MAX = (1 << 63) - 1
Result = Union[Value, "TensorList", Sequence[Optional[Value]]]
_OPS: dict[str, Callable[[Call], Result]] = {}


def op(*names: str) -> Callable[[Callable[[Call], Result]], Callable[[Call], Result]]:
    """Registers a function for ONNX operators, "domain.Name" in other domains. It gets a Call and returns the value, or
    one value per output."""

    def register(function: Callable[[Call], Result]) -> Callable[[Call], Result]:
        for name in names:
            assert name not in _OPS, name
            _OPS[name] = function
        return function

    return register


def find_op(name: str, domain: str) -> Callable[[Call], Result] | None:
    return _OPS.get(name if domain in ("", "ai.onnx") else f"{domain}.{name}")


def supported_ops(domain: str = "") -> list[str]:
    """Names of all operators of a domain; the importer itself sees to control flow."""
    if domain:
        return sorted(name[len(domain) + 1 :] for name in _OPS if name.startswith(domain + "."))
    return sorted([*(name for name in _OPS if "." not in name), *CONTROL])


class Unsupported(Exception):
    """Raised by an operator's function: what was asked for, and what is supported."""

    def __init__(self, asked: str, supported: str = ""):
        super().__init__(asked)
        self.asked, self.supported = asked, supported


class TensorList:
    """A sequence of tensors, in the place of a Value."""

    is_const = is_input = False
    producer = None

    def __init__(self, values: Sequence[Value]):
        self.values = list(values)


class Hint:
    """What ONNX's own shape inference says of a tensor; None where it does not know. For rank and type, and the last
    dimension where that is part of the type, as with complex numbers; never for sizes."""

    def __init__(self, dtype: str | None = None, rank: int | None = None, last: int | None = None):
        self.dtype, self.rank, self.last = dtype, rank, last


class Call:
    """One ONNX node being imported. Inputs that are not given are None."""

    def __init__(
        self,
        graph: Graph,
        node: onnx.NodeProto,
        name: str,
        opset: int,
        inputs: Sequence[Value | None],
        hints: Sequence[Hint],
        used_outputs: Sequence[bool],
        attrs: dict[str, Any],
        source: Source,
        fresh: Callable[[str], str],
        look_up: Callable[[Value], Hint],
    ):
        self.graph, self.name, self.op, self.opset = graph, name, node.op_type, opset
        self.inputs, self.attrs = list(inputs), attrs
        self.read_array, self.read_sparse = source.array, source.sparse_array
        self.used_outputs = list(used_outputs)
        self.made: list[Node] = []
        self.older = source.older
        self._hints, self._fresh, self._look_up = list(hints), fresh, look_up

    # ---- what the model says -----------------------------------------------------------------------------------------

    def get(self, index: int) -> Value | None:
        """Input by index, None where it is not given."""
        return self.inputs[index] if index < len(self.inputs) else None

    def x(self, index: int = 0) -> Value:
        """Required input by index."""
        value = self.get(index)
        if value is None:
            raise ModelFormatError(f"input {index} is missing")
        return value

    def attr(self, name: str, default: Any = None) -> Any:
        return self.attrs.get(name, default)

    def need(self, name: str) -> Any:
        """Required attribute."""
        if name not in self.attrs:
            raise ModelFormatError(f"attribute {name} is missing")
        return self.attrs[name]

    def text(self, name: str, default: str) -> str:
        value = self.attrs.get(name, default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def rank(self, index: int = 0) -> int | None:
        value = self.get(index)
        if value is not None and value.is_const:
            return value.const.ndim
        if value is not None and value.is_input:
            return len(value.dims)
        return self._hint(index, "rank")

    def dtype(self, index: int = 0) -> str | None:
        value = self.get(index)
        if value is not None and (value.is_const or value.is_input):
            return value.dtype
        return self._hint(index, "dtype")

    def _hint(self, index: int, what: str) -> Any:
        if self.get(index) is None:
            return None
        known = getattr(self._hints[index], what)
        return getattr(self._look_up(self.x(index)), what) if known is None else known

    def last(self, index: int = 0) -> int | None:
        """The last dimension, where ONNX's shape inference knows it."""
        value = self.x(index)
        if value.is_const:
            return value.const.shape[-1]
        return value.dims[-1] if value.is_input else self._hints[index].last

    def known_rank(self, index: int = 0) -> int:
        rank = self.rank(index)
        if rank is None:
            raise Unsupported(f"input {index} of unknown rank", "ranks that ONNX's shape inference finds")
        return rank

    def axis(self, value: int, index: int = 0) -> int:
        """An axis of an input from 0 on."""
        rank = self.known_rank(index)
        if not -rank <= value < rank:
            raise ValueError(f"axis {value} of an input of rank {rank}")
        return value % rank

    def is_float(self, index: int = 0) -> bool:
        """Whether an input is float32, or not known to be anything else."""
        return self.dtype(index) in (None, "float32")

    # ---- checks ------------------------------------------------------------------------------------------------------

    def float32(self, *indices: int) -> None:
        """Refuses inputs of other types."""
        for i in indices or (0,):
            if self.get(i) is not None and not self.is_float(i):
                raise Unsupported(f"input {i} of type {self.dtype(i)}", "float32")

    def floats(self, *indices: int) -> None:
        """Refuses inputs that are neither float32 nor float64."""
        for i in indices or (0,):
            if self.dtype(i) != "float64" and not self.is_float(i):
                raise Unsupported(f"input {i} of type {self.dtype(i)}", "float32 and float64")

    def choice(self, name: str, value: Any, allowed: Sequence[Any]) -> Any:
        if value not in allowed:
            raise Unsupported(f"{name}={value}", f"{name}=" + " or ".join(map(str, allowed)))
        return value

    def const(self, index: int, what: str) -> np.ndarray:
        """Contents of an input that has to be a constant."""
        value = self.x(index)
        if not value.is_const:
            where = (
                f"graph input {value.name!r}: the file has no weights for it"
                if value.is_input
                else f"{value.name!r}, which is computed"
            )
            raise Unsupported(f"{what} from {where}", f"{what} as a constant (an initializer)")
        return value.const

    def weights(self, index: int, what: str) -> np.ndarray:
        """A constant of float32."""
        array = self.const(index, what)
        if array.dtype != np.float32:
            raise Unsupported(f"{what} of type {array.dtype}", "float32")
        return array

    def output_type(self, name: str, default: str) -> str:
        """The element type that an attribute names."""
        return dtype_name(self.attrs[name]) if self.attrs.get(name) else default

    def only_first_output(self, what: str) -> None:
        if any(self.used_outputs[1:]):
            raise Unsupported(
                f"the output{'s' if len(self.used_outputs) > 2 else ''} for {what}", "the first output only"
            )

    # ---- what becomes of it ----------------------------------------------------------------------

    def emit(self, op_name: str, *inputs: Value | None, **attrs: Any) -> Value:
        """Adds an IR node with one output."""
        return self.emit_many(op_name, inputs, 1, **attrs)[0]

    def emit_many(self, op_name: str, inputs: Sequence[Value | None], count: int, **attrs: Any) -> list[Value]:
        names = [self._fresh(f"{self.name}/{op_name}") for _ in range(count)]
        node = self.graph.add_node(op_name, inputs, self.name, names, **attrs)
        self.made.append(node)
        return list(node.outputs)

    def constant(self, array: Any, hint: str) -> Value:
        return self.graph.add_const(self._fresh(f"{self.name}/{hint}"), array)

    def ints(self, values: Any, hint: str) -> Value:
        return self.constant(np.asarray(values, np.int64), hint)

    def scalar(self, value: float, like: int = 0, hint: str = "value") -> Value:
        """A scalar constant of the type of an input."""
        return self.constant(np.asarray(value, self.dtype(like) or "float32"), hint)

    def unary(self, fn: str, x: Value, a: float = 0.0, b: float = 0.0) -> Value:
        return self.emit("Unary", x, fn=fn, a=a, b=b)

    def binary(self, fn: str, a: Value, b: Value) -> Value:
        return self.emit("Binary", a, b, fn=fn)

    def compare(self, fn: str, a: Value, b: Value) -> Value:
        return self.emit("Compare", a, b, fn=fn)

    def where(self, condition: Value, a: Value, b: Value) -> Value:
        return self.emit("Where", condition, a, b)

    def cast(self, x: Value, dtype: str) -> Value:
        return self.emit("Cast", x, to=number(dtype))

    def reduce(self, fn: str, x: Value, axes: Sequence[int], keepdims: int = 1) -> Value:
        return self.emit("Reduce", x, self.ints(axes, "axes"), fn=fn, keepdims=keepdims)

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """0 takes a dimension over, -1 is what is left."""
        return self.emit("Reshape", x, self.ints(shape, "shape"))

    def reshape_like(self, x: Value, like: Value) -> Value:
        return self.emit("Reshape", x, self.emit("Shape", like), allowzero=1)

    def unsqueeze(self, x: Value, axes: Sequence[int]) -> Value:
        return self.emit("Unsqueeze", x, self.ints(axes, "axes"))

    def size(self, x: Value, axis: int) -> Value:
        """A dimension, as int64 [1]."""
        end = axis + 1 or _INT64_MAX
        return self.emit("Shape", x, start=axis, end=end)

    def range(self, count: Value) -> Value:
        """0, 1, 2 ... below `count`, an int64 of one element."""
        return self.emit("Range", self.constant(np.int64(0), "start"), count, self.constant(np.int64(1), "delta"))


def dtype_name(number: int) -> str:
    """numpy's name of a TensorProto.DataType that the IR has, else raises Unsupported."""
    if number not in DTYPES:
        try:
            asked = onnx.TensorProto.DataType.Name(number)
        except ValueError:
            asked = str(number)
        raise Unsupported(f"type {asked}", ", ".join(DTYPES.values()))
    return DTYPES[number]


def number(name: str) -> int:
    """The inverse of dtype_name()."""
    return next(number for number, dtype in DTYPES.items() if dtype == name)


def pair(values: Sequence[int], fill: int) -> tuple[int, ...]:
    """A per-axis attribute of one spatial axis as one of two axes, of which the first has length 1."""
    return (fill, values[0]) if len(values) == 1 else tuple(values)
