"""From the histogram of a tensor to the range that int8 should represent.

minmax      all values seen
percentile  all but a share of the values, half of it at each end
entropy     so that the distribution of the quantized values tells most of that of the values: the least
            Kullback-Leibler divergence (Migacz, "8-bit inference with TensorRT", 2017), over ranges cut at one
            magnitude on both sides
mse         the least mean square of the error, over ranges cut on either side"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..errors import ArgumentError
from .numbers import HIGH, LOW, Range

METHODS = ("minmax", "percentile", "entropy", "mse")
BINS = 4096
_FOLDED = 1024  # bins of magnitudes: wide enough that each holds some of x's
_STEPS = 65  # ranges tried per side
_SMALLEST_CUT = 0.1


@dataclass
class Histogram:
    """Of values from low to high. Exact zeros, which quantization keeps, are counted apart."""

    low: float
    high: float
    counts: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))
    zeros: int = 0

    def add(self, x: np.ndarray) -> None:
        total, x = x.size, x[x != 0]
        self.zeros += total - x.size
        if x.size and self.high > self.low:
            index = ((x - np.float64(self.low)) * (BINS / (self.high - self.low))).astype(np.int32)
            self.counts += np.bincount(np.clip(index, 0, BINS - 1), minlength=BINS)

    @property
    def centers(self) -> np.ndarray:
        return self.low + (np.arange(BINS) + 0.5) * ((self.high - self.low) / BINS)


def threshold(method: str, histogram: Histogram, percentile: float = 99.99) -> Range:
    """The range of a method; that of all values where the method leaves nothing of it."""
    whole = Range(histogram.low, histogram.high, histogram.low == histogram.high)
    if method == "minmax" or whole.constant:
        return whole
    functions: dict[str, Callable[[Histogram], tuple[float, float]]] = {
        "percentile": lambda h: _percentile(h, percentile),
        "entropy": _entropy,
        "mse": _mse,
    }
    low, high = functions[method](histogram)
    found = Range(max(low, histogram.low), min(high, histogram.high))
    return found if found.width > 0 else whole


def check_method(method: str, percentile: float) -> None:
    if method not in METHODS:
        raise ArgumentError(f"calibration method {method!r} is none of {', '.join(map(repr, METHODS))}")
    if not 50 < percentile <= 100:
        raise ArgumentError(f"percentile={percentile!r} is not above 50 and at most 100")


def _percentile(histogram: Histogram, percentile: float) -> tuple[float, float]:
    values, counts = np.append(histogram.centers, 0.0), np.append(histogram.counts, histogram.zeros)
    order = np.argsort(values, kind="stable")
    share = np.cumsum(counts[order]) / counts.sum()
    tail = (100 - percentile) / 200
    last = len(values) - 1
    low = values[order[min(np.searchsorted(share, tail, side="right"), last)]]
    high = values[order[min(np.searchsorted(share, 1 - tail), last)]]
    return float(low), float(high)


def _entropy(histogram: Histogram) -> tuple[float, float]:
    top = max(abs(histogram.low), abs(histogram.high))
    counts, _ = np.histogram(np.abs(histogram.centers), _FOLDED, (0, top), weights=histogram.counts.astype(np.float64))
    levels = (HIGH - LOW + 1) // (1 if histogram.low >= 0 or histogram.high <= 0 else 2)
    best, cut = np.inf, _FOLDED
    for bins in range(levels, _FOLDED + 1, _FOLDED // _STEPS):
        divergence = _divergence(counts, bins, levels)
        if divergence < best:
            best, cut = divergence, bins
    limit = top * cut / _FOLDED
    return -limit, limit


def _divergence(counts: np.ndarray, bins: int, levels: int) -> float:
    """Of the distribution cut to the first bins from the same in so many levels; the cut off values lie in the last
    bin."""
    inside = counts[:bins]
    level = np.arange(bins) * levels // bins
    there = inside > 0
    held = np.bincount(level, there, levels)
    mean = np.bincount(level, inside, levels) / np.maximum(held, 1)
    q = np.where(there, mean[level], 0.0)
    p = inside.copy()
    p[-1] += counts[bins:].sum()
    if not q.sum():
        return np.inf
    p, q = p / p.sum(), q / q.sum()
    some = p > 0
    return float(np.sum(p[some] * np.log(p[some] / np.maximum(q[some], 1e-9))))


def _mse(histogram: Histogram) -> tuple[float, float]:
    """Each side in turn, twice: the errors of the two hang together by the scale alone."""
    there = histogram.counts > 0
    x, counts = histogram.centers[there], histogram.counts[there]
    ends = [min(histogram.low, 0.0), max(histogram.high, 0.0)]
    cuts = np.linspace(_SMALLEST_CUT, 1.0, _STEPS)
    for side in (1, 0, 1, 0):
        whole = (min(histogram.low, 0.0), max(histogram.high, 0.0))[side]
        if whole:
            tried = [(*ends[:side], whole * cut, *ends[side + 1 :]) for cut in cuts]
            ends = list(tried[int(np.argmin([_error(x, counts, *pair) for pair in tried]))])
    return ends[0], ends[1]


def _error(x: np.ndarray, counts: np.ndarray, low: float, high: float) -> float:
    """Sum of the squared errors of int8 over a range."""
    scale = (high - low) / (HIGH - LOW)
    zero = np.clip(np.rint(LOW - low / scale), LOW, HIGH)
    q = np.clip(np.rint(x / scale) + zero, LOW, HIGH)
    return float(np.sum(counts * np.square((q - zero) * scale - x)))
