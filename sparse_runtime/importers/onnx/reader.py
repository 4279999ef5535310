"""Reading ONNX files: protobuf, external data, tensors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, version_converter
from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data

from ...errors import ArgumentError, ModelFormatError, ModelIOError, UnsupportedError

OLDEST_OPSET = 7


class Source:
    """A model and where its external data lies."""

    def __init__(self, model: onnx.ModelProto, folder: str | None, label: str):
        self.model, self.folder, self.label = model, folder, label
        self.older = False  # whether opset() had to bring it to OLDEST_OPSET

    def array(self, tensor: onnx.TensorProto, what: str) -> np.ndarray:
        """A tensor's contents; `what` names it in messages."""
        if uses_external_data(tensor):
            tensor = self._external(tensor, what)
        try:
            array = numpy_helper.to_array(tensor)
        except Exception as error:
            raise ModelFormatError(f"{what}: damaged or of an unknown type: {error}") from None
        if array.shape != tuple(tensor.dims):
            raise ModelFormatError(f"{what}: shape {list(tensor.dims)} but data of shape {list(array.shape)}")
        return array

    def _external(self, tensor: onnx.TensorProto, what: str) -> onnx.TensorProto:
        if self.folder is None:
            raise ModelIOError(
                f"{what}: its data is in an external file; give the model as a path, or load it with its data"
            )
        copy = onnx.TensorProto()
        copy.CopyFrom(tensor)
        where = next((e.value for e in tensor.external_data if e.key == "location"), "?")
        try:
            load_external_data_for_tensor(copy, self.folder)
        except OSError as error:
            raise ModelIOError(f"{what}: cannot read external data {where!r}: {error}") from None
        except Exception as error:
            raise ModelFormatError(f"{what}: external data {where!r}: {error}") from None
        copy.ClearField("data_location")
        copy.ClearField("external_data")
        return copy

    def sparse_array(self, sparse: onnx.SparseTensorProto, what: str) -> np.ndarray:
        """A COO tensor as a dense array."""
        values, indices = self.array(sparse.values, what), self.array(sparse.indices, what)
        out = np.zeros(tuple(sparse.dims), values.dtype)
        try:
            if indices.ndim == 1:
                out.reshape(-1)[indices] = values
            else:
                out[tuple(indices.T)] = values
        except (IndexError, ValueError) as error:
            raise ModelFormatError(f"{what}: sparse indices do not fit shape {list(sparse.dims)}: {error}") from None
        return out


def read(model: Any) -> Source:
    """`model`: path, bytes or onnx.ModelProto. Nothing but the container is checked here."""
    if isinstance(model, onnx.ModelProto):
        source = Source(model, None, model.graph.name or "ModelProto")
    elif isinstance(model, (bytes, bytearray, memoryview)):
        source = Source(_parse(bytes(model), "these bytes"), None, "bytes")
    elif isinstance(model, (str, os.PathLike)):
        path = os.fspath(model)
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError as error:
            raise ModelIOError(f"cannot read {path!r}: {error.strerror or error}") from None
        source = Source(_parse(data, repr(path)), os.path.dirname(os.path.abspath(path)), path)
    else:
        raise ArgumentError(f"a model is a path, bytes or an onnx.ModelProto, not {type(model).__name__}")
    if not source.model.HasField("graph") or not (source.model.graph.node or source.model.graph.output):
        raise ModelFormatError(f"{source.label}: not an ONNX model: it has no graph")
    nodes = _sorted(source.model.graph.node)
    if nodes is not None:
        copy = onnx.ModelProto()  # what was handed over stays as it is
        copy.CopyFrom(source.model)
        del copy.graph.node[:]
        copy.graph.node.extend(nodes)
        source.model = copy
    for what, text in _names(source.model.graph):
        if isinstance(text, bytes):  # how protobuf hands out what is not UTF-8
            raise ModelFormatError(f"{source.label}: damaged: {what} is not UTF-8: {text!r}")
    return source


def _sorted(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto] | None:
    """Nodes behind those that they read from; None if they are so already. What is in a circle comes in some order."""
    reads = [node_reads(node) for node in nodes]
    maker = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    waits = [{maker[name] for name in names if name in maker} for names in reads]
    if all(other < i for i, others in enumerate(waits) for other in others):
        return None
    order, done = [], [False] * len(nodes)
    for first in range(len(nodes)):
        stack = [(first, iter(sorted(waits[first])))]
        while stack:
            i, others = stack[-1]
            deeper = None if done[i] else next(others, None)
            if deeper is None:
                if not done[i]:
                    done[i] = True
                    order.append(nodes[i])
                stack.pop()
            elif not done[deeper] and all(deeper != at for at, _ in stack):
                stack.append((deeper, iter(sorted(waits[deeper]))))
    return order


def node_reads(node: onnx.NodeProto) -> set[str]:
    """Names of the values that a node and its subgraphs read."""
    names = set(node.input)
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            names.update(name for inner in graph.node for name in node_reads(inner))
            names.update(info.name for info in graph.output)
    return names


def _names(graph: onnx.GraphProto) -> Iterator[tuple[str, Any]]:
    yield "the graph's name", graph.name
    for info in list(graph.input) + list(graph.output):
        yield "the name of an input or output", info.name
        for dim in info.type.tensor_type.shape.dim:
            yield "the name of a dimension", dim.dim_param
    for tensor in graph.initializer:
        yield "the name of an initializer", tensor.name
    for sparse in graph.sparse_initializer:
        yield "the name of an initializer", sparse.values.name
    for node in graph.node:
        yield "the name of a node", node.name
        yield "an operator", node.op_type
        yield "a domain", node.domain
        for name in list(node.input) + list(node.output):
            yield "the name of a value", name
        for attribute in node.attribute:
            yield "the name of an attribute", attribute.name


def _parse(data: bytes, label: str) -> onnx.ModelProto:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:
        raise ModelFormatError(
            f"{label} are not an ONNX model: {error}"
            if label == "these bytes"
            else f"{label} is not an ONNX model: {error}"
        ) from None
    return model


def opset(source: Source) -> int:
    """Version of the ai.onnx operators the model uses, which is brought to OLDEST_OPSET where it is older."""
    model = source.model
    versions: dict[str, int] = {("" if o.domain == "ai.onnx" else o.domain): o.version for o in model.opset_import}
    if "" not in versions:
        raise ModelFormatError("the model imports no operator set of domain ai.onnx")
    newest = onnx.defs.onnx_opset_version()
    if 0 < versions[""] < OLDEST_OPSET:
        try:  # does what it can: not all operators had the means then to say what they say since
            source.model, source.older = version_converter.convert_version(model, OLDEST_OPSET), True
        except Exception as error:
            raise UnsupportedError(
                f"the model uses opset {versions['']}, which cannot be brought to {OLDEST_OPSET}: {error}; "
                f"supported: {OLDEST_OPSET} to {newest}, and what onnx.version_converter can bring there"
            ) from None
        return OLDEST_OPSET
    if not OLDEST_OPSET <= versions[""] <= newest:
        raise UnsupportedError(
            f"the model uses opset {versions['']}; supported: {OLDEST_OPSET} to {newest} "
            f"(the newest which the installed onnx {onnx.__version__} knows)"
        )
    return versions[""]
