"""Quantization, and what computes on quantized tensors: as the same operator of float32 between DequantizeLinear and
QuantizeLinear, which the pass to_integers turns into integers again wherever they have a form of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from ....errors import ModelFormatError
from ..registry import Call, Unsupported, dtype_name, op
from .conv import conv_of, pool_of


# Where operators have a scale; the zero point follows it.
_SCALES = {
    "QuantizeLinear": (1,), "DequantizeLinear": (1,), "QLinearConv": (1, 4, 6), "QLinearMatMul": (1, 4, 6),
    "QLinearAdd": (1, 4, 6), "QLinearMul": (1, 4, 6), "QLinearSigmoid": (1, 3), "QLinearLeakyRelu": (1, 3),
    "QLinearSoftmax": (1, 3), "QLinearGlobalAveragePool": (1, 3), "QLinearAveragePool": (1, 3), "QGemm": (1, 4, 7),
}  # fmt: skip


def check_scales(node: onnx.NodeProto, inputs: Sequence[Any]) -> None:
    """Raises ModelFormatError, naming the tensor, for constant scales that are not finite and positive, and for zero
    points that are no number of the quantized tensor's type. Before anything is folded, which would hide them."""
    scales = _SCALES.get(node.op_type, ())
    if node.op_type == "QLinearConcat":
        scales = (0, *range(3, len(inputs), 3))
    for i in scales:
        scale, zero = (inputs[j] if j < len(inputs) else None for j in (i, i + 1))
        if scale is not None and scale.is_const and scale.const.dtype.kind == "f":
            wrong = scale.const[~(np.isfinite(scale.const) & (scale.const > 0))]
            if wrong.size:
                raise ModelFormatError(f"scale {scale.name!r} is {wrong[0]:g}; it must be a finite positive number")
        if zero is None or not zero.is_const:
            continue
        if zero.const.dtype.kind not in "iu":
            raise ModelFormatError(f"zero point {zero.name!r} is {zero.const.dtype}, it must be of a quantized type")
        if zero.const.dtype == np.int32 and zero.const.any():
            found = zero.const[zero.const != 0][0]
            raise ModelFormatError(f"zero point {zero.name!r} is {found}; that of int32 must be 0")


@op("QuantizeLinear", "DequantizeLinear")
def quantize(c: Call):
    c.choice("block_size", c.attr("block_size", 0), (0,))
    scale, zero_point = c.x(1), c.get(2)
    if c.dtype(1) not in (None, "float32"):
        raise Unsupported(f"scale of type {c.dtype(1)}", "float32")
    if c.op == "DequantizeLinear" and c.attr("output_dtype", 0):
        c.choice("output_dtype", dtype_name(c.attr("output_dtype")), ("float32",))
    elif c.attr("output_dtype", 0) and zero_point is None:
        kind = dtype_name(c.attr("output_dtype"))
        if not scale.is_const:
            raise Unsupported(f"output_dtype {kind} with a computed scale", "a zero point, or a constant scale")
        zero_point = c.constant(np.zeros(scale.const.shape, kind), "zero_point")
    return c.emit(c.op, c.x(), scale, zero_point, axis=c.attr("axis", 1))


@op("DynamicQuantizeLinear")
def dynamic_quantize(c: Call):
    """To uint8, with the range of the tensor and 0."""
    c.float32()
    zero, top = c.scalar(0.0, hint="zero"), c.scalar(255.0, hint="top")
    low = c.binary("min", c.emit("Reduce", c.x(), fn="min", keepdims=0), zero)
    high = c.binary("max", c.emit("Reduce", c.x(), fn="max", keepdims=0), zero)
    width = c.binary("sub", high, low)
    scale = c.where(c.compare("equal", width, zero), c.scalar(1.0, hint="one"), c.binary("div", width, top))
    zero_point = c.unary("round", c.unary("clip", c.binary("div", c.unary("neg", low), scale), 0.0, 255.0))
    zero_point = c.cast(zero_point, "uint8")
    return [c.emit("QuantizeLinear", c.x(), scale, zero_point), scale, zero_point]


def dequantized(c: Call, index: int, axis: int = 1):
    """Inputs index, index + 1 and index + 2, a tensor, its scale and its zero point, as float32. `axis`: that of scales
    that are several."""
    x, scale, zero_point = c.x(index), c.x(index + 1), c.get(index + 2)
    return c.emit("DequantizeLinear", x, scale, zero_point, axis=axis)


def quantized(c: Call, y, index: int):
    """y with scale and zero point of inputs index and index + 1."""
    return c.emit("QuantizeLinear", y, c.x(index), c.x(index + 1))


def _integers(c: Call, index: int, zero_index: int, axis: int):
    """Input `index` less its zero point, which may be one per row or column, as float32."""
    zero = c.get(zero_index)
    if zero is None or not zero.is_const or zero.const.size == 1:
        return c.emit("DequantizeLinear", c.x(index), c.constant(np.float32(1), "one"), zero)
    ones = c.constant(np.ones(zero.const.size, np.float32), "ones")
    return c.emit("DequantizeLinear", c.x(index), ones, c.constant(zero.const.reshape(-1), "zeros"), axis=axis)


def _weights(c: Call, index: int, scale, zero_point, turned: bool = False) -> np.ndarray:
    """A constant [M, ...], or if `turned` [K, M], less its zero point, times its scale, either one for all or one per
    row of the result, whose integers the graph remembers."""
    stored = c.const(index, "weights")
    integers = (stored.T if turned else stored).astype(np.int64)
    each = (-1,) + (1,) * (stored.ndim - 1)
    if zero_point is not None:
        integers = integers - zero_point.astype(np.int64).reshape(each if zero_point.size > 1 else ())
    scale = np.asarray(scale, np.float32).reshape(-1)
    array = integers.astype(np.float32) * scale.reshape(each if scale.size > 1 else ())
    c.graph.remember(array, integers, scale)
    return array


def _bias(c: Call, index: int, scale: np.ndarray) -> np.ndarray:
    """A constant of int32 in quanta of `scale`, one or one per row."""
    integers = c.const(index, "bias").reshape(-1)
    if integers.dtype != np.int32:
        raise Unsupported(f"a bias of type {integers.dtype}", "int32")
    integers = integers.astype(np.int64)
    bias = (integers * scale.astype(np.float64)).astype(np.float32)
    c.graph.remember(bias, integers, scale)
    return bias


def _product(c: Call, a, index: int, scale, zero_point, turned: bool = True, bias=None):
    """a times the matrix of integers that is input `index`."""
    return c.emit("FullyConnected", a, c.constant(_weights(c, index, scale, zero_point, turned), "W"), bias)


def _is_matrix(c: Call, *inputs: int) -> bool:
    """Whether inputs are constants, the first of them a matrix."""
    given = [c.get(i) for i in inputs]
    return all(v is None or v.is_const for v in given) and given[0].const.ndim == 2


@op("QLinearConv")
def qlinear_conv(c: Call):
    """x, its scale and zero point; weights, theirs; the result's; bias in quanta of x_scale * w_scale."""
    x_scale, w_scale = c.const(1, "x_scale").reshape(-1), c.const(4, "w_scale").reshape(-1)
    weight = _weights(c, 3, w_scale, c.const(5, "w_zero_point"))
    bias = None if c.get(8) is None else _bias(c, 8, x_scale.astype(np.float64) * w_scale)
    return quantized(c, conv_of(c, dequantized(c, 0), weight, bias), 6)


@op("ConvInteger")
def conv_integer(c: Call):
    zero = None if c.get(3) is None else c.const(3, "w_zero_point")
    return c.cast(conv_of(c, _integers(c, 0, 2, 1), _weights(c, 1, 1.0, zero), None), "int32")


@op("QLinearMatMul")
def qlinear_matmul(c: Call):
    """Scales of a may be one per row, of b one per column."""
    a = dequantized(c, 0, axis=-2)
    if _is_matrix(c, 3, 4, 5):
        zero = None if c.get(5) is None else c.const(5, "b_zero_point")
        return quantized(c, _product(c, a, 3, c.const(4, "b_scale"), zero), 6)
    return quantized(c, c.emit("MatMul", a, dequantized(c, 3, axis=-1)), 6)


@op("MatMulInteger")
def matmul_integer(c: Call):
    a = _integers(c, 0, 2, -2)
    if _is_matrix(c, 1, 3):
        zero = None if c.get(3) is None else c.const(3, "b_zero_point")
        return c.cast(_product(c, a, 1, 1.0, zero), "int32")
    return c.cast(c.emit("MatMul", a, _integers(c, 1, 3, -1)), "int32")


# ---- onnxruntime's ---------------------------------------------------------------------------------------------------


@op("com.microsoft.QuantizeLinear", "com.microsoft.DequantizeLinear")
def ms_quantize(c: Call):
    return quantize(c)


@op("com.microsoft.QLinearAdd", "com.microsoft.QLinearMul")
def qlinear_binary(c: Call):
    return quantized(c, c.binary(c.op[len("QLinear") :].lower(), dequantized(c, 0), dequantized(c, 3)), 6)


@op("com.microsoft.QLinearSigmoid", "com.microsoft.QLinearLeakyRelu")
def qlinear_unary(c: Call):
    x = dequantized(c, 0)
    y = c.unary("sigmoid", x) if c.op == "QLinearSigmoid" else c.unary("leaky_relu", x, c.attr("alpha", 0.01))
    return quantized(c, y, 3)


@op("com.microsoft.QLinearSoftmax")
def qlinear_softmax(c: Call):
    """As Softmax of the `opset` that it names, which before 13 is over all axes from `axis` on."""
    x, axis = dequantized(c, 0), c.attr("axis", -1)
    if c.need("opset") >= 13:
        return quantized(c, c.emit("Softmax", x, axis=axis), 3)
    return quantized(c, c.reshape_like(c.emit("Softmax", c.emit("Flatten", x, axis=axis)), x), 3)


@op("com.microsoft.QLinearConcat")
def qlinear_concat(c: Call):
    """Scale and zero point of the result, then tensor, scale and zero point of each input."""
    parts = [dequantized(c, i) for i in range(2, len(c.inputs), 3)]
    return quantized(c, c.emit("Concat", *parts, axis=c.need("axis")), 0)


@op("com.microsoft.QLinearGlobalAveragePool")
def qlinear_global_average_pool(c: Call):
    x = dequantized(c, 0)
    if not c.attr("channels_last", 0):
        return quantized(c, c.emit("GlobalAveragePool", x), 3)
    return quantized(c, c.reduce("mean", x, range(1, c.known_rank() - 1)), 3)


@op("com.microsoft.QLinearAveragePool")
def qlinear_average_pool(c: Call):
    c.choice("channels_last", c.attr("channels_last", 0), (0,))
    return quantized(c, pool_of(c, "AveragePool", dequantized(c, 0)), 3)


@op("com.microsoft.QGemm")
def qgemm(c: Call):
    """alpha * A' * B' + C, C in quanta of alpha * a_scale * b_scale; without an output scale the result is float32."""
    alpha, a = c.attr("alpha", 1.0), dequantized(c, 0)
    a = c.emit("Transpose", a, perm=(1, 0)) if c.attr("transA", 0) else a
    if _is_matrix(c, 3, 1, 4, 5, 6):
        scale = np.float32(alpha) * c.const(4, "b_scale").reshape(-1)
        zero = None if c.get(5) is None else c.const(5, "b_zero_point")
        rows = c.get(3).const.shape[0 if c.attr("transB", 0) else 1]
        of_rows = c.get(6) is not None and c.get(6).const.shape in ((rows,), (1, rows))
        bias = None
        if of_rows:
            sums = c.const(1, "a_scale").reshape(-1).astype(np.float64) * scale
            bias = c.constant(_bias(c, 6, np.broadcast_to(sums, (rows,))), "B")
        y, known = _product(c, a, 3, scale, zero, not c.attr("transB", 0), bias), of_rows or c.get(6) is None
    else:
        b = dequantized(c, 3, axis=-2 if c.attr("transB", 0) else -1)
        turned = c.emit("Transpose", b, perm=(1, 0)) if c.attr("transB", 0) else b
        y, known = c.emit("MatMul", a, turned), c.get(6) is None
        if alpha != 1:
            y = c.binary("mul", y, c.constant(np.float32(alpha), "alpha"))
    if not known:
        scale = c.binary("mul", c.binary("mul", c.x(1), c.x(4)), c.constant(np.float32(alpha), "alpha"))
        y = c.binary("add", y, c.binary("mul", c.cast(c.x(6), "float32"), scale))
    return y if c.get(7) is None else quantized(c, y, 7)
