#!/usr/bin/env python3
"""Makes the sample app's assets: a pruned network, its labels, and pictures to classify.

    python android/make_assets.py                    # needs what `pip install sparse-runtime[convert]` brings
    python android/make_assets.py --model my.onnx --labels labels.txt --pictures folder [--mean R,G,B --deviation R,G,B]

Without a model it takes MobileNetV1 from the zoo, whose weights are random, with 90 % of its 1x1 weights set to zero,
and fits the last layer to drawn patterns, by ridge regression: enough to tell them apart. A model of your own is
converted as it is; it must take one picture [1, 3, height, width] and give one score for each line of labels.txt.
"""
import argparse
import shutil
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

import sparse_runtime as sr

ASSETS = Path(__file__).resolve().parent / "app/src/main/assets"
SIZE = 224
PICTURES = 8
PATTERNS = {  # which pixels are of the second, darker colour; coordinates in periods
    "horizontal stripes": lambda x, y: y % 1 < 0.5,
    "vertical stripes": lambda x, y: x % 1 < 0.5,
    "diagonal stripes": lambda x, y: (x + y) / np.sqrt(2) % 1 < 0.5,
    "checks": lambda x, y: (x % 1 < 0.5) != (y % 1 < 0.5),
    "dots": lambda x, y: np.hypot(x % 1 - 0.5, y % 1 - 0.5) < 0.35,
    "plain": lambda x, y: x < -np.inf,
}


def draw(pattern, rng):
    """A picture of a pattern: uint8 [SIZE, SIZE, 3]; colours, period and place are random."""
    first, second = rng.uniform(170, 255, 3), rng.uniform(0, 85, 3)
    y, x = np.mgrid[:SIZE, :SIZE] / rng.uniform(20, 24) + rng.uniform(0, 1, (2, 1, 1))
    noisy = np.where(PATTERNS[pattern](x, y)[..., None], second, first) + rng.normal(0, 8, (SIZE, SIZE, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def tensor(picture, mean, deviation):
    """As dev.sparseruntime.Images.putPixels does it: float32 [1, 3, height, width]."""
    planes = (picture / 255 - mean) / deviation
    return np.ascontiguousarray(planes.transpose(2, 0, 1)[None].astype(np.float32))


def write_png(path, picture):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = picture.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), picture.reshape(height, -1)], axis=1)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)) + chunk(b"IEND", b""))


def fit_last_layer(model, mean, deviation, rng, count):
    """Makes the network's classifier tell PATTERNS apart, from `count` drawings of each."""
    gemm = model.graph.node[-1]
    headless = onnx.ModelProto()
    headless.CopyFrom(model)
    del headless.graph.node[-1], headless.graph.output[:]
    headless.graph.output.append(helper.make_tensor_value_info(gemm.input[0], onnx.TensorProto.FLOAT, None))
    features, wanted = [], []
    with sr.Session(headless) as session:
        for k, pattern in enumerate(PATTERNS):
            for _ in range(count):
                features.append(session(tensor(draw(pattern, rng), mean, deviation))[0])
                wanted.append(np.where(np.arange(len(PATTERNS)) == k, 10.0, 0.0))  # far enough apart for a softmax
    features, wanted = np.array(features, np.float64), np.array(wanted)
    middle, mean_score = features.mean(0), wanted.mean(0)
    centred = features - middle
    gram = centred @ centred.T
    ridge = 0.1 * np.trace(gram) / len(gram)
    weight = centred.T @ np.linalg.solve(gram + ridge * np.eye(len(gram)), wanted - mean_score)  # [features, patterns]
    new = {gemm.input[1]: weight.T, gemm.input[2]: mean_score - middle @ weight}
    for constant in model.graph.initializer:
        if constant.name in new:
            constant.CopyFrom(numpy_helper.from_array(new[constant.name].astype(np.float32), constant.name))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = len(PATTERNS)


def patterns_network(mean, deviation, count=40):
    """(model, list of (label, picture) that it has not seen)."""
    rng = np.random.default_rng(1)
    model = sr.prune.magnitude(sr.zoo.build("mobilenet_v1", seed=0), 0.9, skip=lambda node, _: node.op_type != "Conv")
    fit_last_layer(model, mean, deviation, rng, count)
    names = list(PATTERNS)
    return model, [(names[i % len(names)], draw(names[i % len(names)], rng)) for i in range(PICTURES)]


def numbers(text):
    values = [float(part) for part in text.split(",")]
    if len(values) != 3:
        raise argparse.ArgumentTypeError(f"'{text}' is not three numbers")
    return values


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--model", help="ONNX classifier of your own")
    parser.add_argument("--labels", type=Path, help="its classes, one a line")
    parser.add_argument("--pictures", type=Path, help="folder of .png or .jpg files")
    parser.add_argument("--mean", type=numbers, default=[0.485, 0.456, 0.406],
                        help="of the channels, in [0, 1] (ImageNet's)")
    parser.add_argument("--deviation", type=numbers, default=[0.229, 0.224, 0.225], help="likewise")
    parser.add_argument("--output", type=Path, default=ASSETS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.model and not (args.labels and args.pictures):
        parser.error("--model needs --labels and --pictures")
    pictures = args.output / "pictures"
    shutil.rmtree(args.output, ignore_errors=True)
    pictures.mkdir(parents=True)
    if args.model:
        model, labels = args.model, args.labels.read_text(encoding="utf-8").splitlines()
        for path in sorted(args.pictures.iterdir()):
            if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
                shutil.copy(path, pictures)
    else:
        model, shown = patterns_network(args.mean, args.deviation)
        labels = list(PATTERNS)
        for i, (label, picture) in enumerate(shown):
            write_png(pictures / f"{i}-{label}.png", picture)
    report = sr.convert(model, args.output / "model.spr")
    (args.output / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")
    channels = "\n".join(map(str, [*args.mean, *args.deviation])) + "\n"
    (args.output / "channels.txt").write_text(channels, encoding="utf-8")
    print(report)
    size = (args.output / "model.spr").stat().st_size / 1e6
    print(f"{args.output}: model.spr of {size:.2f} MB, {len(labels)} labels, "
          f"{len(list(pictures.iterdir()))} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
