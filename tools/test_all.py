#!/usr/bin/env python3
"""Runs every test there is, native and emulated, by the Makefile's targets; two or more at a time.

Prints a line as each step ends, then pytest's closing lines, the kernels that no sweep could run (for want of a CPU
feature), and one line per step: passed, FAILED, or NOT RUN and why. The exit status is 0 only if all steps ran and
passed. Logs are kept in build/test-logs/.
"""
import os
import platform
import re
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "test-logs"
MAKE = os.environ.get("MAKE", "make")

# (target, what it is, targets that must have succeeded before). In order of start, the longest first.
# What may install Debian packages waits for core-arm, which does it first.
STEPS = [
    ("build", "venv and Python extension", ()),
    ("core-arm", "C core for arm64", ("build",)),
    ("extension-arm", "arm64 Python and extension", ("build", "core-arm")),
    ("test-arm", "pytest under the arm64 Python (qemu)", ("extension-arm",)),
    ("run-arm-max", "C sweep, qemu max", ("core-arm",)),
    ("run-arm-cortex-a76", "C sweep, qemu cortex-a76", ("core-arm",)),
    ("run-arm-cortex-a53", "C sweep, qemu cortex-a53", ("core-arm",)),
    ("check-armv7", "C sweep, 32-bit ARM, qemu cortex-a7", ("build", "core-arm")),
    ("check-c", "C sweep, native", ("build",)),
    ("check-avx512", "C sweep, AVX-512, Bochs", ("build", "core-arm")),
    ("sanitize", "C tests under sanitizers", ("build",)),
    ("fuzz", "fuzzer of model files, 20 s", ("core-arm",)),
    ("test-android", "Java API, library for Android", ("core-arm", "check-armv7", "check-c")),
    ("test-py", "pytest, native", ("build", "check-c", "core-arm")),  # which leave libraries for tests/c
    ("check-packages", "sdist and wheels, native and arm64", ("extension-arm",)),
    ("check-boards", "spr-bench and device-bench", ("check-c", "check-armv7")),  # they build in the same folders
]
if platform.machine() != "x86_64":
    STEPS = [step for step in STEPS if step[0] != "check-avx512"]
SWEEPS = ("check-c", "check-avx512", "check-armv7", "run-arm-cortex-a53", "run-arm-cortex-a76", "run-arm-max")


def run(target):
    """(exit status, seconds, text) of one make target; the text also goes to its log."""
    start = time.monotonic()
    log = LOGS / (target + ".log")
    with open(log, "w", encoding="utf-8") as out:
        done = subprocess.run([MAKE, "--no-print-directory", target], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out,
                              stderr=subprocess.STDOUT, check=False)
    return done.returncode, time.monotonic() - start, log.read_text(encoding="utf-8", errors="replace")


def closing_lines(text):
    """The end of a log: pytest's short summary and last line, else the last line."""
    lines = text.rstrip().splitlines()
    summary = [i for i, line in enumerate(lines) if "short test summary info" in line]
    return lines[summary[-1]:] if summary else lines[-1:]


def kernels_not_run(texts):
    """Lines "kernel not run: needs ..." for the kernels that stand so in some of the sweeps' logs and ran in none."""
    why = {name: text for log in texts for name, text in re.findall(r"^(\w+) +not run: (.*)$", log, re.MULTILINE)}
    ran = {name for log in texts for name in re.findall(r"^(\w+) +\d+ passed ", log, re.MULTILINE)}
    return [f"{name} not run: {text}" for name, text in why.items() if name not in ran]


def main():
    LOGS.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    titles = {target: title for target, title, _ in STEPS}
    waiting, running, states, notes, logs = list(STEPS), {}, {}, {}, {}
    jobs = max(2, min(4, os.cpu_count() or 1))
    with ThreadPoolExecutor(jobs) as pool:
        while waiting or running:
            for step in list(waiting):
                target, title, needs = step
                lost = [n for n in needs if states.get(n, "passed") != "passed"]
                if lost:
                    states[target], notes[target] = "NOT RUN", f"needs: {titles[lost[0]]}"
                elif all(n in states for n in needs) and len(running) < jobs:
                    running[pool.submit(run, target)] = target
                    print(f"...     {title}", flush=True)
                else:
                    continue
                waiting.remove(step)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                target = running.pop(future)
                status, seconds, text = future.result()
                states[target], notes[target], logs[target] = "FAILED" if status else "passed", f"{seconds:.0f} s", text
                print(f"{states[target]:7} {titles[target]} ({notes[target]})", flush=True)
                if status:
                    print("\n".join("    | " + line for line in text.rstrip().splitlines()[-80:]), flush=True)

    for target in ("test-py", "test-arm", "test-android", "check-boards"):
        if target in logs:
            print(f"\n{titles[target]}:", *closing_lines(logs[target]), sep="\n")
    sweeps = [target for target in logs if target in SWEEPS]
    print("\nLogs:", LOGS.relative_to(ROOT))
    for line in kernels_not_run([logs[target] for target in sweeps]):
        print(line)
    for target, title, _ in STEPS:
        counts = ": " + closing_lines(logs[target])[0] if target in sweeps and states[target] == "passed" else ""
        print(f"{states[target]:7} {title} ({notes[target]}){counts}")
    passed = list(states.values()).count("passed")
    print(f"{passed} of {len(STEPS)} steps passed in {time.monotonic() - start:.0f} s"
          + ("" if passed == len(STEPS) else ": NOT ALL TESTS PASSED"))
    return passed != len(STEPS)


if __name__ == "__main__":
    sys.exit(main())
