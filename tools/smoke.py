#!/usr/bin/env python3
"""Whether an installed sparse_runtime works: a small network, sparse and dense, against numpy. Needs numpy only.

    smoke.py [--save FILE | --compare FILE] [--folder DIR]

--folder: where the package has to lie, so that no other one is taken for it. --save and --compare: outputs of two
machines or builds, which may differ by rounding only."""
import argparse
import sys
from pathlib import Path

import numpy as np

import sparse_runtime as sr
from sparse_runtime import _core
from sparse_runtime.ir import Graph


def network(weights, bias, encoding):
    """A 1x1 convolution with ReLU; its batch and image size are free."""
    graph = Graph("smoke")
    x = graph.add_input("x", "float32", (-1, weights.shape[1], -1, -1))
    w, b = graph.add_const("w", weights[:, :, None, None]), graph.add_const("b", bias)
    graph.outputs.append(graph.add_node("Conv", [x, w, b], "pw", act="clip", act_a=0.0, act_b=np.inf).output)
    return graph.to_bytes({"w": encoding})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--save", type=Path)
    parser.add_argument("--compare", type=Path)
    args = parser.parse_args()
    where = Path(sr.__file__).resolve().parent.parent
    if args.folder and where != args.folder.resolve():
        sys.exit(f"smoke: sparse_runtime comes from {where}, not from {args.folder.resolve()}")
    rng = np.random.default_rng(1)
    weights = rng.standard_normal((48, 64)).astype(np.float32) * (rng.random((48, 64)) < 0.2)
    bias, x = rng.standard_normal(48).astype(np.float32), rng.standard_normal((2, 64, 9, 13)).astype(np.float32)
    exact = np.einsum("nk,bkhw->bnhw", weights.astype(float), x.astype(float)) + bias[:, None, None]
    outputs = []
    for encoding, sparse in (("bitmap", "always"), ("bitmap", "never"), ("bitmap_2x1", "always"), ("dense", "auto")):
        for threads in (1, 2):
            session = sr.Session(network(weights, bias, encoding), sparse=sparse, threads=threads)
            outputs.append(session.run(None, {"x": x})[0])
            error = float(np.abs(outputs[-1] - np.maximum(exact, 0)).max())
            if not error < 1e-4:
                sys.exit(f"smoke: {encoding}, sparse {sparse}, {threads} threads: off by {error}")
    if args.save:
        np.save(args.save, np.stack(outputs))
    if args.compare:
        difference = float(np.abs(np.stack(outputs) - np.load(args.compare)).max())
        if not difference < 1e-5:
            sys.exit(f"smoke: off by {difference} from {args.compare.name}")
    kernels = sum(kernel["runs"] for kernel in _core.kernels())
    print(f"smoke: {Path(_core.__file__).name}, {_core.cpu_features() or 'plain C'}, {kernels} kernels: right")


if __name__ == "__main__":
    main()
