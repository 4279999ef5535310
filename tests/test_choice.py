"""Which kernels a plan chooses by its estimates, and that the fit of benchmarks/costs.py is about the same
estimates."""

import re

import numpy as np
import pytest
from conftest import make_model
from onnx import helper

import sparse_runtime as sr
from benchmarks import costs
from sparse_runtime import _core

CORES = ["avx512", "avx2", "a55", "a53", "a76"]  # the first that the CPU has all features of is what costs are for


def core():
    have = set(_core.cpu_features().split(","))
    return next((core for core in CORES if set(costs.CORES[core][0].split(",")) <= have), None)


def layer_for(pixels, rows, channels, sparsity, block=1):
    """The Layer of a 1x1 convolution, stored sparse whatever its sparsity."""
    rng = np.random.default_rng(4)
    keep = np.repeat(rng.random((-(-rows // block), channels)) >= sparsity, block, 0)[:rows]
    weight = (rng.uniform(1, 2, (rows, channels)) * keep).astype(np.float32)[:, :, None, None]
    model = make_model([helper.make_node("Conv", ["x", "w"], ["y"])], {"x": (1, channels, 1, pixels)}, ["y"],
                       {"w": weight})
    return next(iter(sr.Session(sr.convert(model, sparse_threshold=0).data).explain()))


def kilocycles(layer):
    words = re.match(r"kcycles: ([^;(]*)", layer.reason)[1].split()
    return dict(zip(words[::2], map(float, words[1::2])))


SHAPES = [(49, 512, 256), (196, 192, 64), (784, 128, 128), (3136, 96, 24), (12544, 32, 16), (3136, 64, 384)]


@pytest.mark.parametrize("block", [1, 2])
@pytest.mark.parametrize("sparsity", [0.02, 0.2, 0.4, 0.6, 0.8, 0.95])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_cheapest_is_chosen(shape, sparsity, block):
    layer = layer_for(*shape, sparsity, block)
    kcycles = kilocycles(layer)
    chosen = layer.kernel.split("_")[1]
    least = min(kcycles["csr"], kcycles["2x1"])
    if chosen == "dense":
        assert least > 0.9 * kcycles["dense"] - 1
    else:  # sparse must win by more than estimates err
        assert kcycles[chosen] <= least + 1 and least <= 0.9 * kcycles["dense"] + 1
    # large maps are bound by memory, which sparse kernels of some cores read better
    if sparsity == 0.02 and shape[0] < 1000:
        assert chosen == "dense"
    if sparsity == 0.95:
        assert chosen != "dense"


@pytest.mark.skipif(core() is None, reason="no core that costs are fitted to")
@pytest.mark.parametrize("sparsity", [0.4, 0.9])
@pytest.mark.parametrize("shape", SHAPES)
def test_estimates_are_those_that_were_fitted(shape, sparsity):
    layer = layer_for(*shape, sparsity)
    kcycles, structure, known = kilocycles(layer), costs.structures(), costs.coefficients()
    pixels, rows, channels = shape
    nonzeros = rows * channels * (1 - layer.sparsity)
    stored = {"dense": rows * channels, "csr": nonzeros, "2x1": nonzeros / layer.fill_2x1}
    for fmt, macs in stored.items():
        kernel = f"pw_{fmt}_f32_{costs.CORES[core()][1]}"
        row = {"kernel": kernel, "shape": shape, "macs": macs * pixels}
        estimate = np.dot(costs.terms(row, structure, costs.CORES[core()][3]), known[kernel]) / 1e3
        assert kcycles[fmt] == pytest.approx(estimate, abs=0.51, rel=1e-4)


@pytest.mark.skipif(core() not in ("avx512", "avx2"), reason="the rate at which weights come from memory is of x86")
def test_sparse_classifier_of_a_network():
    """A vector's weights are read from memory once: eight bytes for each that is kept win from four for each."""
    weight = np.random.default_rng(0).uniform(1, 2, (1000, 1024)).astype(np.float32)
    weight[np.random.default_rng(1).random(weight.shape) < 0.9] = 0
    gemm = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    model = make_model([gemm], {"x": (1, 1024)}, ["y"], {"w": weight})
    assert next(iter(sr.Session(model).explain())).kernel.startswith("fc_csr")


def test_every_kernel_has_costs():
    classes = {kernel["name"]: kernel["cls"] for kernel in _core.kernels()}  # on ARM without those of x86
    names = {name for name, cls in classes.items() if cls.startswith("pw_") or cls in ("fc_dense", "fc_csr")}
    assert set(costs.structures()) & set(classes) == names and set(costs.structures()) == set(costs.coefficients())
    for name, (tile, vector, _) in costs.structures().items():
        assert tile >= vector >= 1 and max(costs.coefficients()[name]) > 0
