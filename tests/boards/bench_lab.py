"""Programs of `make bench-binaries`, and stand-ins for adb and ssh that run them under qemu."""

import os
import shutil
import stat
from pathlib import Path

import pytest

import sparse_runtime as sr

ROOT = Path(sr.__file__).resolve().parent.parent
BUILT = ROOT / "build" / "bench"

# What a stub does with a shell command: the device's file system is a folder, its programs run under qemu.
SHELL = """
run() {
    command=$(printf '%s' "$1" | sed "s#/data/local/tmp#$ROOT#g; s#&& ./spr-bench#\\&\\& $RUN ./spr-bench#")
    PATH="$BIN:$PATH" sh -c "$command"
}
"""
ADB = """#!/bin/sh
# adb -s SERIAL shell COMMAND | push FILE REMOTE
[ "$1" = -s ] || exit 9
serial=$2; shift 2
case $serial in
    gone) echo "adb: device 'gone' not found" >&2; exit 1 ;;
    locked) echo "error: device unauthorized." >&2; exit 1 ;;
esac
ROOT={folder}/$serial
BIN={folder}/$serial/bin
RUN=$(cat {folder}/$serial/run)
{shell}
case $1 in
    shell) run "$2" ;;
    push)
        if [ -e "$ROOT/full" ]; then echo "adb: error: failed to copy: No space left on device" >&2; exit 1; fi
        cp "$2" "$(printf '%s' "$3" | sed "s#/data/local/tmp#$ROOT#")"; echo "1 file pushed" ;;
    *) exit 9 ;;
esac
"""
SSH = """#!/bin/sh
# ssh -o OPTION -o OPTION HOST COMMAND
[ "$1 $3" = "-o -o" ] || exit 9
case $5 in
    *@secret) echo "$5: Permission denied (publickey,password)." >&2; exit 255 ;;
    *@nowhere) echo "ssh: Could not resolve hostname nowhere" >&2; exit 255 ;;
esac
ROOT={folder}/$5
BIN={folder}/$5/bin
RUN=$(cat {folder}/$5/run)
{shell}
run "$6"
"""


def executable(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture(name="programs", scope="session")
def programs_fixture():
    """The folder of the programs. Only `make check-boards`, which builds them, says that they are whole."""
    if not os.environ.get("SPARSE_RUNTIME_BOARDS"):
        pytest.skip("`make check-boards` runs this")
    return BUILT


@pytest.fixture(name="native", scope="session")
def native_fixture(programs):
    """spr-bench for this machine."""
    return programs / f"spr-bench-{os.uname().machine}"


@pytest.fixture(name="lab")
def lab_fixture(programs, tmp_path, monkeypatch):  # pylint: disable=unused-argument
    """Function (name, what `uname -m` says, ABIs of Android or None, qemu command) that adds a device to a stub lab."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'stubs'}{os.pathsep}{os.environ['PATH']}")
    for name, text in (("adb", ADB), ("ssh", SSH)):
        executable(tmp_path / "stubs" / name, text.replace("{folder}", str(tmp_path)).replace("{shell}", SHELL))

    def add(name, machine, abis, emulator):
        program = shutil.which(emulator[0]) or shutil.which(f"{emulator[0]}-static")
        assert program, f"{emulator[0]} is missing"
        executable(tmp_path / name / "bin" / "uname", f"#!/bin/sh\necho {machine}\n")
        if abis:
            executable(tmp_path / name / "bin" / "getprop", f"#!/bin/sh\necho {abis}\n")
        (tmp_path / name / "run").write_text(" ".join([program, *emulator[1:]]), encoding="utf-8")
        return tmp_path / name

    return add
