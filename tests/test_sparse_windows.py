"""Sparse convolutions of any window, which run unrolled to planes, against onnxruntime and against themselves on other
threads."""

import re

import numpy as np
import pytest
from conftest import make_model
from onnx import helper
from oracle import error, reference

import sparse_runtime as sr

# input, output channels, kernel, and Conv's attributes
WINDOWS = {
    "same": ((1, 16, 20, 20), 24, (3, 3), {"pads": [1, 1, 1, 1]}),
    "one_stripe": ((1, 40, 7, 7), 33, (3, 3), {"pads": [1, 1, 1, 1]}),
    "many_stripes": ((1, 64, 61, 59), 16, (3, 3), {"pads": [1, 1, 1, 1]}),
    "large": ((1, 12, 33, 18), 9, (5, 5), {"pads": [2, 2, 2, 2]}),
    "valid": ((1, 16, 19, 23), 8, (3, 3), {}),
    "strided": ((1, 24, 56, 56), 40, (3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    "strides_differ": ((1, 8, 31, 40), 8, (5, 3), {"pads": [2, 0, 1, 3], "strides": [3, 1]}),
    "dilated": ((1, 8, 40, 21), 12, (3, 3), {"pads": [2, 2, 2, 2], "dilations": [2, 2]}),
    "dilations_differ": ((1, 8, 30, 30), 12, (3, 2), {"pads": [3, 1, 3, 1], "dilations": [3, 2]}),
    "lopsided": ((1, 6, 17, 30), 10, (3, 3), {"pads": [0, 2, 2, 0]}),
    "padded_pointwise": ((1, 20, 11, 13), 14, (1, 1), {"pads": [1, 2, 1, 2]}),
    "row": ((1, 16, 9, 50), 16, (1, 7), {"pads": [0, 3, 0, 3]}),
    "column": ((1, 16, 50, 9), 16, (7, 1), {"pads": [3, 0, 3, 0]}),
    "mostly_padding": ((1, 4, 2, 3), 6, (5, 5), {"pads": [4, 4, 4, 4]}),
    "resnet": ((1, 128, 28, 28), 128, (3, 3), {"pads": [1, 1, 1, 1]}),
    "grouped": ((1, 24, 17, 15), 12, (3, 3), {"pads": [1, 1, 1, 1], "group": 4}),
    "grouped_pointwise": ((2, 36, 14, 14), 45, (1, 1), {"group": 3}),
    "grouped_strided": ((1, 32, 28, 28), 48, (3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2], "group": 2}),
    "pixel": ((1, 16, 5, 4), 33, (5, 4), {}),
    "pixel_strided": ((2, 3, 2, 2), 16, (3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    "batch": ((3, 16, 28, 28), 16, (3, 3), {"pads": [1, 1, 1, 1]}),
}


def network(name, sparsity=0.9, block=1, act=None, residual=False):
    shape, oc, kernel, attributes = WINDOWS[name]
    rng = np.random.default_rng(len(name))
    weight = rng.standard_normal((oc, shape[1] // attributes.get("group", 1), *kernel)).astype(np.float32)
    zero = rng.random((-(-oc // block), *weight.shape[1:])) < sparsity
    weight[np.repeat(zero, block, 0)[:oc]] = 0
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], name="layer", kernel_shape=kernel, **attributes)]
    top = "c"
    if residual:
        nodes.append(helper.make_node("Add", [top, "x"], ["sum"]))
        top = "sum"
    nodes.append(helper.make_node(act or "Identity", [top], ["y"]))
    bias = rng.standard_normal(oc).astype(np.float32)
    return make_model(nodes, {"x": shape}, ["y"], {"w": weight,
                                                   "b": bias}), rng.standard_normal(shape).astype(np.float32)


def layer(session):
    return next(found for found in session.explain() if found.name == "layer")


@pytest.mark.parametrize("isa", [None, "ref"])
@pytest.mark.parametrize("block", [1, 2])
@pytest.mark.parametrize("name", WINDOWS)
def test_window(name, block, isa):
    model, x = network(name, block=block, act="Relu")
    expected = reference(model, {"x": x})["y"]
    data = sr.convert(model, sparse="always").data
    first = None
    for threads in (1, 2, 3):
        session = sr.Session(data, threads=threads, isa=isa)
        assert layer(session).kernel.startswith(("pw_csr", "pw_2x1", "fc_csr"))
        y = session(x)
        first = y if first is None else first
        assert error(y, expected) < 2e-6
        np.testing.assert_array_equal(y, first)
        np.testing.assert_array_equal(session(x), first)  # nothing left over from the run before


@pytest.mark.parametrize("act", ["Relu", "HardSwish", "Sigmoid"])
def test_residual_and_activation(act):
    model, x = network("batch", act=act, residual=True)
    session = sr.Session(sr.convert(model, sparse="always").data, threads=2)
    assert [found.op for found in session.explain()] == ["Conv"]
    assert error(session(x), reference(model, {"x": x})["y"]) < 2e-6


@pytest.mark.parametrize("act", ["Identity", "Relu", "HardSwish", "Sigmoid", "Elu"])
@pytest.mark.parametrize("block", [1, 2])
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("added", [False, True])
def test_images_that_become_one_pixel(act, block, group, added):
    """These lie without gaps, of which vectors of pixels know nothing: between two layers, on any number of threads."""
    rng = np.random.default_rng(7)
    weight = rng.standard_normal((34, 16 // group, 3, 3)).astype(np.float32)
    weight[np.repeat(rng.random((17, *weight.shape[1:])) < 0.7, 2, 0)] = 0
    weight[block - 1 :: 2] *= rng.random(weight[block - 1 :: 2].shape) < 0.8
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], name="layer", group=group),
             *([helper.make_node("Add", ["c", "z"], ["s"])] if added else []),
             helper.make_node(act, ["s" if added else "c"], ["a"]), helper.make_node("Conv", ["a", "v"], ["y"])]
    model = make_model(nodes, {"x": (2, 16, 3, 3), **({"z": (2, 34, 1, 1)} if added else {})}, ["y", "a"],
                       {"w": weight, "v": rng.standard_normal((5, 34, 1, 1)).astype(np.float32)})
    feeds = {v.name: rng.standard_normal([d.dim_value for d in v.type.tensor_type.shape.dim]).astype(np.float32)
             for v in model.graph.input}
    data, expected = sr.convert(model, sparse="always").data, reference(model, feeds)
    for isa in (None, "avx2", "ref"):
        for threads in (1, 3):
            found = sr.Session(data, threads=threads, isa=isa, sparse="always").run(["y", "a"], feeds)
            for got, name in zip(found, ("y", "a")):
                np.testing.assert_allclose(got, expected[name], rtol=1e-5, atol=1e-5)


def test_no_neighbour_is_read_through_the_border():
    """Infinite pixels beside a row's ends belong to other rows: they must not reach taps that stand in the padding."""
    model, x = network("same")
    x[:, :, :, 0] = np.inf
    y = sr.Session(sr.convert(model, sparse="always").data)(x)
    assert np.isfinite(y[:, :, :, 2:]).all()


@pytest.mark.parametrize("sparsity", [0.0, 0.2, 0.4, 0.95])
def test_the_faster_by_estimate(sparsity):
    model, x = network("resnet", sparsity)
    session = sr.Session(sr.convert(model, sparse_threshold=0.1).data)
    found = layer(session)
    sparse = found.kernel.startswith("pw_")
    assert found.sparsity == pytest.approx(sparsity, abs=0.01)
    assert error(session(x), reference(model, {"x": x})["y"]) < 2e-6
    if not sparsity:
        assert not sparse and "stored dense" in found.reason
        return
    dense, *others = map(float, re.match(r"3x3: kcycles: dense (\d+) csr (\d+) 2x1 (\d+)", found.reason).groups())
    assert sparse == (min(others) < 0.9 * dense) and (sparse or sparsity < 0.95)
    never = layer(sr.Session(sr.convert(model, sparse_threshold=0.1).data, sparse="never"))
    assert never.kernel.startswith("conv_") and "sparse=never" in never.reason
