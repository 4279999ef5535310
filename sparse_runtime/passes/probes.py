"""Input shapes at which a graph is looked at: those it is converted with, another batch, other planes.

A rewrite that depends on shapes is made only if it holds at all of them, so that the model runs at other sizes too."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from .. import _core
from ..errors import SparseRuntimeError, UnsupportedError
from ..ir import Graph, Shape, Value

Probe = dict[str, Shape]
# Sizes tried for free dimensions that nothing else is known of.
_BATCHES, _PLANES = (1, 2), (320, 224, 256, 128, 640, 96, 64, 48, 32)

_MOST = 6  # symbols of which sizes are tried besides
_STEPS = (2, 64, 128, 256)  # by which sizes are grown apart
_ELEMENTS = 1 << 25  # of all inputs: constants that follow from shapes are computed at the sizes tried


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
        if len(found) == 1:
            raise errors[0]
        raise UnsupportedError("these nodes are not supported:\n  " + "\n  ".join(found))
    return None, str(errors[0])


def spare(graph: Graph, probe: Probe) -> list[Probe]:
    """One more of the sizes tried for free dimensions, if the network takes one: for those that take none of others(),
    as one input's batch is another's time."""
    return next(([other] for other in _candidates(graph) if other != probe and takes(graph, other)), [])


def takes(graph: Graph | _core.Model, probe: Probe) -> bool:
    try:
        graph.infer(probe)
    except SparseRuntimeError:
        return False
    return True


def _candidates(graph: Graph) -> Iterator[Probe]:
    if not any(d < 0 for v in graph.inputs for d in v.dims):
        yield {v.name: v.dims for v in graph.inputs}
        return
    batches = _batches(graph)
    for only_planes in (True, False):  # other free dimensions, of time say, are as long as batches, then as planes
        for batch in _BATCHES:
            for plane in _PLANES:
                yield {
                    v.name: tuple(
                        d if d >= 0 else plane if i in planes(v) or not (only_planes or (v.name, i) in batches)
                        else batch
                        for i, d in enumerate(v.dims)
                    )
                    for v in graph.inputs
                }


def _batches(graph: Graph) -> set[tuple[str, int]]:
    """(input, axis) of what counts images: first dimensions, and those that the model calls as one of them that is
    free. Where some first dimensions are free, those that are fixed are none."""
    first = [v for v in graph.inputs if v.dims and v.dims[0] < 0] or [v for v in graph.inputs if v.dims]
    names = {v.dim_names[0] for v in first if v.dims[0] < 0 and v.dim_names and v.dim_names[0]}
    same = {(v.name, i) for v in graph.inputs for i, name in enumerate(v.dim_names) if name in names and v.dims[i] < 0}
    return same | {(v.name, 0) for v in first}


def others(graph: Graph, probe: Probe) -> list[tuple[str, Probe]]:
    """The same with another batch, and with other planes: ("batch" | "planes", shapes). Where dimensions besides those
    of the batch are free, these count as planes and no others do."""
    batches = _batches(graph)
    free = [(v.name, i) for v in graph.inputs for i, d in enumerate(v.dims) if d < 0 and (v.name, i) not in batches]
    names = {(v.name, i): name for v in graph.inputs for i, name in enumerate(v.dim_names) if name}
    order: list[object] = []
    more = {}
    for value in graph.inputs:
        axes = planes(value)
        for axis in range(len(value.dims)):
            key = (value.name, axis)
            if free and key in free:
                what = names.get(key, axis)
                order += [what] if what not in order else []
                more[key] = 64 * (order.index(what) + 1)
            elif not free and axis in axes and key not in batches:
                more[key] = 64 * (axes.index(axis) + 1)
    found = []
    for kind, grown in (("batch", dict.fromkeys(batches, 2)), ("planes", more)):
        other = {n: tuple(d + grown.get((n, i), 0) for i, d in enumerate(shape)) for n, shape in probe.items()}
        found += [(kind, other)] if other != probe else []
    return found


Symbol = tuple[tuple[str, int], ...]  # (input, axis) of the free dimensions that are one: they have one name


def _symbols(graph: Graph) -> list[Symbol]:
    found: dict[object, list[tuple[str, int]]] = {}
    for value in graph.inputs:
        names = (*value.dim_names, *("",) * len(value.dims))
        for axis, d in enumerate(value.dims):
            if d < 0:
                found.setdefault(names[axis] or (value.name, axis), []).append((value.name, axis))
    return [tuple(places) for places in found.values()]


def _sized(probe: Probe, sizes: Sequence[tuple[Symbol, int]]) -> Probe:
    """A probe with other sizes of some symbols."""
    new = {place: size for symbol, size in sizes for place in symbol}
    return {n: tuple(new.get((n, i), d) for i, d in enumerate(shape)) for n, shape in probe.items()}


def tries(graph: Graph, probe: Probe) -> list[Probe]:
    """Sizes of free dimensions to look at besides, whether the network takes them or not: what holds for a tensor that
    only fits a constant at the size converted with shows where it is 1, or as large together with another dimension.
    None where all is fixed."""
    symbols = _symbols(graph)[:_MOST]
    now = [(s, probe[s[0][0]][s[0][1]]) for s in symbols]
    large = [(s, d) for s, d in now if d > 1]
    found = [_sized(probe, [(s, 1) for s in symbols]), _sized(probe, [(s, 1) for s, _ in large])]
    for k, (s, d) in enumerate(now):
        found += [_sized(probe, [(s, size)]) for size in (1, 2 * d, d + 64)]
        # as many elements, otherwise shared out
        found += [_sized(probe, [(s, d // 2), (t, 2 * e)]) for t, e in now[:k] + now[k + 1 :] if d % 2 == 0]
    for size, step in ((224, 0), (64, 0), (61, 6), (1024, 128)):
        found.append(_sized(probe, [(s, size + step * k) for k, (s, _) in enumerate(large)]))
    most = max(_ELEMENTS, _elements(probe))
    return [p for i, p in enumerate(found) if p != probe and p not in found[:i] and _elements(p) <= most]


def _elements(probe: Probe) -> int:
    return sum(math.prod(shape) for shape in probe.values())


def apart(graph: Graph, probe: Probe) -> list[Probe]:
    """Sizes that the network takes at which free dimensions that may differ do: of different names, or of two inputs.
    Where it takes none at which all differ, those at which one of them is 1 and broadcast."""
    batches, model, found = _batches(graph), graph.model(), []
    kinds = [[s for s in _symbols(graph) if (s[0] in batches) == is_batch] for is_batch in (True, False)]
    for symbols in kinds:
        sizes = [probe[s[0][0]][s[0][1]] for s in symbols]
        if len(symbols) < 2 or any(
            takes(model, _sized(probe, [(s, d + step * (k + 1)) for k, (s, d) in enumerate(zip(symbols, sizes))]))
            for step in _STEPS
        ):
            continue
        alone = [_sized(probe, [(s, 3 if d == 1 else 1)]) for s, d in zip(symbols, sizes)]
        found += [p for p in alone if takes(model, p)]
    return found
