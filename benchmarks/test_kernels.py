"""Every kernel for 1x1 layers that this CPU runs, over the layer shapes of three networks, without the copies of input
and output."""

import numpy as np
import pytest
from networks import pointwise_shapes

from sparse_runtime import _core
from sparse_runtime.ir import Graph

KERNELS = [
    kernel
    for kernel in _core.kernels()
    if kernel["cls"].startswith("pw_") and not kernel["cls"].endswith("_q8") and kernel["runs"]
]
FORMATS = {
    "pw_dense": ((1, 1), "dense", "never"),
    "pw_csr": ((1, 1), "bitmap", "always"),
    "pw_2x1": ((2, 1), "bitmap_2x1", "always"),
}
CASES = [
    (kernel, sparsity) for kernel in KERNELS for sparsity in ((0.0,) if kernel["cls"] == "pw_dense" else (0.75, 0.9))
]


def layer(shape, sparsity, block, encoding):
    """The .spr file of one 1x1 convolution with random weights of which whole blocks are zero, bias and relu."""
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.5, 1, (shape.n, shape.k)).astype(np.float32) * rng.choice([-1, 1], (shape.n, shape.k))
    keep = rng.permuted(
        np.arange(-(-shape.n // block[0]) * shape.k) >= round(sparsity * -(-shape.n // block[0]) * shape.k)
    )
    weights *= np.repeat(keep.reshape(-1, shape.k), block[0], axis=0)[: shape.n]
    graph = Graph("layer")
    x = graph.add_input("x", "float32", (1, shape.k, shape.h, shape.w))
    w = graph.add_const("w", weights.astype(np.float32).reshape(shape.n, shape.k, 1, 1))
    b = graph.add_const("b", rng.standard_normal(shape.n).astype(np.float32))
    graph.outputs.append(graph.add_node("Conv", [x, w, b], "pw", act="clip", act_a=0.0, act_b=np.inf).output)
    return graph.to_bytes({"w": encoding})


@pytest.mark.parametrize("shape", pointwise_shapes("mobilenet_v1", "mobilenet_v2", "picodet_m"), ids=str)
@pytest.mark.parametrize(
    "kernel, sparsity", CASES, ids=[f"{kernel['name']}-{100 * sparsity:.0f}" for kernel, sparsity in CASES]
)
def test_pointwise(benchmark, kernel, sparsity, shape):
    block, encoding, policy = FORMATS[kernel["cls"]]
    session = _core.Session(_core.Model(layer(shape, sparsity, block, encoding)), sparse=policy, isa=kernel["isa"])
    session.set_input(0, np.random.default_rng(1).standard_normal((1, shape.k, shape.h, shape.w)).astype(np.float32))
    session.prepare()
    (chosen,) = {found["kernel"] for found in session.layers()}
    if chosen != kernel["name"]:
        pytest.skip(f"the plan takes {chosen} for this layer")
    benchmark.group = str(shape)
    benchmark(session.run)
    macs = shape.k * shape.n * shape.h * shape.w
    benchmark.extra_info.update(kernel=kernel["name"], sparsity=sparsity, macs=macs)
    if benchmark.stats:  # there are none with --benchmark-disable
        benchmark.extra_info["gflops_of_nonzeros"] = 2e-9 * macs * (1 - sparsity) / benchmark.stats["median"]
