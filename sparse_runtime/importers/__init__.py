"""From models of other frameworks to the IR. Paddle's and torch's come by way of ONNX.

Nothing is imported before it is needed: what a file is called can be asked without onnx, too."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError

if TYPE_CHECKING:
    from ..ir import Graph

_PADDLE = (".pdmodel", ".json")
SUFFIXES = (".onnx", *_PADDLE)  # of the files that convert() reads


def is_convertible(path: Any) -> bool:
    """Whether a file is by its name a model of another framework."""
    return os.fspath(path).lower().endswith(SUFFIXES)


def as_onnx(model: Any, input_shapes: Any = None, example_inputs: Any = None) -> Any:
    """A Paddle file or a torch module as an onnx.ModelProto; what the ONNX importer reads itself stays as it is.

    `input_shapes` and `example_inputs` are those of convert()."""
    if isinstance(model, (str, os.PathLike)) and os.fspath(model).lower().endswith(_PADDLE):
        from . import paddle

        converted = paddle.to_onnx(os.fspath(model))
    elif _is_torch(model):
        from . import torch

        return torch.to_onnx(model, example_inputs, input_shapes)
    else:
        converted = model
    if example_inputs is not None:
        raise ArgumentError("example_inputs are for torch modules; files say what their inputs are")
    return converted


def import_model(model: Any, input_shapes: Any = None) -> Graph:
    """An ONNX model (path, bytes or onnx.ModelProto) as a Graph; see onnx.import_model."""
    from .onnx import import_model as import_onnx

    return import_onnx(model, input_shapes)


def _is_torch(model: Any) -> bool:
    torch = sys.modules.get("torch")  # not imported yet: then this is none of its modules
    return torch is not None and isinstance(model, (torch.nn.Module, torch.export.ExportedProgram))
