"""The command line, in this process where that is enough."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import sparse_runtime as sr
from sparse_runtime import _core, peers
from sparse_runtime.cli import main
from sparse_runtime.table import progress_bar

ROOT = Path(sr.__file__).resolve().parent.parent


def small_net(spatial=(8, 8), zeros=0.75):
    """1x1 convolution with so many of its weights zero, depthwise, pool, fully connected; input x, output y."""
    rng = np.random.default_rng(0)
    pw = rng.standard_normal((32, 16, 1, 1)).astype(np.float32)
    pw[rng.random(pw.shape) < zeros] = 0
    weights = {
        "pw.w": pw,
        "dw.w": rng.standard_normal((32, 1, 3, 3)).astype(np.float32),
        "fc.w": rng.standard_normal((10, 32)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "pw.w"], ["a"], "pw"),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "dw.w"], ["c"], "dw", group=32, pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"], "pool"),
        helper.make_node("Flatten", ["d"], ["e"], "flatten"),
        helper.make_node("Gemm", ["e", "fc.w"], ["y"], "fc", transB=1),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16, *spatial])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])
    graph = helper.make_graph(nodes, "small", [x], [y], [numpy_helper.from_array(w, n) for n, w in weights.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def two_inputs():
    """file = a + b, b2 = -b: an output whose name np.savez cannot take, and more than one of everything."""
    info = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 4]) for n in ("a", "b", "file", "b2")}
    nodes = [helper.make_node("Add", ["a", "b"], ["file"]), helper.make_node("Neg", ["b"], ["b2"])]
    graph = helper.make_graph(nodes, "two", [info["a"], info["b"]], [info["file"], info["b2"]])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with small.onnx, free.onnx (height and width free), two.onnx and small.spr."""
    monkeypatch.chdir(tmp_path)
    onnx.save(small_net(), "small.onnx")
    onnx.save(small_net(("H", "W")), "free.onnx")
    onnx.save(two_inputs(), "two.onnx")
    sr.convert("small.onnx", "small.spr")
    return tmp_path


@pytest.fixture
def cli(folder, capsys):
    """Runs a command that must succeed; returns what it prints."""
    assert folder.is_dir()

    def run(text, status=0):
        assert main(text.split()) == status
        printed = capsys.readouterr()
        assert printed.err == ""
        return printed.out

    return run


@pytest.fixture
def failing(folder, capsys):
    """Runs a command that must fail with one line of explanation; returns the line."""
    assert folder.is_dir()

    def run(text):
        assert main(text.split()) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        (line,) = printed.err.splitlines()
        assert line.startswith("sparse-runtime: error: ")
        return line

    return run


# ---- convert -------------------------------------------------------------------------------------------------------


def test_convert(cli):
    text = cli("convert small.onnx -o out.spr")
    assert Path("out.spr").read_bytes() == Path("small.spr").read_bytes()
    assert str(sr.convert("small.onnx")) in text
    assert "bitmap" in text and "3x3" in text, "what was done, and why a layer stayed dense"


@pytest.mark.parametrize(
    "options, kernel",
    [
        ("", "csr"),
        ("--sparse always", "csr"),
        ("--sparse never", "dense"),
        ("--sparse-threshold 0.9", "dense"),
        ("--prune 0.9 --sparse-threshold 0.8", "csr"),
        ("--prune 0.9 --block 2x1 --sparse always", "2x1"),
    ],
)
def test_convert_options(cli, options, kernel):
    if "2x1" in options:
        onnx.save(small_net(zeros=0), "small.onnx")
    cli(f"convert small.onnx -o out.spr {options}")
    layers = {layer.name: layer for layer in sr.Session("out.spr", isa="ref").explain()}
    assert kernel in layers["pw"].kernel
    if "--prune" in options:
        assert layers["pw"].sparsity == pytest.approx(0.9, abs=0.01) and layers["fc"].sparsity == pytest.approx(
            0.9, abs=0.01
        )


@pytest.mark.parametrize("source", ["c.npz", "folder"])
def test_convert_int8(cli, source):
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((6, 16, 8, 8)).astype(np.float32)
    np.savez("c.npz", x=samples)
    os.mkdir("folder")
    for i, sample in enumerate(samples):
        np.savez(f"folder/{i}.npz", x=sample[None])
    text = cli(f"convert small.onnx -o out.spr --int8 --calibration {source} --calibration-method mse --int8-skip dw")
    assert "2 of 3 layers INT8, calibrated by mse on 6 feeds; the worst stay FP32" in text and "skipped by name" in text
    done = sr.convert("small.onnx", int8=True, calibration=source, calibration_method="mse", int8_skip=["dw"])
    assert Path("out.spr").read_bytes() == done.data
    text = cli(f"convert small.onnx -o out.spr --int8 --calibration {source} --int8-skip dw pw --int8-skip fc")
    assert "0 of 3 layers INT8" in text


def test_convert_int8_wrong(failing):
    np.savez("c.npz", x=np.full((2, 16, 8, 8), np.nan, np.float32))
    convert = "convert small.onnx -o out.spr"
    assert "int8 needs calibration data" in failing(f"{convert} --int8")
    assert "--int8, which is not given" in failing(f"{convert} --calibration c.npz")
    assert "--int8, which is not given" in failing(f"{convert} --int8-skip dw")
    assert "input 'x' has NaN values" in failing(f"{convert} --int8 --calibration c.npz")
    assert "no such file" in failing(f"{convert} --int8 --calibration nowhere")
    np.savez("c.npz", x=np.random.default_rng(0).standard_normal((2, 16, 8, 8)).astype(np.float32))
    assert "is none of 'minmax'" in failing(f"{convert} --int8 --calibration c.npz --calibration-method best")
    assert "'dx' matches no node" in failing(f"{convert} --int8 --calibration c.npz --int8-skip dx")
    assert not os.path.exists("out.spr")


def test_progress_bar():
    """Bars on a terminal, nothing elsewhere."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    shown = Terminal()
    with progress_bar(shown) as progress:
        for i in range(3):
            progress("calibrating", i + 1, 3)
    assert "calibrating" in shown.getvalue()
    with progress_bar(io.StringIO()) as progress:
        assert progress is None


def test_convert_with_shape(cli):
    cli("convert free.onnx -o out.spr --input-shape x=2x16x6x5")
    assert [info.shape for info in sr.Session("out.spr").outputs] == [(2, 10)]


def test_convert_zoo(cli):
    cli("convert zoo:mobilenet_v3_small -o out.spr")
    assert [info.shape for info in sr.Session("out.spr").inputs] == [(1, 3, 224, 224)]


# ---- run -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def x(folder):
    array = np.random.default_rng(1).standard_normal((1, 16, 8, 8)).astype(np.float32)
    np.save(folder / "x.npy", array)
    np.savez(folder / "x.npz", x=array)
    return array


@pytest.mark.parametrize("model", ["small.spr", "small.onnx"])
@pytest.mark.parametrize("given", ["x=x.npy", "x.npy", "x.npz", "x=x.npz"])
def test_run(cli, x, model, given):
    text = cli(f"run {model} --input {given} -o out.npz --threads 2 --sparse always")
    (expected,) = sr.Session("small.spr", threads=2, sparse="always").run(None, {"x": x})
    with np.load("out.npz") as outputs:
        assert outputs.files == ["y"]
        np.testing.assert_array_equal(outputs["y"], expected)
    assert text.split()[-6:-3] == ["y", "float32", "1x10"]
    assert [float(t) for t in text.split()[-3:]] == pytest.approx(
        [expected.min(), expected.max(), expected.mean()], rel=1e-5
    )


def test_run_to_npy(cli, x):
    cli("run small.spr --input x.npy -o out.npy")
    np.testing.assert_array_equal(np.load("out.npy"), sr.Session("small.spr")(x))


def test_run_other_size(cli):
    array = np.ones((3, 16, 5, 9), np.float32)
    np.save("x.npy", array)
    cli("run free.onnx --input x.npy -o out.npy")
    assert np.load("out.npy").shape == (3, 10)


def test_run_several(cli):
    a, b = np.ones((1, 4), np.float32), np.arange(4, dtype=np.float32)[None]
    np.save("a=.npy", a)  # an equals sign in the file's name
    np.savez("b.npz", b=b)
    cli("run two.onnx --input a=a=.npy --input b.npz -o out.npz")
    with np.load("out.npz") as outputs:
        np.testing.assert_array_equal(outputs["file"], a + b)
        np.testing.assert_array_equal(outputs["b2"], -b)


def test_run_without_keeping(cli, x):
    assert x.shape == (1, 16, 8, 8)
    before = sorted(os.listdir())
    assert "1x10" in cli("run small.spr --input x.npy")
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    "options, text",
    [
        ("", "give the inputs with --input NAME=FILE; the model has x=float32 1x16x8x8"),
        ("--input z=x.npy", "no input 'z'; the model has 'x'"),
        ("--input nowhere.npy", "nowhere.npy: No such file"),
        ("--input cut.npz", "cut.npz: not a .npy or .npz file"),
        ("--input small.onnx", "small.onnx: not a .npy or .npz file"),
        ("--input x.npy --input x.npz", "'x' is given twice"),
        ("--input half.npy", "rank"),
        ("--input double.npy", "float64"),
        ("--input x.npy -o out.txt", "out.txt: outputs are written to .npz or .npy"),
        ("--input x.npy -o nowhere/out.npy", "nowhere/out.npy: No such file"),
        ("--input x.npy --isa sse9", "sse9"),
    ],
)
def test_run_errors(failing, x, options, text):
    np.save("half.npy", x[0])
    np.save("double.npy", x.astype(np.float64))
    with open("cut.npz", "wb") as file:
        file.write(b"PK\x03\x04 and then nothing")
    assert text in failing(f"run small.spr {options}")


@pytest.mark.parametrize(
    "options, text",
    [
        ("--input a.npy", "say which input it is for, as NAME=a.npy; the model has 'a', 'b'"),
        ("--input a=a.npy", "b"),
        ("--input a=a.npy --input b=ab.npz", "no array 'b'; it has 'a', 'c'"),
        ("--input a=a.npy --input b=a.npy -o out.npy", "has 2 outputs"),
    ],
)
def test_run_several_errors(failing, options, text):
    a = np.ones((1, 4), np.float32)
    np.save("a.npy", a)
    np.savez("ab.npz", a=a, c=a)
    assert text in failing(f"run two.onnx {options}")


# ---- explain, kernels ----------------------------------------------------------------------------------------------


def test_explain(cli):
    assert cli("explain small.spr --isa ref") == str(sr.Session("small.spr", isa="ref").explain()) + "\n"
    assert "pw_dense_f32_ref" in cli("explain small.onnx --isa ref --sparse never")


def test_explain_json(cli):
    found = json.loads(cli("explain small.spr -o json"))
    assert [layer["name"] for layer in found["layers"]] == [layer.name for layer in sr.Session("small.spr").explain()]


def test_explain_csv_and_markdown(cli):
    rows = list(csv.DictReader(io.StringIO(cli("explain small.spr -o csv"))))
    assert rows[0]["name"] == "pw" and float(rows[0]["macs"]) == 32 * 16 * 64
    assert "| pw | Conv |" in cli("explain small.spr -o md")


def test_explain_free_shapes(cli, failing):
    assert "1x32x24x40" in cli("explain free.onnx --input-shape x=1x16x24x40")
    assert "'x'" in failing("explain free.onnx")


def test_kernels(cli):
    lines = cli("kernels").splitlines()
    for kernel in _core.kernels():
        (line,) = [line for line in lines if kernel["name"] in line.split()]
        assert line.split() == [kernel["cls"], kernel["name"], kernel["isa"], "yes" if kernel["runs"] else "no"]
    assert lines[-1] == f"cpu: {_core.cpu_features()}"


# ---- bench ---------------------------------------------------------------------------------------------------------


def bench(cli, options):
    return list(csv.DictReader(io.StringIO(cli(f"bench {options} --repeat 2 --warmup 1 -o csv"))))


def test_bench_sweeps(cli):
    rows = bench(cli, "small.spr --threads 1,2 --sparse auto,never")
    assert [(row["sparse"], row["threads"]) for row in rows] == [
        ("auto", "1"),
        ("auto", "2"),
        ("never", "1"),
        ("never", "2"),
    ]
    for row in rows:
        assert 0 < float(row["best"]) <= float(row["median"])
        assert float(row["speedup"]) == pytest.approx(float(rows[0]["median"]) / float(row["median"]))


def test_bench_prunes(cli):
    rows = bench(cli, "small.onnx --prune 0,0.5,0.9 --block 1x1,2x1")
    assert [(row["prune"], row["block"]) for row in rows] == [
        ("0.0", ""),
        ("0.5", "1x1"),
        ("0.5", "2x1"),
        ("0.9", "1x1"),
        ("0.9", "2x1"),
    ]


def test_bench_against_onnxruntime(cli):
    pytest.importorskip("onnxruntime")
    rows = bench(cli, "small.onnx --against onnxruntime --isa ref --threads 1,2")
    assert [(row["runtime"], row["threads"]) for row in rows] == [
        ("sparse-runtime", "1"),
        ("sparse-runtime", "2"),
        ("onnxruntime", "1"),
        ("onnxruntime", "2"),
    ]
    assert [row["isa"] for row in rows] == ["ref", "ref", "", ""]


def test_bench_free_shapes(cli, failing):
    assert bench(cli, "free.onnx --input-shape x=1x16x4x4")
    assert "'x' has free dimensions" in failing("bench free.onnx")


def test_bench_profile(cli):
    found = json.loads(cli("bench small.spr --sparse auto,never --repeat 2 --profile -o json"))
    assert found["cpu"] == _core.cpu_features() and found["repeat"] == 2
    for result in found["results"]:
        names = [layer.name for layer in sr.Session("small.spr", sparse=result["sparse"]).explain()]
        assert [layer["name"] for layer in result["layers"]] == names
        assert sum(layer["ns"] for layer in result["layers"]) > 0
    text = cli("bench small.spr --repeat 2 --profile")
    assert "median ms" in text and "time of all layers" in text
    assert "| pw | Conv |" in cli("bench small.spr --repeat 2 --profile -o md")


def test_bench_errors(failing, monkeypatch):
    assert "need the model it was made from" in failing("bench small.spr --prune 0.5")
    assert "need the model it was made from" in failing("bench small.spr --against onnxruntime")
    assert "--profile and -o csv" in failing("bench small.spr --profile -o csv")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "pip install onnxruntime" in failing("bench small.onnx --against onnxruntime")


# ---- verify --------------------------------------------------------------------------------------------------------


def test_verify(cli):
    pytest.importorskip("onnxruntime")
    text = cli("verify small.onnx --threads 1,2 --sparse always,never")
    assert len([line for line in text.splitlines() if line.split()[-1:] == ["ok"]]) == 4
    assert "all outputs agree with onnxruntime within 0.0001 of their range" in text


def test_verify_given_inputs(cli, x):
    pytest.importorskip("onnxruntime")
    assert x.shape == (1, 16, 8, 8)
    assert "all outputs agree" in cli("verify small.onnx --input x.npy --prune 0.5 --block 2x1")


def test_verify_finds_a_difference(cli, monkeypatch):
    pytest.importorskip("onnxruntime")
    real = peers.open_peer

    def wrong(*args):
        run = real(*args)
        return lambda feeds: {name: array + 1e-2 * np.ptp(array) for name, array in run(feeds).items()}

    monkeypatch.setattr(peers, "open_peer", wrong)
    text = cli("verify small.onnx --sparse auto,never", status=1)
    assert text.count("TOO LARGE") == 2 and "2 of 2 outputs differ" in text
    assert "all outputs agree" in cli("verify small.onnx --sparse auto --tolerance 0.011")


def test_verify_wants_onnx(failing):
    assert "needs the model itself" in failing("verify small.spr")


# ---- errors of all -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["convert {} -o out.spr", "run {} --input x.npy", "bench {}", "explain {}", "verify {}"]
)
@pytest.mark.parametrize(
    "model, text",
    [
        ("nowhere.onnx", "nowhere.onnx"),
        ("zoo:lenet", "no zoo model 'lenet'; there are mobilenet_v1,"),
        ("bad.onnx", "bad.onnx"),
        ("bad.spr", ""),
        ("nowhere.spr", "nowhere.spr"),
    ],
)
def test_bad_models(failing, command, model, text):
    Path("bad.onnx").write_bytes(b"this is no model")
    Path("bad.spr").write_bytes(b"this is no model")
    assert text in failing(command.format(model))
    assert not Path("out.spr").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "frobnicate",
        "convert small.onnx",
        "convert small.onnx -o out.spr --sparse true",
        "explain",
        "bench small.spr --threads 0",
        "bench small.spr --threads 1,x",
        "bench small.spr --sparse yes",
        "bench small.spr --repeat 0",
        "explain small.spr --fast",
        "convert small.onnx -o out.spr --prune 1.5",
        "convert small.onnx -o out.spr --block 4x1",
        "explain small.spr --input-shape 1x3",
        "explain small.spr --input-shape x=1xfoo",
        "verify small.onnx --against tflite",
        "kernels all",
    ],
)
def test_wrong_usage(folder, capsys, text):
    assert folder.is_dir()
    with pytest.raises(SystemExit) as caught:
        main(text.split())
    assert caught.value.code == 2
    assert "usage: sparse-runtime" in capsys.readouterr().err


def test_block_without_prune(failing):
    for command in ("convert small.onnx -o out.spr", "verify small.onnx"):
        assert "prune is not given" in failing(f"{command} --block 2x1")


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"sparse-runtime {sr.__version__} (CPU features: {_core.cpu_features()})\n"


# ---- as a process --------------------------------------------------------------------------------------------------


def process(*args, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *args], capture_output=True, text=True, env=environment, check=False, **options
    )


def test_module_and_exit_status(folder):
    done = process("-m", "sparse_runtime", "explain", "nowhere.spr", cwd=folder)
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr


def test_running_needs_neither_onnx_nor_rich(folder):
    np.save(folder / "x.npy", np.ones((1, 16, 8, 8), np.float32))
    hide = "import sys; sys.modules.update(dict.fromkeys(['onnx', 'onnxruntime', 'rich']))\n"
    code = hide + "from sparse_runtime.cli import main; sys.exit(main(sys.argv[1:]))"
    for command in (
        "run small.spr --input x.npy -o out.npz",
        "explain small.spr",
        "kernels",
        "bench small.spr --repeat 1",
    ):
        done = process("-c", code, *command.split(), cwd=folder)
        assert (done.returncode, done.stderr) == (0, "")
    for command in ("explain small.onnx", "convert small.onnx -o out.spr", "verify small.onnx", "bench zoo:resnet18"):
        done = process("-c", code, *command.split(), cwd=folder)
        assert done.returncode == 2
        assert "sparse-runtime[convert]" in done.stderr and "Traceback" not in done.stderr


def test_reader_that_stops_early(folder):
    with subprocess.Popen(
        [sys.executable, "-m", "sparse_runtime", "kernels"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as reader:
        reader.stdout.close()
        assert reader.stderr.read() == ""
        assert reader.wait() == 0
