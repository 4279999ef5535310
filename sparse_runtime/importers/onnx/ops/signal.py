"""Fourier transforms, as products with their matrices: front ends of speech and sound networks."""

from __future__ import annotations

import numpy as np

from ....ir import Value
from ..registry import Call, op


def _real(c: Call, x: Value) -> Value:
    """Without the last axis, of length 1. It is refused when shapes are inferred if it is longer."""
    return c.emit("Squeeze", x, c.ints([-1], "axes"))


@op("STFT")
def stft(c: Call):
    """signal [N, samples, 1 or 2], frame_step, window?, frame_length?: [N, frames, bins, 2], by a convolution. PyTorch
    leaves the signal's last axis out."""
    c.float32(0, 2)
    step = int(c.const(1, "frame_step").reshape(()))
    window = None if c.get(2) is None else c.weights(2, "the window").reshape(-1).astype(np.float64)
    if c.get(3) is not None:
        length = int(c.const(3, "frame_length").reshape(()))
    elif window is not None:
        length = len(window)
    else:
        raise ValueError("neither a window nor a frame_length")
    if window is not None and len(window) != length:
        raise ValueError(f"a window of {len(window)} samples for frames of {length}")
    bins = length // 2 + 1 if c.attr("onesided", 1) else length
    turn = np.outer(np.arange(bins), np.arange(length)) % length * (-2 * np.pi / length)
    wave = np.exp(1j * turn) * (1 if window is None else window)
    parts = [np.stack([wave.real, wave.imag], 1)]  # [bins, 2, samples] for what is real, and for what is imaginary
    if c.rank() != 2 and c.last() == 2:
        parts.append(np.stack([-wave.imag, wave.real], 1))
        x = c.unsqueeze(c.emit("Transpose", c.x(), perm=(0, 2, 1)), [2])
    else:
        x = c.unsqueeze(c.x() if c.rank() == 2 else _real(c, c.x()), [1, 2])
    weight = np.stack(parts, 2).astype(np.float32).reshape(2 * bins, len(parts), 1, length)
    y = c.emit("Conv", x, c.constant(weight, "W"), strides=(1, step))
    return c.emit("Transpose", c.reshape(y, [0, bins, 2, -1]), perm=(0, 3, 1, 2))


@op("DFT")
def dft(c: Call):
    """Along an axis, which is cut to dft_length or filled up with zeros; the last axis has the real and imaginary part.
    onesided: of real numbers, whose transform's other half mirrors the first; its inverse gives real numbers."""
    c.float32()
    inverse, onesided = c.attr("inverse", 0), c.attr("onesided", 0)
    rank, x, axis = c.known_rank(), c.x(), c.attr("axis", 1)
    if c.opset >= 20:
        axis = -2 if c.get(2) is None else int(c.const(2, "axis").reshape(()))
    axis = c.axis(axis)
    if axis == rank - 1:
        raise ValueError("the last axis holds real and imaginary parts")
    one, two, given = c.ints([1], "one"), c.ints([2], "two"), c.get(1)
    if given is not None:
        count = c.reshape(c.cast(given, "int64"), [1])
    elif inverse and onesided:
        count = c.binary("mul", c.binary("sub", c.size(x, axis), one), two)
    else:
        count = c.size(x, axis)
    half = c.binary("add", c.binary("div", count, two), one)
    most, bins = (half, count) if inverse and onesided else (count, half if onesided else count)
    x = c.emit("Slice", x, c.ints([0], "starts"), most, c.ints([axis], "axes"))
    cos, sin = _waves(c, c.range(c.size(x, axis)), c.range(bins), count, inverse, inverse and onesided)
    if c.last() == 2:
        parts = [c.emit("Gather", x, c.constant(np.int64(i), "index"), axis=rank - 1) for i in (0, 1)]
    else:
        parts = [_real(c, x)]
    order = [*(i for i in range(rank - 1) if i != axis), axis]
    parts = [c.emit("Transpose", p, perm=order) for p in parts]
    real, imaginary = c.emit("MatMul", parts[0], cos), c.emit("MatMul", parts[0], sin)
    if len(parts) == 2:
        real = c.binary("sub", real, c.emit("MatMul", parts[1], sin))
        imaginary = c.binary("add", imaginary, c.emit("MatMul", parts[1], cos))
    back = [order.index(i) for i in range(rank - 1)]
    results = [real] if inverse and onesided else [real, imaginary]
    results = [c.unsqueeze(c.emit("Transpose", y, perm=back), [-1]) for y in results]
    return results[0] if len(results) == 1 else c.emit("Concat", *results, axis=rank - 1)


def _waves(c: Call, samples: Value, bins: Value, count: Value, inverse: int, mirrored: int) -> tuple[Value, Value]:
    """cos and sin of -2 pi k n / count, [samples, bins]; of 2 pi k n / count, divided by count, for the inverse.
    mirrored: a sample stands for its mirror image too, which the first and the middle one do not have."""
    turns = c.binary("mod", c.binary("mul", c.unsqueeze(samples, [1]), bins), count)
    quarters = c.binary("mul", turns, c.ints([4], "four"))
    whole = c.binary("mul", count, c.ints([4], "four"))
    cos, sin = (_sine(c, q, whole) for q in (c.binary("mod", c.binary("add", quarters, count), whole), quarters))
    if not inverse:
        return cos, c.unary("neg", sin)
    factor = c.constant(np.float32(1), "one")
    if mirrored:
        twice = c.binary("mod", c.binary("mul", samples, c.ints([2], "two")), count)
        alone = c.compare("equal", twice, c.ints([0], "zero"))
        factor = c.unsqueeze(c.where(alone, factor, c.constant(np.float32(2), "two")), [1])
    factor = c.binary("div", factor, c.cast(count, "float32"))
    return c.binary("mul", cos, factor), c.binary("mul", sin, factor)


def _sine(c: Call, part: Value, whole: Value) -> Value:
    """sin(2 pi part / whole) by that of an angle of the first quarter, so that it is 0 where it should be."""
    twice = c.binary("add", part, part)
    there = c.binary("min", twice, c.binary("sub", c.binary("add", whole, whole), twice))  # from 0 to whole and back
    near = c.cast(c.binary("min", there, c.binary("sub", whole, there)), "float32")
    angle = c.binary("mul", near, c.binary("div", c.constant(np.float32(np.pi), "pi"), c.cast(whole, "float32")))
    y = c.unary("sin", angle)
    return c.where(c.compare("less", whole, twice), c.unary("neg", y), y)
