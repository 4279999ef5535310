"""Sequences, which are gone after importing; AffineGrid; the mask of Dropout. Against onnxruntime."""

import numpy as np
import pytest
from conftest import make_model
from onnx import TensorProto, helper
from oracle import reference

import sparse_runtime as sr

X = np.random.default_rng(0).standard_normal((2, 6, 5)).astype(np.float32)


def node(kind, inputs, outputs="y", **attrs):
    return helper.make_node(kind, inputs.split(), outputs.split(), **attrs)


def same(nodes, outputs=("y",), constants=None, shape=(2, 6, 5), opset=17):
    """Fixed and free sizes; returns the names of the operators that are left."""
    for dims in (shape, ["a", "b", "c"]):
        model = make_model(nodes, {"x": dims}, outputs, constants, opset)
        want = reference(model, {"x": X}, optimized=False)
        session = sr.Session(sr.convert(model).data, input_shapes={"x": X.shape})
        for y, (name, array) in zip(session.run(None, {"x": X}), want.items()):
            assert y.dtype == array.dtype
            np.testing.assert_allclose(y, array, rtol=1e-6, atol=1e-6, err_msg=name)
    return {each.op for each in session.explain()}


INTS = {f"i{n}": np.int64(n) for n in (0, 1, 2)} | {"last": np.int64(-1), "two": np.int64(2), "four": np.int64(4),
                                                    "sizes": np.array([1, 3, 2])}


def test_split_into_single_ones():
    nodes = [node("SplitToSequence", "x", "s", axis=1, keepdims=0), node("SequenceAt", "s i1", "a"),
             node("SequenceAt", "s last", "b"), node("SequenceLength", "s", "n"), node("Add", "a b")]
    same(nodes, {"y": TensorProto.FLOAT, "n": TensorProto.INT64}, INTS)


@pytest.mark.parametrize("size", ["two", "four"])  # the last part is smaller
def test_split_into_parts_of_one_size(size):
    nodes = [node("SplitToSequence", f"x {size}", "s", axis=1), node("SequenceAt", "s i1", "y"),
             node("SequenceLength", "s", "n")]
    same(nodes, {"y": TensorProto.FLOAT, "n": TensorProto.INT64}, INTS)


def test_split_into_given_sizes_and_joined():
    nodes = [node("SplitToSequence", "x sizes", "s", axis=1), node("SequenceErase", "s i1", "t"),
             node("Relu", "x", "r"),
             node("SequenceInsert", "t r i0", "u"), node("Identity", "u", "v"),
             node("ConcatFromSequence", "v", "y", axis=1)]
    assert same(nodes, constants=INTS) <= {"Split", "Unary", "Concat", "Slice"}


def test_stacked():
    nodes = [node("Relu", "x", "r"), node("SequenceConstruct", "x r x", "s"), node("SequenceErase", "s", "t"),
             node("ConcatFromSequence", "t", "y", axis=-1, new_axis=1)]
    same(nodes)


def test_begun_empty():
    nodes = [node("SequenceEmpty", "", "e"), node("SequenceInsert", "e x", "s"), node("Neg", "x", "r"),
             node("SequenceInsert", "s r", "t"), node("ConcatFromSequence", "t", "y", axis=2)]
    same(nodes)


def test_of_constants():
    nodes = [node("SequenceConstruct", "two four", "s"), node("SequenceAt", "s i1", "n"), node("Cast", "n", "f", to=1),
             node("Mul", "x f")]
    same(nodes, constants=INTS)


def test_messages():
    model = make_model([node("SequenceConstruct", "x x", "s", name="made")], {"x": (2, 3)}, ["y"])
    model.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None))
    with pytest.raises(sr.UnsupportedError, match="output 's' is a sequence; supported: tensors"):
        sr.convert(model)
    nodes = [node("SplitToSequence", "x two", "s", axis=0), node("ConcatFromSequence", "s", "y", axis=1, name="joined")]
    with pytest.raises(sr.UnsupportedError, match=r"'joined' \(ConcatFromSequence\): a sequence of unknown length"):
        sr.convert(make_model(nodes, {"x": ("n", 3)}, ["y"], INTS))


@pytest.mark.parametrize("corners", [0, 1])
@pytest.mark.parametrize("size", [(2, 1, 5, 7), (2, 1, 3, 4, 5), (2, 3, 1, 1)])
def test_affine_grid(size, corners):
    axes = len(size) - 2
    theta = np.random.default_rng(0).standard_normal((2, axes, axes + 1)).astype(np.float32)
    feeds = {"theta": theta} | ({"size": np.array(size)} if axes == 2 else {})
    constants = {} if axes == 2 else {"size": np.array(size)}
    grid = node("AffineGrid", "theta size", "y", align_corners=corners)
    inputs = {"theta": ("n", axes, axes + 1)} | ({"size": (np.dtype("int64"), (4,))} if axes == 2 else {})
    model = make_model([grid], inputs, ["y"], constants, 20)
    y = sr.Session(sr.convert(model).data, input_shapes={"theta": theta.shape}).run(None, feeds)[0]
    if corners and 1 in size[2:]:
        assert np.isfinite(y).all()  # 0 / 0 by the formula
        return
    np.testing.assert_allclose(y, reference(model, feeds)["y"], rtol=1e-5, atol=1e-5)


def test_mask_of_dropout():
    same([node("Dropout", "x", "y m")], {"y": TensorProto.FLOAT, "m": TensorProto.BOOL}, opset=13)
