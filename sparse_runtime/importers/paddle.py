"""Paddle inference models by way of paddle2onnx.

It runs in a process of its own: it ends the process on an error, prints to standard output, keeps every model's
weights in a global scope, and native code parses the files."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile

import onnx

from ..errors import ArgumentError, ModelFormatError, ModelIOError, UnsupportedError

OPSET = 17

# Without a file to save to it runs no optimize tool: the default one installs packages meanwhile.
_EXPORT = """
import sys, paddle2onnx
model, weights, made = sys.argv[1:]
data = paddle2onnx.export(model, weights, None, opset_version={opset}, optimize_tool="None")
with open(made, "wb") as file:
    file.write(data)
"""


def to_onnx(path: str) -> onnx.ModelProto:
    """The model of `path`, NAME.pdmodel or NAME.json, with the weights of NAME.pdiparams.

    Raises ArgumentError where paddle2onnx or paddlepaddle is not installed, ModelIOError for files that cannot be read,
    ModelFormatError for damaged ones and UnsupportedError for operators that paddle2onnx does not know."""
    weights = os.path.splitext(path)[0] + ".pdiparams"
    for what, file in (("model", path), ("weights", weights)):
        try:
            open(file, "rb").close()
        except OSError as error:
            raise ModelIOError(f"Paddle model {path!r}: cannot read its {what}, {file!r}: {error.strerror}") from None
    missing = [name for name in ("paddle2onnx", "paddle") if importlib.util.find_spec(name) is None]
    if missing:
        raise ArgumentError(
            f"{path}: Paddle models are converted with paddle2onnx and paddlepaddle; {' and '.join(missing)} cannot be "
            "imported: pip install 'sparse-runtime[paddle]'"
        )
    with tempfile.TemporaryDirectory() as folder:
        made = os.path.join(folder, "model.onnx")
        outcome = subprocess.run(
            [sys.executable, "-c", _EXPORT.format(opset=OPSET), path, weights, made],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        said = outcome.stdout.decode(errors="replace")
        if outcome.returncode or not os.path.exists(made):
            raise _refusal(path, said, outcome.returncode)
        model = onnx.load(made)
    if "[ERROR]" in said:  # the checker's: it returns what it has made all the same
        raise ModelFormatError(f"{path}: paddle2onnx made an invalid ONNX model of it: {_errors(said)}")
    return model


def _refusal(path: str, said: str, status: int) -> Exception:
    what = _errors(said) or f"it ended with status {status}"
    if "support" in what:
        return UnsupportedError(f"{path}: paddle2onnx does not convert it: {what}")
    return ModelFormatError(f"{path}: paddle2onnx cannot read it: {what}")


def _errors(said: str) -> str:
    """What is told from the first error on, in one line: without colours, warnings and the native stack."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", said).partition("\n-----")[0]
    text = text[text.find("[ERROR]") :] if "[ERROR]" in text else text
    lines = [re.sub(r"^(\[\w+\] ?)+", "", line.strip()) for line in text.splitlines() if "[WARNING]" not in line]
    text = " ".join(line for line in lines if line.strip(" ."))
    return re.sub(r"^\s*Failed to convert PaddlePaddle model: ", "", text)[:600]
