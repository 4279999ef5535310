"""If, Loop and Scan, which are gone after importing, against onnxruntime; forms of models that only old or odd tools
write."""

import numpy as np
import onnx
import pytest
from conftest import make_model
from onnx import TensorProto, helper
from oracle import reference

import sparse_runtime as sr

X = np.random.default_rng(5).standard_normal((4, 3)).astype(np.float32)
INTS = {f"i{n}": np.int64(n) for n in (0, 1, 2, 3)}
INTS |= {"minus": np.array([-1]), "zero": np.float32(0), "half": np.float32(0.5), "true": np.array(True)}


def node(kind, inputs, outputs, **attrs):
    return helper.make_node(kind, inputs.split(), outputs.split(), **attrs)


def graph(nodes, inputs, outputs, name="body"):
    """Inputs and outputs: names, of ints with a leading "#", of bools with a leading "?"."""
    kinds = {"#": TensorProto.INT64, "?": TensorProto.BOOL}

    def info(n):
        kind, shape = (kinds[n[0]], ()) if n[0] in kinds else (TensorProto.FLOAT, None)
        return helper.make_tensor_value_info(n.lstrip("#?"), kind, shape)

    return helper.make_graph(nodes, name, *([info(n) for n in names.split()] for names in (inputs, outputs)))


def model_of(nodes, outputs=("y",), shape=(4, 3), opset=13):
    return make_model(nodes, {"x": shape}, outputs, INTS, opset)


def same(model, *feeds, shapes=None):
    session = sr.Session(sr.convert(model, input_shapes=shapes).data)
    for x in feeds or (X,):
        for y, (name, want) in zip(session.run(None, {"x": x}), reference(model, {"x": x}, optimized=False).items()):
            assert y.dtype == want.dtype
            np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-6, err_msg=name)
    return session


# ---- If ----------------------------------------------------------------------------------------------------


def test_branches_chosen_by_what_is_fed():
    """Both are computed; they call their results alike, as scopes of their own may."""
    then, other = graph([node("Mul", "x x", "r")], "", "r"), graph([node("Neg", "x", "r")], "", "r")
    nodes = [node("ReduceSum", "x", "s", keepdims=0), node("Greater", "s zero", "c"),
             node("If", "c", "y", then_branch=then, else_branch=other)]
    for shape in ((4, 3), ["n", 3]):
        same(model_of(nodes, shape=shape), np.abs(X), -np.abs(X))


def test_branches_of_different_shapes_are_refused():
    then, other = graph([node("Reshape", "x minus", "r")], "", "r"), graph([node("Neg", "x", "q")], "", "q")
    nodes = [node("ReduceSum", "x", "s", keepdims=0), node("Greater", "s zero", "c"),
             helper.make_node("If", ["c"], ["y"], name="choice", then_branch=then, else_branch=other)]
    with pytest.raises(sr.UnsupportedError, match=r"'choice' \(If\): a condition that depends .* of different shapes"):
        sr.convert(model_of(nodes))


# ---- Loop --------------------------------------------------------------------------------------------------


def body(condition="cin"):
    """v + x, and half of it collected."""
    return graph([node("Add", "v x", "sum"), node("Mul", "sum half", "part"), node("Identity", condition, "cout")],
                 "#it ?cin v", "?cout sum part")


@pytest.mark.parametrize("turns", [1, 3])
def test_loop(turns):
    nodes = [node("Loop", f"i{turns} true x", "y parts", body=body())]
    session = same(model_of(nodes, ("y", "parts")))
    assert {"Binary"} <= {layer.op for layer in session.explain()}


def test_loop_without_turns_hands_on():
    inner = graph([node("Add", "v x", "sum"), node("Identity", "cin", "cout")], "#it ?cin v", "?cout sum")
    same(model_of([helper.make_node("Loop", ["i0", "", "x"], ["y"], body=inner)]))


def test_loop_by_a_dimension():
    nodes = [node("Shape", "x", "sh"), node("Gather", "sh i0", "n"),
             helper.make_node("Loop", ["n", "", "x"], ["y", "parts"], "it", body=body())]
    model = model_of(nodes, ("y", "parts"), ["n", 3])
    with pytest.raises(sr.UnsupportedError, match=r"'it' \(Loop\): a number of turns that depends .*input_shapes="):
        sr.convert(model)
    same(model, shapes={"x": (4, 3)})
    same(model_of(nodes, ("y", "parts")))


def test_while():
    """As tf2onnx writes it: no limit, a condition that each turn computes from a counter, and rows gathered by it."""
    inner = graph([node("Gather", "x k", "row"), node("Add", "row total", "more"), node("Add", "k i1", "next"),
                   node("Less", "next i3", "cout")], "#it ?cin #k total", "?cout #next more row")
    nodes = [node("Gather", "x i0", "first"),
             helper.make_node("Loop", ["", "true", "i0", "first"], ["k", "y", "rows"], body=inner)]
    same(model_of(nodes, {"y": TensorProto.FLOAT, "rows": TensorProto.FLOAT, "k": TensorProto.INT64}))


@pytest.mark.parametrize("batch, dims", [(1, (1, None, None, 4)), (2, (2, None, None, 4)), (2, (2, 5, 6, 4))])
def test_images_of_a_batch(batch, dims):
    """As TensorFlow's detectors have it: a loop over the images, limited by nothing but its condition, with boxes whose
    number is known when it has run. Only the batch has to be fixed."""
    each = [node("Gather", "x k", "image"), node("Reshape", "image rows", "boxes"),
            node("Unsqueeze", "boxes axis", "boxes3"), node("Slice", "boxes begin first last", "score"),
            node("Reshape", "score flat", "scores"),
            node("NonMaxSuppression", "boxes3 scores most iou", "found"), node("Gather", "found i2", "index", axis=1),
            node("Gather", "boxes index", "kept"), node("Add", "k i1", "next"), node("Less", "next batch", "more"),
            node("And", "more cin", "cout")]
    nodes = [node("Shape", "x", "shape"), node("Cast", "shape", "small", to=TensorProto.INT32),
             node("Slice", "small begin first begin", "some"), node("Squeeze", "some", "one"),
             node("Cast", "one", "batch", to=TensorProto.INT64), node("Loop", "limit true i0", "k y", body=graph(
                 each, "#it ?cin #k", "?cout #next kept"))]
    model = make_model(nodes, {"x": dims}, ["y"], INTS | {
        "rows": np.array([-1, 4]), "axis": np.array([0]), "begin": np.array([0]), "first": np.array([1]),
        "last": np.array([1]),
        "flat": np.array([1, 1, -1]), "most": np.array([3]), "iou": np.float32(0.5), "limit": np.int64(2**31 - 1)}, 13)
    x = np.random.default_rng(batch).uniform(0, 1, (batch, 5, 6, 4)).astype(np.float32)
    x[..., 2:] += 1
    session = sr.Session(sr.convert(model).data, input_shapes={"x": x.shape})
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], reference(model, {"x": x})["y"])


def test_what_decides_lies_behind_something_unsupported():
    """Only the latter is told."""
    nodes = [helper.make_node("Det", ["x"], ["d"], "it"), node("Shape", "d", "sh"), node("Size", "sh", "n"),
             node("Loop", "n true x", "y parts", body=body())]
    with pytest.raises(sr.UnsupportedError, match=r"'it' \(Det\): operator") as error:
        sr.convert(model_of(nodes, shape=(3, 3)))
    assert "turns" not in str(error.value)


def test_while_something_that_is_fed():
    nodes = [node("Add", "v x", "sum"), node("ReduceSum", "sum", "s", keepdims=0), node("Less", "s zero", "cout")]
    inner = graph(nodes, "#it ?cin v", "?cout sum")
    with pytest.raises(sr.UnsupportedError, match=r"'it' \(Loop\): a condition that depends on what is fed"):
        sr.convert(model_of([helper.make_node("Loop", ["i3", "true", "x"], ["y"], "it", body=inner)]))


def test_loop_in_a_loop():
    nodes = [node("Loop", "i2 true v", "w parts", body=body()), node("ReduceMean", "parts", "m", axes=[0], keepdims=0),
             node("Add", "w m", "next"), node("Identity", "cin2", "cout2")]
    inner = graph(nodes, "#it2 ?cin2 v", "?cout2 next", "outer")
    for again in inner.node[0].attribute[0].g.input:
        again.name = again.name.replace("v", "u")
    inner.node[0].attribute[0].g.node[0].input[0] = "u"
    same(model_of([node("Loop", "i3 true x", "y", body=inner)]))


def test_scan_of_opset_8():
    inner = graph([node("Add", "state row", "next"), node("Mul", "next row", "out")], "state row", "next out")
    nodes = [node("Scan", " first x", "last y", body=inner, num_scan_inputs=1)]
    nodes[0].input[:] = ["", "x", "x"]
    with pytest.raises(sr.UnsupportedError, match="Scan of opset 8; supported: that of opset 9 and newer"):
        sr.convert(model_of(nodes, ("last", "y"), opset=8))


def test_loop_that_is_too_long():
    nodes = [helper.make_node("Loop", ["many", "true", "x"], ["y", "parts"], "it", body=body())]
    model = model_of(nodes, ("y", "parts"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.int64(10**6), "many"))
    with pytest.raises(sr.UnsupportedError, match="a loop of 1000000 turns or more with 3 nodes"):
        sr.convert(model)


# ---- Scan --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attr", ["", "scan_input_directions", "scan_output_directions", "scan_output_axes"])
def test_scan(attr):
    attrs = {attr: [1]} if attr else {}
    inner = graph([node("Add", "state row", "next"), node("Mul", "next row", "out")], "state row", "next out")
    nodes = [node("Gather", "x i0", "first"), node("Scan", "first x", "last y", body=inner, num_scan_inputs=1, **attrs)]
    same(model_of(nodes, ("last", "y")))


def test_scan_along_another_axis():
    inner = graph([node("Add", "state column", "next"), node("Identity", "next", "out")], "state column", "next out")
    nodes = [node("ReduceSum", "x axes1", "first", keepdims=0),
             node("Scan", "first x", "last y", body=inner, num_scan_inputs=1, scan_input_axes=[1])]
    model = model_of(nodes, ("last", "y"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1]), "axes1"))
    same(model)


def test_layouts_of_one_cpu():
    model = model_of([helper.make_node("ReorderInput", ["x"], ["y"], "it", domain="com.microsoft.nchwc")])
    model.opset_import.append(helper.make_opsetid("com.microsoft.nchwc", 1))
    with pytest.raises(sr.UnsupportedError, match=r"'it' \(ReorderInput\): a layout .* ORT_ENABLE_EXTENDED or less"):
        sr.convert(model)


@pytest.mark.parametrize("dims", [(1, 2, 3), ["n", "t", 3]])
def test_ranks_behind_operators_that_onnx_does_not_know(dims):
    """LayerNormalization needs the rank of what onnxruntime's Gelu results in, of a network for batches of 1 only."""
    nodes = [helper.make_node("Gelu", ["x"], ["a"], domain="com.microsoft"), node("Concat", "a more", "b", axis=1),
             node("LayerNormalization", "b g", "y", axis=-1)]
    model = make_model(nodes, {"x": dims}, ["y"], {"g": np.ones(3, np.float32), "more": X[None]}, 17)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    x = np.random.default_rng(0).standard_normal((1, 2, 3)).astype(np.float32)
    session = sr.Session(sr.convert(model).data, input_shapes={"x": x.shape})
    np.testing.assert_allclose(session.run(None, {"x": x})[0], reference(model, {"x": x})["y"], rtol=1e-5, atol=1e-6)


# ---- odd forms ---------------------------------------------------------------------------------------------


def test_nodes_in_any_order():
    model = model_of([node("Neg", "b", "y"), node("Mul", "a x", "b"), node("Abs", "x", "a")])
    before = model.SerializeToString()
    session = sr.Session(sr.convert(model).data)
    np.testing.assert_array_equal(session.run(None, {"x": X})[0], -(np.abs(X) * X))
    assert model.SerializeToString() == before


def test_nodes_in_a_circle():
    with pytest.raises(sr.ModelFormatError, match="'b' is not defined"):
        sr.convert(model_of([node("Neg", "a", "b"), node("Add", "b x", "a"), node("Neg", "a", "y")]))


@pytest.mark.parametrize("opset", [7, 9])
def test_batch_normalization_of_old_opsets(opset):
    """Outputs for training ask for the mean and variance of the input; spatial=0 has parameters for each element."""
    rng, x = np.random.default_rng(0), np.random.default_rng(1).standard_normal((2, 3, 4, 5)).astype(np.float32)

    def model(outputs, shape, **attrs):
        constants = {name: rng.uniform(0.5, 1.5, shape).astype(np.float32) for name in "sbmv"}
        nodes = [helper.make_node("BatchNormalization", ["x", *constants], outputs, **attrs)]
        return make_model(nodes, {"x": x.shape}, ["y"], constants, opset)

    same(model(["y", "a", "b1", "c", "d"], (3,)), x)
    same(model(["y"], (3,), **({"spatial": 1} if opset == 7 else {})), x)
    if opset == 7:
        same(model(["y"], (3, 4, 5), spatial=0), x)
