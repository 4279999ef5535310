"""Rewrites of the IR that keep its meaning: one file each, in the order in which they are run.

Every pass has `run(graph) -> int`, the number of rewrites it made, and needs the graph annotated (passes/probes.py
tells at which shapes). Meaning is ONNX's: a pass checks constants, users, ranks and broadcasting before it touches
anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Callable

from ..ir import Graph
from . import (
    fold_affine,
    fold_pad,
    free_shapes,
    fuse_activation,
    fuse_functions,
    fuse_global_pool,
    fuse_residual,
    fuse_shuffle,
    late,
    move_integers,
    move_transposes,
    probes,
    remove_noops,
    to_integers,
)

# name -> pass; what one makes possible comes behind it. The first group makes the graph independent of the sizes it
# was exported with, the second is repeated until nothing changes, the third is run once.
_FIRST: dict[str, Callable[[Graph], int]] = {
    "remove_noops": remove_noops.run,
    "move_integers": move_integers.run,
    "fuse_shuffle": fuse_shuffle.run,
}
_REPEATED: dict[str, Callable[[Graph], int]] = {
    "remove_noops": remove_noops.run,
    "fuse_functions": fuse_functions.run,
    "move_transposes": move_transposes.run,
    "fold_pad": fold_pad.run,
    "fuse_global_pool": fuse_global_pool.run,
    "fold_affine": fold_affine.run,
    "fuse_residual": fuse_residual.run,
}
_THEN: dict[str, Callable[[Graph], int]] = {"fuse_activation": fuse_activation.run}
_LAST: dict[str, Callable[[Graph], int]] = {
    "move_integers": move_integers.run,
    "fuse_shuffle": fuse_shuffle.run,
    "to_integers": to_integers.run,
}
NAMES = tuple(dict.fromkeys([*_FIRST, "free_shapes", *_REPEATED, *_THEN, *_LAST]))
_ROUNDS = 12


@dataclass
class Outcome:
    """What the passes did. `free`: for "batch" and "planes", whether the graph also takes another size."""

    counts: dict[str, int] = field(default_factory=dict)
    free: dict[str, bool] = field(default_factory=dict)
    probe: probes.Probe | None = None  # the shapes looked at first
    probes: list[probes.Probe] = field(default_factory=list)  # all shapes that the graph is known to take
    tries: list[probes.Probe] = field(default_factory=list)  # sizes that the model leaves free, taken or not
    note: str = ""  # why passes were left out


def optimize(graph: Graph, names: Sequence[str] | None = None) -> Outcome:
    """Runs the passes (all, or those named) on a graph in place."""
    outcome = Outcome()
    outcome.probe, reason = probes.base(graph)
    if outcome.probe is None:
        if not any(d < 0 for v in graph.inputs for d in v.dims):
            graph.infer({})  # raises: these shapes are the model's own
        outcome.note = (
            f"no passes were run: give input_shapes, as no sizes were found that the network takes ({reason})"
        )
        return outcome
    tail = late.Late(graph, outcome.probe)
    if not graph.outputs:  # all is late
        tail.attach(graph)
        return outcome
    wanted = NAMES if names is None else tuple(names)
    others = probes.others(graph, outcome.probe)
    fitting = [probe for _, probe in others if probes.takes(graph, probe)]
    spare = [] if fitting else probes.spare(graph, outcome.probe)
    outcome.tries = probes.tries(graph, outcome.probe)
    graph.annotate([outcome.probe, *fitting, *spare], outcome.tries)
    _run(graph, _FIRST, wanted, outcome)
    if "free_shapes" in wanted:
        _free_shapes(graph, outcome, others)
    spare += probes.apart(graph, outcome.probe)
    usable = [outcome.probe]
    for name, probe in others:
        outcome.free[name] = probes.takes(graph, probe)
        usable += [probe] if outcome.free[name] else []
    usable += [probe for probe in spare if probes.takes(graph, probe)]
    for _ in range(_ROUNDS):
        graph.annotate(usable, outcome.tries)
        if not (_run(graph, _REPEATED, wanted, outcome) or _run(graph, _THEN, wanted, outcome)):
            break
    tail.attach(graph)
    for name, probe in others if tail.nodes else ():
        outcome.free[name] = outcome.free[name] and probes.takes(graph, probe)
    usable = [outcome.probe] + [probe for name, probe in others if outcome.free[name]]
    usable += [probe for probe in spare if probes.takes(graph, probe)]
    outcome.probes = usable
    to_integer_operators(graph, outcome, wanted)
    return outcome


def to_integer_operators(graph: Graph, outcome: Outcome, wanted: Sequence[str] = NAMES) -> None:
    """What comes last; for a graph that was quantized after `optimize`, what remains to be done."""
    graph.annotate(outcome.probes, outcome.tries)
    if _run(graph, _LAST, wanted, outcome):
        graph.annotate(outcome.probes)


def _free_shapes(graph: Graph, outcome: Outcome, others: Sequence[tuple[str, probes.Probe]]) -> None:
    """Frees the sizes that can be freed altogether: a model that ends up with a fixed size anyway keeps its simple
    constants."""
    for wanted in ([p for _, p in others], *([p] for _, p in others)):
        trial = graph.clone()
        count = free_shapes.run(trial, [outcome.probe] + wanted, outcome.tries)
        if all(probes.takes(trial, probe) for probe in wanted):
            graph.adopt(trial)
            _add(outcome, "free_shapes", count)
            return


def _run(graph: Graph, passes: Mapping[str, Callable[[Graph], int]], wanted: Sequence[str], outcome: Outcome) -> int:
    return sum(_add(outcome, name, run(graph)) for name, run in passes.items() if name in wanted)


def _add(outcome: Outcome, name: str, number: int) -> int:
    outcome.counts[name] = outcome.counts.get(name, 0) + number
    return number
