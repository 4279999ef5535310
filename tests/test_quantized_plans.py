"""Plans of quantized layers: the kernel by estimates or by measuring, and how evenly the work falls to threads."""

import re

import numpy as np
import pytest

import sparse_runtime as sr
from benchmarks import costs
from sparse_runtime import _core, zoo
from sparse_runtime.prune import magnitude
from test_quantized import Net

FEATURES = set(_core.cpu_features().split(","))
X86 = ["amx", "vnni", "avx2_q8"]


def layer_model(pixels, rows, channels, zeros, block=1, kind="uint8"):
    """A quantized 1x1 convolution as a .spr file; zeros in blocks of rows."""
    net = Net(kind)
    x = net.qdq("x", 0.05, 3)
    keep = np.repeat(net.rng.random((-(-rows // block), channels)) >= zeros, block, 0)[:rows]
    q = (net.rng.integers(1, 128, (rows, channels)) * keep).astype(np.int8)[:, :, None, None]
    w = net.node("DequantizeLinear", net.const(q), net.const(np.float32(0.01)), net.const(np.int8(0)))
    y = net.qdq(net.node("Conv", x, w), 0.5, 7)
    return sr.convert(net.model({"x": (1, channels, 1, pixels)}, [y]), sparse_threshold=0).data


def layers(session):
    return [layer for layer in session.explain() if layer.op == "QConv"]


def kilocycles(layer):
    words = re.match(r"8 bits, kcycles: ([^;(]*)", layer.reason)[1].split()
    return dict(zip(words[::2], map(float, words[1::2])))


SHAPES = [(49, 512, 256), (196, 192, 64), (784, 128, 128), (3136, 96, 24)]


@pytest.mark.parametrize("block", [1, 2])
@pytest.mark.parametrize("zeros", [0.02, 0.6, 0.8, 0.95])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_cheapest_is_chosen(shape, zeros, block):
    (layer,) = layers(sr.Session(layer_model(*shape, zeros, block)))
    kcycles = kilocycles(layer)
    chosen = layer.kernel.split("_")[1]
    least = min(cycles for form, cycles in kcycles.items() if form != "dense")
    if chosen == "dense":
        assert least >= 0.9 * kcycles["dense"] - 1
    else:  # sparse must win by more than estimates err
        assert kcycles[chosen] <= least + 1 and least <= 0.9 * kcycles["dense"] + 1
    if zeros == 0.02:
        assert chosen == "dense"


@pytest.mark.parametrize("group", X86)
@pytest.mark.parametrize("zeros", [0.4, 0.9])
@pytest.mark.parametrize("shape", SHAPES)
def test_estimates_are_those_that_were_fitted(shape, zeros, group):
    isa, ending, _, l2 = costs.CORES[group]
    if isa not in FEATURES:
        pytest.skip(f"no {isa}")
    (layer,) = layers(sr.Session(layer_model(*shape, zeros), isa=isa))
    kcycles, structure, known = kilocycles(layer), costs.structures(), costs.coefficients()
    pixels, rows, channels = shape
    for form in costs.QUANTIZED[group]:
        kernel = f"pw_{form}_q8_{ending}"
        empty = zeros**2 if form in costs.PAIRED else zeros if form != "dense" else 0.0
        macs = np.prod(shape) * (1 - empty if form in ("csr", "2x1") else 1)
        row = {"kernel": kernel, "shape": shape, "macs": macs, "sparsity": empty}
        estimate = np.dot(costs.terms(row, structure, l2), known[kernel]) / 1e3
        # the formula knows of the blocks only how many are to be expected
        assert kcycles[form] == pytest.approx(estimate, abs=0.51, rel=1e-4 if form == "dense" else 0.05)


def test_sparse_can_be_forced_and_forbidden():
    data = layer_model(196, 64, 64, 0.5)
    (always,), (never,) = (layers(sr.Session(data, sparse=how)) for how in ("always", "never"))
    assert always.kernel.split("_")[1] != "dense" and never.kernel.split("_")[1] == "dense"


def test_autotune_measures_and_remembers(tmp_path):
    path = tmp_path / "m.spr"
    path.write_bytes(layer_model(784, 64, 64, 0.8))
    (first,) = layers(sr.Session(str(path), autotune=True))
    figures = re.match(r"8 bits, measured, us: (.*)", first.reason)[1].split()
    times = dict(zip(figures[::2], map(float, figures[1::2])))
    assert times[first.kernel.split("_")[1]] <= 1.02 * min(times.values()) + 0.1
    (again,) = layers(sr.Session(str(path), autotune=True))
    assert again.reason == first.reason.replace("measured,", "measured before,") and again.kernel == first.kernel


LEAST = {2: 0.85, 4: 0.9, 8: 0.8}


@pytest.fixture(scope="module")
def network():
    proto = magnitude(zoo.build("mobilenet_v1"), 0.85)
    feeds = {proto.graph.input[0].name: np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)}
    return sr.convert(proto, int8=True, calibration=[feeds], int8_min_sqnr=None).data, feeds


@pytest.mark.slow
@pytest.mark.parametrize("threads", LEAST)
def test_balance_of_a_network(network, threads):
    data, feeds = network
    session = sr.Session(data, threads=threads)
    found = [layer for layer in layers(session) if layer.shape[2] > 1]
    assert len(found) == 27
    for layer in found:
        assert LEAST[threads] <= layer.balance <= 1 + 1e-9, layer
    if threads == 4:
        np.testing.assert_array_equal(session.run(None, feeds)[0], sr.Session(data).run(None, feeds)[0])


@pytest.mark.parametrize("threads", LEAST)
@pytest.mark.parametrize("pixels", [49, 100, 784])
def test_balance_of_skewed_rows(pixels, threads):
    """Rows of much different numbers of blocks."""
    net = Net("uint8")
    x = net.qdq("x", 0.05, 3)
    keep = net.rng.random((256, 512)) < np.where(np.arange(256) % 32 < 8, 0.5, 0.01)[:, None]
    q = (net.rng.integers(1, 128, (256, 512)) * keep).astype(np.int8)[:, :, None, None]
    w = net.node("DequantizeLinear", net.const(q), net.const(np.float32(0.01)), net.const(np.int8(0)))
    y = net.qdq(net.node("Conv", x, w), 0.5, 7)
    data = sr.convert(net.model({"x": (1, 512, 1, pixels)}, [y]), sparse_threshold=0).data
    (layer,) = layers(sr.Session(data, threads=threads, sparse="always"))
    assert LEAST[threads] <= layer.balance <= 1 + 1e-9
