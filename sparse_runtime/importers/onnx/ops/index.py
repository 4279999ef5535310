"""Searching, and reading and writing by index."""

from __future__ import annotations

import numpy as np

from ..registry import Call, Unsupported, op


@op("ArgMax", "ArgMin")
def arg_reduce(c: Call):
    return c.emit(
        "ArgReduce",
        c.x(),
        fn=c.op[3:].lower(),
        axis=c.attr("axis", 0),
        keepdims=c.attr("keepdims", 1),
        select_last_index=c.attr("select_last_index", 0),
    )


@op("Hardmax")
def hardmax(c: Call):
    """1 at the first largest element, 0 elsewhere; before opset 13 over all axes from `axis` on, as if flattened
    there."""
    c.float32()
    axis, x = c.attr("axis", 1 if c.opset < 13 else -1), c.x()
    if c.opset < 13:
        x, axis, rank = c.emit("Flatten", x, axis=axis), 1, 2
    else:
        rank = c.known_rank()
        axis = c.axis(axis)
    best = c.emit("ArgReduce", x, axis=axis)
    positions = c.reshape(c.range(c.size(x, axis)), [-1] + [1] * (rank - 1 - axis))
    y = c.cast(c.compare("equal", positions, best), "float32")
    return c.reshape_like(y, c.x()) if c.opset < 13 else y


@op("TopK")
def top_k(c: Call):
    k = c.get(1) if c.opset >= 10 else c.ints([c.need("k")], "K")
    return c.emit_many("TopK", [c.x(), k], 2, axis=c.attr("axis", -1), largest=c.attr("largest", 1))


@op("CumSum")
def cum_sum(c: Call):
    return c.emit("CumSum", c.x(), c.x(1), exclusive=c.attr("exclusive", 0), reverse=c.attr("reverse", 0))


@op("GatherElements")
def gather_elements(c: Call):
    return c.emit("GatherElements", c.x(), c.x(1), axis=c.attr("axis", 0))


@op("GatherND")
def gather_nd(c: Call):
    return c.emit("GatherND", c.x(), c.x(1), batch_dims=c.attr("batch_dims", 0))


_REDUCTIONS = ("none", "add", "mul", "max", "min")


@op("Scatter", "ScatterElements")
def scatter_elements(c: Call):
    reduction = c.choice("reduction", c.text("reduction", "none"), _REDUCTIONS)
    return c.emit("ScatterElements", c.x(), c.x(1), c.x(2), axis=c.attr("axis", 0), reduction=reduction)


@op("ScatterND")
def scatter_nd(c: Call):
    return c.emit(
        "ScatterND", c.x(), c.x(1), c.x(2), reduction=c.choice("reduction", c.text("reduction", "none"), _REDUCTIONS)
    )


@op("OneHot")
def one_hot(c: Call):
    """values[1] where the position along the new axis is the index, which may count from the end; values[0]
    elsewhere."""
    rank = c.known_rank()
    axis = c.attr("axis", -1)
    if not -rank - 1 <= axis <= rank:
        raise ValueError(f"axis {axis} for indices of rank {rank}")
    axis %= rank + 1
    zero = c.constant(np.int64(0), "zero")
    indices, depth = c.cast(c.x(), "int64"), c.reshape(c.cast(c.x(1), "int64"), [])
    indices = c.where(c.compare("less", indices, zero), c.binary("add", indices, depth), indices)
    positions = c.reshape(c.range(depth), [-1] + [1] * (rank - axis))
    off, on = (c.emit("Gather", c.x(2), c.constant(np.int64(i), "index")) for i in (0, 1))
    return c.where(c.compare("equal", c.unsqueeze(indices, [axis]), positions), on, off)


@op("Range")
def range_(c: Call):
    return c.emit("Range", c.x(0), c.x(1), c.x(2))


@op("Trilu")
def trilu(c: Call):
    """The elements of the last two axes with column - row >= k (upper) or <= k; 0 elsewhere."""
    x, k = c.x(), c.get(1)
    k = c.constant(np.int64(0), "k") if k is None else c.reshape(k, [])
    rows, columns = (c.range(c.size(x, axis)) for axis in (-2, -1))
    distance = c.binary("sub", columns, c.unsqueeze(rows, [1]))
    kept = c.compare("less_equal", *((k, distance) if c.attr("upper", 1) else (distance, k)))
    return c.where(kept, x, c.scalar(0))


@op("EyeLike")
def eye_like(c: Call):
    """1 where column - row = k, 0 elsewhere."""
    to = c.output_type("dtype", c.dtype() or "float32")
    rows, columns = (c.range(c.size(c.x(), axis)) for axis in (0, 1))
    k = c.constant(np.int64(c.attr("k", 0)), "k")
    return c.cast(c.compare("equal", c.binary("sub", columns, c.unsqueeze(rows, [1])), k), to)


@op("ReverseSequence")
def reverse_sequence(c: Call):
    """Along the time axis, the first sequence_lens[b] elements of batch b backwards; the rest as it is."""
    batch_axis, time_axis = c.attr("batch_axis", 1), c.attr("time_axis", 0)
    if {batch_axis, time_axis} != {0, 1}:
        raise ValueError(f"batch_axis {batch_axis} and time_axis {time_axis}: one should be 0, the other 1")
    rank, x = c.known_rank(), c.x()
    times, lengths = c.range(c.size(x, time_axis)), c.cast(c.x(1), "int64")
    times, lengths = c.unsqueeze(times, [1 - time_axis]), c.unsqueeze(lengths, [time_axis])
    turned = c.binary("sub", c.binary("sub", lengths, c.constant(np.int64(1), "one")), times)
    zero = c.constant(np.int64(0), "zero")
    index = c.where(c.compare("less", turned, zero), c.binary("add", times, c.binary("mul", lengths, zero)), turned)
    index = c.reshape(index, [0, 0] + [1] * (rank - 2))
    return c.emit("GatherElements", x, c.emit("Expand", index, c.emit("Shape", x)), axis=time_axis)


@op("GridSample")
def grid_sample(c: Call):
    c.float32(0, 1)
    mode = c.text("mode", "linear" if c.opset >= 20 else "bilinear")
    mode = c.choice("mode", {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode), ("linear", "nearest", "cubic"))
    if c.rank() not in (None, 4):
        raise Unsupported(f"an input of rank {c.rank()}", "images, rank 4")
    return c.emit(
        "GridSample",
        c.x(),
        c.x(1),
        mode=mode,
        padding_mode=c.choice("padding_mode", c.text("padding_mode", "zeros"), ("zeros", "border", "reflection")),
        align_corners=c.attr("align_corners", 0),
    )


@op("NonZero")
def non_zero(c: Call):
    return c.emit("NonZero", c.x())


@op("NonMaxSuppression")
def non_max_suppression(c: Call):
    c.float32(0, 1, 3, 4)
    given = [c.get(i) for i in range(5)]
    return c.emit("NonMaxSuppression", *given, center_point_box=c.attr("center_point_box", 0))


@op("Compress")
def compress(c: Call):
    """The elements along an axis, or of the flattened tensor, for which the condition says so."""
    condition, axis = c.x(1), c.attr("axis")
    if condition.is_const:
        kept = c.ints(np.flatnonzero(condition.const), "indices")
    else:
        kept = c.reshape(c.emit("NonZero", condition), [-1])
    x = c.reshape(c.x(), [-1]) if axis is None else c.x()
    return c.emit("Gather", x, kept, axis=0 if axis is None else axis)


@op("AffineGrid")
def affine_grid(c: Call):
    """Where the pixels of an output image lie in the input, from -1 to 1, under one affine map for each image."""
    c.float32()
    theta, size = c.x(), c.cast(c.x(1), "int64")
    axes = 2
    if c.x(1).is_const:
        axes = c.x(1).const.size - 2
    elif theta.is_input and theta.dims[1] > 0:
        axes = theta.dims[1]
    if axes not in (2, 3):
        raise ValueError(f"an output of {axes} spatial axes")
    one, lengths = c.constant(np.float32(1), "one"), c.emit("Slice", size, c.ints([2], "starts"), c.ints([5], "ends"))
    pixels = []  # 1 after the coordinates, of which the innermost axis' comes first
    for i in reversed(range(axes)):
        count = c.emit("Gather", lengths, c.constant(np.int64(i), "index"))
        at, length = c.cast(c.range(count), "float32"), c.cast(count, "float32")
        if c.attr("align_corners", 0):
            steps = c.binary("max", c.binary("sub", length, one), one)
            at = c.binary("div", c.binary("add", at, at), steps)
        else:
            at = c.binary("div", c.binary("add", c.binary("add", at, at), one), length)
        at = c.reshape(c.binary("sub", at, one), [-1] + [1] * (axes - i))
        pixels.append(c.emit("Expand", at, c.emit("Concat", lengths, c.ints([1], "last"), axis=0)))
    pixels.append(c.emit("ConstantOfShape", c.emit("Shape", pixels[0]), c.constant(np.ones(1, np.float32), "ones")))
    pixels = c.reshape(c.emit("Concat", *pixels, axis=axes), [-1, axes + 1])
    y = c.emit("MatMul", pixels, c.emit("Transpose", theta, perm=(0, 2, 1)))
    batch, last = c.size(theta, 0), c.ints([axes], "axes")
    return c.emit("Reshape", y, c.emit("Concat", batch, lengths, last, axis=0), allowzero=1)
