#!/usr/bin/env python3
"""A pruned network from ONNX to numbers: `make demo`.

MobileNetV1-1.0-224 with random weights, 90 % of every 1x1 convolution's weights set to zero, is converted twice, to run
sparse and to run dense. Both must compute the same, and what onnxruntime computes. Then all are timed in turns, on one
thread.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import sparse_runtime as sr
from sparse_runtime import bench, peers, verify
from sparse_runtime.table import Column, Table, number, show

TOLERANCE = 1e-4  # of the output's range

_TIMES = [
    Column("what", "", left=True),
    Column("median", "median ms", number(2)),
    Column("iqr", "IQR ms", number(2)),
    Column("best", "best ms", number(2)),
    Column("size", "file MB", number(2)),
]


def agree(what, ours, reference):
    """Prints how far the outputs are apart; whether that is little enough."""
    errors = verify.compare_all(ours, reference)
    worst = max(error.of_range for error in errors)
    good = worst <= TOLERANCE
    print(f"{what}: largest difference {worst:.1e} of the output's range: {'they agree' if good else 'THEY DISAGREE'}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--ratio", type=float, default=0.9, help="share of the weights that becomes zero (0.9)")
    parser.add_argument("--block", choices=("1x1", "2x1"), default="1x1", help="weight by weight, or in blocks (1x1)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=50, help="measured rounds (50)")
    args = parser.parse_args()

    model = sr.prune.magnitude(
        sr.zoo.build("mobilenet_v1", seed=0),
        args.ratio,
        skip=lambda node, _: node.op_type != "Conv",
        block=(2, 1) if args.block == "2x1" else (1, 1),
    )
    with tempfile.TemporaryDirectory() as folder:
        runs, sizes = {}, {}
        for what, sparse in (("sparse", "auto"), ("dense", "never")):
            path = Path(folder, f"{what}.spr")
            sr.convert(model, path, sparse=sparse)
            sizes[what] = path.stat().st_size / 1e6
            session = sr.Session(path, threads=args.threads)
            if what == "sparse":
                feeds = peers.random_feeds(session.inputs)
                report = session.explain()
            names = [output.name for output in session.outputs]
            runs[what] = lambda session=session: dict(zip(names, session.run(None, feeds)))
        try:
            peer = peers.open_peer("onnxruntime", model, args.threads)
            runs["onnxruntime"] = lambda: peer(feeds)
        except sr.ArgumentError as error:
            print(f"NOT COMPARED with onnxruntime: {error}\n")

        show(report.table())
        print()
        outputs = {what: run() for what, run in runs.items()}
        good = agree("sparse against dense", outputs["sparse"], outputs["dense"])
        if "onnxruntime" in outputs:
            good &= agree("sparse against onnxruntime", outputs["sparse"], outputs["onnxruntime"])
            good &= agree("dense against onnxruntime", outputs["dense"], outputs["onnxruntime"])
        if not report.totals()["sparse_layers"]:
            print("NO LAYER RUNS SPARSE")
            good = False
        if not good:
            return 1

        times = dict(zip(runs, bench.measure(runs.values(), args.repeat)))
        rows = [
            {"what": what, "median": t.median, "iqr": t.iqr, "best": t.best, "size": sizes.get(what)}
            for what, t in times.items()
        ]
        ratios = [f"dense / sparse: {times['dense'].median / times['sparse'].median:.2f}"]
        if "onnxruntime" in times:
            peer = times["onnxruntime"].median
            ratios += [
                f"onnxruntime / sparse: {peer / times['sparse'].median:.2f}",
                f"onnxruntime / dense: {peer / times['dense'].median:.2f}",
            ]
        print()
        show(
            Table(
                _TIMES,
                rows,
                [
                    "",
                    f"{args.repeat} rounds in turns, threads: {args.threads}; IQR: interquartile range; "
                    "medians compared: "
                    + ", ".join(ratios),
                ],
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
