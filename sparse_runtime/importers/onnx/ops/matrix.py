"""Matrix products, reductions, softmax."""

from __future__ import annotations

import numpy as np

from ..registry import Call, op


@op("MatMul")
def matmul(c: Call):
    c.floats(0, 1)
    b = c.x(1)
    if c.dtype(0) == "float64" or not b.is_const or b.const.ndim > 2 or b.const.ndim < 1 or not b.const.size:
        return c.emit("MatMul", c.x(0), b)
    weight = c.weights(1, "B").T.reshape(-1, b.const.shape[0])
    y = c.emit("FullyConnected", c.x(0), c.constant(weight, "W"))
    return y if b.const.ndim == 2 else c.emit("Squeeze", y, c.ints([-1], "axes"))


@op("Gemm")
def gemm(c: Call):
    """alpha * A' * B' + beta * C."""
    c.float32(0, 1, 2)
    alpha, beta = np.float32(c.attr("alpha", 1.0)), np.float32(c.attr("beta", 1.0))
    a, b, addend = c.x(0), c.x(1), c.get(2)
    if c.attr("transA", 0):
        a = c.emit("Transpose", a, perm=(1, 0))
    if not b.is_const or not b.const.size:
        if c.attr("transB", 0):
            b = c.emit("Transpose", b, perm=(1, 0))
        y = c.emit("MatMul", a, b)
        if alpha != 1:
            y = c.binary("mul", y, c.scalar(alpha, hint="alpha"))
    else:
        weight = c.weights(1, "B")
        if weight.ndim != 2:
            raise ValueError(f"B of shape {list(weight.shape)}; Gemm multiplies matrices")
        weight = alpha * (weight if c.attr("transB", 0) else weight.T)
        bias = None
        if addend is not None and addend.is_const and _per_column(addend.const.shape, len(weight)):
            bias = c.constant(np.broadcast_to(beta * addend.const.reshape(-1), (len(weight),)), "bias")
            addend = None
        y = c.emit("FullyConnected", a, c.constant(weight, "W"), bias)
    if addend is not None:
        if beta != 1:
            addend = c.binary("mul", addend, c.scalar(beta, hint="beta"))
        y = c.binary("add", y, addend)
    return y


def _per_column(shape, columns: int) -> bool:
    """Whether C has one value per column, or one for all."""
    return len(shape) <= 2 and shape[:-1] in ((), (1,)) and (not shape or shape[-1] in (1, columns))


@op("Softmax", "LogSoftmax")
def softmax(c: Call):
    """Before opset 13 over all axes from `axis` on, as if the tensor were flattened there; since then over one axis."""
    c.floats()
    axis, rank, x = c.attr("axis", 1 if c.opset < 13 else -1), c.rank(), c.x()
    flat = c.opset < 13 and (rank is None or (axis + rank if axis < 0 else axis) != rank - 1)
    if flat:
        x, axis = c.emit("Flatten", x, axis=axis), -1
    if c.op == "Softmax" and c.dtype() == "float64":
        power = c.unary("exp", c.binary("sub", x, c.reduce("max", x, [axis])))
        y = c.binary("div", power, c.reduce("sum", power, [axis]))
    elif c.op == "Softmax":
        y = c.emit("Softmax", x, axis=axis)
    else:
        y = c.binary("sub", x, c.emit("Reduce", x, c.ints([axis], "axes"), fn="log_sum_exp", keepdims=1))
    return c.emit("Reshape", y, c.emit("Shape", c.x())) if flat else y


_REDUCE = {
    "ReduceMean": "mean",
    "ReduceSum": "sum",
    "ReduceMax": "max",
    "ReduceMin": "min",
    "ReduceProd": "prod",
    "ReduceL1": "l1",
    "ReduceL2": "l2",
    "ReduceSumSquare": "sum_square",
    "ReduceLogSum": "log_sum",
    "ReduceLogSumExp": "log_sum_exp",
}


@op(*_REDUCE)
def reduce(c: Call):
    """`axes` is an attribute before opset 18, for ReduceSum before 13."""
    axes = c.get(1)
    if c.attr("axes") is not None:
        axes = c.ints(c.attr("axes"), "axes")
    return c.emit(
        "Reduce",
        c.x(),
        axes,
        fn=_REDUCE[c.op],
        keepdims=c.attr("keepdims", 1),
        noop_with_empty_axes=c.attr("noop_with_empty_axes", 0),
    )
