"""Networks of 8 bit integers as graphs: which operators stay in integers, and that results are onnxruntime's."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from test_quantized import Net, compare

import sparse_runtime as sr

ort = pytest.importorskip("onnxruntime")
oracle = pytest.importorskip("oracle")

CONVERSIONS = ["Quantize", "Dequantize"]


def image(net, shape, scale=1.0):
    return {"x": net.rng.normal(0, scale, shape).astype(np.float32)}


def conv(net, x, shape, scale=0.05, zero=3, **attrs):
    return net.qdq(net.node("Conv", x, net.weights(shape, 0.01), **attrs), scale, zero)


def wrapped(middle, shape=(2, 8, 9, 10), kind="uint8", channels=8, seed=0, quantum=0.05):
    """Operators of a network conv -> middle -> conv, compared with onnxruntime. `middle(net, x)` gets and gives a
    tensor dequantized with (0.05, 3)."""
    net = Net(kind, seed)
    x = conv(net, net.qdq("x", 0.02, 100 if kind == "uint8" else 0), (8, shape[1], 1, 1))
    y = conv(net, middle(net, x), (5, channels, 1, 1), quantum)
    return compare(net.model({"x": list(shape)}, [y]), image(net, shape), quantum, share=0.02)


def requantized(net, y):
    return net.qdq(y, 0.05, 3)


def shuffled(net, x):
    """ShuffleNet's, every step quantized; then its halves."""
    y = requantized(net, net.node("Reshape", x, net.const(np.array([2, 2, 4, 9, 10]))))
    y = requantized(net, net.node("Transpose", y, perm=[0, 2, 1, 3, 4]))
    y = requantized(net, net.node("Reshape", y, net.const(np.array([2, 8, 9, 10]))))
    a, b = (
        requantized(net, net.node("Slice", y, *(net.const(np.array([v])) for v in ends), net.const(np.array([1]))))
        for ends in ((0, 3), (3, 8))
    )
    return requantized(net, net.node("Concat", b, a, axis=1))


def split(net, x):
    outs = [net.name(), net.name()]
    net.nodes.append(helper.make_node("Split", [x, net.const(np.array([2, 6]))], outs, axis=1))
    return requantized(net, net.node("Concat", *(requantized(net, v) for v in reversed(outs)), axis=-3))


def scales(net, *factors):
    return net.const(np.array([1, 1, *factors], np.float32))


MIDDLES = {
    "shuffle and slices": (shuffled, 8),
    "split": (split, 8),
    "concat of two scales": (
        lambda n, x: requantized(n, n.node("Concat", x, n.qdq(n.node("Relu", x), 0.03, 0), axis=1)), 16),
    "padding": (lambda n, x: requantized(n, n.node("Pad", x, n.const(np.array([0, 0, 1, 2, 0, 0, 0, 1])))), 8),
    "nearest": (lambda n, x: requantized(n, n.node("Resize", x, "", scales(n, 2, 1.5), mode="nearest")), 8),
    # Scales of a power of two, with which floats are exact: else means right between two numbers go where an
    # onnxruntime's order of operations sends them.
    "linear": (lambda n, x: n.qdq(n.node("Resize", n.qdq(n.node("Relu", x), 1 / 16, 3), "", scales(n, 2, 0.5),
                                         mode="linear"),
                                  1 / 16, 3), 8),
    "linear, another scale": (lambda n, x: n.qdq(n.node("Resize", x, "", scales(n, 1, 3), mode="linear",
                                                        coordinate_transformation_mode="align_corners"), 0.04, 9), 8),
    "pools": (lambda n, x: requantized(n, n.node("AveragePool",
                                                 requantized(n, n.node("MaxPool", x, kernel_shape=[2, 2])),
                                                 kernel_shape=[3, 3], pads=[1, 1, 1, 1])), 8),
    "hard swish, spelled out": (lambda n, x: n.qdq(n.node("Mul", x, n.qdq(n.node("Div", n.qdq(n.node("Clip", n.qdq(
        n.node("Add", x, n.const(np.float32(3))), 0.06, 20), n.const(np.float32(0)), n.const(np.float32(6))), 0.025, 0),
        n.const(np.float32(6))), 0.004, 0)), 0.05, 10), 8),
    "numbers": (lambda n, x: requantized(n, n.node("Sub", n.const(np.float32(1.5)), requantized(n, n.node(
        "Mul", x, n.const(np.float32(-0.7)))))), 8),
    "functions": (lambda n, x: n.qdq(n.node("Tanh", n.qdq(n.node("Sigmoid", x), 1 / 256, 0)), 1 / 256, 0), 8),
    "gate": (lambda n, x: requantized(n, n.node("Mul", x, n.qdq(n.node("Sigmoid", n.qdq(
        n.node("GlobalAveragePool", x), 0.02, 100)), 1 / 256, 0))), 8),
}  # fmt: skip


@pytest.mark.parametrize("name", MIDDLES)
def test_stays_in_integers(name):
    middle, channels = MIDDLES[name]
    kinds = wrapped(middle, channels=channels, seed=len(name))
    assert sorted(k for k in kinds if k in CONVERSIONS) == sorted(CONVERSIONS), kinds
    known = {"QConv", "QUnary", "QBinary", "QPool", "QConcat", "Resize", *CONVERSIONS}
    assert set(kinds) <= known, kinds


@pytest.mark.parametrize("kind", ["int8", "uint8"])
@pytest.mark.parametrize("relu", [False, True])
def test_fully_connected(kind, relu):
    """Behind a pool, without a conversion in between; two of them in a row."""
    net = Net(kind, 3)
    x = net.qdq("x", 0.02, 60 if kind == "uint8" else -50)
    y = net.qdq(net.node("GlobalAveragePool", x), 0.01, 90)
    y = net.node("Flatten", y)
    for rows, columns, scale in ((21, 37, 0.02), (6, 21, 0.05)):
        bias = net.const(net.rng.normal(0, 0.1, rows).astype(np.float32))
        y = net.node("Gemm", y, net.weights((rows, columns), 0.01), bias, transB=1)
        y = net.qdq(net.node("Relu", y) if relu else y, scale, 0 if relu else 40)
    model = net.model({"x": [3, 37, 7, 5]}, [y])
    kinds = compare(model, image(net, (3, 37, 7, 5)), 0.05, share=0.05)
    assert kinds.count("QConv") == 2 and kinds.count("Quantize") == 1 and "FullyConnected" not in kinds


def test_matmul_of_matrices():
    """Tokens are pixels of a column."""
    net = Net("uint8", 4)
    x = net.qdq("x", 0.02, 120)
    w = net.const(net.rng.integers(-127, 128, (24, 10)).astype(np.int8))
    w = net.node("DequantizeLinear", w, net.const(net.rng.uniform(0.002, 0.01, 10).astype(np.float32)), axis=1)
    y = net.qdq(net.node("MatMul", x, w), 0.02, 100)
    model = net.model({"x": [2, 33, 24]}, [y])
    kinds = compare(model, image(net, (2, 33, 24)), 0.02, share=0.02)
    assert "QConv" in kinds and "MatMul" not in kinds and "FullyConnected" not in kinds


@pytest.mark.parametrize("fn", ["Mish", "Elu", "Silu"])
def test_activations_without_a_form_follow_the_layer(fn):
    """The convolution computes in integers all the same."""
    net = Net("uint8", 5)
    y = net.node("Conv", net.qdq("x", 0.02, 120), net.weights((7, 5, 3, 3), 0.01))
    y = net.node("Mul", y, net.node("Sigmoid", y)) if fn == "Silu" else net.node(fn, y)
    model = net.model({"x": [1, 5, 8, 9]}, [net.qdq(y, 0.03, 60)])
    model.opset_import[0].version = 18
    model.ir_version = 8
    kinds = compare(model, image(net, (1, 5, 8, 9)), 0.03, share=0.01)
    assert kinds.count("QConv") == 1 and "Conv" not in kinds


def test_what_is_read_twice():
    """A result that is quantized in two ways, and one that is an output in float32 too."""
    net = Net("int8", 6)
    x = net.qdq("x", 0.02, 0)
    y = net.node("Conv", x, net.weights((6, 4, 1, 1), 0.01))
    a, b = net.qdq(y, 0.0513, 0), net.qdq(y, 0.0327, 5)
    c = net.qdq(net.node("Add", a, b), 0.0611, 0)
    model = net.model({"x": [1, 4, 6, 7]}, [c, y])
    feeds = image(net, (1, 4, 6, 7))
    kinds = compare(model, feeds, 0.0611, share=0.01)
    assert kinds.count("QConv") == 1 and "QBinary" in kinds


def test_other_sizes_and_batches():
    """Shuffled and resized channels at sizes that the model was not converted with."""
    net = Net("uint8", 7)
    x = conv(net, net.qdq("x", 0.02, 120), (8, 3, 1, 1))
    y = requantized(net, net.node("Resize", shuffled(net, x), "", scales(net, 2, 2), mode="nearest"))
    model = net.model({"x": [2, 3, 9, 10]}, [conv(net, y, (5, 8, 3, 3))])
    session = sr.Session(sr.convert(model).data)
    feeds = {"x": net.rng.normal(0, 1, (4, 3, 12, 7)).astype(np.float32)}
    together = session.run(None, feeds)[0]
    assert together.shape == (4, 5, 22, 12)
    assert [layer.op for layer in session.explain()].count("Dequantize") == 1
    for i in range(4):
        np.testing.assert_array_equal(session.run(None, {"x": feeds["x"][i : i + 1]})[0][0], together[i])


# ---- QLinear operators, one by one, between conversions of their own ------------------------------------------------


class QNet(Net):
    """A network on quantized tensors."""

    def params(self, scale, zero):
        return self.const(np.float32(scale)), self.const(np.array(zero, self.kind))

    def quantize(self, name, scale, zero):
        return self.node("QuantizeLinear", name, *self.params(scale, zero))

    def q(self, op, *inputs, domain="com.microsoft", **attrs):
        return self.node(op, *inputs, domain=domain, **attrs)

    def finish(self, shape, value, scale, zero):
        model = self.model({"x": list(shape)}, [self.node("DequantizeLinear", value, *self.params(scale, zero))])
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        return model


def qlinear(name, kind):
    """(network, result) of one operator, whose input is quantized with (0.02, z) and its result with (0.05, z + 3)."""
    net = QNet(kind, len(name))
    z = 120 if kind == "uint8" else -9
    x, xp, yp = net.quantize("x", 0.02, z), net.params(0.02, z), net.params(0.05, z + 3)
    draw = lambda *shape: net.rng.integers(-127, 128, shape).astype(np.int8)  # noqa: E731
    if name == "QLinearConv":
        w = (net.const(draw(6, 4, 3, 3)), net.const(net.rng.uniform(0.005, 0.01, 6).astype(np.float32)),
             net.const(np.zeros(6, np.int8)))
        y = net.q(name, x, *xp, *w, *yp, net.const(net.rng.integers(-900, 900, 6).astype(np.int32)), domain="",
                  pads=[1] * 4)
    elif name == "QLinearConv of bytes":
        w = (net.const(net.rng.integers(0, 255, (6, 4, 1, 1)).astype(np.uint8)), net.const(np.float32(0.01)),
             net.const(np.uint8(111)))
        y = net.q("QLinearConv", x, *xp, *w, *yp, domain="")
    elif name in ("QLinearAdd", "QLinearMul"):
        y = net.q(name, x, *xp, x, *xp, *yp)
    elif name == "QLinearConcat":
        other = net.quantize("x", 0.03, z)
        y = net.q(name, *yp, x, *xp, other, *net.params(0.03, z), axis=1)
    elif name == "QLinearLeakyRelu":
        y = net.q(name, x, *xp, *yp, alpha=0.2)
    elif name in ("QLinearSigmoid", "QLinearGlobalAveragePool"):
        y = net.q(name, x, *xp, *yp)
    else:
        y = net.q("QLinearAveragePool", x, *xp, *yp, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])
    return net, net.finish((2, 4, 7, 9), y, 0.05, z + 3)


QLINEAR = ("QLinearConv", "QLinearConv of bytes", "QLinearAdd", "QLinearMul", "QLinearConcat", "QLinearLeakyRelu",
           "QLinearSigmoid", "QLinearGlobalAveragePool", "QLinearAveragePool")  # fmt: skip


@pytest.mark.parametrize("kind", ["uint8", "int8"])
@pytest.mark.parametrize("name", QLINEAR)
def test_qlinear(name, kind):
    if name == "QLinearConv of bytes" and kind == "int8":
        pytest.skip("onnxruntime has no such kernel")
    net, model = qlinear(name, kind)
    kinds = compare(model, image(net, (2, 4, 7, 9)), 0.05, share=0.02, exact=kind == "uint8")
    known = {"QConv", "QUnary", "QBinary", "QPool", "QConcat", *CONVERSIONS}
    assert set(kinds) <= known and kinds.count("Dequantize") == 1, kinds


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("name", ["QLinearMatMul", "QGemm", "QGemm, turned"])
def test_quantized_matrices(name, columns):
    net = QNet("uint8", 11)
    x, xp, yp = net.quantize("x", 0.02, 120), net.params(0.02, 120), net.params(0.05, 100)
    scale = net.rng.uniform(0.005, 0.01, 7 if columns else 1).astype(np.float32)
    turned = name.endswith("turned")
    b = net.rng.integers(-127, 128, (7, 12) if turned else (12, 7)).astype(np.int8)
    scale = scale if columns else scale.reshape(())
    w = net.const(b), net.const(scale), net.const(np.zeros(scale.shape, np.int8))
    if name == "QLinearMatMul":
        y = net.q(name, x, *xp, *w, *yp, domain="")
    else:
        bias = net.const(net.rng.integers(-900, 900, 7).astype(np.int32))
        y = net.q("QGemm", x, *xp, *w, bias, *yp, transB=int(turned))
    kinds = compare(net.finish((5, 12), y, 0.05, 100), image(net, (5, 12)), 0.05, share=0.03, exact=True)
    assert kinds.count("QConv") == 1 and "FullyConnected" not in kinds and "MatMul" not in kinds


@pytest.mark.parametrize("zero", [0, 77])
@pytest.mark.parametrize("name", ["ConvInteger", "MatMulInteger"])
def test_sums_of_integers_are_exact(name, zero):
    """Beyond 258 products, which float32 holds exactly."""
    net = Net("uint8", 12)
    rng = net.rng
    shape, weights = ((1, 700, 3, 2), (5, 700, 1, 1)) if name == "ConvInteger" else ((4, 700), (700, 5))
    y = net.node(name, "x", net.const(rng.integers(100, 128, weights).astype(np.int8)), net.const(np.uint8(zero)))
    model = net.model({"x": list(shape)}, [y])
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT32
    feeds = {"x": rng.integers(150, 256, shape).astype(np.uint8)}
    expected = ort.InferenceSession(model.SerializeToString(), oracle.settings(exact=True)).run(None, feeds)[0]
    session = sr.Session(sr.convert(model).data)
    assert "QConv" in [layer.op for layer in session.explain()]
    found = session.run(None, feeds)[0]
    assert found.dtype == np.int32 and expected.max() > 2**23
    np.testing.assert_array_equal(found, expected.astype(np.float32).astype(np.int32))


# ---- islands of floats
# -------------------------------------------------------------------------------------------------


def island(middle):
    """conv -> middle -> conv"""
    net = Net("uint8", 13)
    x = conv(net, net.qdq("x", 0.02, 120), (8, 4, 1, 1))
    model = net.model({"x": [1, 4, 6, 7]}, [conv(net, middle(net, x), (5, 8, 1, 1))])
    report = sr.convert(model)
    return report, sr.Session(report.data)


def test_islands_are_told():
    report, session = island(lambda n, x: requantized(n, n.node("Softmax", x, axis=1)))
    assert list(report.floats.values()) == ["Softmax has no form in 8 bits"]
    assert report.integers == 2 and report.conversions == (2, 2)
    assert "8 bits: 2 operators compute in integers, 1 in float32; conversions: 2 to 8 bits, 2 from them" in str(report)
    assert "Softmax has no form in 8 bits" in str(report)
    explained = session.explain()
    assert [(layer.op, layer.reason) for layer in explained if layer.op not in ("QConv",)] == [
        ("Quantize", "conversion to 8 bits"), ("Dequantize", "conversion from 8 bits"),
        ("Softmax", "float32: no form in 8 bits"),
        ("Quantize", "conversion to 8 bits"), ("Dequantize", "conversion from 8 bits")]  # fmt: skip
    line = "8 bits: 2 layers compute in integers, 1 in float32 (Softmax 1); conversions: 2 to 8 bits, 2 from them"
    assert line in str(explained)


def test_no_islands():
    report, session = island(lambda n, x: requantized(n, n.node("Sigmoid", x)))
    assert report.floats == {} and report.integers == 3 and report.conversions == (1, 1)
    assert "float32:" not in str(session.explain())
    assert "8 bits" not in str(sr.Session(sr.zoo.build("mobilenet_v1", size=32)).explain())


REASONS = {
    "per-channel scales": "not all that it reads is dequantized from 8 bits with one scale",
    "result read as float": "its result is not only quantized to 8 bits with one scale",
    "quotient": "'div' of two tensors has no form in 8 bits",
    "rows and columns": "its inputs are neither of one shape nor one of them a pixel",
    "slopes": "prelu has no form in 8 bits",
    "cubic": "only nearest and plain linear resizing has a form in 8 bits",
}


@pytest.mark.parametrize("name", REASONS)
def test_reasons(name):
    net = Net("uint8", 14)
    x = conv(net, net.qdq("x", 0.02, 120), (8, 4, 1, 1))
    outputs = []
    if name == "per-channel scales":
        s, z = net.const(np.full(8, 0.02, np.float32)), net.const(np.zeros(8, np.uint8))
        y = net.node("Sigmoid", net.node("DequantizeLinear", net.node("QuantizeLinear", x, s, z, axis=1), s, z, axis=1))
    elif name == "result read as float":
        y = net.node("Sigmoid", x)
        outputs = [net.node("Exp", y)]
    elif name == "quotient":
        y = net.node("Div", x, net.qdq(net.node("Exp", x), 0.1, 0))
    elif name == "rows and columns":
        y = net.node("Mul", x, net.qdq(net.node("ReduceMean", x, axes=[3], keepdims=1), 0.05, 3))
    elif name == "slopes":
        y = net.node("PRelu", x, net.const(np.full((8, 1, 1), 0.1, np.float32)))
    else:
        y = net.node("Resize", x, "", scales(net, 2, 2), mode="cubic")
    model = net.model({"x": [1, 4, 6, 7]}, [conv(net, requantized(net, y), (5, 8, 1, 1)), *outputs])
    report = sr.convert(model)
    assert REASONS[name] in report.floats.values(), report.floats


def test_sums_that_may_leave_int32_stay_in_floats():
    """A bias next to the largest int32 is exact in no other way."""
    net = Net("int8", 15)
    x, w = net.qdq("x", 0.01, 0), net.weights((2, 4, 1, 1), 0.01)
    b = net.node("DequantizeLinear", net.const(np.array([2**31 - 9, 5], np.int32)), net.const(np.float32(1e-4)))
    y = net.qdq(net.node("Conv", x, w, b), 2000.0, 0)
    report = sr.convert(net.model({"x": [1, 4, 3, 5]}, [y]))
    assert [why for why in report.floats.values() if "32 bits" in why], report.floats
    feeds = image(net, (1, 4, 3, 5))
    assert "Conv" in compare(net.model({"x": [1, 4, 3, 5]}, [y]), feeds, 2000.0)
