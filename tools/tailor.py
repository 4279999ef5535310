#!/usr/bin/env python3
"""Which operators and kernels models need, and a C library that has only those.

    python tools/tailor.py MODEL.spr...                       lists them
    python tools/tailor.py MODEL.spr... --header tailored.h   writes the header for -DSPR_TAILOR, which CMake and the
                                                              amalgamation take
    python tools/tailor.py MODEL.spr... --build FOLDER        builds the library, and tells how large it is, stripped;
                                                              [--toolchain FILE] for another architecture

Kernels are kept by class: a class that one of the models may use on some CPU is kept for all CPUs of the architecture;
--isa neon,dotprod keeps only what those features run. Plain C is kept of these classes and of those that stand in for
them (with --isa neon, where NEON has no kernel for all their cases), so that a tailored library computes all that its
operators can, but with the models' activations and functions of one variable only. A model with others is refused by
name when it is opened, and so is a session with autotune, unless --autotune keeps that.
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
# A model may use one kernel of such a family on one CPU and another elsewhere: the cheapest wins. Functions of one
# variable are needed everywhere, those that kernels have in registers too.
FAMILIES = [("pw_dense", "pw_csr", "pw_2x1"), ("fc_dense", "fc_csr"), ("conv", "pw_csr", "pw_2x1")]
ALWAYS = {"unary"}
# Where one of such a group is used, the plan asks for plain C of all.
TOGETHER = [{"pw_dense", "pw_csr", "pw_2x1", "fc_dense", "fc_csr", "conv"}]
IN_REGISTERS = {"none", "clip", "hard_swish", "hard_sigmoid", "leaky_relu", "prelu"}
UNNAMED = {"Softmax": {"exp"}}  # functions that no attribute names
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


def parts(model, nodes, given):
    """What the runtime has for some models only: functions, and what SPR_KEPT names."""
    words = {word for node in nodes for word in node["attrs"].values()}
    words |= IN_REGISTERS.union(*(UNNAMED.get(node["op"], set()) for node in nodes))
    kept = {f"fn_{known}" for known, name in functions().items() if name in words}
    for node in nodes:
        plain = node["op"] == "Conv" and node["weights"] and node["weights"][2:] == (1, 1) and node["attrs"]["group"] == 1
        if node["op"] == "Conv" and node["sparse"] and not plain:
            kept.add("unrolled")
    known = model.infer(given)
    if any(name not in known for node in nodes for name in node["outputs"]):
        kept |= {"late", "folding"}
    runs = {name for name, *_ in model.inputs}  # values that are not constants
    for node in nodes:
        if node["op"] == "Shape" or not runs & set(node["inputs"]):
            kept.add("folding")
        else:
            runs |= set(node["outputs"])
    return kept


def needs(path, given):
    """(operators, kernel classes, classes of which plain C does, parts) of a model."""
    classes = {kernel["name"]: kernel["cls"] for kernel in _core.kernels()}
    model = _core.Model(str(path))
    nodes = model.nodes()
    operators = {node["op"] for node in nodes}
    kept = parts(model, nodes, shapes(path, given))
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
    if "GlobalAveragePool" in operators:
        used.add("pool")  # which x86 does without
    weights = [node["weights"] for node in nodes if node["op"] == "Conv" and node["weights"]]
    if any(len(shape) == 4 and shape[1] == 1 and 5 in shape[2:] for shape in weights):
        kept.add("dwconv_5x5")  # half of the code of depthwise layers
    plain = set().union(used, *(group for group in TOGETHER if group & used))
    if any(cls.endswith("_q8") for cls in used):
        plain |= {cls for cls in classes.values() if cls.endswith("_q8")}
    if operators - planned - NO_KERNEL:
        plain |= set(classes.values())  # what depends on constants alone is computed when planning
    return operators, used, plain, kept


def functions():
    """{number of spr_function as in C: name}."""
    text = (ROOT / "csrc/kernels/kernel.h").read_text(encoding="utf-8")
    table = text[text.index("#define SPR_VECTOR_FUNCTIONS"):text.index("#define SPR_FUNCTIONS")]
    return dict(re.findall(r'F\((\w+), "(\w+)"', table))


def kernel_functions():
    """{kernel's name: (ISA in kernels.inc, function)}."""
    text = (ROOT / "csrc/kernels/kernels.inc").read_text(encoding="utf-8")
    return {name: (isa, function) for name, isa, function in re.findall(r'"(\w+)",\s*(\w+),\s*(\w+)', text)}


def kept_kernels(classes, plain, isa):
    if isa and "neon" in isa:  # all 64-bit ARM cores have it, and sessions without it are refused
        plain = plain - {k["cls"] for k in _core.kernels() if k["isa"] == "neon" and k["cls"] in classes - {"conv"}}
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


def header(models, operators, kept, kernels):
    function_of = kernel_functions()
    lines = [f"/* What {', '.join(Path(m).name for m in models)} need, by tools/tailor.py: for -DSPR_TAILOR. */"]
    lines += [f"#define SPR_KEEP_op_{op} ~," for op in sorted(operators)]
    lines += [f"#define SPR_KEEP_{part} ~," for part in sorted(kept)]
    lines += [f"#define SPR_KEEP_{function} ~," for function in sorted({function_of[k["name"]][1] for k in kernels})]
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
    parser.add_argument("--autotune", action="store_true", help="keep measuring kernels on the device")
    parser.add_argument("--isa", help="comma list of CPU features: leave out kernels that need others")
    parser.add_argument("--input-shape", action="append", default=[], type=parse_shape, metavar="NAME=1x3x224x224")
    argv = sys.argv[1:]
    split = argv.index("--") if "--" in argv else len(argv)
    given = parser.parse_args(argv[:split])
    operators, classes, plain, kept = set(), set(), set(), {"autotune"} if given.autotune else set()
    for model in given.models:
        for whole, part in zip((operators, classes, plain, kept), needs(model, dict(given.input_shape)), strict=True):
            whole |= part
    isa = set(given.isa.split(",")) if given.isa else None
    kernels = kept_kernels(classes, plain, isa)
    if not isa or "neon" not in isa:
        kept.add("plain_c")
    print("operators:", *sorted(operators))
    print("kernels:", *(k["name"] for k in kernels if k["isa"] != "ref"))
    print("and plain C")
    target = given.header or (given.build / "tailored.h" if given.build else None)
    if target:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(header(given.models, operators, kept, kernels), encoding="utf-8")
    if given.build:
        library = build(given.build, target.resolve(), given.toolchain, argv[split + 1:])
        print(f"{library}: {library.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
