"""The table of docs/benchmarks.md about 1x1 layers in 8 bits on ARM, from the rows of the part "int8" of arm.json."""

from __future__ import annotations

from .report_tables import CORES, table

SPARSITIES = (0.75, 0.85, 0.9)
FORMS = {"csr": "CSR", "2x1": "2x1", "1x4": "blocks of 1x4", "2x4": "blocks of 2x4, rows in pairs"}


class Totals:
    """Cycles of MobileNetV1's 1x1 layers, each as often as it occurs, with the memory model."""

    def __init__(self, estimated):
        self.counts = estimated.counts["mobilenet_v1"]
        self.rows = {(tuple(r["shape"]), r["format"], r["sparsity"]): r for r in estimated.data["int8"]}
        for key, row in estimated.layers.items():
            self.rows.setdefault(key, row)

    def cycles(self, fmt, sparsity, core):
        """None unless all layers were estimated."""
        rows = [self.rows.get((shape, fmt, sparsity)) for shape in self.counts]
        if any(row is None or core not in row["cycles"] for row in rows):
            return None
        return sum(count * row["cycles"][core]["mem"] for row, count in zip(rows, self.counts.values()))


def _cell(totals, form, sparsity, core, dense):
    cycles = totals.cycles(f"int8 {form}", sparsity, core)
    if not cycles:
        return ""
    fp32 = totals.cycles(form if form in ("csr", "2x1") else "2x1" if form == "2x4" else "csr", sparsity, core)
    return f"{cycles / 1e6:.1f} M" + "".join(f", {other / cycles:.2f}×" for other in (fp32, dense) if other)


def int8_table(estimated):
    totals, rows = Totals(estimated), []
    for core, (title, _) in CORES.items():
        dense, fp32 = totals.cycles("int8 dense", 0.0, core), totals.cycles("dense", 0.0, core)
        if not dense:
            continue
        text = f"{dense / 1e6:.1f} M" + (f", {fp32 / dense:.2f}×" if fp32 else "")
        rows.append([title, "dense", *[text] * len(SPARSITIES)])
        for form, name in FORMS.items():
            cells = [_cell(totals, form, sparsity, core, dense) for sparsity in SPARSITIES]
            if any(cells):
                rows.append([title, name, *cells])
    heads = [f"{sparsity * 100:.0f} % zeros" for sparsity in SPARSITIES]
    return table(["MobileNetV1's 1x1 layers, INT8", "form", *heads], rows, right=range(2, 5))
