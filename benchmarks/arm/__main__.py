"""Estimates for ARM cores: python -m benchmarks.arm [--quick] [--only layers,int8,depthwise,networks] [--out FILE]

Runs the kernels and whole networks of build/aarch64 (`make core-arm`) under tools/armcycles and writes
docs/benchmarks/arm.json, from which `python -m benchmarks.report` makes its page. Parts that --only leaves out keep
what the file has of them."""

from __future__ import annotations

import argparse
import datetime
import functools
import json
import os
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..peers.measure import commit
from . import armcycles, layers, whole

PARTS = ("layers", "int8", "depthwise", "networks")
NETWORKS = ("mobilenet_v1", "picodet_m")


def jobs(parts, cores, quick, folder, budget):
    """[(part, what, function)]; a function gives one row."""
    found = []

    def add(part, what, function, *arguments):
        for isa, keys in armcycles.groups(cores):
            found.append(
                (part, f"{what}, {'+'.join(keys)}", functools.partial(function, keys, isa, *arguments, budget))
            )

    if "layers" in parts:
        shapes = sorted(set().union(*map(layers.pointwise_shapes, NETWORKS)))
        for shape in shapes[:2] if quick else shapes:
            for fmt in layers.FORMATS:
                for sparsity in (0.0,) if fmt == "dense" else layers.SPARSITIES:
                    add("layers", f"{shape} {fmt} {sparsity:g}", layers.pointwise, shape, fmt, sparsity)
    if "int8" in parts:
        shapes = sorted(layers.pointwise_shapes("mobilenet_v1"))
        for isa, keys in armcycles.groups([core for core in cores if core in layers.INT8_CORES]):
            for shape in shapes[:1] if quick else shapes:
                for fmt, sparsity in layers.int8_cases(isa):
                    run = functools.partial(layers.pointwise, keys, isa, shape, fmt, sparsity, budget)
                    found.append(("int8", f"{shape} {fmt} {sparsity:g}, {'+'.join(keys)}", run))
    if "depthwise" in parts:
        for channels, size in list(layers.DEPTHWISE)[-1:] if quick else layers.DEPTHWISE:
            add("depthwise", f"depthwise {channels} {size}x{size}", layers.depthwise, channels, size, folder)
    if "networks" in parts:
        for name, variants in whole.NETWORKS.items():
            for variant in ("dense", "75") if quick else variants:
                add("networks", f"{name} {variant}", whole.network, name, variant, folder)
    return found


def merged(rows):
    """Rows of the same thing on different cores made one; which engine simulated a core is dropped."""
    found = {}
    for row in rows:
        row = dict(row)
        cycles = row.pop("cycles")
        kernel = row.pop("kernel", None)
        key = json.dumps(row, sort_keys=True)
        whole_row = found.setdefault(key, dict(row, cycles={}))
        for core, figures in cycles.items():
            figures = {key: value for key, value in figures.items() if key != "engine"}
            whole_row["cycles"][core] = dict(figures, kernel=kernel) if kernel else figures
    return list(found.values())


def written(found):
    """The JSON text of it, with a line for each row."""
    return re.sub(r"\n {3,}\s*|\n {2}(?=[}\]])", " ", json.dumps(found, indent=1)) + "\n"


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arm", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), help=f"comma list of {', '.join(PARTS)} (default all)")
    parser.add_argument("--cores", default=",".join(armcycles.CORES), help="comma list (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a few cases of each part, to see that it works")
    parser.add_argument(
        "--jobs", type=int, default=min(2, os.cpu_count() or 1), help="cases at a time (default %(default)s)"
    )
    parser.add_argument(
        "--budget", type=int, default=10000, help="instructions simulated per core and case (default %(default)s)"
    )
    parser.add_argument("--out", default="docs/benchmarks/arm.json", help="(default %(default)s)")
    options = parser.parse_args()
    parts = options.only.split(",")
    if not set(parts) <= set(PARTS):
        parser.error(f"--only takes {', '.join(PARTS)}, not {options.only}")
    out = Path(options.out)
    found = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    start = time.monotonic()
    source = {"date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(), "commit": commit()}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        todo = jobs(parts, options.cores.split(","), options.quick, folder, options.budget)
        running = [(part, what, pool.submit(function)) for part, what, function in todo]
        rows = {part: [] for part in parts}
        for number, (part, what, future) in enumerate(running, 1):
            try:
                rows[part].append(future.result())
            except Exception:
                for _, _, other in running:
                    other.cancel()
                raise
            print(f"[{number}/{len(todo)}, {time.monotonic() - start:.0f} s] {what}", file=sys.stderr, flush=True)
    found.update({part: merged(part_rows) for part, part_rows in rows.items()})
    for part, part_rows in rows.items():
        found.setdefault("sources", {})[part] = dict(source, quick=options.quick)
        for row in part_rows:
            found.setdefault("engines", {}).update({core: c["engine"] for core, c in row["cycles"].items()})
    if "layers" in parts or "int8" in parts:
        found["shapes"] = {
            name: [[*shape, count] for shape, count in layers.pointwise_shapes(name).items()] for name in NETWORKS
        }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(written(found), encoding="utf-8")


if __name__ == "__main__":
    main()
