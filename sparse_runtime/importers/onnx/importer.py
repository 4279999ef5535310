"""Walks an ONNX graph and builds the IR, collecting everything that is not supported."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

import numpy as np
import onnx
from onnx import helper, shape_inference

from ...errors import ArgumentError, ModelFormatError, SparseRuntimeError, UnsupportedError
from ...ir import DTYPES, MAX_RANK, Graph, Value
from ...session import Session
from . import ops
from .control import control_flow
from .fold import evaluate, fix_sizes, is_small
from .functions import inline_functions
from .ops.quantize import check_scales
from .reader import Source, node_reads, opset, read
from .registry import CONTROL, Call, Hint, TensorList, Unsupported, find_op, supported_ops

for _module in pkgutil.iter_modules(ops.__path__):
    importlib.import_module(f"{ops.__name__}.{_module.name}")

_FLOAT, _HALF = 1, 10  # TensorProto's numbers
# Operators that may see float16 as it is: they move it, or have to know the type.
_ANY_TYPE = {"Cast", "CastLike", "Identity", "Shape", "Size"}

# Operators that onnxruntime has in the default domain, though ONNX does not, or only since later opsets.
_BEYOND = {
    *("LayerNormalization", "SimplifiedLayerNormalization"),
    *("Affine", "Crop", "ImageScaler", "ParametricSoftplus", "ScaledTanh"),
}

# Batches and other free dimensions with which ranks are looked for, which are those of any size that a network takes.
_SIZES = ((1, 64), (1, 224), (1, 1), (2, 64))

# Operators with kernels for constant weights.
_WEIGHTED = {"BatchNormalization", "Conv", "ConvTranspose", "Gemm", "MatMul", "QLinearConv"}

InputShapes = Optional[Mapping[str, Sequence[Optional[int]]]]


def import_model(model: Any, input_shapes: InputShapes = None) -> Graph:
    """Reads `model` (path, bytes or onnx.ModelProto) into a Graph.

    `input_shapes`: {input: dims} in place of the model's own; -1 or None is a free dimension. Raises ModelFormatError
    for a damaged or inconsistent model, UnsupportedError naming every node that cannot be expressed, ModelIOError for
    files that cannot be read and ArgumentError for input shapes that do not fit."""
    source = read(model)
    inline_functions(source)
    return Importer(source, input_shapes).run()


class Importer:
    def __init__(self, source: Source, input_shapes: InputShapes):
        self.opset = opset(source)
        self.source, self.proto = source, source.model.graph
        self.graph = Graph(self.proto.name)
        self.values: dict[str, Value] = {}
        self.problems: list[str] = []
        self.asked_operator = False
        self.taken: set[str] = {name for node in self.proto.node for name in node.output}
        self.names: dict[str, int] = {}
        self.wide: dict[Value, Value] = {}  # float16 values in float32
        self.inferred: dict[str, Hint] = {}
        self.decided: set[Value] = set()  # computed from constants and shapes alone
        self.closed: set[Value] = set()  # computed from constants alone
        self.settled: dict[Value, Value] = {}  # constants that took their places
        self._inputs(input_shapes or {})
        self._raise_problems()
        self.hints = self._hints()

    # ---- inputs and initializers -----------------------------------------------------------------

    def _inputs(self, input_shapes: Mapping[str, Sequence[int | None]]) -> None:
        stored = {t.name for t in self.proto.initializer} | {s.values.name for s in self.proto.sparse_initializer}
        inputs = [i for i in self.proto.input if i.name not in stored]
        described = ", ".join(f"{i.name} [{_describe(i)}]" for i in inputs)
        unknown = sorted(set(input_shapes) - {i.name for i in inputs})
        if unknown:
            raise ArgumentError(f"input_shapes names {', '.join(map(repr, unknown))}; the inputs are: {described}")
        for info in inputs:
            if not info.type.HasField("tensor_type"):
                self.problems.append(
                    f"input {info.name!r} is a {info.type.WhichOneof('value') or 'value without a type'}; "
                    "supported: tensors"
                )
                continue
            tensor = info.type.tensor_type
            if tensor.elem_type not in DTYPES:
                self.problems.append(
                    f"input {info.name!r}: {_type_name(tensor.elem_type)}; supported: {', '.join(DTYPES.values())}"
                )
                continue
            dims = [
                d.dim_value if d.WhichOneof("value") == "dim_value" and d.dim_value >= 0 else -1
                for d in tensor.shape.dim
            ]
            if info.name in input_shapes:
                dims = _override(
                    info.name, dims if tensor.HasField("shape") else None, input_shapes[info.name], described
                )
            elif not tensor.HasField("shape"):
                raise ArgumentError(f"input {info.name!r} has no shape in the model: give one in input_shapes")
            if len(dims) > MAX_RANK:
                self.problems.append(f"input {info.name!r} of rank {len(dims)}; supported: up to {MAX_RANK}")
                continue
            names = [d.dim_param for d in tensor.shape.dim]
            self.values[info.name] = self.graph.add_input(info.name, DTYPES[tensor.elem_type], dims, names)
        self.initializers(self.proto)

    def initializers(self, graph: onnx.GraphProto) -> None:
        """Makes constants of the initializers of a graph."""
        for tensor in graph.initializer:
            self._initializer(tensor.name, lambda what, t=tensor: self.source.array(t, what))
        for sparse in graph.sparse_initializer:
            self._initializer(sparse.values.name, lambda what, s=sparse: self.source.sparse_array(s, what))

    def _initializer(self, name: str, load: Any) -> None:
        if not name:
            raise ModelFormatError("an initializer has no name")
        if name in self.values:
            raise ModelFormatError(f"two initializers are called {name!r}")
        self.values[name] = self.graph.add_const(name, load(f"initializer {name!r}"))

    def _hints(self) -> dict[str, Hint]:
        """Ranks and types from ONNX's shape inference, for the inputs as they are now; empty where it fails."""
        model = onnx.ModelProto()
        model.CopyFrom(self.source.model)
        del model.graph.value_info[:]
        for info in model.graph.input:
            value = self.values.get(info.name)
            if value is not None and value.is_input:
                info.CopyFrom(
                    helper.make_tensor_value_info(
                        info.name, info.type.tensor_type.elem_type, [None if d < 0 else d for d in value.dims]
                    )
                )
        try:
            model = shape_inference.infer_shapes(model)
        except Exception:  # broken models are reported by the walk, which names the node
            return {}
        hints = {}
        for info in _described(model.graph):
            tensor = info.type.tensor_type
            hints[info.name] = Hint(
                DTYPES.get(tensor.elem_type, _type_name(tensor.elem_type) if tensor.elem_type else None),
                len(tensor.shape.dim) if tensor.HasField("shape") else None,
                tensor.shape.dim[-1].dim_value or None if tensor.shape.dim else None,
            )
        return hints

    # ---- nodes -----------------------------------------------------------------------------------

    def run(self) -> Graph:
        self.walk(self.proto)
        self._outputs()
        self._raise_problems()
        self.graph.remove_dead()
        self.graph.check()
        return self.graph

    def walk(self, graph: onnx.GraphProto) -> None:
        """Converts the nodes of the model's graph, or of a branch of it."""
        used = {info.name for info in graph.output}
        live = []
        for node in reversed(graph.node):  # what no output needs may be anything
            if any(name in used for name in node.output):
                live.append(node)
                used.update(node_reads(node))
        for node in reversed(live):
            name = node.name or next((o for o in node.output if o), "") or node.op_type
            self.names[name] = self.names.get(name, 0) + 1
            self._node(node, name if self.names[name] == 1 else f"{name}_{self.names[name]}", used)

    def _raise_problems(self) -> None:
        if self.problems:
            there = [f"operators: {', '.join(supported_ops())}"] if self.asked_operator else []  # once for all
            lines = "\n  ".join([*self.problems, *there])
            raise UnsupportedError(f"{self.source.label} (opset {self.opset}) uses what is not supported:\n  {lines}")

    def _node(self, node: onnx.NodeProto, name: str, used: set[str]) -> None:
        where = f"node {name!r} ({node.op_type})"
        undefined = [i for i in node.input if i and i not in self.values]
        if undefined:
            raise ModelFormatError(
                f"{where}: input {undefined[0]!r} is not defined: no node before it, no graph input and no "
                "initializer has that name"
            )
        again = [o for o in node.output if o and o in self.values]
        if again:
            raise ModelFormatError(f"{where}: output {again[0]!r} is already defined")
        made: Sequence[Value | None] = ()
        count = len(self.graph.nodes)
        try:
            made = self._convert(node, name, used)
        except Unsupported as error:
            self.problems.append(
                f"{where}: {error.asked}" + (f"; supported: {error.supported}" if error.supported else "")
            )
        except UnsupportedError as error:
            self.problems.append(f"{where}: {error}")
        except SparseRuntimeError as error:
            raise ModelFormatError(f"{where}: {error}") from None
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            raise ModelFormatError(f"{where}: malformed: {error}") from error
        self.note(count)
        for output, value in zip(node.output, list(made) + [None] * len(node.output)):
            if not output:
                continue
            if value is None:  # unsupported, reported above; what follows is still looked at
                value = self.graph.add_node("Identity", [self._nothing()], name, [output]).output
            elif value.producer in self.graph.nodes[count:] and value not in self.values.values():
                self.graph.rename(value, output)
            self.values[output] = value

    def note(self, count: int) -> None:
        """Looks at what decides the results of the graph's nodes from number `count` on."""
        for new in self.graph.nodes[count:]:
            if new.op == "Shape" or all(v is None or v.is_const or v in self.decided for v in new.inputs):
                self.decided.update(new.outputs)
            if new.inputs and all(v is None or v.is_const or v in self.closed for v in new.inputs):
                self.closed.update(new.outputs)

    def constant(self, array: np.ndarray, name: str) -> Value:
        return self.graph.add_const(self.fresh(name), array)

    def _remember(self, array: np.ndarray, inputs: list[Any], axis: int) -> None:
        """Notes which integers a constant was made from, if its scales are by row; of a matrix, which may be used
        turned, by column too."""
        stored, scale, zero = (*inputs, None)[:3]
        for axis_of_rows in (0, 1) if stored.ndim == 2 else (0,):
            turned = (lambda a: a.T) if axis_of_rows else (lambda a: a)
            if scale.size > 1 and (axis % stored.ndim != axis_of_rows or scale.shape != turned(stored).shape[:1]):
                continue
            integers = turned(stored).astype(np.int64)
            if zero is not None:
                each = (-1,) + (1,) * (stored.ndim - 1)
                integers = integers - zero.astype(np.int64).reshape(each if zero.size > 1 else ())
            self.graph.remember(turned(array), integers, scale)

    def _nothing(self) -> Value:
        return self.graph.add_const("nothing", np.zeros(0, np.float32))

    def _convert(self, node: onnx.NodeProto, name: str, used: set[str]) -> Sequence[Value | None]:
        function = find_op(node.op_type, node.domain)
        if function is None and node.domain not in ("", "ai.onnx"):
            there = supported_ops(node.domain)
            if node.domain == "com.microsoft.nchwc":
                asked = "a layout of tensors that onnxruntime chose for one CPU"
                raise Unsupported(asked, "models that it saves with ORT_ENABLE_EXTENDED or less")
            raise Unsupported(
                f"operator of domain {node.domain!r}",
                f"of this domain {', '.join(there)}" if there else "operators of the domain ai.onnx",
            )
        attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        inputs = [self.values[i] if i else None for i in node.input]
        if node.op_type in CONTROL and node.domain in ("", "ai.onnx"):
            return control_flow(self, node, inputs, attrs)
        check_scales(node, inputs)
        subgraphs = [
            a.name for a in node.attribute if a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
        ]
        if subgraphs:
            raise Unsupported(f"subgraphs ({', '.join(subgraphs)})", f"subgraphs of {', '.join(CONTROL)}")
        folded = None
        if node.domain in ("", "ai.onnx"):
            self._check_schema(node)
            known = [None if v is None else (v.const if v.is_const else v) for v in inputs]
            folded = evaluate(node, self.opset, known)
        if folded is not None:
            if node.op_type == "DequantizeLinear" and folded[0].dtype == np.float32:
                self._remember(folded[0], known, attrs.get("axis", 1))
            return [
                self.graph.add_const(output, array) if output else None for output, array in zip(node.output, folded)
            ]
        if function is None:
            self.asked_operator = True
            raise Unsupported("operator", "the operators below")
        hints = [self.hints.get(i, Hint()) for i in node.input]
        self._settle(node.op_type, inputs)
        halves = node.op_type not in _ANY_TYPE and self._widen(inputs, hints)
        if node.op_type == "Cast":
            inputs = [self.wide.get(v, v) for v in inputs]
        call = Call(
            self.graph,
            node,
            name,
            self.opset,
            inputs,
            hints,
            [bool(o) and o in used for o in node.output],
            attrs,
            self.source,
            self.fresh,
            self._look_up,
        )
        result = function(call)
        if len(call.made) > 1:  # the node's own name goes to the one that does its work
            main = next((n for n in call.made if n.op in (node.op_type, "Conv", "FullyConnected")), call.made[-1])
            for made in call.made:
                if made is not main:
                    made.name = f"{name}/{made.op}"
        made = [result] if isinstance(result, (Value, TensorList)) else list(result)
        return [self._narrow(v, o, name) for v, o in zip(made, node.output)] if halves else made

    def _look_up(self, value: Value) -> Hint:
        """Type and rank of a value by our own inference, where ONNX's got stuck."""
        if value.name not in self.inferred and not self.problems:
            part = self.graph.upto([value])
            for batch, free in _SIZES if any(-1 in i.dims for i in part.inputs) else _SIZES[:1]:
                probe = {
                    i.name: [d if d >= 0 else free if k else batch for k, d in enumerate(i.dims)] for i in part.inputs
                }
                try:
                    (found,) = part.infer(probe)
                except SparseRuntimeError:  # of which converting will tell
                    continue
                self.inferred.update({name: Hint(str(dtype), len(shape)) for name, (dtype, shape) in found.items()})
                break
        return self.inferred.get(value.name, Hint())

    def _settle(self, op: str, inputs: list[Value | None]) -> None:
        """Inputs that constants decide, and that could not be folded node by node, become constants: weights however
        large they are, and where shapes decide them too."""
        if op not in _WEIGHTED and all(v is None or v.is_const or v in self.closed for v in inputs):
            return  # what reads the results will ask
        for i, value in enumerate(inputs):
            weights = i > 0 and op in _WEIGHTED and value in self.decided
            if weights or value in self.closed:
                if value not in self.settled:
                    known = self.contents(value) if weights or self._is_small(value) else None
                    if known is None:
                        continue
                    self.settled[value] = self.graph.add_const(self.fresh(f"{value.name}/value"), known)
                inputs[i] = self.settled[value]

    def _part(self, value: Value) -> Graph:
        """What computes a value, with those inputs only that it needs."""
        part = self.graph.upto([value])
        part.inputs = [v for v in part.inputs if v.uses]
        return part

    def _is_small(self, value: Value) -> bool:
        """Whether it is as well stored as computed."""
        part = self._part(value)
        try:
            ((dtype, shape),) = (found[value.name] for found in part.infer({}))
        except SparseRuntimeError:  # of which converting will tell
            return False
        return is_small(
            np.prod(shape, dtype=np.float64) * np.dtype(str(dtype)).itemsize,
            sum(v.const.nbytes for v in part.values() if v.is_const),
        )

    # ---- half precision: stored, but computed with in float32, unrounded from one operator to the next

    def _widen(self, inputs: list[Value | None], hints: list[Hint]) -> bool:
        """Puts float32 in the place of inputs that are float16; whether there were any."""
        found = False
        for i, value in enumerate(inputs):
            if value is None:
                continue
            known = value.const.dtype.name if value.is_const else value.dtype if value.is_input else hints[i].dtype
            if known != "float16":
                continue
            found = True
            if value not in self.wide:
                name = self.fresh(f"{value.name}/float32")
                if value.is_const:
                    self.wide[value] = self.graph.add_const(name, value.const.astype(np.float32))
                else:
                    self.wide[value] = self.graph.add_node("Cast", [value], name, [name], to=_FLOAT).output
            inputs[i], hints[i] = self.wide[value], Hint("float32", hints[i].rank, hints[i].last)
        return found

    def _narrow(self, value: Value | None, output: str, name: str) -> Value | None:
        """A result as the float16 that the model says it is, if it does; what reads it will find the wider one."""
        if value is None or self.hints.get(output, Hint()).dtype != "float16":
            return value
        narrow = self.graph.add_node("Cast", [value], f"{name}/float16", [self.fresh(output)], to=_HALF).output
        self.wide[narrow] = value
        return narrow

    def contents(self, value: Value) -> np.ndarray | None:
        """What is known of a value before anything is fed: a constant, or computed from constants and fixed shapes."""
        if value.is_const:
            return value.const
        if self.problems or value not in self.decided:
            return None
        part = self._part(value)
        fix_sizes(part)
        part.inputs = [v for v in part.inputs if v.uses]
        if any(-1 in i.dims for i in part.inputs):
            return None
        return Session(part.to_bytes()).run(None, {i.name: np.zeros(i.dims, i.dtype) for i in part.inputs})[0]

    def _check_schema(self, node: onnx.NodeProto) -> None:
        """Number of inputs and outputs, names and types of attributes, as the specification has them."""
        if node.op_type in _BEYOND and not onnx.defs.has(node.op_type, self.opset, ""):
            return
        if not onnx.defs.has(node.op_type, self.opset, ""):
            raise Unsupported(f"an operator that ONNX opset {self.opset} does not have", "the operators of ONNX")
        context = onnx.checker.C.CheckerContext()
        context.ir_version = max(self.source.model.ir_version, 3)
        # The checker refuses the form of opsets 18 to 20 as deprecated; but for what scale and bias mean it is the next.
        newer = node.op_type == "GroupNormalization" and onnx.defs.onnx_opset_version() >= 21
        context.opset_imports = {"": 21 if newer else self.opset}
        try:
            onnx.checker.check_node(node, context)
        except onnx.checker.ValidationError as error:
            raise ModelFormatError(str(error).split("\n")[0]) from None

    def fresh(self, name: str) -> str:
        number, candidate = 1, name
        while candidate in self.taken or candidate in self.values:
            number, candidate = number + 1, f"{name}_{number}"
        return self.graph.unique(candidate)

    def _outputs(self) -> None:
        if not self.proto.output:
            raise ModelFormatError("the model has no outputs")
        for info in self.proto.output:
            if info.name not in self.values:
                raise ModelFormatError(f"nothing makes the graph output {info.name!r}")
            value = self.values[info.name]
            if isinstance(value, TensorList):
                self.problems.append(f"output {info.name!r} is a sequence; supported: tensors")
                continue
            if value.is_const and value.name == info.name:
                self.graph.rename(value, self.graph.unique(f"{info.name}/value"))
            if value.producer is None or value in self.graph.outputs:  # an input, a constant, or twice the same
                name = self.graph.unique(info.name if value.name != info.name else f"{info.name}/copy")
                value = self.graph.add_node("Identity", [value], f"{info.name}/Identity", [name]).output
            elif value.name != info.name:
                self.graph.rename(value, info.name)
            self.graph.outputs.append(value)


def _described(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    """What a graph, and those in its nodes, say of values."""
    yield from graph.value_info
    yield from graph.output
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [attribute.g, *attribute.graphs]:
                yield from _described(inner)


def _override(name: str, dims: Sequence[int] | None, given: Sequence[int | None], described: str) -> list[int]:
    try:
        new = [-1 if d is None else int(d) for d in given]
    except (TypeError, ValueError):
        raise ArgumentError(f"the shape of {name!r} in input_shapes is not a sequence of integers: {given!r}") from None
    if dims is not None and len(new) != len(dims):
        raise ArgumentError(f"input_shapes gives {name!r} {len(new)} dimensions; the inputs are: {described}")
    if any(d < -1 for d in new):
        raise ArgumentError(f"the shape of {name!r} in input_shapes has a negative dimension: {new} (-1: free)")
    if any(d >= 1 << 31 for d in new):
        raise ArgumentError(f"the shape of {name!r} in input_shapes has a dimension above 2^31 - 1: {new}")
    return new


def _describe(info: onnx.ValueInfoProto) -> str:
    return ",".join(
        str(d.dim_value) if d.WhichOneof("value") == "dim_value" else (d.dim_param or "?")
        for d in info.type.tensor_type.shape.dim
    )


def _type_name(number: int) -> str:
    try:
        return onnx.TensorProto.DataType.Name(number).lower()
    except ValueError:
        return f"type {number}"
