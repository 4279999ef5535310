"""Builds sparse_runtime._core: the Cython binding together with the whole C core.

Everything static is in pyproject.toml. Object files are kept in build/temp.*, and only those are compiled again
whose source, headers or command changed; `--force` compiles all.
"""
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from sysconfig import get_platform

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORE = Path("csrc")
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
    command = " ".join([*compiler.compiler_so, *cc_args, *extra_postargs])

    def compile_one(obj):
        if not everything and up_to_date(obj, command):
            return
        src, ext = build[obj]
        compiler._compile(obj, src, ext, cc_args, [*extra_postargs, "-MMD", "-MF", obj + ".d"], pp_opts)
        Path(obj + ".cmd").write_text(command, encoding="utf-8")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, objects))
    return objects


class BuildExt(build_ext):
    def finalize_options(self):
        super().finalize_options()
        if os.path.isabs(self.build_temp):  # an editable install: share the objects with `build_ext --inplace`
            self.build_temp = os.path.join("build", f"temp.{get_platform()}-{sys.implementation.cache_tag}")

    def build_extensions(self):
        self.compiler.compile = partial(compile_changed, self.compiler, self.force)
        self.force = self.compiler.force = True  # link always: by time alone, a source that is gone would not be missed
        super().build_extensions()


core = Extension(
    "sparse_runtime._core",
    ["sparse_runtime/_core.pyx", *core_sources()],
    include_dirs=[str(CORE / "include"), str(CORE)],
    extra_compile_args=["-O3", "-std=gnu11", "-fvisibility=hidden", "-ffp-contract=off", "-Wall", "-pthread"],
    extra_link_args=["-pthread", "-lm"],
)

setup(
    version=version(),
    ext_modules=cythonize([core], language_level=3),
    cmdclass={"build_ext": BuildExt},
)
