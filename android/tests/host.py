"""What the tests of the Android part share: a JDK, and libraries that `make core-native core-arm core-armv7` built."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ANDROID = ROOT / "android"

def built(folder):
    """A library made by CMake for a target: "native", "aarch64" or "armv7" (SPARSE_RUNTIME_BUILD: other folder than
    build/)."""
    path = Path(os.environ.get("SPARSE_RUNTIME_BUILD", ROOT / "build")) / folder / "jni" / "libsparse_runtime.so"
    if not path.exists():
        pytest.skip(f"{folder}/jni/libsparse_runtime.so is not built: `make test-android` does it where there is a JDK")
    return path


def compile_java(folder, *sources, classpath=None, release=8):
    """Runs javac for Java 8, all warnings being errors, on files and folders of files; returns `folder`, where the
    classes are. With release=None the class library is not that of Java 8 but the JDK's."""
    tool = shutil.which("javac")
    if not tool:
        pytest.skip("no javac: install a JDK, such as openjdk-17-jdk-headless")
    files = [str(f) for source in sources for f in (sorted(source.rglob("*.java")) if source.is_dir() else [source])]
    language = ["--release", str(release)] if release else ["-source", "8", "-target", "8"]
    done = subprocess.run([tool, *language, "-Xlint:all,-options", "-Werror", "-d", str(folder),
                           *(["-cp", str(classpath)] if classpath else []), *files],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def run_java(*args):
    """Runs java with checks of native code; returns (exit status, lines of output)."""
    tool = shutil.which("java")
    told = subprocess.run([tool, "-version"], capture_output=True, text=True, check=True).stderr
    version = int(re.search(r'version "(\d+)', told)[1])
    native = ["--enable-native-access=ALL-UNNAMED"] if version >= 22 else []
    done = subprocess.run([tool, "-Xcheck:jni", "-Xmx256m", *native, *map(str, args)], capture_output=True, text=True,
                          check=False, timeout=300)
    return done.returncode, (done.stdout + done.stderr).splitlines()
