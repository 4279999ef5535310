"""Control flow, which is gone after importing: branches become nodes of the graph, the one that is taken where that is
known and both where it is not; so do the turns of a loop, one after the other, whose number has to be known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import onnx

from ...errors import ModelFormatError, SparseRuntimeError
from ...ir import Value
from .registry import TensorList, Unsupported

if TYPE_CHECKING:
    from .importer import Importer

Item = Union[Value, TensorList, None]

_MOST_NODES = 10000  # that a loop may become
_DEPENDS = "that depends on what is fed or on a free dimension"
_KNOWN = "what constants and the inputs' shapes decide (input_shapes= fixes free dimensions)"


def control_flow(importer: Importer, node: onnx.NodeProto, inputs: Sequence[Item], attrs: dict[str, Any]) -> list[Item]:
    """What an If, Loop or Scan results in."""
    if node.op_type == "Scan" and importer.opset < 9:
        raise Unsupported(f"Scan of opset {importer.opset}", "that of opset 9 and newer")
    for index in {"If": (0,), "Loop": (), "Scan": range(len(inputs))}[node.op_type]:
        if index >= len(inputs) or inputs[index] is None:
            raise ModelFormatError(f"input {index} is missing")
    for name in {"If": ("then_branch", "else_branch")}.get(node.op_type, ("body",)):
        if not isinstance(attrs.get(name), onnx.GraphProto):
            raise ModelFormatError(f"attribute {name} is missing")
    try:
        return {"If": _if, "Loop": _loop, "Scan": _scan}[node.op_type](importer, node, list(inputs), attrs)
    except _Moot:
        return [None] * len(node.output)


# ---- If --------------------------------------------------------------------------------------------------------------


def _if(importer: Importer, node: onnx.NodeProto, inputs: list[Item], attrs: dict[str, Any]) -> list[Item]:
    known = _known(importer, inputs[0])
    if known is not None:
        return _Body(importer, attrs["then_branch" if _true(known) else "else_branch"]).turn([])
    both = [_Body(importer, attrs[name]).turn([]) for name in ("then_branch", "else_branch")]
    if any(v is None for v in (*both[0], *both[1])):
        return [None] * len(node.output)
    if len(both[0]) != len(both[1]):
        raise ModelFormatError(f"branches with {len(both[0])} and {len(both[1])} outputs")
    for pair in zip(*both):
        if not _same_shape(importer, pair):
            raise Unsupported(
                f"a condition {_DEPENDS}, with results of different shapes or such as are not known",
                f"{_KNOWN}, or results of equal shapes",
            )
    return [_emit(importer, "Where", [inputs[0], then, other], "value") for then, other in zip(*both)]


def _true(condition: np.ndarray) -> bool:
    if condition.size != 1:
        raise ModelFormatError(f"a condition of {condition.size} elements")
    return bool(condition.reshape(-1)[0])


def _same_shape(importer: Importer, pair: Sequence[Item]) -> bool:
    """Whether two values have one shape, known before anything runs, at every size of the inputs that is looked at."""
    if not all(isinstance(v, Value) for v in pair):
        return False
    pair = [v if v.producer else _emit(importer, "Identity", [v], v.name) for v in pair]
    looked_at = 0
    for sizes in ((61, 67, 71, 73), (96, 128, 160, 192)) if any(-1 in v.dims for v in importer.graph.inputs) else ((),):
        free = iter(sizes * 64)
        probe = {v.name: [next(free) if d < 0 else d for d in v.dims] for v in importer.graph.inputs}
        try:
            (found,) = importer.graph.upto(list(pair)).infer(probe)
        except SparseRuntimeError:
            continue
        if not all(v.name in found for v in pair) or len({found[v.name] for v in pair}) > 1:
            return False
        looked_at += 1
    return looked_at > 0


# ---- loops -----------------------------------------------------------------------------------------------------------


def _loop(importer: Importer, node: onnx.NodeProto, inputs: list[Item], attrs: dict[str, Any]) -> list[Item]:
    limit, condition, *carried = (*inputs, None, None)[: max(len(inputs), 2)]
    body = _Body(importer, attrs["body"])
    body.check_outputs(1 + max(len(carried), len(node.output)))
    turns = None if limit is None else int(_decided(importer, limit, "a number of turns").reshape(()))
    if body.goes_on():
        body.check_size(turns or 0)
    going = condition is None or _true(_decided(importer, condition, "a condition"))
    collected: list[list[Item]] = [[] for _ in node.output[len(carried) :]]
    done = 0
    while going and (turns is None or done < turns):
        body.check_size(done + 1)
        number = importer.constant(np.int64(done), f"{body.label}/turn")
        holds = importer.constant(np.array(True), f"{body.label}/condition")
        again, *results = body.turn([number, holds, *carried])
        if again is None:
            return [None] * len(node.output)
        carried = results[: len(carried)]
        for values, value in zip(collected, results[len(carried) :]):
            values.append(value)
        done += 1
        if turns is None or done < turns:
            going = _true(_decided(importer, again, "a condition"))
    stacked = [_stacked(importer, *each, 0) for each in zip(node.output[len(carried) :], collected)]
    return [*carried, *stacked]


def _scan(importer: Importer, node: onnx.NodeProto, inputs: list[Item], attrs: dict[str, Any]) -> list[Item]:
    count = attrs["num_scan_inputs"]
    states, scanned = inputs[: len(inputs) - count], inputs[len(inputs) - count :]
    outputs = len(node.output) - len(states)
    axes, back = (list(attrs.get(f"scan_input_{n}") or [0] * count) for n in ("axes", "directions"))
    out_axes, out_back = (list(attrs.get(f"scan_output_{n}") or [0] * outputs) for n in ("axes", "directions"))
    body = _Body(importer, attrs["body"])
    body.check_outputs(len(node.output))
    shape = _decided(importer, _emit(importer, "Shape", [scanned[0]], body.label), "a number of turns")
    turns = int(shape[axes[0]])
    body.check_size(turns)
    collected: list[list[Item]] = [[] for _ in range(outputs)]
    for turn in range(turns):
        slices = []
        for value, axis, backwards in zip(scanned, axes, back):
            index = importer.constant(np.int64(turns - 1 - turn if backwards else turn), f"{body.label}/turn")
            slices.append(_emit(importer, "Gather", [value, index], "slice", axis=axis))
        results = body.turn([*states, *slices])
        if any(v is None for v in results):
            return [None] * len(node.output)
        states = results[: len(states)]
        for values, value in zip(collected, results[len(states) :]):
            values.append(value)
    stacked = [
        _stacked(importer, name, values[::-1] if backwards else values, axis)
        for name, values, axis, backwards in zip(node.output[len(states) :], collected, out_axes, out_back)
    ]
    return [*states, *stacked]


def _known(importer: Importer, value: Item) -> np.ndarray | None:
    known = importer.contents(value) if isinstance(value, Value) else None
    if known is None and importer.problems and value in importer.decided:
        raise _Moot
    return known


def _decided(importer: Importer, value: Item, what: str) -> np.ndarray:
    known = _known(importer, value)
    if known is None:
        raise Unsupported(f"{what} {_DEPENDS}", _KNOWN)
    return known


def _stacked(importer: Importer, name: str, values: list[Item], axis: int) -> Item:
    """What the turns have collected, along a new axis."""
    if not name:
        return None
    if not values:
        raise Unsupported(f"no turn at all for the output {name!r}, whose shape is not known then", "one turn at least")
    axes = importer.constant(np.array([axis], np.int64), f"{name}/axes")
    parts = [_emit(importer, "Unsqueeze", [value, axes], name) for value in values]
    return parts[0] if len(parts) == 1 else _emit(importer, "Concat", parts, name, axis=axis)


def _emit(importer: Importer, op: str, inputs: Sequence[Item], name: str, **attrs: Any) -> Value:
    name = importer.fresh(f"{name}/{op}")
    count = len(importer.graph.nodes)
    made = importer.graph.add_node(op, inputs, name, [name], **attrs).output
    importer.note(count)
    return made


# ---- graphs in nodes -------------------------------------------------------------------------------------------------


class _Moot(Exception):
    """What decides a loop or a branch cannot be computed, as something before it is not supported, which is told."""


class _Body:
    """A graph that is an attribute of a node."""

    def __init__(self, importer: Importer, graph: onnx.GraphProto):
        self.importer, self.graph = importer, graph
        self.label = graph.name or "body"
        self.fixed: dict[str, str] = {}  # initializers, which all turns share, and what they are called
        for tensor in [*graph.initializer, *(s.values for s in graph.sparse_initializer)]:
            self.fixed[tensor.name] = importer.fresh(tensor.name)
        own = onnx.GraphProto()
        own.initializer.extend(graph.initializer)
        own.sparse_initializer.extend(graph.sparse_initializer)
        _rename(own, self.fixed)
        importer.initializers(own)

    def check_size(self, turns: int) -> None:
        nodes = turns * len(self.graph.node)
        if nodes > _MOST_NODES:
            raise Unsupported(
                f"a loop of {turns} turns or more with {len(self.graph.node)} nodes", f"{_MOST_NODES} nodes in all"
            )

    def goes_on(self) -> bool:
        """Whether a loop's body hands on the condition that it is given."""
        makers = {name: node for node in self.graph.node for name in node.output}
        condition = self.graph.output[0].name
        while condition in makers and makers[condition].op_type == "Identity":
            condition = makers[condition].input[0]
        return len(self.graph.input) > 1 and condition == self.graph.input[1].name

    def check_outputs(self, least: int) -> None:
        if len(self.graph.output) < least:
            raise ModelFormatError(f"{self.label!r} has {len(self.graph.output)} outputs; it needs {least}")

    def turn(self, given: Sequence[Item]) -> list[Item]:
        """Converts the graph with these inputs; its outputs, all None if some node is not supported. What it makes gets
        names that are free: the next turn, or another branch, makes it again."""
        importer, graph = self.importer, onnx.GraphProto()
        graph.CopyFrom(self.graph)
        names = [i.name for i in graph.input if i.name not in self.fixed]
        if len(names) != len(given):
            raise ModelFormatError(f"{self.label!r} has {len(names)} inputs, {len(given)} are given")
        new = dict(self.fixed)
        for name in sorted(_defined(graph) - {*self.fixed}):
            new[name] = importer.fresh(name)
            importer.taken.add(new[name])
        importer.hints.update({new[name]: importer.hints[name] for name in new if name in importer.hints})
        importer.values.update((new[name], value) for name, value in zip(names, given) if value is not None)
        _rename(graph, new)
        count = len(importer.problems)
        importer.walk(graph)
        if len(importer.problems) > count:
            return [None] * len(graph.output)
        missing = [info.name for info in graph.output if info.name not in importer.values]
        if missing:
            raise ModelFormatError(f"nothing makes the output {missing[0]!r} of {self.label!r}")
        return [importer.values[info.name] for info in graph.output]


def _defined(graph: onnx.GraphProto) -> set[str]:
    """Names that a graph, and those in its nodes, give to values."""
    names = {info.name for info in graph.input} | {tensor.name for tensor in graph.initializer}
    names |= {sparse.values.name for sparse in graph.sparse_initializer}
    for node in graph.node:
        names.update(node.output)
        for attribute in node.attribute:
            for inner in [attribute.g, *attribute.graphs]:
                names |= _defined(inner)
    return names - {""}


def _rename(graph: onnx.GraphProto, new: dict[str, str]) -> None:
    for named in [*graph.input, *graph.output, *graph.initializer, *(s.values for s in graph.sparse_initializer)]:
        named.name = new.get(named.name, named.name)
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new.get(name, name) for name in names]
        for attribute in node.attribute:
            for inner in [attribute.g, *attribute.graphs]:
                _rename(inner, new)
