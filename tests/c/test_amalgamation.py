"""tools/amalgamate.py: the library in one file, as each compiler and architecture sees it. test_embedding.py runs
it."""
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("amalgamation")
    run(sys.executable, ROOT / "tools/amalgamate.py", folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "clang-19", "aarch64-linux-gnu-gcc", "arm-linux-gnueabihf-gcc"])
def test_is_understood(files, compiler):
    """All of it, as each compiler sees it; no warnings but that something is not used."""
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    flags = ["-mfpu=neon-vfpv4"] if compiler.startswith("arm-") else []
    assert run(compiler, *flags, "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-fsyntax-only",
               files / "spr.c") == ""
