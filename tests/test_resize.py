"""Linear Resize of float images, which interpolates each row once, against its definition in float64; nearest."""

import numpy as np
import pytest
from conftest import make_model
from onnx import helper

import sparse_runtime as sr

RNG = np.random.default_rng(83)
POSITIONS = {
    "half_pixel": lambda i, scale, n, m: (i + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda i, scale, n, m: (i + 0.5) / scale - 0.5 if m > 1 else 0 * i,
    "asymmetric": lambda i, scale, n, m: i / scale,
    "align_corners": lambda i, scale, n, m: i * (n - 1) / (m - 1) if m > 1 else 0 * i,
}


def matrix(mode, n, scale):
    """[outputs, n]: what each output takes of each input."""
    m = int(np.floor(n * scale))
    at = np.clip(POSITIONS[mode](np.arange(m, dtype=np.float64), scale, n, m), 0, n - 1)
    low = np.floor(at).astype(int)
    found = np.zeros((m, n))
    np.add.at(found, (np.arange(m), low), 1 - (at - low))
    np.add.at(found, (np.arange(m), np.minimum(low + 1, n - 1)), at - low)
    return found


@pytest.mark.parametrize("mode", POSITIONS)
@pytest.mark.parametrize("scales", [(2, 2), (2, 1), (1, 2), (1, 4), (3, 2), (4, 4), (1.5, 2.5), (0.5, 0.5), (0.25, 2)])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 1, 2), (2, 3, 2, 1), (1, 2, 3, 3), (2, 5, 7, 16), (1, 17, 33, 40)])
def test_linear(shape, scales, mode):
    rows, columns = (matrix(mode, n, s) for n, s in zip(shape[2:], scales))
    resize = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear", coordinate_transformation_mode=mode)
    model = make_model([resize], {"x": shape}, ["y"], {"s": np.float32([1, 1, *scales])}, 13)
    x = RNG.uniform(-1, 1, shape).astype(np.float32)
    data = sr.convert(model).data
    (y,) = sr.Session(data).run(None, {"x": x})
    expected = np.einsum("ij,ncjk,lk->ncil", rows, x.astype(np.float64), columns)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=0, atol=4 * np.finfo(np.float32).eps)
    np.testing.assert_array_equal(sr.Session(data, threads=3).run(None, {"x": x})[0], y)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8])
@pytest.mark.parametrize("scales", [(2, 2), (1, 2), (1.5, 2), (0.5, 2), (2, 3), (2, 1.5)])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 2, 1), (1, 2, 3, 3), (2, 5, 7, 16), (1, 17, 33, 41)], ids=str)
def test_nearest(shape, scales, dtype):
    """Twice the width, for which rows of 4 byte elements have a loop of their own, and scales beside it."""
    rows, columns = (np.floor(np.arange(int(n * s)) / s).astype(int) for n, s in zip(shape[2:], scales))
    x = RNG.integers(0, 200, shape).astype(dtype)
    options = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    resize = helper.make_node("Resize", ["x", "", "s"], ["y"], **options)
    constants = {"s": np.float32([1, 1, *scales])}
    outputs = {"y": helper.np_dtype_to_tensor_dtype(x.dtype)}
    model = make_model([resize], {"x": (x.dtype, shape)}, outputs, constants, 13)
    data = sr.convert(model).data
    for threads in (1, 3):
        (y,) = sr.Session(data, threads=threads).run(None, {"x": x})
        np.testing.assert_array_equal(y, x[:, :, rows][..., columns])
