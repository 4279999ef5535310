"""What goes into Conv and FullyConnected: affine neighbours, residuals, activations, padding; and what must not."""

import math

import numpy as np
import pytest
from agree import agree, ops, rewritten
from conftest import make_model
from onnx import helper

RNG = np.random.default_rng(23)
X = (2, 4, 6, 5)


def f(*shape):
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def node(op, inputs, output="y", **attrs):
    return helper.make_node(op, inputs.split(), output.split(), name=f"{op}.{output}", **attrs)


def model(nodes, outputs=("y",), opset=13, x=X, inputs=None, **constants):
    used = {i for n in nodes for i in n.input}
    fed = {"x": x, **(inputs or {})}
    return make_model(nodes, fed, list(outputs), {k: v for k, v in constants.items() if k in used}, opset)


W, B = f(4, 4, 1, 1), f(4)
CONV = node("Conv", "x w", "c")
NORM = {"gamma": f(4), "beta": f(4), "mean": f(4), "var": np.abs(f(4)) + 0.1}
BN = node("BatchNormalization", "c gamma beta mean var", epsilon=1e-3)


# ---- batch norm and constants per channel --------------------------------------------------------


@pytest.mark.parametrize("opset", [7, 9, 14, 15])
@pytest.mark.parametrize(
    "conv, w",
    [
        (CONV, W),
        (node("Conv", "x w b", "c"), W),
        (node("Conv", "x w b", "c", pads=[1, 1, 1, 1], strides=[2, 2]), f(4, 4, 3, 3)),
        (node("Conv", "x w", "c", group=2), f(4, 2, 3, 3)),
        (node("Conv", "x w", "c", group=4), f(4, 1, 3, 3)),
    ],
)
def test_batch_norm_behind(conv, w, opset):
    assert ops(agree(model([conv, BN], opset=opset, w=w, b=B, **NORM))) == {"Conv": 1}


@pytest.mark.parametrize(
    "conv, w",
    [
        (node("Conv", "n w b"), f(6, 4, 3, 3)),
        (node("Conv", "n w", group=2), f(6, 2, 1, 1)),
        (node("Conv", "n w b", auto_pad="VALID"), f(6, 4, 2, 2)),
    ],
)
def test_batch_norm_before(conv, w):
    norm = node("BatchNormalization", "x gamma beta mean var", "n")
    assert ops(agree(model([norm, conv], w=w, b=f(6), **NORM))) == {"Conv": 1}


@pytest.mark.parametrize("attrs", [{"pads": [0, 0, 0, 1]}, {"auto_pad": "SAME_UPPER"}])
def test_batch_norm_before_padding_stays(attrs):
    norm = node("BatchNormalization", "x gamma beta mean var", "n")
    graph = agree(model([norm, node("Conv", "n w", **attrs)], w=f(6, 4, 3, 3), **NORM))
    assert ops(graph) == {"BatchNormalization": 1, "Conv": 1}


def test_factors_go_through_padding():
    graph = agree(
        model([node("Mul", "x s", "n"), node("Conv", "n w", pads=[1, 1, 1, 1])], w=f(6, 4, 3, 3), s=f(4, 1, 1))
    )
    assert ops(graph) == {"Conv": 1}


@pytest.mark.parametrize("s", [f(4, 1, 1) + 2, f(1, 4, 1, 1) + 2, np.float32(0.7)])
@pytest.mark.parametrize("d", [f(4, 1, 1), np.float32(-0.4)])
@pytest.mark.parametrize("factor, order", [("Mul", "x s"), ("Mul", "s x"), ("Div", "x s")])
@pytest.mark.parametrize("summand", ["Add", "Sub"])
def test_factors_before_sums_go_through_padding(s, d, factor, order, summand):
    nodes = [node(factor, order, "a"), node(summand, "a d", "n"), node("Conv", "n w", pads=[1, 1, 1, 1])]
    graph = agree(model(nodes, w=f(6, 4, 3, 3), s=s, d=d))
    assert ops(graph) == {"Conv": 1, "Binary": 1}
    assert graph.nodes[0]["fn"] == "add"


@pytest.mark.parametrize(
    "nodes, binaries",
    [
        ("Mul x s a; Sub d a n", 2),  # - a + d
        ("Div s x a; Add a d n", 2),
        ("Mul x zero a; Add a d n", 2),  # there is no d / 0
        ("Mul x tiny a; Add a d n", 2),  # nor a d / 1e-39
        ("Mul x s a; Add a d n; Add a d n2", 2),  # two readers
        ("Add x d a; Mul a s n", 1),
    ],
)
def test_factors_that_stay_before_sums(nodes, binaries):
    made = [node(op, " ".join(inputs), out) for op, *inputs, out in (n.split() for n in nodes.split("; "))]
    last = "n2" if made[-1].output[0] == "n2" else None
    constants = {"s": f(4, 1, 1) + 2, "d": f(4, 1, 1) + 2, "zero": np.float32(0), "tiny": np.float32(1e-39)}
    outputs = ("y", last) if last else ("y",)
    graph = agree(
        model([*made, node("Conv", "n w", pads=[1, 1, 1, 1])], outputs, w=f(6, 4, 3, 3), **constants), low=1, high=2
    )
    assert ops(graph)["Binary"] == binaries + (last is not None)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize("behind", ["Mul q s y", "Add q t z; Mul z s n; Relu n y", "Relu q y"])
def test_through_depth_to_space(mode, behind):
    """As behind a ConvTranspose, which becomes a Conv and a DepthToSpace."""
    made = [node(op, " ".join(inputs), out) for op, *inputs, out in (n.split() for n in behind.split("; "))]
    nodes = [node("Conv", "x w b", "c"), node("DepthToSpace", "c", "q", blocksize=2, mode=mode), *made]
    graph = agree(model(nodes, w=f(12, 4, 1, 1), b=f(12), s=f(3, 1, 1), t=f(1, 3, 1, 1)))
    assert ops(graph) == {"Conv": 1, "DepthToSpace": 1}


def test_batch_norm_behind_a_transposed_convolution():
    nodes = [node("ConvTranspose", "x w", "c", strides=[2, 2]), BN, node("Relu", "y", "z")]
    graph = agree(model(nodes, ("z",), w=f(4, 4, 2, 2), **NORM))
    assert ops(graph) == {"Conv": 1, "DepthToSpace": 1}


@pytest.mark.parametrize("s", [f(4, 1, 1), f(1, 4, 1, 1), np.float32(0.7), f(1), f(1, 1, 1, 1)])
@pytest.mark.parametrize(
    "op, order", [("Mul", "c s"), ("Mul", "s c"), ("Add", "s c"), ("Sub", "c s"), ("Sub", "s c"), ("Div", "c s")]
)
def test_constants_per_channel(op, order, s):
    assert ops(agree(model([CONV, node(op, order)], w=W, s=s))) == {"Conv": 1}


@pytest.mark.parametrize("s", [f(5), f(6, 1), f(1, 4, 6, 1), f(2, 4, 1, 1), f(1, 1, 4, 1, 1)])
def test_other_constants_stay(s):
    graph = agree(
        model([CONV, node("Mul", "c s")], w=W, s=s)
        if s.shape != (1, 1, 4, 1, 1)
        else model([CONV, node("Mul", "c s")], w=W, s=s)
    )
    assert ops(graph) == {"Conv": 1, "Binary": 1}


def test_constants_that_widen_the_channels_stay():
    """One channel times four makes four."""
    graph = agree(model([CONV, node("Mul", "c s")], w=f(1, 4, 1, 1), s=f(4, 1, 1)))
    assert ops(graph) == {"Conv": 1, "Binary": 1}
    graph = agree(model([node("Mul", "x s", "n"), node("Conv", "n w")], x=(2, 1, 3, 3), w=W, s=f(4, 1, 1)))
    assert ops(graph) == {"Conv": 1, "Binary": 1}


def test_number_divided_by_a_result_stays():
    assert ops(agree(model([CONV, node("Div", "s c")], w=W, s=np.float32(2)), low=1, high=2)) == {
        "Conv": 1,
        "Binary": 1,
    }


def test_chains_are_folded_to_the_end():
    nodes = [node("Mul", "x s", "a"), node("Conv", "a w", "c"), BN, node("Add", "y t", "z"), node("Mul", "z s", "q")]
    assert ops(agree(model(nodes, ["q"], w=W, s=f(4, 1, 1), t=f(4, 1, 1), **NORM))) == {"Conv": 1}


def test_weights_are_rounded_once():
    """However many constants are folded into them, they are float64's nearest."""
    w, factors, shifts = f(4, 4, 3, 3), [f(4, 1, 1) for _ in range(5)], [f(4, 1, 1) for _ in range(4)]
    nodes, name = [node("Mul", "x s4", "n"), node("Conv", "n w", "c0")], "c0"
    for i, (factor, shift) in enumerate(zip(factors, shifts)):
        nodes += [node("Mul", f"{name} s{i}", f"a{i}"), node("Add", f"a{i} t{i}", f"c{i + 1}")]
        name = f"c{i + 1}"
    constants = {f"s{i}": v for i, v in enumerate(factors)} | {f"t{i}": v for i, v in enumerate(shifts)}
    graph = agree(model(nodes, [name], w=w, **constants))
    weight, bias = w.astype(np.float64) * factors[4].astype(np.float64)[:, 0, 0][:, None, None], np.zeros((4, 1, 1))
    for factor, shift in zip(factors, shifts):
        weight, bias = weight * factor.astype(np.float64)[:, None], bias * factor.astype(np.float64) + shift
    (layer,) = graph.nodes
    np.testing.assert_array_equal(layer.input("W").const, weight.astype(np.float32))
    np.testing.assert_array_equal(layer.input("B").const, bias.astype(np.float32).ravel())


def test_results_with_two_readers_are_not_folded():
    graph = agree(model([CONV, BN, node("Abs", "c", "z")], ["y", "z"], w=W, **NORM))
    assert ops(graph) == {"Conv": 1, "BatchNormalization": 1, "Unary": 1}
    graph = agree(model([CONV, BN], ["y", "c"], w=W, **NORM))
    assert ops(graph) == {"Conv": 1, "BatchNormalization": 1}


def test_infinite_factors_are_not_folded():
    norm = {**NORM, "var": np.float32([1, 0, 1, 1])}
    bn = node("BatchNormalization", "c gamma beta mean var", epsilon=0.0)
    graph, _ = rewritten(model([CONV, bn], w=W, **norm))
    assert ops(graph) == {"Conv": 1, "BatchNormalization": 1}


def test_shared_weights_are_folded_apart():
    nodes = [node("Conv", "x w", "c"), BN, node("Conv", "x w", "z")]
    assert ops(agree(model(nodes, ["y", "z"], w=W, **NORM))) == {"Conv": 2}


def test_zeros_stay_zeros():
    w = W * (RNG.random(W.shape) < 0.3)
    graph = agree(model([node("Mul", "x s", "a"), node("Conv", "a w b", "c"), BN], w=w, b=B, s=f(4, 1, 1), **NORM))
    np.testing.assert_array_equal(graph.nodes[0].input("W").const == 0, w == 0)


def test_fully_connected():
    nodes = [node("MatMul", "x w", "a"), node("Add", "a b", "c"), node("Mul", "c s", "d"), node("Relu", "d")]
    assert ops(agree(model(nodes, x=(2, 3, 6), w=f(6, 5), b=f(5), s=f(1, 5)))) == {"FullyConnected": 1}
    graph = agree(model([node("Gemm", "x w", "c"), BN], x=(3, 6), w=f(6, 4), **NORM))
    assert ops(graph) == {"FullyConnected": 1}
    # axis 1 is not the last
    graph = agree(model([node("MatMul", "x w", "c"), BN], x=(2, 4, 6), w=f(6, 4), **NORM))
    assert ops(graph) == {"FullyConnected": 1, "BatchNormalization": 1}
    graph = agree(model([node("MatMul", "x w", "c"), node("Add", "c b")], x=(2, 5, 6), w=f(6, 5), b=f(5, 1)))
    assert ops(graph) == {"FullyConnected": 1, "Binary": 1}


# ---- activations ---------------------------------------------------------------------------------


ACTIVATIONS = [
    ("Relu", {}, "clip"),
    ("LeakyRelu", {"alpha": 0.2}, "leaky_relu"),
    ("Sigmoid", {}, "sigmoid"),
    ("HardSigmoid", {}, "hard_sigmoid"),
    ("Tanh", {}, "tanh"),
    ("Elu", {"alpha": 0.5}, "elu"),
    ("HardSwish", {}, "hard_swish"),
    ("Softplus", {}, "softplus"),
]


@pytest.mark.parametrize("op, attrs, fn", ACTIVATIONS)
def test_activation(op, attrs, fn):
    opset = 14 if op == "HardSwish" else 13
    for nodes, x, w, layer in (
        ([CONV], X, W, "Conv"),
        ([node("MatMul", "x w", "c")], (3, 4), f(4, 5), "FullyConnected"),
        ([node("Add", "x x", "c")], X, W, "Binary"),
    ):
        (made,) = agree(model(nodes + [node(op, "c", **attrs)], x=x, w=w, opset=opset)).nodes
        assert (made.op, made["act"]) == (layer, fn)


def test_clip_activation_keeps_its_bounds():
    (made,) = agree(model([CONV, node("Clip", "c low high")], w=W, low=np.float32(-0.5), high=np.float32(0.25))).nodes
    assert (made["act"], made["act_a"], made["act_b"]) == ("clip", -0.5, 0.25)


@pytest.mark.parametrize("slope", [f(4, 1, 1), f(1, 4, 1, 1)])
def test_prelu(slope):
    (made,) = agree(model([CONV, node("PRelu", "c s")], w=W, s=slope)).nodes
    assert made["act"] == "prelu" and made.input("slope").const.shape == (4,)


def test_prelu_of_fully_connected():
    (made,) = agree(model([node("MatMul", "x w", "c"), node("PRelu", "c s")], x=(3, 4), w=f(4, 5), s=f(5))).nodes
    assert made["act"] == "prelu"
    graph = agree(model([node("MatMul", "x w", "c"), node("PRelu", "c s")], x=(3, 4, 4), w=f(4, 5), s=f(4, 1)))
    assert ops(graph) == {"FullyConnected": 1, "Unary": 1}


def test_second_activation_stays():
    assert ops(agree(model([CONV, node("Tanh", "c", "d"), node("Sigmoid", "d")], w=W))) == {"Conv": 1, "Unary": 1}


def test_activation_of_a_result_with_two_readers_stays():
    assert ops(agree(model([CONV, node("Relu", "c"), node("Exp", "c", "z")], ["y", "z"], w=W))) == {
        "Conv": 1,
        "Unary": 2,
    }
    assert ops(agree(model([CONV, node("Relu", "c")], ["y", "c"], w=W))) == {"Conv": 1, "Unary": 1}


def test_activation_behind_reshapes():
    nodes = [CONV, node("Transpose", "c", "t", perm=[0, 2, 3, 1]), node("Reshape", "t s", "r"), node("Sigmoid", "r")]
    graph = agree(model(nodes, w=W, s=np.array([2, -1, 4])))
    assert ops(graph) == {"Conv": 1, "Transpose": 1, "Reshape": 1} and graph.nodes[0]["act"] == "sigmoid"
    nodes = [CONV, node("Transpose", "c", "t", perm=[0, 2, 3, 1]), node("PRelu", "t s")]
    assert ops(agree(model(nodes, w=W, s=f(6, 1, 1)))) == {"Conv": 1, "Transpose": 1, "Unary": 1}


def test_reading_the_shape_does_not_matter():
    nodes = [CONV, node("Shape", "c", "s"), node("Relu", "c", "r"), node("Reshape", "r s")]
    assert ops(agree(model(nodes, w=W)))["Unary"] == 0


# ---- residuals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["c x", "x c"])
@pytest.mark.parametrize("act", [[], [node("Relu", "y", "z")]])
def test_residual(order, act):
    (made,) = agree(model([CONV, node("Add", order)] + act, ["z" if act else "y"], w=W)).nodes
    assert made.input("Z").name == "x" and made["act"] == ("clip" if act else "none")


def test_residual_of_fully_connected():
    (made,) = agree(model([node("Gemm", "x w b", "c"), node("Add", "c x")], x=(3, 4), w=f(4, 4), b=B)).nodes
    assert made.op == "FullyConnected" and made.input("Z").name == "x"


def test_the_later_convolution_takes_the_residual():
    nodes = [node("Conv", "x w", "a"), node("Conv", "x v", "b"), node("Add", "a b")]
    graph = agree(model(nodes, w=W, v=f(4, 4, 1, 1)))
    assert ops(graph) == {"Conv": 2} and graph.nodes[1].input("Z") is graph.nodes[0].output


def test_the_other_operand_may_be_made_later():
    nodes = [CONV, node("Abs", "x", "d"), node("Exp", "d", "e"), node("Add", "c e")]
    graph = agree(model(nodes, w=W))
    assert ops(graph) == {"Conv": 1, "Unary": 2} and graph.nodes[-1].op == "Conv"


def test_activation_before_the_sum_keeps_them_apart():
    graph = agree(model([CONV, node("Relu", "c", "r"), node("Add", "r x")], w=W))
    assert ops(graph) == {"Conv": 1, "Binary": 1}


@pytest.mark.parametrize("z", [(2, 4, 1, 1), (1, 4, 6, 5), (4, 6, 5), (6, 5), (3, 2, 4, 6, 5)])
def test_broadcast_sums_stay(z):
    graph = agree(model([CONV, node("Add", "c z")], w=W, inputs={"z": z}))
    assert ops(graph) == {"Conv": 1, "Binary": 1}


def test_sum_with_itself_stays():
    assert ops(agree(model([CONV, node("Add", "c c")], w=W))) == {"Conv": 1, "Binary": 1}


def test_differences_stay():
    assert ops(agree(model([CONV, node("Sub", "c x")], w=W))) == {"Conv": 1, "Binary": 1}


def test_two_sums():
    """A layer takes one residual; the other stays a sum."""
    graph = agree(model([CONV, node("Add", "c x", "a"), node("Add", "a q")], w=W, inputs={"q": X}))
    assert ops(graph) == {"Conv": 1, "Binary": 1}


# ---- padding -------------------------------------------------------------------------------------


def padded(pads, layer, opset=13, value=None, mode="constant", **constants):
    names = "x pads value" if value is not None else "x pads"
    return model(
        [node("Pad", names, "p", mode=mode), layer],
        opset=opset,
        pads=np.array(pads),
        value=np.float32(value or 0),
        **constants,
    )


PADS = [0, 0, 1, 0, 0, 0, 2, 1]


@pytest.mark.parametrize("attrs", [{}, {"pads": [1, 0, 0, 2]}, {"auto_pad": "VALID", "strides": [2, 1]}])
def test_pad_into_convolution(attrs):
    graph = agree(padded(PADS, node("Conv", "p w", **attrs), w=f(3, 4, 3, 3)))
    assert ops(graph) == {"Conv": 1}


def test_pad_of_opset_9():
    nodes = [node("Pad", "x", "p", pads=PADS), node("Conv", "p w")]
    assert ops(agree(model(nodes, opset=9, w=f(3, 4, 3, 3)))) == {"Conv": 1}


@pytest.mark.parametrize(
    "pads, value, mode, attrs",
    [
        (PADS, 1.0, "constant", {}),
        (PADS, None, "reflect", {}),
        (PADS, None, "edge", {}),
        ([0, 1, 0, 0, 0, 0, 0, 0], None, "constant", {}),
        ([0, 0, -1, 0, 0, 0, 0, 0], None, "constant", {}),
        (PADS, None, "constant", {"auto_pad": "SAME_UPPER"}),
    ],
)
def test_pads_that_stay(pads, value, mode, attrs):
    w = f(3, 5 if pads[1] else 4, 3, 3)
    graph = agree(padded(pads, node("Conv", "p w", **attrs), value=value, mode=mode, w=w))
    assert ops(graph) == {"Pad": 1, "Conv": 1}


def test_pad_with_two_readers_stays():
    nodes = [node("Pad", "x pads", "p"), node("Conv", "p w"), node("Abs", "p", "z")]
    assert ops(agree(model(nodes, ["y", "z"], pads=np.array(PADS), w=f(3, 4, 3, 3))))["Pad"] == 1


@pytest.mark.parametrize(
    "attrs, folded",
    [
        ({}, True),
        ({"count_include_pad": 1}, True),
        ({"count_include_pad": 1, "pads": [1, 1, 0, 0]}, True),
        ({"pads": [1, 1, 0, 0]}, False),
        ({"ceil_mode": 1, "strides": [2, 2]}, False),
    ],
)
def test_pad_into_average(attrs, folded):
    graph = agree(padded(PADS, node("AveragePool", "p", kernel_shape=[4, 3], **attrs)))
    assert ops(graph) == ({"AveragePool": 1} if folded else {"Pad": 1, "AveragePool": 1})


@pytest.mark.parametrize("value, folded", [(-math.inf, True), (-3.4028235e38, True), (0.0, False), (-5.0, False)])
def test_pad_into_max(value, folded):
    graph = agree(padded(PADS, node("MaxPool", "p", kernel_shape=[3, 3]), value=value))
    assert ops(graph) == ({"MaxPool": 1} if folded else {"Pad": 1, "MaxPool": 1})


def test_pad_with_zeros_into_max_of_what_is_not_negative():
    pool = node("MaxPool", "p", kernel_shape=[3, 3])
    pads = np.array(PADS)
    graph = agree(model([CONV, node("Relu", "c", "r"), node("Pad", "r pads", "p"), pool], w=W, pads=pads))
    assert ops(graph) == {"Conv": 1, "MaxPool": 1}
    graph = agree(model([CONV, node("Elu", "c", "r"), node("Pad", "r pads", "p"), pool], w=W, pads=pads))
    assert ops(graph) == {"Conv": 1, "Pad": 1, "MaxPool": 1}


def test_pads_as_wide_as_the_window_stay():
    graph = agree(
        padded([0, 0, 2, 0, 0, 0, 0, 0], node("MaxPool", "p", kernel_shape=[2, 2]), value=-math.inf), tolerance=1e-5
    )
    assert ops(graph) == {"Pad": 1, "MaxPool": 1}
