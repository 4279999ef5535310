"""Input shapes at which a graph is looked at: those it is converted with, another batch, other planes.

A rewrite that depends on shapes is made only if it holds at all of them, so that the model runs at other sizes too."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import SparseRuntimeError, UnsupportedError
from ..ir import Graph, Shape, Value

Probe = dict[str, Shape]
# Sizes tried for free dimensions that nothing else is known of.
_BATCHES, _PLANES = (1, 2), (320, 224, 256, 128, 640, 96, 64, 48, 32)


def planes(value: Value) -> tuple[int, ...]:
    """The spatial axes of an input: of [N, C, ...], or of [N, H, W, C] where the last dimension looks like colours."""
    rank, dims = len(value.dims), value.dims
    if rank == 4 and 0 < dims[3] <= 4 and not 0 < dims[1] <= 4:
        return (1, 2)
    return tuple(range(2, rank))


def base(graph: Graph) -> tuple[Probe | None, str]:
    """The shapes to convert with, free dimensions filled in by sizes that the network takes; or None, and why. Raises
    UnsupportedError for all nodes that are not supported at any size."""
    errors = []
    for probe in _candidates(graph):
        try:
            graph.infer(probe)
        except SparseRuntimeError as error:
            errors.append(error)
            continue
        return probe, ""
    if all(isinstance(error, UnsupportedError) for error in errors):
        found = graph.unsupported(next(_candidates(graph)))
        raise UnsupportedError("these nodes are not supported:\n  " + "\n  ".join(found)) if len(found) > 1 else errors[0]
    return None, str(errors[0])


def _candidates(graph: Graph) -> Iterator[Probe]:
    if not any(d < 0 for v in graph.inputs for d in v.dims):
        yield {v.name: v.dims for v in graph.inputs}
        return
    for batch in _BATCHES:
        for plane in _PLANES:
            yield {
                v.name: tuple(d if d >= 0 else (plane if i in planes(v) else batch) for i, d in enumerate(v.dims))
                for v in graph.inputs
            }


def others(graph: Graph, probe: Probe) -> list[tuple[str, Probe]]:
    """The same with another batch, and with other planes: ("batch" | "planes", shapes)."""
    batch = {v.name: tuple(d + 2 if i == 0 else d for i, d in enumerate(probe[v.name])) for v in graph.inputs}
    plane = {}
    for value in graph.inputs:
        axes = planes(value)
        plane[value.name] = tuple(
            d + 64 * (axes.index(i) + 1) if i in axes else d for i, d in enumerate(probe[value.name])
        )
    return [(name, other) for name, other in (("batch", batch), ("planes", plane)) if other != probe]
