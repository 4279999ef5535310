"""ONNX models to the IR.

Each operator is one function under ops/, registered by @op("Name"), that says by which IR nodes it is expressed in
every form it has had since opset 7. What an operator means is what the ONNX specification says; exporters' habits are
the passes' business."""

from .importer import import_model
from .registry import supported_ops

__all__ = ["import_model", "supported_ops"]
