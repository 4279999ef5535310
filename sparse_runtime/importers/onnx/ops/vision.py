"""What detectors sample from feature maps: RoiAlign, DeformConv, Col2Im."""

from __future__ import annotations

import numpy as np

from ..registry import Call, Unsupported, op
from .conv import conv_transpose


@op("RoiAlign")
def roi_align(c: Call):
    c.float32(0, 1)
    modes = {"half_pixel": 1, "output_half_pixel": 0}
    mode = c.text("coordinate_transformation_mode", "half_pixel" if c.opset >= 16 else "output_half_pixel")
    return c.emit(
        "RoiAlign",
        c.x(0),
        c.x(1),
        c.x(2),
        mode=c.choice("mode", c.text("mode", "avg"), ("avg", "max")),
        half_pixel=modes[c.choice("coordinate_transformation_mode", mode, tuple(modes))],
        **{name: c.attr(name, 1) for name in ("output_height", "output_width")},
        sampling_ratio=c.attr("sampling_ratio", 0),
        spatial_scale=c.attr("spatial_scale", 1.0),
    )


@op("DeformConv")
def deform_conv(c: Call):
    """A convolution whose taps are displaced by `offset`, per offset group, tap and output pixel. All taps are sampled
    one below the other, which makes the convolution one of 1x1 with a channel for each tap."""
    c.float32(0, 2, 4)
    weight = c.weights(1, "weights")
    if weight.ndim != 4:
        raise Unsupported(f"{weight.ndim - 2} spatial axes", "2")
    group, offset_groups = c.attr("group", 1), c.attr("offset_group", 1)
    channels, kernel = weight.shape[1] * group, weight.shape[2:]
    taps = kernel[0] * kernel[1]
    if channels % offset_groups:
        raise ValueError(f"offset_group {offset_groups} does not divide the {channels} input channels")
    strides, dilations = (c.attr(name) or [1, 1] for name in ("strides", "dilations"))
    pads = c.attr("pads") or [0] * 4
    x, offset = c.x(0), c.x(2)
    size = c.emit("Shape", offset, start=2)
    offset = c.emit("Reshape", offset, c.emit("Concat", c.ints([-1, taps, 2], "lead"), size, axis=0))
    positions = []
    for axis in (1, 0):  # GridSample wants x first
        moved = c.emit("Gather", offset, c.constant(np.int64(axis), "index"), axis=2)  # [N * groups, taps, H, W]
        tap = np.arange(taps) // kernel[1] if axis == 0 else np.arange(taps) % kernel[1]
        start = (tap * dilations[axis] - pads[axis]).reshape(-1, 1, 1).astype(np.float32)
        steps = c.cast(c.range(c.size(offset, 3 + axis)), "float32")
        steps = c.binary("mul", steps, c.constant(np.float32(strides[axis]), "stride"))
        steps = c.binary("add", c.reshape(steps, [-1] + [1] * (1 - axis)), c.constant(start, "taps"))
        positions.append(c.unsqueeze(c.binary("add", moved, steps), [-1]))
    grid = c.emit("Concat", *positions, axis=4)
    below = c.emit("Concat", c.ints([-1], "lead"), _times(c, offset, 3, taps), c.size(offset, 4), axis=0)
    grid = c.emit("Reshape", grid, c.emit("Concat", below, c.ints([2], "last"), axis=0))
    each = c.emit("Concat", c.ints([-1, channels // offset_groups], "lead"), c.emit("Shape", x, start=2), axis=0)
    y = c.emit("GridSample", c.emit("Reshape", x, each), grid, mode="linear", padding_mode="zeros", pixels=1)
    if c.get(4) is not None:
        mask = c.emit("Concat", c.ints([-1, 1], "lead"), _times(c, offset, 3, taps), c.size(offset, 4), axis=0)
        y = c.binary("mul", y, c.emit("Reshape", c.x(4), mask))
    y = c.emit("Reshape", y, c.emit("Concat", c.ints([-1, channels * taps], "lead"), size, axis=0))
    bias = None if c.get(3) is None else c.constant(c.weights(3, "bias"), "B")
    return c.emit("Conv", y, c.constant(weight.reshape(len(weight), -1, 1, 1), "W"), bias, group=group)


def _times(c: Call, x, axis: int, factor: int):
    """A dimension times a factor, as int64 [1]."""
    return c.binary("mul", c.size(x, axis), c.ints([factor], "factor"))


@op("Col2Im")
def col2im(c: Call):
    """Blocks [N, C * elements, blocks] back into the images they are of, added where they overlap: ConvTranspose with
    a kernel that puts each element into its place."""
    c.float32()
    image, block = (c.const(i, what).reshape(-1).tolist() for i, what in ((1, "image_shape"), (2, "block_shape")))
    axes, elements, batch = len(image), int(np.prod(block)), c.size(c.x(), 0)
    strides, dilations = (list(c.attr(name) or [1] * axes) for name in ("strides", "dilations"))
    pads = list(c.attr("pads") or [0] * 2 * axes)
    spread = [image[i] + pads[i] + pads[axes + i] - dilations[i] * (block[i] - 1) - 1 for i in range(axes)]
    if len(block) != axes or min(spread) < 0:
        raise ValueError(f"blocks {block} with dilations {dilations} in images {image} with pads {pads}")
    blocks = [s // stride + 1 for s, stride in zip(spread, strides)]
    kernel = np.eye(elements, dtype=np.float32).reshape(elements, 1, *block)
    c.inputs = [c.reshape(c.x(), [-1, elements, *blocks]), c.constant(kernel, "W")]
    c.attrs = {"strides": strides, "dilations": dilations, "pads": pads}
    c.attrs["output_padding"] = [s % stride for s, stride in zip(spread, strides)]
    return c.emit("Reshape", conv_transpose(c), c.emit("Concat", batch, c.ints([-1, *image], "image"), axis=0))
