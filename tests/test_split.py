"""Plans counted, not timed: how evenly work falls to threads, and memory against what must live at the same time."""

import numpy as np
import pytest
from conftest import make_model
from onnx import helper

import sparse_runtime as sr
from sparse_runtime import zoo
from sparse_runtime.prune import magnitude

LEAST = {2: 0.85, 4: 0.9, 8: 0.8}
UNSPLIT = 500_000  # multiply-accumulates of a dense layer that one thread may do alone: some microseconds


def check_balance(session, threads):
    counted = 0
    for layer in session.explain():
        if layer.op not in ("Conv", "FullyConnected") or layer.shape[1] < 16:
            continue
        if layer.balance is None:
            assert layer.macs * (1 - layer.sparsity) < UNSPLIT, layer
            continue
        counted += 1
        assert LEAST[threads] <= layer.balance <= 1 + 1e-9, layer
    return counted


@pytest.mark.parametrize("threads", LEAST)
@pytest.mark.parametrize("ratio", [0, 0.75, 0.9])
@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "picodet_m"])
def test_balance_of_networks(name, ratio, threads):
    proto = zoo.build(name)
    data = sr.convert(magnitude(proto, ratio) if ratio else proto).data
    layers = {"mobilenet_v1": 28, "mobilenet_v2": 52, "picodet_m": 100}[name]
    assert check_balance(sr.Session(data, threads=threads), threads) >= layers - 30 * (name == "picodet_m")


def skewed(n, k, kind, rng):
    """Weights whose rows differ much in their numbers of nonzeros."""
    share = {"ramp": np.linspace(0.02, 0.5, n), "few full": np.where(np.arange(n) % 16 == 3, 0.9, 0.05),
             "top": np.where(np.arange(n) < n // 4, 0.8, 0.03),
             "end": np.where(np.arange(n) >= 3 * n // 4, 0.8, 0.03)}[kind]
    weight = rng.standard_normal((n, k)).astype(np.float32)
    weight[rng.random((n, k)) > share[:, None]] = 0
    return weight[:, :, None, None]


@pytest.mark.parametrize("threads", LEAST)
@pytest.mark.parametrize("size", [(7, 7), (10, 10), (14, 14), (28, 28)])
@pytest.mark.parametrize("kind", ["ramp", "few full", "top", "end"])
def test_balance_of_skewed_rows(kind, size, threads):
    weight = skewed(256, 512, kind, np.random.default_rng(1))
    model = make_model([helper.make_node("Conv", ["x", "w"], ["y"])], {"x": (1, 512, *size)}, ["y"], {"w": weight})
    assert check_balance(sr.Session(sr.convert(model, sparse_threshold=0.3).data, threads=threads, sparse="always"),
                         threads) == 1


def test_balance_is_of_the_split():
    """One thread has nothing to balance; batches are split too."""
    weight = skewed(64, 64, "ramp", np.random.default_rng(2))
    model = make_model([helper.make_node("Conv", ["x", "w"], ["y"])], {"x": (3, 64, 20, 20)}, ["y"], {"w": weight})
    data = sr.convert(model, sparse_threshold=0.3).data
    assert [layer.balance for layer in sr.Session(data).explain()] == [None]
    assert check_balance(sr.Session(data, threads=4), 4) == 1


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("name", zoo.names())
def test_memory_of_networks(name, threads):
    memory = sr.Session(sr.convert(zoo.build(name)).data, threads=threads).explain().memory
    assert memory["live"] <= memory["activations"] <= 1.02 * memory["live"]


def test_memory_in_use():
    """By hand: x, a = relu(x), b = exp(a), y = a + b; y overwrites a or b. The input stays."""
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Exp", ["a"], ["b"]),
             helper.make_node("Add", ["a", "b"], ["y"])]
    session = sr.Session(sr.convert(make_model(nodes, {"x": (1, 4, 32, 32)}, ["y"])).data)
    plane = 32 * 32 * 4 + 64  # an odd number of lines
    assert session.explain().memory["live"] == 3 * 4 * plane
