#!/usr/bin/env python3
"""Which operators and kernels models need, and a C library that has only those.

    python tools/tailor.py MODEL.spr...                       lists them
    python tools/tailor.py MODEL.spr... --header tailored.h   writes the header for -DSPR_TAILOR, which CMake and the
                                                              amalgamation take
    python tools/tailor.py MODEL.spr... --build FOLDER        builds the library, and tells how large it is, stripped;
                                                              [--toolchain FILE] for another architecture

Kernels are kept by class: a class that one of the models may use on some CPU is kept for all CPUs of the architecture;
--isa neon,dotprod keeps only what those features run. Plain C is kept of these classes and of those that stand in for
them, so that a tailored library computes all that its operators can. A model with other operators is refused by name
when it is opened.
"""
import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import sparse_runtime as sr  # noqa: E402
from sparse_runtime import _core  # noqa: E402

FREE_SIZE = 96  # of an image, where the model leaves it open and nothing was given
# A model may use one kernel of such a family on one CPU and another elsewhere: the cheapest wins. Activations are
# needed everywhere.
FAMILIES = [("pw_dense", "pw_csr", "pw_2x1"), ("fc_dense", "fc_csr"), ("conv", "pw_csr", "pw_2x1")]
ALWAYS = {"unary"}
# Where one of such a group is used, the plan asks for plain C of all.
TOGETHER = [{"pw_dense", "pw_csr", "pw_2x1", "fc_dense", "fc_csr", "conv"}]
NO_KERNEL = {"Reshape"}  # what may be missing among the planned layers without having been computed before


def shapes(path, given):
    """Shapes to plan for, of inputs that leave some dimension open."""
    found = {}
    for name, _, shape in _core.Model(str(path)).inputs:
        if name in given:
            found[name] = given[name]
        elif any(d is None for d in shape):
            found[name] = [d if d is not None else 1 if i == 0 else FREE_SIZE for i, d in enumerate(shape)]
    return found


def needs(path, given):
    """(operators, kernel classes and sizes of depthwise windows, classes of which plain C does) of a model."""
    classes = {kernel["name"]: kernel["cls"] for kernel in _core.kernels()}
    nodes = _core.Model(str(path)).operators()
    operators = {op for op, _ in nodes}
    used, planned = set(ALWAYS), set()
    for sparse in ("auto", "always", "never"):
        session = sr.Session(path, sparse=sparse, input_shapes=shapes(path, given))
        layers = session.explain()
        used |= {classes[layer.kernel] for layer in layers if layer.kernel}
        planned |= {layer.op for layer in layers}
        has_zeros = any(layer.sparsity for layer in layers)
    for family in FAMILIES:
        if used & set(family[:1]) and has_zeros:
            used |= set(family)
    if any(cls.endswith("_q8") and cls.startswith("pw_") for cls in used) and has_zeros:
        used |= {cls for cls in classes.values() if cls.startswith("pw_") and cls.endswith("_q8")}
    if operators & {"NonZero", "NonMaxSuppression"} or not planned:
        used |= set(classes.values())  # layers that are planned only when they run
    if any(op == "Conv" and shape and len(shape) == 4 and shape[1] == 1 and 5 in shape[2:] for op, shape in nodes):
        used.add("dwconv_5x5")  # half of the code of depthwise layers
    plain = set().union(used, *(group for group in TOGETHER if group & used))
    if any(cls.endswith("_q8") for cls in used):
        plain |= {cls for cls in classes.values() if cls.endswith("_q8")}
    if operators - planned - NO_KERNEL:
        plain |= set(classes.values())  # what depends on constants alone is computed when planning
    return operators, used, plain


def kernel_functions():
    """{kernel's name: (ISA in kernels.inc, function)}."""
    text = (ROOT / "csrc/kernels/kernels.inc").read_text(encoding="utf-8")
    return {name: (isa, function) for name, isa, function in re.findall(r'"(\w+)",\s*(\w+),\s*(\w+)', text)}


def kept_kernels(classes, plain, isa):
    kept = []
    for kernel in _core.kernels():
        features = set(kernel["isa"].split(","))
        if kernel["isa"] == "ref":
            keep = kernel["cls"] in plain
        else:
            keep = kernel["cls"] in classes and (isa is None or features <= isa)
        if keep:
            kept.append(kernel)
    return kept


def header(models, operators, classes, kernels):
    functions = kernel_functions()
    lines = [f"/* What {', '.join(Path(m).name for m in models)} need, by tools/tailor.py: for -DSPR_TAILOR. */"]
    lines += [f"#define SPR_KEEP_op_{op} ~," for op in sorted(operators)]
    lines += ["#define SPR_KEEP_dwconv_5x5 ~,"] if "dwconv_5x5" in classes else []
    lines += [f"#define SPR_KEEP_{function} ~," for function in sorted({functions[k["name"]][1] for k in kernels})]
    return "\n".join(lines) + "\n"


def build(folder, header_file, toolchain, flags):
    """Builds and strips; returns the path of the shared library."""
    command = ["cmake", "-S", ROOT, "-B", folder, f"-DSPR_TAILOR={header_file}", "-DSPR_BUILD_TESTS=OFF",
               "-DSPR_BUILD_TOOLS=OFF",
               "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_C_FLAGS=-fno-asynchronous-unwind-tables -fno-unwind-tables",
               "-DCMAKE_SHARED_LINKER_FLAGS=-Wl,-z,noseparate-code,-z,max-page-size=16384",
               *(["-DCMAKE_TOOLCHAIN_FILE=" + str(Path(toolchain).resolve())] if toolchain else []), *flags]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", folder, "--parallel", "--target", "sparse_runtime"], check=True,
                   stdout=subprocess.DEVNULL)
    strip = re.search(r"^CMAKE_STRIP:\w+=(.*)$", (folder / "CMakeCache.txt").read_text(encoding="utf-8"),
                      re.MULTILINE)[1]
    library = folder / "libsparse_runtime.so"
    shutil.copy(library.resolve(), folder / "stripped.so")
    subprocess.run([strip, folder / "stripped.so"], check=True)
    return folder / "stripped.so"


def parse_shape(text):
    name, _, shape = text.rpartition("=")
    return name, [int(d) for d in shape.split("x")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL.spr")
    parser.add_argument("--header", type=Path, help="where to write the header")
    parser.add_argument("--build", type=Path, metavar="FOLDER", help="build the library there, with cmake")
    parser.add_argument("--toolchain", help="a CMake toolchain file, such as tools/cmake/aarch64-linux-gnu.cmake")
    parser.add_argument("--isa", help="comma list of CPU features: leave out kernels that need others")
    parser.add_argument("--input-shape", action="append", default=[], type=parse_shape, metavar="NAME=1x3x224x224")
    argv = sys.argv[1:]
    split = argv.index("--") if "--" in argv else len(argv)
    given = parser.parse_args(argv[:split])
    operators, classes, plain = set(), set(), set()
    for model in given.models:
        for whole, part in zip((operators, classes, plain), needs(model, dict(given.input_shape)), strict=True):
            whole |= part
    kernels = kept_kernels(classes, plain, set(given.isa.split(",")) if given.isa else None)
    print("operators:", *sorted(operators))
    print("kernels:", *(k["name"] for k in kernels if k["isa"] != "ref"))
    print("and plain C")
    target = given.header or (given.build / "tailored.h" if given.build else None)
    if target:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(header(given.models, operators, classes, kernels), encoding="utf-8")
    if given.build:
        library = build(given.build, target.resolve(), given.toolchain, argv[split + 1:])
        print(f"{library}: {library.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
