"""onnxruntime as the reference, and the measure by which outputs are compared."""

import numpy as np
import onnxruntime

onnxruntime.set_default_logger_severity(3)  # old exporters list initializers among the inputs: not our business here

_TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(int64)": np.int64,
          "tensor(int32)": np.int32}


def settings(optimized=True, exact=False):
    """onnxruntime's options. optimized=False takes every node literally. exact: without VNNI, products of uint8 and
    int8 saturate in 16 bits unless onnxruntime is asked for other kernels, which it takes while it optimizes; not all
    models can be opened so."""
    options = onnxruntime.SessionOptions()
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if exact:
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def reference(model, feeds, threads=1, optimized=True, exact=False):
    """{output name: array} by onnxruntime. model: path, bytes or ModelProto. optimized=False takes every node
    literally: onnxruntime 1.2x folds a Pad with zeros into a MaxPool, which is not the same for negative numbers."""
    options = settings(optimized, exact)
    options.intra_op_num_threads = threads
    source = model.SerializeToString() if hasattr(model, "SerializeToString") else str(model)
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))


def feeds_for(session, shapes=None, seed=0, scale=1.0):
    """Random inputs for a sparse_runtime.Session: normal floats times `scale`, bytes over their whole range."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for info in session.inputs:
        shape = (shapes or {}).get(info.name, info.shape)
        if info.dtype.kind == "f":
            feeds[info.name] = (rng.standard_normal(shape) * scale).astype(info.dtype)
        else:
            limits = np.iinfo(info.dtype)
            feeds[info.name] = rng.integers(limits.min, limits.max, shape, info.dtype, endpoint=True)
    return feeds


def error(actual, expected):
    """Largest difference as a share of the expected range; outputs that do not vary count by their magnitude."""
    assert actual.shape == expected.shape and actual.dtype == expected.dtype
    actual, expected = actual.astype(np.float64), expected.astype(np.float64)
    assert np.isfinite(expected).all()
    spread = expected.max() - expected.min() if expected.size else 0.0
    spread = spread or np.abs(expected).max(initial=0.0) or 1.0
    return np.abs(actual - expected).max(initial=0.0) / spread
