"""Convolutions that run fused, stripe by stripe, against onnxruntime and against themselves on other threads."""

import numpy as np
import pytest
from conftest import make_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper
from oracle import error, reference
from random_graphs import LARGE, STRIPED, blocks

import sparse_runtime as sr


def network(layers, channels, residual=False, seed=0):
    """A chain of (kind, out channels, kernel, stride, activation); the residual adds the input to the last layer's
    output."""
    rng = np.random.default_rng(seed)
    nodes, constants, name, ic = [], {}, "x", channels
    for i, (kind, oc, kernel, stride, act) in enumerate(layers):
        oc = ic if kind == "dw" else oc
        each = 1 if kind == "dw" else ic
        weight = rng.standard_normal((oc, each, kernel, kernel)) / np.sqrt(each * kernel**2)
        if kind == "pw":
            weight[rng.random(weight.shape) < 0.8] = 0
        constants[f"w{i}"], constants[f"b{i}"] = weight.astype(np.float32), rng.standard_normal(oc).astype(np.float32)
        nodes.append(helper.make_node("Conv", [name, f"w{i}", f"b{i}"], [f"c{i}"], name=f"layer{i}",
                                      group=ic if kind == "dw" else 1,
                                      kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4))
        name, ic = f"c{i}", oc
        if act:
            nodes.append(helper.make_node(act, [name], [f"a{i}"]))
            name = f"a{i}"
    if residual:
        nodes.append(helper.make_node("Add", [name, "x"], ["sum"]))
        name = "sum"
    nodes.append(helper.make_node("Identity", [name], ["y"]))
    return nodes, constants


CHAINS = {
    "separable": ([("dw", 0, 3, 1, "Relu"), ("pw", 96, 1, 1, "Relu")], 160, False),
    "strided": ([("dw", 0, 3, 2, None), ("pw", 64, 1, 1, None)], 512, False),
    "inverted": ([("pw", 192, 1, 1, "Relu"), ("dw", 0, 3, 1, "HardSwish"), ("pw", 32, 1, 1, None)], 32, False),
    "inverted_strided": ([("pw", 160, 1, 1, "Relu"), ("dw", 0, 5, 2, "Relu"), ("pw", 48, 1, 1, None)], 24, False),
    "residual": ([("pw", 192, 1, 1, "Relu"), ("dw", 0, 3, 1, "Relu"), ("pw", 32, 1, 1, None)], 32, True),
    "sigmoid": ([("pw", 96, 1, 1, "Sigmoid"), ("dw", 0, 5, 1, "Sigmoid"), ("pw", 32, 1, 1, "Sigmoid")], 32, False),
    "stem": ([("conv", 160, 3, 1, "Relu"), ("dw", 0, 3, 1, "Relu"), ("pw", 24, 1, 1, None)], 3, False),
    "two_separables": ([("dw", 0, 3, 1, "Relu"), ("pw", 84, 1, 1, "Relu"), ("dw", 0, 5, 2, None),
                        ("pw", 40, 1, 1, "Relu")], 84, False),
    "five": (
        [("conv", 16, 3, 1, "Relu"), ("dw", 0, 3, 1, "Relu"), ("pw", 96, 1, 1, "Relu"), ("dw", 0, 3, 2, "HardSwish"),
         ("pw", 40, 1, 1, None)],
        3, False),
    "ends_depthwise": ([("pw", 192, 1, 1, "Relu"), ("dw", 0, 3, 1, "Relu")], 16, False),
}


SIDE = 72 if LARGE < 1_000_000 else 160
SIZES = [(SIDE, SIDE), (SIDE * 8 // 9, SIDE * 10 // 9), (SIDE + 3, SIDE - 11)]

# Few enough channels for the caches of small cores, enough rows for all: every CPU fuses as much as it may.
NARROW = [("pw", 32, 1, 1, "Relu"), ("dw", 0, 3, 1, "Relu"), ("pw", 8, 1, 1, None)]
NARROW_INPUT = (1, 8, 128 * SIDE // 72, 128 * SIDE // 72)


def fused(session):
    return [layer.name for layer in session.explain() if "fused" in layer.reason]


@pytest.mark.parametrize("isa", [None, "ref"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CHAINS)
def test_chain(name, size, isa):
    layers, channels, residual = CHAINS[name]
    nodes, constants = network(layers, channels, residual)
    shape = (1, channels, *size)
    model = make_model(nodes, {"x": shape}, ["y"], constants)
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    expected = reference(model, {"x": x})["y"]
    data = sr.convert(model).data
    first = None
    for threads in (1, 2, 3):
        session = sr.Session(data, threads=threads, isa=isa)
        y = session(x)
        assert error(y, expected) < 2e-6
        first = y if first is None else first
        np.testing.assert_array_equal(y, first)
        np.testing.assert_array_equal(session(x), first)  # nothing left over from the run before
        if size == SIZES[0] and threads == 1 and isa is None and "avx2" in sr._core.cpu_features():
            assert fused(session) == [f"layer{i}" for i in range(len(layers))]


def test_narrow_chain_is_fused_everywhere():
    nodes, constants = network(NARROW, 8)
    model = make_model(nodes, {"x": NARROW_INPUT}, ["y"], constants)
    x = np.random.default_rng(1).standard_normal(NARROW_INPUT).astype(np.float32)
    session = sr.Session(model)
    assert error(session(x), reference(model, {"x": x})["y"]) < 2e-6
    assert fused(session) == ["layer0", "layer1", "layer2"]


def test_batch():
    nodes, constants = network(NARROW, 8, True)
    model = make_model(nodes, {"x": NARROW_INPUT}, ["y"], constants)
    session = sr.Session(model, threads=2)
    x = np.random.default_rng(1).standard_normal((3, *NARROW_INPUT[1:])).astype(np.float32)
    together = session(x)
    assert len(fused(session)) == 3
    for i in range(3):
        np.testing.assert_array_equal(session(x[i:i + 1])[0], together[i])


def test_not_fused_where_others_read_between():
    """A tensor with a second reader, or that is an output, must exist."""
    nodes, constants = network(NARROW, 8)
    for extra, outputs in (([helper.make_node("Neg", ["a0"], ["n"])], ["y", "n"]), ([], ["y", "a1"])):
        model = make_model(nodes + extra, {"x": NARROW_INPUT}, outputs, constants)
        session = sr.Session(model)
        x = np.random.default_rng(1).standard_normal(NARROW_INPUT).astype(np.float32)
        expected = reference(model, {"x": x})
        assert len(fused(session)) == 2
        for name, y in zip(outputs, session.run(None, {"x": x})):
            assert error(y, expected[name]) < 2e-6


def test_profile_tells_of_every_member():
    nodes, constants = network(CHAINS["inverted"][0], 32)
    session = sr.Session(make_model(nodes, {"x": (1, 32, SIDE, SIDE)}, ["y"], constants), profile=True)
    session(np.zeros((1, 32, SIDE, SIDE), np.float32))
    assert [layer.name for layer in session.profile()] == ["layer0", "layer1", "layer2"]
    assert all(layer.ns > 0 for layer in session.profile())


FUSED = []  # layers that ran fused, by random block


@pytest.mark.slow  # emulated, the tensors that are large enough take too long
@pytest.mark.parametrize("isa, least", STRIPED)
def test_random_blocks(isa, least):
    """Any geometry, against onnxruntime, on one, two and three threads the same bit for bit, and again after other
    inputs."""
    @settings(max_examples=40, deadline=None, derandomize=True,
              suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(st.data())
    def check(data):
        graph = data.draw(blocks(least))
        model, feeds = graph.model(), graph.feeds()
        expected = list(reference(model, feeds, optimized=False).values())
        file, first = sr.convert(model).data, None
        for threads in (1, 2, 3):
            session = sr.Session(file, threads=threads, isa=isa)
            session.run(None, graph.feeds(1))
            outputs = session.run(None, feeds)
            if threads == 1:
                FUSED.append(len(fused(session)))
            first = first or outputs
            for y, want, same in zip(outputs, expected, first):
                assert error(y, want) < 1e-5
                np.testing.assert_array_equal(y, same)

    check()


@pytest.mark.slow
def test_random_blocks_were_fused():
    if not FUSED:
        pytest.skip("test_random_blocks has not run")
    assert sum(count > 1 for count in FUSED) > len(FUSED) / 4
