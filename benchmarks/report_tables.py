"""From collected figures to tables: lookups, targets, and the Markdown of docs/benchmarks.md. Nothing here measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from .variants import VARIANTS

OURS = "sparse-runtime"
DENSE_PEERS = ("onnxruntime", "openvino", "LiteRT")  # whose best dense time the targets are shares of
TITLES = {
    "mobilenet_v1": "MobileNetV1-1.0-224",
    "mobilenet_v2": "MobileNetV2-1.0-224",
    "picodet_m": "PicoDet-m 320",
    "mobilenet_v1_int8": "MobileNetV1-1.0-224 INT8",
}


@dataclass(frozen=True)
class Target:
    """What is asked (`at_least` or at most `limit`) and what was found; None where it was not measured."""

    what: str
    limit: float
    at_least: bool
    found: Optional[float]
    unit: str = ""  # "%" where limit and found are shares

    @property
    def holds(self):
        if self.found is None:
            return None
        return self.found >= self.limit if self.at_least else self.found <= self.limit

    def row(self):
        verdict = {True: "yes", False: "**no**", None: "not measured"}[self.holds]
        return [
            self.what,
            f"{'≥' if self.at_least else '≤'} {self._text(self.limit)}",
            "" if self.found is None else self._text(self.found),
            verdict,
        ]

    def _text(self, number):
        return f"{number * 100:.0f} %" if self.unit == "%" else f"{number:.2f}{self.unit}"


def table(head, rows, right=()):
    """A Markdown table; `right`: columns to align there."""
    marks = ["---:" if i in right else "---" for i in range(len(head))]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [head, marks, *rows])


def targets_table(targets):
    return table(["target", "asked", "measured", "holds"], [t.row() for t in targets], right=(1, 2))


# ---- x86, measured


class Measured:
    """benchmarks/peers/measure.py's figures by (network, variant, runtime, threads)."""

    def __init__(self, data):
        self.data = data
        self.cases = {(c["network"], c["variant"], c["runtime"], c["threads"]): c for c in data["cases"]}

    def networks(self):
        return list(dict.fromkeys(case["network"] for case in self.data["cases"]))

    def variants(self, network):
        have = {case["variant"] for case in self.data["cases"] if case["network"] == network}
        return [key for key in VARIANTS if key in have]

    def runtimes(self, network):
        return list(dict.fromkeys((c["runtime"], c["threads"]) for c in self.data["cases"] if c["network"] == network))

    def median(self, network, variant, runtime=OURS, threads=1):
        case = self.cases.get((network, variant, runtime, threads))
        return case and case["median"]

    def best_dense(self, network):
        """(median, runtime) of the fastest of DENSE_PEERS on the dense network; (None, None) if there is none."""
        found = [(self.median(network, "dense", peer), peer) for peer in DENSE_PEERS]
        return min(((ms, peer) for ms, peer in found if ms), default=(None, None))


def _ratio(a, b):
    return a / b if a and b else None


# network -> {variant: largest share of the best peer's dense time}
_SHARES = {
    "mobilenet_v1": {"dense": 1.0, "75": 0.45, "85": 0.33, "90": 0.27},
    "mobilenet_v2": {"dense": 1.0, "75": 0.60, "90": 0.42},
    "picodet_m": {"75": 0.55, "85": 0.42},
}
_THREADS = {"mobilenet_v1": (1.8, ("dense", "90")), "picodet_m": (1.7, ("dense", "90"))}


_INT8_SHARES = {"mobilenet_v1_int8": {"dense": 1.2, "75-2x1": 0.8, "85": 0.7, "90": 0.6}}
INT8_VARIANTS = ("dense", "75-2x1", "85", "90")


def int8_targets(m):
    """Of quantized networks, measured together with the same in floats."""
    found = []
    for network, shares in _INT8_SHARES.items():
        best, _ = m.best_dense(network)
        for variant, limit in shares.items():
            ours, title = m.median(network, variant), f"{TITLES[network]} {VARIANTS[variant].title}"
            found.append(Target(f"{title}: share of the best peer's dense time", limit, False, _ratio(ours, best)))
            if variant != "dense":
                floats = m.median(network.removesuffix("_int8"), variant)
                found.append(Target(f"{title}: share of our FP32 time", 1.0, False, _ratio(ours, floats)))
    return found


def measured_targets(m):
    found = []
    for network, shares in _SHARES.items():
        best, _ = m.best_dense(network)
        found += [
            Target(
                f"{TITLES[network]} {VARIANTS[variant].title}: share of the best peer's dense time",
                limit,
                False,
                _ratio(m.median(network, variant), best),
            )
            for variant, limit in shares.items()
        ]
    for variant in ("75", "85", "90"):
        ours = m.median("mobilenet_v1", variant)
        title = f"{TITLES['mobilenet_v1']} {VARIANTS[variant].title}"
        found.append(
            Target(
                f"{title}: share of DeepSparse's time",
                0.6,
                False,
                _ratio(ours, m.median("mobilenet_v1", variant, "DeepSparse")),
            )
        )
        found.append(
            Target(
                f"{title}: gain of 2x1 blocks over single zeros",
                1.15,
                True,
                _ratio(ours, m.median("mobilenet_v1", f"{variant}-2x1")),
                "×",
            )
        )
    for network, (limit, variants) in _THREADS.items():
        found += [
            Target(
                f"{TITLES[network]} {VARIANTS[variant].title}: two threads over one",
                limit,
                True,
                _ratio(m.median(network, variant), m.median(network, variant, threads=2)),
                "×",
            )
            for variant in variants
        ]
    return found


def times_table(m, network):
    """Medians and, in brackets, the middle half; the fastest of each column with one thread in bold."""
    variants = m.variants(network)
    fastest = {
        v: min(filter(None, (m.median(network, v, r, t) for r, t in m.runtimes(network) if t == 1)), default=None)
        for v in variants
    }
    rows = []
    for runtime, threads in m.runtimes(network):
        cells = [runtime + (f", {threads} threads" if threads > 1 else "")]
        for variant in variants:
            case = m.cases.get((network, variant, runtime, threads))
            if case is None:
                cells.append("failed")
                continue
            median = f"{case['median']:.2f}"
            median = f"**{median}**" if threads == 1 and case["median"] == fastest[variant] else median
            cells.append(f"{median} [{case['q1']:.2f}, {case['q3']:.2f}]")
        rows.append(cells)
    return table(["ms", *(VARIANTS[v].title for v in variants)], rows, right=range(1, len(variants) + 1))


# ---- ARM, estimated

CORES = {
    "a53": ("Cortex-A53", 4),
    "a55": ("Cortex-A55", 4),
    "a76": ("Cortex-A76", 8),
    "v1": ("Neoverse-V1", 16),
}  # MACs/cycle
_ASKED = {
    "a76": {"csr": 0.75, "2x1": 0.88, "dense": 0.85},
    "a55": {"csr": 0.40, "2x1": 0.60, "dense": 0.70},
    "a53": {"csr": 0.35, "2x1": 0.50, "dense": 0.70},
}
_MEM_SHARE = 0.8  # of each figure, with the memory model
_GAIN = {"75": 2.2, "85": 3.0}  # PicoDet-m, dense over sparse


class Estimated:
    """benchmarks/arm's figures."""

    def __init__(self, data):
        self.data = data
        self.layers = {(tuple(r["shape"]), r["format"], r["sparsity"]): r for r in data.get("layers", [])}
        self.counts = {
            name: {tuple(shape): count for *shape, count in shapes} for name, shapes in data.get("shapes", {}).items()
        }
        self.whole = {(r["network"], r["variant"]): r["cycles"] for r in data.get("networks", [])}

    def fraction(self, row, core, model):
        """Share of the core's peak that a layer reaches; None where it was not estimated."""
        cycles = row and row["cycles"].get(core)
        return row["macs"] / cycles[model] / CORES[core][1] if cycles else None

    def weighted(self, network, fmt, sparsity, core, model):
        """The same over a network's layers, each as often as it occurs; None unless all of them are there."""
        macs = cycles = 0.0
        for shape, count in self.counts.get(network, {}).items():
            row = self.layers.get((shape, fmt, sparsity))
            if row is None or core not in row["cycles"]:
                return None
            macs += count * row["macs"]
            cycles += count * row["cycles"][core][model]
        return macs / cycles / CORES[core][1] if cycles else None

    def gain(self, network, variant, core, model):
        """Cycles of the dense network over those of a variant."""
        dense, sparse = (self.whole.get((network, v), {}).get(core) for v in ("dense", variant))
        return dense[model] / sparse[model] if dense and sparse else None

    def depthwise(self, core, model):
        """MobileNetV1's depthwise 3x3 layers of stride 1, weighted."""
        rows = self.data.get("depthwise", [])
        if not rows or any(core not in r["cycles"] for r in rows):
            return None
        macs = sum(r["count"] * r["macs"] for r in rows)
        return macs / sum(r["count"] * r["cycles"][core][model] for r in rows) / CORES[core][1]


def estimated_targets(e):
    found = []
    for core, formats in _ASKED.items():
        for fmt, limit in formats.items():
            for network in ("mobilenet_v1", "picodet_m"):
                for sparsity in (0.0,) if fmt == "dense" else (0.75, 0.9):
                    title = f"{CORES[core][0]}, {TITLES[network]} 1x1, {_format(fmt, sparsity)}"
                    plain, mem = (e.weighted(network, fmt, sparsity, core, model) for model in ("plain", "mem"))
                    found.append(Target(f"{title}: share of peak", limit, True, plain, "%"))
                    if fmt != "dense":
                        found.append(Target(f"{title}: share of peak with memory", limit * _MEM_SHARE, True, mem, "%"))
    found.append(
        Target(
            f"{CORES['a76'][0]}, depthwise 3x3 stride 1: share of peak", 0.55, True, e.depthwise("a76", "plain"), "%"
        )
    )
    for core in ("a53", "a55"):
        found += [
            Target(
                f"{CORES[core][0]}, {TITLES[network]} {VARIANTS[variant].title}: dense over sparse cycles with memory",
                1.0,
                True,
                e.gain(network, variant, core, "mem"),
                "×",
            )
            for network in ("mobilenet_v1", "picodet_m")
            for variant in ("75", "85")
        ]
    found += [
        Target(
            f"{CORES[core][0]}, {TITLES['picodet_m']} {VARIANTS[variant].title}: dense over sparse cycles with memory",
            limit,
            True,
            e.gain("picodet_m", variant, core, "mem"),
            "×",
        )
        for core in CORES
        for variant, limit in _GAIN.items()
    ]
    return found


def _format(fmt, sparsity):
    return "dense" if fmt == "dense" else f"{fmt.upper() if fmt == 'csr' else fmt} {sparsity * 100:.0f} %"


def _cell(plain, mem):
    return "" if plain is None else f"{plain * 100:.0f} / {mem * 100:.0f}"


_COLUMNS = [("csr", 0.75), ("csr", 0.9), ("2x1", 0.75), ("2x1", 0.9), ("dense", 0.0)]


def weighted_table(e):
    rows = []
    for network in e.counts:
        for core, (title, _) in CORES.items():
            cells = [
                _cell(*(e.weighted(network, *column, core, model) for model in ("plain", "mem"))) for column in _COLUMNS
            ]
            rows.append([TITLES[network], title, *cells])
    return table(["% of peak, plain / with memory", "core", *(_format(*c) for c in _COLUMNS)], rows, right=range(2, 7))


def layers_table(e, network, core):
    rows = []
    for shape, count in sorted(e.counts[network].items(), reverse=True):
        cells = []
        for column in _COLUMNS:
            row = e.layers.get((shape, *column))
            plain, mem = (e.fraction(row, core, model) for model in ("plain", "mem"))
            cells.append("" if plain is None else f"{row['cycles'][core]['mem'] / 1e3:.0f} k, {_cell(plain, mem)}")
        rows.append(["×".join(map(str, shape)), count, *cells])
    return table(["pixels×outputs×inputs", "times", *(_format(*c) for c in _COLUMNS)], rows, right=range(1, 7))


def depthwise_table(e):
    rows = []
    for row in e.data["depthwise"]:
        channels, size = row["shape"]
        cells = []
        for core in CORES:
            plain, mem = (e.fraction(row, core, model) for model in ("plain", "mem"))
            cells.append("" if plain is None else f"{row['cycles'][core]['mem'] / 1e3:.0f} k, {_cell(plain, mem)}")
        rows.append([f"{channels}×{size}×{size}", row["count"], *cells])
    return table(["depthwise 3x3", "times", *(title for title, _ in CORES.values())], rows, right=range(1, 6))


def whole_table(e):
    rows = []
    for (network, variant), cycles in e.whole.items():
        cells = [TITLES[network], VARIANTS[variant].title]
        for core in CORES:
            if core not in cycles:
                cells.append("")
                continue
            text = f"{cycles[core]['plain'] / 1e6:.1f} / {cycles[core]['mem'] / 1e6:.1f}"
            gain = None if variant == "dense" else e.gain(network, variant, core, "mem")
            cells.append(text + (f" ({gain:.2f}×)" if gain else ""))
        rows.append(cells)
    return table(["network", "", *(title for title, _ in CORES.values())], rows, right=range(2, 6))
