"""Cycles of single layers: 1x1 through spr-bench-kernels, depthwise through models of one layer and spr-bench."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from .. import variants
from . import armcycles

SPARSITIES = (0.75, 0.9)
FORMATS = {"csr": "pw_csr", "2x1": "pw_2x1", "dense": "pw_dense"}  # -> class of kernels
INT8_CORES = ("a53", "a55", "a76")
INT8_SPARSITIES = (0.75, 0.85, 0.9)
INT8_FORMATS = {f"int8 {form}": f"pw_{form}_q8" for form in ("dense", "csr", "2x1", "1x4", "2x4")}
# Channels and size of the depthwise 3x3 layers of stride 1 in MobileNetV1.
DEPTHWISE = {(32, 112): 1, (128, 56): 1, (256, 28): 1, (512, 14): 5, (1024, 7): 1}


def pointwise_shapes(name):
    """Counter of (pixels, output channels, input channels) over the 1x1 layers on images that pruning makes sparse."""
    from sparse_runtime import passes
    from sparse_runtime.importers import import_model

    graph = import_model(variants.build(name, variants.VARIANTS["75"]))
    passes.optimize(graph)
    found = Counter()
    for node in graph.nodes:
        weight = node.input("W").const if node.op == "Conv" else None
        if weight is None or weight.shape[2:] != (1, 1) or node["group"] != 1:
            continue
        pixels = math.prod(node.output.shape[2:])
        if pixels > 1 and (weight == 0).mean() > 0.5:
            found[(pixels, *weight.shape[:2])] += 1
    return found


def int8_cases(isa):
    """[(format, sparsity)] of the 8 bit kernels, and of FP32 ones at sparsities that the others leave out. Blocks of
    four channels have kernels where there are dot products."""
    cases = [("int8 dense", 0.0)]
    for sparsity in INT8_SPARSITIES:
        forms = ("csr", "2x1", "1x4", "2x4") if "dotprod" in isa else ("csr", "2x1")
        cases += [(f"int8 {form}", sparsity) for form in forms]
        if sparsity not in SPARSITIES:
            cases += [("csr", sparsity), ("2x1", sparsity)]
    return cases


def kernel(cls, isa):
    """Name of the first kernel of a class that runs with these features (ARM's, or plain C)."""
    from sparse_runtime import _core

    have = set(isa.split(",")) | {"ref"}
    for row in _core.kernels():
        if row["cls"] == cls and set(row["isa"].split(",")) <= have:
            return row["name"]
    raise LookupError(f"no kernel of class {cls} for {isa}")


def pointwise(keys, isa, shape, fmt, sparsity, budget):
    """One row: a shape in one format and sparsity on the cores, which all have this ISA."""
    name = kernel({**FORMATS, **INT8_FORMATS}[fmt], isa)
    arguments = [
        "spr-bench-kernels",
        "--kernel",
        name,
        "--shape",
        ",".join(map(str, shape)),
        "--repeat",
        "1",
        "--calls",
        "1",
        "--sparsity",
        str(sparsity),
    ]
    cycles, output = armcycles.run(keys, isa, [f"spr_{name}"], arguments, budget)
    return {
        "kernel": name,
        "shape": list(shape),
        "format": fmt,
        "sparsity": sparsity,
        "macs": printed_macs(output, name),
        "cycles": cycles,
    }


def printed_macs(output, name):
    """Multiply-accumulates from spr-bench-kernels' table of one case."""
    lines = [line.split() for line in output.splitlines() if line.startswith(name + " ")]
    if len(lines) != 1:
        raise RuntimeError(f"one line for {name} expected in\n{output}")
    return round(float(lines[0][3]) * 1e6)


def depthwise(keys, isa, channels, size, folder, budget):
    """One row: a depthwise 3x3 of stride 1 with relu."""
    path = Path(folder, f"dw-{channels}-{size}.spr")
    if not path.exists():
        write_depthwise(path, channels, size)
    cycles, _ = armcycles.run(
        keys, isa, ["spr_dwconv*", "spr_conv*"], ["spr-bench", str(path), "--repeat", "1", "--warmup", "0"], budget
    )
    return {
        "shape": [channels, size],
        "count": DEPTHWISE[channels, size],
        "macs": channels * size * size * 9,
        "cycles": cycles,
    }


def write_depthwise(path, channels, size):
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    import sparse_runtime as sr

    rng = np.random.default_rng(0)
    arrays = {"w": (channels, 1, 3, 3), "b": (channels,)}
    shape = [1, channels, size, size]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w", "b"], ["c"], group=channels, kernel_shape=[3, 3], pads=[1] * 4),
            helper.make_node("Relu", ["c"], ["y"]),
        ],
        "depthwise",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(rng.standard_normal(dims).astype(np.float32), name) for name, dims in arrays.items()],
    )
    sr.convert(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), path)
