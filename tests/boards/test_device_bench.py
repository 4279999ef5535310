"""sparse-runtime device-bench, with stand-ins for adb and ssh whose devices run the programs under qemu."""

import csv
import io
import json
import os
import shutil

import onnx
import pytest
from bench_lab import BUILT, executable, lab_fixture, native_fixture, programs_fixture  # noqa: F401

import sparse_runtime as sr
from sparse_runtime import devices
from sparse_runtime.cli import main

PHONE = ("phone", "aarch64", "arm64-v8a,armeabi-v7a", ["qemu-aarch64", "-cpu", "cortex-a76"])
OLD_PHONE = ("old", "armv8l", "armeabi-v7a,armeabi", ["qemu-arm", "-cpu", "cortex-a7"])
BOARD = ("pi@board", "armv7l", None, ["qemu-arm", "-cpu", "cortex-a7"])


@pytest.fixture
def net(tmp_path, monkeypatch, pointwise_model):
    monkeypatch.chdir(tmp_path)
    onnx.save(pointwise_model, "net.onnx")
    return "net.onnx"


def bench(capsys, *arguments, status=0):
    assert main(["device-bench", *arguments, "--repeat", "2", "--warmup", "1"]) == status
    return capsys.readouterr()


def binaries(*arguments):
    return ["--binary", str(BUILT), *arguments]


def left_behind(folder):
    return sorted(p.name for p in folder.iterdir() if p.name.startswith("spr-bench-"))


def test_several_devices_in_one_table(lab, net, capsys, tmp_path):
    phone, _, _ = lab(*PHONE), lab(*OLD_PHONE), lab(*BOARD)
    options = ["--adb", "phone", "--adb", "old", "--ssh", "pi@board", "--prune", "0,0.9", "--sparse", "auto,never"]
    found = json.loads(bench(capsys, net, *binaries(*options, "--profile", "-o", "json")).out)["devices"]
    assert list(found) == ["adb:phone", "adb:old", "pi@board"]
    assert [one["device"]["bits"] for one in found.values()] == [64, 32, 32]
    assert "dotprod" in found["adb:phone"]["device"]["features"]
    for one in found.values():
        keys = [(r["model"], r["prune"], r["sparse"]) for r in one["results"]]
        assert keys == [("net.onnx", share, sparse) for sparse in ("auto", "never") for share in (0.0, 0.9)]
        assert all(r["difference"] < 1e-5 and r["median_ms"] > 0 for r in one["results"])
        assert {layer["kernel"].split("_f32")[0] for r in one["results"] for layer in r["layers"]} >= {"pw_dense"}
    assert left_behind(phone) == []
    text = bench(capsys, net, *binaries(*options)).out
    head = text.splitlines()[0]
    assert all(f"{name} ms" in head for name in found) and head.count("x first") == 3
    assert "outputs differ from those of plain C kernels by at most" in text
    rows = list(csv.DictReader(io.StringIO(bench(capsys, net, *binaries(*options, "-o", "csv")).out)))
    assert len(rows) == 3 * 4 and {row["device"] for row in rows} == set(found)


def test_spr_file_shapes_and_layers(lab, net, capsys):
    lab(*PHONE)
    sr.convert(net, "net.spr")
    options = binaries("--adb", "phone", "--input-shape", "x=2x16x5x5", "--profile", "-o", "md", "--no-verify")
    text = bench(capsys, "net.spr", *options).out
    assert "| net.spr | model | 1 | any |" in text
    assert "adb:phone: model net.spr, sparse model, threads 1, cores any" in text
    assert "| conv | Conv | pw_" in text and "outputs differ" not in text


def test_one_of_two_fails(lab, net, capsys):
    lab(*PHONE)
    said = bench(capsys, net, *binaries("--adb", "phone", "--adb", "gone"), status=2)
    assert "adb:phone ms" in said.out
    assert "adb:gone: adb: device 'gone' not found (`adb devices` lists what is there)" in said.err


@pytest.mark.parametrize(
    "options, message",
    [
        (["--adb", "locked"], "device unauthorized. (allow USB debugging on the device's screen)"),
        (["--ssh", "me@secret"], "Permission denied (publickey,password). (ssh must get in without a password"),
        (["--ssh", "me@nowhere"], "Could not resolve hostname"),
        (["--ssh=-oProxyCommand=x"], "is not the name of a host"),
        ([], "no device given"),
        (["--adb", "phone", "--cores", "fast"], "adb:phone: spr-bench: --cores takes any, big, little, prime"),
        (["--adb", "phone", "--binary", "missing"], "missing: there is no such file or folder"),
        (["--adb", "phone", "--binary", "net.onnx"], "net.onnx: not a program for aarch64"),
        (["--adb", "phone", "--remote-dir", "/proc"], "adb:phone: cannot make a folder"),
    ],
)
def test_errors(lab, net, capsys, options, message):
    phone = lab(*PHONE)
    given = options if "--binary" in options else binaries(*options)
    said = bench(capsys, net, *given, status=2)
    assert said.out == "" and message in said.err
    assert left_behind(phone) == []


def test_timeout(lab, net, capsys):
    executable(lab(*PHONE) / "bin" / "uname", "#!/bin/sh\nsleep 1\n")
    said = bench(capsys, net, *binaries("--adb", "phone", "--timeout", "0.3"), status=2)
    assert "adb:phone: no end after 0.3 s (--timeout)" in said.err


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs a machine that does not run ARM programs")
def test_program_for_another_cpu(lab, net, capsys):
    (lab(*PHONE) / "run").write_text("")  # no emulator: the shell refuses the program
    said = bench(capsys, net, *binaries("--adb", "phone", "--abi", "armv7"), status=2)
    assert "spr-bench-armv7 is for armv7: is that what the device runs (--abi)" in said.err


def test_adb_is_not_installed(net, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = bench(capsys, net, "--adb", "phone", status=2)
    assert "adb:phone: adb is not installed, or not on the PATH" in said.err


def test_push_fails(lab, net, capsys):
    (lab(*PHONE) / "full").touch()
    said = bench(capsys, net, *binaries("--adb", "phone"), status=2)
    assert "cannot send spr-bench-aarch64: adb: error: failed to copy: No space left on device" in said.err


def test_half_a_push(lab, net, capsys):
    board = lab(*BOARD)
    executable(board / "bin" / "cat", "#!/bin/sh\nexec head -c 1000\n")
    said = bench(capsys, net, *binaries("--ssh", "pi@board"), status=2)
    assert "pi@board: 1000 of" in said.err and "arrived" in said.err


def test_no_binary_for_the_device(lab, net, capsys, tmp_path):
    lab("riscv", "riscv64", None, ["qemu-arm"])
    lab(*BOARD)
    only = shutil.copy(BUILT / "spr-bench-aarch64", tmp_path)
    said = bench(capsys, net, "--binary", only, "--ssh", "pi@board", "--ssh", "riscv", status=2)
    assert "pi@board: needs spr-bench for armv7, and there are only those for aarch64: `make bench-bin" in said.err
    assert "riscv: it says riscv64; spr-bench is for" in said.err


def test_pruning_needs_the_model(net, capsys):
    sr.convert(net, "net.spr")
    assert "--prune needs the model" in bench(capsys, "net.spr", "--local", "--prune", "0.5", status=2).err


def test_local(native, net, capsys):
    found = json.loads(bench(capsys, net, "--local", *binaries("--threads", "1,2", "-o", "json")).out)["devices"]
    assert found["local"]["device"]["features"] == sr._core.cpu_features()
    assert [r["threads"] for r in found["local"]["results"]] == [1, 2]


def test_abi_of_programs(native, tmp_path):
    assert devices.abi_of_program(native) == os.uname().machine
    (tmp_path / "script").write_text("#!/bin/sh")
    assert devices.abi_of_program(tmp_path / "script") is None
