"""Functions of one and of several tensors, element by element."""

from __future__ import annotations

import math

import numpy as np

from ....ir import DTYPES
from ..registry import Call, Unsupported, dtype_name, number, op

_FLT_MAX = float(np.finfo(np.float32).max)

# ONNX operator -> function of the IR, where neither has parameters.
_PLAIN = {
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softplus": "softplus",
    "Mish": "mish",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Reciprocal": "reciprocal",
    "Floor": "floor",
    "Ceil": "ceil",
    "Round": "round",
    "Sign": "sign",
    "Erf": "erf",
    "Sin": "sin",
    "Cos": "cos",
    "Tan": "tan",
    "Asin": "asin",
    "Acos": "acos",
    "Atan": "atan",
    "Sinh": "sinh",
    "Cosh": "cosh",
    "Asinh": "asinh",
    "Acosh": "acosh",
    "Atanh": "atanh",
}


_DOUBLE = {
    *("Exp", "Log", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round", "Sign", "Erf", "Sigmoid", "Tanh")
}  # in double precision too


@op(*_PLAIN)
def plain(c: Call):
    (c.floats if c.op in _DOUBLE else c.float32)()
    return c.unary(_PLAIN[c.op], c.x())


@op("Relu")
def relu(c: Call):
    if not c.is_float():
        return c.binary("max", c.x(), c.scalar(0))
    return c.unary("clip", c.x(), 0.0, math.inf)


@op("Abs", "Neg")
def abs_neg(c: Call):
    if c.is_float():
        return c.unary(c.op.lower(), c.x())
    negative = c.binary("sub", c.scalar(0), c.x())
    return negative if c.op == "Neg" else c.binary("max", c.x(), negative)


@op("LeakyRelu")
def leaky_relu(c: Call):
    c.float32()
    return c.unary("leaky_relu", c.x(), c.attr("alpha", 0.01))


@op("Elu")
def elu(c: Call):
    c.float32()
    return c.unary("elu", c.x(), c.attr("alpha", 1.0))


@op("Selu")
def selu(c: Call):
    c.float32()
    alpha, gamma = c.attr("alpha", 1.6732632423543772), c.attr("gamma", 1.0507009873554805)
    return c.binary("mul", c.unary("elu", c.x(), alpha), c.scalar(gamma))


@op("Celu")
def celu(c: Call):
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1)), which for alpha > 0 is alpha * elu(x / alpha)."""
    c.float32()
    alpha = c.attr("alpha", 1.0)
    if not alpha > 0:
        raise Unsupported(f"alpha={alpha}", "alpha > 0")
    return c.binary("mul", c.unary("elu", c.binary("div", c.x(), c.scalar(alpha)), 1.0), c.scalar(alpha))


@op("HardSigmoid")
def hard_sigmoid(c: Call):
    c.float32()
    return c.unary("hard_sigmoid", c.x(), c.attr("alpha", 0.2), c.attr("beta", 0.5))


@op("HardSwish")
def hard_swish(c: Call):
    c.float32()
    return c.unary("hard_swish", c.x(), 1.0 / 6.0, 0.5)


@op("Swish")
def swish(c: Call):
    """x * sigmoid(alpha * x)."""
    c.float32()
    alpha = c.attr("alpha", 1.0)
    if alpha == 1.0:
        return c.unary("silu", c.x())
    return c.binary("mul", c.x(), c.unary("sigmoid", c.binary("mul", c.x(), c.scalar(alpha))))


@op("Gelu")
def gelu(c: Call):
    c.float32()
    if c.choice("approximate", c.text("approximate", "none"), ("none", "tanh")) == "none":
        return c.unary("gelu", c.x())
    x = c.x()
    cube = c.binary("mul", c.binary("mul", x, x), x)
    inner = c.binary("add", x, c.binary("mul", cube, c.scalar(0.044715)))
    bent = c.unary("tanh", c.binary("mul", inner, c.scalar(math.sqrt(2.0 / math.pi))))
    return c.binary("mul", c.binary("mul", x, c.scalar(0.5)), c.binary("add", bent, c.scalar(1.0)))


@op("ThresholdedRelu")
def thresholded_relu(c: Call):
    """x > alpha ? x : 0."""
    c.float32()
    return c.where(c.compare("less", c.scalar(c.attr("alpha", 1.0)), c.x()), c.x(), c.scalar(0.0))


@op("Shrink")
def shrink(c: Call):
    """x < -lambd ? x + bias : x > lambd ? x - bias : 0."""
    c.float32()
    x, bias, lambd = c.x(), c.scalar(c.attr("bias", 0.0)), c.attr("lambd", 0.5)
    low, high = c.compare("less", x, c.scalar(-lambd)), c.compare("less", c.scalar(lambd), x)
    return c.where(low, c.binary("add", x, bias), c.where(high, c.binary("sub", x, bias), c.scalar(0.0)))


@op("Softsign")
def softsign(c: Call):
    c.float32()
    return c.binary("div", c.x(), c.binary("add", c.unary("abs", c.x()), c.scalar(1.0)))


@op("Clip")
def clip(c: Call):
    if c.opset < 11:
        bounds = [c.scalar(c.attr("min", -_FLT_MAX)), c.scalar(c.attr("max", _FLT_MAX))]
    else:
        bounds = [c.get(1), c.get(2)]
    if c.is_float() and all(b is None or b.is_const for b in bounds):
        low, high = (
            default if b is None else float(b.const.reshape(())) for b, default in zip(bounds, (-_FLT_MAX, _FLT_MAX))
        )
        if not (math.isnan(low) or math.isnan(high)):
            return c.unary("clip", c.x(), low, high)
    y = c.x()
    for fn, bound in zip(("max", "min"), bounds):
        if bound is not None:
            y = c.binary(fn, y, bound)
    return y


@op("PRelu")
def prelu(c: Call):
    """x < 0 ? slope * x : x, slope broadcast to x. A slope for the channels (axis 1) is a function of its own."""
    c.float32(0, 1)
    slope, rank = c.x(1), c.rank()
    if slope.is_const:
        array = slope.const
        if c.older and array.ndim == 1 and array.size > 1:  # before opset 7 it was for the channels, whatever its shape
            return c.emit("Unary", c.x(), slope, fn="prelu")
        if array.size == 1 and (array.ndim == 0 or (rank is not None and array.ndim <= rank)):
            return c.unary("leaky_relu", c.x(), float(array.reshape(())))
        axis = None if rank is None else 1 - (rank - array.ndim)
        if axis is not None and 0 <= axis < array.ndim and array.size == array.shape[axis]:
            return c.emit("Unary", c.x(), c.constant(array.reshape(-1), "slope"), fn="prelu")
    negative = c.binary("mul", c.unary("clip", c.x(), -math.inf, 0.0), slope)
    return c.binary("add", c.unary("clip", c.x(), 0.0, math.inf), negative)


@op("Add", "Sub", "Mul", "Div")
def arithmetic(c: Call):
    return c.binary(c.op.lower(), c.x(0), c.x(1))


@op("Pow")
def power(c: Call):
    """The result has the base's type."""
    exponent, base, kind = c.x(1), c.dtype(0), c.dtype(1)
    if base is None or kind is None or base == kind:
        return c.binary("pow", c.x(0), exponent)
    if "float" in kind and "int" in base:
        x, exponent = (c.emit("Cast", v, to=number("float64")) for v in (c.x(0), exponent))
        return c.emit("Cast", c.binary("pow", x, exponent), to=number(base))
    if exponent.is_const:
        return c.binary("pow", c.x(0), c.constant(exponent.const.astype(base), "exponent"))
    return c.binary("pow", c.x(0), c.emit("Cast", exponent, to=number(base)))


@op("Mod")
def mod(c: Call):
    """With the sign of the divisor, or with fmod=1 that of the dividend, which floating point needs."""
    return c.binary("fmod" if c.choice("fmod", c.attr("fmod", 0), (0, 1)) else "mod", c.x(0), c.x(1))


@op("Min", "Max", "Sum", "Mean")
def n_ary(c: Call):
    fn = {"Min": "min", "Max": "max"}.get(c.op, "add")
    y = c.x(0)
    for i in range(1, len(c.inputs)):
        y = c.binary(fn, y, c.x(i))
    if c.op == "Mean" and len(c.inputs) > 1:
        y = c.binary("div", y, c.scalar(len(c.inputs)))
    return y


@op("Identity")
def identity(c: Call):
    return c.x()


@op("Dropout")
def dropout(c: Call):
    training = c.get(2)
    if training is not None and not (training.is_const and not training.const.any()):
        raise Unsupported("training_mode", "inference (training_mode false)")
    if not any(c.used_outputs[1:]):
        return c.x()
    kept = c.constant(np.ones(1, bool if c.opset >= 10 else c.dtype() or "float32"), "kept")
    return c.x(), c.emit("ConstantOfShape", c.emit("Shape", c.x()), kept)


@op("CastLike")
def cast_like(c: Call):
    to = c.dtype(1)
    if to not in DTYPES.values():
        raise Unsupported(f"the type {to or 'that is not known'}", ", ".join(DTYPES.values()))
    return c.emit("Cast", c.x(), to=number(to))


@op("Cast")
def cast(c: Call):
    to = c.need("to")
    dtype_name(to)
    return c.emit("Cast", c.x(), to=to)
