"""Functions spelled out by several nodes: recognized in every spelling, left alone where something else is meant."""

import itertools
import math

import numpy as np
import pytest
from agree import agree, ops, rewritten
from conftest import make_model
from onnx import helper

X = (2, 3, 4, 5)
CONSTANTS = {
    name: np.float32(value)
    for name, value in {
        "zero": 0,
        "half": 0.5,
        "one": 1,
        "two": 2,
        "three": 3,
        "six": 6,
        "sixth": 1 / 6,
        "root2": math.sqrt(2),
        "rroot2": math.sqrt(0.5),
        "tenth": 0.1,
        "seven": 7,
        "minus": -3,
    }.items()
}


def spell(text, opset=13, constants=None, shape=X):
    """A model from lines "y = Op a b"; inputs x, result y. Constants above are known by name."""
    nodes = []
    for line in text.strip().splitlines():
        out, call = (part.strip() for part in line.split("="))
        op, *inputs = call.split()
        nodes.append(helper.make_node(op, ["" if i == "-" else i for i in inputs], [out], name=f"{op}.{len(nodes)}"))
    known = {**CONSTANTS, **(constants or {})}
    used = {i for n in nodes for i in n.input}
    return make_model(nodes, {"x": shape}, ["y"], {k: v for k, v in known.items() if k in used}, opset)


def only(model, fn, a=None, b=None):
    """Asserts that the model is one Unary with this function, and still means the same."""
    graph = agree(model)
    (node,) = graph.nodes
    assert (node.op, node["fn"]) == ("Unary", fn)
    if a is not None:
        assert (node["a"], node["b"]) == pytest.approx((a, b), rel=1e-6)


def swapped(text):
    """The text with the operands of every commutative operator in both orders."""
    lines = text.strip().splitlines()
    places = [k for k, line in enumerate(lines) if line.split("=")[1].split()[0] in ("Mul", "Add")]
    for choice in itertools.product((False, True), repeat=len(places)):
        new = list(lines)
        for k, turn in zip(places, choice):
            if turn:
                out, call = lines[k].split("=")
                op, a, b = call.split()
                new[k] = f"{out} = {op} {b} {a}"
        yield "\n".join(new)


def variants(*texts):
    return [t for text in texts for t in swapped(text)]


@pytest.mark.parametrize(
    "text",
    variants(
        "a = Add x three\nb = Clip a zero six\nc = Mul x b\ny = Div c six",
        "a = Add x three\nb = Clip a zero six\nc = Mul x b\ny = Mul c sixth",
        "a = Add x three\nb = Clip a zero six\nc = Div b six\ny = Mul x c",
        "a = Add x three\nb = Clip a zero six\nc = Mul b sixth\ny = Mul x c",
        "a = Div x six\nb = Add x three\nc = Clip b zero six\ny = Mul a c",
        "a = Mul x sixth\nb = Add a half\nc = Clip b zero one\ny = Mul x c",
        "a = Sub x minus\nb = Max a zero\nc = Min b six\nd = Mul x c\ny = Div d six",
    ),
)
def test_hard_swish(text):
    only(spell(text), "hard_swish", 1 / 6, 0.5)


def test_hard_swish_in_the_clip_of_opset_9():
    nodes = [
        helper.make_node("Add", ["x", "three"], ["a"]),
        helper.make_node("Clip", ["a"], ["b"], min=0.0, max=6.0),
        helper.make_node("Mul", ["x", "b"], ["c"]),
        helper.make_node("Div", ["c", "six"], ["y"]),
    ]
    only(make_model(nodes, {"x": X}, ["y"], {k: CONSTANTS[k] for k in ("three", "six")}, 9), "hard_swish", 1 / 6, 0.5)


@pytest.mark.parametrize("before", ["m = Mul x two\nv = Add m seven", "v = Add x seven"])
def test_hard_swish_of_an_affine_function(before):
    """As a learnable affine block of PP-LCNetV3 behind a layer, which folds it."""
    text = f"{before}\na = Add v three\nc = Clip a zero six\nm2 = Mul v c\ny = Div m2 six"
    last = agree(spell(text)).nodes[-1]
    assert (last.op, last["fn"], last["act"]) == ("Binary", "add", "hard_swish")


def test_hard_swish_that_a_folded_factor_reveals():
    """Mul tenth goes into the Conv, and v is that one's result then."""
    lines = ["v = Mul r tenth", "a = Add v three", "c = Clip a zero six", "m = Mul v c", "y = Div m six"]
    model = spell("\n".join(["r = Conv x w", *lines]), constants={"w": np.ones((3, 3, 1, 1), np.float32)})
    (conv,) = agree(model).nodes
    assert (conv.op, conv["act"]) == ("Conv", "hard_swish")


@pytest.mark.parametrize("alpha", [0.2, 1 / 6])
def test_hard_swish_from_hard_sigmoid(alpha):
    nodes = [
        helper.make_node("HardSigmoid", ["x"], ["g"], alpha=alpha, beta=0.5),
        helper.make_node("Mul", ["g", "x"], ["y"]),
    ]
    only(make_model(nodes, {"x": X}, ["y"]), "hard_swish", alpha, 0.5)


@pytest.mark.parametrize(
    "text",
    variants(
        "a = Add x three\nb = Clip a zero six\ny = Div b six",
        "a = Add x three\nb = Clip a zero six\ny = Mul b sixth",
        "a = Mul x sixth\nb = Add a half\ny = Clip b zero one",
    ),
)
def test_hard_sigmoid(text):
    only(spell(text), "hard_sigmoid", 1 / 6, 0.5)


@pytest.mark.parametrize("text", variants("g = Sigmoid x\ny = Mul x g"))
def test_silu(text):
    only(spell(text), "silu")


def test_softplus():
    only(spell("a = Exp x\nb = Add one a\ny = Log b"), "softplus")


@pytest.mark.parametrize(
    "text",
    variants("a = Softplus x\nb = Tanh a\ny = Mul x b", "a = Exp x\nb = Add a one\nc = Log b\nd = Tanh c\ny = Mul d x"),
)
def test_mish(text):
    only(spell(text), "mish")


@pytest.mark.parametrize(
    "text",
    variants(
        "a = Div x root2\nb = Erf a\nc = Add b one\nd = Mul x c\ny = Mul d half",
        "a = Mul x rroot2\nb = Erf a\nc = Add b one\nd = Mul x half\ny = Mul d c",
        "a = Div x root2\nb = Erf a\nc = Add b one\nd = Mul c half\ny = Mul x d",
        "a = Div x root2\nb = Erf a\nc = Add b one\nd = Mul x c\ny = Div d two",
    ),
)
def test_gelu(text):
    only(spell(text), "gelu")


@pytest.mark.parametrize(
    "text, low, high",
    [
        ("a = Max x zero\ny = Min a six", 0, 6),
        ("a = Min x six\ny = Max zero a", 0, 6),
        ("a = Relu x\ny = Clip a - six", 0, 6),
        ("a = Clip x zero six\ny = Relu a", 0, 6),
        ("a = Clip x zero six\ny = Clip a one seven", 1, 6),
        ("a = Clip x zero one\ny = Clip a two seven", 2, 2),
        ("y = Max x zero", 0, math.inf),
    ],
)
def test_clip(text, low, high):
    only(spell(text), "clip", low, high)


def test_leaky_relu():
    only(spell("a = Mul tenth x\ny = Max x a"), "leaky_relu", 0.1, 0.0)


# ---- things that look alike ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a = Add x two\nb = Clip a zero six\nc = Mul z b\ny = Div c six",  # another factor
        "a = Add x three\nb = Clip a zero six\nc = Mul x b\ny = Div c seven",  # another divisor
        "a = Add x three\nb = Clip a one six\nc = Mul x b\ny = Div c six",  # another lower bound
        "g = Sigmoid x\nh = Neg x\ny = Mul h g",
        "g = Sigmoid z\ny = Mul x g",
        "a = Div x two\nb = Erf a\nc = Add b one\nd = Mul x c\ny = Mul d half",
        "a = Exp x\nb = Add a two\ny = Log b",
        "a = Softplus z\nb = Tanh a\ny = Mul x b",
        "a = Mul two x\ny = Max x a",  # slope above one
        "a = Div six x\nb = Erf a\nc = Add b one\nd = Mul x c\ny = Mul d half",
    ],
)
def test_left_alone(text):
    z = np.random.default_rng(0).standard_normal(X).astype(np.float32)
    graph = agree(spell(text, constants={"z": z}), low=0.5)
    known = {"clip", "sigmoid", "hard_sigmoid", "erf", "neg", "exp", "log", "softplus", "tanh", "none"}
    assert {n["fn"] if n.op == "Unary" else n["act"] for n in graph.nodes if n.op in ("Unary", "Binary")} <= known


def test_numbers_that_add_axes_are_no_numbers():
    """A constant [1, 1, 1] makes [3] a [1, 1, 3]."""
    constants = {"three": np.full((1, 1, 1), 3, np.float32)}
    graph = agree(
        spell("a = Add x three\nb = Clip a zero six\nc = Mul x b\ny = Div c six", constants=constants, shape=(3,))
    )
    assert graph.outputs[0].shape == (1, 1, 3)
    assert all(n["fn"] != "hard_swish" for n in graph.nodes if n.op == "Unary")


def test_other_types_are_left_alone():
    nodes = [helper.make_node("Max", ["x", "c"], ["y"])]
    graph = agree(make_model(nodes, {"x": (np.dtype(np.int64), (4,))}, {"y": 7}, {"c": np.array(3)}, 13))
    assert ops(graph) == {"Binary": 1}


def test_intermediate_results_that_are_needed_stay():
    model = spell("g = Sigmoid x\ny = Mul x g")
    model.graph.output.append(helper.make_tensor_value_info("g", 1, None))
    graph = agree(model)
    assert sorted(n["fn"] for n in graph.nodes) == ["sigmoid", "silu"]


def test_only_named_passes_run():
    graph, outcome = rewritten(spell("g = Sigmoid x\ny = Mul x g"), names=["remove_noops"])
    assert ops(graph) == {"Unary": 1, "Binary": 1} and set(outcome.counts) == {"remove_noops"}


@pytest.mark.parametrize("text", ["a = Relu x\ny = Mul a x", "a = Relu x\ny = Mul x a", "a = Max x zero\ny = Mul a x"])
def test_a_clip_without_an_upper_bound_is_no_gate(text):
    """hard_swish has one; infinity is not close to 1."""
    assert ops(agree(spell(text)))["Binary"] == 1
