"""Paddle models by way of paddle2onnx, against Paddle's own answers and, without Paddle, what is said then."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from oracle import error

import sparse_runtime as sr
from sparse_runtime.cli import main
from sparse_runtime.importers import is_convertible

needs_paddle = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("paddle", "paddle2onnx")),
    reason="paddle2onnx and paddlepaddle are not installed",
)


def export(kind, folder):
    script = Path(__file__).with_name("paddle_export.py")
    made = subprocess.run([sys.executable, script, kind, folder], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


@pytest.fixture(scope="session", params=["json", "pdmodel"])
def exported(request, tmp_path_factory):
    """MobileNetV3 of paddle.vision, as Paddle saves it since 3.0 and as it did before: (path, input, output)."""
    folder = tmp_path_factory.mktemp(request.param)
    export(request.param, folder)
    told = np.load(folder / "told.npz")
    return folder / f"inference.{request.param}", told["x"], told["y"]


@needs_paddle
def test_agrees_with_paddle(exported, tmp_path):
    path, x, y = exported
    assert np.ptp(y, axis=0).max() > 0.01 * np.ptp(y)  # the two images do not get the same answer
    assert main(["convert", str(path), "-o", str(tmp_path / "out.spr")]) == 0
    session = sr.Session(tmp_path / "out.spr", input_shapes={"x": x.shape})
    (actual,) = session.run(None, {"x": x})
    assert error(actual, y) <= 1e-4
    assert str(session.explain()) == str(sr.Session(str(path), input_shapes={"x": x.shape}).explain())


@needs_paddle
def test_pruned_on_the_way(exported):
    report = sr.convert(exported[0], prune=0.8, input_shapes={"x": (1, 3, 64, 64)})
    assert report.sparse_layers > 20 and report.inputs == {"x": (1, 3, 64, 64)} and report.model == str(exported[0])
    layers = sr.prune.report(sr.prune.magnitude(exported[0], 0.8))
    assert layers and all(abs(layer.sparsity - 0.8) < 0.05 for layer in layers)


@needs_paddle
@pytest.mark.parametrize("damaged", ["model", "weights"])
def test_damaged(exported, tmp_path, damaged):
    path, weights = tmp_path / exported[0].name, tmp_path / "inference.pdiparams"
    shutil.copy(exported[0], path)
    shutil.copy(exported[0].with_suffix(".pdiparams"), weights)
    cut = path if damaged == "model" else weights
    cut.write_bytes(cut.read_bytes()[:20000])
    with pytest.raises(sr.ModelFormatError, match=f"{path}: paddle2onnx (cannot read|made an invalid)") as caught:
        sr.convert(path)
    assert len(str(caught.value)) < 1000


@needs_paddle
def test_unsupported_operator(tmp_path):
    export("svd", tmp_path)
    said = "inference.json: paddle2onnx does not convert it: .*unsupported operators"
    with pytest.raises(sr.UnsupportedError, match=said):
        sr.convert(tmp_path / "inference.json")


@needs_paddle
@pytest.mark.models
def test_real_model():
    """A classifier from the wild, which somebody has converted with paddle2onnx, too."""
    models = os.environ.get("SPARSE_RUNTIME_MODELS")
    found = sorted(Path(models, "paddle_mbv3s035").glob("*.pdmodel")) if models else []
    if not found:
        pytest.skip("SPARSE_RUNTIME_MODELS names no folder with paddle_mbv3s035/*.pdmodel")
    ours, theirs = (sr.Session(str(p)) for p in (found[0], Path(models, "pd_mbv3s035_multilabel.onnx")))
    x = np.random.default_rng(1).uniform(-2, 2, (2, 3, 224, 224)).astype(np.float32)
    (actual,), (expected,) = (s.run(None, {s.inputs[0].name: x}) for s in (ours, theirs))
    assert error(actual, expected) <= 1e-4


# ---- without Paddle ------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("net.pdmodel", "net.pdiparams", "lonely.json"):
        Path(name).write_bytes(b"0")


@pytest.mark.parametrize("absent", [("paddle2onnx",), ("paddle",), ("paddle2onnx", "paddle")])
def test_not_installed(files, monkeypatch, capsys, absent):
    for name in ("paddle2onnx", "paddle"):
        monkeypatch.setitem(sys.modules, name, None)
    there = set(("paddle2onnx", "paddle")) - set(absent)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: name in there or find(name, *more))
    said = f"{' and '.join(absent)} cannot be imported: pip install 'sparse-runtime[paddle]'"
    with pytest.raises(sr.ArgumentError) as caught:
        sr.convert("net.pdmodel")
    assert str(caught.value).endswith(said)
    assert main(["convert", "net.pdmodel", "-o", "net.spr"]) == 2
    assert said in capsys.readouterr().err and not Path("net.spr").exists()


@pytest.mark.parametrize(
    "path, what", [("none.pdmodel", "model, 'none.pdmodel'"), ("lonely.json", "weights, 'lonely.pdiparams'")]
)
def test_missing_file(files, path, what):
    with pytest.raises(sr.ModelIOError, match=f"cannot read its {what}: No such file"):
        sr.convert(path)


def test_told_by_the_name():
    assert all(is_convertible(path) for path in ("a.onnx", "A.ONNX", Path("b/c.pdmodel"), "d.json"))
    assert not any(is_convertible(path) for path in ("e.spr", "onnx", "json"))


def test_example_inputs_are_for_modules(pointwise_model):
    with pytest.raises(sr.ArgumentError, match="example_inputs are for torch modules"):
        sr.convert(pointwise_model, example_inputs=np.zeros(1))
