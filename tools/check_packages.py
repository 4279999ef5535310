#!/usr/bin/env python3
"""Checks what `pip install sparse-runtime` would install: the sdist, and the wheels for this machine and for arm64.

    check_packages.py [--arm64 DIR] [--isolated]

The sdist holds every file of the repository, builds, and its tests of the documentation pass where it is unpacked. The
wheel is installed into a folder of its own: there it is below 2 MB, is imported in less than 0.2 s and computes right.
--arm64: folder of tools/arm64-python; the arm64 wheel is cross-built, installed and run there too, and so are some
benchmarks, as on a board.

Objects that builds in this folder left are used again, so the sdist is built by the Python that runs this; --isolated
builds it in a new virtual environment instead, with all that it needs from PyPI."""
import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "packages"
NOT_SHIPPED = (".ci/", ".gitignore")
MOST_BYTES, MOST_SECONDS = 2_000_000, 0.2
SOME = "mobilenet_v3_small and 90 and not 2x1"  # of the benchmarks
IMPORT = "import time, numpy; start = time.perf_counter(); import sparse_runtime; print(time.perf_counter() - start)"


def call(*command, cwd=ROOT, **variables):
    """stdout of a command that must succeed."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, env={**os.environ, **variables}, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}\ncheck_packages: failed: {' '.join(map(str, command))}")
    return done.stdout


def the_only(folder, pattern):
    found = list(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"check_packages: {len(found)} files {folder / pattern}, not one")
    return found[0]


def build_sdist():
    """The folder of the unpacked sdist, times of its files as in the repository."""
    call(sys.executable, "setup.py", "-q", "sdist", "-d", WORK)
    packed = the_only(WORK, "*.tar.gz")
    with tarfile.open(packed) as tar:
        tar.extractall(WORK)
    source = WORK / packed.name[: -len(".tar.gz")]
    if (ROOT / ".git").exists():
        tracked = call("git", "ls-files").splitlines()
        missing = [name for name in tracked if not name.startswith(NOT_SHIPPED) and not (source / name).exists()]
        if missing:
            sys.exit(f"check_packages: not in the sdist, see MANIFEST.in: {' '.join(missing)}")
    print(f"sdist: {packed.name}, {packed.stat().st_size / 1e6:.2f} MB")
    return source


def build_wheel(source, isolated):
    if isolated:
        call(sys.executable, "-m", "venv", WORK / "venv")
        python, options = WORK / "venv/bin/python", []
    else:
        for objects in (ROOT / "build").glob("temp.*"):
            shutil.copytree(objects, source / "build" / objects.name)  # with times: setup.py compiles what is newer
        python, options = sys.executable, ["--no-build-isolation"]
    call(python, "-m", "pip", "wheel", "-q", "--no-deps", *options, "-w", WORK / "native", source)
    return the_only(WORK / "native", "*.whl")


def install(wheel, name, *platform):
    """The folder into which a wheel is installed alone, after a look at its size."""
    site = WORK / name
    call(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--target", site, *platform, wheel)
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    with zipfile.ZipFile(wheel) as packed:
        strange = [n for n in packed.namelist() if n.split("/")[0] != "sparse_runtime" and ".dist-info/" not in n]
    if strange:
        sys.exit(f"check_packages: {wheel.name} also installs {' '.join(strange)}")
    print(f"wheel: {wheel.name}, {wheel.stat().st_size / 1e6:.2f} MB, installed {size / 1e6:.2f} MB")
    if size > MOST_BYTES:
        sys.exit(f"check_packages: more than {MOST_BYTES / 1e6:g} MB")
    return site


def check_native(source, site):
    print(call(sys.executable, ROOT / "tools/smoke.py", "--folder", site, "--save", WORK / "outputs.npy",
               PYTHONPATH=str(site)), end="")
    seconds = min(float(call(sys.executable, "-c", IMPORT, cwd=WORK, PYTHONPATH=str(site))) for _ in range(5))
    print(f"import after numpy: {seconds:.3f} s")
    if seconds > MOST_SECONDS:
        sys.exit(f"check_packages: more than {MOST_SECONDS:g} s")
    shutil.copy(the_only(site / "sparse_runtime", "_core*.so"), source / "sparse_runtime")
    text = call(sys.executable, "-m", "pytest", "-q", "-m", "not slow", "tests/test_docs.py", cwd=source)
    print(f"tests/test_docs.py in the unpacked sdist: {text.rstrip().splitlines()[-1]}")


def check_arm64(source, folder):
    """As on a board: the wheel installed, benchmarks/ copied beside it."""
    call(folder / "bin/cross", sys.executable, "setup.py", "-q", "bdist_wheel", "-d", WORK / "arm64", cwd=source)
    wheel = the_only(WORK / "arm64", "*.whl")
    abi = "abi3" if "abi3" in wheel.name else "cp311"
    tags = ("--platform", "linux_aarch64", "--python-version", "3.11", "--implementation", "cp", "--abi", abi)
    site = install(wheel, "site-arm64", *tags, "--only-binary=:all:")
    python = folder / "bin/python"
    compare = ("--folder", site, "--compare", WORK / "outputs.npy")
    print(call(python, ROOT / "tools/smoke.py", *compare, PYTHONPATH=str(site)), end="")
    board = WORK / "board"
    shutil.copytree(ROOT / "benchmarks", board / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
    text = call(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "benchmarks/test_networks.py", "-k", SOME,
                "--benchmark-min-rounds", "1", cwd=board, PYTHONPATH=str(site))
    print(f"benchmarks on arm64: {text.rstrip().splitlines()[-1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--arm64", type=Path)
    parser.add_argument("--isolated", action="store_true")
    args = parser.parse_args()
    start = time.monotonic()
    shutil.rmtree(WORK, ignore_errors=True)
    source = build_sdist()
    check_native(source, install(build_wheel(source, args.isolated), "site"))
    if args.arm64:
        check_arm64(source, args.arm64.resolve())
    print(f"packages: all right, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
