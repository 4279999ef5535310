"""From a model of another framework to a .spr file: import, rewrite, decide layer by layer what is stored sparse,
write."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import passes, quantize
from .errors import ArgumentError, ModelIOError
from .importers import as_onnx, import_model
from .ir import Graph, Node, Value

_SPARSE = ("auto", "always", "never")
_BLOCK_FILL = 0.9  # share of nonzeros in nonempty 2x1 blocks from which on a matrix is stored, and runs, in blocks


@dataclass
class LayerReport:
    """A layer with weights and what was decided for it."""

    name: str
    op: str
    shape: tuple[int, ...]  # of the weights
    sparsity: float  # share of exact zeros
    fill_2x1: float  # share of nonzeros in the 2x1 blocks that are not all zero
    encoding: str  # "dense", "bitmap" or "bitmap_2x1"
    reason: str
    dense_bytes: int
    stored_bytes: int


@dataclass
class ConversionReport:
    """What convert() did. `data` holds the file where no path was given."""

    model: str
    path: str | None
    sparse: str
    sparse_threshold: float
    layers: list[LayerReport]
    passes: dict[str, int]  # rewrites by pass
    free: dict[str, bool]  # "batch", "planes": whether the model also runs at other sizes than converted with
    inputs: dict[str, tuple[int, ...]]  # -1 where free
    file_bytes: int
    notes: list[str] = field(default_factory=list)
    quantization: quantize.QuantizationReport | None = None  # where converted with int8
    integers: int = 0  # operators that compute in 8 bits
    conversions: tuple[int, int] = (0, 0)  # to 8 bits, from them
    floats: dict[str, str] = field(default_factory=dict)  # beside these, nodes in float32: why
    data: bytes | None = field(default=None, repr=False)

    @property
    def sparse_layers(self) -> int:
        return sum(layer.encoding != "dense" for layer in self.layers)

    @property
    def dense_bytes(self) -> int:
        """Bytes of all these layers' weights if they were stored dense."""
        return sum(layer.dense_bytes for layer in self.layers)

    @property
    def stored_bytes(self) -> int:
        return sum(layer.stored_bytes for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """All of it but the file, as plain numbers, strings, lists and dicts."""
        found = dataclasses.asdict(dataclasses.replace(self, data=None))
        del found["data"]
        found.update(sparse_layers=self.sparse_layers, dense_bytes=self.dense_bytes, stored_bytes=self.stored_bytes)
        return found

    def __str__(self) -> str:
        head = ("layer", "op", "weights", "sparsity", "2x1 fill", "stored", "kB", "why")
        rows = [
            (
                _short(layer.name),
                layer.op,
                "x".join(map(str, layer.shape)),
                f"{layer.sparsity:.1%}",
                f"{layer.fill_2x1:.1%}",
                layer.encoding,
                f"{layer.stored_bytes / 1e3:.1f}",
                layer.reason,
            )
            for layer in self.layers
        ]
        widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [head] + rows]
        rewrites = ", ".join(f"{name} {count}" for name, count in self.passes.items() if count)
        kilobytes = [f"{n / 1e3:.1f} kB" for n in (self.dense_bytes, self.stored_bytes, self.file_bytes)]
        lines += [
            "",
            f"{self.sparse_layers} of {len(self.layers)} layers sparse (sparse={self.sparse!r}, threshold "
            f"{self.sparse_threshold:g}); weights {kilobytes[0]} dense, {kilobytes[1]} stored; file {kilobytes[2]}",
        ]
        lines += [f"rewrites: {rewrites or 'none'}"]
        fixed = [name for name, free in self.free.items() if not free]
        lines += [f"fixed by the model: size of {' and '.join(fixed)}"] if fixed else []
        if self.integers or self.floats:
            lines += [
                f"8 bits: {self.integers} operators compute in integers, {len(self.floats)} in float32; conversions: "
                f"{self.conversions[0]} to 8 bits, {self.conversions[1]} from them"
            ]
            lines += [f"  float32: {_short(name)}: {why}" for name, why in self.floats.items()]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines + (["", str(self.quantization)] if self.quantization else []))


def convert(
    model: Any,
    path: Any = None,
    *,
    sparse: Any = "auto",
    sparse_threshold: float = 0.5,
    input_shapes: Mapping[str, Sequence[int | None]] | None = None,
    prune: Any = None,
    block: Any = None,
    int8: bool = False,
    calibration: Any = None,
    calibration_method: str = "percentile",
    int8_skip: Sequence[str] = (),
    int8_min_sqnr: float | None = quantize.MIN_SQNR,
    progress: Callable[[str, int, int], None] | None = None,
    example_inputs: Any = None,
) -> ConversionReport:
    """Converts a model.

    model             path of an ONNX file, its bytes, or an onnx.ModelProto; path of a Paddle inference model (.pdmodel
                      or .json, with .pdiparams beside it); a torch.nn.Module or torch.export.ExportedProgram
    path              where to write the .spr file; None: the report's `data` holds it
    sparse            "auto" stores those convolutions (not depthwise ones) and fully connected layers sparse whose
                      share of zeros reaches the threshold, "always" all of them that have a zero, "never" none; True is
                      "auto", False "never". Sessions made without a `sparse` of their own follow it too
    sparse_threshold  share of zeros, 0 to 1
    input_shapes      {input: dims} in place of the model's own; -1 or None leaves a dimension free
    prune             share of the smallest weights of each such layer to zero first, or {layer: share}; see
                      sparse_runtime.prune
    block             (2, 1) or "2x1": prune in blocks of two output channels
    int8              quantize convolutions, fully connected layers and what lies between them; see docs/calibration.md.
                      Layers are then stored sparse by the zeros of their quantized weights
    calibration       for int8: inputs like those that the model will see; an iterable of {input name: array}, or the
                      path of an .npz file, with the samples along the first axis of one array per input, or of a folder
                      of such files
    calibration_method  how ranges are chosen: "minmax", "percentile", "entropy" or "mse"
    int8_skip         layers to keep in FP32: names or fnmatch patterns of nodes or of their results
    int8_min_sqnr     dB of signal to noise that quantization must leave at the end, going by what each layer's noise
                      is alone: the worst layers stay in FP32 until it does; None: only those named
    progress          called with (what is done, how much of it, of how much) while int8 calibrates and measures
    example_inputs    what a torch module is run on to convert it: a tensor, a tuple of forward()'s arguments, or
                      {parameter: argument}

    Raises ArgumentError, ModelFormatError, ModelIOError, UnsupportedError (naming every node that is not supported) or
    ShapeError."""
    policy = _policy(sparse)
    threshold = _threshold(sparse_threshold)
    if path is not None and not isinstance(path, (str, bytes, os.PathLike)):
        raise ArgumentError(f"path={path!r} is not a path")
    if not isinstance(int8, (bool, np.bool_)):
        raise ArgumentError(f"int8={int8!r} is neither True nor False")
    if not int8 and calibration is not None:
        raise ArgumentError("calibration data is given, but int8 is not asked for")
    if int8 and calibration is None:
        raise ArgumentError("int8 needs calibration data: inputs like those that the model will see")
    notes: list[str] = []
    label = os.fspath(model) if isinstance(model, (str, os.PathLike)) else type(model).__name__
    model = as_onnx(model, input_shapes, example_inputs)
    if prune is not None:
        from .prune import magnitude

        model = magnitude(model, ratio=prune, block=_block(block))
    elif block is not None:
        raise ArgumentError(f"block={block!r} says how to prune, but prune is not given")
    graph = import_model(model, input_shapes)
    outcome = passes.optimize(graph)
    notes += [outcome.note] if outcome.note else []
    quantization = None
    if int8:
        quantization = quantize.quantize(
            graph, calibration, calibration_method, skip=int8_skip, min_sqnr=int8_min_sqnr, progress=progress
        )
        if outcome.probes:
            passes.to_integer_operators(graph, outcome)
    layers, encodings = _decide(graph, policy, threshold)
    stored: dict[str, int] = {}
    data = graph.to_bytes(encodings, policy, stored)
    for layer, weight in layers:
        layer.stored_bytes = stored[weight]
    report = ConversionReport(
        model=label,
        path=None if path is None else os.fsdecode(path),
        sparse=policy,
        sparse_threshold=threshold,
        layers=[layer for layer, _ in layers],
        passes=outcome.counts,
        free=outcome.free,
        inputs={v.name: v.dims for v in graph.inputs},
        file_bytes=len(data),
        notes=notes,
        quantization=quantization,
        integers=sum(any(v.dtype == "quantized" for v in n.outputs + n.inputs if v) for n in graph.nodes)
        - sum(_conversions(graph)),
        conversions=_conversions(graph),
        floats=dict(graph.floats),
    )
    if path is None:
        report.data = data
    else:
        _write(report.path, data)
    return report


def _conversions(graph: Graph) -> tuple[int, int]:
    """To 8 bits, and from them."""
    ops = [node.op for node in graph.nodes]
    return ops.count("Quantize"), ops.count("Dequantize")


def _short(name: str, width: int = 48) -> str:
    """A long name without its middle."""
    return name if len(name) <= width else f"{name[: width // 2 - 2]} .. {name[len(name) - width // 2 + 2 :]}"


# ---- arguments -----------------------------------------------------------------------------------


def _policy(sparse: Any) -> str:
    if isinstance(sparse, (bool, np.bool_)):
        return "auto" if sparse else "never"
    if isinstance(sparse, str) and sparse in _SPARSE:
        return sparse
    raise ArgumentError(
        f"sparse={sparse!r} is not understood; accepted are 'auto', 'always', 'never', True (auto) and False (never)"
    )


def _threshold(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, (bool, str)) or not 0.0 <= number <= 1.0:
        raise ArgumentError(f"sparse_threshold={value!r} is not a number from 0 to 1")
    return number


def _block(block: Any) -> tuple[int, int]:
    if block is None:
        return (1, 1)
    if isinstance(block, str):
        parts = block.lower().split("x")
        if len(parts) != 2 or not all(p.isdigit() for p in parts):
            raise ArgumentError(f"block={block!r} is not of the form '2x1'")
        return int(parts[0]), int(parts[1])
    return tuple(block) if isinstance(block, (tuple, list)) else block


# Operators whose weights W may be stored sparse. In 8 bits a window of any size runs sparse.
_WEIGHTED = ("Conv", "FullyConnected", "QConv")


# ---- what is stored how --------------------------------------------------------------------------


def _decide(
    graph: Graph, policy: str, threshold: float
) -> tuple[list[tuple[LayerReport, str]], dict[str, str]]:
    """Every layer with weights and their name, and {constant: encoding} for those stored sparse. What they take in the
    file is not known yet."""
    layers, encodings = [], {}
    for node in graph.nodes:
        if node.op not in _WEIGHTED:
            continue
        weight = _stored_weights(node)
        matrix = weight.const.reshape(len(weight.const), -1) if weight.const.size else np.zeros((1, 0), np.float32)
        sparsity, fill = _measure(matrix)
        encoding, reason = _choose(node, weight, sparsity, fill, policy, threshold)
        if encoding != "dense":
            encodings[weight.name] = encoding
        layer = LayerReport(
            name=node.name,
            op=node.op,
            shape=weight.const.shape,
            sparsity=sparsity,
            fill_2x1=fill,
            encoding=encoding,
            reason=reason,
            dense_bytes=weight.const.nbytes,
            stored_bytes=0,
        )
        layers.append((layer, weight.name))
    return layers, encodings


def _stored_weights(node: Node) -> Value:
    """The constant that holds a layer's weights, which quantizing puts behind DequantizeLinear."""
    weight = node.input("W")
    if weight.is_const or weight.producer.op != "DequantizeLinear":
        return weight
    return weight.producer.input("X")


def _measure(matrix: np.ndarray) -> tuple[float, float]:
    """Share of zeros, and share of nonzeros in the nonempty 2x1 blocks of rows (0, 1), (2, 3) ...; an odd last row's
    are 1x1."""
    if not matrix.size:
        return 0.0, 1.0
    nonzero = matrix != 0
    count = int(np.count_nonzero(nonzero))
    even = len(matrix) // 2 * 2
    blocks = np.count_nonzero(nonzero[0:even:2] | nonzero[1:even:2])
    held = 2 * blocks + np.count_nonzero(nonzero[even:])
    return 1.0 - count / matrix.size, count / held if held else 1.0


def _choose(
    node: Node, weight: Value, sparsity: float, fill: float, policy: str, threshold: float
) -> tuple[str, str]:
    """Encoding and why."""
    read = node.input("W")
    shape = weight.const.shape
    if node.op in ("Conv", "QConv") and shape[1] == 1 and node["group"] > 1:
        return "dense", "depthwise layers do not run sparse"
    if node.op == "QConv" and node["w_zero"]:
        return "dense", "8 bit weights with a zero that is not 0: pruned ones do not look like zeros"
    if policy == "never":
        return "dense", "sparse='never'"
    other = next(
        (
            u
            for u in read.uses + [u for u in weight.uses if weight is not read and u is not read.producer]
            if u.op not in _WEIGHTED or u.inputs.count(read) != 1 or u.input("W") is not read
        ),
        None,
    )
    if other is not None:
        return "dense", f"node {other.name!r} reads these weights as data"
    if policy == "auto" and sparsity < threshold:
        return "dense", f"sparsity {_below(sparsity, threshold)} < threshold {threshold:g}"
    if not sparsity:
        return "dense", "no zeros"
    reason = f"sparsity {sparsity:.2f} >= threshold {threshold:g}" if policy == "auto" else "sparse='always'"
    if fill >= _BLOCK_FILL and len(weight.const) > 1:
        return "bitmap_2x1", f"{reason}, 2x1 fill {fill:.2f} >= {_BLOCK_FILL:g}"
    return "bitmap", reason


def _below(sparsity: float, threshold: float) -> str:
    """With as many digits as it takes to see that it is below."""
    for digits in range(2, 17):
        text = f"{sparsity:.{digits}f}"
        if float(text) < threshold:
            return text
    return repr(sparsity)


def _write(path: str, data: bytes) -> None:
    """Through a file beside it, so that a reader never sees half a model. What is there and not a plain file, like
    /dev/stdout, is written to and not replaced."""
    if "\0" in path:
        raise ModelIOError(f"cannot write {path!r}: a path has no zero bytes")
    target = os.path.realpath(path)
    direct = os.path.exists(target) and not os.path.isfile(target)
    part = target if direct else f"{target}.{os.getpid()}.{threading.get_ident()}.part"
    try:
        with open(part, "wb") as file:
            file.write(data)
        if not direct:
            os.replace(part, target)
    except OSError as error:
        if not direct and os.path.exists(part):
            os.unlink(part)
        raise ModelIOError(f"cannot write {path!r}: {error.strerror or error}") from None
