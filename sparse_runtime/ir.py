"""The graph between an importer and the file: values, nodes, and what passes need to rewrite them.

Operators, their inputs, outputs and attributes are those of csrc/include/spr/ops.inc, read through `_core.schema()`; a
node that does not follow them cannot be made. Shapes and types come from the C core (`Graph.annotate`), which runs the
same inference as the runtime, so Python never guesses them."""

from __future__ import annotations

import functools
import hashlib
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _core
from .errors import ModelFormatError, ShapeError, SparseRuntimeError, UnsupportedError

# Element types of spr.h; the numbers are ONNX's. Constants of any other type cannot be stored.
DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
}
MAX_RANK = 8
_KINDS = {"INT": int, "FLOAT": float, "STRING": str, "INTS": tuple}

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Parameter:
    """An input or output of an operator."""

    name: str
    optional: bool
    variadic: bool


class OpSchema:
    """One operator: `inputs`, `outputs` (Parameter tuples) and `attrs` {name: (int | float | str | tuple, default)}."""

    def __init__(self, name: str, row: Mapping[str, Any]):
        self.name = name
        self.inputs = _parameters(row["inputs"])
        self.outputs = _parameters(row["outputs"])
        self.attrs: dict[str, tuple[type, Any]] = {}
        for key, (kind, text) in row["attrs"].items():
            self.attrs[key] = (_KINDS[kind], _attribute(_KINDS[kind], text.split() if kind == "INTS" else text))

    def input_index(self, name: str) -> int:
        return [p.name for p in self.inputs].index(name)


def _parameters(text: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(word.rstrip("?*"), word.endswith("?"), word.endswith("*")) for word in text.split())


def _attribute(kind: type, value: Any) -> Any:
    """`value` as the type of an attribute. Raises TypeError or ValueError."""
    if kind is int:
        if isinstance(value, float) and not value.is_integer():
            raise ValueError(f"{value} is not an integer")
        return int(value)
    if kind is float:
        return float(value)
    if kind is tuple:
        return tuple(int(v) for v in value)
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


@functools.cache
def schema() -> dict[str, OpSchema]:
    """All operators of the IR by name."""
    return {name: OpSchema(name, row) for name, row in _core.schema().items()}


class Value:
    """A tensor: a graph input (`dims` set), a constant (`const` set) or the result of a node (`producer` set).

    `uses` has one entry per node input that reads it. `dtype`, `shapes` and `tries` are filled in by Graph.annotate: one
    shape per probe, and one or None for each of the sizes at which only a part of the graph may be possible."""

    __slots__ = ("name", "const", "dims", "dim_names", "producer", "uses", "dtype", "_shapes", "tries")

    def __init__(self, name: str):
        self.name = name
        self.const: np.ndarray | None = None
        self.dims: Shape | None = None
        self.dim_names: tuple[str, ...] = ()
        self.producer: Node | None = None
        self.uses: list[Node] = []
        self.dtype: str | None = None
        self.shapes: tuple[Shape, ...] = ()

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return self._shapes

    @shapes.setter
    def shapes(self, shapes: tuple[Shape, ...]) -> None:
        self._shapes = shapes
        self.tries: tuple[Shape | None, ...] = ()  # what was found out of another meaning

    @property
    def is_const(self) -> bool:
        return self.const is not None

    @property
    def is_input(self) -> bool:
        return self.dims is not None

    @property
    def shape(self) -> Shape | None:
        """Shape at the first probe, the one converted with; None where it is not known."""
        return self.shapes[0] if self.shapes else None

    @property
    def rank(self) -> int | None:
        return len(self.shapes[0]) if self.shapes else None

    def __repr__(self) -> str:
        return f"<Value {self.name}>"


class Node:
    """An operator applied to values. Attributes that are not given have the schema's default: node["axis"]."""

    __slots__ = ("op", "name", "inputs", "outputs", "attrs", "schema")

    def __init__(
        self, op: str, name: str, inputs: Sequence[Value | None], outputs: Sequence[Value], attrs: Mapping[str, Any]
    ):
        try:
            self.schema = schema()[op]
        except KeyError:
            raise UnsupportedError(f"node {name!r}: the IR has no operator {op!r}") from None
        self.op, self.name = op, name
        self.inputs, self.outputs = list(inputs), list(outputs)
        self.attrs: dict[str, Any] = {}
        _check_count(self, "inputs", self.inputs, self.schema.inputs)
        _check_count(self, "outputs", self.outputs, self.schema.outputs)
        for key, value in attrs.items():
            self[key] = value

    def __getitem__(self, key: str) -> Any:
        return self.attrs[key] if key in self.attrs else self.schema.attrs[key][1]

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self.schema.attrs:
            raise ModelFormatError(f"node {self.name!r}: {self.op} has no attribute {key!r}")
        kind = self.schema.attrs[key][0]
        try:
            self.attrs[key] = _attribute(kind, value)
        except (TypeError, ValueError) as error:
            raise ModelFormatError(f"node {self.name!r}: attribute {key} of {self.op}: {error}") from None

    def input(self, name: str) -> Value | None:
        """Input by its name in the schema; None where it is not given."""
        index = self.schema.input_index(name)
        return self.inputs[index] if index < len(self.inputs) else None

    def set_input(self, which: Any, value: Value | None) -> None:
        """Replaces an input given by index or schema name, keeping `uses` right. Missing optional inputs before it
        become None."""
        index = which if isinstance(which, int) else self.schema.input_index(which)
        self.inputs.extend([None] * (index + 1 - len(self.inputs)))
        if self.inputs[index] is not None:
            self.inputs[index].uses.remove(self)
        self.inputs[index] = value
        if value is not None:
            value.uses.append(self)
        _check_count(self, "inputs", self.inputs, self.schema.inputs)

    @property
    def output(self) -> Value:
        return self.outputs[0]

    def __repr__(self) -> str:
        return f"<{self.op} {self.name}>"


def _check_count(node: Node, what: str, values: Sequence[Value | None], parameters: Sequence[Parameter]) -> None:
    variadic = bool(parameters) and parameters[-1].variadic
    if len(values) > len(parameters) and not variadic:
        raise ModelFormatError(
            f"node {node.name!r}: {node.op} takes at most {len(parameters)} {what}, got {len(values)}"
        )
    for i, p in enumerate(parameters):
        if not p.optional and (i >= len(values) or values[i] is None):
            raise ModelFormatError(f"node {node.name!r}: {node.op} needs {what[:-1]} {i} ({p.name})")
    if any(v is None for v in values[len(parameters) :]):
        raise ModelFormatError(f"node {node.name!r}: {node.op} cannot leave out one of its {parameters[-1].name}")


class Graph:
    """Nodes in topological order, graph inputs and outputs. Names of values are unique."""

    def __init__(self, name: str = ""):
        self.name = name
        self.nodes: list[Node] = []
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self._values: dict[str, Value] = {}
        self._integers: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        self.floats: dict[str, str] = {}  # nodes left in float32 where others compute in 8 bits: why

    # ---- integers behind floats ------------------------------------------------------------------------------------

    def remember(self, array: np.ndarray, integers: np.ndarray, scale: Any) -> None:
        """Notes that a float32 array, wherever in the graph it is, is integers times one scale or one per row."""
        self._integers[_digest(array)] = (integers.reshape(-1), np.asarray(scale, np.float32).reshape(-1))

    def integers(self, array: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """What was noted: integers in the array's shape, and scales."""
        found = self._integers.get(_digest(array))
        return None if found is None else (found[0].reshape(array.shape), found[1])

    # ---- building --------------------------------------------------------------------------------------------------

    def unique(self, name: str) -> str:
        """`name`, with a number appended if a value has it already."""
        if name and name not in self._values:
            return name
        number = 1
        while f"{name}_{number}" in self._values:
            number += 1
        return f"{name}_{number}"

    def _add(self, name: str) -> Value:
        value = Value(self.unique(name))
        self._values[value.name] = value
        return value

    def add_input(self, name: str, dtype: str, dims: Sequence[int], dim_names: Sequence[str] = ()) -> Value:
        """`dims`: -1 where free; `dim_names`: what the model calls its dimensions, for messages."""
        if name in self._values:
            raise ModelFormatError(f"two graph inputs are called {name!r}")
        value = self._add(name)
        value.dtype, value.dims, value.dim_names = np.dtype(dtype).name, tuple(dims), tuple(dim_names)
        self.inputs.append(value)
        return value

    def add_const(self, name: str, array: Any) -> Value:
        value = self._add(name)
        value.const = np.ascontiguousarray(array).reshape(np.shape(array))
        value.dtype, value.shapes = value.const.dtype.name, (value.const.shape,)
        return value

    def add_node(
        self,
        op: str,
        inputs: Sequence[Value | None],
        name: str,
        outputs: Sequence[str] = (),
        before: Node | None = None,
        after: Node | None = None,
        **attrs: Any,
    ) -> Node:
        """`outputs`: names, by default one named after the node. `before`, `after`: where to insert; at the end by
        default."""
        given = list(inputs)
        while given and given[-1] is None:
            given.pop()
        values = [self._add(n) for n in (outputs or (name,))]
        try:
            node = Node(op, name, given, values, attrs)
        except Exception:
            for value in values:
                del self._values[value.name]
            raise
        for value in values:
            value.producer = node
        for value in given:
            if value is not None:
                value.uses.append(node)
        neighbour = before or after
        at = len(self.nodes) if neighbour is None else self.nodes.index(neighbour) + (neighbour is after)
        self.nodes.insert(at, node)
        return node

    # ---- rewriting -------------------------------------------------------------------------------------------------

    def sole_user(self, value: Value) -> Node | None:
        """The only node that reads a value which is not a graph output, else None."""
        return value.uses[0] if len(value.uses) == 1 and value not in self.outputs else None

    def can_replace(self, old: Value, new: Value) -> bool:
        """Whether `new` can take the place of `old` everywhere. A graph output keeps its name, so only the result of a
        node that is no other graph output can become one."""
        return old not in self.outputs or (new.producer is not None and new not in self.outputs)

    def replace(self, old: Value, new: Value) -> None:
        """Lets everything that reads `old`, but the node that makes `new`, read `new`; a graph output passes its name
        on."""
        assert self.can_replace(old, new), (old, new)
        for node in [n for n in old.uses if n is not new.producer]:
            for i, value in enumerate(node.inputs):
                if value is old:
                    node.set_input(i, new)
        if old in self.outputs:
            self.outputs[self.outputs.index(old)] = new
            self.rename(old, self.unique(old.name + "/replaced"), new)

    def rename(self, value: Value, name: str, heir: Value | None = None) -> None:
        """Gives a value another name, which must be free, and its old one to `heir`."""
        old = value.name
        assert name not in self._values
        del self._values[old]
        value.name = name
        self._values[name] = value
        if heir is not None:
            self.rename(heir, old)

    def remove(self, node: Node) -> None:
        """Removes a node whose results nothing reads."""
        assert not any(v.uses or v in self.outputs for v in node.outputs), node
        for value in node.inputs:
            if value is not None:
                value.uses.remove(node)
        for value in node.outputs:
            del self._values[value.name]
        self.nodes.remove(node)

    def rewrite(self, old: Value, op: str, inputs: Sequence[Value | None], **attrs: Any) -> Node:
        """Puts a new node, under the same name, in the place of the one that made `old`, and removes what is dead
        then."""
        name = old.name
        node = self.add_node(op, inputs, old.producer.name, (name,), before=old.producer, **attrs)
        node.output.dtype, node.output.shapes = old.dtype, old.shapes
        self.replace(old, node.output)
        if node.output.name != name:
            self.rename(old, self.unique(name + "/replaced"), node.output)
        self.remove_dead()
        return node

    def remove_dead(self) -> int:
        """Removes nodes that do not reach a graph output; returns how many."""
        count = 0
        for node in reversed(list(self.nodes)):
            if not any(v.uses or v in self.outputs for v in node.outputs):
                self.remove(node)
                count += 1
        return count

    def sort(self) -> None:
        """Restores topological order, leaving nodes where they are as far as possible."""
        order = {node: i for i, node in enumerate(self.nodes)}
        waiting = {node: sum(v is not None and v.producer is not None for v in node.inputs) for node in self.nodes}
        ready = [i for i, node in enumerate(self.nodes) if not waiting[node]]
        done: list[Node] = []
        while ready:
            node = self.nodes[heapq.heappop(ready)]
            done.append(node)
            for user in (user for value in node.outputs for user in value.uses):
                waiting[user] -= 1
                if not waiting[user]:
                    heapq.heappush(ready, order[user])
        if len(done) != len(self.nodes):
            raise ModelFormatError(f"node {next(n for n in self.nodes if waiting[n]).name!r} depends on its own result")
        self.nodes = done

    # ---- looking ---------------------------------------------------------------------------------------------------

    def constants(self) -> list[Value]:
        """Constants that something reads, in order of first use."""
        used = [v for node in self.nodes for v in node.inputs if v is not None] + self.outputs
        return list(dict.fromkeys(v for v in used if v.is_const))

    def values(self) -> Iterator[Value]:
        """Inputs, used constants and results."""
        yield from self.inputs
        yield from self.constants()
        for node in self.nodes:
            yield from node.outputs

    def __iter__(self) -> Iterator[Node]:
        """Over a copy of the node list, so that the graph may change meanwhile; skips nodes removed before their
        turn."""
        for node in list(self.nodes):
            if node.output.producer is node and self._values.get(node.output.name) is node.output:
                yield node

    def check(self) -> None:
        """Raises ModelFormatError unless the graph is well formed: order, uses, names, types of constants."""
        seen = set(self.inputs)
        uses: dict[Value, int] = {}
        for node in self.nodes:
            for value in node.inputs:
                if value is None:
                    continue
                uses[value] = uses.get(value, 0) + 1
                if not value.is_const and value not in seen:
                    raise ModelFormatError(f"node {node.name!r} reads {value.name!r} before anything makes it")
            for value in node.outputs:
                if value in seen or value.producer is not node:
                    raise ModelFormatError(f"value {value.name!r} has more than one producer")
                seen.add(value)
        for value in self.values():
            if self._values.get(value.name) is not value:
                raise ModelFormatError(f"two values are called {value.name!r}")
            if len(value.uses) != uses.get(value, 0):
                raise ModelFormatError(f"the users of {value.name!r} are out of step with the nodes")
            if value.is_const and value.const.dtype.name not in DTYPES.values():
                raise UnsupportedError(
                    f"constant {value.name!r} has type {value.const.dtype.name}; "
                    f"supported: {', '.join(DTYPES.values())}"
                )
        for value in self.outputs:
            if not value.is_const and value not in seen:
                raise ModelFormatError(f"nothing makes the graph output {value.name!r}")

    def __str__(self) -> str:
        lines = [f"graph {self.name or '(no name)'}"]
        lines += [f"  input {v.name}: {v.dtype}{_dims(v.dims, v.dim_names)}" for v in self.inputs]
        for node in self.nodes:
            made = ", ".join(v.name + ("" if v.shape is None else f": {v.dtype}{_dims(v.shape)}") for v in node.outputs)
            attrs = " ".join(f"{k}={_text(v)}" for k, v in node.attrs.items())
            lines.append(
                f"  {made} = {node.op}({', '.join(_argument(v) for v in node.inputs)})"
                + (f"  {attrs}" if attrs else "")
            )
        return "\n".join(lines + [f"  output {v.name}" for v in self.outputs])

    def upto(self, values: Sequence[Value]) -> Graph:
        """A copy of the part that computes some values, which are its outputs."""
        copy = self.clone()
        copy.outputs = [copy._values[v.name] for v in values]
        copy.remove_dead()
        return copy

    def clone(self) -> Graph:
        """A copy that can be rewritten on its own; constants' arrays are shared."""
        copy = Graph(self.name)
        copy._integers, copy.floats = self._integers, dict(self.floats)
        twin: dict[Value, Value] = {}
        for value in self.values():
            new = twin[value] = copy._add(value.name)
            new.const, new.dims, new.dim_names = value.const, value.dims, value.dim_names
            new.dtype, new.shapes, new.tries = value.dtype, value.shapes, value.tries
        copy.inputs = [twin[v] for v in self.inputs]
        copy.outputs = [twin[v] for v in self.outputs]
        for node in self.nodes:
            new_node = Node(
                node.op,
                node.name,
                [None if v is None else twin[v] for v in node.inputs],
                [twin[v] for v in node.outputs],
                node.attrs,
            )
            copy.nodes.append(new_node)
            for v in new_node.outputs:
                v.producer = new_node
            for v in new_node.inputs:
                if v is not None:
                    v.uses.append(new_node)
        return copy

    def adopt(self, other: Graph) -> None:
        """Becomes another graph, which must not be used any more."""
        self.__dict__.update(other.__dict__)

    # ---- to the core -----------------------------------------------------------------------------------------------

    def to_bytes(
        self, encodings: Mapping[str, str] | None = None, sparse: str = "auto", stored: dict[str, int] | None = None
    ) -> bytes:
        """The graph as a .spr file. `encodings`: {constant: "dense" | "bitmap" | "bitmap_2x1"}, dense where not given;
        `sparse`: what sessions do by default; `stored` gets {constant: bytes that it takes in the file}."""
        builder = _core.GraphBuilder()
        index: dict[Value, int] = {}
        for value in self.inputs:
            index[value] = builder.add_input(value.name, value.dtype, list(value.dims or ()))
        for value in self.constants():
            index[value] = builder.add_const(value.name, value.const, (encodings or {}).get(value.name, "dense"))
            if stored is not None:
                stored[value.name] = builder.stored_bytes(index[value])
        for node in self.nodes:
            for value in node.outputs:
                index[value] = builder.add_value(value.name)
            builder.add_node(
                node.op,
                node.name,
                [-1 if v is None else index[v] for v in node.inputs],
                [index[v] for v in node.outputs],
                dict(node.attrs),
            )
        for value in self.outputs:
            builder.add_output(index[value])
        builder.set_sparse(sparse)
        return builder.to_bytes()

    def model(self) -> _core.Model:
        """The graph as the core has it."""
        return _core.Model(self.to_bytes())

    def infer(self, *probes: Mapping[str, Shape]) -> list[dict[str, tuple[str, Shape]]]:
        """{value: (dtype, shape)} for each {input: shape}, without values whose shapes depend on contents. Raises what
        the core's inference raises."""
        model = self.model()
        return [model.infer(probe) for probe in probes]

    def unsupported(self, probe: Mapping[str, Shape]) -> list[str]:
        """What inference says of each node that it refuses as not supported, those behind them left out."""
        graph, messages = self.clone(), []
        while graph.nodes:
            try:
                graph.infer(probe)
                break
            except UnsupportedError as error:
                messages.append(str(error))
            except SparseRuntimeError:
                break
            culprit = next((n for n in graph.nodes if messages[-1].startswith(f"node {n.name!r} ({n.op}): ")), None)
            if culprit is None:
                break
            graph._cut(culprit)
        return messages

    def _cut(self, node: Node) -> None:
        """Removes a node and all that depend on it; what then nothing reads becomes an output."""
        lost: set[Value] = set()
        for other in self.nodes:
            if other is node or any(v in lost for v in other.inputs):
                lost.update(other.outputs)
        self.outputs = []
        for other in reversed(list(self.nodes)):
            if other.outputs[0] in lost:
                self.remove(other)
        self.outputs = [v for n in self.nodes for v in n.outputs if not v.uses]

    def annotate(self, probes: Sequence[Mapping[str, Shape]], tries: Sequence[Mapping[str, Shape]] = ()) -> None:
        """Fills in dtype and shapes of every value, one shape per probe; none where shapes depend on contents. `tries`:
        sizes that the graph need not take."""
        model = self.model()
        found = [model.infer(probe) for probe in probes]
        tried = [model.infer(probe, partial=True) for probe in tries]
        for value in self.values():
            if value.is_const:
                value.shapes, value.tries = (value.const.shape,) * len(found), (value.const.shape,) * len(tried)
                continue
            if not all(value.name in f for f in found):  # known only when the network has run
                value.dtype, value.shapes = None, ()
                continue
            kinds = {f[value.name][0] for f in found}
            if len(kinds) != 1:
                raise ShapeError(f"the type of {value.name!r} depends on the input shapes")
            value.dtype = kinds.pop()
            value.shapes = tuple(tuple(f[value.name][1]) for f in found)
            value.tries = tuple(tuple(f[value.name][1]) if value.name in f else None for f in tried)


def _digest(array: np.ndarray) -> bytes:
    return hashlib.sha1(np.ascontiguousarray(array).tobytes()).digest()


def _dims(dims: Sequence[int] | None, names: Sequence[str] = ()) -> str:
    shown = [
        names[i] if d < 0 and i < len(names) and names[i] else ("?" if d < 0 else str(d))
        for i, d in enumerate(dims or ())
    ]
    return "[" + ",".join(shown) + "]"


def _text(value: Any) -> str:
    return (
        "[" + ",".join(map(str, value)) + "]"
        if isinstance(value, tuple)
        else (f"{value:g}" if isinstance(value, float) else str(value))
    )


def _argument(value: Value | None) -> str:
    if value is None:
        return "-"
    if not value.is_const:
        return value.name
    if value.const.size <= 8:
        return f"{value.name}={np.array2string(value.const, separator=',', precision=6)}".replace("\n", "")
    return f"{value.name}:{value.const.dtype.name}{_dims(value.const.shape)}"
