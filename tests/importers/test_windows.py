"""Pooling with indices and what undoes it; windows over three axes; double precision. Against onnxruntime, or ONNX's
reference evaluator where it has no kernel."""

import math

import numpy as np
import pytest
from conftest import make_model
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from oracle import error, reference

import sparse_runtime as sr

RNG = np.random.default_rng(11)


def f(*shape):
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def same(nodes, x, outputs=("y",), constants=None, opset=17, expect=reference, limit=1e-6):
    """With sizes known and free, on one thread and two."""
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    for dims in (x.shape, [x.shape[0], x.shape[1], *(f"d{i}" for i in range(2, x.ndim))]):
        model = make_model(nodes, {"x": (x.dtype, dims)},
                           outputs if isinstance(outputs, dict) else dict.fromkeys(outputs, kind),
                           constants, opset)
        want = expect(model, {"x": x})
        for threads in (1, 2):
            session = sr.Session(sr.convert(model).data, threads=threads, input_shapes={"x": x.shape})
            for y, (name, array) in zip(session.run(None, {"x": x}), want.items()):
                assert y.shape == array.shape and y.dtype == array.dtype, name
                assert np.array_equal(y, array) if y.dtype.kind == "i" else error(y, array) <= limit, name


def evaluated(model, feeds):
    return dict(zip([o.name for o in model.graph.output], ReferenceEvaluator(model).run(None, feeds)))


WINDOWS = [
    dict(kernel_shape=[2, 2], strides=[2, 2]),
    dict(kernel_shape=[3, 2], strides=[1, 2], pads=[1, 0, 1, 1]),
    dict(kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    dict(kernel_shape=[2, 3], dilations=[2, 1]),
    dict(kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
]
BOTH = {"y": TensorProto.FLOAT, "i": TensorProto.INT64}


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("window", WINDOWS)
def test_indices_of_maxima(window, order):
    same([helper.make_node("MaxPool", ["x"], ["y", "i"], storage_order=order, **window)], f(2, 3, 9, 11), BOTH)


def test_indices_on_a_line_and_of_equal_numbers():
    same([helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[3], strides=[2], pads=[1, 0])], f(2, 4, 13),
         BOTH)
    same([helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2])], np.zeros((1, 2, 5, 4), np.float32),
         BOTH)


def test_nan_is_the_maximum():
    x = f(1, 1, 4, 4)
    x[0, 0, 1, 2] = np.nan
    model = make_model([helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[3, 3])], {"x": x.shape}, BOTH)
    y, i = sr.Session(sr.convert(model).data).run(None, {"x": x})
    assert np.isnan(y).all() and (i == 6).all()


@pytest.mark.parametrize("shape", [None, [2, 3, 12, 9]])
def test_unpooled(shape):
    """As segmentation networks do: maxima go back to where they came from."""
    window = dict(kernel_shape=[2, 2], strides=[2, 2])
    nodes = [helper.make_node("MaxPool", ["x"], ["p", "i"], **window), helper.make_node("Relu", ["p"], ["r"]),
             helper.make_node("MaxUnpool", ["r", "i"] + (["shape"] if shape else []), ["y"], **window)]
    constants = {"shape": np.array(shape)} if shape else {}
    same(nodes, f(2, 3, 10, 8), constants=constants, expect=evaluated if shape else reference)


@pytest.mark.parametrize("attrs", [
    {}, dict(strides=[2, 1, 2], pads=[1, 0, 1, 0, 2, 1]), dict(dilations=[2, 1, 2]), dict(group=3),
    dict(auto_pad="VALID"),
    dict(group=3, pads=[1, 1, 1, 1, 1, 1], strides=[2, 2, 2], dilations=[1, 2, 1]),
])  # fmt: skip
def test_convolution_of_volumes(attrs):
    w = f(6, 6 // attrs.get("group", 1), 2, 3, 2)
    same([helper.make_node("Conv", ["x", "w", "b"], ["y"], **attrs)], f(2, 6, 6, 9, 8), constants={"w": w, "b": f(6)})


def test_convolution_of_single_slices():
    same([helper.make_node("Conv", ["x", "w"], ["y"])], f(2, 6, 5, 4, 3), constants={"w": f(8, 6, 1, 1, 1)})


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("attrs", [
    dict(kernel_shape=[2, 3, 2]), dict(kernel_shape=[2, 2, 3], strides=[2, 1, 2], pads=[1, 0, 1, 0, 1, 2]),
    dict(kernel_shape=[3, 2, 2], strides=[2, 2, 2], ceil_mode=1), dict(kernel_shape=[2, 2, 2], dilations=[2, 1, 2]),
    dict(kernel_shape=[3, 3, 3], strides=[2, 2, 2], auto_pad="SAME_LOWER"),
])  # fmt: skip
def test_pooling_of_volumes(kind, attrs):
    for more in [{}] if kind == "MaxPool" else [dict(count_include_pad=0), dict(count_include_pad=1)]:
        same([helper.make_node(kind, ["x"], ["y"], **attrs, **more)], f(2, 3, 6, 9, 7), opset=19)


def test_norms_of_volumes():
    same([helper.make_node("LpPool", ["x"], ["y"], kernel_shape=[2, 3, 2], p=3)], f(1, 2, 4, 5, 6), opset=18,
         limit=1e-5)


def test_what_is_not_supported_of_volumes():
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"], name="one", auto_pad="SAME_UPPER"),
             helper.make_node("ConvTranspose", ["x", "v"], ["b"], name="two"),
             helper.make_node("MaxPool", ["x"], ["c", "i"], name="three", kernel_shape=[2, 2, 2])]
    model = make_model(nodes, {"x": (1, 2, 4, 4, 4)}, ["a", "b", "c", "i"],
                       {"w": f(2, 2, 2, 2, 2), "v": f(2, 2, 2, 2, 2)})
    with pytest.raises(sr.UnsupportedError) as caught:  # all at once
        sr.convert(model)
    text = str(caught.value)
    assert "'one' (Conv): auto_pad SAME_UPPER with 3 spatial axes; supported: NOTSET and VALID" in text
    assert "'two' (ConvTranspose): 3 spatial axes; supported: 1 or 2" in text
    assert "'three' (MaxPool): 3 spatial axes; supported: 1 or 2" in text


@pytest.mark.parametrize("kind", ["Exp", "Log", "Sqrt", "Reciprocal", "Abs", "Neg", "Floor", "Ceil", "Round", "Sign",
                                  "Erf",
                                  "Sigmoid", "Tanh", "Softmax", "LogSoftmax"])
@pytest.mark.parametrize("shape", [(5,), (2, 3, 4, 5)])
def test_double_precision(kind, shape):
    x = RNG.uniform(0.1, 3, shape) * (1 if kind in ("Log", "Sqrt") else RNG.choice([-1, 1], shape))
    attrs = {"axis": -1} if "max" in kind else {}
    model = make_model([helper.make_node(kind, ["x"], ["y"], **attrs)], {"x": (x.dtype, shape)},
                       {"y": TensorProto.DOUBLE}, opset=18)
    (y,) = sr.Session(sr.convert(model).data).run(None, {"x": x})
    # The reference has Erf in single precision.
    want = np.vectorize(math.erf)(x) if kind == "Erf" else evaluated(model, {"x": x})["y"]
    np.testing.assert_allclose(y, want, rtol=1e-13)


@pytest.mark.parametrize("a, b", [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 1, 3, 4), (3, 4, 5)), ((4,), (4, 5)),
                                  ((3, 4), (4,))])
def test_products_in_double_precision(a, b):
    a, b = RNG.standard_normal(a), RNG.standard_normal(b)
    model = make_model([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": (a.dtype, a.shape)},
                       {"y": TensorProto.DOUBLE},
                       {"w": b})
    (y,) = sr.Session(sr.convert(model).data).run(None, {"x": a})
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, a @ b, rtol=1e-13, atol=1e-14)
