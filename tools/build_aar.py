#!/usr/bin/env python3
"""Makes sparse-runtime.aar, for Gradle projects without the sources: the Java API, the native libraries, and (prefab)
headers and libraries for C code in apps.

    ANDROID_NDK=~/Android/Sdk/ndk/28.2.13676358 tools/build_aar.py -o sparse-runtime.aar
    tools/build_aar.py --library arm64-v8a=libsparse_runtime.so ...    # libraries built elsewhere, no NDK needed

Needs a JDK, and CMake and Ninja where the NDK is used. The one class that uses Android's (AndroidSupport) is compiled
against android.jar where ANDROID_HOME has it, else against android/host/stubs, which declare the few methods it calls.
"""
import argparse
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ANDROID = ROOT / "android"
MACHINES = {"arm64-v8a": 183, "armeabi-v7a": 40, "x86_64": 62}  # e_machine in the header of an ELF file
MIN_SDK = 24
PAGE = 16384
PT_LOAD = 1
NDK_VARIABLES = ("ANDROID_NDK", "ANDROID_NDK_HOME", "ANDROID_NDK_ROOT")


class Failure(Exception):
    """What the user is told, without a traceback."""


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"{' '.join(map(str, command))}\nfailed:\n{done.stdout}{done.stderr}")


def tool(name):
    path = shutil.which(name)
    if not path:
        raise Failure(f"there is no {name} in PATH")
    return path


def version():
    text = (ROOT / "csrc/include/spr/spr.h").read_text(encoding="utf-8")
    parts = ("MAJOR", "MINOR", "PATCH")
    return ".".join(re.search(rf"^#define SPR_VERSION_{part} (\d+)", text, re.MULTILINE)[1] for part in parts)


def ndk():
    """(folder, major version) of the NDK that the environment names, or None."""
    for variable in NDK_VARIABLES:
        if os.environ.get(variable):
            folder = Path(os.environ[variable])
            try:
                about = (folder / "source.properties").read_text(encoding="utf-8")
            except OSError as error:
                raise Failure(f"{variable} is {folder}, which is no NDK: {error}") from None
            return folder, int(re.search(r"Pkg\.Revision *= *(\d+)", about)[1])
    return None


def build_library(folder, abi):
    """Compiles the core with the NDK; returns the stripped library."""
    build = ROOT / "build" / "android" / abi
    run(tool("cmake"), "-G", "Ninja", "-S", ROOT, "-B", build,
        f"-DCMAKE_TOOLCHAIN_FILE={folder}/build/cmake/android.toolchain.cmake", f"-DANDROID_ABI={abi}",
        f"-DANDROID_PLATFORM=android-{MIN_SDK}", "-DCMAKE_BUILD_TYPE=Release", "-DSPR_BUILD_TESTS=OFF",
        "-DSPR_BUILD_TOOLS=OFF")
    run(tool("cmake"), "--build", build, "--target", "sparse_runtime")
    strip = next(folder.glob("toolchains/llvm/prebuilt/*/bin/llvm-strip*"), None)
    if not strip:
        raise Failure(f"there is no llvm-strip in {folder}")
    stripped = build / "stripped" / "libsparse_runtime.so"
    stripped.parent.mkdir(exist_ok=True)
    run(strip, "--strip-unneeded", "-o", stripped, build / "libsparse_runtime.so")
    return stripped


def check_library(path, abi):
    """Refuses what no device of that ABI would load."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise Failure(f"cannot read the library for {abi}: {error}") from None
    if len(data) < 64 or data[:4] != b"\x7fELF" or data[5] != 1:
        raise Failure(f"{path} is no ELF file for a little-endian machine")
    machine, = struct.unpack_from("<H", data, 18)
    if machine != MACHINES[abi]:
        raise Failure(f"{path} is for ELF machine {machine}, {abi} is machine {MACHINES[abi]}")
    wide = data[4] == 2
    at, = struct.unpack_from("<Q" if wide else "<I", data, 32 if wide else 28)
    size, count = struct.unpack_from("<HH", data, 54 if wide else 42)
    for i in range(count):
        kind, = struct.unpack_from("<I", data, at + i * size)
        align, = struct.unpack_from("<Q" if wide else "<I", data, at + i * size + (48 if wide else 28))
        if kind == PT_LOAD and align % PAGE:
            raise Failure(f"{path} has segments aligned to {align}: devices with pages of 16 kB need {PAGE}")


def android_jar():
    """android.jar of the newest platform in ANDROID_HOME, or None."""
    home = os.environ.get("ANDROID_HOME") or os.environ.get("ANDROID_SDK_ROOT")
    jars = list(Path(home).glob("platforms/android-*/android.jar")) if home else []
    return max(jars, key=lambda jar: [int(n) for n in re.findall(r"\d+", jar.parent.name)], default=None)


def compile_classes(folder):
    """Compiles the Java API; returns what Android's classes were taken from."""
    jar = android_jar()
    sources = sorted((ANDROID / "sparse-runtime/src/main/java").rglob("*.java"))
    given = ["-classpath", jar] if jar else ["-sourcepath", ANDROID / "host/stubs", "-implicit:none"]
    run(tool("javac"), "--release", "8", "-Xlint:-options", "-d", folder, *given, *sources)
    return jar or "android/host/stubs (ANDROID_HOME has no platform)"


def add(archive, name, data):
    """The same bytes give the same archive."""
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.external_attr = 0o644 << 16
    archive.writestr(info, data if isinstance(data, bytes) else data.encode(), zipfile.ZIP_DEFLATED)


def add_prefab(archive, libraries, ndk_major):
    module = "prefab/modules/sparse_runtime"
    add(archive, "prefab/prefab.json", json.dumps(
        {"schema_version": 2, "name": "sparse_runtime", "version": version(), "dependencies": []}, indent=2))
    add(archive, f"{module}/module.json", json.dumps(
        {"export_libraries": [], "library_name": "libsparse_runtime"}, indent=2))
    add(archive, f"{module}/include/spr/spr.h", (ROOT / "csrc/include/spr/spr.h").read_bytes())
    for abi, path in libraries.items():
        folder = f"{module}/libs/android.{abi}"
        add(archive, f"{folder}/abi.json", json.dumps(
            {"abi": abi, "api": MIN_SDK, "ndk": ndk_major, "stl": "none", "static": False}, indent=2))
        add(archive, f"{folder}/libsparse_runtime.so", path.read_bytes())


def write_aar(output, libraries, ndk_major):
    """Returns what Android's classes were taken from."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        classes = folder / "classes"
        android_from = compile_classes(classes)
        with zipfile.ZipFile(folder / "classes.jar", "w") as jar:
            for path in sorted(classes.rglob("*.class")):
                add(jar, path.relative_to(classes).as_posix(), path.read_bytes())
        with zipfile.ZipFile(folder / "aar", "w") as aar:
            add(aar, "AndroidManifest.xml",
                '<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="dev.sparseruntime">\n'
                f'    <uses-sdk android:minSdkVersion="{MIN_SDK}" />\n</manifest>\n')
            add(aar, "META-INF/com/android/build/gradle/aar-metadata.properties",
                "aarFormatVersion=1.0\naarMetadataVersion=1.0\nminCompileSdk=1\n")
            add(aar, "R.txt", "")  # no resources
            add(aar, "proguard.txt", (ANDROID / "sparse-runtime/proguard.txt").read_bytes())
            add(aar, "classes.jar", (folder / "classes.jar").read_bytes())
            for abi, path in libraries.items():
                add(aar, f"jni/{abi}/libsparse_runtime.so", path.read_bytes())
            add_prefab(aar, libraries, ndk_major)
        shutil.copyfile(folder / "aar", output)
    return android_from


def given_library(text):
    abi, _, path = text.partition("=")
    if abi not in MACHINES or not path:
        raise argparse.ArgumentTypeError(f"'{text}' is not ABI=PATH with an ABI of {', '.join(MACHINES)}")
    return abi, Path(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("sparse-runtime.aar"))
    parser.add_argument("--library", type=given_library, action="append", default=[], metavar="ABI=PATH",
                        help="a library built elsewhere; then only those given are packed")
    args = parser.parse_args()
    try:
        found = ndk()
        libraries = dict(args.library)
        if not libraries and not found:
            raise Failure(f"no NDK: none of {', '.join(NDK_VARIABLES)} is set. Set one to the NDK's folder, or give "
                          "libraries that were built elsewhere by --library ABI=PATH.")
        if not libraries:
            libraries = {abi: build_library(found[0], abi) for abi in MACHINES}
        for abi, path in libraries.items():
            check_library(path, abi)
        android_from = write_aar(args.output, libraries, found[1] if found else 0)
    except Failure as failure:
        print(f"build_aar.py: {failure}", file=sys.stderr)
        return 1
    size = args.output.stat().st_size / 1e6
    print(f"{args.output}: {', '.join(libraries)}; {size:.2f} MB; Android's classes from {android_from}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
