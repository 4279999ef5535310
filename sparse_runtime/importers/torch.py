"""torch modules by way of torch.onnx."""

from __future__ import annotations

import importlib.util
import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import onnx
import torch
from onnx import numpy_helper

from ..errors import ArgumentError, UnsupportedError
from .torch_recurrent import whole

OPSET = 18  # torch's own; it would convert to others afterwards

_Module = "torch.nn.Module | torch.export.ExportedProgram"


def to_onnx(module: _Module, example_inputs: Any, input_shapes: Any = None) -> onnx.ModelProto:
    """The module in evaluation mode, pruned weights (torch.nn.utils.prune) as plain ones with zeros.

    `example_inputs`: a tensor, a tuple or list of forward()'s arguments, or {parameter of forward(): argument}; an
    ExportedProgram may go without. Dimensions have the examples' sizes where `input_shapes` does not say otherwise.
    Raises ArgumentError for examples that the module does not take, and UnsupportedError where torch.onnx fails."""
    if importlib.util.find_spec("onnxscript") is None:
        raise ArgumentError(
            "torch.onnx needs onnxscript, which cannot be imported: pip install 'sparse-runtime[torch]'"
        )
    name = type(module).__name__
    if isinstance(module, torch.export.ExportedProgram):
        if example_inputs is not None:
            raise ArgumentError("a torch.export.ExportedProgram has its inputs already: leave out example_inputs")
        return _export(name, module)[0]
    inputs = _inputs(module, example_inputs)
    free = _free(inputs, input_shapes or {})
    inputs = {key: _ample(value, free.get(key, ())) for key, value in inputs.items()}
    with _evaluating(module), torch.no_grad():
        try:
            module(**inputs)
        except Exception as error:
            raise ArgumentError(f"{name} does not take example_inputs ({_described(inputs)}): {error}") from error
        dynamic = {key: {d: torch.export.Dim.AUTO for d in free[key]} if key in free else None for key in inputs}
        model, single = _export(name, module, kwargs=inputs, dynamic_shapes=dynamic if free else None)
    for info in model.graph.input:
        dims = info.type.tensor_type.shape.dim
        fixed = {d: dims[d].dim_value or single.get(dims[d].dim_param) for d in free.get(info.name, ())}
        sizes = ", ".join(f"{d} (at {size})" for d, size in fixed.items() if size)
        if sizes:
            raise ArgumentError(f"input_shapes frees or changes dimensions of {info.name!r} that {name} fixes: {sizes}")
    return model


def _inputs(module: torch.nn.Module, examples: Any) -> dict[str, Any]:
    """forward()'s arguments by name."""
    if examples is None:
        raise ArgumentError(
            f"a torch module ({type(module).__name__}) is converted by running it: give example_inputs, a tensor, a "
            "tuple of forward()'s arguments or {parameter: argument}"
        )
    if isinstance(examples, torch.Tensor):
        examples = (examples,)
    try:
        signature = inspect.signature(module.forward)
        if isinstance(examples, Mapping):
            return dict(signature.bind(**examples).arguments)
        bound = signature.bind(*examples).arguments
    except TypeError as error:
        raise ArgumentError(f"example_inputs do not fit {type(module).__name__}.forward{signature}: {error}") from None
    several = [p for p in bound if signature.parameters[p].kind is inspect.Parameter.VAR_POSITIONAL]
    if several:
        raise UnsupportedError(f"{type(module).__name__}.forward{signature}: parameters like *{several[0]}")
    return dict(bound)


def _free(inputs: Mapping[str, Any], shapes: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """{input: its dimensions that are to be free, or of other sizes than the example's}."""
    unknown = sorted(set(shapes) - {key for key, value in inputs.items() if isinstance(value, torch.Tensor)})
    if unknown:
        raise ArgumentError(
            f"input_shapes names {', '.join(map(repr, unknown))}; the inputs are: {_described(inputs)}"
        )
    found = {}
    for key, shape in shapes.items():
        if len(shape) != inputs[key].dim():
            rank = inputs[key].dim()
            raise ArgumentError(f"input_shapes gives {key!r} {len(shape)} dimensions; its example has {rank}")
        found[key] = tuple(d for d, size in enumerate(shape) if size != inputs[key].shape[d])
    return {key: dims for key, dims in found.items() if dims}


def _ample(value: Any, free: tuple[int, ...]) -> Any:
    """An example with at least two of everything along free dimensions: torch.export takes one for one for ever."""
    for d in free:
        if value.shape[d] == 1:
            value = torch.cat((value, value), d)
    return value


def _described(inputs: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {list(value.shape)} {value.dtype}" if isinstance(value, torch.Tensor) else f"{key} {value!r}"
        for key, value in inputs.items()
    )


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode; afterwards every part is in the mode it was in."""
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
    except NotImplementedError:  # an exported module, as those of pt2e: it is in the mode it was exported in
        pass
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def _export(name: str, module: _Module, **options: Any) -> tuple[onnx.ModelProto, dict[str, int]]:
    """The model, and those of its symbolic dimensions that can have one size only."""
    from onnxscript import optimizer

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on what the exporter uses of torch
            with whole(module) as table:
                program = torch.onnx.export(
                    module,
                    dynamo=True,
                    opset_version=OPSET,
                    verbose=False,
                    optimize=False,
                    custom_translation_table=table,
                    **options,
                )
            model = program.model_proto
            _apply_masks(model.graph)  # before optimizing, which gives their products names of its own, or leaves them
            model = optimizer.optimize(model)
    except Exception as error:
        causes = [str(e).strip().splitlines()[0] for e in (error, error.__cause__) if e is not None and str(e).strip()]
        raise UnsupportedError(f"torch.onnx cannot export {name}: {': '.join(causes)}") from error
    model.graph.name = name
    _name_layers(model.graph)
    ranges = program.exported_program.range_constraints
    return model, {str(symbol): int(r.lower) for symbol, r in ranges.items() if r.lower == r.upper}


def _apply_masks(graph: onnx.GraphProto) -> None:
    """Products of two stored tensors become stored ones, NAME_orig * NAME_mask by the name of NAME."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    returned = {info.name for info in graph.output}
    used = {name for node in graph.node for name in node.input} | returned
    kept, names = [], {}
    for node in graph.node:
        if node.op_type == "Mul" and all(name in stored for name in node.input):
            a, b = (numpy_helper.to_array(stored[name]) for name in node.input)
            name = node.output[0]
            plain = next((i.removesuffix("_orig") for i in node.input if i.endswith("_orig")), name)
            if name not in returned and plain not in used:  # else the name is another tensor's
                names[name] = plain
                name = plain
            stored[name] = numpy_helper.from_array(a * b, name)
        else:
            node.input[:] = [names.get(name, name) for name in node.input]
            kept.append(node)
    used = {name for node in kept for name in node.input} | returned
    left = [tensor for name, tensor in stored.items() if name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(left)


def _name_layers(graph: onnx.GraphProto) -> None:
    """Layers are called as the modules whose weights they have, features.0.conv."""
    taken = {node.name for node in graph.node}
    for node in graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul") or not node.input[1].endswith(".weight"):
            continue
        path = node.input[1].removesuffix(".weight")
        if path not in taken:  # modules may be used several times
            node.name = path
            taken.add(path)
