"""Numbers of 8 bits: scales and zero points from ranges, weights and biases in quanta.

An int8 number q stands for scale * (q - zero_point). Activations have one scale and zero point per tensor, weights one
scale per output channel, zero point 0 and values from -127 to 127; a bias is int32 in quanta of x_scale * w_scale."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, field

import numpy as np

from ..errors import ArgumentError

LOW, HIGH = -128, 127
_WEIGHT_MAX = 127
_INT32_MAX = 2**31 - 1
# Quanta that a bias may take; the other half of an int32 is left to the sum of products.
_BIAS_ROOM = 2.0**30
_OFF_GRID = 1e-2  # of a quantum
_SMALLEST = float(np.finfo(np.float32).tiny)  # denormal scales would have no precision, and no reciprocal
_LARGEST = float(np.finfo(np.float32).max)
_FLOOR = 2.0**-120  # of weight scales, so that x_scale * w_scale is no denormal number


@dataclass(frozen=True)
class Params:
    """scale (a normal, positive float32) and zero_point (-128 to 127) of a tensor. Raises ArgumentError for others."""

    scale: float
    zero_point: int

    def __post_init__(self):
        check_scale("the tensor", self.scale)
        check_zero_point("the tensor", self.zero_point)

    def quantize(self, x: np.ndarray) -> np.ndarray:
        """int8: rounded half to even, saturated."""
        quanta = np.rint(np.asarray(x, np.float32) / np.float32(self.scale)).astype(np.float64) + self.zero_point
        return np.clip(quanta, LOW, HIGH).astype(np.int8)

    def dequantize(self, q: np.ndarray) -> np.ndarray:
        """float32."""
        return (np.asarray(q, np.int32) - self.zero_point).astype(np.float32) * np.float32(self.scale)


def check_scale(what: str, scale: float) -> None:
    """Raises ArgumentError unless `scale` is a finite positive number that float32 holds at full precision."""
    if not isinstance(scale, numbers.Real) or not math.isfinite(scale) or not _SMALLEST <= scale <= _LARGEST:
        raise ArgumentError(f"scale of {what} is {scale!r}; it must be finite, positive and no denormal number")


def check_zero_point(what: str, zero_point: int, low: int = LOW, high: int = HIGH) -> None:
    """Raises ArgumentError unless `zero_point` is an integer that the quantized type holds."""
    if isinstance(zero_point, bool) or not isinstance(zero_point, numbers.Integral) or not low <= zero_point <= high:
        raise ArgumentError(f"zero point of {what} is {zero_point!r}; it must be an integer from {low} to {high}")


@dataclass(frozen=True)
class Range:
    """What values of a tensor are represented; those beyond saturate. Raises ArgumentError unless finite and ordered.

    `constant`: all values seen were the same, so that the range tells nothing of other inputs. `mean`: of each channel
    (axis 1 of images, else the last axis), where known."""

    low: float
    high: float
    constant: bool = False
    mean: tuple[float, ...] = field(default=(), repr=False)

    def __post_init__(self):
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ArgumentError(f"range {self.low!r} to {self.high!r}: its ends must be finite and in order")

    @property
    def width(self) -> float:
        """Of the range extended to hold 0, which must be exact: padding and the zeros of relu are."""
        return max(self.high, 0.0) - min(self.low, 0.0)

    def __or__(self, other: Range) -> Range:
        return Range(min(self.low, other.low), max(self.high, other.high), self.constant and other.constant)

    def params(self, symmetric: bool = False, what: str = "a tensor") -> Params:
        """The range extended to hold 0 is spread over the 256 numbers of int8: scale = width / 255, zero_point =
        round(-128 - low / scale). symmetric: zero_point = 0, scale = largest magnitude / 127. An empty range has scale
        1."""
        low, high = min(self.low, 0.0), max(self.high, 0.0)
        if low == high:
            return Params(1.0, 0)
        scale = float(np.float32(max(-low, high) / _WEIGHT_MAX if symmetric else (high - low) / (HIGH - LOW)))
        check_scale(what, scale)
        zero = 0 if symmetric else int(np.clip(round(LOW - low / scale), LOW, HIGH))
        return Params(scale, zero)


def quantize_weights(
    name: str, weights: np.ndarray, bias: np.ndarray | None = None, x_scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """(int8 of the shape of `weights`, float32 [M] scales) of float32 weights [M, ...].

    A row's scale is its largest magnitude / 127. Where all weights are multiples of one step, as those of networks
    trained for quantization are, and the row's fit in 8 bits, it is the step, or the smallest whole part of it that
    does: such rows stay exact. It is so large that the row's bias takes at most 2^30 quanta of x_scale * scale: rows
    that are nearly zero, as unused channels are, have weights far below what the bias's quanta can tell. Zeros stay
    zeros. Raises ArgumentError for weights that are not finite."""
    matrix = weights.reshape(len(weights), -1).astype(np.float64)
    if not np.isfinite(matrix).all():
        raise ArgumentError(f"weights {name!r} are not all finite numbers")
    top = np.abs(matrix).max(axis=1, initial=0.0)
    step = _step(matrix)
    scale = top / _WEIGHT_MAX
    on_grid = (top > 0) & (top <= (_WEIGHT_MAX + _OFF_GRID) * step)
    scale[on_grid] = step / np.maximum(np.floor(_WEIGHT_MAX * step / top[on_grid]), 1.0)
    if bias is not None:
        scale = np.maximum(scale, np.abs(bias.astype(np.float64)) / (x_scale * _BIAS_ROOM))
    scale = np.where(scale > 0, np.maximum(scale, _FLOOR * max(1.0, 1.0 / x_scale)), 1.0)
    if not (scale <= _LARGEST).all():
        raise ArgumentError(
            f"weights {name!r}: their bias, at an input scale of {x_scale:g}, is beyond what int32 holds"
        )
    scale = scale.astype(np.float32)
    quanta = np.clip(np.rint(matrix / scale[:, None].astype(np.float64)), -_WEIGHT_MAX, _WEIGHT_MAX)
    return quanta.astype(np.int8).reshape(weights.shape), scale


def _step(matrix: np.ndarray) -> float:
    """The smallest difference between weights, if all are multiples of it up to float32's rounding and there are at
    most 256 different ones; else 0."""
    values = np.unique(np.append(matrix, 0.0))
    if not 2 < len(values) <= 2 * HIGH + 2:
        return 0.0
    step = float(np.diff(values).min())
    for _ in range(2):  # the difference of two large weights is not exact; all of them together tell the step better
        multiples = np.rint(values / step)
        step = float(values @ multiples / (multiples @ multiples))
    return step if np.abs(values / step - multiples).max() <= _OFF_GRID else 0.0


def quantize_bias(name: str, bias: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """int32 [M]: a bias in quanta of `scale`, float32 [M]. Raises ArgumentError where int32 does not hold it."""
    if not np.isfinite(bias).all():
        raise ArgumentError(f"bias {name!r} is not all finite numbers")
    quanta = np.rint(bias.astype(np.float64) / scale.astype(np.float64))
    if quanta.size and not (np.abs(quanta) <= _INT32_MAX).all():
        i = int(np.argmax(np.abs(quanta)))
        raise ArgumentError(
            f"bias {name!r}: element {i}, {bias.reshape(-1)[i]:g}, takes {quanta.reshape(-1)[i]:.6g} quanta of "
            f"{scale.reshape(-1)[i]:g}, more than int32 holds"
        )
    return quanta.astype(np.int32)


def bias_shift(weights: np.ndarray, quanta: np.ndarray, scale: np.ndarray, mean: np.ndarray, group: int) -> np.ndarray:
    """float64 [M]: by how much rounding the weights [M, C / group, ...] changes the mean of each output, where input
    channels have these means [C]. Taking it off the bias keeps the means (Nagel et al., "Data-free quantization through
    weight equalization and bias correction", 2019); the padding of KxK kernels counts as if it were more of the
    image."""
    rows, columns = weights.shape[:2]
    each = (rows, columns, -1)
    error = quanta.reshape(each) * scale.astype(np.float64)[:, None, None] - weights.reshape(each).astype(np.float64)
    of_row = mean.reshape(group, columns)[np.arange(rows) * group // rows]
    return np.sum(error.sum(axis=2) * of_row, axis=1)


def check_sums(name: str, weights: np.ndarray, bias: np.ndarray | None) -> None:
    """Raises ArgumentError if a sum of products of int8 weights [M, ...] with inputs of at most 255 quanta, and the
    bias, may leave int32."""
    sums = np.abs(weights.reshape(len(weights), -1).astype(np.int64)).sum(axis=1) * (HIGH - LOW)
    if bias is not None:
        sums = sums + np.abs(bias.astype(np.int64))
    if sums.size and sums.max() > _INT32_MAX:
        raise ArgumentError(
            f"weights {name!r}: sums of {weights[0].size} products may leave int32; keep the layer in FP32 (int8_skip)"
        )
