#!/usr/bin/env python3
"""Prints docs/operators.md from the importer's table and the schema: tools/operators_md.py > docs/operators.md"""

from sparse_runtime import _core
from sparse_runtime.importers.onnx import supported_ops

HEAD = """# Operators

Made by `tools/operators_md.py`; do not edit.

## ONNX

Operators of the default domain that `convert` takes, opset 7 and newer. Where one of their forms is not supported, the
error names the node and says what is.

{onnx}

## Inside

What runs is a smaller set, `csrc/include/spr/ops.inc`: each ONNX operator is expressed by one or several of these. `?`
marks what may be left out, `*` any number of tensors. A fused activation is `act`, a name from `SPR_FUNCTIONS` in
`csrc/kernels/kernel.h`.

| operator | inputs | outputs | attributes and defaults |
|---|---|---|---|"""


def row(name, op):
    attributes = ", ".join(f"{key} = {default or chr(34) * 2}" for key, (_, default) in op["attrs"].items())
    return f"| {name} | {op['inputs']} | {op['outputs']} | {attributes} |".replace("|  |", "| |")


if __name__ == "__main__":
    print(HEAD.format(onnx=", ".join(supported_ops())))
    print(*(row(name, op) for name, op in _core.schema().items()), sep="\n")
