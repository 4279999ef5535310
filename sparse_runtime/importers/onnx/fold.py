"""Nodes whose inputs are all constants, computed while importing: weights behind Transpose, Reshape, DequantizeLinear
and the like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from ...ir import DTYPES, Graph, Value

# A result that is larger than this and than four times its inputs is cheaper to compute than to store.
_SMALL = 1 << 16
# Where the evaluator has only newer forms, which mean the same for what older ones allow.
_AT_LEAST = {"DequantizeLinear": 19}
# Nodes that have to stay: random ones and those whose result may be much larger than their inputs say;
_KEPT = {
    "Bernoulli",
    "Dropout",
    "EyeLike",
    "Multinomial",
    "OneHot",
    "Pad",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Resize",
    "SequenceConstruct",
    "SplitToSequence",
    "Upsample",
}
# and those that the evaluator computes otherwise than the specification has it, in some of their forms. The core does
# them right, as nodes.
_KEPT |= {
    "AveragePool",
    "BatchNormalization",  # before opset 14: with new means and variances
    "ConvTranspose",  # in groups
    "GRU",
    "GlobalAveragePool",
    "GlobalMaxPool",  # of other ranks than 4
    "GridSample",
    "LRN",
    "LSTM",
    "LogSoftmax",  # overflows
    "LpNormalization",  # of negative numbers
    "LpPool",
    "MaxPool",
    "MaxUnpool",
    "RNN",
    "ReduceSumSquare",  # of int32: the type
    "RoiAlign",
}
# Opset from which on the evaluator's form is the right one: before, these flattened what is behind the axis.
_FROM = {"Hardmax": 13, "Softmax": 13}


def evaluate(node: onnx.NodeProto, opset: int, inputs: Sequence[Any]) -> list[np.ndarray] | None:
    """Results of a node, or None if not all `inputs` are arrays or None, or the node should stay as it is."""
    if not any(isinstance(i, np.ndarray) for i in inputs) or node.op_type in _KEPT:
        return None
    if opset < _FROM.get(node.op_type, 0):
        return None
    if not all(i is None or isinstance(i, np.ndarray) for i in inputs) or _elements(node, inputs) > _SMALL:
        return None
    if node.op_type == "Slice" and _from_before(*inputs):
        return None
    feeds = {name: array for name, array in zip(node.input, inputs) if name}
    graph = helper.make_graph(
        [node],
        "fold",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in feeds.items()],
        [onnx.ValueInfoProto(name=o) for o in node.output if o],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", max(opset, _AT_LEAST.get(node.op_type, 0)))]
    )
    try:
        with np.errstate(all="ignore"):  # infinities are results like others
            results = iter(ReferenceEvaluator(model).run(None, feeds))
    except Exception:  # what the evaluator cannot do stays a node, which has its own checks
        return None
    made = [np.asarray(next(results)) if o else None for o in node.output]
    if any(a is not None and a.dtype == object for a in made):
        return None
    size = sum(a.nbytes for a in made if a is not None)
    return made if is_small(size, sum(a.nbytes for a in feeds.values())) else None


def _from_before(x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None) -> bool:
    """Whether a slice may go backwards from before the first element: ONNX starts at that, numpy has none."""
    return steps is not None and bool((steps < 0).any() and (starts < -min(x.shape, default=0)).any())


def fix_sizes(graph: Graph) -> None:
    """Puts constants in the place of dimensions that are read from the shape of an input and that are not free, though
    others of it may be."""
    for node in list(graph.nodes):
        if node.op != "Shape":
            continue
        x = node.inputs[0]
        while x.producer is not None and x.producer.op in ("Cast", "Identity", "Unary"):
            x = x.producer.inputs[0]
        if x.is_input:
            _fix(graph, node.output, np.array(x.dims[node["start"] : node["end"]], np.int64))
    graph.remove_dead()


def _fix(graph: Graph, value: Value, sizes: np.ndarray) -> None:
    """`value` has these sizes, -1 where they are free."""
    for user in list(value.uses):
        given = [None if v is None else v.const for v in user.inputs[1:]]
        if user.op == "Cast":
            _fix(graph, user.output, sizes)
            continue
        if any(array is None for array in given) or user.inputs[0] is not value:
            continue
        if user.op == "Gather":
            (at,) = given
            if not ((-len(sizes) <= at) & (at < len(sizes))).all():
                continue
            taken = sizes[at]
        elif user.op == "Slice":
            (begin,), (end,) = given[:2]
            step = int(given[3][0]) if len(given) > 3 else 1
            taken = sizes[slice(int(begin), int(end), step)] if step > 0 else sizes[:0]
        else:
            continue
        if taken.size and (taken >= 0).all():
            kind = DTYPES[value.producer["to"]] if value.producer.op == "Cast" else "int64"
            fixed = graph.add_const(graph.unique(f"{user.output.name}/fixed"), np.asarray(taken, kind))
            graph.rewrite(user.output, "Identity", [fixed])


def is_small(size: float, inputs: int) -> bool:
    """Whether a result of some bytes, of constants of some bytes, is as well stored as computed."""
    return size <= max(_SMALL, 4 * inputs)


def _elements(node: onnx.NodeProto, inputs: Sequence[Any]) -> float:
    """Elements of the result of an operator that makes large tensors of small ones; 0 for all others."""
    if node.op_type == "ConstantOfShape":
        return float(np.prod(inputs[0], dtype=np.float64))
    if node.op_type in ("Expand", "Tile"):
        return inputs[0].size * float(np.prod(inputs[1], dtype=np.float64))
    if node.op_type == "Range":
        start, limit, delta = (float(i.reshape(-1)[0]) for i in inputs)
        return (limit - start) / delta if delta else 0.0
    return 0.0
