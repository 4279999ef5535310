"""Builds sparse_runtime._core: the Cython binding together with the whole C core.

Everything static is in pyproject.toml. Object files are kept in build/temp.*, and only those are compiled again
whose source, headers or command changed; `--force` compiles all.

Wheels for CPython 3.11 and newer keep to the limited API (buffers are part of it from 3.11 on): one wheel per platform
serves all of them. It costs 0.3 to 0.5 of the 5.3 us that a run of an almost empty model takes. Wheels are stripped.
"""
import os
import re
import shutil
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORE = Path("csrc")
WHEEL = "bdist_wheel" in sys.argv
ABI3 = WHEEL and sys.version_info >= (3, 11) and not sysconfig.get_config_var("Py_GIL_DISABLED")
LIMITED_API = "-DPy_LIMITED_API=0x030b0000"
# What runs once per plan or call, or hardly ever: there size counts, not speed.
SMALL = (
    *(str(CORE / p) for p in ("graph", "runtime/chain", "runtime/cost", "runtime/explain", "runtime/late",
                              "runtime/layout", "runtime/plan", "runtime/session", "runtime/strips", "runtime/tune")),
    *(str(CORE / "runtime/ops" / f"{p}.c") for p in ("bitwise", "choose", "compare", "conv", "found", "fully_connected",
                                                     "in_strips", "index", "matmul", "pointwise", "pool",
                                                     "pool_mean", "q_conv", "q_conv_choose", "reshape", "roi_align",
                                                     "slice")),
    *(str(CORE / p) for p in ("base", "model/model", "model/read", "model/source", "model/write")),
    "sparse_runtime",
)
# How their loops lie in lines of the instruction cache is worth 3 % of a network and 10 % of single layers.
ALIGNED = re.compile(r"/(avx|amx|vnni|vbmi)\w*\.c$")
STRIP = ["-Wl,-x" if sys.platform == "darwin" else "-Wl,--strip-all"] if WHEEL else []
NOT_IN_LIBRARY = {"tests", "tools", "jni"}  # CMakeLists.txt leaves out the same folders of csrc/


def version():
    text = (CORE / "include/spr/spr.h").read_text(encoding="utf-8")
    parts = dict(re.findall(r"^#define SPR_VERSION_(MAJOR|MINOR|PATCH) (\d+)", text, re.MULTILINE))
    return ".".join(parts[p] for p in ("MAJOR", "MINOR", "PATCH"))


def core_sources():
    return sorted(str(p) for p in CORE.rglob("*.c") if p.parts[1] not in NOT_IN_LIBRARY)


def up_to_date(obj, command):
    """Whether obj is younger than all that the compiler read for it, and was made by the same command."""
    try:
        built = os.stat(obj).st_mtime
        rule = Path(obj + ".d").read_text(encoding="utf-8").split(": ", 1)[1].replace("\\\n", " ")
        read = [p.replace("\\ ", " ") for p in re.split(r"(?<!\\)\s+", rule.strip())]
        same = Path(obj + ".cmd").read_text(encoding="utf-8") == command
        return same and all(os.stat(p).st_mtime < built for p in read)
    except (OSError, IndexError):
        return False


def compile_changed(compiler, everything, sources, output_dir=None, macros=None, include_dirs=None, debug=0,
                    extra_preargs=None, extra_postargs=None, depends=None):
    """CCompiler.compile, but on all cores and, unless `everything`, only what changed (see up_to_date)."""
    macros, objects, extra_postargs, pp_opts, build = compiler._setup_compile(
        output_dir, macros, include_dirs, sources, depends, extra_postargs)
    cc_args = compiler._get_cc_args(pp_opts, debug, extra_preargs)

    def compile_one(obj):
        src, ext = build[obj]
        options = [*extra_postargs]
        if src.startswith(SMALL):
            options.append("-Os")
        if ALIGNED.search(Path(src).as_posix()):
            options += ["-falign-functions=64", "-falign-loops=64"]
        if ABI3 and not src.startswith(str(CORE)):  # what is C only is the same for wheels and for builds in place
            options.append(LIMITED_API)
        command = " ".join([*compiler.compiler_so, *cc_args, *options])
        if not everything and up_to_date(obj, command):
            return
        compiler._compile(obj, src, ext, cc_args, [*options, "-MMD", "-MF", obj + ".d"], pp_opts)
        Path(obj + ".cmd").write_text(command, encoding="utf-8")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, objects))
    return objects


class BuildExt(build_ext):
    def finalize_options(self):
        super().finalize_options()
        if os.path.isabs(self.build_temp):  # an editable install: share the objects with `build_ext --inplace`
            self.build_temp = os.path.join("build", f"temp.{sysconfig.get_platform()}-{sys.implementation.cache_tag}")

    def build_extensions(self):
        self.compiler.compile = partial(compile_changed, self.compiler, self.force)
        self.force = self.compiler.force = True  # link always: by time alone, a source that is gone would not be missed
        super().build_extensions()


core = Extension(
    "sparse_runtime._core",
    ["sparse_runtime/_core.pyx", *core_sources()],
    include_dirs=[str(CORE / "include"), str(CORE)],
    extra_compile_args=["-O3", "-std=gnu11", "-fvisibility=hidden", "-ffp-contract=off", "-fno-math-errno", "-Wall",
                        "-pthread", "-fno-asynchronous-unwind-tables"],
    extra_link_args=["-pthread", "-lm", *STRIP],
    py_limited_api=ABI3,
)

options = {"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {}
if WHEEL:  # from a folder of its own, made anew: whatever lies in it goes into the wheel
    options["build"] = {"build_lib": os.path.join("build", f"wheel.{sysconfig.get_platform()}")}
    shutil.rmtree(options["build"]["build_lib"], ignore_errors=True)

setup(
    version=version(),
    ext_modules=cythonize([core], language_level=3),
    cmdclass={"build_ext": BuildExt},
    options=options,
)
