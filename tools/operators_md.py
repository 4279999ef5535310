#!/usr/bin/env python3
"""Prints docs/operators.md from the importer's table and the schema: tools/operators_md.py > docs/operators.md

The scoreboard of ONNX's test suite is taken over from the page as it is; --suite runs the suite, for a minute, and
writes a new one."""

import os
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

from sparse_runtime import _core
from sparse_runtime.importers.onnx import supported_ops

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "operators.md"

HEAD = """# Operators

Made by `tools/operators_md.py`; do not edit.

## ONNX

Operators of the default domain that `convert` takes, opset 7 and newer. Where one of their forms is not supported, the
error names the node and says what is. If, Loop and Scan are gone after importing: of an If whose condition constants
and shapes decide, one branch is left, of others both, whose results must have equal shapes; loops are written out turn
by turn, so that constants and the inputs' shapes have to decide how many there are (`input_shapes=` fixes free
dimensions).

{onnx}

Of the domain com.microsoft, which is onnxruntime's:

{microsoft}

## The ONNX backend test suite

{suite}

## Inside

What runs is a smaller set, `csrc/include/spr/ops.inc`: each ONNX operator is expressed by one or several of these. `?`
marks what may be left out, `*` any number of tensors. A fused activation is `act`, a name from `SPR_FUNCTIONS` in
`csrc/kernels/kernel.h`.

| operator | inputs | outputs | attributes and defaults |
|---|---|---|---|"""


def row(name, op):
    attributes = ", ".join(f"{key} = {default or chr(34) * 2}" for key, (_, default) in op["attrs"].items())
    return f"| {name} | {op['inputs']} | {op['outputs']} | {attributes} |".replace("|  |", "| |")


def suite():
    """Runs the suite; what it counts, and of which version it is."""
    sys.path.insert(0, str(ROOT / "tests"))
    import onnx
    import onnx_suite

    with tempfile.TemporaryDirectory() as folder:
        os.environ["ONNX_HOME"] = folder  # where the runner writes the light models' data
        scores = {
            category: Counter(onnx_suite.outcome(name, function) for name, function in cases.items())
            for category, cases in onnx_suite.categories().items()
        }
    return (
        f"As `tests/test_onnx_backend.py` runs it through `sparse_runtime.onnx_backend`, with onnx "
        f"{onnx.__version__}: node\n"
        "tests, the nine light models, those converted from PyTorch. What uses other operators or element types is "
        "not\n"
        f"supported; the other reasons are from `tests/onnx_backend_missing.py`.\n\n{onnx_suite.table(scores)}"
    )


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    kept = re.search(r"## The ONNX backend test suite\n\n(.*?)\n\n## Inside", page, re.S)
    text = suite() if "--suite" in sys.argv[1:] or not kept else kept[1]
    print(HEAD.format(onnx=", ".join(supported_ops()), microsoft=", ".join(supported_ops("com.microsoft")), suite=text))
    print(*(row(name, op) for name, op in _core.schema().items()), sep="\n")
