"""What quantization does to a network: the error of each layer alone, of all together, and which layers to leave in
FP32 because of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..ir import Graph, Node, Value
from ..session import Session
from ..table import Column, Table, number
from . import feeds as feeds_of
from .choose import LAYERS, choose, data, same_scale
from .collect import Progress, Ranges, _counter, calibrate, graph_of
from .qdq import Plan, apply, plan

MIN_SQNR = 10.0
_FEEDS = 4  # that errors are measured on, spread over those of the calibration


@dataclass(frozen=True)
class Error:
    """Of an output quantized against FP32. sqnr: signal to quantization noise in dB, None where there is no noise;
    cosine: of the angle between them."""

    cosine: float
    sqnr: float | None

    @property
    def order(self) -> float:
        return math.inf if self.sqnr is None else self.sqnr


@dataclass(frozen=True)
class LayerError:
    """A node and the error that quantizing it alone adds: to its own result (cosine, sqnr), and where the network
    leaves INT8 for good or for a while (output_*, of the worst such tensor). None where nothing was measured."""

    name: str
    op: str
    int8: bool
    reason: str  # why not
    cosine: float | None = None
    sqnr: float | None = None
    output_cosine: float | None = None
    output_sqnr: float | None = None


_COLUMNS = [
    Column("name", "layer", left=True, shrink=14),
    Column("op", "op", left=True),
    Column("runs", "runs", left=True),
    Column("cosine", "cosine", number(5)),
    Column("sqnr", "SQNR dB", number(1)),
    Column("output_cosine", "cosine at the end", number(5)),
    Column("output_sqnr", "SQNR at the end", number(1)),
    Column("reason", "why FP32", left=True, wrap=30),
]


@dataclass
class QuantizationReport:
    """Which layers are INT8 and what that costs; printing it gives a table. `output_*`: of all of them together."""

    method: str
    feeds: int
    min_sqnr: float | None
    layers: list[LayerError] = field(default_factory=list)
    output_cosine: float | None = None
    output_sqnr: float | None = None

    @property
    def skipped(self) -> list[str]:
        """Layers left in FP32."""
        return [layer.name for layer in self.layers if not layer.int8]

    def table(self) -> Table:
        rows = [
            {**vars(layer), "runs": "INT8" if layer.int8 else "FP32", "style": None if layer.int8 else "yellow"}
            for layer in self.layers
        ]
        count = sum(layer.int8 for layer in self.layers)
        together = "without error" if self.output_sqnr is None else f"SQNR {self.output_sqnr:.1f} dB"
        if self.output_cosine is not None:
            together += f", cosine {self.output_cosine:.5f}"
        limit = (
            ""
            if self.min_sqnr is None
            else f"; the worst stay FP32 where their noise leaves less than {self.min_sqnr:g} dB"
        )
        notes = [
            "",
            f"{count} of {len(rows)} layers INT8, calibrated by {self.method} on {self.feeds} feeds{limit}",
            f"all together at the end: {together}",
        ]
        return Table(_COLUMNS, rows, notes)

    def __str__(self) -> str:
        return self.table().plain(140)


def report(
    model: Any,
    feeds: Any,
    method: str = "percentile",
    *,
    ranges: Ranges | None = None,
    skip: Sequence[str] = (),
    min_sqnr: float | None = MIN_SQNR,
    symmetric: bool = False,
    percentile: float = 99.99,
    input_shapes: Mapping[str, Sequence[int | None]] | None = None,
    progress: Progress = None,
) -> QuantizationReport:
    """What quantizing a model would do, as quantize() does it; arguments as there and for calibrate(). `ranges`: those
    of an earlier calibration, instead of another one."""
    graph = graph_of(model, input_shapes).clone()
    return quantize(
        graph, feeds, method, ranges=ranges, skip=skip, min_sqnr=min_sqnr, symmetric=symmetric, percentile=percentile,
        progress=progress,
    )  # fmt: skip


def quantize(
    graph: Graph,
    feeds: Any,
    method: str = "percentile",
    *,
    ranges: Ranges | None = None,
    skip: Sequence[str] = (),
    min_sqnr: float | None = MIN_SQNR,
    symmetric: bool = False,
    percentile: float = 99.99,
    progress: Progress = None,
) -> QuantizationReport:
    """Calibrates a graph, measures what each layer's quantization costs, and rewrites it in place to QDQ form.

    skip      nodes to leave in FP32: names or fnmatch patterns of nodes or of their results
    min_sqnr  where the network leaves INT8, the noise of all layers may leave so many dB of signal to noise, taken as
              the sum of what each adds alone: the worst layers stay FP32 until it does; None keeps all that are not
              named
    progress  called with (what is done, how much of it, of how much)"""
    _check_limit(min_sqnr)
    if any(
        v.producer is not None and v.producer.op == "DequantizeLinear"
        for n in graph.nodes
        if n.op in LAYERS
        for v in data(n)
    ):
        raise ArgumentError("the model is quantized already: convert it without int8")
    choose(graph, skip)  # names that do not exist, before it takes time
    checked = feeds_of.check(graph, feeds)
    if ranges is None:
        ranges = calibrate(graph, checked, method, percentile=percentile, progress=progress)
    made = plan(graph, ranges, skip, symmetric)
    measured = _Measured(graph, made, checked[:: -(-len(checked) // _FEEDS)])
    computing = [node for node in made.choice.nodes if not same_scale(node)]
    step = _counter(progress, "measuring", len(computing))
    errors, reasons = {}, dict(made.choice.skipped)
    for node in computing:
        errors[node.output.name] = measured.alone(node)
        step()
    sensitive = _too_much({name: end.order for name, (_, end) in errors.items()}, min_sqnr)
    for node in computing:
        if node.output.name in sensitive:
            reasons[node.name] = f"{errors[node.output.name][1].order:.1f} dB at the end, all may leave {min_sqnr:g}"
    if sensitive:
        made = plan(graph, ranges, [*([skip] if isinstance(skip, str) else skip), *map(_literal, sensitive)], symmetric)
    result = QuantizationReport(method, len(checked), min_sqnr)
    chosen = set(made.choice.nodes)
    for node in graph.nodes:
        if node in chosen and not same_scale(node) or node.name in reasons:
            own, end = errors.get(node.output.name, (None, None))
            result.layers.append(
                LayerError(
                    node.name,
                    node.op,
                    node in chosen,
                    "" if node in chosen else reasons[node.name],
                    *((own.cosine, own.sqnr, end.cosine, end.sqnr) if own else ()),
                )  # fmt: skip
            )
    if chosen:
        total = _Measured(graph, made, measured.feeds).together()
        result.output_cosine, result.output_sqnr = total.cosine, total.sqnr
    apply(graph, made)
    return result


def _too_much(sqnr: Mapping[str, float], least: float | None) -> list[str]:
    """The fewest, worst first, without which the noise of the rest adds up to no more than `least` dB leave."""
    order = sorted(sqnr, key=lambda name: sqnr[name])
    noise = [math.inf if sqnr[name] == -math.inf else 10 ** (-sqnr[name] / 10) for name in order]
    count = 0
    while least is not None and math.fsum(noise[count:]) > 10 ** (-least / 10):
        count += 1
    return order[:count]


def _literal(name: str) -> str:
    """A pattern that matches just this name."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _check_limit(min_sqnr: float | None) -> None:
    if min_sqnr is not None and not (isinstance(min_sqnr, (int, float)) and math.isfinite(min_sqnr)):
        raise ArgumentError(f"min_sqnr={min_sqnr!r} is no number of dB")


class _Measured:
    """A graph's FP32 values, and those of it quantized in parts."""

    def __init__(self, graph: Graph, made: Plan, feeds: Sequence[feeds_of.Feed]):
        self.graph, self.plan, self.feeds = graph, made, feeds
        chosen = set(made.choice.nodes)
        self.ends = [
            v
            for node in made.choice.nodes
            for v in node.outputs
            if v in graph.outputs or any(user not in chosen for user in v.uses)
        ]
        own = [node.output for node in made.choice.nodes if not same_scale(node)]
        kept = list(dict.fromkeys(own + self.ends))
        self.float = dict(zip((v.name for v in kept), self._run(graph, kept))) if kept else {}

    def _run(self, graph: Graph, values: Sequence[Value]) -> list[list[np.ndarray]]:
        """One list per value, of its contents with each feed."""
        session = Session(graph.upto(values).to_bytes())
        return [list(several) for several in zip(*(session.run(None, feed) for feed in self.feeds))]

    def _errors(self, part: Plan, values: Sequence[Value]) -> list[Error]:
        """Of values with a part of the plan applied. Those that become int8 are looked at behind that."""
        trial = self.graph.clone()
        apply(trial, part)
        named = {v.name: v for v in trial.values()}
        int8 = {v.name for v in part.choice.tensors if v.producer in part.choice.nodes}
        looked = [named[f"{v.name}/dequantized" if v.name in int8 else v.name] for v in values]
        return [error(self.float[v.name], actual) for v, actual in zip(values, self._run(trial, looked))]

    def alone(self, node: Node) -> tuple[Error, Error]:
        """Of a node's result and, the worst, where INT8 ends, if nothing else is quantized."""
        part = self.plan.only(node)
        own, *ends = self._errors(part, list(dict.fromkeys([node.output, *self.ends])))
        return own, min(ends or [own], key=lambda e: e.order)

    def together(self) -> Error:
        return min(self._errors(self.plan, self.ends), key=lambda e: e.order)


def error(reference: Iterable[np.ndarray], actual: Iterable[np.ndarray]) -> Error:
    """Of arrays, taken as one long vector, against others."""
    signal = noise = power = dot = 0.0
    for a, b in zip(reference, actual):
        x, y = a.reshape(-1).astype(np.float64), b.reshape(-1).astype(np.float64)
        signal, noise = signal + x @ x, noise + (x - y) @ (x - y)
        power, dot = power + y @ y, dot + x @ y
    if not noise:
        return Error(1.0, None)
    if not signal:
        return Error(0.0, -math.inf)
    return Error(float(dot / math.sqrt(signal * power)) if power else 0.0, 10 * math.log10(signal / noise))
