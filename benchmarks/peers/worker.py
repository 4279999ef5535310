"""A process that holds one runtime: python -m benchmarks.peers.worker MODULE CPUS

Reads requests from its standard input and answers on its standard output, one JSON object per line:

    {"do": "load", "key": K, "model": PATH, "inputs": NPZ, "outputs": NPZ, "threads": N} -> {}   outputs are written
    {"do": "time", "key": K, "warmup": W, "runs": R, "clock": C} -> {"ms": [..], "busy": B}
        clock is "wall" or "cpu", the CPU time of the process; busy is its CPU time over wall time meanwhile
    {"do": "drop"} -> {}     forgets all models

The first line it writes is {"version": ..}, or {"error": ..} if the runtime is not there. CPUS is a comma list that the
process is bound to before the runtime is imported. What the runtime prints goes to standard error.
"""

import importlib
import json
import os
import sys
import time


def main(module, cpus):
    os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def reply(**message):
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    try:
        runtime = importlib.import_module(f"benchmarks.peers.{module}")
        reply(version=runtime.version())
    except Exception as error:
        reply(error=f"{type(error).__name__}: {error}")
        return
    loaded = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply(**_HANDLERS[request.pop("do")](runtime, loaded, **request))
        except Exception as error:
            reply(error=f"{type(error).__name__}: {error}")


def _load(runtime, loaded, key, model, inputs, outputs, threads):
    import numpy as np

    with np.load(inputs) as file:
        feeds = dict(file)
    loaded[key] = runtime.prepare(model, feeds, threads)
    np.savez(outputs, **loaded[key]())
    return {}


_CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def _time(runtime, loaded, key, warmup, runs, clock):
    run, clock = loaded[key], _CLOCKS[clock]
    for _ in range(warmup):
        run()
    times, cpu, wall = [], time.process_time(), time.perf_counter()
    for _ in range(runs):
        start = clock()
        run()
        times.append((clock() - start) * 1e3)
    return {"ms": times, "busy": (time.process_time() - cpu) / (time.perf_counter() - wall)}


def _drop(runtime, loaded):
    loaded.clear()
    return {}


_HANDLERS = {"load": _load, "time": _time, "drop": _drop}

if __name__ == "__main__":
    main(*sys.argv[1:])
