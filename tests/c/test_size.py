"""How large the stripped library for aarch64 is: with everything, and tailored to MobileNetV1 by tools/tailor.py, which
then runs under qemu as the whole library does. docs/c-api.md tells the sizes; both are held to the goals."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sparse_runtime as sr
from sparse_runtime import prune, zoo

ROOT = Path(__file__).resolve().parents[2]
CROSS = "aarch64-linux-gnu-"
EVERYTHING, TAILORED = 400_000, 150_000  # bytes


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


def loaded(library):
    """Bytes of the sections that are in the file and in memory."""
    sections = re.findall(r"^(\.\S+)\s+(\d+)\s+(\d+)$", run(CROSS + "size", "-A", library), re.MULTILINE)
    return sum(int(size) for name, size, address in sections if int(address) and name != ".bss")


@pytest.fixture(scope="module")
def cross():
    if not shutil.which(CROSS + "gcc"):
        pytest.skip("no cross compiler for aarch64")


@pytest.mark.slow
def test_everything(cross, tmp_path):
    library = ROOT / "build/aarch64/libsparse_runtime.so"
    if not library.exists():
        pytest.skip("needs `make core-arm`")
    run(CROSS + "strip", "-o", tmp_path / "stripped.so", library)
    assert 100_000 < loaded(library) < (tmp_path / "stripped.so").stat().st_size < EVERYTHING


@pytest.mark.slow
def test_tailored(cross, tmp_path):
    cmake, qemu = shutil.which("cmake"), shutil.which("qemu-aarch64")
    if not cmake or not qemu:
        pytest.skip("no cmake or no qemu-aarch64")
    model = prune.magnitude(zoo.build("mobilenet_v1", size=64), 0.8)
    sr.convert(model, tmp_path / "model.spr")
    text = run(sys.executable, ROOT / "tools/tailor.py", tmp_path / "model.spr", "--isa", "neon", "--build",
               tmp_path / "build", "--toolchain", ROOT / "tools/cmake/aarch64-linux-gnu.cmake")
    stripped = tmp_path / "build/stripped.so"
    assert stripped.stat().st_size < TAILORED
    assert f"{stripped}: {stripped.stat().st_size / 1000:.0f} kB" in text

    (tmp_path / "picture.ppm").write_bytes(b"P6\n64 64\n255\n" + bytes(i * i % 251 for i in range(64 * 64 * 3)))
    found = []
    for library in (tmp_path / "build/libsparse_runtime.so", ROOT / "build/aarch64/libsparse_runtime.so"):
        if not library.exists():
            pytest.skip("needs `make core-arm`")
        run(CROSS + "gcc", "-I", ROOT / "csrc/include", ROOT / "examples/c/classify.c", library,
            f"-Wl,-rpath,{library.parent}", "-o", tmp_path / "classify")
        answer = run(qemu, "-L", "/usr/aarch64-linux-gnu", "-cpu", "cortex-a76", tmp_path / "classify",
                     tmp_path / "model.spr", tmp_path / "picture.ppm", "--runs", 1)
        found.append(re.findall(r"^ *\d+\. .*$", answer, re.MULTILINE))
    assert len(found[0]) == 5 and found[0] == found[1]
