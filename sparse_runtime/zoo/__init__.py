"""Mobile networks with seeded random weights, as ONNX models: for tests, benchmarks and trying things out.

    from sparse_runtime import zoo
    model = zoo.build("mobilenet_v1", seed=0)

The layers are those of the published networks, so sizes and multiply-adds are too; the weights are random, signed
and scaled so that activations stay of order one through the depth.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Callable

import onnx

from ..errors import ArgumentError
from ._builder import Graph, Style
from ._lcnet import pp_lcnet
from ._mobilenet import mobilenet_v1, mobilenet_v2, mobilenet_v3_large, mobilenet_v3_small
from ._picodet import picodet_m
from ._resnet import resnet18
from ._shufflenet import shufflenet_v2

__all__ = ["build", "names"]

_OLDEST_OPSET = 9


@dataclass(frozen=True)
class _Network:
    layers: Callable[[Graph], list]
    style: Style = Style()
    size: int = 224
    multiple: int = 1  # height and width must be multiples of this


# The styles differ on purpose: an importer meets the spellings of several exporters.
_NETWORKS = {
    "mobilenet_v1": _Network(mobilenet_v1, Style(flatten="reshape", bn_epsilon=1e-3)),
    "mobilenet_v2": _Network(mobilenet_v2, Style(constants="node")),
    "mobilenet_v3_small": _Network(mobilenet_v3_small, Style(hswish="mul_div", constants="node", bn_epsilon=1e-3)),
    "mobilenet_v3_large": _Network(mobilenet_v3_large, Style(hswish="div", bn_epsilon=1e-3)),
    "pp_lcnet": _Network(pp_lcnet, Style(hswish="hard_sigmoid", flatten="reshape", fc="matmul")),
    "shufflenet_v2": _Network(shufflenet_v2, Style(constants="node", pool="mean")),
    "picodet_m": _Network(picodet_m, Style(hswish="div", shuffle_batch="copy"), size=320, multiple=32),
    "resnet18": _Network(resnet18),
}


def names() -> list[str]:
    """The names `build` knows."""
    return list(_NETWORKS)


def build(
    name: str,
    *,
    seed: int = 0,
    batch: int = 1,
    size: int | tuple[int, int] | None = None,
    fold_bn: bool = True,
    opset: int = 13,
    dynamic: bool = False,
) -> onnx.ModelProto:
    """Build a network; the same arguments always give the same model.

    name     one of `names()`
    seed     non-negative; another seed gives other weights in the same layers
    batch    images per run
    size     height and width in pixels, or one number for both; None takes the network's own (224; picodet_m 320)
    fold_bn  False leaves BatchNormalization nodes; the function computed is the same up to rounding
    opset    of the ONNX default domain, 9 or newer
    dynamic  batch, height and width become the symbols N, H and W; excludes `batch` and `size`

    The input is "x", float32 [batch, 3, height, width], meant for values of about unit variance. The classifiers
    have one output "logits" [batch, 1000]; picodet_m has cls_p3 .. cls_p6 and reg_p3 .. reg_p6.
    Raises ArgumentError for what does not fit the above.
    """
    if name not in _NETWORKS:
        raise ArgumentError(f"unknown network {name!r}; known: {', '.join(_NETWORKS)}")
    network = _NETWORKS[name]
    seed = _integer("seed", seed, 0)
    batch = _integer("batch", batch, 1)
    opset = _integer("opset", opset, _OLDEST_OPSET, onnx.defs.onnx_opset_version())
    if dynamic:
        if size is not None or batch != 1:
            given = f"batch={batch}, size={size}"
            raise ArgumentError(f"{name}: dynamic=True leaves batch and size open, give neither; got {given}")
        pixels = None
    else:
        pixels = _pixels(name, network, size)
    options = {"batch": batch, "size": pixels, "fold_bn": fold_bn, "opset": opset, "style": network.style}
    graph = Graph(name, usual=network.size, seed=seed, **options)
    return graph.model(network.layers(graph))


def _pixels(name, network, size) -> tuple[int, int]:
    if size is None:
        size = network.size
    pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2:
        raise ArgumentError(f"{name}: size must be a number or (height, width), not {size!r}")
    pair = tuple(_integer("size", n, 1) for n in pair)
    if any(n % network.multiple for n in pair):
        raise ArgumentError(f"{name}: height and width must be multiples of {network.multiple}, not {size!r}")
    return pair


def _integer(what, value, low, high=None) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number > high):
        bound = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ArgumentError(f"{what} must be an integer {bound}, not {value!r}")
    return number
