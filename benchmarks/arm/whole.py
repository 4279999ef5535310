"""Cycles of whole networks: one run of a session, inputs and outputs in place, through spr-bench."""

from __future__ import annotations

from pathlib import Path

import sparse_runtime as sr

from .. import variants
from . import armcycles

NETWORKS = {
    "mobilenet_v1": ("dense", "75", "85", "90", "75-2x1", "85-2x1"),
    "picodet_m": ("dense", "75", "85", "90", "75-2x1", "85-2x1"),
}


def network(keys, isa, name, variant, folder, budget):
    """One row: a network in one variant. The dense form runs with dense kernels only: our best dense."""
    path = Path(folder, f"{name}-{variant}.spr")
    if not path.exists():
        sr.convert(variants.build(name, variants.VARIANTS[variant]), path)
    sparse = "never" if variant == "dense" else "auto"
    arguments = ["spr-bench", str(path), "--repeat", "1", "--warmup", "0", "--sparse", sparse]
    cycles, _ = armcycles.run(keys, isa, ["spr_session_run"], arguments, budget)
    return {"network": name, "variant": variant, "sparse": sparse, "cycles": cycles}
