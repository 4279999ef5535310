"""Normalization by mean and variance or by a norm."""

from __future__ import annotations

from ..registry import Call, op


def powered(c: Call, x, p: float):
    """|x| to the power of p."""
    if p == 2:
        return c.binary("mul", x, x)
    x = c.unary("abs", x)
    return x if p == 1 else c.binary("pow", x, c.scalar(float(p), hint="p"))


def rooted(c: Call, x, p: float):
    """The p-th root of x >= 0."""
    if p == 2:
        return c.unary("sqrt", x)
    return x if p == 1 else c.binary("pow", x, c.scalar(1.0 / p, hint="p"))


def standardize(c: Call, x, axes, epsilon: float):
    """(x - mean) / sqrt(variance + epsilon) over some axes, the mean, and 1 / sqrt(...)."""
    mean = c.reduce("mean", x, axes)
    centred = c.binary("sub", x, mean)
    variance = c.reduce("mean", c.binary("mul", centred, centred), axes)
    inverse = c.unary("reciprocal", c.unary("sqrt", c.binary("add", variance, c.scalar(epsilon, hint="epsilon"))))
    return c.binary("mul", centred, inverse), mean, inverse


def per_channel(c: Call, x, scale, bias, rank: int):
    """x * scale + bias with one scale and bias per channel, axis 1."""
    behind = range(1, rank - 1)
    scale, bias = (c.unsqueeze(v, behind) if rank > 2 else v for v in (scale, bias))
    return c.binary("add", c.binary("mul", x, scale), bias)


@op("InstanceNormalization")
def instance_normalization(c: Call):
    """Over the spatial axes of each image and channel."""
    c.float32()
    rank = c.known_rank()
    if rank < 3:
        raise ValueError(f"an input of rank {rank}; there are spatial axes from rank 3 on")
    y, _, _ = standardize(c, c.x(), range(2, rank), c.attr("epsilon", 1e-5))
    return per_channel(c, y, c.x(1), c.x(2), rank)


@op("GroupNormalization")
def group_normalization(c: Call):
    """Over the channels of a group and the spatial axes; scale and bias are per group before opset 21."""
    c.float32()
    rank, groups = c.known_rank(), c.need("num_groups")
    y = c.reshape(c.x(), [0, groups, -1])
    y, _, _ = standardize(c, y, [2], c.attr("epsilon", 1e-5))
    if c.opset < 21:
        return c.reshape_like(per_channel(c, y, c.x(1), c.x(2), 3), c.x())
    return per_channel(c, c.reshape_like(y, c.x()), c.x(1), c.x(2), rank)


@op("LayerNormalization")
def layer_normalization(c: Call):
    """Over all axes from `axis` on."""
    c.float32()
    c.choice("stash_type", c.attr("stash_type", 1), (1,))
    axes = range(c.axis(c.attr("axis", -1)), c.known_rank())
    y, mean, inverse = standardize(c, c.x(), axes, c.attr("epsilon", 1e-5))
    y = c.binary("mul", y, c.x(1))
    return [y if c.get(2) is None else c.binary("add", y, c.x(2)), mean, inverse]


@op("RMSNormalization")
def rms_normalization(c: Call):
    """x / sqrt(mean of squares + epsilon) * scale, over all axes from `axis` on."""
    c.float32()
    c.choice("stash_type", c.attr("stash_type", 1), (1,))
    axes, x = range(c.axis(c.attr("axis", -1)), c.known_rank()), c.x()
    squares = c.reduce("mean", c.binary("mul", x, x), axes)
    norm = c.unary("sqrt", c.binary("add", squares, c.scalar(c.attr("epsilon", 1e-5), hint="epsilon")))
    return c.binary("mul", c.binary("div", x, norm), c.x(1))


@op("MeanVarianceNormalization")
def mean_variance_normalization(c: Call):
    """(x - mean) / (sqrt(variance) + 1e-9)."""
    c.float32()
    axes, x = c.attr("axes", [0, 2, 3]), c.x()
    centred = c.binary("sub", x, c.reduce("mean", x, axes))
    deviation = c.unary("sqrt", c.reduce("mean", c.binary("mul", centred, centred), axes))
    return c.binary("div", centred, c.binary("add", deviation, c.scalar(1e-9, hint="epsilon")))


@op("LRN")
def local_response_normalization(c: Call):
    """x / (bias + alpha * mean of x^2 over the neighbouring channels) ^ beta; what lies outside counts as 0."""
    c.float32()
    size, x = c.need("size"), c.x()
    around = (size - 1) // 2
    squares = c.reshape(c.unsqueeze(c.binary("mul", x, x), [1]), [0, 0, 0, -1])  # [N, 1, C, H * W]
    mean = c.emit(
        "AveragePool", squares, kernel_shape=(size, 1), pads=(around, 0, size - 1 - around, 0), count_include_pad=1
    )
    mean = c.reshape_like(mean, x)
    base = c.binary("add", c.binary("mul", mean, c.scalar(c.attr("alpha", 1e-4))), c.scalar(c.attr("bias", 1.0)))
    return c.binary("div", x, c.binary("pow", base, c.scalar(c.attr("beta", 0.75))))


@op("LpNormalization")
def lp_normalization(c: Call):
    """x / its p-norm along an axis; 0 where that is 0."""
    c.float32()
    p = c.choice("p", c.attr("p", 2), (1, 2))
    norm = c.reduce(f"l{p}", c.x(), [c.attr("axis", -1)])
    zero = c.scalar(0.0)
    return c.where(c.compare("equal", norm, zero), zero, c.binary("div", c.x(), norm))


@op("GlobalLpPool")
def global_lp_pool(c: Call):
    c.float32()
    p = c.attr("p", 2)
    return rooted(c, c.reduce("sum", powered(c, c.x(), p), range(2, c.known_rank())), p)
