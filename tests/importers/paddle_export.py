"""Saves a small network as Paddle does, run as a script: KIND FOLDER. Paddle leaves much behind in its process, and an
old program needs another state of it than a new one."""

import sys

import numpy as np
import paddle
from paddle.vision import models


def classifier(folder):
    """MobileNetV3 with random weights, and in told.npz what it answers."""
    paddle.seed(1)
    net = models.mobilenet_v3_small(scale=0.35, num_classes=10)
    x = np.random.default_rng(0).standard_normal((2, 3, 64, 96)).astype("float32")
    for part in net.sublayers():  # statistics of these inputs: with others nothing of them arrives at the outputs
        if isinstance(part, paddle.nn.BatchNorm2D):
            part._momentum = 0.0
    net.train()
    net(paddle.to_tensor(x))
    net.eval()
    spec = [paddle.static.InputSpec([None, 3, None, None], "float32", "x")]
    paddle.jit.save(net, folder + "/inference", input_spec=spec)
    np.savez(folder + "/told.npz", x=x, y=net(paddle.to_tensor(x)).numpy())


class Decomposed(paddle.nn.Layer):
    """For an operator that ONNX has nothing for."""

    def __init__(self):
        super().__init__()
        self.conv = paddle.nn.Conv2D(3, 4, 1)

    def forward(self, x):
        return paddle.linalg.svd(self.conv(x))[1]


def main(kind, folder):
    if kind == "svd":
        net = Decomposed()
        net.eval()
        spec = [paddle.static.InputSpec([1, 3, 8, 8], "float32", "x")]
        paddle.jit.save(net, folder + "/inference", input_spec=spec)
    elif kind == "pdmodel":
        with paddle.pir_utils.DygraphOldIrGuard():
            classifier(folder)
    else:
        classifier(folder)


main(*sys.argv[1:])
