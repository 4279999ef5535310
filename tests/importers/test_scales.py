"""Scales and zero points that mean nothing are refused, with the tensor's name, wherever they stand."""

import numpy as np
import pytest
from conftest import make_model
from onnx import TensorProto, helper, numpy_helper

import sparse_runtime as sr
from sparse_runtime.importers import import_model


def qdq(scale, zero, kind=np.int8, channels=()):
    """x -> QuantizeLinear -> DequantizeLinear -> y"""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "quantize"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], "dequantize"),
    ]
    constants = {"s": np.full(channels, scale, np.float32), "z": np.full(channels, zero, kind)}
    return make_model(nodes, {"x": (1, 3, 2, 2)}, ["y"], constants)


def weights(scale, zero=0, kind=np.int8):
    """A convolution whose weights are folded while importing."""
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], "weights", axis=0),
        helper.make_node("Conv", ["x", "w"], ["y"], "conv"),
    ]
    constants = {"q": np.ones((2, 3, 1, 1), kind), "s": np.float32([1, scale]), "z": kind([0, zero])}
    return make_model(nodes, {"x": (1, 3, 2, 2)}, ["y"], constants)


def qlinear_conv(index, value):
    """QLinearConv with one of its three scales wrong."""
    scales = [np.float32(0.5), np.float32([0.25, 0.25]), np.float32(1)]
    scales[index] = np.full_like(scales[index], value)
    constants = {"xs": scales[0], "w": np.ones((2, 3, 1, 1), np.int8), "ws": scales[1], "ys": scales[2]}
    constants.update(z=np.int8(0), wz=np.int8([0, 0]))
    node = helper.make_node("QLinearConv", ["x", "xs", "z", "w", "ws", "wz", "ys", "z"], ["y"], "conv")
    return make_model([node], {"x": (np.dtype("int8"), (1, 3, 2, 2))}, {"y": TensorProto.INT8}, constants)


BAD = [0.0, -0.5, float("nan"), float("inf")]


@pytest.mark.parametrize("scale", BAD)
@pytest.mark.parametrize("model", [lambda s: qdq(s, 0), lambda s: qdq(s, 0, channels=3), weights])
def test_bad_scale(model, scale):
    with pytest.raises(
        sr.ModelFormatError, match=r"node '(quantize|weights)' .*: scale 's' is (0|-0.5|nan|inf); it must"
    ):
        import_model(model(scale))


def test_bias_of_qlinear_conv():
    """It counts in quanta: a number of float32 would lose what is behind its point."""
    for bias in (np.int32([3, -4]), np.float32([0.5, -4])):
        model = qlinear_conv(0, 0.5)
        model.graph.node[0].input.append("b")
        model.graph.initializer.append(numpy_helper.from_array(bias, "b"))
        if bias.dtype == np.int32:
            assert import_model(model).nodes
        else:
            with pytest.raises(sr.UnsupportedError, match="node 'conv' .*: a bias of type float32"):
                import_model(model)


@pytest.mark.parametrize("index, name", [(0, "xs"), (1, "ws"), (2, "ys")])
def test_bad_scale_of_qlinear_conv(index, name):
    assert import_model(qlinear_conv(index, 0.5)).nodes
    with pytest.raises(sr.ModelFormatError, match=f"node 'conv' .*: scale '{name}' is 0"):
        import_model(qlinear_conv(index, 0.0))


def test_bad_scale_of_concatenation():
    inputs = ["ys", "z", "x", "xs", "z", "x", "bad", "z"]
    node = helper.make_node("QLinearConcat", inputs, ["y"], "cat", axis=1, domain="com.microsoft")
    constants = {"ys": np.float32(1), "xs": np.float32(1), "bad": np.float32(-1), "z": np.int8(0)}
    model = make_model([node], {"x": (np.dtype("int8"), (1, 3, 2, 2))}, {"y": TensorProto.INT8}, constants)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(sr.ModelFormatError, match="node 'cat' .*: scale 'bad' is -1"):
        import_model(model)


def test_bad_zero_point():
    with pytest.raises(sr.ModelFormatError, match="zero point 'z' is float32, it must be of a quantized type"):
        import_model(qdq(1.0, 0, np.float32))
    with pytest.raises(sr.ModelFormatError, match="zero point 'z' is 3; that of int32 must be 0"):
        import_model(weights(1.0, 3, np.int32))
    assert import_model(weights(1.0, 0, np.int32)).nodes
    with pytest.raises(
        sr.SparseRuntimeError, match="zero point 'z' int16"
    ):  # 300 for int8: only another type can say that
        wrong = weights(1.0)
        next(t for t in wrong.graph.initializer if t.name == "z").CopyFrom(
            helper.make_tensor("z", TensorProto.INT16, [2], [0, 300])
        )
        sr.convert(wrong)
