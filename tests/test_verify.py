"""Comparing outputs."""

import sys

import numpy as np
import pytest

from sparse_runtime import ArgumentError, peers
from sparse_runtime.session import TensorInfo
from sparse_runtime.verify import compare, compare_all

nan, inf = np.nan, np.inf


def error(ours, reference, dtype=np.float32):
    return compare("y", np.array(ours, dtype), np.array(reference, dtype))


def test_errors():
    found = error([1.5, -2, 0.25], [1, -2, 0])
    assert (found.max_abs, found.max_rel, found.range) == (0.5, 0.5, 3.0)
    assert found.of_range == pytest.approx(0.5 / 3)
    assert found.shape == (3,)


def test_equal():
    assert error([1, 2], [1, 2]).of_range == 0


def test_constant_output_has_a_range():
    assert error([4.5, 4], [4, 4]).of_range == 0.125
    assert error([0.5, 0], [0, 0]).of_range == 0.5


def test_integers():
    assert error([1, 5], [1, 3], np.int64).max_abs == 2
    assert error([0, 255], [255, 0], np.uint8).max_abs == 255, "no wrapping around"


@pytest.mark.parametrize("special", [nan, inf, -inf])
def test_special_values_equal_themselves(special):
    assert error([special, 2, 3], [special, 2, 3]).max_abs == 0
    assert error([special], [special]).max_abs == 0
    assert error([special, 2, 4], [special, 2, 3]).max_abs == 1


@pytest.mark.parametrize(
    "ours, reference",
    [
        ([1, nan], [1, 2]),
        ([1, 2], [1, nan]),
        ([inf, 1], [-inf, 1]),
        ([nan, 1], [inf, 1]),
        ([inf, 1], [3, 1]),
        ([nan], [1]),
        ([1], [inf]),
    ],
)
def test_special_values_differ_from_all_others(ours, reference):
    assert error(ours, reference).max_abs == inf


def test_other_shape_or_type():
    assert compare("y", np.zeros((1, 2)), np.zeros(2)).max_abs == inf
    assert compare("y", np.zeros(2, np.float32), np.zeros(2)).max_abs == inf


def test_empty():
    assert error([], []).of_range == 0


def test_all_outputs():
    a, b = np.zeros(2), np.ones(3)
    assert [e.name for e in compare_all({"b": b, "a": a}, {"a": a, "b": b})] == ["b", "a"]
    with pytest.raises(ArgumentError, match="differ"):
        compare_all({"a": a}, {"b": b})


# ---- inputs --------------------------------------------------------------------------------------------------------


def info(dtype, shape, name="x"):
    return TensorInfo(name, np.dtype(dtype), shape)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int8", "int64", "bool"])
def test_random_feeds(dtype):
    first = peers.random_feeds([info(dtype, (2, 300))], seed=1)["x"]
    assert first.dtype == dtype and first.shape == (2, 300)
    np.testing.assert_array_equal(first, peers.random_feeds([info(dtype, (2, 300))], seed=1)["x"])
    assert (first != peers.random_feeds([info(dtype, (2, 300))], seed=2)["x"]).any()


def test_random_feeds_need_a_shape():
    with pytest.raises(ArgumentError, match=r"'x' has free dimensions \(1x\?x4\)"):
        peers.random_feeds([info("float32", (1, None, 4))])


def test_unknown_peer():
    with pytest.raises(ArgumentError, match="'tflite'; known: onnxruntime"):
        peers.open_peer("tflite", None)


def test_peer_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ArgumentError, match="pip install onnxruntime"):
        peers.open_peer("onnxruntime", None)
