"""The Java API on the host's Java machine, with -Xcheck:jni; results against onnxruntime's."""

import re
import zipfile

import numpy as np
import onnxruntime as ort
import pytest
from host import ANDROID, ROOT, built, compile_java, run_java
from onnx import TensorProto, helper

from sparse_runtime import convert
from tests.conftest import make_model

SOURCES = ANDROID / "sparse-runtime/src/main/java"


def network():
    """Sparse 1x1 convolutions, 3x3 and depthwise ones, 3 -> 10 channels, for any batch and size."""
    rng = np.random.default_rng(5)

    def weight(*shape, zeros=0.0):
        w = rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) * (1 - zeros))
        w[rng.random(shape) < zeros] = 0
        return w.astype(np.float32)

    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], name="first", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Conv", ["b", "w1"], ["c"], name="sparse"),
        helper.make_node("Conv", ["c", "w2"], ["d"], name="depthwise", pads=[1, 1, 1, 1], group=48),
        helper.make_node("Conv", ["d", "w3", "b3"], ["e"], name="last"),
        helper.make_node("GlobalAveragePool", ["e"], ["f"], name="pool"),
        helper.make_node("Flatten", ["f"], ["y"], name="flatten"),
    ]
    constants = {"w0": weight(24, 3, 3, 3), "w1": weight(48, 24, 1, 1, zeros=0.9), "w2": weight(48, 1, 3, 3),
                 "w3": weight(10, 48, 1, 1, zeros=0.8), "b3": weight(10, 1)[:, 0]}
    return make_model(nodes, {"x": ("N", 3, "H", "W")}, ["y"], constants)


def types_model():
    kinds = {"bytes": np.dtype("uint8"), "ids": np.dtype("int64"), "grid": np.dtype("int32")}
    nodes = [
        helper.make_node("Cast", ["bytes"], ["wide"], to=TensorProto.INT64),
        helper.make_node("Add", ["wide", "ids"], ["sum"]),
        helper.make_node("Cast", ["grid"], ["é𝄞"], to=TensorProto.DOUBLE),
    ]
    inputs = {"bytes": (kinds["bytes"], (2, 3)), "ids": (kinds["ids"], (2, 3)), "grid": (kinds["grid"], (2,))}
    return make_model(nodes, inputs, {"sum": TensorProto.INT64, "é𝄞": TensorProto.DOUBLE})


def write_apk(path, stored, packed, damaged):
    """Like an APK: entries that are not compressed lie at multiples of 4, no more."""
    with zipfile.ZipFile(path, "w") as apk:
        apk.writestr("AndroidManifest.xml", "<manifest/>", zipfile.ZIP_DEFLATED)
        for name, data in (("assets/stored.spr", stored), ("assets/damaged.spr", damaged)):
            info = zipfile.ZipInfo(name)
            size = -(apk.fp.tell() + 30 + len(name) + 4 + 4) % 8  # so that the data begin at 4 modulo 8
            info.extra = b"\x35\xd9" + size.to_bytes(2, "little") + bytes(size)
            apk.writestr(info, data, zipfile.ZIP_STORED)
        apk.writestr("assets/packed.spr", packed, zipfile.ZIP_DEFLATED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    ort.set_default_logger_severity(3)
    made = tmp_path_factory.mktemp("java")
    rng = np.random.default_rng(6)
    model = network()
    oracle = ort.InferenceSession(model.SerializeToString())
    for name, batch in (("net", 1), ("batch3", 3)):
        x = rng.standard_normal((batch, 3, 32, 32)).astype(np.float32)
        (made / f"{name}.x").write_bytes(x.tobytes())
        (made / f"{name}.y").write_bytes(oracle.run(None, {"x": x})[0].tobytes())
    fixed = network()
    for dim, size in zip(fixed.graph.input[0].type.tensor_type.shape.dim, (1, 3, 32, 32)):
        dim.dim_value = size
    data = bytes(convert(fixed).data)
    (made / "net.spr").write_bytes(data)
    (made / "types.spr").write_bytes(convert(types_model()).data)
    found = make_model([helper.make_node("NonZero", ["x"], ["where"])], {"x": (4,)}, {"where": TensorProto.INT64})
    (made / "found.spr").write_bytes(convert(found).data)
    damaged = data[:200] + bytes([data[200] ^ 1]) + data[201:]
    (made / "damaged.spr").write_bytes(damaged)
    write_apk(made / "app.apk", data, data, damaged)
    return made


def test_java_api(folder, tmp_path):
    library = built("native")
    classes = compile_java(tmp_path, SOURCES, ANDROID / "host/stubs", ANDROID / "host/test")
    status, lines = run_java(f"-Djava.library.path={library.parent}", "-cp", classes, "dev.sparseruntime.HostTest",
                             folder)
    # One line is all: -Xcheck:jni writes its warnings beside it.
    assert status == 0 and len(lines) == 1, "\n".join(lines)
    assert lines[0].endswith(" passed, 0 failed") and int(lines[0].split()[0]) > 2000


def test_only_one_file_needs_android(tmp_path):
    sources = [f for f in sorted(SOURCES.rglob("*.java")) if "import android." in f.read_text(encoding="utf-8")]
    assert [f.name for f in sources] == ["AndroidSupport.java"]
    compile_java(tmp_path, *(f for f in SOURCES.rglob("*.java") if f not in sources))
    assert (tmp_path / "dev/sparseruntime/Session.class").exists()


def test_examples_of_the_docs_compile(tmp_path):
    text = (ROOT / "docs/android.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```java\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line != "..."]
    imports = [line for line in lines if line.startswith("import ")]
    assert imports and len(lines) > len(imports) + 5
    (tmp_path / "Docs.java").write_text("\n".join([
        *imports, "import android.content.res.AssetManager;", "import android.graphics.Bitmap;",
        "import dev.sparseruntime.Timing;",
        "class Docs {", "interface Context { AssetManager getAssets(); }",
        "static class Log { static void i(String tag, String message) {} }",
        "static void docs(Context context, Bitmap bitmap, float[] mean, float[] deviation) {",
        *(line for line in lines if line not in imports), "}", "}"]), encoding="utf-8")
    compile_java(tmp_path / "classes", SOURCES, ANDROID / "host/stubs", tmp_path / "Docs.java")
