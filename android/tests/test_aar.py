"""tools/build_aar.py: the archive's structure, with libraries from the cross compiler, and that it runs."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from xml.etree import ElementTree

import pytest
from host import ROOT, built, compile_java, run_java

import sparse_runtime as sr

BUILDER = ROOT / "tools/build_aar.py"
ANDROID_VARIABLES = ("ANDROID_NDK", "ANDROID_NDK_HOME", "ANDROID_NDK_ROOT", "ANDROID_HOME", "ANDROID_SDK_ROOT")


def build(*args, **variables):
    clean = {name: value for name, value in os.environ.items() if name not in ANDROID_VARIABLES}
    return subprocess.run([sys.executable, str(BUILDER), *map(str, args)], capture_output=True, text=True, check=False,
                          env={**clean, **variables})


def libraries():
    return {"arm64-v8a": built("aarch64"), "armeabi-v7a": built("armv7"), "x86_64": built("native")}


def given_libraries():
    return [part for abi, path in libraries().items() for part in ("--library", f"{abi}={path}")]


@pytest.fixture(scope="module")
def aar(tmp_path_factory):
    made = tmp_path_factory.mktemp("aar") / "sparse-runtime.aar"
    done = build("-o", made, *given_libraries())
    assert done.returncode == 0, done.stderr
    assert "arm64-v8a, armeabi-v7a, x86_64" in done.stdout and "stubs (ANDROID_HOME has no platform)" in done.stdout
    return made


def test_structure(aar):
    module = "prefab/modules/sparse_runtime"
    with zipfile.ZipFile(aar) as archive:
        assert archive.testzip() is None
        expected = {"AndroidManifest.xml", "R.txt", "classes.jar", "proguard.txt", "prefab/prefab.json",
                    f"{module}/module.json",
                    f"{module}/include/spr/spr.h", "META-INF/com/android/build/gradle/aar-metadata.properties"}
        for abi, path in libraries().items():
            library, folder = f"jni/{abi}/libsparse_runtime.so", f"{module}/libs/android.{abi}"
            expected |= {library, f"{folder}/abi.json", f"{folder}/libsparse_runtime.so"}
            assert archive.read(library) == archive.read(f"{folder}/libsparse_runtime.so") == path.read_bytes()
            about = json.loads(archive.read(f"{folder}/abi.json"))
            assert (about["abi"], about["api"], about["stl"], about["static"]) == (abi, 24, "none", False)
        assert set(archive.namelist()) == expected and len(archive.namelist()) == len(expected)
        assert json.loads(archive.read("prefab/prefab.json")) == {
            "schema_version": 2, "name": "sparse_runtime", "version": sr.__version__, "dependencies": []}
        assert json.loads(archive.read(f"{module}/module.json"))["library_name"] == "libsparse_runtime"
        manifest = ElementTree.fromstring(archive.read("AndroidManifest.xml"))
        assert manifest.get("package") == "dev.sparseruntime"
        assert manifest.find("uses-sdk").get("{http://schemas.android.com/apk/res/android}minSdkVersion") == "24"


def test_classes(aar, tmp_path):
    """classes.jar is for Java 8, has none of Android's own classes, and works with the library that lies beside it."""
    with zipfile.ZipFile(aar) as archive:
        archive.extractall(tmp_path)
    with zipfile.ZipFile(tmp_path / "classes.jar") as jar:
        names = jar.namelist()
        assert all(name.startswith("dev/sparseruntime/") for name in names)
        assert {"dev/sparseruntime/Session.class", "dev/sparseruntime/AndroidSupport.class"} <= set(names)
        assert all(jar.read(name)[4:8] == b"\x00\x00\x00\x34" for name in names)  # class files of version 52
    source = tmp_path / "Use.java"
    source.write_text("class Use { public static void main(String[] a) { "
                      "System.out.println(dev.sparseruntime.Session.version()); } }",
                      encoding="utf-8")
    compile_java(tmp_path / "use", source, classpath=tmp_path / "classes.jar")
    status, lines = run_java(f"-Djava.library.path={tmp_path}/jni/x86_64", "-cp",
                             f"{tmp_path}/classes.jar:{tmp_path}/use", "Use")
    assert (status, lines) == (0, [sr.__version__])


def test_same_again(aar, tmp_path):
    again = tmp_path / "again.aar"
    assert build("-o", again, *given_libraries()).returncode == 0
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(aar.read_bytes()).digest()


def test_says_what_is_missing(tmp_path):
    done = build("-o", tmp_path / "a.aar")
    assert done.returncode == 1 and "ANDROID_NDK" in done.stderr and "--library" in done.stderr
    done = build("-o", tmp_path / "a.aar", ANDROID_NDK=str(tmp_path))
    assert done.returncode == 1 and "is no NDK" in done.stderr
    assert not (tmp_path / "a.aar").exists()


def test_refuses_libraries_that_do_not_load(tmp_path):
    def refused(library, *texts):
        done = build("-o", tmp_path / "a.aar", "--library", library)
        assert done.returncode != 0 and all(text in done.stderr for text in texts), done.stderr
        assert not (tmp_path / "a.aar").exists()

    library = built("aarch64")
    refused(f"x86_64={library}", "machine 183", "machine 62")
    refused(f"mips={library}", "arm64-v8a, armeabi-v7a, x86_64")
    refused(f"arm64-v8a={tmp_path}/none.so", "none.so")
    refused(f"arm64-v8a={BUILDER}", "no ELF file")
    data = bytearray(library.read_bytes())
    table, size, count = (int.from_bytes(data[at:at + n], "little") for at, n in ((32, 8), (54, 2), (56, 2)))
    for header in range(table, table + count * size, size):
        if data[header] == 1:  # a segment to load
            data[header + 48:header + 56] = (4096).to_bytes(8, "little")
    (tmp_path / "small.so").write_bytes(data)
    refused(f"arm64-v8a={tmp_path}/small.so", "aligned to 4096", "16 kB")
