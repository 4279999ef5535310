"""sparse-runtime: runs pruned neural networks faster, by not multiplying by their zeros.

    import sparse_runtime as sr
    report = sr.convert("model.onnx", "model.spr")      # finds the sparse layers, tells what it did
    session = sr.Session("model.spr", threads=2)
    outputs = session.run(None, {"x": x})               # like ONNX Runtime

`convert`, `prune` and `quantize` need the onnx package; running a model needs numpy only.
"""
import importlib

from .errors import (ArgumentError, ModelFormatError, ModelIOError, OutOfMemoryError, ShapeError, SparseRuntimeError,
                     UnsupportedError)

try:
    from . import _core
except ImportError as error:
    raise ImportError(
        "the compiled part of sparse_runtime is missing or does not fit this Python: run `make build` in the project's "
        f"folder, or `pip install .` ({error})") from error

from .session import Session, TensorInfo

__version__ = _core.version()

__all__ = ["ArgumentError", "ModelFormatError", "ModelIOError", "OutOfMemoryError", "Session", "ShapeError",
           "SparseRuntimeError", "TensorInfo", "UnsupportedError", "convert", "prune", "quantize", "zoo"]

# Loaded when first used: they need onnx, and a device that only runs models does not have it.
_LAZY = {"convert": ("sparse_runtime.convert", "convert"), "prune": ("sparse_runtime.prune", None),
         "quantize": ("sparse_runtime.quantize", None), "zoo": ("sparse_runtime.zoo", None)}


def __getattr__(name):
    if name not in _LAZY:
        raise AttributeError(f"module 'sparse_runtime' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    module = importlib.import_module(module)
    value = getattr(module, attribute) if attribute else module
    globals()[name] = value
    return value
