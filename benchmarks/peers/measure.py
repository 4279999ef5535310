"""Runs networks on several runtimes side by side, each in its own process, and collects the times.

All variants of a network are loaded everywhere at once; every round then visits every (variant, runtime) in a new
random order for some runs each, so that whatever the machine and its clock do meets all of them alike."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import random
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from .. import variants
from . import EXACT, OURS, PEERS, REFERENCE, ROOT
from .client import PeerError, Worker

TOLERANCE = 1e-3  # largest difference from onnxruntime, as a share of an output's range
TOLERANCE_INT8 = 0.1  # of quantized models: each runtime rounds in its own way, layer after layer
TOLERANCE_SATURATED = 0.3  # of peers' quantized models: without VNNI their products of bytes saturate in 16 bits
BURST_MS = 60.0  # how long a runtime is visited each time, at least _LEAST runs
_LEAST, _MOST = 3, 50
OWN_THREADS = (1, 2)


def measure(names, forms, titles, rounds, clock="wall", progress=print):
    """Everything as one dict of plain values: machine, versions, missing {runtime: why}, failed [..], cases [..].

    clock: "wall", or "cpu" for a first impression on a machine that is busy; that leaves out several threads."""
    logs = ROOT / "build" / "bench-logs"
    logs.mkdir(parents=True, exist_ok=True)
    found = {
        "machine": machine(),
        "rounds": rounds,
        "clock": clock,
        "burst_ms": BURST_MS,
        "commit": commit(),
        "versions": {},
        "missing": {},
        "failed": [],
        "cases": [],
    }
    rng = random.Random(0)
    with contextlib.ExitStack() as stack:
        workers = _start(stack, titles, (1,) if clock == "cpu" else OWN_THREADS, logs, found)
        if (REFERENCE, 1) not in workers:
            raise PeerError(f"{REFERENCE} is needed to compare with: {found['missing'][REFERENCE]}")
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                cases = _load(workers, name, forms, folder, found, progress, logs)
            for number in range(rounds):
                progress(f"{name}: round {number + 1} of {rounds}")
                _visit(cases, clock, rng, found)
            found["cases"] += [case.summary() for case in cases]
            for worker in workers.values():
                with contextlib.suppress(PeerError):  # one that died has nothing to drop
                    worker.drop()
    found["machine"]["load_after"] = os.getloadavg()[0]
    return found


def machine():
    """What the figures depend on."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    import sparse_runtime as sr

    return {
        "cpu": cpu,
        "cpus": len(os.sched_getaffinity(0)),
        "features": sr._core.cpu_features(),
        "system": platform.system(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }


def commit():
    """Of the project, "-dirty" if tracked files differ from it, but for docs/, where reports are written; "" outside of
    git."""
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs")
    return git("describe", "--always") + ("-dirty" if changed else "")


def _start(stack, titles, own_threads, logs, found):
    """{(runtime, threads): Worker} of those that are there, on the highest CPUs: interrupts prefer the lowest."""
    cpus = sorted(os.sched_getaffinity(0))
    workers = {}
    for title in [OURS, REFERENCE, *(t for t in titles if t not in (OURS, REFERENCE))]:
        for threads in own_threads if title == OURS else (1,):
            if threads > len(cpus):
                continue
            try:
                worker = Worker(PEERS[title], cpus[-threads:], logs / f"{PEERS[title].module}-{threads}.log")
            except PeerError as error:
                found["missing"][title] = str(error)
                continue
            workers[title, threads] = stack.enter_context(worker)
            found["versions"][title] = worker.version
    return workers


class _Case:
    def __init__(self, name, variant, title, threads, worker, error):
        self.worker, self.key = worker, variant.key
        self.facts = {"network": name, "variant": variant.key, "runtime": title, "threads": threads, "error": error}
        self.times, self.busy = [], []
        self.runs = _LEAST

    def visit(self, clock):
        times, busy = self.worker.time(self.key, self.runs, clock)
        self.times += times
        self.busy.append(busy)
        self.runs = min(_MOST, max(_LEAST, round(BURST_MS / np.median(self.times))))

    def summary(self):
        q1, median, q3 = np.percentile(self.times, [25, 50, 75])
        return dict(
            self.facts,
            median=round(median, 4),
            q1=round(q1, 4),
            q3=round(q3, 4),
            least=round(min(self.times), 4),
            runs=len(self.times),
            busy=round(float(np.median(self.busy)), 3),
        )


def _load(workers, name, forms, folder, found, progress, logs):
    cases, int8 = [], name in variants.INT8_NAMES
    for variant in forms:
        progress(f"{name}, {variant.title}: loading")
        path = variants.write(folder, name, variant)
        feeds = _feeds(path)
        expected = _exact(variant.key, path, feeds, logs) if int8 else None
        # The reference first: the others' outputs are compared with its.
        for (title, threads), worker in sorted(workers.items(), key=lambda item: item[0][0] != REFERENCE):
            try:
                outputs = worker.load(variant.key, path, feeds)
                if title == REFERENCE and expected is None:
                    expected = outputs
                if expected is None:
                    raise PeerError(f"nothing to compare with: {REFERENCE} did not run it")
                error = difference(outputs, expected)
                if not error <= (TOLERANCE if not int8 else TOLERANCE_INT8 if title == OURS else TOLERANCE_SATURATED):
                    raise PeerError(f"its outputs differ from {REFERENCE}'s by {error:.2g} of their range")
            except PeerError as problem:
                found["failed"].append({"network": name, "variant": variant.key, "runtime": title, "why": str(problem)})
                continue
            cases.append(_Case(name, variant, title, threads, worker, error))
    return cases


def _exact(key, path, feeds, logs):
    """The outputs of a quantized model as its integers say, by a process that is not timed."""
    with Worker(EXACT, sorted(os.sched_getaffinity(0))[-1:], logs / f"{EXACT.module}.log") as worker:
        return worker.load(key, path, feeds)


def _feeds(path):
    import onnx

    rng = np.random.default_rng(0)
    inputs = onnx.load(path, load_external_data=False).graph.input
    return {
        value.name: rng.standard_normal([d.dim_value for d in value.type.tensor_type.shape.dim]).astype(np.float32)
        for value in inputs
    }


def difference(outputs, expected):
    """Largest difference of two dicts of arrays as a share of an expected array's range; inf where shapes differ."""
    if set(outputs) != set(expected) or any(outputs[k].shape != expected[k].shape for k in expected):
        return float("inf")
    shares = [np.abs(outputs[k] - expected[k]).max() / max(np.ptp(expected[k]), 1e-30) for k in expected]
    worst = float(max(shares))
    return worst if worst == worst else float("inf")


def _visit(cases, clock, rng, found):
    """Runs every case once; those that fail are taken out."""
    for case in rng.sample(cases, len(cases)):
        try:
            case.visit(clock)
        except PeerError as problem:
            found["failed"].append(
                {**{k: case.facts[k] for k in ("network", "variant", "runtime")}, "why": str(problem)}
            )
            cases.remove(case)
