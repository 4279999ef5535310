"""Calibration: what values the tensors of a network take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Dict, Optional

import numpy as np

from .. import passes
from ..errors import ArgumentError
from ..importers import import_model
from ..ir import Graph, Value
from ..session import Session
from . import feeds as feeds_of
from .choose import choose
from .numbers import Range
from .thresholds import Histogram, check_method, threshold

Ranges = Dict[str, Range]
Progress = Optional[Callable[[str, int, int], None]]  # called with what is done, how much of it, of how much


def graph_of(model: Any, input_shapes: Mapping[str, Sequence[int | None]] | None = None) -> Graph:
    """The graph that convert() makes of a model, before it is quantized; a Graph, rewritten already, is taken as it
    is."""
    if isinstance(model, Graph):
        return model
    graph = import_model(model, input_shapes)
    passes.optimize(graph)
    return graph


def calibrate(
    model: Any,
    feeds: Any,
    method: str = "percentile",
    *,
    percentile: float = 99.99,
    input_shapes: Mapping[str, Sequence[int | None]] | None = None,
    progress: Progress = None,
) -> Ranges:
    """{tensor: Range} of every tensor that would be quantized.

    model       path of an ONNX file, its bytes, an onnx.ModelProto, or a Graph that passes.optimize has been through
    feeds       iterable of {input name: array}, or the path of an .npz file or a folder of them
    method      "minmax", "percentile", "entropy" or "mse"; see thresholds.py
    percentile  share of the values, in percent, that the method of this name keeps

    The network runs twice over the feeds in FP32, for the ends of each tensor and, but for "minmax", for a histogram
    between them. Tensors have the names of the ONNX model where they are the same there. Raises ArgumentError for feeds
    that do not fit, and where a tensor is not finite."""
    check_method(method, percentile)
    graph = graph_of(model, input_shapes)
    checked = feeds_of.check(graph, feeds)
    tensors = choose(graph).tensors
    if not tensors:
        raise ArgumentError("nothing to quantize: no convolution and no fully connected layer with constant weights")
    rounds = 1 if method == "minmax" else 2
    step = _counter(progress, "calibrating", rounds * len(checked))
    ends: dict[str, tuple[float, float]] = {}
    sums: dict[str, tuple[np.ndarray, int]] = {}
    for i, (name, x) in _values(graph, tensors, checked, step):
        low, high = float(x.min()), float(x.max())
        if not np.isfinite(low + high):
            raise ArgumentError(f"tensor {name!r} is not finite with calibration feed {i}: it has no range")
        before = ends.get(name, (low, high))
        ends[name] = (min(low, before[0]), max(high, before[1]))
        total, count = sums.get(name, (0.0, 0))
        axis = 1 if x.ndim == 4 else x.ndim - 1
        others = tuple(i for i in range(x.ndim) if i != axis)
        sums[name] = (
            (total + x.sum(axis=others, dtype=np.float64), count + x.size // x.shape[axis]) if x.ndim else (0.0, 1)
        )
    histograms = {name: Histogram(*pair) for name, pair in ends.items()}
    if rounds == 2:
        for _, (name, x) in _values(graph, tensors, checked, step):
            histograms[name].add(x)
    found = {name: threshold(method, histogram, percentile) for name, histogram in histograms.items()}
    return {name: replace(r, mean=tuple(np.atleast_1d(sums[name][0] / sums[name][1]))) for name, r in found.items()}


def _values(graph: Graph, tensors: Sequence[Value], feeds: Sequence[feeds_of.Feed], step: Callable[[], None]):
    """(number of the feed, (tensor, array)) for every feed and every tensor that is not empty."""
    made = [v for v in tensors if v.producer is not None]
    session = Session(graph.upto(made).to_bytes()) if made else None
    for i, feed in enumerate(feeds):
        arrays = session.run(None, feed) if session else []
        for value, array in [*zip(made, arrays), *((v, feed[v.name]) for v in tensors if v.producer is None)]:
            if array.size:
                yield i, (value.name, array)
        step()


def _counter(progress: Progress, what: str, total: int) -> Callable[[], None]:
    """A function that tells of one more."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(what, done, total)

    return step
