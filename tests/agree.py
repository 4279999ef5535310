"""One model three ways: by onnxruntime as it is, imported and rewritten and given back as ONNX, and by our own
runtime."""

from collections import Counter

import numpy as np
from onnx import helper
from onnx_export import to_onnx
from oracle import reference

import sparse_runtime as sr
from sparse_runtime import passes
from sparse_runtime.importers import import_model


def random_feeds(model, seed=0, low=-3.0, high=3.0):
    """{input: array} for the inputs of a ModelProto with fixed shapes: floats from [low, high), integers from 0 to
    9, bools."""
    rng = np.random.default_rng(seed)
    stored = {t.name for t in model.graph.initializer}
    feeds = {}
    for info in model.graph.input:
        if info.name in stored:
            continue
        dtype = helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
        shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
        feeds[info.name] = (
            rng.uniform(low, high, shape).astype(dtype)
            if dtype.kind == "f"
            else rng.integers(0, 2 if dtype.kind == "b" else 10, shape).astype(dtype)
        )
    return feeds


def assert_close(actual, expected, tolerance=1e-5):
    """Both {name: array}; tolerance relative to the largest magnitude of an output."""
    assert list(actual) == list(expected)
    for name, want in expected.items():
        got = actual[name]
        assert got.shape == want.shape and got.dtype == want.dtype, name
        finite = np.abs(want[np.isfinite(want)]) if want.dtype.kind == "f" else np.abs(want.astype(np.int64))
        np.testing.assert_allclose(
            got, want, rtol=tolerance, atol=tolerance * max(1.0, finite.max(initial=0)), err_msg=name
        )


# Quantized operators have no counterpart in ONNX; test_quantized.py compares the networks that have them.
EXPORTABLE = tuple(name for name in passes.NAMES if name != "to_integers")


def rewritten(model, names=EXPORTABLE, **kwargs):
    """(graph, outcome) after import and the passes of these names, all that onnx_export.py can follow by default."""
    graph = import_model(model, **kwargs)
    outcome = passes.optimize(graph, names)
    graph.check()
    return graph, outcome


def agree(model, feeds=None, tolerance=1e-5, **kwargs):
    """Asserts that all ways give the same, and returns the rewritten graph."""
    feeds = random_feeds(model, **kwargs) if feeds is None else feeds
    expected = reference(model, feeds, optimized=False)
    graph = import_model(model)
    graph.annotate([{name: array.shape for name, array in feeds.items()}])
    assert_close(reference(to_onnx(graph), feeds, optimized=False), expected, tolerance)
    graph, _ = rewritten(model)
    assert_close(reference(to_onnx(graph), feeds, optimized=False), expected, tolerance)
    session = sr.Session(sr.convert(model).data)
    assert_close(dict(zip([o.name for o in session.outputs], session.run(None, feeds))), expected, tolerance)
    return graph


def ops(graph):
    """{operator: how many}."""
    return Counter(node.op for node in graph.nodes)
