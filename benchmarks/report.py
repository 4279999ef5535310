"""The evidence of speed: python -m benchmarks.report [--measure] [--quick] ...

    --measure            runs the networks on all runtimes that are installed (`make peers`): docs/benchmarks/KIND.json,
                         and those in INT8 to KIND-int8.json; the kind of machine is x86-avx512 or x86-avx2
    --networks, --peers, --rounds, --clock, --quick      what to measure, and how

Then docs/benchmarks.md is written from these files, of all kinds, and arm.json (`python -m benchmarks.arm`), whichever
are there."""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path

from . import report_tables as tables
from .report_int8 import int8_table
from .peers import OURS, PEERS, ROOT
from .peers.measure import TOLERANCE_INT8
from .variants import INT8_NAMES, NAMES, VARIANTS

QUIET = 0.9  # share of the time a single-threaded process had its CPU, below which the page says that it was disturbed

_HEAD = """# Benchmarks

Written by `make bench-report` (x86) and `make bench-arm` (estimates for ARM) from the figures in `docs/benchmarks/`; do
not edit. How the networks are pruned: `benchmarks/variants.py`. Their weights are random."""

# kinds of machines, by the widest vectors of their CPUs
KINDS = {"x86-avx512": "x86 with AVX-512", "x86-avx2": "x86 with AVX2"}

_X86 = """## {kind}: measured against other runtimes

FP32, batch 1, one thread unless a row says otherwise. Every runtime has a process of its own, bound to one CPU; in each
of {rounds} rounds every network and runtime is visited once, in random order, for about {burst:.0f} ms. A run takes
arrays and returns arrays: copies in and out count. Outputs were compared with onnxruntime's before. Medians in ms and,
in brackets, the middle half of the runs; the fastest with one thread is bold. MNN runs every model with and without its
search for sparse layers, and the faster counts. LiteRT runs with XNNPACK on models without sparsity annotations: its
times are dense ones throughout. tvm is left out: without hours of tuning its times would say nothing.

- CPU: {cpu} ({cpus} CPUs; {features}), {system}, Python {python}
- measured on {date} at commit {commit}
- {versions}"""

_INT8 = """## {kind}, INT8: measured against other runtimes

Measured as FP32 above, {rounds} rounds of {burst:.0f} ms, with models that onnxruntime's tool has quantized (QDQ,
weights per channel, activations in uint8) after they were pruned, on runtimes that run them in integers; and the same
in floats. Outputs were compared with onnxruntime's, made exact; runtimes may differ by some quanta.

- CPU: {cpu} ({cpus} CPUs; {features}), {system}, Python {python}
- measured on {date} at commit {commit}
- {versions}"""

_ARM = """## ARM: estimated

Cycles by `tools/armcycles` (its README says how far to trust them: 10 to 25 %), which runs the program under qemu and
puts its instructions through a model of the core; models: {engines}. Estimated: {sources}.
"With memory" adds a simulation of the caches: at the start they hold what the program wrote last, the input above
all, as they do in a network. On A53 and A55 the kernels for in-order cores run, as they would there. 1x1 layers include
bias, relu and tails; weighted means that each comes as often as in the network, without those that pruning leaves dense
(outputs)."""


def kind_of(machine):
    """Which of KINDS a measured machine is."""
    return "x86-avx512" if "avx512" in machine["features"].split(",") else "x86-avx2"


def page(measured=(), quantized=(), estimated=None):
    """The text of docs/benchmarks.md from figures of any number of machines, in floats and in INT8, and of ARM."""
    parts = [_HEAD]
    for kind in KINDS:
        for figures, head, targets in (
            (measured, _X86, tables.measured_targets),
            (quantized, _INT8, tables.int8_targets),
        ):
            for data in figures:
                if kind_of(data["machine"]) == kind:
                    parts += _measured_parts(tables.Measured(data), head, targets)
    if estimated:
        parts += _estimated_parts(tables.Estimated(estimated))
    return "\n\n".join(parts) + "\n"


def _measured_parts(m, head, targets):
    data, machine = m.data, m.data["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    parts = [
        head.format(
            rounds=data["rounds"],
            burst=data["burst_ms"],
            commit=data["commit"],
            versions=versions,
            kind=KINDS[kind_of(machine)],
            **machine,
        )
    ]
    parts += [f"- {name} did not run: {why}" for name, why in data["missing"].items()]
    if data["clock"] == "cpu":
        parts.append(
            "**A first impression:** the machine was busy, so the times are CPU times of the processes; nothing is "
            "known of two threads."
        )
    busy = [case["busy"] for case in data["cases"] if case["threads"] == 1]
    if data["clock"] == "wall" and busy and min(busy) < QUIET:
        parts.append(
            f"**The machine was not quiet**: a process had its CPU for {min(busy) * 100:.0f} % of the time at worst "
            f"({sum(b < QUIET for b in busy)} of {len(busy)} cases below {QUIET * 100:.0f} %). Do not trust these "
            "times."
        )
    for network in m.networks():
        parts += [f"### {tables.TITLES[network]}", tables.times_table(m, network)]
    parts += [
        f"{f['runtime']} did not run {tables.TITLES[f['network']]}, {VARIANTS[f['variant']].title}: {f['why']}"
        for f in data["failed"]
    ]
    parts += [
        f"{c['runtime']} was timed on {tables.TITLES[c['network']]}, {VARIANTS[c['variant']].title}, though its "
        f"outputs are off by {c['error']:.2g} of their range: without VNNI its products of bytes saturate."
        for c in data["cases"]
        if c["error"] > TOLERANCE_INT8
    ]
    if data.get("plot"):
        parts.append(f"![times over sparsity](benchmarks/{data['plot']})")
    best = ", ".join(
        f"{tables.TITLES[n]} {m.best_dense(n)[1]} {m.best_dense(n)[0]:.2f} ms"
        for n in m.networks()
        if m.best_dense(n)[0]
    )
    return [
        *parts,
        "### Targets",
        f"The best peer's dense time is the least of {', '.join(tables.DENSE_PEERS)}: {best}.",
        tables.targets_table(targets(m)),
    ]


def _estimated_parts(e):
    engines = ", ".join(f"{tables.CORES[core][0]} {engine}" for core, engine in sorted(e.data["engines"].items()))
    sources = ", ".join(f"{part} on {s['date']} at commit {s['commit']}" for part, s in e.data["sources"].items())
    parts = [_ARM.format(engines=engines, sources=sources)]
    if any(source["quick"] for source in e.data["sources"].values()):
        parts.append("**This was a trial run on a few cases only.**")
    parts += ["### Targets", tables.targets_table(tables.estimated_targets(e))]
    if e.whole:
        parts += [
            "### Whole networks",
            "Millions of cycles without and with the memory model; in brackets the gain over the dense "
            "form, which runs our dense kernels.",
            tables.whole_table(e),
        ]
    if e.layers:
        parts += [
            "### 1x1 layers, weighted as in the network",
            tables.weighted_table(e),
            "### 1x1 layers one by one",
            "Cycles with memory, then % of peak without / with memory.",
        ]
        for network in e.counts:
            for core, (title, _) in tables.CORES.items():
                parts += [f"#### {tables.TITLES[network]} on {title}", tables.layers_table(e, network, core)]
    if e.data.get("int8") and e.counts:
        parts += [
            "### 1x1 layers in 8 bits",
            "Millions of cycles with the memory model, all layers of the network; the gain over FP32 of the same form "
            "(blocks of 1x4 over CSR, of 2x4 over 2x1), and over dense in 8 bits. Weights of 2x1 and 2x4 are pruned in "
            "pairs of rows, all others one by one.",
            int8_table(e),
        ]
    if e.data.get("depthwise"):
        parts += ["### Depthwise 3x3, stride 1, relu", tables.depthwise_table(e)]
    return parts


def plot(measured, path):
    """Times over sparsity, one panel per network."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    m = tables.Measured(measured)
    figure, panels = pyplot.subplots(1, len(m.networks()), figsize=(4 * len(m.networks()), 3.4), squeeze=False)
    for panel, network in zip(panels[0], m.networks()):
        for runtime, threads in m.runtimes(network):
            for block, style in ((1, "-"), (2, ":")):
                points = [
                    (v.ratio * 100, m.median(network, v.key, runtime, threads))
                    for v in VARIANTS.values()
                    if v.block == block and m.median(network, v.key, runtime, threads)
                ]
                if points and threads == 1 and (block == 1 or runtime == OURS):
                    label = runtime + (" 2x1" if block == 2 else "")
                    panel.plot(*zip(*points), style, marker=".", label=label, color="k" if runtime == OURS else None)
        panel.set(title=tables.TITLES[network], xlabel="% zeros", ylim=(0, None))
    panels[0][0].set_ylabel("ms, one thread")
    panels[0][-1].legend(fontsize=7)
    figure.tight_layout()
    image = io.BytesIO()
    figure.savefig(image, dpi=80)
    pyplot.close(figure)
    from PIL import Image  # matplotlib needs it too

    Image.open(image).convert("RGB").quantize(64).save(path, optimize=True)


def measure(options, names, peers, keys):
    from .peers.measure import measure as run

    keys = ("dense", "90") if options.quick else keys
    rounds = 2 if options.quick else options.rounds
    return run(
        names,
        [VARIANTS[key] for key in keys],
        peers,
        rounds,
        options.clock,
        progress=lambda text: print(text, file=sys.stderr, flush=True),
    )


def save(data, path):
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true", help="measure first, else only write the page")
    parser.add_argument("--networks", default=",".join(NAMES + INT8_NAMES), help="comma list (default %(default)s)")
    parser.add_argument("--peers", default=",".join(PEERS), help="comma list (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="(default %(default)s)")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: for a machine that is busy")
    parser.add_argument("--quick", action="store_true", help="dense and 90 %% only, two rounds, to see that it works")
    parser.add_argument("--docs", default=str(ROOT / "docs"), help="folder to write to")
    options = parser.parse_args()
    docs = Path(options.docs)
    figures = docs / "benchmarks"
    figures.mkdir(parents=True, exist_ok=True)
    names, peers = options.networks.split(","), options.peers.split(",")
    floats = [name for name in names if name not in INT8_NAMES]
    quantized = [name for name in names if name in INT8_NAMES]
    if options.measure and quantized:  # with the same in floats beside them
        names = quantized + [name.removesuffix("_int8") for name in quantized]
        data = measure(options, names, [peer for peer in peers if PEERS[peer].int8], tables.INT8_VARIANTS)
        save(data, figures / f"{kind_of(data['machine'])}-int8.json")
    if options.measure and floats:
        data = measure(options, floats, peers, VARIANTS)
        kind = kind_of(data["machine"])
        try:
            plot(data, figures / f"{kind}.png")
            data["plot"] = f"{kind}.png"
        except ImportError:
            print("no plots: matplotlib is not installed", file=sys.stderr)
        save(data, figures / f"{kind}.json")
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in figures.glob("*.json")}
    text = page(
        [found[kind] for kind in KINDS if kind in found],
        [found[f"{kind}-int8"] for kind in KINDS if f"{kind}-int8" in found],
        found.get("arm"),
    )
    (docs / "benchmarks.md").write_text(text, encoding="utf-8")
    print(f"{docs / 'benchmarks.md'} written", file=sys.stderr)


if __name__ == "__main__":
    main()
