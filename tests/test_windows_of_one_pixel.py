"""Convolutions whose output is one pixel: as fully connected layers where there is no padding (not on ARM). Against
float64."""

import platform

import numpy as np
import pytest
from conftest import make_model
from onnx import helper

import sparse_runtime as sr

# input, output channels, kernel, and Conv's attributes
LAYERS = {
    "whole": ((1, 32, 3, 3), 140, (3, 3), {}),
    "batch": ((3, 6, 5, 4), 33, (5, 4), {}),
    "many": ((21, 9, 2, 2), 10, (2, 2), {}),
    "channel": ((2, 1, 7, 3), 5, (7, 3), {}),
    "row": ((2, 5, 1, 9), 8, (1, 9), {}),
    "line": ((1, 5, 4, 4), 1, (4, 4), {}),  # planes without gaps: nothing is copied
    "strided": ((2, 4, 6, 5), 7, (3, 4), {"strides": [4, 3]}),
    "dilated": ((2, 4, 9, 8), 7, (3, 2), {"dilations": [4, 5], "strides": [3, 3]}),
    "auto": ((1, 8, 3, 3), 12, (3, 3), {"auto_pad": "VALID"}),
    "pointwise": ((2, 8, 3, 3), 12, (1, 1), {"strides": [3, 3]}),
}
PADDED = {
    "padded": ((2, 6, 2, 2), 9, (3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    "grouped": ((2, 6, 3, 3), 4, (3, 3), {"group": 2}),
    "depthwise": ((2, 6, 3, 3), 6, (3, 3), {"group": 6}),
}


def f(*shape):
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


def float64(x, w, b, strides=(1, 1), dilations=(1, 1), pads=(0, 0, 0, 0), group=1, auto_pad=""):
    x = np.pad(x.astype(np.float64), [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])])
    reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilations)]
    assert all((size - r) // s == 0 for size, r, s in zip(x.shape[2:], reach, strides))
    taps = x[:, :, : reach[0] : dilations[0], : reach[1] : dilations[1]]
    parts = zip(np.split(taps, group, 1), np.split(w, group))
    y = np.concatenate([np.einsum("nchw,ochw->no", part, rows) for part, rows in parts], 1)
    return (y + b)[:, :, None, None]


@pytest.mark.parametrize("sparsity, sparse", [(0, "auto"), (0.9, "auto"), (0.6, "always"), (0.9, "never")])
@pytest.mark.parametrize("isa", [None, "avx2", "ref"])
@pytest.mark.parametrize("name", [*LAYERS, *PADDED])
def test_one_pixel(name, isa, sparsity, sparse):
    shape, rows, kernel, attributes = {**LAYERS, **PADDED}[name]
    w, b = f(rows, shape[1] // attributes.get("group", 1), *kernel), f(rows)
    w[np.random.default_rng(6).random(w.shape) < sparsity] = 0
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], name="layer", **attributes),
             helper.make_node("Add", ["c", "z"], ["s"]), helper.make_node("Tanh", ["s"], ["y"])]
    made = make_model(nodes, {"x": shape, "z": (shape[0], rows, 1, 1)}, ["y"], {"w": w, "b": b})
    feeds = {"x": f(*shape), "z": f(shape[0], rows, 1, 1)}
    want = np.tanh(float64(feeds["x"], w, b, **attributes) + feeds["z"])
    data, found = sr.convert(made, sparse=sparse).data, []
    for threads in (1, 2, 3):
        session = sr.Session(data, threads=threads, isa=isa)
        found += [session.run(None, feeds)[0], session.run(None, feeds)[0]]
    np.testing.assert_allclose(found[0], want, rtol=2e-5, atol=1e-5)
    assert all(np.array_equal(found[0], other) for other in found)
    (layer,) = (each for each in session.explain() if each.name == "layer")
    if platform.machine() in ("x86_64", "AMD64") and name in LAYERS:
        assert layer.kernel.startswith(("fc_", "pw_") if shape[0] > 1 and sparsity else "fc_")
        assert layer.sparsity == pytest.approx((w == 0).mean())


def test_other_sizes():
    """Nothing of the size is in the file: a session takes another, of more pixels."""
    w, b = f(7, 4, 3, 3), f(7)
    made = make_model([helper.make_node("Conv", ["x", "w", "b"], ["y"])], {"x": (1, 4, 3, 3)}, ["y"], {"w": w, "b": b})
    data, x = sr.convert(made).data, f(2, 4, 4, 3)
    (got,) = sr.Session(data).run(None, {"x": x})
    want = [float64(part, w, b) for part in (x[:, :, :3], x[:, :, 1:])]
    np.testing.assert_allclose(got, np.concatenate(want, 2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("zeros", [0.0, 0.9])
def test_measured(zeros):
    """With autotuning, the weights are taken as a matrix too."""
    w = f(40, 16, 3, 3)
    w[np.random.default_rng(6).random(w.shape) < zeros] = 0
    made = make_model([helper.make_node("Conv", ["x", "w"], ["y"])], {"x": (3, 16, 3, 3)}, ["y"], {"w": w})
    x = f(3, 16, 3, 3)
    (got,) = sr.Session(sr.convert(made).data, autotune=True).run(None, {"x": x})
    np.testing.assert_allclose(got, float64(x, w, 0), rtol=1e-5, atol=1e-5)


def test_between_convolutions():
    """Its input is another layer's output, in planes with gaps, or a part of a concatenation."""
    a, w = f(6, 3, 2, 2), f(5, 12, 3, 3)
    nodes = [helper.make_node("Conv", ["x", "a"], ["c"]), helper.make_node("Relu", ["x"], ["r"]),
             helper.make_node("Slice", ["r", "one", "four", "axes"], ["p"]),
             helper.make_node("Concat", ["c", "p", "p"], ["j"], axis=1),
             helper.make_node("Conv", ["j", "w"], ["y"]), helper.make_node("Conv", ["c", "v"], ["q"])]
    v = f(2, 6, 3, 3)
    made = make_model(nodes, {"x": (2, 3, 4, 4)}, ["y", "q"],
                      {"a": a, "w": w, "v": v, "one": [1, 1], "four": [4, 4], "axes": [2, 3]})
    x = f(2, 3, 4, 4)
    c = np.concatenate([np.concatenate([float64(x[:, :, i : i + 2, j : j + 2], a, 0) for j in range(3)], 3)
                        for i in range(3)], 2)
    part = np.maximum(x, 0)[:, :, 1:, 1:]
    for threads in (1, 2):
        y, q = sr.Session(sr.convert(made).data, threads=threads).run(None, {"x": x})
        np.testing.assert_allclose(y, float64(np.concatenate([c, part, part], 1), w, 0), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(q, float64(c, v, 0), rtol=1e-5, atol=1e-5)
