"""Whole networks, dense and pruned: Session.run with the copies of input and output."""

import pytest
from networks import converted

import sparse_runtime as sr
from sparse_runtime.peers import random_feeds

PRUNED = [
    ("dense", 0.0, (1, 1)),
    *(
        (f"{100 * ratio:.0f}{name}", ratio, block)
        for name, block in (("", (1, 1)), ("-2x1", (2, 1)))
        for ratio in (0.75, 0.85, 0.9)
    ),
]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "ratio, block", [(ratio, block) for _, ratio, block in PRUNED], ids=[name for name, _, _ in PRUNED]
)
@pytest.mark.parametrize("name", sr.zoo.names())
def test_network(benchmark, name, ratio, block, threads):
    session = sr.Session(converted(name, ratio, block), threads=threads, sparse="auto" if ratio else "never")
    feeds = random_feeds(session.inputs)
    benchmark.group = f"{name}, threads {threads}"
    benchmark(session.run, None, feeds)
    totals = session.explain().totals()
    benchmark.extra_info.update(
        network=name,
        ratio=ratio,
        block=block,
        threads=threads,
        sparse_layers=totals["sparse_layers"],
        macs=totals["macs"],
        macs_done=totals["macs_done"],
    )
