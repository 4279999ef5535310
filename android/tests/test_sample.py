"""The sample app: its assets, its classifier on the host's Java, and that its files fit together. It was not run on
Android."""

import importlib.util
import re
import subprocess
import sys
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from host import ANDROID, ROOT, built, compile_java, run_java
from onnx import helper, save

import sparse_runtime as sr
from tests.conftest import make_model

APP = ANDROID / "app/src/main"
API = ANDROID / "sparse-runtime/src/main/java"
SDK = "{http://schemas.android.com/apk/res/android}"


def make_assets(folder, *args):
    return subprocess.run([sys.executable, str(ANDROID / "make_assets.py"), "--output", str(folder), *map(str, args)],
                          cwd=ROOT,
                          capture_output=True, text=True, check=False, env={"PYTHONPATH": str(ROOT)})


def assets_module():
    spec = importlib.util.spec_from_file_location("make_assets", ANDROID / "make_assets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_png(path):
    """Integers [height, width, 3] of an RGB picture that is stored without filters; checks what a decoder would."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        length, kind = int.from_bytes(data[at:at + 4], "big"), data[at + 4:at + 8]
        chunks[kind] = data[at + 8:at + 8 + length]
        assert zlib.crc32(kind + chunks[kind]) == int.from_bytes(data[at + 8 + length:at + 12 + length], "big")
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"] and chunks[b"IHDR"][8:] == bytes([8, 2, 0, 0, 0])
    width, height = (int.from_bytes(chunks[b"IHDR"][i:i + 4], "big") for i in (0, 4))
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3).astype(np.int64)


def write_pixels(picture, path):
    """What Bitmap.getPixels gives."""
    rgb = read_png(picture)
    argb = 0xFF << 24 | rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
    path.write_bytes(argb.astype("<u4").tobytes())
    return rgb


def test_sample_classifies_its_pictures(tmp_path):
    assets = tmp_path / "assets"
    made = make_assets(assets)
    assert made.returncode == 0, made.stderr
    mean, deviation = np.loadtxt(assets / "channels.txt").reshape(2, 3)
    labels = (assets / "labels.txt").read_text(encoding="utf-8").splitlines()
    pictures = sorted((assets / "pictures").iterdir())
    assert len(pictures) == 8
    expected = []
    with sr.Session(assets / "model.spr") as session:
        for i, picture in enumerate(pictures):
            rgb = write_pixels(picture, tmp_path / f"{i}.argb")
            scores = session(np.float32((rgb / 255 - mean) / deviation).transpose(2, 0, 1)[None])[0]
            share = np.exp(scores - scores.max())
            expected.append((labels[scores.argmax()], 1 / share.sum()))
        assert any(layer.sparsity > 0.85 for layer in session.explain() if layer.sparsity is not None)
    classes = compile_java(tmp_path / "classes", API, ANDROID / "host/stubs", ANDROID / "host/sample",
                           APP / "java/dev/sparseruntime/sample/Classifier.java")
    status, lines = run_java(f"-Djava.library.path={built('native').parent}", "-cp", classes,
                             "dev.sparseruntime.sample.SampleTest",
                             assets, *(tmp_path / f"{i}.argb" for i in range(len(pictures))))
    assert status == 0 and len(lines) == len(pictures) + 1, "\n".join(lines)
    right = 0
    for picture, line, (label, probability) in zip(pictures, lines, expected):
        got = line.split("\t")
        assert got[0] == label and float(got[1]) == pytest.approx(probability, abs=1e-3)
        right += label == picture.stem.split("-", 1)[1]
    assert right >= 7
    dense, sparse = map(float, lines[-1].split("\t"))
    assert 0 < sparse and 0 < dense


def test_assets_of_your_own(tmp_path):
    pictures = tmp_path / "mine"
    pictures.mkdir()
    assets_module().write_png(pictures / "red.png", np.full((4, 5, 3), (255, 0, 0), np.uint8))
    (pictures / "note.txt").write_text("no picture", encoding="utf-8")
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n", encoding="utf-8")
    model = make_model([helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["y"])],
                       {"x": (1, 3, 4, 5)}, ["y"])
    save(model, tmp_path / "m.onnx")
    given = ("--model", tmp_path / "m.onnx", "--labels", tmp_path / "labels.txt", "--pictures", pictures, "--mean",
             "0,0,0",
             "--deviation", "1,1,1")
    done = make_assets(tmp_path / "assets", *given)
    assert done.returncode == 0 and "3 labels, 1 pictures" in done.stdout, done.stderr
    assert [f.name for f in (tmp_path / "assets/pictures").iterdir()] == ["red.png"]
    assert (tmp_path / "assets/channels.txt").read_text(encoding="utf-8").split() == ["0.0"] * 3 + ["1.0"] * 3
    done = make_assets(tmp_path / "assets", "--model", tmp_path / "m.onnx")
    assert done.returncode == 2 and "--labels" in done.stderr


def resources():
    """{kind: names} of the app's resources."""
    found = {"string": set(), "style": set(), "layout": set(), "id": set()}
    for path in (APP / "res").rglob("*.xml"):
        tree = ElementTree.parse(path)
        if path.parent.name == "layout":
            found["layout"].add(path.stem)
            found["id"] |= {e.get(SDK + "id").removeprefix("@+id/") for e in tree.iter() if e.get(SDK + "id")}
        else:
            for element in tree.getroot():
                found[element.tag].add(element.get("name"))
    return found


def test_sample_compiles(tmp_path):
    """With a class R as the Android tools would make it, so that every resource it names is there."""
    numbers = iter(range(1, 1000))
    inner = "".join(f"  static final class {kind} {{ " + " ".join(f"static final int {name} = {next(numbers)};"
                                                                  for name in sorted(names))
                    + " }\n" for kind, names in resources().items() if kind != "style")
    (tmp_path / "R.java").write_text(f"package dev.sparseruntime.sample;\n\nfinal class R {{\n{inner}}}\n",
                                     encoding="utf-8")
    stubs = ANDROID / "host/app-stubs"
    others = [f for f in (ANDROID / "host/stubs").rglob("*.java")
              if not (stubs / f.relative_to(ANDROID / "host/stubs")).exists()]
    compile_java(tmp_path / "classes", API, APP / "java", tmp_path / "R.java", stubs, *others)
    assert (tmp_path / "classes/dev/sparseruntime/sample/MainActivity.class").exists()


def test_needs_no_newer_java(tmp_path):
    """Compiled with this JDK's class library, as a new android.jar has it, classes name the methods of Java 8: the
    buffers' flip, clear ... that return a type of their own are missing on Android 7 to 8."""
    classifier = APP / "java/dev/sparseruntime/sample/Classifier.java"
    old, new = tmp_path / "old", tmp_path / "new"
    compile_java(old, API, ANDROID / "host/stubs", classifier)
    compile_java(new, API, ANDROID / "host/stubs", classifier, release=None)
    classes = sorted(f.relative_to(old) for f in old.rglob("*.class"))
    assert len(classes) > 15 and classes == sorted(f.relative_to(new) for f in new.rglob("*.class"))
    for each in classes:
        assert (old / each).read_bytes() == (new / each).read_bytes(), each


def test_resources_and_manifest_fit():
    found = resources()
    manifest = ElementTree.parse(APP / "AndroidManifest.xml")
    activity = manifest.find("application/activity")
    assert (APP / "java/dev/sparseruntime/sample" / (activity.get(SDK + "name").removeprefix(".") + ".java")).exists()
    assert activity.get(SDK + "exported") == "true"  # since Android 12 one that a launcher starts has to say so
    files = [APP / "AndroidManifest.xml", *(APP / "res").rglob("*.xml")]
    named = [ref for f in files for ref in re.findall(r'"@(string|style|layout)/([\w.]+)"',
                                                      f.read_text(encoding="utf-8"))]
    assert named and all(name in found[kind] for kind, name in named)
    code = (APP / "java/dev/sparseruntime/sample/MainActivity.java").read_text(encoding="utf-8")
    strings = {e.get("name"): e.text for e in ElementTree.parse(APP / "res/values/strings.xml").getroot()}
    for name, arguments in re.findall(r"getString\(R\.string\.(\w+), ((?:[^()]|\([^()]*\))*)\)", code):
        commas = re.sub(r"\([^()]*\)", "", arguments).count(",")
        assert set(re.findall(r"%(\d)\$", strings[name])) == {str(i + 1) for i in range(commas + 1)}


def test_gradle_files_fit():
    catalog = (ANDROID / "gradle/libs.versions.toml").read_text(encoding="utf-8")
    versions = set(re.findall(r'^(\w+) = "', catalog.split("[plugins]")[0], re.MULTILINE))
    plugins = set(re.findall(r"^([\w-]+) = \{", catalog.split("[plugins]")[1], re.MULTILINE))
    scripts = {f: f.read_text(encoding="utf-8") for f in ANDROID.rglob("*.gradle.kts")}
    assert len(scripts) == 4
    for text in scripts.values():
        assert set(re.findall(r"libs\.versions\.(\w+)\.get", text)) <= versions
        assert {name.replace(".", "-") for name in re.findall(r"alias\(libs\.plugins\.([\w.]+)\)", text)} <= plugins
    assert set(re.findall(r'version\.ref = "(\w+)"', catalog)) <= versions
    settings = scripts[ANDROID / "settings.gradle.kts"]
    for module in ("app", "sparse-runtime"):
        assert f'"{module}"' in settings or f'":{module}"' in settings
        assert (ANDROID / module / "build.gradle.kts").exists()
    library = scripts[ANDROID / "sparse-runtime/build.gradle.kts"]
    assert (ANDROID / "sparse-runtime" / re.search(r'path = file\("(.*?)"\)',
                                                   library)[1]).samefile(ROOT / "CMakeLists.txt")
    assert (ANDROID / "sparse-runtime" / re.search(r'headers = "(.*?)"', library)[1] / "spr/spr.h").exists()
    assert '"-DANDROID_STL=none"' in library  # else prefab refuses it to apps that have C++
    builder = (ROOT / "tools/build_aar.py").read_text(encoding="utf-8")
    assert 'minSdk = "24"' in catalog and "MIN_SDK = 24" in builder
    for abi in re.search(r"abiFilters \+= listOf\((.*?)\)", library)[1].split(", "):
        assert abi in builder
    assert f'project(":{re.search(chr(34) + "name" + chr(34) + ": " + chr(34) + "([a-z_]+)", builder)[1]}")' in settings
