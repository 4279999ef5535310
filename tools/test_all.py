#!/usr/bin/env python3
"""Runs every test there is, native and emulated, by the Makefile's targets; two or more at a time.

Prints a line as each step ends, then pytest's closing lines, then one line per step: passed, FAILED, or NOT RUN and
why. The exit status is 0 only if all steps ran and passed. Logs are kept in build/test-logs/.
"""
import os
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "test-logs"
MAKE = os.environ.get("MAKE", "make")

# (target, what it is, targets that must have succeeded before). In order of start, the longest first.
# extension-arm waits for core-arm because both may install Debian packages.
STEPS = [
    ("build", "venv and Python extension", ()),
    ("core-arm", "C core for arm64", ("build",)),
    ("extension-arm", "arm64 Python and extension", ("build", "core-arm")),
    ("test-arm", "pytest under the arm64 Python (qemu)", ("extension-arm",)),
    ("run-arm-max", "C sweep, qemu max", ("core-arm",)),
    ("run-arm-cortex-a76", "C sweep, qemu cortex-a76", ("core-arm",)),
    ("run-arm-cortex-a53", "C sweep, qemu cortex-a53", ("core-arm",)),
    ("check-c", "C sweep, native", ("build",)),
    ("test-py", "pytest, native", ("build",)),
]


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


def main():
    LOGS.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    titles = {target: title for target, title, _ in STEPS}
    waiting, running, results = list(STEPS), {}, {}
    jobs = max(2, min(4, os.cpu_count() or 1))
    with ThreadPoolExecutor(jobs) as pool:
        while waiting or running:
            for step in list(waiting):
                target, _, needs = step
                lost = [n for n in needs if results.get(n, ("passed",))[0] != "passed"]
                if lost:
                    results[target] = ("NOT RUN", 0.0, f"needs: {titles[lost[0]]}")
                elif all(n in results for n in needs) and len(running) < jobs:
                    running[pool.submit(run, target)] = target
                    print(f"...     {titles[target]}", flush=True)
                else:
                    continue
                waiting.remove(step)
            for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                target = running.pop(future)
                status, seconds, text = future.result()
                results[target] = ("FAILED" if status else "passed", seconds, "\n".join(closing_lines(text)))
                print(f"{results[target][0]:7} {titles[target]} ({seconds:.0f} s)", flush=True)
                if status:
                    print("\n".join("    | " + line for line in text.rstrip().splitlines()[-80:]), flush=True)

    for target in ("test-py", "test-arm"):
        if results[target][0] != "NOT RUN":
            print(f"\n{titles[target]}:\n{results[target][2]}")
    print(f"\nLogs: {LOGS.relative_to(ROOT)}/")
    for target, title, _ in STEPS:
        state, seconds, last = results[target]
        note = last if state == "NOT RUN" else f"{seconds:.0f} s"
        print(f"{state:7} {title} ({note})")
    bad = [r for r in results.values() if r[0] != "passed"]
    print(f"{len(STEPS) - len(bad)} of {len(STEPS)} steps passed in {time.monotonic() - start:.0f} s"
          + ("" if not bad else ": NOT ALL TESTS PASSED"))
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
