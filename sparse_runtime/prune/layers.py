"""The layers of an ONNX model that pruning is about, and how sparse they are.

Prunable are 1x1 convolutions (group 1), Gemm with constant B and MatMul with a constant matrix B, where the weight is
float16, float32 or float64 and stored in the main graph as initializer or Constant node, directly or behind Identity
nodes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, numpy_helper

from ..errors import ArgumentError, ModelFormatError
from ..importers import as_onnx

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


@dataclass(frozen=True)
class Layer:
    """A node and its weight. `name` is the node's, or its first output's where the node has none."""

    name: str
    node: onnx.NodeProto
    weight: Weight
    by_columns: bool  # the outputs are the columns of the stored matrix, not its rows


@dataclass
class Weight:
    """A stored tensor and the layers that share it; `matrix` views `array` as [outputs, inputs] for a layer."""

    name: str
    tensor: TensorProto
    array: np.ndarray
    layers: list[Layer] = field(default_factory=list)

    def matrix(self, layer: Layer) -> np.ndarray:
        flat = self.array.reshape(len(self.array), -1)
        return flat.T if layer.by_columns else flat


@dataclass(frozen=True)
class LayerReport:
    """How sparse a layer is. `fill_2x1`: nonzeros per slot that 2x1 blocks of output rows would store, 1 where none."""

    name: str
    op: str
    weight: str
    shape: tuple[int, int]  # outputs, inputs
    sparsity: float
    fill_2x1: float


def load(model: str | os.PathLike | bytes | onnx.ModelProto) -> onnx.ModelProto:
    """A model of the caller's own, with all weights in memory: a copy where a ModelProto is given."""
    given, model = model, as_onnx(model)
    if model is not given:  # made just now
        return model
    if isinstance(model, onnx.ModelProto):
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        return copy
    if not isinstance(model, (str, os.PathLike, bytes, bytearray, memoryview)):
        raise TypeError(f"model must be a path, bytes or onnx.ModelProto, not {type(model).__name__}")
    what = "the given bytes" if isinstance(model, (bytes, bytearray, memoryview)) else os.fspath(model)
    try:
        if isinstance(model, (str, os.PathLike)):
            return onnx.load(model)
        return onnx.load_model_from_string(bytes(model))
    except DecodeError as error:
        raise ModelFormatError(f"{what}: not an ONNX model ({error})") from error


def find(model: onnx.ModelProto) -> list[Layer]:
    """The prunable layers in the order of the graph; layers that share a tensor share a Weight."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    alias = {}
    for node in model.graph.node:
        if node.op_type == "Constant":
            stored.update((node.output[0], a.t) for a in node.attribute if a.name == "value")
        elif node.op_type == "Identity":
            alias[node.output[0]] = node.input[0]

    weights: dict[str, Weight] = {}
    layers = []
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul") or node.domain not in ("", "ai.onnx") or len(node.input) < 2:
            continue
        root, seen = node.input[1], set()
        while root in alias and root not in seen:
            seen.add(root)
            root = alias[root]
        tensor = stored.get(root)
        if tensor is None or tensor.data_type not in _FLOATS or not _prunable(node, tensor.dims):
            continue
        if root not in weights:
            weights[root] = Weight(root, tensor, _array(root, tensor))
        by_columns = node.op_type == "MatMul" or (node.op_type == "Gemm" and not _attribute(node, "transB", 0))
        layer = Layer(node.name or node.output[0], node, weights[root], by_columns)
        weights[root].layers.append(layer)
        layers.append(layer)
    return layers


def _array(name, tensor) -> np.ndarray:
    if tensor.data_location == TensorProto.EXTERNAL:
        raise ArgumentError(f"weight {name!r} lies in an external file; give the model as a path, so that it is found")
    return numpy_helper.to_array(tensor)


def _prunable(node, dims) -> bool:
    if 0 in dims:
        return False
    if node.op_type == "Conv":
        return len(dims) > 2 and all(d == 1 for d in dims[2:]) and _attribute(node, "group", 1) == 1
    return len(dims) == 2


def _attribute(node, name, default) -> int:
    return next((a.i for a in node.attribute if a.name == name), default)


def report(model: str | os.PathLike | bytes | onnx.ModelProto) -> list[LayerReport]:
    """One entry per prunable layer, in the order of the graph; empty for a model without any."""
    entries = []
    for layer in find(load(model)):
        nonzero = layer.weight.matrix(layer) != 0
        rows, columns = nonzero.shape
        count = int(nonzero.sum())
        even = rows // 2 * 2
        slots = 2 * int((nonzero[0:even:2] | nonzero[1:even:2]).sum()) + int(nonzero[even:].sum())
        entries.append(
            LayerReport(
                name=layer.name,
                op=layer.node.op_type,
                weight=layer.weight.name,
                shape=(rows, columns),
                sparsity=1 - count / nonzero.size,
                fill_2x1=count / slots if slots else 1.0,
            )
        )
    return entries
