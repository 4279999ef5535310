"""Scales, zero points, weights and biases against the formulas, computed here with exact fractions or in float64."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sparse_runtime as sr
from sparse_runtime.quantize import Params, Range, quantize_bias, quantize_weights
from sparse_runtime.quantize.numbers import bias_shift, check_sums

RNG = np.random.default_rng(5)
ENDS = st.floats(-1e6, 1e6, width=32).filter(lambda v: v == 0 or abs(v) > 1e-20)


@given(ENDS, ENDS)
def test_asymmetric_params(a, b):
    low, high = min(a, b, 0.0), max(a, b, 0.0)
    if low == high:
        return
    params = Range(min(a, b), max(a, b)).params()
    assert params.scale == float(np.float32((high - low) / 255)) and -128 <= params.zero_point <= 127
    exact = Fraction(-128) - Fraction(low) / Fraction(params.scale)  # the zero point before rounding
    assert abs(params.zero_point - exact) <= Fraction(1, 2) + Fraction(1, 1000) or params.zero_point in (-128, 127)
    assert params.quantize(np.float32(0)) == params.zero_point  # zero is exact
    for end in (low, high):  # and the ends are off by at most half a quantum for the zero point, half for the number
        assert abs(params.dequantize(params.quantize(np.float32(end))) - end) <= 1.001 * params.scale


@given(ENDS, ENDS)
def test_symmetric_params(a, b):
    top = max(abs(a), abs(b))
    if top:
        params = Range(min(a, b), max(a, b)).params(symmetric=True)
        assert params == Params(float(np.float32(top / 127)), 0)


def test_params_of_nothing():
    assert Range(0.0, 0.0).params() == Params(1.0, 0)


def test_quantize_rounds_half_to_even_and_saturates():
    params = Params(0.5, 3)
    x = np.array([0, 0.25, 0.75, -0.25, -0.75, 1e30, -1e30, 62, -65.5], np.float32)
    np.testing.assert_array_equal(params.quantize(x), [3, 3, 5, 3, 1, 127, -128, 127, -128])
    np.testing.assert_array_equal(params.dequantize(np.int8([3, 127, -128])), np.float32([0, 62, -65.5]))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf"), 1e-40, "1"])
def test_bad_scale(scale):
    with pytest.raises(sr.ArgumentError, match="scale of the tensor is .*finite, positive"):
        Params(scale, 0)


@pytest.mark.parametrize("zero_point", [-129, 128, 0.5, True])
def test_bad_zero_point(zero_point):
    with pytest.raises(sr.ArgumentError, match="zero point of the tensor is .* from -128 to 127"):
        Params(1.0, zero_point)


@pytest.mark.parametrize("ends", [(1.0, 0.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_bad_range(ends):
    with pytest.raises(sr.ArgumentError, match="finite and in order"):
        Range(*ends)


def test_range_too_narrow_for_float32():
    with pytest.raises(sr.ArgumentError, match="scale of 'x' is"):
        Range(0.0, 1e-40).params(what="'x'")


# ---- weights ---------------------------------------------------------------------------------------------------------


def test_weights_per_channel():
    w = RNG.standard_normal((7, 5, 3, 3)).astype(np.float32)
    w[RNG.random(w.shape) < 0.6] = 0
    q, scale = quantize_weights("w", w)
    top = np.abs(w).reshape(7, -1).max(axis=1)
    np.testing.assert_array_equal(scale, (top.astype(np.float64) / 127).astype(np.float32))
    assert q.dtype == np.int8 and np.abs(q.reshape(7, -1)).max(axis=1).tolist() == [127] * 7
    assert (q[w == 0] == 0).all()
    error = np.abs(q * scale.reshape(-1, 1, 1, 1).astype(np.float64) - w)
    assert (error <= 0.5001 * scale.reshape(-1, 1, 1, 1)).all()


@pytest.mark.parametrize("step", [0.013, 1.0, 7e-5])
def test_weights_on_a_grid_stay_exact(step):
    """Rows that fit keep the step, the one that does not has its own scale."""
    grid = RNG.integers(-120, 121, (6, 50))
    grid[:, 0], grid[2, 1] = 1, 200
    w = (grid * np.float32(step)).astype(np.float32)
    q, scale = quantize_weights("w", w)
    fits = np.arange(6) != 2
    np.testing.assert_array_equal(q[fits], grid[fits])
    np.testing.assert_allclose(scale[fits], step, rtol=1e-6)
    assert scale[2] == np.float32(np.abs(w[2]).max().astype(np.float64) / 127) and q[2, 1] == 127


def test_few_steps_leave_the_bias_its_precision():
    """Ternary weights: as exact with a part of the step, and the bias is then in finer quanta."""
    w = (RNG.integers(-1, 2, (4, 30)) * np.float32(0.3)).astype(np.float32)
    q, scale = quantize_weights("w", w)
    np.testing.assert_allclose(scale, 0.3 / 127, rtol=1e-6)
    np.testing.assert_array_equal(q, np.rint(w / 0.3) * 127)
    w[0, 0] = 0.6
    q, scale = quantize_weights("w", w)
    np.testing.assert_allclose(scale, [0.3 / 63] + [0.3 / 127] * 3, rtol=1e-6)
    np.testing.assert_allclose(q * scale[:, None], w, rtol=1e-6)


def test_few_weights_off_any_grid():
    w = np.float32([[1.0, 0.7310586], [0.3, -0.9]])
    _, scale = quantize_weights("w", w)
    np.testing.assert_allclose(scale, [1 / 127, 0.9 / 127], rtol=1e-6)


def test_rows_of_zeros():
    q, scale = quantize_weights("w", np.zeros((2, 4), np.float32), np.float32([0, 0.25]), 0.02)
    assert not q.any() and scale[0] == 1.0
    bias = quantize_bias("b", np.float32([0, 0.25]), np.float32(0.02) * scale)
    assert bias[0] == 0 and bias[1] * (0.02 * float(scale[1])) == pytest.approx(0.25, rel=1e-6)


def test_dead_channel_with_large_bias():
    """What batch normalization leaves of an unused channel: its bias must fit, and stay itself."""
    w, b = np.float32([[1e-12, 2e-12], [0.5, 0.25]]), np.float32([5.0, 1.0])
    q, scale = quantize_weights("w", w, b, 0.01)
    bias = quantize_bias("b", b, np.float32(0.01) * scale)
    assert 2**29 < bias[0] <= 2**30 + 2**8 and scale[1] == np.float32(0.5 / 127)
    assert bias[0] * np.float64(np.float32(0.01) * scale[0]) == pytest.approx(5.0, rel=1e-6)
    assert np.abs(q[0] * np.float64(scale[0]) - w[0]).max() < 1e-9


def test_bias():
    b, scale = np.float32([1.0, -0.3, 2.5]), np.float32([0.5, 0.1, 1.0])
    np.testing.assert_array_equal(quantize_bias("b", b, scale), np.int32([2, -3, 2]))
    with pytest.raises(sr.ArgumentError, match="bias 'b': element 1, -3, takes -3e.* more than int32 holds"):
        quantize_bias("b", np.float32([0, -3]), np.float32([1, 1e-10]))
    with pytest.raises(sr.ArgumentError, match="bias 'b' is not all finite"):
        quantize_bias("b", np.float32([np.nan]), np.float32([1]))


def test_bad_weights():
    with pytest.raises(sr.ArgumentError, match="weights 'w' are not all finite"):
        quantize_weights("w", np.float32([[1, np.inf]]))
    with pytest.raises(sr.ArgumentError, match="weights 'w': their bias, at an input scale of 1e-38"):
        quantize_weights("w", np.float32([[1.0]]), np.float32([1e20]), 1e-38)


def test_sums_that_may_leave_int32():
    check_sums("w", np.full((1, 66311), 127, np.int8), None)  # 66311 * 127 * 255 = 2147481735 < 2^31
    with pytest.raises(sr.ArgumentError, match="weights 'w': sums of 66312 products may leave int32"):
        check_sums("w", np.full((1, 66312), 127, np.int8), None)
    with pytest.raises(sr.ArgumentError, match="sums of 1 products"):
        check_sums("w", np.full((1, 1), 127, np.int8), np.int32([2**31 - 1]))


@pytest.mark.parametrize("group", [1, 2, 6])
def test_bias_shift_keeps_the_mean(group):
    """Against the means of a convolution without padding, as a sum over its windows."""
    w = RNG.standard_normal((12, 6 // group, 2, 2)).astype(np.float32)
    q, scale = quantize_weights("w", w)
    x = RNG.random((6, 2, 2))  # one window: its mean per channel is constant over the taps only if we make it so
    x[:] = x.mean(axis=(1, 2), keepdims=True)
    shift = bias_shift(w, q, scale, x[:, 0, 0], group)
    for row in range(12):
        part = x[row // (12 // group) * (6 // group) :][: 6 // group]
        exact, rounded = (w[row] * part).sum(), (q[row] * np.float64(scale[row]) * part).sum()
        assert rounded - exact == pytest.approx(shift[row], abs=1e-6)
