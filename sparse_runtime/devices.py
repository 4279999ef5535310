"""Boards and phones at the other end of adb or ssh, and spr-bench run on them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .errors import ArgumentError, SparseRuntimeError

_ABIS = {  # by what `uname -m` and Android's ro.product.cpu.abilist say
    "aarch64": "aarch64", "arm64": "aarch64", "arm64-v8a": "aarch64",
    "armv7l": "armv7", "armv8l": "armv7", "armeabi-v7a": "armv7",
    "x86_64": "x86_64", "amd64": "x86_64",
}  # fmt: skip
_ELF_MACHINES = {183: "aarch64", 40: "armv7", 62: "x86_64"}  # e_machine of an ELF header
_STATUS = "spr-status:"


class DeviceError(SparseRuntimeError, RuntimeError):
    """A device cannot be reached, or does not do what it is told."""


# ---- programs ------------------------------------------------------------------------------------------------------


def abi_of_program(path: str | os.PathLike[str]) -> str | None:
    """"aarch64", "armv7" or "x86_64" by a file's ELF header, None for other files."""
    with open(path, "rb") as file:
        header = file.read(20)
    if len(header) < 20 or header[:4] != b"\x7fELF" or header[5] != 1:
        return None
    return _ELF_MACHINES.get(int.from_bytes(header[18:20], "little"))


def programs(paths: Iterable[str]) -> dict[str, Path]:
    """{ABI: file} of programs given as files or as folders with spr-bench* in them; the first of a kind counts.

    Without any, those that `make bench-binaries` leaves in build/bench, here or in the folder of the sources."""
    given = [Path(path) for path in paths]
    places = given or [Path("build/bench"), Path(__file__).resolve().parent.parent / "build" / "bench"]
    found: dict[str, Path] = {}
    for place in places:
        if given and not place.exists():
            raise ArgumentError(f"{place}: there is no such file or folder")
        for file in sorted(place.glob("spr-bench*")) if not place.is_file() else [place]:
            abi = abi_of_program(file)
            if abi:
                found.setdefault(abi, file)
            elif place.is_file():
                raise ArgumentError(f"{file}: not a program for aarch64, armv7 or x86_64 Linux")
    return found


# ---- devices -------------------------------------------------------------------------------------------------------


class Device:
    """Something that runs shell commands and takes files. Subclasses say how; `name` is what the user calls it."""

    root = "/tmp"

    def __init__(self, name: str, timeout: float, root: str | None = None) -> None:
        self.name, self.timeout = name, timeout
        self.folder = f"{root or self.root}/spr-bench-{uuid.uuid4().hex[:12]}"

    def _argv(self, command: str) -> list[str]:
        raise NotImplementedError

    def _explain(self, status: int, text: str) -> str:
        """What to tell the user where the connection failed."""
        return text or f"exit status {status}"

    def _call(self, argv: Sequence[str], stdin: Any = subprocess.DEVNULL) -> tuple[int, str, str]:
        try:
            done = subprocess.run(argv, stdin=stdin, capture_output=True, timeout=self.timeout, check=False)
        except FileNotFoundError:
            raise DeviceError(f"{self.name}: {argv[0]} is not installed, or not on the PATH") from None
        except subprocess.TimeoutExpired:
            raise DeviceError(f"{self.name}: no end after {self.timeout:g} s (--timeout)") from None
        out, err = (text.decode("utf-8", "replace").replace("\r\n", "\n") for text in (done.stdout, done.stderr))
        return done.returncode, out, err

    def shell(self, command: str, stdin: Any = subprocess.DEVNULL) -> tuple[int, str, str]:
        """(exit status, stdout, stderr) of a command on the device.

        The status is printed by the command, for older versions of adb do not pass it on."""
        status, out, err = self._call(self._argv(f"{{ {command}; }}; echo {_STATUS}$?"), stdin)
        text, mark, code = out.rpartition(_STATUS)
        if not mark:
            raise DeviceError(f"{self.name}: {self._explain(status, (err or out).strip())}")
        return int(code), text, err

    def check(self, what: str, command: str, stdin: Any = subprocess.DEVNULL) -> str:
        """stdout of a command that must succeed."""
        status, out, err = self.shell(command, stdin)
        if status:
            raise DeviceError(f"{self.name}: {what}: {(err or out).strip() or f'exit status {status}'}")
        return out

    def abi(self) -> str:
        """The ABI of programs for this device, by its properties where it is an Android one, else by its kernel."""
        out = self.check("cannot tell its ABI", "getprop ro.product.cpu.abilist 2>/dev/null; uname -m")
        words = out.replace(",", " ").split()
        for word in words:
            if word in _ABIS:
                return _ABIS[word]
        raise DeviceError(
            f"{self.name}: it says {' '.join(words) or 'nothing'}; spr-bench is for aarch64, armv7 and x86_64"
        )

    def _send(self, local: Path, remote: str) -> None:
        with open(local, "rb") as file:
            self.check(f"cannot send {local.name}", f"cat > {shlex.quote(remote)}", file)

    def push(self, local: str | os.PathLike[str], name: str) -> None:
        """Copies a file into the device's folder, and looks whether it arrived whole."""
        local, remote = Path(local), f"{self.folder}/{name}"
        self._send(local, remote)
        size = self.check(f"cannot send {local.name}", f"wc -c < {shlex.quote(remote)}").strip()
        if size != str(local.stat().st_size):
            whole = f"{local.stat().st_size} bytes of {local.name}"
            raise DeviceError(f"{self.name}: {size} of {whole} arrived: disk full?")

    def __enter__(self) -> Device:
        self.check("cannot make a folder", f"mkdir -p {shlex.quote(self.folder)}")
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self.shell(f"rm -rf {shlex.quote(self.folder)}")
        except DeviceError:
            if exc[0] is None:
                raise

    def bench(
        self, program: Path, models: Sequence[str | os.PathLike[str]], arguments: Sequence[str]
    ) -> dict[str, Any]:
        """What spr-bench's --format json prints for the models, whose names are "0.spr", "1.spr" ... there.

        "notes": lines that it wrote to stderr, about what it left out."""
        self.push(program, "spr-bench")
        names = [f"{i}.spr" for i in range(len(models))]
        for name, model in zip(names, models):
            self.push(model, name)
        words = " ".join(map(shlex.quote, ["./spr-bench", *names, "--format", "json", *arguments]))
        command = f"cd {shlex.quote(self.folder)} && chmod 755 spr-bench && {words}"
        status, out, err = self.shell(command)
        if status:
            text = (err or out).strip() or f"exit status {status}"
            if status == 126 or "xec format" in text or "not executable" in text:
                text += (
                    f". {program.name} is for {abi_of_program(program)}: is that what the device runs (--abi), and may "
                    f"programs run from {os.path.dirname(self.folder)} (--remote-dir)?"
                )
            elif 128 < status <= 192:
                text += f". spr-bench was ended by signal {status - 128}"
            raise DeviceError(f"{self.name}: {text}")
        try:
            return {**json.loads(out[out.index("{") :]), "notes": err.strip().splitlines()}
        except ValueError:
            raise DeviceError(f"{self.name}: spr-bench printed what is no JSON: {out.strip()[:200]!r}") from None


class Adb(Device):
    """An Android device in USB debugging mode, by its serial number as `adb devices` lists it."""

    root = "/data/local/tmp"

    def __init__(self, serial: str, timeout: float, root: str | None = None) -> None:
        super().__init__(f"adb:{serial}", timeout, root)
        self.adb = ["adb", "-s", serial]

    def _argv(self, command: str) -> list[str]:
        return [*self.adb, "shell", command]

    def _explain(self, status: int, text: str) -> str:
        hints = {
            "unauthorized": "allow USB debugging on the device's screen",
            "offline": "plug it in again, or `adb reconnect`",
            "not found": "`adb devices` lists what is there",
            "no permissions": "see `adb devices -l`; on Linux a udev rule is missing",
        }
        hint = next((hint for sign, hint in hints.items() if sign in text), None)
        return super()._explain(status, text) + (f" ({hint})" if hint else "")

    def _send(self, local: Path, remote: str) -> None:
        status, out, err = self._call([*self.adb, "push", str(local), remote])
        if status:
            raise DeviceError(f"{self.name}: cannot send {local.name}: {self._explain(status, (err or out).strip())}")


class Ssh(Device):
    """A board that ssh reaches without asking for a password."""

    def __init__(self, host: str, timeout: float, root: str | None = None) -> None:
        if host.startswith("-"):
            raise ArgumentError(f"{host!r} is not the name of a host")
        super().__init__(host, timeout, root)

    def _argv(self, command: str) -> list[str]:
        return ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", self.name, command]

    def _explain(self, status: int, text: str) -> str:
        hint = " (ssh must get in without a password: ssh-copy-id)" if "ermission denied" in text else ""
        return super()._explain(status, text) + hint


class Local(Device):
    """This machine."""

    def __init__(self, timeout: float, root: str | None = None) -> None:
        super().__init__("local", timeout, root)

    def _argv(self, command: str) -> list[str]:
        return ["sh", "-c", command]
