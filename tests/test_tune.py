"""Autotuning: what is measured, and what is remembered beside the model."""

import os
import re
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import make_model
from onnx import helper

import sparse_runtime as sr
from sparse_runtime import _core
from sparse_runtime.cli import main


@pytest.fixture(scope="module")
def onnx_model():
    """Pointwise, depthwise and fully connected layers; x [1, 24, 20, 20]."""
    rng = np.random.default_rng(5)

    def pruned(*shape):
        weight = rng.standard_normal(shape).astype(np.float32)
        weight[rng.random(shape) < 0.8] = 0
        return weight

    constants = {"w1": pruned(40, 24, 1, 1), "wd": rng.standard_normal((40, 1, 3, 3)).astype(np.float32),
                 "w2": pruned(32, 40, 1, 1), "w3": pruned(10, 32)}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], name="expand"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "wd"], ["c"], name="depthwise", group=40, pads=[1] * 4),
        helper.make_node("Conv", ["c", "w2"], ["d"], name="project"),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["f"]),
        helper.make_node("Gemm", ["f", "w3"], ["y"], name="fc", transB=1),
    ]
    return make_model(nodes, {"x": (1, 24, 20, 20)}, ["y"], constants)


@pytest.fixture
def path(onnx_model, tmp_path):
    sr.convert(onnx_model, tmp_path / "m.spr")
    return str(tmp_path / "m.spr")


X = np.random.default_rng(6).standard_normal((1, 24, 20, 20)).astype(np.float32)
SPARSE = ("expand", "project", "fc")


def tuned(path, **options):
    """({layer: Layer}, the note) of a session with autotune."""
    report = sr.Session(path, autotune=True, **options).explain()
    return {layer.name: layer for layer in report}, report.tuned


def test_measured_once_then_remembered(path):
    layers, note = tuned(path)
    assert "remembered in" in note and os.path.exists(path + ".tune")
    assert all("measured, us: " in layers[name].reason for name in SPARSE)
    before = os.stat(path + ".tune")
    again, note = tuned(path)
    assert "as measured before" in note and path in note
    for name in SPARSE:
        assert "measured before, us: " in again[name].reason
        assert again[name].kernel == layers[name].kernel
    after = os.stat(path + ".tune")
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)  # not written again
    assert sorted(os.listdir(os.path.dirname(path))) == ["m.spr", "m.spr.tune"]


def test_the_fastest_measured_is_taken(path):
    layers, _ = tuned(path)
    for name in SPARSE:
        words = layers[name].reason.split("us: ")[1].split(";")[0].split()
        times = dict(zip(words[::2], map(float, words[1::2])))
        assert {"dense", "csr"} <= set(times)
        kind = layers[name].kernel.split("_")[1]
        assert times[kind] <= 1.02 * min(times.values()) + 0.1  # figures are rounded; near ties go to the estimate


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("sparse", ["auto", "always", "never"])
def test_results_as_without(path, threads, sparse):
    expected = sr.Session(path, sparse=sparse)(X)
    for _ in range(2):  # measured, remembered
        actual = sr.Session(path, threads=threads, sparse=sparse, autotune=True)(X)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_policies_hold(path):
    never, _ = tuned(path, sparse="never")
    assert all("dense" in never[name].kernel for name in SPARSE)
    always, _ = tuned(path, sparse="always")
    assert all("dense" not in always[name].kernel for name in SPARSE)


def test_what_is_remembered_is_used(path):
    layers, _ = tuned(path)
    other = next(kernel["name"] for kernel in _core.kernels()
                 if kernel["cls"] in ("pw_dense", "pw_csr") and kernel["runs"] and kernel["isa"] != "ref"
                 and kernel["name"] != layers["expand"].kernel)
    text = Path(path + ".tune").read_text(encoding="ascii")
    write(path + ".tune", re.sub(rf"(layer \d+) {layers['expand'].kernel} ", rf"\1 {other} ", text, count=1))
    assert tuned(path)[0]["expand"].kernel == other


def write(path, text):
    """Text with the last line's checksum made right."""
    body = text[:text.rindex("end ")]
    Path(path).write_text(f"{body}end {zlib.crc32(body.encode()):08x}\n", encoding="ascii")


def lines(path):
    return Path(path + ".tune").read_text(encoding="ascii").splitlines()


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "binary", "other magic", "long", "end only"])
def test_damaged_file(path, damage):
    tuned(path)
    good = Path(path + ".tune").read_bytes()
    bad = {"empty": b"", "truncated": good[:-12], "flipped": good.replace(b"dense", b"dens3", 1),
           "binary": os.urandom(5000),
           "other magic": b"sparse-runtime tune 2\n" + good.split(b"\n", 1)[1], "long": good + b"x" * (2 << 20),
           "end only": b"end 0\n"}[damage]
    Path(path + ".tune").write_bytes(bad)
    layers, note = tuned(path)
    assert "damaged" in note and "remembered in" in note
    assert "measured, us: " in layers["expand"].reason
    assert "as measured before" in tuned(path)[1]


def test_every_flipped_bit_is_noticed(path):
    tuned(path)
    good = Path(path + ".tune").read_bytes()
    for at in range(0, len(good), 7):
        Path(path + ".tune").write_bytes(good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1:])
        assert "as measured before" not in tuned(path)[1] or at >= good.rindex(b"end ")  # "END" is as good as "end"


@pytest.mark.parametrize("line", ["layer 0 no_such_kernel dense 1.0", "layer x pw_csr_f32_ref 1",
                                  "layer 99999 pw_csr_f32_ref 1",
                                  "layer", "layer -5 a b", "layer 0 " + "k" * 500, "what is this"])
def test_strange_lines_with_a_right_checksum(path, line):
    tuned(path)
    text = "\n".join([*lines(path)[:2], line, *lines(path)[2:]]) + "\n"
    write(path + ".tune", re.sub(r"layer 0 pw.*\n", "", text))
    layers, _ = tuned(path)
    assert "measured, us: " in layers["expand"].reason
    np.testing.assert_allclose(sr.Session(path, autotune=True)(X), sr.Session(path)(X), rtol=0, atol=1e-4)


def test_other_keys(path):
    tuned(path)
    _, note = tuned(path, threads=2)
    assert "of another CPU, version, model or set of options" in note
    assert "as measured before" in tuned(path)[1] and "as measured before" in tuned(path, threads=2)[1]  # both are kept
    _, note = tuned(path, isa="ref")
    assert "measured" in note and "as measured before" not in note
    session = sr.Session(path, autotune=True)
    assert "as measured before" in session.explain().tuned
    session.reshape({"x": (1, 24, 10, 12)})
    assert "as measured before" not in session.explain().tuned
    assert len([line for line in lines(path) if line.startswith("key ")]) == 4


@pytest.mark.parametrize("change", [("cpu='", "cpu='Other "), ("version=", "version=9"), ("model=", "model=0")])
def test_foreign_file(path, change):
    tuned(path)
    text = Path(path + ".tune").read_text(encoding="ascii")
    assert change[0] in text
    write(path + ".tune", text.replace(*change))
    _, note = tuned(path)
    assert "of another CPU, version, model or set of options" in note and "measured" in note
    kept = [line for line in lines(path) if line.startswith("key ")]
    assert len(kept) == (1 if change[0] == "model=" else 2)  # what another model left is of no use to anyone


def test_model_replaced(path, tmp_path, pointwise_model):
    tuned(path)
    shutil.copy(path + ".tune", tmp_path / "n.spr.tune")
    sr.convert(pointwise_model, tmp_path / "n.spr")
    _, note = tuned(str(tmp_path / "n.spr"))
    assert "another" in note and "measured 1 layer," in note


def test_not_more_than_some_keys(path):
    for width in range(1, 40):
        session = sr.Session(path, autotune=True, input_shapes={"x": (1, 24, 2, width)}, isa="ref")
        del session
    assert len([line for line in lines(path) if line.startswith("key ")]) <= 33
    assert "as measured before" in sr.Session(path, autotune=True, isa="ref",
                                              input_shapes={"x": (1, 24, 2, 39)}).explain().tuned


def test_model_in_memory(path, tmp_path):
    layers, note = tuned(Path(path).read_bytes())
    assert "not a file of its own" in note and "measured, us: " in layers["expand"].reason
    assert os.listdir(tmp_path) == ["m.spr"]


def test_where_nothing_can_be_written(path, tmp_path):
    """Also works for root, whom no permission stops: the name is too long for a file beside the model."""
    long = str(tmp_path / ("m" * 247 + ".spr"))
    shutil.copy(path, long)
    layers, note = tuned(long)
    assert "not remembered" in note and "measured, us: " in layers["expand"].reason
    assert set(os.listdir(tmp_path)) == {"m.spr", os.path.basename(long)}


def test_directory_in_the_way(path):
    os.mkdir(path + ".tune")
    layers, note = tuned(path)
    assert "not used" in note and "not remembered" in note and "measured, us: " in layers["expand"].reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_directory(path, tmp_path):
    os.chmod(tmp_path, 0o555)
    try:
        _, note = tuned(path)
        assert "not remembered" in note
    finally:
        os.chmod(tmp_path, 0o755)


def test_not_without_being_asked(path, tmp_path):
    report = sr.Session(path).explain()
    assert report.tuned == "" and "autotune" not in str(report)
    assert os.listdir(tmp_path) == ["m.spr"]


def test_relative_path_and_another_directory_later(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = sr.Session("m.spr", autotune=True, input_shapes={"x": (1, 24, 6, 6)})
    os.mkdir("below")
    monkeypatch.chdir(tmp_path / "below")
    session.reshape({"x": (1, 24, 8, 8)})
    assert os.listdir(".") == [] and "remembered" in session.explain().tuned


def test_command_line(path, tmp_path, capsys):
    np.save(tmp_path / "x.npy", X)
    assert main(["run", path, "--input", str(tmp_path / "x.npy"), "--autotune"]) == 0
    assert os.path.exists(path + ".tune")
    assert main(["explain", path, "--autotune"]) == 0
    assert "as measured before" in " ".join(capsys.readouterr().out.split())
    assert main(["bench", path, "--autotune", "--repeat", "1", "--warmup", "1"]) == 0
