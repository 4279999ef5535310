"""A small fluent builder of CNN graphs with seeded random weights.

    g = Graph("tiny", usual=32, seed=0, batch=1, size=(32, 32))
    y = g.input().conv_bn("stem", 16, k=3, stride=2, act="relu").global_pool().fc("fc", 10)
    model = g.model([("logits", y, [10])])

Every `Value` carries a sample of itself: what a handful of random pixels look like there. A layer scales its random
weights so that the sample's pre-activations have a set mean square; activations then neither vanish nor explode at any
depth, whatever gates, residuals or concatenations lie between. Neighbours in a sample are just other pixels, but those
beyond the border are zero, for the size at which the network is usually run. Each tensor has its own random stream
(network, tensor name, seed); neither the image size nor another option changes what a layer draws.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_IMAGES, _GRID = 4, 8  # a sample's images, and its pixels (8x8) in each: more than any kernel has taps
# What keeps deep random networks alive, found by measuring outputs over inputs and over seeds (also pruned to 90 %):
# - the random part of the bias, in the unit of the pre-activation's rms: it damps the growth of small deviations;
# - the share of a channel's mean that the bias takes away, as a trained normalization does: without it all images
#   end up in the same place after a dozen layers;
# - a wider pre-activation where hard-swish follows: near zero that is almost linear, and a pooled linear network sees
#   of a picture nothing but its mean.
_BIAS_STD = 0.3
_CENTRE = 0.8
_HSWISH_RMS = 2.0
_ACTIVATION = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "hswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
}


@dataclass(frozen=True)
class Style:
    """Habits of the exporter that a network imitates."""

    hswish: str = "div"  # below opset 14: "div": x*(clip(x+3)/6); "mul_div": (x*clip(x+3))/6; "hard_sigmoid": x*hs(x)
    constants: str = "initializer"  # where scalars and shapes live: "initializer" or "node" (Constant)
    flatten: str = "flatten"  # "flatten" or "reshape"
    fc: str = "gemm"  # "gemm" (transB=1) or "matmul" (weights [inputs, outputs], then Add)
    pool: str = "global"  # before the classifier: "global" (GlobalAveragePool) or "mean" (ReduceMean, no kept axes)
    shuffle_batch: str = "number"  # batch in the shuffle's static shapes: "number" or "copy" (0: take the input's)
    bn_epsilon: float = 1e-5


class Value:
    """A tensor of the graph, NCHW or, once flattened, [N, C].

    spatial  (height, width) at the size the graph is built for, the usual size where it is symbolic
    usual    height and width at the network's usual size, where it is square
    sample   float32 [channels, images, pixels]; one pixel once pooled
    """

    __slots__ = ("graph", "name", "spatial", "usual", "sample")

    def __init__(self, graph: Graph, name: str, spatial: tuple[int, int], usual: int, sample: np.ndarray):
        self.graph, self.name, self.spatial, self.usual, self.sample = graph, name, spatial, usual, sample

    @property
    def channels(self) -> int:
        return len(self.sample)

    def _then(self, op, extra=(), *, node=None, sample=None, resize=None, **attributes) -> Value:
        """The value of a new node; `resize` maps heights and widths, `sample` is given where values change."""
        out = self.graph.node(op, [self.name, *extra], name=node, **attributes)
        spatial, usual = self.spatial, self.usual
        if resize is not None:
            spatial, usual = (resize(spatial[0]), resize(spatial[1])), resize(usual)
        return Value(self.graph, out, spatial, usual, self.sample if sample is None else sample)

    # -- layers with weights

    def conv(self, name, channels, *, k=1, stride=1, groups=1, bias=True, bn=False, act=None) -> Value:
        """Convolution with "same" padding k//2; `bn` puts a BatchNormalization behind it (folded where asked)."""
        g = self.graph
        shape = (channels, self.channels // groups, k, k)
        options = {"groups": groups, "inside": self._inside(k, stride), "bias": bias or bn, "centre": bn}
        weight, shift, sample = self._draw(name, shape, rms=_HSWISH_RMS if act == "hswish" else 1.0, **options)
        unfold = bn and not g.fold_bn
        if unfold:
            stats = g.batch_norm_stats(name, channels)
            weight = weight / stats.factor[:, None, None, None]
        inputs = [g.initializer(f"{name}.weight", weight)]
        if shift is not None and not unfold:
            inputs.append(g.initializer(f"{name}.bias", shift))
        y = self._then(
            "Conv",
            inputs,
            node=name,
            sample=sample,
            resize=_conv_size(k, stride),
            kernel_shape=[k, k],
            strides=[stride, stride],
            pads=[k // 2] * 4,
            dilations=[1, 1],
            group=groups,
        )
        if unfold:
            y = y._batch_norm(f"{name}.bn", shift, stats)
        return y.act(act)

    def _inside(self, k, stride):
        """bool [taps, pixels]: whether a tap of a same-padded kernel lies in the image, for the sample's pixels."""
        if self.sample.shape[2] == 1:
            return np.ones((k * k, 1), bool)
        size = self.usual
        centres = (np.arange(_GRID) * 2 + 1) * _conv_size(k, stride)(size) // (2 * _GRID) * stride
        rows = centres + np.arange(k)[:, None] - k // 2
        inside = (rows >= 0) & (rows < size)  # [k, grid]; columns are as rows
        return (inside[:, None, :, None] & inside[None, :, None, :]).reshape(k * k, -1)

    def _draw(self, name, shape, *, rms=1.0, groups=1, inside=np.ones((1, 1), bool), bias=True, centre=False):
        """Random weight and bias (None without) for this weight shape, and the sample they give, of the given rms.

        `inside` says which taps of the kernel count for which pixels; `centre` takes most of the channels' means away.
        """
        g = self.graph
        # Heavy tails where pruning will act, as trained weights have: what survives it then still carries the signal.
        weight = (g.laplace if shape[2:] in [(), (1, 1)] else g.normal)(f"{name}.weight", shape)
        fan_in = int(np.prod(shape[1:]))
        near = np.stack([np.roll(self.sample, tap, axis=-1) * ok for tap, ok in enumerate(inside)], axis=1)
        near = near.reshape(groups, fan_in, -1)
        sample = (weight.reshape(groups, shape[0] // groups, fan_in) @ near).reshape(shape[0], *self.sample.shape[1:])
        mean = sample.mean(axis=(1, 2)) * np.float32(_CENTRE if centre else 0)
        # The floor is for what may be (nearly) all zero, as a squeeze to 8 channels after its relu.
        size = max(np.sqrt(np.mean(np.square(sample - mean[:, None, None]), dtype=np.float64)), 0.05 * fan_in**0.5)
        # Coarse steps (sixteenths of an octave here): the last bits of a BLAS product must not reach the parameters.
        gain = np.float32(rms * (1 - _BIAS_STD**2) ** 0.5 * 2.0 ** -(np.round(16 * np.log2(size)) / 16))
        if not bias:
            return weight * gain, None, gain * sample
        noise = g.normal(f"{name}.bias", shape[:1]) * np.float32(rms * _BIAS_STD)
        shift = noise - np.round(64 * gain * mean) / 64
        return weight * gain, shift, gain * sample + shift[:, None, None]

    def conv_bn(self, name, channels, **options) -> Value:
        return self.conv(name, channels, bn=True, **options)

    def depthwise(self, name, *, k=3, stride=1, act=None) -> Value:
        return self.conv(name, self.channels, k=k, stride=stride, groups=self.channels, bn=True, act=act)

    def _batch_norm(self, name, shift, stats) -> Value:
        g = self.graph
        beta = shift + stats.mean * stats.factor
        params = {"scale": stats.scale, "shift": beta, "mean": stats.mean, "var": stats.var}
        inputs = [g.initializer(f"{name}.{key}", value) for key, value in params.items()]
        return self._then("BatchNormalization", inputs, node=name, epsilon=g.style.bn_epsilon)

    def fc(self, name, outputs) -> Value:
        """Fully connected layer on a flattened value."""
        g = self.graph
        weight, shift, sample = self._draw(name, (outputs, self.channels))
        bias = g.initializer(f"{name}.bias", shift)
        if g.style.fc == "gemm":
            weight = g.initializer(f"{name}.weight", weight)
            return self._then("Gemm", [weight, bias], node=name, transB=1, sample=sample)
        weight = g.initializer(f"{name}.weight", weight.T)
        return self._then("MatMul", [weight], node=name)._then("Add", [bias], sample=sample)

    def squeeze_excite(self, name, squeezed) -> Value:
        """x * hard_sigmoid(conv(relu(conv(mean(x))))), both convolutions 1x1 with bias."""
        gate = self._then("GlobalAveragePool", resize=lambda n: 1, sample=self._mean())
        gate = gate.conv(f"{name}.reduce", squeezed, act="relu").conv(f"{name}.expand", self.channels)._hard_sigmoid()
        return self._then("Mul", [gate.name], sample=self.sample * gate.sample)

    def _mean(self):
        return self.sample.mean(axis=-1, keepdims=True)

    # -- activations

    def act(self, kind: str | None) -> Value:
        if kind is None:
            return self
        if kind == "relu":
            y = self._then("Relu")
        elif kind == "relu6":
            y = self._clip(0.0, 6.0)
        else:
            y = self._hswish()
        y.sample = _ACTIVATION[kind](self.sample)
        return y

    def sigmoid(self) -> Value:
        return self._then("Sigmoid", sample=1 / (1 + np.exp(-self.sample)))

    def _hard_sigmoid(self) -> Value:
        return self._then("HardSigmoid", alpha=1.0 / 6.0, beta=0.5, sample=np.clip(self.sample / 6 + 0.5, 0, 1))

    def _clip(self, low, high) -> Value:
        if self.graph.opset < 11:
            return self._then("Clip", min=low, max=high)
        return self._then("Clip", [self.graph.scalar(low), self.graph.scalar(high)])

    def _hswish(self) -> Value:
        g = self.graph
        if g.opset >= 14:
            return self._then("HardSwish")
        if g.style.hswish == "hard_sigmoid":
            return self._then("Mul", [self._hard_sigmoid().name])
        clipped = self._then("Add", [g.scalar(3.0)])._clip(0.0, 6.0)
        if g.style.hswish == "mul_div":
            return self._then("Mul", [clipped.name])._then("Div", [g.scalar(6.0)])
        return self._then("Mul", [clipped._then("Div", [g.scalar(6.0)]).name])

    # -- shape and structure

    def add(self, other: Value) -> Value:
        return self._then("Add", [other.name], sample=self.sample + other.sample)

    def concat(self, *others: Value) -> Value:
        sample = np.concatenate([self.sample, *(other.sample for other in others)])
        return self._then("Concat", [other.name for other in others], axis=1, sample=sample)

    def split(self, *channels: int) -> list[Value]:
        assert sum(channels) == self.channels, "a split must use every channel"
        g = self.graph
        if g.opset < 13:
            names = g.node("Split", [self.name], outputs=len(channels), axis=1, split=list(channels))
        else:
            names = g.node("Split", [self.name, g.ints(channels)], outputs=len(channels), axis=1)
        samples = np.split(self.sample, np.cumsum(channels)[:-1])
        return [Value(g, name, self.spatial, self.usual, sample) for name, sample in zip(names, samples)]

    def shuffle(self, groups=2) -> Value:
        """Channel shuffle as exporters spell it: Reshape, Transpose, Reshape."""
        g = self.graph
        inner, outer = [groups, self.channels // groups], [self.channels]
        if g.dynamic:
            shape = g.node("Shape", [self.name])
            batch, size = (g.node("Gather", [shape, g.ints(at)], axis=0) for at in ([0], [2, 3]))
            split, merged = (g.node("Concat", [batch, g.ints(c), size], axis=0) for c in (inner, outer))
        else:
            batch = [0 if g.style.shuffle_batch == "copy" else g.batch]
            split, merged = (g.ints(batch + c + list(self.spatial)) for c in (inner, outer))
        y = self._then("Reshape", [split])._then("Transpose", perm=[0, 2, 1, 3, 4])
        sample = self.sample.reshape(*inner, -1).swapaxes(0, 1).reshape(self.sample.shape)
        return y._then("Reshape", [merged], sample=sample)

    def max_pool(self) -> Value:
        """3x3, stride 2, padding 1."""
        return self._then(
            "MaxPool",
            sample=np.max([np.roll(self.sample, tap, axis=-1) for tap in range(9)], axis=0),
            resize=_conv_size(3, 2),
            kernel_shape=[3, 3],
            strides=[2, 2],
            pads=[1] * 4,
        )

    def upsample(self) -> Value:
        """Twice the size, nearest neighbour."""
        g = self.graph

        def double(n):
            return 2 * n

        scales = g.constant(np.array([1, 1, 2, 2], np.float32))
        if g.opset < 11:
            return self._then("Upsample" if g.opset == 9 else "Resize", [scales], mode="nearest", resize=double)
        roi = g.constant(np.zeros(0, np.float32)) if g.opset < 13 else ""
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self._then("Resize", [roi, scales], resize=double, **how)

    def global_pool(self) -> Value:
        """[N, C, 1, 1]; already [N, C] where the style takes a mean without keeping the axes."""
        g = self.graph
        if g.style.pool == "global":
            return self._then("GlobalAveragePool", resize=lambda n: 1, sample=self._mean())
        if g.opset < 18:
            return self._then("ReduceMean", axes=[2, 3], keepdims=0, sample=self._mean())
        return self._then("ReduceMean", [g.ints([2, 3])], keepdims=0, sample=self._mean())

    def flatten(self) -> Value:
        """[N, C, 1, 1] to [N, C]."""
        if self.graph.style.flatten == "flatten":
            return self._then("Flatten", axis=1)
        return self._then("Reshape", [self.graph.ints([0, -1])])

    def to_rows(self) -> Value:
        """[N, C, H, W] to [N, H*W, C]."""
        shape = self.graph.ints([0, self.channels, -1])
        return self._then("Reshape", [shape])._then("Transpose", perm=[0, 2, 1])


@dataclass(frozen=True)
class _Stats:
    scale: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    factor: np.ndarray  # what the normalization multiplies by


class Graph:
    """Collects nodes and initializers; `size` is (height, width), or None for symbolic N, H and W."""

    def __init__(self, network, *, usual, seed=0, batch=1, size=None, fold_bn=True, opset=13, style=Style()):
        self.network, self.usual, self.seed, self.batch, self.size = network, usual, seed, batch, size
        self.fold_bn, self.opset, self.style = fold_bn, opset, style
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[TensorProto] = []
        self._constants: dict[bytes, str] = {}
        self._count: dict[str, int] = {}
        self._input: onnx.ValueInfoProto | None = None

    @property
    def dynamic(self) -> bool:
        return self.size is None

    def input(self, name="x", channels=3) -> Value:
        shape = ["N", channels, "H", "W"] if self.dynamic else [self.batch, channels, *self.size]
        self._input = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        sample = self.normal("x", (channels, _IMAGES, _GRID * _GRID))
        return Value(self, name, self.size or (self.usual, self.usual), self.usual, sample)

    def model(self, outputs: list[tuple[str, Value, list]]) -> onnx.ModelProto:
        """The finished model; outputs are (name, value, shape behind the batch dimension)."""
        batch = "N" if self.dynamic else self.batch
        infos = []
        for name, value, shape in outputs:
            self._rename_output(value.name, name)
            infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *shape]))
        graph = helper.make_graph(self._nodes, self.network, [self._input], infos, self._initializers)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=helper.find_min_ir_version_for(opsets),
            producer_name="sparse_runtime.zoo",
        )

    def _rename_output(self, old, new):
        for node in self._nodes:
            for names in (node.input, node.output):
                for i, name in enumerate(names):
                    if name == old:
                        names[i] = new

    def node(self, op, inputs, *, name=None, outputs=1, **attributes):
        """Append a node; its output name, or the list of them if it has several."""
        if name is None:
            index = self._count[op] = self._count.get(op, -1) + 1
            name = f"{op}_{index}"
        names = [f"{name}_out"] if outputs == 1 else [f"{name}_out{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(op, inputs, names, name=name, **attributes))
        return names[0] if outputs == 1 else names

    def initializer(self, name, array) -> str:
        self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def constant(self, array) -> str:
        """A small constant, shared between its users."""
        key = array.dtype.char.encode() + bytes([array.ndim]) + array.tobytes()
        if key not in self._constants:
            name = f"const_{len(self._constants)}"
            if self.style.constants == "node":
                self._constants[key] = self.node("Constant", [], name=name, value=numpy_helper.from_array(array, name))
            else:
                self._constants[key] = self.initializer(name, array)
        return self._constants[key]

    def scalar(self, value) -> str:
        return self.constant(np.array(value, np.float32))

    def ints(self, values) -> str:
        return self.constant(np.array(values, np.int64))

    def _rng(self, name):
        return np.random.default_rng([self.seed, zlib.crc32(f"{self.network}/{name}".encode())])

    def normal(self, name, shape) -> np.ndarray:
        return self._rng(name).standard_normal(shape, np.float32)

    def laplace(self, name, shape) -> np.ndarray:
        return self._rng(name).laplace(size=shape).astype(np.float32)

    def batch_norm_stats(self, name, channels) -> _Stats:
        rng = self._rng(f"{name}.bn")
        scale = rng.uniform(0.5, 1.5, channels).astype(np.float32)
        mean = rng.normal(0.0, 0.3, channels).astype(np.float32)
        var = rng.uniform(0.3, 2.0, channels).astype(np.float32)
        return _Stats(scale, mean, var, scale / np.sqrt(var + np.float32(self.style.bn_epsilon)))


def _conv_size(k, stride):
    return lambda n: (n + 2 * (k // 2) - k) // stride + 1
