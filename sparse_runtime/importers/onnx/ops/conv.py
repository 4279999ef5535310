"""Convolution, pooling, normalization."""

from __future__ import annotations

import numpy as np

from ..registry import Call, Unsupported, number, op, pair

_AUTO_PAD = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


def _window(c: Call, axes: int) -> dict:
    """strides, pads, dilations and auto_pad for two spatial axes; with one in the model, the first gets length 1."""
    if axes not in (1, 2):
        raise Unsupported(f"{axes} spatial axes", "1 or 2")
    auto_pad = c.choice("auto_pad", c.text("auto_pad", "NOTSET") or "NOTSET", _AUTO_PAD)
    pads = list(c.attr("pads") or [0] * (2 * axes))
    for name, values, count in (
        ("pads", pads, 2 * axes),
        ("strides", c.attr("strides"), axes),
        ("dilations", c.attr("dilations"), axes),
    ):
        if values and len(values) != count:
            raise ValueError(f"{name} has {len(values)} values for {axes} spatial axes")
    if min(pads) < 0:
        raise Unsupported(f"negative pads {pads}", "pads from 0")
    if axes == 1:
        pads = [0, pads[0], 0, pads[1]]
    return {
        "strides": pair(c.attr("strides") or [1] * axes, 1),
        "dilations": pair(c.attr("dilations") or [1] * axes, 1),
        "pads": tuple(pads) if auto_pad == "NOTSET" else (0, 0, 0, 0),
        "auto_pad": auto_pad,
    }


def _plane(c: Call, axes: int, x):
    """A [N, C, L] input as [N, C, 1, L]."""
    return x if axes == 2 else c.emit("Unsqueeze", x, c.ints([2], "axes"))


def _line(c: Call, axes: int, y):
    return y if axes == 2 else c.emit("Squeeze", y, c.ints([2], "axes"))


@op("Conv")
def conv(c: Call):
    c.float32()
    weight = c.weights(1, "weights")
    axes = weight.ndim - 2
    window = _window(c, axes)
    kernel = c.attr("kernel_shape")
    if kernel and tuple(kernel) != weight.shape[2:]:
        raise ValueError(f"kernel_shape {list(kernel)} but weights of shape {list(weight.shape)}")
    group = c.attr("group", 1)
    if group < 1 or weight.shape[0] % group:
        raise ValueError(f"group {group} does not divide the {weight.shape[0]} output channels")
    w = c.x(1) if axes == 2 else c.constant(np.expand_dims(weight, 2), "W")
    bias = c.get(2)
    if bias is not None and bias.is_const and c.weights(2, "bias").shape != (weight.shape[0],):
        raise ValueError(f"bias of shape {list(bias.const.shape)} for {weight.shape[0]} output channels")
    stored = bias if bias is not None and bias.is_const else None
    y = _line(c, axes, c.emit("Conv", _plane(c, axes, c.x()), w, stored, group=group, **window))
    if bias is not stored:  # computed at run time
        y = c.binary("add", y, c.emit("Unsqueeze", bias, c.ints([1] if axes == 1 else [1, 2], "axes")))
    return y


@op("MaxPool", "AveragePool")
def pool(c: Call):
    small = c.dtype() if c.op == "MaxPool" and c.dtype() in ("int8", "uint8") else None
    if small is None:
        c.float32()
    if c.op == "MaxPool":
        c.only_first_output("Indices")
    kernel = c.need("kernel_shape")
    axes = len(kernel)
    attrs = _window(c, axes)
    attrs.update(kernel_shape=pair(kernel, 1), ceil_mode=c.attr("ceil_mode", 0))
    if c.op == "AveragePool":
        attrs["count_include_pad"] = c.attr("count_include_pad", 0)
    x = c.emit("Cast", c.x(), to=number("float32")) if small else c.x()  # which holds them exactly
    y = _line(c, axes, c.emit(c.op, _plane(c, axes, x), **attrs))
    return c.emit("Cast", y, to=number(small)) if small else y


@op("GlobalAveragePool", "GlobalMaxPool")
def global_pool(c: Call):
    c.float32()
    return c.emit(c.op, c.x())


@op("BatchNormalization")
def batch_normalization(c: Call):
    c.float32()
    c.choice("training_mode", c.attr("training_mode", 0), (0,))
    c.choice("spatial", c.attr("spatial", 1), (1,))
    c.only_first_output("training")
    names = ("scale", "bias", "mean", "variance")
    params = [c.weights(i + 1, name) for i, name in enumerate(names)]
    for name, array in zip(names, params):
        if array.ndim != 1 or array.shape != params[0].shape:
            raise ValueError(f"{name} of shape {list(array.shape)}, scale of shape {list(params[0].shape)}")
    return c.emit("BatchNormalization", c.x(), *c.inputs[1:5], epsilon=c.attr("epsilon", 1e-5))


@op("InstanceNormalization")
def instance_normalization(c: Call):
    """scale * (x - mean) / sqrt(variance + epsilon) + B over the spatial axes of each image and channel."""
    c.float32()
    rank = c.rank()
    if rank is None or rank < 3:
        raise Unsupported(f"an input of {'unknown rank' if rank is None else f'rank {rank}'}", "rank 3 and more")
    axes = c.ints(range(2, rank), "axes")
    per_channel = (-1,) + (1,) * (rank - 2)
    centred = c.binary("sub", c.x(), c.emit("Reduce", c.x(), axes, fn="mean"))
    variance = c.emit("Reduce", c.binary("mul", centred, centred), axes, fn="mean")
    deviation = c.unary("sqrt", c.binary("add", variance, c.scalar(c.attr("epsilon", 1e-5), hint="epsilon")))
    scale = c.constant(c.weights(1, "scale").reshape(per_channel), "scale")
    bias = c.constant(c.weights(2, "bias").reshape(per_channel), "B")
    return c.binary("add", c.binary("mul", c.binary("div", centred, deviation), scale), bias)
