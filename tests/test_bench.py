"""Timing."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from test_report import CSR, MEMORY

from sparse_runtime import ArgumentError, bench
from sparse_runtime.report import Report


def test_measure_runs_in_turns():
    calls = []
    timings = bench.measure([lambda: calls.append("a"), lambda: calls.append("b")], repeat=3, warmup=2)
    assert calls == ["a", "a", "b", "b"] + ["a", "b"] * 3, "warm-up first, then one after the other"
    assert [len(t.samples) for t in timings] == [3, 3]


def test_measure_in_milliseconds():
    ticks = itertools.accumulate(itertools.cycle([0.001, 0.5]))  # every run takes half a second
    (timing,) = bench.measure([lambda: None], repeat=4, warmup=1, clock=lambda: next(ticks))
    assert timing.samples == pytest.approx((500.0,) * 4)


def test_timing():
    timing = bench.Timing((1.0, 2.0, 3.0, 4.0, 100.0))
    assert (timing.median, timing.iqr, timing.best) == (3.0, 2.0, 1.0)


@pytest.mark.parametrize("repeat, warmup", [(0, 1), (1, -1)])
def test_bad_counts(repeat, warmup):
    with pytest.raises(ArgumentError, match="at least"):
        bench.measure([lambda: None], repeat=repeat, warmup=warmup)


class Session:
    """Stands for a session whose only layer takes 10, 30, 20 ... ns."""

    def __init__(self):
        self.times, self.fed = [7, 10, 30, 20], []

    def run(self, names, feeds):
        self.fed.append((names, feeds))

    def profile(self):
        return Report([replace(CSR, ns=self.times[len(self.fed) - 1])], MEMORY, "neon")


def test_profile_takes_medians_after_warm_up():
    session, feeds = Session(), {"x": np.zeros(1)}
    report = bench.profile(session, feeds, repeat=3, warmup=1)
    assert session.fed == [(None, feeds)] * 4
    assert report[0].ns == 20 and report.memory == MEMORY
