"""spr-bench on this machine: what it prints, clusters of cores of a made-up sysfs, what it rejects."""

import csv
import io
import json
import os
import subprocess

import numpy as np
import pytest
from bench_lab import native_fixture, programs_fixture  # noqa: F401
from conftest import make_model
from onnx import helper

import sparse_runtime as sr


@pytest.fixture(scope="module")
def model(tmp_path_factory, pointwise_model):
    path = tmp_path_factory.mktemp("model") / "layer.spr"
    sr.convert(pointwise_model, path)
    return path


def call(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)


def results(program, *arguments):
    done = call(program, *arguments, "--format", "json", "--repeat", 3, "--warmup", 1)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_combination_in_json(native, model):
    found = results(native, model, model, "--threads", "1,2", "--sparse", "auto,never", "--verify", "--profile")
    assert found["version"] == sr.__version__ and found["repeat"] == 3 and found["warmup"] == 1
    rows = found["results"]
    assert [(r["threads"], r["sparse"]) for r in rows] == [
        (t, s) for t in (1, 2) for s in ("auto", "never") for _ in range(2)
    ]
    assert {r["model"] for r in rows} == {str(model)} and {r["cores"] for r in rows} == {"any"}
    for row in rows:
        assert 0 < row["min_ms"] <= row["q1_ms"] <= row["median_ms"] <= row["q3_ms"]
        assert row["difference"] < 1e-5
        assert [layer["shape"] for layer in row["layers"]] == [[1, 24, 9, 7]]
        assert row["layers"][0]["ms"] > 0 and row["layers"][0]["sparsity"] == pytest.approx(0.7, abs=0.1)
        assert row["layers"][0]["kernel"].startswith("pw_dense" if row["sparse"] == "never" else "pw_")
    assert found["device"]["features"] == sr._core.cpu_features() and found["device"]["memory_mb"] > 0


def test_difference(native, model):
    """Plain C equals itself; kernels that fuse multiplication and addition round otherwise, and that is seen."""
    (plain,) = results(native, model, "--verify", "--isa", "ref", "--sparse", "never")["results"]
    assert plain["difference"] == 0
    if not {"avx2", "neon"} & set(sr._core.cpu_features().split(",")):
        pytest.skip("no vector kernels here")
    (fused,) = results(native, model, "--verify", "--sparse", "never")["results"]
    assert 0 < fused["difference"] < 1e-5


def test_table_and_csv(native, model):
    text = call(native, model, "--threads", "1,2", "--profile", "--verify", "--repeat", 2).stdout
    assert "layer.spr  model        1 any" in text and "x first" in text and "median times of the layers" in text
    assert text.count("conv") >= 2, "the layer's name stands in both profiles"
    rows = list(csv.DictReader(io.StringIO(call(native, model, "--format", "csv", "--repeat", 2).stdout)))
    assert rows[0]["model"] == str(model) and float(rows[0]["median_ms"]) > 0 and rows[0]["repeat"] == "2"


def test_columns_of_layers_line_up(native, tmp_path):
    """With the longest name of an operator, and of one that has a kernel on all CPUs."""
    nodes = [helper.make_node("GlobalMaxPool", ["x"], ["b"], name="maximum"),
             helper.make_node("GlobalAveragePool", ["x"], ["a"], name="mean"),
             helper.make_node("Sub", ["a", "b"], ["y"], name="difference")]
    sr.convert(make_model(nodes, {"x": (1, 8, 4, 4)}, ["y"]), tmp_path / "net.spr")
    lines = call(native, tmp_path / "net.spr", "--profile", "--repeat", 2).stdout.splitlines()
    (start,) = (i for i, line in enumerate(lines) if line.split() == ["ms", "share", "op", "kernel", "layer"])
    assert "GlobalAveragePool" in lines[start + 2]
    for column, cells in (("kernel", ("pool_f32", "", "binary_f32")), ("layer", ("maximum", "mean", "difference"))):
        at = lines[start].index(column)
        assert all(line[at - 2:at].isspace() and line[at:].startswith(cell)
                   for line, cell in zip(lines[start + 1:], cells))


def fake_sys(folder, capacities=(), clocks=()):
    for cpu, capacity in enumerate(capacities):
        where = folder / f"devices/system/cpu/cpu{cpu}"
        (where / "cpufreq").mkdir(parents=True)
        (where / "cpu_capacity").write_text(f"{capacity}\n")
    for cpu, khz in enumerate(clocks):
        where = folder / f"devices/system/cpu/cpu{cpu}/cpufreq"
        where.mkdir(parents=True, exist_ok=True)
        (where / "cpuinfo_max_freq").write_text(f"{khz}\n")
        (where / "scaling_cur_freq").write_text(f"{khz // 2}\n")
    for i, (name, temperature) in enumerate([("gpu", 71000), ("cpu-0-0", 45500), ("cpu-1-0", 48000), ("off", -273000)]):
        zone = folder / f"class/thermal/thermal_zone{i}"
        zone.mkdir(parents=True)
        (zone / "type").write_text(name + "\n")
        (zone / "temp").write_text(f"{temperature}\n")
    return folder


two_cpus = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or not {0, 1} <= os.sched_getaffinity(0), reason="needs CPUs 0 and 1"
)


@two_cpus
@pytest.mark.parametrize("by", ["capacity", "clock"])
def test_big_and_little(native, model, tmp_path, by):
    clocks = (1800000, 2400000, *[2400000] * 62)
    sys = fake_sys(tmp_path, (400, *[1024] * 63) if by == "capacity" else (), clocks)
    found = results(native, model, "--sys", sys, "--cores", "big,little,prime,0-1,any")
    cpus = {row["cores"]: row["cpus"] for row in found["results"]}
    assert cpus["little"] == [0] and cpus["0-1"] == [0, 1] and cpus["any"] == []
    assert cpus["big"] == cpus["prime"] == sorted(os.sched_getaffinity(0) - {0})
    big, little = found["device"]["clusters"]
    assert (big["max_mhz"], little["max_mhz"]) == (2400, 1800) and little["cpus"] == [0]
    assert (little["capacity"], big["capacity"]) == ((400, 1024) if by == "capacity" else (None, None))
    read = {row["cores"]: (row["mhz_low"], row["mhz_high"]) for row in found["results"]}
    assert read["little"] == (900, 900) and read["big"] == read["any"] == (1200, 1200)
    assert {(row["celsius_before"], row["celsius_after"]) for row in found["results"]} == {(48, 48)}


@two_cpus
def test_more_threads_than_cores_are_left_out(native, model, tmp_path):
    sys = fake_sys(tmp_path, (400, *[1024] * 63))
    done = call(native, model, "--sys", sys, "--cores", "little,0-1", "--threads", "1,2", "--format", "json")
    assert "left out: 2 threads on 1 CPUs (little)" in done.stderr
    rows = json.loads(done.stdout)["results"]
    assert [(row["cores"], row["threads"]) for row in rows] == [("little", 1), ("0-1", 1), ("0-1", 2)]


def test_nothing_is_told(native, model, tmp_path):
    """A phone's shell may not read clocks or temperatures."""
    (row,) = results(native, model, "--sys", tmp_path / "missing")["results"]
    assert row["mhz_high"] is row["celsius_after"] is None
    assert "-, -" in call(native, model, "--sys", tmp_path / "missing").stdout


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool"])
def test_inputs_of_every_type(native, tmp_path, dtype):
    """Free dimensions: the first is 1, others as --free says, or --input-shape."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    node = helper.make_node("Concat", ["x", "x"], ["y"], axis=1)
    net = make_model([node], {"x": (np.dtype(dtype), ("n", "m"))}, {"y": kind})
    sr.convert(net, tmp_path / "net.spr")
    done = call(native, tmp_path / "net.spr")
    assert done.returncode == 2 and "dimension 1 of input 'x' is free: give --free N" in done.stderr
    for options, shape in ((["--free", 6], [1, 12]), (["--input-shape", "x=3x5"], [3, 10])):
        (row,) = results(native, tmp_path / "net.spr", *options, "--verify", "--profile")["results"]
        assert row["difference"] == 0 and row["layers"][-1]["shape"] == shape


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "no model given"),
        (["missing.spr"], "missing.spr"),
        (["MODEL", "--threads", "0"], "--threads takes a number from 1, not '0'"),
        (["MODEL", "--threads", "1x"], "--threads takes a number"),
        (["MODEL", "--sparse", "maybe"], "--sparse does not take 'maybe'"),
        (["MODEL", "--format", "xml"], "--format does not take 'xml'"),
        (["MODEL", "--cores", "fast"], "--cores takes any, big, little, prime"),
        (["MODEL", "--cores", "1-0"], "--cores takes any"),
        (["MODEL", "--cores", "64"], "--cores takes any"),
        (["MODEL", "--cores", "63"], "may not run on all of these CPUs"),
        (["MODEL", "--repeat"], "--repeat needs a value"),
        (["MODEL", "--fast", "1"], "there is no option --fast"),
        (["MODEL", "--input-shape", "x"], "--input-shape takes NAME="),
        (["MODEL", "--input-shape", "x=1x"], "--input-shape takes NAME="),
        (["MODEL", "--input-shape", "z=1x16x9x7"], "has no input 'z'"),
        (["MODEL", "--input-shape", "x=1x15x9x7"], "15"),
        (["MODEL", "--isa", "sse"], "sse"),
    ],
)
def test_errors(native, model, arguments, message):
    done = call(native, *[model if a == "MODEL" else a for a in arguments])
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("spr-bench: ") and message in done.stderr
