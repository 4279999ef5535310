"""Operators that onnxruntime has beside ONNX's: what its optimizer writes into the models it saves."""

from __future__ import annotations

import math

import numpy as np

from ....ir import Value
from ..registry import Call, Unsupported, op
from .conv import conv, pool_of
from .elementwise import gelu
from .index import grid_sample, trilu
from .matrix import gemm
from .normalize import layer_normalization, rms_normalization

_MS = "com.microsoft."


def _activated(c: Call, y: Value, kind: str, given: list[float]) -> Value:
    """The activation that a fused operator names; `given`: its parameters in order."""
    parameters = {
        "": [],
        "Relu": [],
        "Tanh": [],
        "Sigmoid": [],
        "LeakyRelu": [0.01],
        "Clip": [-math.inf, math.inf],
        "HardSigmoid": [0.2, 0.5],
        "HardSwish": [],
    }
    defaults = parameters[c.choice("activation", kind, list(parameters))]
    a, b = [*given, *defaults[len(given) :], 0.0, 0.0][:2]
    if kind == "Relu":
        return c.unary("clip", y, 0.0, math.inf)
    if kind == "HardSwish":
        return c.unary("hard_swish", y, 1.0 / 6.0, 0.5)
    names = {"LeakyRelu": "leaky_relu", "HardSigmoid": "hard_sigmoid"}
    return c.unary(names.get(kind, kind.lower()), y, a, b) if kind else y


@op(_MS + "FusedConv")
def fused_conv(c: Call):
    """activation(Conv + Z)."""
    y = conv(c)
    if c.get(3) is not None:
        y = c.binary("add", y, c.x(3))
    return _activated(c, y, c.text("activation", ""), list(c.attr("activation_params") or []))


@op(_MS + "FusedGemm")
def fused_gemm(c: Call):
    y = gemm(c)
    names = ("activation_alpha", "activation_beta", "activation_gamma")
    return _activated(c, y, c.text("activation", ""), [c.attr(n) for n in names if c.attr(n) is not None])


@op(_MS + "FusedMatMul", _MS + "TransposeMatMul")
def fused_matmul(c: Call):
    """alpha * A' * B', where the last two axes are exchanged (trans), or the first put before the last (transBatch)."""
    c.float32(0, 1)
    factors = []
    for i, name in enumerate("AB"):
        rank, x = c.known_rank(i), c.x(i)
        order = list(range(rank))
        if rank > 1 and c.attr(f"transBatch{name}", 0):
            order = [*order[1:-1], 0, order[-1]]
        if rank > 1 and c.attr(f"trans{name}", 0):
            order[-2:] = order[:-3:-1]
        if order != sorted(order):
            x = c.constant(x.const.transpose(order), name) if x.is_const else c.emit("Transpose", x, perm=order)
        factors.append(x)
    a, b = factors
    if b.is_const and b.const.ndim == 2 and b.const.size:
        y = c.emit("FullyConnected", a, c.constant(b.const.T, "W"))
    else:
        y = c.emit("MatMul", a, b)
    alpha = c.attr("alpha", 1.0)
    return y if alpha == 1 else c.binary("mul", y, c.scalar(alpha, hint="alpha"))


@op(_MS + "Gelu", _MS + "BiasGelu", _MS + "FastGelu", _MS + "QuickGelu")
def gelus(c: Call):
    """Gelu of x + bias: by erf, by tanh (FastGelu), or as x * sigmoid(alpha * x) (QuickGelu)."""
    c.float32()
    if c.get(1) is not None:
        c.inputs[0] = c.binary("add", c.x(), c.x(1))
    if c.op == "QuickGelu":
        scaled = c.binary("mul", c.x(), c.scalar(c.attr("alpha", 1.702)))
        return c.binary("mul", c.x(), c.unary("sigmoid", scaled))
    c.attrs["approximate"] = "tanh" if c.op == "FastGelu" else "none"
    return gelu(c)


@op("SimplifiedLayerNormalization")
def simplified_layer_normalization(c: Call):
    c.only_first_output("training")
    return rms_normalization(c)


@op(_MS + "SkipLayerNormalization", _MS + "SkipSimplifiedLayerNormalization")
def skip_layer_normalization(c: Call):
    """Normalizes input + skip + bias over the last axis; the sum is the fourth output. The inputs are input, skip,
    gamma, beta (not in the simplified form) and bias."""
    c.float32(0, 1)
    simplified = c.op == "SkipSimplifiedLayerNormalization"
    if any(c.used_outputs[1:3]):
        raise Unsupported("the outputs for training", "the normalized one and the sum")
    bias, sum_ = c.get(3 if simplified else 4), c.binary("add", c.x(0), c.x(1))
    if bias is not None:
        sum_ = c.binary("add", sum_, bias)
    rank, beta = c.known_rank(), None if simplified else c.get(3)
    c.inputs = [sum_, c.x(2), beta]
    c.attrs.setdefault("epsilon", 1e-12)
    c.attrs["axis"] = rank - 1
    y = rms_normalization(c) if simplified else layer_normalization(c)[0]
    return [y, None, None, sum_]


@op(_MS + "NhwcMaxPool")
def nhwc_max_pool(c: Call):
    """MaxPool of bytes whose channels come last."""
    kind = c.dtype() or "uint8"
    x = c.cast(c.emit("Transpose", c.x(), perm=(0, 3, 1, 2)), "float32")  # which holds bytes exactly
    return c.cast(c.emit("Transpose", pool_of(c, "MaxPool", x), perm=(0, 2, 3, 1)), kind)


@op(_MS + "ExpandDims")
def expand_dims(c: Call):
    return c.unsqueeze(c.x(), [int(c.const(1, "the axis").reshape(()))])


op(_MS + "GridSample")(grid_sample)
op(_MS + "Trilu")(trilu)


# ---- of the default domain before ONNX 1.0, which are in old models and which onnxruntime still takes ----------------


@op("ImageScaler")
def image_scaler(c: Call):
    """x * scale + bias of each channel."""
    c.float32()
    bias = c.constant(np.float32(c.attr("bias", [0.0])).reshape(-1, 1, 1), "bias")
    return c.binary("add", c.binary("mul", c.x(), c.scalar(c.attr("scale", 1.0))), bias)


@op("Affine")
def affine(c: Call):
    """alpha * x + beta."""
    c.float32()
    scaled = c.binary("mul", c.x(), c.scalar(c.attr("alpha", 1.0)))
    return c.binary("add", scaled, c.scalar(c.attr("beta", 0.0)))


@op("ScaledTanh")
def scaled_tanh(c: Call):
    """alpha * tanh(beta * x)."""
    c.float32()
    bent = c.unary("tanh", c.binary("mul", c.x(), c.scalar(c.need("beta"))))
    return c.binary("mul", bent, c.scalar(c.need("alpha")))


@op("ParametricSoftplus")
def parametric_softplus(c: Call):
    """alpha * ln(1 + exp(beta * x))."""
    c.float32()
    bent = c.unary("softplus", c.binary("mul", c.x(), c.scalar(c.need("beta"))))
    return c.binary("mul", bent, c.scalar(c.need("alpha")))


@op("Crop")
def crop(c: Call):
    """Without the border (left, top, right, bottom), or `scale` (height, width) pixels from left and top on."""
    left, top, right, bottom = c.need("border")
    scale = c.attr("scale")
    last = np.iinfo(np.int64).max
    ends = [top + scale[0], left + scale[1]] if scale else [-bottom or last, -right or last]
    return c.emit("Slice", c.x(), c.ints([top, left], "starts"), c.ints(ends, "ends"), c.ints([2, 3], "axes"))
