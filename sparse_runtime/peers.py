"""Other runtimes in the same process, to compare results and times with; and the inputs to compare on."""

import numpy as np

from .errors import ArgumentError, SparseRuntimeError

NAMES = ("onnxruntime",)


def open_peer(name, model, threads=1):
    """A function {input: array} -> {output: array} that runs an onnx.ModelProto by another runtime."""
    if name not in NAMES:
        raise ArgumentError(f"cannot compare with {name!r}; known: {', '.join(NAMES)}")
    return _onnxruntime(model, threads)


def _onnxruntime(model, threads):
    try:
        import onnxruntime as ort
    except ImportError:
        raise ArgumentError("onnxruntime is not installed: pip install onnxruntime") from None
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "1")  # else its idle threads take our cores
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base of their own
        raise SparseRuntimeError(f"onnxruntime cannot open the model: {error}") from error
    names = [output.name for output in session.get_outputs()]

    def run(feeds):
        try:
            return dict(zip(names, session.run(None, feeds)))
        except Exception as error:
            raise SparseRuntimeError(f"onnxruntime cannot run the model: {error}") from error

    return run


def random_feeds(inputs, seed=0):
    """{name: array} for inputs (session.TensorInfo) of known shapes; the same seed gives the same arrays.

    Floats are of the normal distribution, uint8 from 0 to 255, other integers from 0 to 9."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for info in inputs:
        if None in info.shape:
            shape = "x".join("?" if d is None else str(d) for d in info.shape)
            raise ArgumentError(f"input {info.name!r} has free dimensions ({shape}): give its shape")
        if info.dtype.kind == "f":
            feeds[info.name] = rng.standard_normal(info.shape).astype(info.dtype)
        elif info.dtype == bool:
            feeds[info.name] = rng.integers(0, 2, info.shape).astype(bool)
        else:
            feeds[info.name] = rng.integers(0, 256 if info.dtype == np.uint8 else 10, info.shape).astype(info.dtype)
    return feeds
