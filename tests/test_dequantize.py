"""DequantizeLinear of bytes and of wider integers, with one scale and with one per slice, against numpy."""

import numpy as np
import pytest
from conftest import make_model
from onnx import helper

import sparse_runtime as sr

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("shape", [(7,), (3, 1), (2, 35), (2, 3, 19), (2, 3, 5, 17), (0, 4)])
def test_dequantize(shape, axis, kind):
    if axis == 1 and len(shape) == 1:
        axis = 0
    count = 1 if axis is None else shape[axis]
    limits = np.iinfo(kind)
    x = RNG.integers(limits.min, limits.max + 1, shape).astype(kind)
    scale = RNG.uniform(0.01, 1, count).astype(np.float32)
    zero = RNG.integers(limits.min, limits.max + 1, count).astype(kind)
    slices = [1] * len(shape)
    if axis is not None:
        slices[axis] = count
    wanted = (x.astype(np.int32) - zero.reshape(slices)).astype(np.float32) * scale.reshape(slices)
    node = helper.make_node("DequantizeLinear", ["x", "s", "z"], ["y"], "d", axis=0 if axis is None else axis)
    constants = {"s": scale if axis is not None else scale[0], "z": zero if axis is not None else zero[0]}
    model = make_model([node], {"x": (np.dtype(kind), shape)}, ["y"], constants, opset=21)
    (got,) = sr.Session(sr.convert(model).data).run(None, {"x": x})
    np.testing.assert_array_equal(got, wanted)
