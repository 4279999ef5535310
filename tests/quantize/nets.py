"""Small networks to quantize, and how to look at what became of them."""

import numpy as np
from conftest import make_model
from onnx import helper
from onnx_export import to_onnx

from sparse_runtime import passes
from sparse_runtime.importers import import_model


def graph_of(model):
    """Imported and rewritten."""
    graph = import_model(model)
    passes.optimize(graph)
    return graph


def feeds(shape=(1, 3, 12, 12), count=6, seed=0, name="x"):
    rng = np.random.default_rng(seed)
    return [{name: rng.standard_normal(shape).astype(np.float32)} for _ in range(count)]


def weights(seed=1, **shapes):
    """Normal numbers over the square root of how many are summed, so that activations keep their size."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, shape in shapes.items():
        fan = np.prod(shape[1:]) if len(shape) > 1 else 4.0
        made[name] = (rng.standard_normal(shape) / np.sqrt(fan)).astype(np.float32)
    return made


def node(op, inputs, output, **attrs):
    """Named after its first output; "-" is an input that is not given."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(op, names, output.split(), output.split()[0], **attrs)


def residual_net(prune=0.0):
    """Convolution, depthwise with clip, residual sum, hard_swish, pools, concatenation, fully connected. With what is
    fused into them the convolutions make c0 to c3. Averages are of 9, so that none lies in the middle of two quanta."""
    constants = weights(
        w0=(8, 3, 3, 3),
        b0=(8,),
        w1=(8, 1, 3, 3),
        b1=(8,),
        w2=(8, 8, 1, 1),
        b2=(8,),
        w3=(6, 16, 1, 1),
        w4=(5, 6),
        b4=(5,),
    )
    if prune:
        w = constants["w2"].reshape(-1)
        w[np.argsort(np.abs(w))[: round(prune * w.size)]] = 0
    constants.update(zero=np.float32(0), six=np.float32(6))
    nodes = [
        node("Conv", "x w0 b0", "c0", pads=[1] * 4),
        node("HardSwish", "c0", "h0"),
        node("Conv", "h0 w1 b1", "c1", pads=[1] * 4, group=8),
        node("Clip", "c1 zero six", "r1"),
        node("Conv", "r1 w2 b2", "c2"),
        node("Add", "c2 h0", "s"),
        node("Relu", "s", "t"),
        node("MaxPool", "t", "m", kernel_shape=[2, 2], strides=[2, 2]),
        node("AveragePool", "t", "a", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0], count_include_pad=1),
        node("Concat", "m a", "k", axis=1),
        node("Conv", "k w3", "c3"),
        node("LeakyRelu", "c3", "l3", alpha=0.1),
        node("GlobalAveragePool", "l3", "g"),
        node("Flatten", "g", "f"),
        node("Gemm", "f w4 b4", "e", transB=1),
        node("Softmax", "e", "y"),
    ]
    return make_model(nodes, {"x": (1, 3, 12, 12)}, ["y"], constants)


def between_net(middle, constants=None, channels=8, last=None):
    """conv -> `middle`, nodes from "a" to "b" -> conv `last`, so that what lies between becomes int8."""
    held = weights(w0=(8, 3, 1, 1), b0=(8,), w9=(4, channels, 1, 1))
    nodes = [node("Conv", "x w0 b0", "a"), *middle, last or node("Conv", "b w9", "y")]
    return make_model(nodes, {"x": (1, 3, 12, 12)}, ["y"], {**held, **(constants or {})})


def int8_tensors(graph):
    return [n.output for n in graph.nodes if n.op == "QuantizeLinear"]


def params_of(graph):
    """{tensor: (scale, zero point)} of everything that is quantized."""
    return {
        n.inputs[0].name: (float(n.input("scale").const), int(n.input("zero_point").const))
        for n in graph.nodes
        if n.op == "QuantizeLinear"
    }


def exported(graph, values):
    """The graph as an ONNX model that returns these values."""
    return to_onnx(graph, values)
