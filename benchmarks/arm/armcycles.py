"""Runs programs under tools/armcycles."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tools" / "armcycles" / "armcycles"
BUILD = ROOT / "build" / "aarch64"


@dataclass(frozen=True)
class Core:
    """isa: what SPR_ISA must say for the program to choose as it would on this core; macs: FP32 ones per cycle."""

    key: str
    title: str
    macs: int
    isa: str


CORES = {
    core.key: core
    for core in [
        Core("a53", "Cortex-A53", 4, "neon,inorder"),
        Core("a55", "Cortex-A55", 4, "neon,inorder,dotprod"),
        Core("a76", "Cortex-A76", 8, "neon,dotprod"),
        Core("v1", "Neoverse-V1", 16, "neon,dotprod"),
    ]
}


def groups(keys):
    """[(isa, [cores])]: cores that one run of the program serves."""
    found = {}
    for key in keys:
        found.setdefault(CORES[key].isa, []).append(key)
    return list(found.items())


def run(keys, isa, functions, arguments, budget):
    """({core: cycles}, standard output of the program). functions: globs of symbols; what they call counts too.

    The caches are simulated from the start of the program, so that they hold what came before. arguments: the program,
    in build/aarch64, and its arguments. Raises RuntimeError with what armcycles said."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        command = [
            PROGRAM,
            "--mem",
            "--cache-scope",
            "all",
            "--cores",
            ",".join(keys),
            "--inclusive",
            "--budget",
            budget,
            "--json",
            result,
            *[part for name in functions for part in ("-f", name)],
            BUILD / arguments[0],
            *arguments[1:],
        ]
        # qemu hands its environment on; its option -E would split the list at its comma.
        done = subprocess.run(
            list(map(str, command)), env=dict(os.environ, SPR_ISA=isa), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"armcycles {' '.join(map(str, command[1:]))}\n{done.stdout}{done.stderr}")
        return cycles(json.loads(result.read_text(encoding="utf-8"))), done.stdout


def cycles(result):
    """{core: cycles} from armcycles' JSON: {"plain": without, "mem": with the memory model, "spread": relative
    difference of two halves of the samples, "engine": what simulated the core}. Mispredicted branches count in both."""
    return {
        core["core"]: {
            "plain": round(core["core_cycles"] + core["mispredict_cycles"]),
            "mem": round(core["cycles"]),
            "spread": round(core["sampling_spread"], 4),
            "engine": "in-order model" if core["engine"] == "inorder" else core["llvm_mca"],
        }
        for core in result["cores"]
    }
