"""Fully connected layers with sparse weights on batches of rows: turned into planes and run by the pointwise kernels
where that is estimated to be faster. Against float64."""

import numpy as np
import pytest
from conftest import make_model
from onnx import helper
from oracle import error, reference

import sparse_runtime as sr
from sparse_runtime import _core

RNG = np.random.default_rng(0)


def weights(channels, rows, zeros=0.9, seed=1):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((channels, rows)).astype(np.float32)
    w[rng.random(w.shape) < zeros] = 0
    return w


def matmul(shape, w):
    return make_model([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": shape}, ["y"], {"w": w})


def layer(session):
    return next(each for each in session.explain() if each.op in ("FullyConnected", "Conv"))


@pytest.mark.parametrize("shape", [(2, 40), (8, 40), (15, 40), (16, 40), (17, 40), (197, 40), (3, 7, 40), (2, 3, 5, 40),
                                   (2, 1, 17, 40), (1, 130), (33, 9), (2, 2, 2, 3, 40)])
@pytest.mark.parametrize("rows", [1, 2, 61])
def test_rows_of_any_number_and_rank(shape, rows):
    x, w = RNG.standard_normal(shape).astype(np.float32), weights(shape[-1], rows)
    data = sr.convert(matmul(shape, w), sparse_threshold=0).data
    want = (x.astype(np.float64) @ w).astype(np.float32)
    for sparse in ("always", "never", "auto"):
        outputs = [sr.Session(data, sparse=sparse, threads=n).run(None, {"x": x})[0] for n in (1, 2, 3)]
        np.testing.assert_allclose(outputs[0], want, rtol=1e-5, atol=1e-5)
        assert all(np.array_equal(outputs[0], other) for other in outputs)
    kernel = layer(sr.Session(data, sparse="always")).kernel
    assert kernel.startswith("fc_csr" if np.prod(shape[:-1]) == 1 else ("fc_csr", "pw_csr", "pw_2x1"))


@pytest.mark.parametrize("function, attributes", [("Relu", {}), ("Sigmoid", {}), ("HardSwish", {}),
                                                  ("Elu", {"alpha": 0.5}),
                                                  ("PRelu", None)])
@pytest.mark.parametrize("rows", [3, 20, 64])
def test_bias_residual_and_activation(function, attributes, rows):
    w, x, z = weights(96, 50), RNG.standard_normal((rows, 96)), RNG.standard_normal((rows, 50))
    constants = {"w": w.T.copy(), "b": RNG.standard_normal(50).astype(np.float32),
                 "slope": RNG.random(50).astype(np.float32)}
    function = helper.make_node("PRelu", ["s", "slope"], ["y"]) if attributes is None else \
        helper.make_node(function, ["s"], ["y"], **attributes)
    model = make_model([helper.make_node("Gemm", ["x", "w", "b"], ["g"], transB=1),
                        helper.make_node("Add", ["g", "z"], ["s"]),
                        function], {"x": (rows, 96), "z": (rows, 50)}, ["y"], constants)
    feeds = {"x": x.astype(np.float32), "z": z.astype(np.float32)}
    session = sr.Session(sr.convert(model).data, sparse="always")
    assert [each.op for each in session.explain()] == ["FullyConnected"]  # all in one
    assert error(session.run(None, feeds)[0], reference(model, feeds)["y"]) < 1e-6


def test_convolution_on_single_pixels():
    """A batch of 1x1 maps, here of 2x2 ones with strides of 2, is a batch of rows."""
    w = weights(64, 48).T.reshape(48, 64, 1, 1).copy()
    model = make_model([helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2])], {"x": (19, 64, 2, 2)}, ["y"],
                       {"w": w})
    x = RNG.standard_normal((19, 64, 2, 2)).astype(np.float32)
    session = sr.Session(sr.convert(model).data, sparse="always")
    assert layer(session).kernel.startswith("pw_")
    assert error(session.run(None, {"x": x})[0], reference(model, {"x": x})["y"]) < 1e-6


def test_a_session_changes_its_rows():
    model = matmul(("rows", 64), weights(64, 48))
    session = sr.Session(sr.convert(model).data, sparse="always", input_shapes={"x": (1, 64)})
    for rows in (1, 40, 3, 0, 129):
        x = RNG.standard_normal((rows, 64)).astype(np.float32)
        want = x.astype(np.float64) @ weights(64, 48)
        np.testing.assert_allclose(session.run(None, {"x": x})[0], want, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif("ref" == _core.cpu_features(), reason="estimates of plain C are of no use")
def test_sparse_where_it_pays():
    """Many rows at 90 %: sparse on planes; one row: the sparse FC kernel; half of the weights, few rows: dense."""
    many = layer(sr.Session(sr.convert(matmul((197, 1024), weights(1024, 1000))).data))
    assert many.kernel.startswith(("pw_csr", "pw_2x1")) and many.reason.startswith("kcycles: dense ")
    few = layer(sr.Session(sr.convert(matmul((8, 1024), weights(1024, 1000, 0.5)), sparse_threshold=0).data))
    assert few.kernel.startswith("fc_dense")


def test_measured(tmp_path):
    path = tmp_path / "m.spr"
    sr.convert(matmul((40, 256), weights(256, 200)), path)
    session = sr.Session(path, autotune=True)
    assert "csr" in layer(session).reason and "2x1" in layer(session).reason
    x = RNG.standard_normal((40, 256)).astype(np.float32)
    np.testing.assert_allclose(session.run(None, {"x": x})[0], x.astype(np.float64) @ weights(256, 200), rtol=1e-4,
                               atol=1e-5)
