"""The C library in other programs: installed, by find_package and pkg-config; by add_subdirectory; and
examples/c/classify.c, natively and, statically linked, under qemu, against what Python says of the same picture."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import sparse_runtime as sr
from conftest import make_model

ROOT = Path(__file__).resolve().parents[2]
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def run(*command, cwd=None, env=None):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, cwd=cwd,
                          env={**os.environ, **(env or {})})
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


def cmake():
    found = ROOT / ".venv/bin/cmake"
    found = str(found) if found.exists() else shutil.which("cmake")
    return found or pytest.skip("no cmake")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """(path of a model, with free batch and size, path of a PPM picture): a small sparse network of ten classes."""
    folder = tmp_path_factory.mktemp("classifier")
    rng = np.random.default_rng(8)
    pointwise = rng.standard_normal((16, 8, 1, 1)).astype(np.float32)
    pointwise[rng.random(pointwise.shape) < 0.8] = 0
    nodes = [helper.make_node("Conv", ["x", "w0"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
             helper.make_node("Relu", ["a"], ["b"]),
             helper.make_node("Conv", ["b", "w1"], ["c"]),
             helper.make_node("GlobalAveragePool", ["c"], ["d"]),
             helper.make_node("Flatten", ["d"], ["e"]),
             helper.make_node("Gemm", ["e", "w2"], ["f"], transB=1),
             helper.make_node("Softmax", ["f"], ["y"])]
    model = make_model(nodes, {"x": (None, 3, None, None)}, ["y"],
                       {"w0": rng.standard_normal((8, 3, 3, 3)).astype(np.float32), "w1": pointwise,
                        "w2": rng.standard_normal((10, 16)).astype(np.float32)})
    sr.convert(model, folder / "model.spr")
    pixels = rng.integers(0, 256, (40, 56, 3), dtype=np.uint8)
    (folder / "picture.ppm").write_bytes(b"P6\n# a comment\n56 40\n255\n" + pixels.tobytes())
    (folder / "picture.rgb").write_bytes(pixels.tobytes())
    (folder / "labels.txt").write_text("\n".join(f"kind {i}" for i in range(10)), encoding="utf-8")
    return folder


def python_scores(folder, shape=None):
    """What Python computes for the picture, unscaled."""
    pixels = np.frombuffer((folder / "picture.rgb").read_bytes(), np.uint8).reshape(40, 56, 3)
    x = ((pixels / np.float32(255) - MEAN) / STD).transpose(2, 0, 1)[None]
    session = sr.Session(folder / "model.spr", input_shapes={"x": x.shape})
    return session.run(None, {"x": np.ascontiguousarray(x)})[0][0]


def check_answer(text, folder):
    """The lines of classify name the classes in the order of Python's scores."""
    expected = python_scores(folder)
    found = re.findall(r"^ *\d+\. +([\d.]+) +(\d+)  (.*)$", text, re.MULTILINE)
    order = np.argsort(-expected)[:len(found)]
    assert [int(index) for _, index, _ in found] == list(order)
    np.testing.assert_allclose([float(score) for score, _, _ in found], expected[order], atol=2e-6)
    assert re.search(r"ready in [\d.]+ ms; [\d.]+ ms a picture", text)
    return [name for _, _, name in found]


@pytest.fixture(scope="module")
def installed(native_build, tmp_path_factory):
    """The install tree, moved after it was installed: nothing in it may name the place."""
    first, moved = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("moved") / "usr"
    run(cmake(), "--install", native_build, "--prefix", first / "usr")
    shutil.move(first / "usr", moved)
    for path in moved.rglob("*"):
        if path.suffix in (".cmake", ".pc"):
            assert str(first) not in path.read_text(encoding="utf-8")
    return moved


def test_find_package(installed, classifier, tmp_path):
    """examples/c with its own CMakeLists.txt, as its head says."""
    run(cmake(), "-S", ROOT / "examples/c", "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={installed}",
        "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror")
    run(cmake(), "--build", tmp_path)
    names = check_answer(run(tmp_path / "classify", classifier / "model.spr", classifier / "picture.ppm",
                             "--labels", classifier / "labels.txt", "--top", 10), classifier)
    assert sorted(names) == sorted(f"kind {i}" for i in range(10))


def test_pkg_config(installed, classifier, tmp_path):
    """Shared, and static with --static."""
    program = shutil.which("pkg-config") or pytest.skip("no pkg-config")
    folder = next(installed.rglob("pkgconfig"))
    for static in ([], ["--static"]):
        flags = run(program, "--cflags", "--libs", *static, "sparse_runtime",
                    env={"PKG_CONFIG_PATH": str(folder)}).split()
        libraries = [str(folder.parent / "libsparse_runtime.a") if f == "-lsparse_runtime" and static else f
                     for f in flags]
        run("cc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", ROOT / "examples/c/classify.c", *libraries,
            "-o", tmp_path / "classify")
        text = run(tmp_path / "classify", classifier / "model.spr", classifier / "picture.rgb", "--size", "56x40",
                   "--threads", 2,
                   "--explain", env={"LD_LIBRARY_PATH": "" if static else str(folder.parent)})
        check_answer(text, classifier)
        assert "GlobalAveragePool" in text and "cpu: " in text


def test_errors_of_the_example(installed, classifier, tmp_path):
    library = next(installed.rglob("libsparse_runtime.a"))
    run("cc", "-I", installed / "include", ROOT / "examples/c/classify.c", library, "-lm", "-lpthread", "-o",
        tmp_path / "classify")
    (tmp_path / "damaged.spr").write_bytes((classifier / "model.spr").read_bytes()[:-1])
    for arguments, message in [(["nowhere.spr", classifier / "picture.ppm"], "No such file"),
                               ([tmp_path / "damaged.spr", classifier / "picture.ppm"], "truncated"),
                               ([classifier / "model.spr", classifier / "labels.txt"], "not a PPM"),
                               ([classifier / "model.spr"], "usage")]:
        done = subprocess.run([tmp_path / "classify", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and message in done.stderr


def test_add_subdirectory(classifier, tmp_path, native_build):
    """Part of another project; in plain C, so that it takes seconds."""
    (tmp_path / "CMakeLists.txt").write_text(f"""
        cmake_minimum_required(VERSION 3.16)
        project(whole LANGUAGES C)
        set(SPR_PLAIN_C ON CACHE BOOL "")
        add_subdirectory({ROOT} sparse_runtime)
        add_executable(classify {ROOT}/examples/c/classify.c)
        target_link_libraries(classify PRIVATE sparse_runtime::static)
        install(TARGETS classify)
    """, encoding="utf-8")
    run(cmake(), "-S", tmp_path, "-B", tmp_path / "build")
    run(cmake(), "--build", tmp_path / "build", "--parallel", "--target", "classify")
    commands = (tmp_path / "build/CMakeCache.txt").read_text(encoding="utf-8")
    assert "SPR_BUILD_TESTS:BOOL=OFF" in commands and "SPR_INSTALL:BOOL=OFF" in commands
    check_answer(run(tmp_path / "build/classify", classifier / "model.spr", classifier / "picture.ppm"), classifier)


@pytest.mark.parametrize("cpu", ["cortex-a53", "max"])
def test_example_on_arm(classifier, tmp_path, cpu):
    library = ROOT / "build/aarch64/libsparse_runtime.a"
    qemu = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if not library.exists() or not qemu:
        pytest.skip("needs `make core-arm` and qemu")
    run("aarch64-linux-gnu-gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "csrc/include",
        ROOT / "examples/c/classify.c", library, "-lm", "-lpthread", "-o", tmp_path / "classify")
    text = run(qemu, "-cpu", cpu, tmp_path / "classify", classifier / "model.spr", classifier / "picture.ppm", "--runs",
               1, "--explain")
    check_answer(text, classifier)
    assert "neon" in text.split("cpu: ")[1]


def build_one_file(folder, program, *flags):
    """Builds FOLDER/spr/spr.c by one call, in plain C so that it takes seconds, and the example with it."""
    run("cc", "-O1", "-ffunction-sections", "-fdata-sections", "-DSPR_PLAIN_C", *flags, "-c", folder / "spr/spr.c",
        "-o", program.with_suffix(".o"))
    run("cc", "-s", "-Wl,--gc-sections", "-I", folder, ROOT / "examples/c/classify.c", program.with_suffix(".o"), "-lm",
        "-lpthread",
        "-o", program)
    return program


@pytest.fixture(scope="module")
def one_file(tmp_path_factory):
    """A folder with what tools/amalgamate.py makes, in spr/, and the example built with it."""
    folder = tmp_path_factory.mktemp("one_file")
    run(sys.executable, ROOT / "tools/amalgamate.py", folder / "spr")
    build_one_file(folder, folder / "classify")
    return folder


@pytest.mark.slow
def test_one_file(classifier, one_file):
    header = (one_file / "spr/spr.h").read_text(encoding="utf-8")
    visible = {line.split()[-1] for line in run("readelf", "-sW", one_file / "classify.o").splitlines()
               if " GLOBAL DEFAULT " in line and " UND " not in line}
    assert "spr_session_run" in visible and all(name + "(" in header for name in visible)
    check_answer(run(one_file / "classify", classifier / "model.spr", classifier / "picture.ppm"), classifier)


@pytest.mark.slow
def test_one_file_as_told(classifier, tmp_path):
    """The commands of docs/c-api.md, compiled quicker."""
    page = (ROOT / "docs/c-api.md").read_text(encoding="utf-8")
    (commands,) = re.findall(r"^## Without a build system\n\n```\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert commands.count(" -O3 ") == 1
    shutil.copy(ROOT / "examples/c/classify.c", tmp_path / "app.c")
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    told = commands.replace("python ", f"{sys.executable} ").replace(" -O3 ", " -O0 -DSPR_PLAIN_C ")
    run("sh", "-ec", told, cwd=tmp_path)
    check_answer(run(tmp_path / "a.out", classifier / "model.spr", classifier / "picture.ppm"), classifier)


@pytest.mark.slow
def test_tailored(classifier, one_file, tmp_path):
    """A library for one model runs it, is smaller, and says what another model lacks."""
    text = run(sys.executable, ROOT / "tools/tailor.py", classifier / "model.spr", "--header", tmp_path / "tailored.h")
    operators = re.search(r"^operators: (.*)$", text, re.MULTILINE)[1].split()
    kernels = re.search(r"^kernels: (.*)$", text, re.MULTILINE)[1].split()
    assert {"Conv", "FullyConnected", "GlobalAveragePool"} <= set(operators) and "Resize" not in operators
    assert {"pw_csr_f32_neon", "pw_dense_f32_avx2", "conv_f32_neon", "unary_f32_neon"} <= set(kernels)
    assert not [name for name in kernels if name.startswith("dwconv") or "_q8_" in name]
    assert "#define SPR_KEEP_op_Conv ~," in (tmp_path / "tailored.h").read_text(encoding="utf-8")

    program = build_one_file(one_file, one_file / "tailored", f'-DSPR_TAILOR="{tmp_path / "tailored.h"}"')
    check_answer(run(program, classifier / "model.spr", classifier / "picture.ppm"), classifier)
    assert program.stat().st_size < 0.7 * (one_file / "classify").stat().st_size

    spread = helper.make_node("DepthToSpace", ["x"], ["y"], blocksize=2)
    conv, sine = helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Sigmoid", ["c"], ["y"])
    for nodes, message in (([spread], "tailored to other models, without the operator DepthToSpace"),
                           ([conv, sine], "'act' has the value 'sigmoid'; accepted are none clip ")):
        other = make_model(nodes, {"x": (1, 12, 4, 4)}, ["y"], {"w": np.ones((4, 12, 1, 1), np.float32)})
        sr.convert(other, tmp_path / "other.spr")
        done = subprocess.run([program, tmp_path / "other.spr", classifier / "picture.ppm"], capture_output=True,
                              text=True, check=False)
        assert done.returncode == 1 and message in done.stderr

    (tmp_path / "tune.c").write_text("""#include <stdio.h>
#include <spr/spr.h>
int main(int argc, char **argv) {
    spr_model *model = NULL;
    spr_session *session = NULL;
    spr_error error = {0};
    const spr_session_options options = {.struct_size = sizeof options, .autotune = 1};
    if (argc < 2 || spr_model_open(argv[1], NULL, &model, &error)) return 2;
    int refused = spr_session_create(model, &options, &session, &error) == SPR_ERROR_UNSUPPORTED;
    printf("%s", error.message);
    return !refused;
}
""", encoding="utf-8")
    run("cc", "-I", one_file, tmp_path / "tune.c", program.with_suffix(".o"), "-lm", "-lpthread", "-o", tmp_path / "tune")
    message = "this library was tailored to be small, without autotune"
    assert run(tmp_path / "tune", classifier / "model.spr") == message
