"""Rewrites of the IR that keep its meaning: one file each, in the order in which they are run.

Every pass has `run(graph) -> int`, the number of rewrites it made, and needs the graph annotated (passes/probes.py tells at which
shapes). Meaning is ONNX's: a pass checks constants, users, ranks and broadcasting before it touches anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Optional, Sequence, Tuple

from ..errors import SparseRuntimeError
from ..ir import Graph
from . import (fold_affine, fold_pad, free_shapes, fuse_activation, fuse_functions, fuse_global_pool, fuse_residual, fuse_shuffle,
               move_transposes, probes, remove_noops)

# name -> pass; what one makes possible comes behind it.
PASSES = {
    "remove_noops": remove_noops.run,
    "fuse_functions": fuse_functions.run,
    "move_transposes": move_transposes.run,
    "fold_pad": fold_pad.run,
    "fuse_global_pool": fuse_global_pool.run,
    "fold_affine": fold_affine.run,
    "fuse_shuffle": fuse_shuffle.run,
    "fuse_residual": fuse_residual.run,
    "fuse_activation": fuse_activation.run,
}
_ROUNDS = 4  # until nothing changes, which in practice is after the second


@dataclass
class Outcome:
    """What the passes did. `free`: for "batch" and "planes", whether the graph also takes another size."""

    counts: Dict[str, int] = field(default_factory=dict)
    free: Dict[str, bool] = field(default_factory=dict)
    probe: Optional[probes.Probe] = None  # the shapes looked at first
    note: str = ""  # why passes were left out


def optimize(graph: Graph, names: Optional[Sequence[str]] = None) -> Outcome:
    """Runs the passes (all, or those named) on a graph in place."""
    outcome = Outcome()
    outcome.probe, reason = probes.base(graph)
    if outcome.probe is None:
        if not any(d < 0 for v in graph.inputs for d in v.dims):
            graph.infer({})  # raises: these shapes are the model's own
        outcome.note = f"no passes were run: give input_shapes, as no sizes were found that the network takes ({reason})"
        return outcome
    wanted = list(PASSES) + ["free_shapes"] if names is None else list(names)
    others = probes.others(graph, outcome.probe)
    usable = [outcome.probe]
    for turn in range(_ROUNDS):
        graph.annotate(usable)
        changed = 0
        for name, run in PASSES.items():
            if name in wanted:
                changed += _count(outcome, name, run(graph))
                graph.check()
        if turn == 0 and "free_shapes" in wanted:
            changed += _count(outcome, "free_shapes", free_shapes.run(graph, [outcome.probe] + [p for _, p in others]))
            graph.check()
        if not changed:
            break
    outcome.free, usable = _usable(graph, outcome.probe, others)
    graph.annotate(usable)
    return outcome


def _count(outcome: Outcome, name: str, number: int) -> int:
    outcome.counts[name] = outcome.counts.get(name, 0) + number
    return number


def _usable(graph: Graph, base: probes.Probe, others: Sequence[Tuple[str, probes.Probe]]):
    free, usable = {}, [base]
    for name, probe in others:
        try:
            graph.infer(probe)
        except SparseRuntimeError:
            free[name] = False
        else:
            free[name] = True
            usable.append(probe)
    return free, usable
