"""Writes small model files for the fuzzer to start from: ONNX's own node cases, as far as they convert, and layers that
are stored sparse or run in integers.  python tools/fuzz_corpus.py FOLDER"""
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

import sparse_runtime as sr

LARGEST = 6000  # bytes: small files are changed and run faster


def node_cases():
    """Some cases of each operator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # making the cases, ONNX divides by zero on purpose
        cases = collect_testcases(None)
    seen = {}
    for case in cases:
        if case.model is None or case.name.endswith("_expanded"):
            continue
        kind = case.model.graph.node[0].op_type
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= 4:
            yield case.name, case.model, {}


def layers():
    """A network with convolutions of every kind, sparse, in 2x1 blocks, and in integers."""
    rng = np.random.default_rng(1)

    def weights(*shape, zeros=0.0, block=1):
        mask = rng.random((-(-shape[0] // block), *shape[1:])) >= zeros
        return (rng.standard_normal(shape) * mask.repeat(block, axis=0)[:shape[0]]).astype(np.float32)

    constants = {"w0": weights(4, 2, 3, 3), "w1": weights(4, 1, 3, 3), "w2": weights(8, 4, 1, 1, zeros=0.7),
                 "w3": weights(8, 8, 1, 1, zeros=0.7, block=2), "w4": weights(4, 8, 3, 3, zeros=0.8),
                 "w5": weights(5, 4, zeros=0.6),
                 "shape": np.array([0, -1])}
    nodes = [helper.make_node("Conv", ["x", "w0"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
             helper.make_node("HardSwish", ["a"], ["b"]),
             helper.make_node("Conv", ["b", "w1"], ["c"], group=4, pads=[1, 1, 1, 1]),
             helper.make_node("Conv", ["c", "w2"], ["d"]),
             helper.make_node("Conv", ["d", "w3"], ["e"]),
             helper.make_node("Add", ["d", "e"], ["f"]),
             helper.make_node("Conv", ["f", "w4"], ["g"], pads=[1, 1, 1, 1]),
             helper.make_node("GlobalAveragePool", ["g"], ["h"]),
             helper.make_node("Reshape", ["h", "shape"], ["i"]),
             helper.make_node("Gemm", ["i", "w5"], ["y"], transB=1)]
    graph = helper.make_graph(
        nodes, "layers", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2, None, None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for sparse in ("always", "never"):
        yield f"layers_{sparse}", model, {"sparse": sparse}
    graph = helper.make_graph(
        [helper.make_node("Gemm", [x, w], [y], transB=1) for x, w, y in (("x", "w0", "a"), ("a", "w1", "y"))],
        "gaps", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 48])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights(48, 48, zeros=0.96, block=i + 1), f"w{i}") for i in range(2)])
    few = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    yield "gaps", few, {"sparse": "always"}
    data = [{"x": rng.standard_normal((1, 2, 8, 8)).astype(np.float32)} for _ in range(4)]
    yield "layers_int8", model, {"sparse": "always", "int8": True, "calibration": data, "int8_min_sqnr": None}


def extremes():
    """Convolutions of one pixel, and ones whose scales make infinities and what is no number of them."""
    weights = np.arange(-8, 8, dtype=np.int8).reshape(4, 4, 1, 1)
    constants = {"w": weights, "f": weights.astype(np.float32), "huge": np.float32(1e20), "large": np.float32(3e18),
                 "product": np.float32(1e20) * np.float32(3e18), "fine": np.float32(1e-20), "zero": np.int8(0),
                 "bias": np.full(4, -5, np.int32), "none": np.int32(0)}
    nodes = [helper.make_node("Conv", ["x", "f"], ["one"]),
             helper.make_node("QuantizeLinear", ["x", "huge", "zero"], ["xq"]),
             helper.make_node("DequantizeLinear", ["xq", "huge", "zero"], ["xd"]),
             helper.make_node("DequantizeLinear", ["w", "large", "zero"], ["wd"]),
             helper.make_node("DequantizeLinear", ["bias", "product", "none"], ["bd"]),
             helper.make_node("Conv", ["xd", "wd", "bd"], ["a"]),
             helper.make_node("HardSwish", ["a"], ["b"]),
             helper.make_node("QuantizeLinear", ["b", "fine", "zero"], ["q"]),
             helper.make_node("DequantizeLinear", ["q", "fine", "zero"], ["y"])]
    for name, kept, size in (("one_pixel", slice(0, 1), 1), ("infinities", slice(1, None), 5)):
        graph = helper.make_graph(
            nodes[kept], name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4, size, size])],
            [helper.make_tensor_value_info(nodes[kept][-1].output[0], TensorProto.FLOAT, None)],
            [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()])
        yield name, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), {}


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for name, model, options in [*layers(), *extremes(), *node_cases()]:
        try:
            with np.errstate(over="ignore"):  # of the infinities
                data = sr.convert(model, **options).data
        except (sr.SparseRuntimeError, onnx.checker.ValidationError) as problem:
            if name.startswith("layers"):
                raise
            assert str(problem)  # an operator that is not supported
            continue
        if len(data) <= LARGEST:
            (folder / f"{name}.spr").write_bytes(data)
            written += 1
    print(f"{written} models in {folder}")


if __name__ == "__main__":
    main()
