"""Timing: several ways of computing, run in turns, so that whatever else the machine does touches all of them alike."""

import time
from dataclasses import dataclass, replace
from typing import Tuple

import numpy as np

from .errors import ArgumentError
from .report import Report


@dataclass(frozen=True)
class Timing:
    """Times of one way of computing, in ms."""

    samples: Tuple[float, ...]

    @property
    def median(self):
        return float(np.median(self.samples))

    @property
    def iqr(self):
        """Spread: the interquartile range, within which the middle half of the samples lies."""
        return float(np.subtract(*np.percentile(self.samples, [75, 25])))

    @property
    def best(self):
        return min(self.samples)


def measure(runs, repeat=30, warmup=3, clock=time.perf_counter):
    """Calls each of `runs` `warmup` times unmeasured, then all in turns for `repeat` rounds; a Timing for each."""
    if repeat < 1 or warmup < 0:
        raise ArgumentError(f"repeat is {repeat} and warmup {warmup}: at least 1 and 0 are needed")
    for run in runs:
        for _ in range(warmup):
            run()
    samples = [[] for _ in runs]
    for _ in range(repeat):
        for run, times in zip(runs, samples):
            start = clock()
            run()
            times.append(1000 * (clock() - start))
    return [Timing(tuple(times)) for times in samples]


def profile(session, feeds, repeat=30, warmup=3):
    """The Report of a session made with profile=True, with every layer's median time over `repeat` runs."""
    times = []
    for i in range(warmup + repeat):
        session.run(None, feeds)
        report = session.profile()
        if i >= warmup:
            times.append([layer.ns for layer in report])
    medians = np.median(times, axis=0)
    return Report([replace(layer, ns=int(ns)) for layer, ns in zip(report, medians)], report.memory, report.cpu,
                  report.tuned)
