"""Convolution, pooling, normalization."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..registry import Call, Unsupported, op, pair
from .normalize import per_channel, powered, rooted, standardize

_AUTO_PAD = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


def _window(c: Call, axes: int, allowed: Sequence[int] = (1, 2)) -> dict:
    """strides, pads, dilations and auto_pad for two spatial axes; with one in the model, the first gets length 1."""
    if axes not in allowed:
        raise Unsupported(f"{axes} spatial axes", " or ".join(map(str, allowed)))
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
        "pads": tuple(pads) if auto_pad == "NOTSET" else (0,) * len(pads),
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
    bias = c.get(2)
    if bias is not None and bias.is_const and c.weights(2, "bias").shape != (weight.shape[0],):
        raise ValueError(f"bias of shape {list(bias.const.shape)} for {weight.shape[0]} output channels")
    stored = bias if bias is not None and bias.is_const else None
    y = conv_of(c, c.x(), weight, stored)
    if bias is not stored:  # computed at run time
        y = c.binary("add", y, c.unsqueeze(bias, range(1, weight.ndim - 1)))
    return y


def conv_of(c: Call, x, weight: np.ndarray, bias):
    """A convolution with the node's attributes; `bias`: a constant value, an array or None."""
    axes = weight.ndim - 2
    window = _window(c, axes, (1, 2, 3))
    kernel = c.attr("kernel_shape")
    if kernel and tuple(kernel) != weight.shape[2:]:
        raise ValueError(f"kernel_shape {list(kernel)} but weights of shape {list(weight.shape)}")
    group = c.attr("group", 1)
    if group < 1 or weight.shape[0] % group:
        raise ValueError(f"group {group} does not divide the {weight.shape[0]} output channels")
    if axes == 3:
        return _conv_of_volumes(c, x, weight, bias, group, window)
    given = c.get(1)
    whole = axes == 2 and given is not None and given.is_const and given.const is weight
    w = given if whole else c.constant(np.expand_dims(weight, 2) if axes == 1 else weight, "W")
    if isinstance(bias, np.ndarray):
        bias = c.constant(bias, "B")
    return _line(c, axes, c.emit("Conv", _plane(c, axes, x), w, bias, group=group, **window))


def _conv_of_volumes(c: Call, x, weight: np.ndarray, bias, group: int, window: dict):
    """A convolution over three axes: each step along the first is an image, which has the slices that the kernel covers
    as channels."""
    if window["auto_pad"].startswith("SAME"):
        raise Unsupported(f"auto_pad {window['auto_pad']} with 3 spatial axes", "NOTSET and VALID")
    depth, plane = _apart(window)
    taps, stride, dilation = weight.shape[2], depth["strides"][0], depth["dilations"][0]
    before, _, behind, _ = depth["pads"]
    if before or behind:
        x = c.emit("Pad", x, c.ints([0, 0, before, 0, 0, 0, 0, behind, 0, 0], "pads"))
    slices, axis, step = [], c.ints([2], "axes"), c.ints([stride], "steps")
    for k in range(taps):
        end = c.ints([(k - taps + 1) * dilation or np.iinfo(np.int64).max], "ends")
        slices.append(c.unsqueeze(c.emit("Slice", x, c.ints([k * dilation], "starts"), end, axis, step), [2]))
    x = c.emit("Transpose", c.emit("Concat", *slices, axis=2), perm=(0, 3, 1, 2, 4, 5))
    steps, size = c.emit("Shape", x, start=0, end=2), c.emit("Shape", x, start=4)
    channels = c.ints([-1, weight.shape[1] * group * taps], "channels")
    x = c.emit("Reshape", x, c.emit("Concat", channels, size, axis=0))
    w = c.constant(weight.reshape(weight.shape[0], -1, *weight.shape[3:]), "W")
    if isinstance(bias, np.ndarray):
        bias = c.constant(bias, "B")
    y = c.emit("Conv", x, w, bias, group=group, **plane)
    y = c.emit("Reshape", y, c.emit("Concat", steps, c.emit("Shape", y, start=1), axis=0))
    return c.emit("Transpose", y, perm=(0, 2, 1, 3, 4))


@op("MaxPool", "AveragePool")
def pool(c: Call):
    small = c.dtype() if c.op == "MaxPool" and c.dtype() in ("int8", "uint8") else None
    if small is None:
        c.float32()
    x = c.cast(c.x(), "float32") if small else c.x()  # which holds them exactly
    if any(c.used_outputs[1:]):
        y, indices = _max_and_indices(c, x)
        return c.cast(y, small) if small else y, indices
    y = pool_of(c, c.op, x)
    return c.cast(y, small) if small else y


def _max_and_indices(c: Call, x):
    axes, order = len(c.need("kernel_shape")), c.attr("storage_order", 0)
    attrs = _window(c, axes)
    attrs.update(kernel_shape=pair(c.need("kernel_shape"), 1), ceil_mode=c.attr("ceil_mode", 0), storage_order=order)
    return [_line(c, axes, y) for y in c.emit_many("MaxPoolIndices", [_plane(c, axes, x)], 2, **attrs)]


def pool_of(c: Call, kind: str, x, **more):
    """MaxPool or AveragePool with the node's attributes; three axes as two and then one, as both can be taken apart."""
    kernel = c.need("kernel_shape")
    axes = len(kernel)
    attrs = dict(more, ceil_mode=c.attr("ceil_mode", 0))
    if kind == "AveragePool":
        attrs.setdefault("count_include_pad", c.attr("count_include_pad", 0))
    if axes < 3:
        return _line(
            c, axes, c.emit(kind, _plane(c, axes, x), kernel_shape=pair(kernel, 1), **attrs, **_window(c, axes))
        )
    depth, plane = _apart(_window(c, axes, (1, 2, 3)))
    height = c.emit("Concat", c.ints([0, -1], "lead"), c.emit("Shape", x, start=3), axis=0)
    y = c.emit(kind, c.emit("Reshape", x, height), kernel_shape=tuple(kernel[1:]), **attrs, **plane)
    size = c.emit("Shape", y, start=2)
    y = c.emit("Reshape", y, c.emit("Concat", c.emit("Shape", x, start=0, end=3), c.ints([-1], "rest"), axis=0))
    y = c.emit(kind, y, kernel_shape=(kernel[0], 1), **attrs, **depth)
    return c.emit("Reshape", y, c.emit("Concat", c.ints([0, 0, 0], "lead"), size, axis=0))


def _apart(window: dict) -> tuple[dict, dict]:
    """A window over three axes as one over the first, beside an axis of its own, and one over the other two."""
    depth, plane = {"auto_pad": window["auto_pad"]}, {"auto_pad": window["auto_pad"]}
    for name, fill in (("strides", 1), ("dilations", 1)):
        depth[name], plane[name] = (window[name][0], fill), window[name][1:]
    pads = window["pads"]
    depth["pads"], plane["pads"] = (pads[0], 0, pads[3], 0), (*pads[1:3], *pads[4:])
    return depth, plane


@op("MaxUnpool")
def max_unpool(c: Call):
    """The elements of x where MaxPool's indices say, in zeros; the result is then extended to output_shape."""
    c.float32()
    x, kernel = c.x(), c.need("kernel_shape")
    axes = len(kernel)
    strides, pads = c.attr("strides") or [1] * axes, c.attr("pads") or [0] * (2 * axes)
    if len(strides) != axes or len(pads) != 2 * axes:
        raise ValueError(f"strides {list(strides)} and pads {list(pads)} for {axes} spatial axes")
    rest = [k - s - a - b for k, s, a, b in zip(kernel, strides, pads[:axes], pads[axes:])]
    size = c.binary("mul", c.emit("Shape", x, start=2), c.ints(strides, "strides"))
    shape = c.emit(
        "Concat", c.emit("Shape", x, start=0, end=2), c.binary("add", size, c.ints(rest, "rest")), axis=0
    )
    empty = c.emit("ConstantOfShape", c.reduce("prod", shape, [0]), c.constant(np.zeros(1, np.float32), "zero"))
    y = c.emit("ScatterElements", empty, c.reshape(c.x(1), [-1]), c.reshape(x, [-1]))
    y = c.emit("Reshape", y, shape, allowzero=1)
    if c.get(2) is None:
        return y
    lacking = c.binary("sub", c.x(2), shape)
    return c.emit("Pad", y, c.emit("Concat", c.ints([0] * (axes + 2), "begin"), lacking, axis=0))


@op("GlobalAveragePool", "GlobalMaxPool")
def global_pool(c: Call):
    c.float32()
    return c.emit(c.op, c.x())


@op("BatchNormalization")
def batch_normalization(c: Call):
    """With the mean and variance that are given; those of the input itself in training_mode, which before opset 14 is
    where a node has outputs for them. spatial=0, before opset 9: with parameters for each element of an image."""
    c.float32()
    c.only_first_output("training")
    if not c.attr("spatial", 1):
        scale, bias, mean, variance = (c.weights(i, "parameters") for i in range(1, 5))
        factor = scale / np.sqrt(variance + np.float32(c.attr("epsilon", 1e-5)))
        y = c.binary("mul", c.x(), c.constant(factor, "factor"))
        return c.binary("add", y, c.constant(bias - factor * mean, "addend"))
    if c.attr("training_mode", 0) or (c.opset < 14 and len(c.used_outputs) > 1 and not c.older):
        rank = c.known_rank()
        y, _, _ = standardize(c, c.x(), [0, *range(2, rank)], c.attr("epsilon", 1e-5))
        return per_channel(c, y, c.x(1), c.x(2), rank)
    names = ("scale", "bias", "mean", "variance")
    params = [c.weights(i + 1, name) for i, name in enumerate(names)]
    for name, array in zip(names, params):
        if array.ndim != 1 or array.shape != params[0].shape:
            raise ValueError(f"{name} of shape {list(array.shape)}, scale of shape {list(params[0].shape)}")
    return c.emit("BatchNormalization", c.x(), *c.inputs[1:5], epsilon=c.attr("epsilon", 1e-5))


@op("ConvTranspose")
def conv_transpose(c: Call):
    """Output pixel s * q + r, for a stride s, is the sum of input pixels q - t times taps s * t + r of the kernel: a
    convolution for each of the s remainders r. All of them are one, whose s * s times as many channels are then
    interleaved; the padding is cut off."""
    c.float32()
    weight = c.weights(1, "weights")
    axes, x = weight.ndim - 2, c.x()
    window = _window(c, axes)
    kernel = c.attr("kernel_shape")
    if kernel and tuple(kernel) != weight.shape[2:]:
        raise ValueError(f"kernel_shape {list(kernel)} but weights of shape {list(weight.shape)}")
    group = c.attr("group", 1)
    if group < 1 or weight.shape[0] % group:
        raise ValueError(f"group {group} does not divide the {weight.shape[0]} input channels")
    more, output_shape = list(c.attr("output_padding") or [0] * axes), c.attr("output_shape")
    if len(more) != axes or min(more) < 0:
        raise ValueError(f"output_padding {more} for {axes} spatial axes")
    more = pair(more, 0)
    if output_shape:
        output_shape = pair(output_shape[-axes:], 1)
    if axes == 1:
        weight = np.expand_dims(weight, 2)
    strides, channels = window["strides"], weight.shape[1] * group
    reach = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], window["dilations"])]
    taps = [-(-r // s) for r, s in zip(reach, strides)]
    begin, cut, extra = zip(*(_cut(c, i, window, reach, taps, more) for i in (0, 1)))
    bias = c.get(2)
    if bias is not None and c.weights(2, "bias").shape != (channels,):
        raise ValueError(f"bias of shape {list(bias.const.shape)} for {channels} output channels")
    split = strides[0] * strides[1]
    late = bias is not None and output_shape is not None
    stored = None if bias is None or late else c.constant(np.repeat(bias.const, split), "B")
    y = c.emit(
        "Conv",
        _plane(c, axes, x),
        c.constant(_by_remainder(weight, group, window["dilations"], strides, taps), "W"),
        stored,
        group=group,
        pads=(taps[0] - 1, taps[1] - 1, taps[0] - 1 + extra[0], taps[1] - 1 + extra[1]),
    )
    y = _interleave(c, y, channels, strides, axes)
    if output_shape:
        y = _cut_to(c, _plane(c, axes, x), y, output_shape, strides, [r + m for r, m in zip(reach, more)])
        if late:
            y = c.binary("add", y, c.unsqueeze(bias, [1, 2]))
    elif any(begin) or any(cut):
        ends = [-n or np.iinfo(np.int64).max for n in cut]
        y = c.emit("Slice", y, c.ints(begin, "starts"), c.ints(ends, "ends"), c.ints([2, 3], "axes"))
    return _line(c, axes, y)


def _cut(c: Call, i: int, window: dict, reach, taps, more):
    """What one spatial axis of the interleaved image has too much at its begin and its end, and the input pixels of
    padding that make it large enough."""
    stride, size = window["strides"][i], reach[i] + more[i]
    if window["auto_pad"].startswith("SAME"):
        total = max(0, size - stride)
        begin = total // 2 if window["auto_pad"] == "SAME_UPPER" else total - total // 2
        rest = 0  # output pixels less stride times input pixels
    else:
        begin = window["pads"][i]
        rest = size - stride - begin - window["pads"][i + 2]
    cut = stride * (taps[i] - 1) - begin - rest
    extra = max(0, -(cut // stride))
    return begin, cut + stride * extra, extra


def _by_remainder(weight, group: int, dilations, strides, taps):
    """[C, M / group, kh, kw] as the weights of the convolution: [M * sh * sw, C / group, taps, taps]."""
    ic, per_group = weight.shape[:2]
    whole = np.zeros((ic, per_group, taps[0] * strides[0], taps[1] * strides[1]), np.float32)
    spread = whole[:, :, :: dilations[0], :: dilations[1]]
    spread[:, :, : weight.shape[2], : weight.shape[3]] = weight
    whole = whole.reshape(group, ic // group, per_group, taps[0], strides[0], taps[1], strides[1])
    whole = whole[:, :, :, ::-1, :, ::-1].transpose(0, 2, 4, 6, 1, 3, 5)
    return whole.reshape(-1, ic // group, *taps)


def _interleave(c: Call, y, channels: int, strides, axes: int):
    """[N, C * sh * sw, H, W] to [N, C, H * sh, W * sw]."""
    if strides[0] == strides[1]:
        return y if strides[0] == 1 else c.emit("DepthToSpace", y, blocksize=strides[0], mode="CRD")
    if axes == 1:
        height = c.ints([1], "height")
    else:
        height = c.binary("mul", c.size(y, 2), c.ints([strides[0]], "stride"))
    y = c.reshape(c.emit("Transpose", y, perm=(0, 2, 3, 1)), [0, 0, 0, channels, *strides])
    y = c.emit("Transpose", y, perm=(0, 3, 1, 4, 2, 5))
    return c.emit("Reshape", y, c.emit("Concat", c.ints([0, channels], "lead"), height, c.ints([-1], "width"), axis=0))


def _cut_to(c: Call, x, y, output_shape, strides, reach):
    """To a given size: what is too much is cut off on both sides, what lacks is zero."""
    wanted, zero = c.ints(output_shape, "output_shape"), c.ints([0, 0], "zero")
    size = c.emit("Shape", x, start=2)
    whole = c.binary("add", c.binary("mul", size, c.ints(strides, "strides")), c.ints(reach, "reach"))
    whole = c.binary("sub", whole, c.ints(strides, "strides"))
    total = c.binary("max", c.binary("sub", whole, wanted), zero)
    begin = c.binary("div", total, c.ints([2, 2], "two"))
    if c.text("auto_pad", "NOTSET") != "SAME_UPPER":
        begin = c.binary("sub", total, begin)
    axes = c.ints([2, 3], "axes")
    y = c.emit("Slice", y, begin, c.binary("add", begin, wanted), axes)
    lacking = c.binary("sub", wanted, c.emit("Shape", y, start=2))
    return c.emit("Pad", y, c.emit("Concat", zero, lacking, axis=0), None, axes)


@op("LpPool")
def lp_pool(c: Call):
    """The p-norm of each window, from the mean of its powers, padding counted."""
    c.float32()
    c.choice("ceil_mode", c.attr("ceil_mode", 0), (0,))
    kernel, p = c.need("kernel_shape"), c.attr("p", 2)
    mean = pool_of(c, "AveragePool", powered(c, c.x(), p), count_include_pad=1)
    return rooted(c, c.binary("mul", mean, c.scalar(float(np.prod(kernel)))), p)
