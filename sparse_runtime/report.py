"""What a session does, layer by layer, and why: Session.explain() and Session.profile()."""

import math
from collections import Counter
from dataclasses import asdict, replace

from .table import Column, Table, number, percent


def is_sparse(layer):
    """Whether the layer runs a kernel that leaves out zeros; they have names like pw_csr_f32_neon, fc_csr_f32_ref,
    pw_1x4_q8_vnni."""
    return any(part in ("csr", "2x1", "1x4", "2x4") for part in layer.kernel.split("_"))


def macs_done(layer):
    """Multiply-accumulates of the kernel that runs: all, or of nonzeros, or of 2x1 blocks with the zeros inside."""
    if not is_sparse(layer):
        return layer.macs
    stored = 1 - layer.sparsity
    if "2x1" in layer.kernel.split("_") and layer.fill_2x1:
        stored /= layer.fill_2x1
    return layer.macs * stored


# Operators whose ONNX counterpart has a form in 8 bits, and those that convert.
_IN_INTEGERS = ("QConv", "QPool", "QBinary", "QUnary", "QConcat")
_CONVERSIONS = ("Quantize", "Dequantize", "QuantizeLinear", "DequantizeLinear")
_WITH_A_FORM = ("Conv", "FullyConnected", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Binary",
                "Unary", "Concat", "Resize")


def in_integers(layer):
    """Whether a layer computes on quantized numbers."""
    return layer.op in _IN_INTEGERS or (layer.op == "Resize" and layer.dtype.name == "int8")


def _islands(layers):
    """The layers of a network that computes in 8 bits, with the reason why some do not."""
    if not any(map(in_integers, layers)):
        return tuple(layers)
    told = []
    for layer in layers:
        why = layer.reason
        if layer.op in _CONVERSIONS and not why:
            why = "conversion to 8 bits" if layer.op.startswith("Quantize") else "conversion from 8 bits"
        elif layer.dtype.name == "float32" and not in_integers(layer):
            here = "what it reads or makes is not all in 8 bits" if layer.op in _WITH_A_FORM else "no form in 8 bits"
            why = f"float32: {here}" + (f"; {why}" if why else "")
        told.append(replace(layer, reason=why))
    return tuple(told)


def _kilo(size):
    return f"{size / 1000:.1f}k" if size < 100_000 else f"{size / 1000:.0f}k"


_COLUMNS = [
    Column("name", "layer", left=True, shrink=14),
    Column("op", "op", left=True, shrink=8),
    Column("shape", "output", lambda shape: "x".join(map(str, shape)), left=True),
    Column("macs", "MMACs", lambda macs: f"{macs / 1e6:.2f}" if macs else "-"),
    Column("sparsity", "zeros", percent),
    Column("fill_2x1", "2x1", percent),
    Column("weight_bytes", "file", _kilo),
    Column("packed_bytes", "mem", _kilo),
    Column("kernel", "kernel", lambda name: name or "-", left=True),
]
_TIMES = [Column("ms", "ms", number(3)), Column("share", "share", percent)]
_WHY = [Column("reason", "why", left=True, wrap=36)]


class Report:
    """The layers of a session in the order in which they run; printing it gives a table.

    layers: sequence of session.Layer; memory: {"activations": bytes, "weights": bytes, "scratch": bytes, "live": bytes,
    what the activations take at least}; cpu: the CPU features that kernels may use; tuned: what came of autotuning, ""
    without. Times are shown where the session was profiled.
    """

    def __init__(self, layers, memory, cpu, tuned=""):
        self.layers, self.memory, self.cpu, self.tuned = _islands(tuple(layers)), dict(memory), cpu, tuned

    def __iter__(self):
        return iter(self.layers)

    def __len__(self):
        return len(self.layers)

    def __getitem__(self, index):
        return self.layers[index]

    def __str__(self):
        return self.table().plain(140)

    @property
    def ns(self):
        """Time of all layers in the last run, 0 unless profiled."""
        return sum(layer.ns for layer in self.layers)

    def totals(self):
        """Sums over the layers: counts, multiply-accumulates, bytes, and ms where profiled."""
        weighted = [layer for layer in self.layers if layer.sparsity is not None]
        sparse = [layer for layer in weighted if is_sparse(layer)]
        macs = math.fsum(layer.macs for layer in self.layers)
        done = math.fsum(map(macs_done, self.layers))
        return {
            "layers": len(self.layers),
            "sparse_layers": len(sparse),
            "dense_layers": len(weighted) - len(sparse),
            "macs": macs,
            "macs_done": done,
            "macs_skipped": 1 - done / macs if macs else 0.0,
            "weight_bytes": sum(layer.weight_bytes for layer in self.layers),
            "packed_bytes": sum(layer.packed_bytes for layer in self.layers),
            "ms": self.ns / 1e6 if self.ns else None,
        }

    def to_dict(self):
        """All of it as dicts, lists, strings and numbers, ready for JSON."""
        layers = [{**asdict(layer), "dtype": layer.dtype.name, "shape": list(layer.shape)} for layer in self.layers]
        return {"cpu": self.cpu, "autotune": self.tuned, "memory": dict(self.memory), "totals": self.totals(),
                "layers": layers}

    def notes(self):
        """The lines below the table."""
        totals, memory = self.totals(), {key: size / 1e6 for key, size in self.memory.items()}
        lines = [
            f"layers with weights: {totals['sparse_layers']} sparse, {totals['dense_layers']} dense; "
            f"multiply-adds: {totals['macs'] / 1e6:.1f} M, {100 * totals['macs_skipped']:.1f} % of them skipped",
            f"memory: weights {memory['weights']:.2f} MB, activations {memory['activations']:.2f} MB, "
            f"scratch {memory['scratch']:.2f} MB; weights in the file {totals['weight_bytes'] / 1e6:.2f} MB",
        ]
        integers = [layer for layer in self.layers if in_integers(layer)]
        if integers:
            count = Counter(layer.op for layer in self.layers)
            into, out = (count[op] + count[f"{op}Linear"] for op in ("Quantize", "Dequantize"))
            floats = Counter(layer.op for layer in self.layers if layer.reason.startswith("float32: "))
            lines.append(
                f"8 bits: {len(integers)} layers compute in integers, {sum(floats.values())} in float32"
                + (f" ({', '.join(f'{op} {n}' for op, n in floats.items())})" if floats else "")
                + f"; conversions: {into} to 8 bits, {out} from them"
            )
        if totals["ms"]:
            lines.append(f"time of all layers: {totals['ms']:.3f} ms")
        if any("kcycles" in layer.reason for layer in self.layers):
            lines.append(
                "kcycles: what each kind of kernel is estimated to take, in thousands of cycles; the least is chosen, "
                "but dense unless it loses by 10 %"
            )
        if self.tuned:
            lines.append(f"autotune: {self.tuned}")
        return [*lines, f"cpu: {self.cpu}"]

    def table(self):
        """The Table that is printed."""
        total = self.ns
        rows = []
        for layer in self.layers:
            row = {**asdict(layer), "style": "green" if is_sparse(layer) else None}
            row["fill_2x1"] = layer.fill_2x1 if layer.sparsity else None  # blocks without zeros are full
            row["ms"], row["share"] = layer.ns / 1e6, layer.ns / total if total else None
            if layer.sparsity is None:
                row["weight_bytes"] = layer.weight_bytes or None
                row["packed_bytes"] = layer.packed_bytes or None
            rows.append(row)
        return Table([*_COLUMNS, *(_TIMES if total else []), *_WHY], rows, ["", *self.notes()])
