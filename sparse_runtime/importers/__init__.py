"""From model files of other frameworks to the IR."""

from .onnx import import_model

__all__ = ["import_model"]
