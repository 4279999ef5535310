"""Operators that a model defines itself, and those that ONNX defines by other operators (Attention, AffineGrid ...),
replaced by their definitions."""

from __future__ import annotations

import onnx
from onnx import inliner

from ...errors import ModelFormatError
from .reader import Source, opset
from .registry import supported_ops

_ROUNDS = 4  # definitions may use operators that are defined by others in turn


def inline_functions(source: Source) -> None:
    """Raises ModelFormatError where the model's own functions are not well formed."""
    if source.model.functions:
        try:
            source.model = inliner.inline_local_functions(source.model)
        except Exception as error:
            raise ModelFormatError(f"{source.label}: its functions cannot be inlined: {error}") from None
    version = opset(source)
    for _ in range(_ROUNDS):
        names = sorted({node.op_type for node in source.model.graph.node if node.domain in ("", "ai.onnx")})
        unknown = [n for n in names if n not in supported_ops() and onnx.defs.has(n, version, "")]
        schemas = {n: onnx.defs.get_schema(n, version, "") for n in unknown}
        schemas = {n: s for n, s in schemas.items() if s.has_function or s.has_context_dependent_function}
        if not schemas:
            return
        try:
            source.model = _spelled_out(source.model, schemas)
        except Exception:  # what it cannot do is reported as the operator that it is
            return


def _spelled_out(model: onnx.ModelProto, schemas: dict[str, onnx.defs.OpSchema]) -> onnx.ModelProto:
    """`model` without the operators of `schemas`."""
    full = onnx.ModelProto()
    full.CopyFrom(model)
    for node in full.graph.node:  # the inliner does not know of attributes' defaults
        schema = schemas.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        given = {a.name for a in node.attribute}
        for name, attribute in schema.attributes.items() if schema else ():
            if name not in given and attribute.default_value.type:
                node.attribute.append(attribute.default_value)
    return inliner.inline_selected_functions(full, [("", name) for name in schemas], inline_schema_functions=True)
