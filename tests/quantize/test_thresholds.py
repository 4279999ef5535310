"""Ranges chosen from histograms against what a search over the values themselves finds."""

import numpy as np
import pytest

import sparse_runtime as sr
from sparse_runtime.quantize import METHODS
from sparse_runtime.quantize.thresholds import BINS, Histogram, check_method, threshold

RNG = np.random.default_rng(11)
NORMAL = RNG.standard_normal(20000).astype(np.float32)
TAILED = np.append(NORMAL, np.float32([80.0, -60.0]))  # two outliers
RELU = np.maximum(TAILED, 0)


def histogram(x, parts=3):
    made = Histogram(float(x.min()), float(x.max()))
    for part in np.array_split(x, parts):
        made.add(part)
    return made


def squared_error(x, low, high):
    scale = (max(high, 0) - min(low, 0)) / 255
    zero = np.rint(-128 - min(low, 0) / scale)
    return np.square((np.clip(np.rint(x / scale) + zero, -128, 127) - zero) * scale - x).sum()


@pytest.mark.parametrize("x", [NORMAL, TAILED, RELU, np.float32([0, 0, 1])])
def test_histogram_counts_everything(x):
    made = histogram(x)
    assert made.counts.sum() + made.zeros == x.size and made.zeros == (x == 0).sum()
    expected, _ = np.histogram(x[x != 0].astype(np.float64), BINS, (x.min(), x.max()))
    assert np.abs(np.cumsum(made.counts) - np.cumsum(expected)).max() <= 2  # values on the edge of two bins


@pytest.mark.parametrize("x", [NORMAL, TAILED, RELU])
def test_minmax(x):
    found = threshold("minmax", histogram(x))
    assert (found.low, found.high) == (x.min(), x.max())


@pytest.mark.parametrize("percentile", [99.0, 99.9])
@pytest.mark.parametrize("x", [NORMAL, TAILED, RELU])
def test_percentile(x, percentile):
    """So many values lie beyond either end, give or take a bin."""
    found = threshold("percentile", histogram(x), percentile)
    tail, width = x.size * (100 - percentile) / 200, np.ptp(x) / BINS
    assert (x < found.low - width).sum() <= round(tail) <= (x <= found.low + width).sum()
    assert (x > found.high + width).sum() <= round(tail) <= (x >= found.high - width).sum()


def test_percentile_of_all_is_minmax():
    found = threshold("percentile", histogram(NORMAL), 100)
    assert found.low == pytest.approx(NORMAL.min(), abs=0.01) and found.high == pytest.approx(NORMAL.max(), abs=0.01)


@pytest.mark.parametrize("x", [NORMAL, TAILED, RELU, -RELU, NORMAL + 3])
def test_mse_is_near_the_best_there_is(x):
    found = threshold("mse", histogram(x))
    grid = np.linspace(0.05, 1, 40)
    best = min(squared_error(x, min(x.min(), 0) * a, max(x.max(), 0) * b) for a in grid for b in grid)
    assert squared_error(x, found.low, found.high) <= 1.05 * best


def test_outliers_are_cut():
    for method in ("percentile", "entropy"):
        found = threshold(method, histogram(TAILED), 99.9)
        assert -10 <= found.low < -2 and 2 < found.high <= 10, method
    # Where the width of 140 holds, an outlier cut costs more than the finer steps give: mse keeps some.
    assert threshold("mse", histogram(TAILED)).width <= 140


def test_entropy_against_its_definition():
    """The divergence, spelled out for one cut, and that the cut found has the least of all tried."""
    from sparse_runtime.quantize import thresholds

    counts, _ = np.histogram(np.abs(TAILED), 1024, (0, 80))
    counts = counts.astype(np.float64)
    for bins in (128, 300, 1024):
        p = counts[:bins].copy()
        p[-1] += counts[bins:].sum()
        q = np.zeros(bins)
        for level in range(128):
            members = [i for i in range(bins) if i * 128 // bins == level and counts[i] > 0]
            for i in members:
                q[i] = sum(counts[j] for j in members) / len(members)
        p, q = p / p.sum(), np.maximum(q / q.sum(), 1e-9)
        expected = sum(a * np.log(a / b) for a, b in zip(p, q) if a > 0)
        assert thresholds._divergence(counts, bins, 128) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_ranges_stay_within_what_was_seen(method):
    for x in (NORMAL, TAILED, RELU, -RELU, NORMAL + 5):
        found = threshold(method, histogram(x))
        assert x.min() <= found.low <= found.high <= x.max() and not found.constant


@pytest.mark.parametrize("method", METHODS)
def test_hardly_anything_but_zeros(method):
    """No method may leave an empty range."""
    x = np.zeros(100_000, np.float32)
    x[7] = 3.0
    assert threshold(method, histogram(x)).width > 0


@pytest.mark.parametrize("method", METHODS)
def test_constant(method):
    assert threshold(method, histogram(np.full(5, 2.5, np.float32))).constant


def test_arguments():
    with pytest.raises(sr.ArgumentError, match="'magic' is none of 'minmax', 'percentile'"):
        check_method("magic", 99)
    for percentile in (50, 100.1, float("nan")):
        with pytest.raises(sr.ArgumentError, match="percentile="):
            check_method("minmax", percentile)
