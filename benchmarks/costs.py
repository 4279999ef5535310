"""Fits the COST coefficients of csrc/kernels/kernels.inc to measurements, and says how good the plan's choices are.

    python -m benchmarks.costs --measure        # what is not measured yet, into build/costs/*.jsonl; can be interrupted
    python -m benchmarks.costs                  # fits, and checks on shapes that were not fitted to
    python -m benchmarks.costs --write          # also puts the coefficients into kernels.inc

x86 kernels are timed on this machine, alone on a core please, with weights that are in no cache of the core's own; ARM
kernels are estimated by tools/armcycles with its model of caches. Both need `make core-native core-arm`. What a
coefficient means, and how an estimate is made of them, is in csrc/kernels/kernel.h and csrc/runtime/cost.c; `terms`
here is the same formula.
"""

import argparse
import json
import math
import os
import random
import re
import subprocess
from pathlib import Path

import numpy as np

from .arm import armcycles

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "costs"
KERNELS = ROOT / "csrc" / "kernels" / "kernels.inc"

# core: (ISA as SPR_ISA names it, ending of kernel names, ending of FC kernels, bytes of L2 in cost.c)
CORES = {
    "avx512": ("amx", "avx512", ("avx512", "avx512"), 2048 << 10),
    "avx2": ("avx2", "avx2", ("avx2", "avx2"), 512 << 10),
    "a53": ("neon,inorder", "neon_inorder", ("neon", "neon"), 384 << 10),
    "a55": ("neon,inorder,dotprod", "neon_inorder_dotprod", ("neon", "neon"), 384 << 10),
    "a76": ("neon", "neon", ("neon", "neon"), 512 << 10),
    "v1": ("neon", "neon", ("neon", "neon"), 512 << 10),
    "vnni": ("vnni", "vnni", None, 2048 << 10),
    "amx": ("amx", "amx", None, 2048 << 10),
    "avx2_q8": ("avx2", "avx2", None, 2048 << 10),
    "a53_q8": ("neon,inorder", "neon_inorder", None, 384 << 10),
    "a55_q8": ("neon,dotprod", "dotprod", None, 384 << 10),
    "a76_q8": ("neon,dotprod", "dotprod", None, 512 << 10),
    "v1_q8": ("neon,dotprod", "dotprod", None, 512 << 10),
    "v1_i8mm": ("neon,dotprod,i8mm", "i8mm", None, 512 << 10),
}
# measured together, and whose fit the kernels get
GROUPS = {"avx512": ["avx512"], "avx2": ["avx2"], "inorder": ["a53"], "dotprod": ["a55"], "ooo": ["a76", "v1"],
          "vnni": ["vnni"], "amx": ["amx"], "avx2_q8": ["avx2_q8"],
          "neon_q8": ["a53_q8"], "dotprod_q8": ["a76_q8", "a55_q8", "v1_q8"], "i8mm": ["v1_i8mm"]}
FITTED = GROUPS | {"ooo": ["a76"]}
# A dense kernel to choose or not beside the sparse ones of another group, and that group's core of the same kind.
BESIDE = {"i8mm": ("dotprod_q8", "v1_q8")}
FORMATS = ("dense", "csr", "2x1")
QUANTIZED = {"vnni": ("dense", "1x4", "2x4"), "amx": ("dense",), "avx2_q8": ("dense", "csr", "2x1"),
             "a53_q8": ("dense", "csr", "2x1"), "v1_i8mm": ("dense",)}  # their forms
QUANTIZED |= dict.fromkeys(("a55_q8", "a76_q8", "v1_q8"), ("dense", "1x4", "2x4", "csr", "2x1"))
PAIRED = ("2x1", "2x4")  # forms of two rows together
# groups measured on x86, and GHz of the machines that their figures are from (a Xeon and a Zen 3), for cycles
X86 = {"avx512": 2.75, "vnni": 2.75, "amx": 2.75, "avx2": 3.2, "avx2_q8": 3.2}


# ---- measuring -----------------------------------------------------------------------------------------------------


def grid(core):
    """[(kernel, (pixels, rows, channels), sparsity)]: 1x1 layers as mobile networks have them, and FC layers."""
    _, ending, fc, _ = CORES[core]
    dense = ending.removesuffix("_inorder")  # in 8 bits
    pick = random.Random(7)
    pixels = [49, 81, 100, 196, 361, 400, 784, 1444, 1600, 3136, 5776, 12544]
    channels = [16, 24, 32, 58, 64, 96, 128, 160, 192, 256, 384, 512, 768, 1024]
    shapes, points = [], []
    while len(shapes) < 44:
        shape = (pick.choice(pixels), pick.choice(channels), pick.choice(channels))
        if 4e5 < math.prod(shape) < (2e8 if core in X86 else 3e7) and shape not in shapes:
            shapes.append(shape)
    if core in QUANTIZED:
        for shape in shapes:
            points.append((f"pw_dense_q8_{dense}", shape, 0.0))
            for zeros in pick.sample([0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95], 3):
                for form in QUANTIZED[core][1:]:
                    points.append((f"pw_{form}_q8_{ending}", shape, zeros))
                    if form in PAIRED:  # and what weights pruned one by one leave
                        points.append((f"pw_{form}_q8_{ending}", shape, round(zeros * zeros, 4)))
        return list(dict.fromkeys(points))
    fc_dense, fc_csr = fc
    for shape in shapes:
        points.append((f"pw_dense_f32_{ending}", shape, 0.0))
        for zeros in sorted(pick.sample([0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95], 3)):
            points.append((f"pw_csr_f32_{ending}", shape, zeros))
            # weights pruned in blocks, and the blocks that weights pruned one by one leave
            points += [(f"pw_2x1_f32_{ending}", shape, share) for share in (zeros, round(zeros * zeros, 4))]
    for batch in (1, 1, 1, 1, 2, 4, 8) * 2:
        shape = (batch, pick.choice([16, 64, 128, 256, 512, 1000]), pick.choice([32, 64, 128, 256, 512, 1024, 1280]))
        points.append((f"fc_dense_f32_{fc_dense}", shape, 0.0))
        points += [(f"fc_csr_f32_{fc_csr}", shape, zeros) for zeros in (0.5, 0.7, 0.8, 0.9)]
    return list(dict.fromkeys(points))


def read(group):
    """{(kernel, shape, sparsity): {"macs": ..., core: cycles}}"""
    path = FOLDER / f"{group}.jsonl"
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines()) if path.exists() else ()
    return {(row["kernel"], tuple(row["shape"]), row["sparsity"]): row for row in rows}


def measure(group):
    cores, isa = GROUPS[group], CORES[GROUPS[group][0]][0]
    known = read(group)
    points = [point for point in grid(cores[0]) if point not in known]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / f"{group}.jsonl", "a", encoding="utf-8") as file:
        for i, (kernel, shape, zeros) in enumerate(points):
            print(f"\r{group}: {i + 1} of {len(points)}", end="", flush=True)
            arguments = ["--kernel", kernel, "--shape", ",".join(map(str, shape)), "--sparsity", str(zeros)]
            if group in X86:
                program = ROOT / "build" / "native" / "spr-bench-kernels"
                text = subprocess.run([program, *arguments, "--cold", str(8 << 20), "--repeat", "15"],
                                      env=dict(os.environ, SPR_ISA=isa), capture_output=True,
                                      text=True, check=True).stdout
            else:
                program = ["spr-bench-kernels", *arguments, "--repeat", "1", "--calls", "1"]
                names = [core.split("_")[0] for core in cores]
                cycles, text = armcycles.run(names, isa, [f"spr_{kernel}"], program, "10000")
            line = next(line.split() for line in text.splitlines() if line.startswith(kernel + " "))
            row = {"kernel": kernel, "shape": shape, "sparsity": zeros, "macs": float(line[3]) * 1e6}
            if group in X86:
                row[group] = float(line[4]) * 1e3 * X86[group]
            else:
                row.update({core: cycles[name]["mem"] for core, name in zip(cores, names)})
            file.write(json.dumps(row) + "\n")
            file.flush()
    if points:
        print()


# ---- fitting -------------------------------------------------------------------------------------------------------


def _costs():
    text = KERNELS.read_text(encoding="utf-8")
    found = re.findall(r'(?:PW|FC|PW_Q8)\(\w+, "(\w+)".*?COST\(([^)]*)\)', text, re.DOTALL)
    return {name: [part.strip(" \nf") for part in cost.split(",")] for name, cost in found}


def coefficients():
    """{kernel: (per_mac, per_weight, per_row, per_far, per_fetch)} as kernels.inc says."""
    return {name: tuple(map(float, parts[:5])) for name, parts in _costs().items()}


def structures():
    """{kernel: (tile, vector, panel)} as kernels.inc says."""
    return {name: tuple(map(int, parts[5:])) for name, parts in _costs().items()}


def terms(row, structure, l2):
    """What per_mac, per_weight, per_row, per_far and per_fetch are multiplied with."""
    pixels, rows, channels = row["shape"]
    tile, vector, panel = structure[row["kernel"]]
    quantized = "_q8_" in row["kernel"]
    stored = row["macs"] / pixels
    tiles, panels = math.ceil(pixels / tile), math.ceil(channels / panel) if panel else 1
    pixels = math.ceil(pixels / vector) * vector
    fmt = row["kernel"].split("_")[1]
    if fmt in ("1x4", "2x4"):  # blocks of four channels that are not all zero
        stored = rows * channels * (1 - row["sparsity"] ** 4)
    used = 1 if fmt == "dense" else 1 - math.exp(-stored / channels / (2 if fmt in ("2x1", "2x4") else 1))
    size = (1.0 if quantized else 4.0) * channels * pixels
    far = min(1, max(0, 2 * size / l2 - 1)) * size * used
    return stored * pixels, stored * tiles, rows * tiles * panels, far, stored


def least_squares(matrix, target):
    """Coefficients >= 0, by coordinate descent."""
    scale = np.sqrt((matrix**2).sum(0))
    scale[scale == 0] = 1
    matrix = matrix / scale
    gram, right, x = matrix.T @ matrix, matrix.T @ target, np.zeros(matrix.shape[1])
    for _ in range(20000):
        for j in range(len(x)):
            if gram[j, j] > 0:
                x[j] = max(0, x[j] + (right[j] - gram[j] @ x) / gram[j, j])
    return np.where(x < 1e-9 * x.max(), 0, x) / scale


def fit(rows, cores, structure):
    """{kernel: coefficients} with the least relative errors over the cores."""
    found = {}
    for kernel in sorted({row["kernel"] for row in rows}):
        pairs = [(row, core) for row in rows if row["kernel"] == kernel for core in cores]
        matrix = np.array([np.array(terms(row, structure, CORES[core][3])) / row[core] for row, core in pairs])
        if "_q8_" in kernel:
            matrix[:, 3] = 0  # inputs of bytes are hardly ever larger than L2: too few to tell
        found[kernel] = least_squares(matrix, np.ones(len(pairs)))
    return found


def margin(core):
    """SPARSE_MARGIN of csrc/runtime/ops/q_conv_choose.c and choose.c."""
    return 0.9 if core in QUANTIZED else 0.95


def choose(estimates, dense_margin):
    """The plan's rule."""
    best = 0
    for i in range(1, len(estimates)):
        if estimates[i] < estimates[best] * (dense_margin if best == 0 else 1):
            best = i
    return best


def evaluate(rows, core, costs, structure):
    """One (regret, picked, best, time by dense, shape, sparsity) per choice between the forms, for weights pruned one
    by one and in blocks."""
    known = {(row["kernel"].split("_")[1], tuple(row["shape"]), row["sparsity"]): row for row in rows
             if row["kernel"].startswith("pw")}
    found = []
    dense, *forms = QUANTIZED.get(core, FORMATS)
    for fmt, shape, zeros in known:
        if fmt != forms[0]:
            continue
        for blocks in (zeros, round(zeros * zeros, 4)):
            options = [known.get((dense, shape, 0.0)),
                       *(known.get((form, shape, blocks if form in PAIRED else zeros)) for form in forms)]
            if None in options:
                continue
            true = [option[core] for option in options]
            picked = choose([np.dot(terms(option, structure, CORES[core][3]), costs[option["kernel"]])
                             for option in options], margin(core))
            best = int(np.argmin(true))
            found.append((true[picked] / true[best] - 1, picked, best, true[picked] / true[0], shape, zeros))
    return found


def crossover(core, costs, structure, fmt, dense, shape=(784, 256, 256)):
    """The sparsity from which a format is estimated to beat the dense kernel."""
    ending = ("q8_" if core in QUANTIZED else "f32_") + CORES[core][1]
    dense = {"kernel": dense, "shape": shape, "macs": math.prod(shape), "sparsity": 0.0}
    limit = np.dot(terms(dense, structure, CORES[core][3]), costs[dense["kernel"]])
    for percent in range(100):
        row = {"kernel": f"pw_{fmt}_{ending}", "shape": shape, "macs": math.prod(shape) * (1 - percent / 100),
               "sparsity": percent / 100}
        if np.dot(terms(row, structure, CORES[core][3]), costs[row["kernel"]]) < margin(core) * limit:
            return percent / 100
    return 1.0


def literal(value):
    text = f"{value:.3g}"
    return text + ("f" if "." in text or "e" in text else ".0f")


def scaled(rows, cores):
    """The rows with the cycles of all cores brought to the size of those of the first, as costs rank kernels on all."""
    ratio = {core: math.exp(np.mean([math.log(row[cores[0]] / row[core]) for row in rows])) for core in cores}
    return [{**row, **{core: row[core] * ratio[core] for core in cores}} for row in rows]


def beside(group, rows, structure, held):
    """(the rows in cycles as the other group's are, that group's sparse rows, their costs, the core to judge on)"""
    (own,), (other, core) = GROUPS[group], BESIDE[group]
    measured = list(read(other).values())
    others = scaled(measured, FITTED[other])
    unit = others[0][core] / measured[0][core]
    sparse = [row for row in others if not row["kernel"].startswith("pw_dense")]
    costs = fit([row for row in sparse if tuple(row["shape"]) not in held], FITTED[other], structure)
    return [{**row, own: row[own] * unit, core: row[own] * unit} for row in rows], sparse, costs, core


def report(group, verbose, write):
    rows = list(read(group).values())
    if not rows:
        return
    rows, structure = scaled(rows, FITTED[group]), structures()
    shapes = sorted({tuple(row["shape"]) for row in rows})
    random.Random(1).shuffle(shapes)
    held = set(shapes[::3])
    cores, others, costs = GROUPS[group] if len(QUANTIZED.get(group, FORMATS)) == 3 else (), [], {}
    if group in BESIDE:
        rows, others, costs, core = beside(group, rows, structure, held)
        cores = [core]
    training = [row for row in rows if tuple(row["shape"]) not in held]
    costs = {**costs, **fit(training, FITTED[group], structure)}
    print(f"{group}: fitted to {', '.join(FITTED[group])}")
    for kernel, values in fit(rows, FITTED[group], structure).items():
        cost = f"COST({', '.join(map(literal, values))}, {', '.join(map(str, structure[kernel]))})"
        print(f"    {kernel}: {cost}")
        # one FC kernel for all ARM cores
        if write and not (group in ("inorder", "dotprod") and kernel.startswith("fc")):
            text = KERNELS.read_text(encoding="utf-8")
            text = re.sub(rf'("{kernel}"[^"]*?)COST\([^)]*\)', lambda found, new=cost: found[1] + new, text)
            KERNELS.write_text(text, encoding="utf-8")
    dense = next(kernel for kernel in costs if kernel.startswith("pw_dense"))
    rows += others
    for core in cores:
        forms = QUANTIZED.get(core, FORMATS)
        for name, part in (("fitted", [row for row in rows if tuple(row["shape"]) not in held]),
                           ("held out", [row for row in rows if tuple(row["shape"]) in held])):
            choices = evaluate(part, core, costs, structure)
            regret = np.array([choice[0] for choice in choices])
            worse = [choice[3] for choice in choices if choice[3] > 1 and choice[5] >= 0.5]
            print(f"    {core}, {name}: {len(choices)} choices, the best {np.mean(regret == 0):.0%}, within 5 % of it "
                  f"{np.mean(regret < 0.05):.0%}; regret mean {regret.mean():.2%}, worst {regret.max():.1%}; sparse "
                  f"slower than dense at 50 % or more: {len(worse)} times, at worst {max(worse, default=1):.3f}")
            if verbose:
                for regret_, picked, best, by_dense, shape, zeros in sorted(choices, reverse=True)[:12]:
                    print(f"        {regret_:.1%} {shape} {zeros}: {forms[picked]} for {forms[best]}, "
                          f"{by_dense:.2f} of dense")
        print(f"    {core}: sparse from a sparsity of "
              + ", ".join(f"{crossover(core, costs, structure, form, dense):.2f} ({form})" for form in forms[1:]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--group", choices=GROUPS, action="append", help="only these; several times")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="list the worst choices")
    args = parser.parse_args()
    for group in args.group or GROUPS:
        if args.measure:
            measure(group)
        report(group, args.verbose, args.write)


if __name__ == "__main__":
    main()
