"""Reading ONNX files: containers, inputs and initializers, folding, names, and what is said of bad ones."""

import os

import numpy as np
import onnx
import pytest
from agree import agree, assert_close, ops, rewritten
from conftest import make_model
from onnx import TensorProto, helper, numpy_helper
from oracle import reference

import sparse_runtime as sr
from sparse_runtime.importers import import_model

F32 = np.float32
RNG = np.random.default_rng(11)
W = RNG.standard_normal((4, 3, 1, 1)).astype(np.float32)


def conv_model(opset=13, weight=W, **kwargs):
    return make_model(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="conv")],
        {"x": (1, 3, 5, 6)},
        ["y"],
        {"w": weight},
        opset,
        **kwargs,
    )


def external_model(folder, data_name="weights.bin"):
    model = conv_model(weight=RNG.standard_normal((64, 3, 3, 3)).astype(np.float32))
    path = str(folder / "model.onnx")
    onnx.save_model(model, path, save_as_external_data=True, location=data_name, size_threshold=0)
    return path


# ---- containers ------------------------------------------------------------------------------------------------------


def test_path_bytes_and_proto_are_the_same(tmp_path):
    model = conv_model()
    path = tmp_path / "m.onnx"
    onnx.save(model, str(path))
    texts = {str(import_model(source)) for source in (path, str(path), path.read_bytes(), model)}
    assert len(texts) == 1


def test_external_data(tmp_path):
    path = external_model(tmp_path)
    graph = import_model(path)
    expected = numpy_helper.to_array(onnx.load(path).graph.initializer[0])
    np.testing.assert_array_equal(graph.nodes[0].input("W").const, expected)


def test_external_data_without_a_path(tmp_path):
    with open(external_model(tmp_path), "rb") as file, pytest.raises(sr.ModelIOError, match="'w'.*external file"):
        import_model(file.read())


def test_external_data_missing(tmp_path):
    path = external_model(tmp_path)
    os.unlink(tmp_path / "weights.bin")
    with pytest.raises(sr.SparseRuntimeError, match="'w'.*weights.bin"):
        import_model(path)


def test_external_data_too_short(tmp_path):
    path = external_model(tmp_path)
    os.truncate(tmp_path / "weights.bin", 100)
    with pytest.raises(sr.ModelFormatError, match="'w'"):
        import_model(path)


def test_external_data_outside_the_folder(tmp_path):
    path = external_model(tmp_path)
    (tmp_path / "secret").write_bytes(bytes(64 * 27 * 4))
    (tmp_path / "sub").mkdir()
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../secret"
    inner = tmp_path / "sub" / "m.onnx"
    inner.write_bytes(model.SerializeToString())
    with pytest.raises(sr.ModelFormatError, match="secret"):
        import_model(inner)


def test_no_such_file(tmp_path):
    with pytest.raises(sr.ModelIOError, match="nothing.onnx"):
        import_model(tmp_path / "nothing.onnx")


@pytest.mark.parametrize("data", [b"", b"\x00", b"not a model at all", b"\xff" * 100])
def test_not_a_model(data):
    with pytest.raises(sr.ModelFormatError, match="not an ONNX model"):
        import_model(data)


def test_truncated_at_every_length():
    data = conv_model().SerializeToString()
    for length in range(len(data)):
        try:
            import_model(data[:length])
        except sr.SparseRuntimeError:
            pass


def test_wrong_kind_of_argument():
    with pytest.raises(sr.ArgumentError, match="not int"):
        import_model(3)


def test_local_functions_are_inlined():
    twice = helper.make_function(
        "local", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    model = make_model([helper.make_node("Twice", ["x"], ["y"], domain="local")], {"x": (2, 3)}, ["y"])
    model.functions.append(twice)
    model.opset_import.append(helper.make_opsetid("local", 1))
    assert ops(agree(model)) == {"Binary": 1}


# ---- opsets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("opset", range(7, 21))
def test_opsets(opset):
    agree(conv_model(opset))


@pytest.mark.parametrize("opset", [0, 1000])
def test_opset_out_of_range(opset):
    with pytest.raises(sr.UnsupportedError, match=f"opset {opset}; supported: 7 to"):
        import_model(conv_model(opset))


def test_older_opsets_are_brought_to_the_oldest():
    """As far as onnx can; the model that was given stays as it is."""
    model = make_model([helper.make_node("Add", ["x", "b"], ["s"], broadcast=1),
                        helper.make_node("PRelu", ["s", "slope"], ["y"])], {"x": (2, 3, 4, 5)}, ["y"],
                       {"b": np.arange(5, dtype=F32), "slope": np.array([0.5, 2, -1], F32)}, opset=6)
    for tensor in model.graph.initializer:  # which then were inputs too
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    before = model.SerializeToString(deterministic=True)
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(F32)
    s = x + np.arange(5, dtype=F32)
    expected = np.where(s < 0, np.array([0.5, 2, -1], F32)[:, None, None] * s, s)
    np.testing.assert_allclose(sr.Session(model).run(None, {"x": x})[0], expected, rtol=1e-6)
    assert model.SerializeToString(deterministic=True) == before
    model.graph.node[0].attribute.append(helper.make_attribute("axis", 1))  # shapes that then do not fit
    with pytest.raises(sr.UnsupportedError, match="opset 6, which cannot be brought to 7"):
        import_model(model)


def test_no_opset():
    model = conv_model()
    del model.opset_import[:]
    with pytest.raises(sr.ModelFormatError, match="operator set"):
        import_model(model)


def test_swish_of_opset_24():
    if onnx.defs.onnx_opset_version() < 24:
        pytest.skip("the installed onnx is older")
    model = make_model(
        [helper.make_node("Swish", ["x"], ["y"], alpha=1.0), helper.make_node("Swish", ["x"], ["z"], alpha=0.5)],
        {"x": (3,)},
        ["y", "z"],
        opset=24,
    )
    x = np.array([-1, 0.5, 2], np.float32)
    session = sr.Session(sr.convert(model).data)
    y, z = session.run(None, {"x": x})
    np.testing.assert_allclose(y, x / (1 + np.exp(-x)), rtol=1e-6)
    np.testing.assert_allclose(z, x / (1 + np.exp(-x / 2)), rtol=1e-6)


# ---- inputs, initializers, outputs ---------------------------------------------------------------


def test_initializers_repeated_among_the_inputs():
    model = conv_model(opset=7)
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, W.shape))
    graph = import_model(model)
    assert [v.name for v in graph.inputs] == ["x"]


def test_missing_weights():
    model = make_model(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="conv")], {"x": (1, 3, 5, 6), "w": (4, 3, 1, 1)}, ["y"]
    )
    with pytest.raises(sr.UnsupportedError, match="'conv'.*graph input 'w': the file has no weights for it"):
        import_model(model)


def test_undefined_value():
    model = make_model([helper.make_node("Conv", ["x", "gone"], ["y"], name="conv")], {"x": (1, 3, 5, 6)}, ["y"])
    with pytest.raises(sr.ModelFormatError, match="'conv'.*'gone' is not defined"):
        import_model(model)


def test_output_that_nothing_makes():
    model = make_model([helper.make_node("Relu", ["x"], ["y"])], {"x": (2,)}, ["y", "z"])
    with pytest.raises(sr.ModelFormatError, match="output 'z'"):
        import_model(model)


def test_a_value_defined_twice():
    model = make_model(
        [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Abs", ["x"], ["y"], name="again")],
        {"x": (2,)},
        ["y"],
    )
    with pytest.raises(sr.ModelFormatError, match="'again'.*'y' is already defined"):
        import_model(model)


def test_dynamic_dimensions():
    model = conv_model()
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[0].dim_param = "batch"
    dims[2].Clear()
    (x,) = import_model(model).inputs
    assert x.dims == (-1, 3, -1, 6) and x.dim_names[0] == "batch"
    assert "x: float32[batch,3,?,6]" in str(import_model(model))


def test_input_shapes():
    (x,) = import_model(conv_model(), {"x": (2, 3, 8, None)}).inputs
    assert x.dims == (2, 3, 8, -1)


@pytest.mark.parametrize(
    "shapes, message",
    [
        ({"q": (1,)}, r"'q'; the inputs are: x \[1,3,5,6\]"),
        ({"x": (1, 3)}, r"'x' 2 dimensions; the inputs are: x \[1,3,5,6\]"),
        ({"x": (1, 3, -2, 6)}, "negative"),
        ({"x": "abcd"}, "integers"),
        ({"x": 3}, "integers"),
    ],
)
def test_wrong_input_shapes(shapes, message):
    with pytest.raises(sr.ArgumentError, match=message):
        import_model(conv_model(), shapes)


def test_input_without_a_shape():
    model = conv_model()
    model.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(sr.ArgumentError, match="'x' has no shape"):
        import_model(model)
    assert import_model(model, {"x": (1, 3, 4, 4)}).inputs[0].dims == (1, 3, 4, 4)


def test_outputs_that_are_inputs_constants_or_doubled():
    constant = np.arange(3, dtype=np.float32)
    model = make_model(
        [
            helper.make_node("Identity", ["c"], ["k"]),
            helper.make_node("Identity", ["x"], ["same"]),
            helper.make_node("Relu", ["x"], ["y"]),
            helper.make_node("Identity", ["y"], ["z"]),
        ],
        {"x": (2,)},
        ["k", "same", "y", "z"],
        {"c": constant},
    )
    agree(model)


# ---- constants are folded ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nodes, constants",
    [
        ([("Identity", ["w0"], ["w"], {})], {"w0": W}),
        ([("Transpose", ["w0"], ["w"], {"perm": [3, 2, 0, 1]})], {"w0": W.transpose(2, 3, 1, 0)}),
        ([("Reshape", ["w0", "s"], ["w"], {})], {"w0": W.reshape(4, 3), "s": np.array([4, 3, 1, 1])}),
        (
            [("DequantizeLinear", ["q", "scale", "zero"], ["w"], {})],
            {"q": RNG.integers(0, 255, W.shape).astype(np.uint8), "scale": np.float32(0.1), "zero": np.uint8(128)},
        ),
        (
            [("DequantizeLinear", ["q", "scale", "zero"], ["w"], {"axis": 0})],
            {
                "q": RNG.integers(-128, 127, W.shape).astype(np.int8),
                "scale": np.float32([0.1, 0.2, 0.3, 0.4]),
                "zero": np.zeros(4, np.int8),
            },
        ),
        ([("Constant", [], ["w"], {"value": numpy_helper.from_array(W)})], {}),
        (
            [("Constant", [], ["w0"], {"value": numpy_helper.from_array(W)}), ("Mul", ["w0", "two"], ["w"], {})],
            {"two": np.float32(2)},
        ),
    ],
)
def test_weights_behind_nodes(nodes, constants):
    nodes = [helper.make_node(op, inputs, outputs, **attrs) for op, inputs, outputs, attrs in nodes]
    model = make_model(
        nodes + [helper.make_node("Conv", ["x", "w"], ["y"], name="conv")], {"x": (1, 3, 5, 6)}, ["y"], constants, 13
    )
    assert ops(agree(model)) == {"Conv": 1}


def test_sparse_constant_and_initializer():
    dense = np.zeros((4, 3, 1, 1), np.float32)
    dense[1, 2], dense[3, 0] = 1.5, -2
    values = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.5, -2])
    flat = helper.make_sparse_tensor(values, helper.make_tensor("i", TensorProto.INT64, [2], [5, 9]), [4, 3, 1, 1])
    model = conv_model()
    del model.graph.initializer[:]
    model.graph.sparse_initializer.append(flat)
    np.testing.assert_array_equal(import_model(model).nodes[0].input("W").const, dense)
    node = helper.make_node("Constant", [], ["w"], sparse_value=flat)
    model = make_model([node, helper.make_node("Conv", ["x", "w"], ["y"])], {"x": (1, 3, 5, 6)}, ["y"])
    np.testing.assert_array_equal(import_model(model).nodes[0].input("W").const, dense)


def test_large_results_are_not_stored():
    model = make_model(
        [helper.make_node("Expand", ["c", "s"], ["big"]), helper.make_node("Add", ["x", "big"], ["y"])],
        {"x": (1, 1, 300, 300)},
        ["y"],
        {"c": np.float32([1]), "s": np.array([1, 1, 300, 300])},
        13,
    )
    assert ops(import_model(model)) == {"Expand": 1, "Binary": 1}


@pytest.mark.parametrize(
    "op, inputs",
    [
        ("ConstantOfShape", [[1 << 20, 1 << 20]]),
        ("Expand", [[1.0], [1 << 40]]),
        ("Tile", [[1.0], [1 << 40]]),
        ("Range", [0, 1 << 40, 1]),
        ("Range", [0, 1, 0]),
    ],
)
def test_monstrous_constants_are_refused(op, inputs):
    """Four terabytes in a model of a hundred bytes: an error, whoever notices."""
    constants = {f"c{k}": np.array(v, np.float32 if v == [1.0] else np.int64) for k, v in enumerate(inputs)}
    node = helper.make_node(op, list(constants), ["c"], name="huge")
    model = make_model(
        [node, helper.make_node("Cast", ["c"], ["f"], to=1), helper.make_node("Add", ["f", "x"], ["y"])],
        {"x": (1,)},
        ["y"],
        constants,
    )
    with pytest.raises(sr.SparseRuntimeError):
        sr.Session(model).run(None, {"x": np.zeros(1, np.float32)})


# ---- names ---------------------------------------------------------------------------------------


def test_names():
    model = make_model(
        [helper.make_node("Gemm", ["x", "w", "c"], ["h"], name="fc", transA=1), helper.make_node("Relu", ["h"], ["y"])],
        {"x": (6, 2)},
        ["y"],
        {"w": np.ones((6, 3), np.float32), "c": np.ones((2, 1), np.float32)},
    )
    graph = import_model(model)
    assert {n.op: n.name for n in graph.nodes} == {
        "Transpose": "fc/Transpose",
        "FullyConnected": "fc",
        "Binary": "fc/Binary",
        "Unary": "y",
    }
    assert [v.name for v in graph.outputs] == ["y"]


def test_names_that_meet_ours():
    model = make_model(
        [
            helper.make_node("Abs", ["x"], ["fc/Shape"], name="abs"),
            helper.make_node("Softmax", ["fc/Shape"], ["y"], name="fc", axis=1),
        ],
        {"x": (2, 3, 4)},
        ["y"],
        opset=11,
    )
    agree(model)


# ---- what is not supported -----------------------------------------------------------------------


def test_all_unsupported_nodes_are_reported_at_once():
    model = make_model(
        [
            helper.make_node("Det", ["x"], ["a"], name="first"),
            helper.make_node("Conv", ["a", "x"], ["b"], name="second"),
            helper.make_node("Foo", ["b"], ["c"], name="third", domain="com.example"),
            helper.make_node("MaxPool", ["c"], ["d", "where"], name="fourth", kernel_shape=[2, 2, 2, 2]),
            helper.make_node("Add", ["d", "d"], ["y"], name="fine"),
        ],
        {"x": (1, 3, 5, 6)},
        ["y"],
    )
    with pytest.raises(sr.UnsupportedError) as raised:
        import_model(model)
    text = str(raised.value)
    for wanted in (
        "'first' (Det): operator; supported: the operators below\n",
        "\n  operators: Abs, Acos, ",
        "'second' (Conv): weights from graph input 'x'",
        "'third' (Foo): operator of domain 'com.example'",
        "'fourth' (MaxPool): 4 spatial axes; supported: 1 or 2 or 3",
    ):
        assert wanted in text
    assert "'fine'" not in text


def _branch(op, *inputs, constants=()):
    """A branch of an If with one node, whose output is z."""
    return helper.make_graph([helper.make_node(op, list(inputs), ["z"], name="inner")], "branch", [],
                             [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
                             [numpy_helper.from_array(a, n) for n, a in dict(constants).items()])


def test_if_decided_by_a_constant():
    """The branch reads values of the graph around it and constants of its own; the other may hold anything."""
    for taken, expected in ((True, "add"), (False, None)):
        model = make_model(
            [helper.make_node("Relu", ["x"], ["r"]),
             helper.make_node("If", ["c"], ["y"], name="choice",
                              then_branch=_branch("Add", "r", "k", constants={"k": F32(3)}),
                              else_branch=_branch("Neg" if not taken else "Det", "r"))],
            {"x": (2, 3)}, ["y"], {"c": np.array(taken)})
        graph = import_model(model)
        assert (expected in [n["fn"] for n in graph.nodes]) == taken
        x = np.random.default_rng(0).standard_normal((2, 3)).astype(F32)
        r = np.maximum(x, 0)
        np.testing.assert_array_equal(sr.Session(graph.to_bytes()).run(None, {"x": x})[0], r + 3 if taken else -r)


def test_if_decided_by_shapes():
    """As torch exports squeeze(): if the dimension is 1."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Shape", ["r"], ["s"]),
        helper.make_node("Gather", ["s", "axis"], ["d"]),
        helper.make_node("Equal", ["d", "one"], ["c"]),
        helper.make_node("If", ["c"], ["y"], then_branch=_branch("Squeeze", "r", "axes"),
                         else_branch=_branch("Identity", "r")),
    ]
    constants = {"axis": np.array(1), "one": np.array(1), "axes": np.array([1])}
    for shape, made in (((2, 1, 3), (2, 3)), ((2, 4, 3), (2, 4, 3))):
        x = np.random.default_rng(0).standard_normal(shape).astype(F32)
        (y,) = sr.Session(make_model(nodes, {"x": shape}, ["y"], constants)).run(None, {"x": x})
        np.testing.assert_array_equal(y, np.maximum(x, 0).reshape(made))
    with pytest.raises(sr.UnsupportedError, match="a condition that depends on what is fed"):
        import_model(make_model(nodes, {"x": (2, "n", 3)}, ["y"], constants))


def test_subgraphs():
    with pytest.raises(sr.UnsupportedError, match=r"'inner' \(Det\): operator"):
        import_model(make_model([helper.make_node("If", ["c"], ["y"], then_branch=_branch("Det", "x"),
                                                  else_branch=_branch("Neg", "x"))], {"x": (2, 2)}, ["y"],
                                                  {"c": np.array(True)}))
    body = helper.make_graph([helper.make_node("Identity", ["c"], ["d"])], "body",
                             [helper.make_tensor_value_info("i", TensorProto.INT64, ()),
                              helper.make_tensor_value_info("c", TensorProto.BOOL, ())],
                             [helper.make_tensor_value_info("d", TensorProto.BOOL, ())])
    model = make_model([helper.make_node("Loop", ["n", "c"], ["y"], name="again", body=body)],
                       {"x": (2,)}, ["y"], {"n": np.array(3), "c": np.array(True)})
    with pytest.raises(sr.ModelFormatError, match=r"'again' \(Loop\): 'body' has 1 outputs; it needs 2"):
        import_model(model)


# ---- half precision ------------------------------------------------------------------------------


def test_half_precision_network():
    """Computed in float32, with the roundings of the model's inputs and outputs only."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 3, 8, 8)).astype(np.float16)
    w = (rng.standard_normal((4, 3, 3, 3)) / 5).astype(np.float16)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Concat", ["r", "c"], ["j"], axis=1),
        helper.make_node("Softmax", ["j"], ["y"], axis=1),
        helper.make_node("Cast", ["j"], ["z"], to=TensorProto.FLOAT),
    ]
    model = make_model(nodes, {"x": (np.dtype(np.float16), x.shape)},
                       {"y": TensorProto.FLOAT16, "z": TensorProto.FLOAT},
                       {"w": w})
    graph, _ = rewritten(model)
    assert ops(graph)["Cast"] == 2  # of the input and of the one output that is float16
    wide = make_model([*nodes[:4], helper.make_node("Identity", ["j"], ["z"])], {"x": x.shape}, ["y", "z"],
                      {"w": w.astype(F32)})
    expected = reference(wide, {"x": x.astype(F32)})
    y, z = sr.Session(graph.to_bytes()).run(None, {"x": x})
    np.testing.assert_allclose(z, expected["z"], rtol=1e-5, atol=1e-5)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, expected["y"].astype(np.float16), rtol=2e-3)


def test_operators_that_onnx_defines_by_others():
    """Attention is none of ours, but its definition is; so is what a definition uses in turn."""
    if onnx.defs.onnx_opset_version() < 23:
        pytest.skip("the installed onnx has no Attention")
    q, k, v = (RNG.standard_normal((2, 3, 5, 8)).astype(F32) for _ in "qkv")
    model = make_model([helper.make_node("Attention", ["q", "k", "v"], ["y"])], {n: q.shape for n in "qkv"}, ["y"],
                       opset=23)
    scores = np.einsum("bhik,bhjk->bhij", q, k) / np.sqrt(8)
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    (y,) = sr.Session(model).run(None, {"q": q, "k": k, "v": v})
    np.testing.assert_allclose(y, shares @ v, rtol=1e-4, atol=1e-5)


def test_weights_computed_from_constants():
    """Larger than what is folded while importing: a network with random weights that are made when it is loaded."""
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["w"],
                              value=helper.make_tensor("v", TensorProto.FLOAT, [1], [0.02])),
             helper.make_node("Conv", ["x", "w"], ["y"])]
    graph = agree(make_model(nodes, {"x": (1, 40, 8, 8)}, ["y"], {"s": np.array([60, 40, 3, 3])}))
    assert ops(graph) == {"Conv": 1}


def standardized(opset, training, free):
    """NFNet's convolution: its weights are standardized in the graph, a share of them behind that set to zero."""
    weight, gain = RNG.normal(2, 3, (8, 6, 1, 1)).astype(np.float32), RNG.uniform(0.5, 2, 8).astype(np.float32)
    constants = {"w": weight, "gain": gain, "zero": np.zeros(8, np.float32), "rows": np.array([1, 8, -1])}
    constants |= {"shape": np.array([8, 6, 1, 1]), "turned": weight.reshape(1, 8, 6), "one": np.ones(8, np.float32)}
    constants["mask"] = (RNG.random((8, 6, 1, 1)) < 0.2).astype(np.float32)
    nodes = [helper.make_node("Reshape", ["w", "rows"], ["flat"])]
    if training:
        batch = helper.make_node("BatchNormalization", ["flat", "gain", "zero", "zero", "one"], ["standard"])
        if opset >= 14:
            batch.attribute.append(helper.make_attribute("training_mode", 1))
        nodes.append(batch)
    else:  # the mean and variance of the rows, then as given ones
        nodes += [
            helper.make_node("ReduceMean", ["turned"], ["mean"], axes=[0, 2], keepdims=0),
            helper.make_node("ReduceMean", ["turned"], ["wide"], axes=[0, 2], keepdims=1),
            helper.make_node("Sub", ["turned", "wide"], ["centred"]),
            helper.make_node("Mul", ["centred", "centred"], ["squares"]),
            helper.make_node("ReduceMean", ["squares"], ["variance"], axes=[0, 2], keepdims=0),
            helper.make_node("Div", ["gain", "one"], ["same"]),
            helper.make_node("BatchNormalization", ["flat", "same", "zero", "mean", "variance"], ["standard"]),
        ]
    nodes += [
        helper.make_node("Reshape", ["standard", "shape"], ["kernel"]),
        helper.make_node("Mul", ["kernel", "mask"], ["sparse"]),
        helper.make_node("Conv", ["x", "sparse"], ["y"], name="conv"),
    ]
    return make_model(nodes, {"x": ("n", 6, "h", "w") if free else (2, 6, 5, 7)}, ["y"], constants, opset), constants


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("opset, training", [(9, False), (13, False), (17, False), (17, True)])
def test_weights_standardized_in_the_graph(opset, training, free):
    model, constants = standardized(opset, training, free)
    x = RNG.normal(size=(2, 6, 5, 7)).astype(np.float32)
    rows = constants["turned"][0].astype(np.float64)
    rows = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + 1e-5)
    weight = rows * constants["gain"][:, None] * constants["mask"][:, :, 0, 0]
    made = sr.convert(model)
    (y,) = sr.Session(made.data).run(None, {"x": x})
    np.testing.assert_allclose(y, np.einsum("ok,nkhw->nohw", weight, x), rtol=1e-5, atol=1e-5)
    assert ops(import_model(model)) == {"Conv": 1}
    (layer,) = made.layers
    assert layer.name == "conv" and layer.sparsity > 0.7 and layer.encoding != "dense"
    if not training:  # of which onnxruntime has no kernel
        agree(standardized(opset, training, False)[0])


def test_what_no_output_needs_may_be_anything():
    model = make_model(
        [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Det", ["x"], ["z"])], {"x": (2, 2)}, ["y"]
    )
    assert ops(import_model(model)) == {"Unary": 1}


@pytest.mark.parametrize(
    "node, message",
    [
        (helper.make_node("ConvTranspose", ["x", "w3d"], ["y"]), "3 spatial axes; supported: 1 or 2"),
        (helper.make_node("Conv", ["x", "w64"], ["y"]), "weights of type float64; supported: float32"),
        (helper.make_node("Conv", ["x", "w"], ["y"], pads=[-1, 0, 0, 0]), "negative pads"),
        (helper.make_node("Dropout", ["x", "r", "yes"], ["y"]), "training_mode"),
        (helper.make_node("Cast", ["x"], ["y"], to=TensorProto.BFLOAT16), "type BFLOAT16; supported: float32"),
        (helper.make_node("Det", ["x"], ["y"]), r"\(Det\): operator; supported: the operators below\n  operators: Abs"),
        (helper.make_node("Softplus", ["x64"], ["y"]), "input 0 of type float64; supported: float32"),
    ],
)
def test_unsupported_forms(node, message):
    constants = {
        "w3d": np.zeros((4, 3, 1, 1, 1), np.float32),
        "w64": W.astype(np.float64),
        "w": W,
        "c": np.ones(3, np.float32),
        "r": np.float32(0.5),
        "yes": np.bool_(True),
    }
    nodes, outputs = [node], list(node.output)
    model = make_model(
        nodes,
        {"x": (1, 3, 5, 6), "x64": (np.dtype(np.float64), (2,))},
        outputs,
        {k: v for k, v in constants.items() if k in node.input},
        15,
    )
    with pytest.raises(sr.UnsupportedError, match=message):
        import_model(model)


@pytest.mark.parametrize(
    "node, message",
    [
        (helper.make_node("Conv", ["x"], ["y"], name="it"), "'it'"),
        (helper.make_node("Relu", ["x"], ["y"], name="it", alpha=1.0), "'it'.*alpha"),
        (helper.make_node("Flatten", ["x"], ["y"], name="it", axis="one"), "'it'"),
        (helper.make_node("MaxPool", ["x"], ["y"], name="it"), "'it'.*kernel_shape"),
        (helper.make_node("Conv", ["x", "w"], ["y"], name="it", kernel_shape=[3, 3]), "'it'.*kernel_shape"),
        (helper.make_node("Conv", ["x", "w"], ["y"], name="it", group=3), "'it'.*group 3"),
        (helper.make_node("Conv", ["x", "w"], ["y"], name="it", pads=[1]), "'it'.*pads has 1 values"),
        (helper.make_node("Resize", ["x"], ["y"], name="it"), "'it'.*scales and sizes"),
        (helper.make_node("Constant", [], ["y"], name="it"), "'it'"),
    ],
)
def test_malformed_nodes(node, message):
    model = make_model([node], {"x": (1, 3, 5, 6)}, ["y"], {"w": W}, 13)
    with pytest.raises(sr.ModelFormatError, match=message):
        import_model(model)


def test_unsupported_types():
    model = make_model([helper.make_node("Identity", ["x"], ["y"])], {"x": (2,)}, ["y"])
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.BFLOAT16
    with pytest.raises(sr.UnsupportedError, match="input 'x': bfloat16; supported: float32"):
        import_model(model)
    model.graph.input[0].type.CopyFrom(helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [2])))
    with pytest.raises(sr.UnsupportedError, match="input 'x' is a sequence_type; supported: tensors"):
        import_model(model)


def test_shapes_that_do_not_fit_name_the_node():
    model = make_model(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="narrow")], {"x": (1, 5, 4, 4)}, ["y"], {"w": W}
    )
    with pytest.raises(sr.ShapeError, match="'narrow'"):
        sr.convert(model)


def test_random_damage_is_an_error_or_a_model():
    """Flipped bytes never raise anything but our own errors."""
    data = bytearray(conv_model().SerializeToString())
    rng = np.random.default_rng(5)
    for position in range(len(data)):
        broken = bytearray(data)
        broken[position] ^= int(rng.integers(1, 256))
        try:
            sr.convert(bytes(broken))
        except sr.SparseRuntimeError:
            pass


def test_feeds_of_all_initializer_types():
    """Constants of every element type reach the runtime unchanged."""
    for dtype in (
        "float32",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "int64",
        "bool",
        "float16",
        "float64",
        "uint32",
        "uint64",
    ):
        constant = np.array([0, 1, 1], dtype)
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        model = make_model(
            [helper.make_node("Concat", ["x", "c"], ["y"], axis=0)],
            {"x": (np.dtype(dtype), (2,))},
            {"y": kind},
            {"c": constant},
        )
        feeds = {"x": np.array([1, 0], dtype)}
        session = sr.Session(sr.convert(model).data)
        assert_close({"y": session.run(None, feeds)[0]}, {"y": np.concatenate([feeds["x"], constant])})
