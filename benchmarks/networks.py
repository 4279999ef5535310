"""What is timed: pruned networks of the zoo, and the shapes of their 1x1 layers."""

import functools
from dataclasses import dataclass

import sparse_runtime as sr


def prunable(node, _):
    """1x1 convolutions except a detector's outputs: what the published sparse networks prune."""
    return node.op_type == "Conv" and not node.name.endswith(".out")


@functools.lru_cache(maxsize=None)
def converted(name, ratio=0.0, block=(1, 1)):
    """The .spr file of a network, its 1x1 convolutions pruned to a ratio."""
    model = sr.zoo.build(name)
    if ratio:
        model = sr.prune.magnitude(model, ratio, block=block, skip=lambda node, weight: not prunable(node, weight))
    return sr.convert(model).data


@dataclass(frozen=True, order=True)
class Shape:
    """A 1x1 convolution: k input channels, n output channels, h x w pixels."""

    k: int
    n: int
    h: int
    w: int

    def __str__(self):
        return f"{self.k}to{self.n}at{self.h}x{self.w}"


@functools.lru_cache(maxsize=None)
def pointwise_shapes(*names):
    """The different shapes of the networks' 1x1 layers on more than one pixel, in order of first occurrence."""
    shapes = {}
    for name in names:
        for layer in sr.Session(converted(name)).explain():
            if layer.kernel.startswith("pw_"):
                _, n, h, w = layer.shape
                shapes[Shape(round(layer.macs / (n * h * w)), n, h, w)] = None
    return list(shapes)
