"""Transposes, shuffles, no-ops and sizes baked into constants."""

import numpy as np
import pytest
from agree import agree, assert_close, ops, rewritten
from conftest import make_model
from onnx import TensorProto, helper
from onnx_export import to_onnx
from oracle import reference

import sparse_runtime as sr
from sparse_runtime import passes
from sparse_runtime.importers import import_model

RNG = np.random.default_rng(29)
NCHW, NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


def f(*shape):
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def node(op, inputs, output="y", **attrs):
    return helper.make_node(op, inputs.split(), output.split(), name=f"{op}.{output.split()[0]}", **attrs)


def model(nodes, x, outputs=("y",), opset=13, out_type=TensorProto.FLOAT, dtype=np.float32, **constants):
    used = {i for n in nodes for i in n.input}
    return make_model(
        nodes,
        {"x": (np.dtype(dtype), x)},
        dict.fromkeys(outputs, out_type),
        {k: np.asarray(v) for k, v in constants.items() if k in used},
        opset,
    )


# ---- transposes ----------------------------------------------------------------------------------

IMAGE = (2, 5, 6, 4)  # NHWC
FIRST, LAST = node("Transpose", "x", "a", perm=NCHW), node("Conv", "t w")
W3, W1 = f(4, 4, 3, 3), f(4, 4, 1, 1)


def between(*nodes):
    """x (NCHW) -> Conv -> NHWC -> nodes (from `a` to `b`) -> NCHW -> Conv."""
    return [
        node("Conv", "x w", "c"),
        node("Transpose", "c", "a", perm=NHWC),
        *nodes,
        node("Transpose", "b", "t", perm=NCHW),
        LAST,
    ]


@pytest.mark.parametrize(
    "nodes, constants",
    [
        ([node("Sigmoid", "a", "b")], {}),
        ([node("Add", "a s", "b")], {"s": f(4)}),
        ([node("Mul", "s a", "b")], {"s": f(6, 4)}),
        ([node("Mul", "s a", "b")], {"s": f(1, 5, 1, 1)}),
        ([node("Mul", "a s", "b")], {"s": np.float32(3)}),
        ([node("Abs", "a", "e"), node("Mul", "a e", "b")], {}),
        (
            [
                node("Abs", "a", "e"),
                node("Exp", "a", "f"),
                node("Concat", "e f", "g", axis=-1),
                node("Slice", "g i j k", "b"),
            ],
            {"i": [2], "j": [6], "k": [3]},
        ),
        ([node("Split", "a", "e f", axis=3), node("Concat", "f e", "b", axis=3)], {}),
        ([node("Pad", "a pads", "b")], {"pads": [0, 1, 2, 0, 0, 3, 0, 0]}),
        ([node("Softmax", "a", "b", axis=-1)], {}),
        ([node("Resize", "a - scales", "b", mode="linear")], {"scales": np.float32([1, 2, 3, 1])}),
        ([node("Resize", "a - - sizes", "b")], {"sizes": [2, 8, 3, 4]}),
        ([node("ReduceMean", "a", "e", axes=[1, 2]), node("Mul", "a e", "b")], {}),
        ([node("Clip", "a low", "b")], {"low": np.float32(0)}),
    ],
)
def test_transposes_meet(nodes, constants):
    nodes = between(*nodes)
    for n in nodes:
        for i, name in enumerate(n.input):
            n.input[i] = "" if name == "-" else name
    graph = agree(model(nodes, (2, 4, 5, 6), w=W1, **constants))
    assert ops(graph)["Transpose"] == 0


def test_transposes_at_reductions_without_kept_axes():
    nodes = [
        node("Conv", "x w", "c"),
        node("Transpose", "c", "a", perm=NHWC),
        node("ReduceMean", "a", axes=[1, 2], keepdims=0),
    ]
    assert ops(agree(model(nodes, (2, 4, 5, 6), w=W1))) == {"Conv": 1, "GlobalAveragePool": 1, "Squeeze": 1}
    nodes[-1] = node("ReduceMax", "a", axes=[1], keepdims=0)
    assert ops(agree(model(nodes, (2, 4, 5, 6), w=W1)))["Transpose"] == 1


def test_transposes_that_other_readers_need_stay():
    nodes = between(node("Abs", "a", "b"))
    graph = agree(model(nodes, (2, 4, 5, 6), ["y", "a"], w=W1))
    assert ops(graph)["Transpose"] == 1


def test_slope_per_last_axis_keeps_the_transpose():
    graph = agree(model(between(node("PRelu", "a s", "b")), (2, 4, 5, 6), w=W1, s=f(5, 1, 1)))
    assert ops(graph)["Transpose"] == 2


def test_border_transpose_stays_before_its_convolution():
    nodes = [node("Sub", "x m", "n"), node("Transpose", "n", "t", perm=NCHW), LAST]
    assert [n.op for n in agree(model(nodes, IMAGE, w=W3, m=np.float32(127))).nodes] == ["Binary", "Transpose", "Conv"]


def test_pad_before_a_transpose_goes_into_the_convolution():
    nodes = [node("Pad", "x pads", "p"), node("Transpose", "p", "t", perm=NCHW), LAST]
    graph = agree(model(nodes, IMAGE, w=W3, pads=[0, 1, 2, 0, 0, 0, 1, 0]))
    assert [n.op for n in graph.nodes] == ["Transpose", "Conv"] and graph.nodes[1]["pads"] == (1, 2, 0, 1)


def test_transposes_of_transposes():
    nodes = [node("Transpose", "x", "a", perm=[0, 2, 1, 3]), node("Transpose", "a", perm=[3, 0, 1, 2])]
    (made,) = agree(model(nodes, IMAGE)).nodes
    assert made["perm"] == (3, 0, 2, 1)
    assert ops(agree(model([node("Transpose", "x", "a"), node("Transpose", "a", "b"), node("Abs", "b")], IMAGE))) == {
        "Unary": 1
    }


def test_equal_transposes_are_one():
    nodes = [
        node("Transpose", "x", "a", perm=NCHW),
        node("Transpose", "x", "b", perm=NCHW),
        node("Conv", "a w", "c"),
        node("Conv", "b v", "d"),
    ]
    assert ops(agree(model(nodes, IMAGE, ["c", "d"], w=W3, v=f(2, 4, 3, 3)))) == {"Transpose": 1, "Conv": 2}


# ---- channel shuffle -----------------------------------------------------------------------------


def shuffle(groups=3, perm=(0, 2, 1, 3, 4), middle=None, out=(2, 6, 5, 4), **kwargs):
    nodes = [node("Reshape", "x m", "a"), node("Transpose", "a", "b", perm=list(perm)), node("Reshape", "b o")]
    middle = middle or (2, groups, 6 // groups, 5, 4)
    return model(nodes, (2, 6, 5, 4), m=np.array(middle), o=np.array(out), **kwargs)


@pytest.mark.parametrize("groups", [2, 3])
@pytest.mark.parametrize("out", [(2, 6, 5, 4), (2, -1, 5, 4), (0, 6, 5, 4)])
def test_channel_shuffle(groups, out):
    (made,) = agree(shuffle(groups, out=out)).nodes
    assert (made.op, made["group"]) == ("ChannelShuffle", groups)


def test_channel_shuffle_of_flat_planes():
    (made,) = agree(shuffle(perm=(0, 2, 1, 3), middle=(2, 3, 2, 20))).nodes
    assert (made.op, made["group"]) == ("ChannelShuffle", 3)


@pytest.mark.parametrize(
    "kwargs",
    [{"perm": (0, 2, 1, 4, 3)}, {"middle": (2, 6, 5, 2, 2)}, {"out": (2, 3, 10, 4)}, {"perm": (1, 0, 2, 3, 4)}],
)
def test_other_shuffles_stay(kwargs):
    assert ops(agree(shuffle(**kwargs)))["ChannelShuffle"] == 0


def joined(groups=2, parts=2, axis=1, size=(5, 4), outputs=(), channels=3):
    """Parts computed in several ways, their concatenation, its shuffle, and what is split off from that again."""
    whole = channels * parts
    part = ["Conv a w0", "Exp a", "Neg a"][:parts]
    nodes = [node("Relu", "x", "a")]
    nodes += [node(text.split()[0], " ".join(text.split()[1:]), f"p{i}") for i, text in enumerate(part)]
    nodes += [
        node("Concat", " ".join(f"p{i}" for i in range(parts)), "j", axis=axis),
        node("Reshape", "j m", "r"),
        node("Transpose", "r", "t", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "t o", "s"),
        node("Split", "s", "u v", axis=1),
        node("Conv", "v w1", "y"),
        node("Add", "u y", "z"),
    ]
    half = whole // 2
    return model(
        nodes,
        (2, channels, *size),
        ["z", *outputs],
        w0=f(channels, channels, 1, 1),
        w1=f(half, half, 1, 1),
        m=np.array((2, groups, whole // groups, *size)),
        o=np.array((2, whole, *size)),
    )


@pytest.mark.parametrize(
    "kwargs", [{}, {"axis": -3}, {"size": (16, 16)}, {"size": (1, 1)}, {"parts": 3, "groups": 3, "channels": 2}]
)
def test_concatenation_that_interleaves(kwargs):
    graph = agree(joined(**kwargs))
    (made,) = (n for n in graph.nodes if n.op == "Concat")
    assert made["interleave"] and ops(graph)["ChannelShuffle"] == 0


@pytest.mark.parametrize("kwargs", [{"groups": 3}, {"parts": 3, "groups": 2, "channels": 2}, {"outputs": ("j",)}])
def test_concatenations_that_stay(kwargs):
    graph = agree(joined(**kwargs))
    (made,) = (n for n in graph.nodes if n.op == "Concat")
    assert not made["interleave"] and ops(graph)["ChannelShuffle"] == 1


# ---- no-ops --------------------------------------------------------------------------------------

RELU = node("Exp", "n")


@pytest.mark.parametrize(
    "nodes, opset, constants",
    [
        ([node("Identity", "x", "n")], 13, {}),
        ([node("Dropout", "x", "n")], 7, {}),
        ([node("Cast", "x", "n", to=1)], 13, {}),
        ([node("Reshape", "x s", "n")], 13, {"s": [2, -1, 3]}),
        ([node("Transpose", "x", "n", perm=[0, 1, 2])], 13, {}),
        ([node("Concat", "x", "n", axis=1)], 13, {}),
        ([node("Expand", "x s", "n")], 13, {"s": [1, 4, 1]}),
        ([node("Tile", "x s", "n")], 13, {"s": [1, 1, 1]}),
        ([node("Slice", "x a b", "n")], 13, {"a": [0], "b": [99]}),
        ([node("Pad", "x s", "n")], 13, {"s": [0] * 6}),
        ([node("Split", "x", "n", axis=0)], 13, {}),
        ([node("Squeeze", "x", "n")], 13, {}),
        ([node("Unsqueeze", "x s", "m"), node("Squeeze", "m s", "n")], 13, {"s": [1]}),
        ([node("Mul", "x s", "n")], 13, {"s": np.float32(1)}),
        ([node("Add", "s x", "n")], 13, {"s": np.float32([0])}),
        ([node("Sub", "x s", "n")], 13, {"s": np.float32(0)}),
        ([node("Div", "x s", "n")], 13, {"s": np.float32([[1]])}),
        ([node("Pow", "x s", "n")], 13, {"s": np.float32(1)}),
        ([node("Sum", "x", "n")], 13, {}),
    ],
)
def test_noops(nodes, opset, constants):
    graph = agree(model(nodes + [RELU], (2, 4, 3), opset=opset, **constants))
    assert ops(graph) == {"Unary": 1}


@pytest.mark.parametrize(
    "nodes, constants",
    [
        ([node("Slice", "x a b c d", "n")], {"a": [3], "b": [-9], "c": [1], "d": [-1]}),
        ([node("Pad", "x s", "n")], {"s": [0, 1, 0, 0, -1, 0]}),
        ([node("Add", "x s", "n")], {"s": np.zeros((1, 1, 1, 1), np.float32)}),
        ([node("Sub", "s x", "n")], {"s": np.float32(0)}),
        ([node("Div", "s x", "n")], {"s": np.float32(1)}),
        ([node("Transpose", "x", "n", perm=[1, 0, 2])], {}),
        ([node("Unsqueeze", "x s", "m"), node("Squeeze", "m t", "n")], {"s": [0], "t": [0, 1]}),
    ],
)
def test_what_only_looks_like_nothing(nodes, constants):
    shape = (1, 4, 2) if "t" in constants else (4, 4, 2)
    assert ops(agree(model(nodes + [RELU], shape, **constants))) != {"Unary": 1}


def test_graph_outputs_keep_their_names():
    nodes = [node("Abs", "x", "a"), node("Identity", "a", "b"), node("Reshape", "b s")]
    graph = agree(model(nodes, (2, 3), ["a", "b", "y"], s=[2, 3]))
    assert [v.name for v in graph.outputs] == ["a", "b", "y"]


def test_of_two_reshapes_one_stays():
    nodes = [node("Reshape", "x s", "a"), node("Flatten", "a", "b"), node("Reshape", "b t")]
    assert ops(agree(model(nodes, (2, 3, 4), s=[4, 6], t=[3, 8]))) == {"Reshape": 1}
    nodes = [node("Reshape", "x s", "a"), node("Reshape", "a t")]
    graph, _ = rewritten(model(nodes, (2, 3, 4), s=[3, 8], t=[0, 4, 2]), names=["remove_noops"])
    assert ops(graph) == {"Reshape": 2}


# ---- global pooling ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "axes, keepdims, expected",
    [
        ([2, 3], 1, {"GlobalAveragePool": 1}),
        ([-1, -2], 1, {"GlobalAveragePool": 1}),
        ([2, 3], 0, {"GlobalAveragePool": 1, "Squeeze": 1}),
        ([1, 2], 1, {"Reduce": 1}),
        ([3], 1, {"Reduce": 1}),
        ([1, 2, 3], 1, {"Reduce": 1}),
    ],
)
def test_global_average(axes, keepdims, expected):
    assert ops(agree(model([node("ReduceMean", "x", axes=axes, keepdims=keepdims)], (2, 3, 4, 5)))) == expected


def test_other_means_stay():
    assert ops(agree(model([node("ReduceMax", "x", axes=[2, 3])], (2, 3, 4, 5)))) == {"Reduce": 1}
    assert ops(agree(model([node("ReduceMean", "x", axes=[2, 3])], (2, 3, 4, 5, 6)))) == {"Reduce": 1}


@pytest.mark.parametrize("shape", [(2, 3, 0, 5), (2, 3, 4, 0)])
def test_the_mean_of_no_pixels_stays(shape):
    """GlobalAveragePool would refuse it."""
    graph, _ = rewritten(model([node("ReduceMean", "x", axes=[2, 3])], shape))
    assert ops(graph) == {"Reduce": 1}
    assert np.isnan(sr.Session(graph.to_bytes())(np.zeros(shape, np.float32))).all()


# ---- sizes in constants --------------------------------------------------------------------------


def at_other_sizes(nodes, x, literal, others, tolerance=1e-5, **constants):
    """The model converted for shape x must do at other shapes what `literal(shape)`, with the constants for that
    shape, does."""
    built = model(nodes, x, **constants, **literal(x))
    graph, outcome = rewritten(built)
    session = sr.Session(sr.convert(built).data)
    for shape in (x, *others):
        feeds = {"x": RNG.uniform(-1, 1, shape).astype(np.float32)}
        expected = reference(model(nodes, shape, **constants, **literal(shape)), feeds, optimized=False)
        assert_close(reference(to_onnx(graph), feeds), expected, tolerance)
        assert_close({"y": session.run(None, feeds)[0]}, expected, tolerance)
    return graph, outcome


CONV = node("Conv", "x w", "c")
OTHERS = [(3, 4, 5, 6), (1, 4, 9, 7), (2, 4, 16, 8)]


@pytest.mark.parametrize(
    "nodes, literal",
    [
        ([CONV, node("Reshape", "c s")], lambda x: {"s": [x[0], 4, x[2] * x[3]]}),
        ([CONV, node("Reshape", "c s")], lambda x: {"s": [x[0], 2, 2, x[2], x[3]]}),
        ([CONV, node("Reshape", "c s")], lambda x: {"s": [x[0], 2, 2 * x[2] * x[3]]}),
        (
            [CONV, node("Transpose", "c", "t", perm=NHWC), node("Reshape", "t s")],
            lambda x: {"s": [x[0], x[2] * x[3], 4]},
        ),
        (
            [CONV, node("Transpose", "c", "t", perm=NHWC), node("Reshape", "t s")],
            lambda x: {"s": [x[0], x[2] * x[3] * 2, 2]},
        ),
        ([CONV, node("Transpose", "c", "t", perm=NHWC), node("Reshape", "t s")], lambda x: {"s": [x[0], -1, 2]}),
        ([CONV, node("Reshape", "c s")], lambda x: {"s": [x[0], 1, 4, x[2], x[3]]}),
        ([node("GlobalAveragePool", "x", "c"), node("Reshape", "c s")], lambda x: {"s": [x[0], 4]}),
        ([node("GlobalAveragePool", "x", "c"), node("Reshape", "c s")], lambda x: {"s": [x[0], -1]}),
        (
            [node("GlobalAveragePool", "x", "c"), node("Flatten", "c", "d"), node("Reshape", "d s")],
            lambda x: {"s": [x[0], 4, 1, 1]},
        ),
        ([node("GlobalAveragePool", "x", "c"), node("Expand", "c s")], lambda x: {"s": [x[0], 4, 3, 2]}),
        (
            [
                CONV,
                node("Reshape", "c s", "d"),
                node("Transpose", "d", "e", perm=[0, 2, 1, 3, 4]),
                node("Reshape", "e t"),
            ],
            lambda x: {"s": [x[0], 2, 2, x[2], x[3]], "t": [x[0], 4, x[2], x[3]]},
        ),
    ],
)
def test_reshapes_follow_the_input(nodes, literal):
    _, outcome = at_other_sizes(nodes, (1, 4, 6, 5), literal, OTHERS, w=W1)
    assert outcome.free == {"batch": True, "planes": True}


@pytest.mark.parametrize("factor", [2, 3])
def test_sizes_of_resize_become_scales(factor):
    resize = helper.make_node("Resize", ["c", "", "", "s"], ["y"], mode="linear")
    literal = lambda x: {"s": [x[0], 4, x[2] * factor, x[3] * factor]}  # noqa: E731
    graph, _ = at_other_sizes([CONV, resize], (1, 4, 6, 5), literal, OTHERS, w=W1)
    assert graph.nodes[-1].input("sizes") is None


def test_sizes_that_are_no_multiple_stay():
    resize = helper.make_node("Resize", ["x", "", "", "s"], ["y"])
    graph = agree(model([resize], (1, 4, 6, 5), s=[1, 4, 9, 11]))
    assert graph.nodes[0].input("scales") is None


def test_a_model_of_one_size_keeps_its_constants():
    """Flattening into a fully connected layer fixes the planes; the batch stays free."""
    nodes = [CONV, node("Reshape", "c s", "d"), node("Gemm", "d v")]
    graph, outcome = rewritten(model(nodes, (1, 4, 6, 5), w=W1, v=f(120, 3), s=[1, 120]))
    assert outcome.free == {"batch": True, "planes": False}
    assert ops(graph) == {"Conv": 1, "Reshape": 1, "FullyConnected": 1}
    np.testing.assert_array_equal(graph.nodes[1].input("shape").const, [0, 120])


@pytest.mark.parametrize("target", [[0, 4, -1], [0, 2, 2, -1], [0, 0, -1]])
def test_targets_that_follow_already_stay(target):
    nodes = [node("Reshape", "x s", "a"), node("Sigmoid", "a")]
    graph, outcome = rewritten(model(nodes, (1, 4, 6, 5), s=target))
    np.testing.assert_array_equal(graph.nodes[0].input("shape").const, target)
    assert outcome.free == {"batch": True, "planes": True} and not outcome.counts["free_shapes"]


def test_spelled_out_depth_to_space_follows_the_input():
    """[2, 2] channels behind each pixel, and back: the larger part of a split is the one that varies."""
    nodes = [
        node("Reshape", "x s", "a"),
        node("Transpose", "a", "b", perm=[0, 1, 4, 2, 5, 3]),
        node("Reshape", "b t", "c"),
        node("Abs", "c", "d"),
        node("Reshape", "d u", "e"),
        node("Transpose", "e", perm=[0, 1, 3, 5, 2, 4]),
    ]
    literal = lambda x: {
        "s": [x[0], 1, 2, 2, x[2], x[3]],
        "t": [x[0], 1, 2 * x[2], 2 * x[3]],
        "u": [x[0], 1, x[2], 2, x[3], 2],
    }  # noqa: E731
    _, outcome = at_other_sizes(nodes, (1, 4, 6, 5), literal, OTHERS)
    assert outcome.free == {"batch": True, "planes": True}


def test_equal_parts_of_a_split_stay():
    """[4] as [2, 2]: nothing says which of them varies."""
    graph, outcome = rewritten(model([node("Reshape", "x s")], (1, 4, 4, 5), s=[1, 4, 2, 2, 5]))
    assert outcome.free == {"batch": True, "planes": False}


def test_free_dimensions_are_probed():
    built = model([CONV, node("Relu", "c", "d"), node("Add", "d x")], (1, 4, 6, 5), w=W1)
    dims = built.graph.input[0].type.tensor_type.shape.dim
    for i in (0, 2, 3):
        dims[i].dim_param = f"d{i}"
    graph, outcome = rewritten(built)
    assert outcome.free == {"batch": True, "planes": True} and ops(graph) == {"Conv": 1, "Binary": 1}
    feeds = {"x": RNG.uniform(-1, 1, (2, 4, 3, 9)).astype(np.float32)}
    session = sr.Session(sr.convert(built).data)
    assert_close({"y": session.run(None, feeds)[0]}, reference(built, feeds))


def test_free_dimensions_that_only_grow_together():
    """One name for two sizes, steps of x and sequences of h: a slice of the last step is not one of everything."""
    nodes = [
        node("Transpose", "x", "steps", perm=[1, 0, 2]),
        node("Concat", "h steps", "z", axis=0),
        node("Slice", "x start end axis", "last"),
        node("Relu", "last"),
    ]
    constants = {"start": np.array([-1]), "end": np.array([2**63 - 1]), "axis": np.array([1])}
    made = make_model(nodes, {"x": ("n", "t", 3), "h": (1, "t", 3)}, ["y", "z"], constants)
    x, h = f(2, 4, 3), f(1, 2, 3)
    y, z = sr.Session(sr.convert(made).data, input_shapes={"x": x.shape, "h": h.shape}).run(None, {"x": x, "h": h})
    np.testing.assert_array_equal(y, np.maximum(x[:, -1:], 0))
    np.testing.assert_array_equal(z, np.concatenate([h, x.transpose(1, 0, 2)]))


def test_without_a_size_that_fits_nothing_is_rewritten_and_said():
    built = model([CONV, node("Relu", "c", "d"), node("Add", "d k")], (1, 4, 6, 5), w=W1, k=f(1, 4, 123, 457))
    dims = built.graph.input[0].type.tensor_type.shape.dim
    dims[2].dim_param = dims[3].dim_param = "size"
    graph, outcome = rewritten(built)
    assert "give input_shapes" in outcome.note and ops(graph) == {"Conv": 1, "Unary": 1, "Binary": 1}
    graph, outcome = rewritten(built, input_shapes={"x": (1, 4, 123, 457)})
    assert not outcome.note and ops(graph) == {"Conv": 1, "Binary": 1}


def test_equal_shapes_have_to_be_equal_elsewhere_too():
    """A sum of [N, 4, 1, 1] and [N, 4, H, W] is no residual, although they meet at 1x1."""
    nodes = [CONV, node("GlobalAveragePool", "x", "g"), node("Add", "c g")]
    graph, _ = rewritten(model(nodes, (1, 4, 1, 1), w=W1))
    assert ops(graph) == {"Conv": 1, "GlobalAveragePool": 1, "Binary": 1}


# ---- free dimensions that are neither batches nor planes ------------------------------------------------------------


def _steps(dims, nodes, constants):
    model = make_model(nodes, {"x": dims}, ["y"], constants, 17)
    session = sr.Session(sr.convert(model).data, input_shapes={"x": (1, 1, 4)})
    for shape in ((1, 1, 4), (2, 7, 4), (3, 1, 4)):
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        np.testing.assert_array_equal(session.run(None, {"x": x})[0], reference(model, {"x": x}, optimized=False)["y"])


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dims", [("n", "t", 4), (None, None, 4)])
def test_the_last_step_of_a_free_dimension_is_cut_out(dims, axis):
    """Nothing at one batch of one step, which is what is tried first."""
    _steps(dims, [helper.make_node("Slice", ["x", "last", "end", "axis"], ["y"])],
           {"last": np.array([-1]), "end": np.array([2**63 - 1]), "axis": np.array([axis])})


@pytest.mark.parametrize("nodes, dims, shapes, constants", [
    ([node("Reshape", "x s")], ("n", "c", "h", "w"), [(5, 3, 4, 2), (1, 3, 4, 2)], {"s": [1, -1, 1]}),
    ([node("Reshape", "x s")], ("n", 3, "h", "w"), [(5, 3, 4, 2), (1, 3, 4, 2)], {"s": [1, -1, 3]}),
    ([helper.make_node("Resize", ["x", "", "", "s"], ["y"])], (1, 3, "h", "w"), [(1, 3, 100, 90)],
     {"s": [1, 3, 160, 160]}),
    ([helper.make_node("Resize", ["x", "", "", "s"], ["y"])], (1, 3, "h", "w"), [(1, 3, 100, 90)],
     {"s": [1, 3, 640, 320]}),
])
def test_targets_mean_what_they_say_where_the_model_leaves_sizes_free(nodes, dims, shapes, constants):
    """At the sizes tried, of one image of 320 x 320 pixels, they look like sizes that were exported."""
    made = make_model(nodes, {"x": dims}, ["y"], constants, 18)
    session = sr.Session(sr.convert(made).data)
    for shape in shapes:
        x = f(*shape)
        assert_close({"y": session.run(None, {"x": x})[0]}, reference(made, {"x": x}, optimized=False))


def test_sizes_of_one_name_are_one():
    """[1, batch, 8] beside [batch, time, 8]: both grow together."""
    nodes = [helper.make_node("Transpose", ["h"], ["t"], perm=[1, 0, 2]), helper.make_node("Add", ["x", "t"], ["s"]),
             helper.make_node("Slice", ["s", "zero", "one", "axis"], ["y"])]
    constants = {"zero": np.array([0]), "one": np.array([1]), "axis": np.array([1])}
    model = make_model(nodes, {"x": ("batch", "time", 8), "h": (1, "batch", 8)}, ["y"], constants, 17)
    graph = import_model(model)
    outcome = passes.optimize(graph)
    assert outcome.free == {"batch": True, "planes": True}
    assert {probe["h"][1] for probe in outcome.probes} == {probe["x"][0] for probe in outcome.probes} == {1, 3}
    assert {probe["h"][0] for probe in outcome.probes} == {1} and {probe["x"][1] for probe in outcome.probes} == {1, 65}
