"""Small models that many tests use, and the C library as CMake builds it."""

import os
import platform
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper


def make_model(nodes, inputs, outputs, constants=None, opset=17):
    """An ONNX model. inputs: {name: shape or (type, shape)}, outputs: names (float32) or {name: type}."""
    def info(name, given):
        kind, shape = given if isinstance(given[0] if given else 1, np.dtype) else (np.dtype("float32"), given)
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(kind), shape)

    outputs = outputs if isinstance(outputs, dict) else dict.fromkeys(outputs, TensorProto.FLOAT)
    graph = helper.make_graph(
        nodes, "test", [info(name, given) for name, given in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.fixture(scope="session")
def pointwise_model():
    """1x1 convolution 16 -> 24 with half of the weights zero, bias, relu; input x [1, 16, 9, 7]."""
    rng = np.random.default_rng(3)
    weight = rng.standard_normal((24, 16, 1, 1)).astype(np.float32)
    weight[rng.random(weight.shape) < 0.7] = 0
    return make_model(
        [helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv"),
         helper.make_node("Relu", ["c"], ["y"], name="relu")],
        {"x": (1, 16, 9, 7)}, ["y"], {"w": weight, "b": rng.standard_normal(24).astype(np.float32)})


@pytest.fixture(scope="session")
def native_build():
    """The CMake build of the library for this machine. The Makefile makes it before pytest; without it the tests are
    skipped."""
    build = Path(os.environ.get("SPARSE_RUNTIME_BUILD", Path(__file__).resolve().parent.parent / "build" / "native"))
    if platform.machine() not in ("x86_64", "AMD64") and "SPARSE_RUNTIME_BUILD" not in os.environ:
        pytest.skip("build/native is of another machine")
    if not (build / "libsparse_runtime.a").exists():
        pytest.skip("needs `make core-native`")
    return build
