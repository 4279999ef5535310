"""Writes a TFLite model of an ONNX network, by way of the project's importer and passes: what LiteRT gets is as well
fused as what our own runtime gets. Knows the operators of the networks in the report; raises KeyError or
NotImplementedError for others.

Images are [N, H, W, C] in TFLite, so every value of rank 4 is stored with its channels last; so is one of rank 3 that
comes from flattening the planes of an image, and the Transpose(0, 2, 1) behind it then has nothing to do."""

import math

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sparse_runtime import passes
from sparse_runtime.importers import import_model

_TYPES = {np.dtype(np.float32): schema.TensorType.FLOAT32, np.dtype(np.int32): schema.TensorType.INT32}
_SAME, _VALID = schema.Padding.SAME, schema.Padding.VALID
_NO_ACT = schema.ActivationFunctionType.NONE
_CLIPS = {(0.0, math.inf): schema.ActivationFunctionType.RELU, (0.0, 6.0): schema.ActivationFunctionType.RELU6}


def convert(model):
    """(bytes of the model, names of its outputs in order). model: path of an ONNX file without free dimensions."""
    graph = import_model(model)
    passes.optimize(graph)
    writer = _Writer()
    for value in graph.inputs:
        writer.index[value.name] = writer.tensor(_shape(value), name=value.name)
    for node in graph.nodes:
        _OPS[node.op](writer, node)
    outputs = [value.name for value in graph.outputs]
    return writer.finish(
        [writer.index[value.name] for value in graph.inputs], [writer.index[name] for name in outputs]
    ), outputs


def _shape(value):
    n, *rest = value.shape
    return (n, *rest[1:], rest[0]) if len(rest) == 3 else tuple(value.shape)


class _Writer:
    """Tensors, buffers and operators as they come; `index` has the tensor of each value of the graph."""

    def __init__(self):
        self.index, self.channels_last = {}, set()  # the latter: names of values of rank 3
        self._codes, self._operators, self._tensors = {}, [], []
        self._buffers = [schema.BufferT(data=None)]  # number 0 means none

    def tensor(self, shape, *, array=None, name=None):
        buffer = 0
        if array is not None:
            buffer = len(self._buffers)
            self._buffers.append(schema.BufferT(data=np.frombuffer(array.tobytes(), np.uint8)))
        dtype = np.dtype(np.float32) if array is None else array.dtype
        self._tensors.append(
            schema.TensorT(shape=list(shape), type=_TYPES[dtype], buffer=buffer, name=name or f"t{len(self._tensors)}")
        )
        return len(self._tensors) - 1

    def const(self, array):
        array = np.ascontiguousarray(array)
        return self.tensor(array.shape, array=array)

    def ints(self, *numbers):
        return self.const(np.array(numbers, np.int32))

    def operator(self, name, inputs, outputs, options=None, **fields):
        """options: name of the options' class without T; fields: its members."""
        code = getattr(schema.BuiltinOperator, name)
        index = self._codes.setdefault(code, len(self._codes))
        made = getattr(schema, f"{options}T")(**fields) if options else None
        kind = getattr(schema.BuiltinOptions, options) if options else 0
        self._operators.append(
            schema.OperatorT(
                opcodeIndex=index,
                inputs=list(inputs),
                outputs=list(outputs),
                builtinOptionsType=kind,
                builtinOptions=made,
            )
        )

    def shape(self, index):
        return tuple(self._tensors[index].shape)

    def then(self, name, inputs, options=None, shape=None, **fields):
        """The result of an operator, of its first input's shape where none is given."""
        out = self.tensor(shape or self.shape(inputs[0]))
        self.operator(name, inputs, [out], options, **fields)
        return out

    def finish(self, inputs, outputs):
        codes = [
            schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, 127), version=1)
            for code in self._codes
        ]
        graph = schema.SubGraphT(tensors=self._tensors, inputs=inputs, outputs=outputs, operators=self._operators)
        model = schema.ModelT(version=3, operatorCodes=codes, subgraphs=[graph], buffers=self._buffers)
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


# ---- operators


def _activated(w, index, fn, a, b):
    if fn == "none" or (fn == "clip" and (a, b) in _CLIPS):  # the latter is fused
        return index
    if fn == "sigmoid":
        return w.then("LOGISTIC", [index])
    close = math.isclose(a, 1 / 6, rel_tol=1e-6) and b == 0.5
    if fn == "hard_swish" and close:
        return w.then("HARD_SWISH", [index], "HardSwishOptions")
    if fn == "hard_sigmoid" and close:
        relu6 = _CLIPS[0.0, 6.0]
        moved = w.then("ADD", [index, w.const(np.float32([3]))], "AddOptions", fusedActivationFunction=relu6)
        return w.then("MUL", [moved, w.const(np.float32([1 / 6]))], "MulOptions", fusedActivationFunction=_NO_ACT)
    raise NotImplementedError(f"activation {fn} {a} {b}")


def _fused(fn, a, b):
    return _CLIPS.get((a, b), _NO_ACT) if fn == "clip" else _NO_ACT


def _padded(w, index, node, kernel, fill=None):
    """(input, padding): TFLite pads by itself what keeps the size; anything else is a Pad before."""
    top, left, bottom, right = node["pads"]
    if tuple(node["strides"]) == (1, 1) and all(p == k // 2 for p, k in zip((top, left, bottom, right), kernel * 2)):
        return index, _SAME
    if not any(node["pads"]):
        return index, _VALID
    n, h, w_, c = w.shape(index)
    pads = w.const(np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32))
    shape = (n, h + top + bottom, w_ + left + right, c)
    if fill is None:
        return w.then("PAD", [index, pads], "PadOptions", shape), _VALID
    return w.then("PADV2", [index, pads, w.const(np.float32([fill]))], "PadV2Options", shape), _VALID


def _conv(w, node):
    weight = node.input("W").const
    outputs, per_group, *kernel = weight.shape
    bias = node.input("B").const if node.input("B") is not None else np.zeros(outputs, np.float32)
    x, padding = _padded(w, w.index[node.input("X").name], node, kernel)
    act = node["act"], node["act_a"], node["act_b"]
    residual = node.input("Z")
    stride, dilation = node["strides"], node["dilations"]
    fields = dict(
        padding=padding,
        strideH=stride[0],
        strideW=stride[1],
        dilationHFactor=dilation[0],
        dilationWFactor=dilation[1],
        fusedActivationFunction=_NO_ACT if residual is not None else _fused(*act),
    )
    if node["group"] == 1:
        inputs = [x, w.const(weight.transpose(0, 2, 3, 1)), w.const(bias)]
        y = w.then("CONV_2D", inputs, "Conv2DOptions", _shape(node.output), **fields)
    elif per_group == 1 and node["group"] == outputs:
        inputs = [x, w.const(weight.transpose(1, 2, 3, 0)), w.const(bias)]
        y = w.then(
            "DEPTHWISE_CONV_2D", inputs, "DepthwiseConv2DOptions", _shape(node.output), depthMultiplier=1, **fields
        )
    else:
        raise NotImplementedError(f"{node}: {node['group']} groups")
    if residual is not None:
        y = w.then("ADD", [y, w.index[residual.name]], "AddOptions", fusedActivationFunction=_fused(*act))
    w.index[node.output.name] = _activated(w, y, *act)


def _fully_connected(w, node):
    weight = node.input("W").const
    bias = node.input("B").const if node.input("B") is not None else np.zeros(len(weight), np.float32)
    act = node["act"], node["act_a"], node["act_b"]
    if node.input("Z") is not None:
        raise NotImplementedError(f"{node}: residual")
    inputs = [w.index[node.input("X").name], w.const(weight), w.const(bias)]
    y = w.then(
        "FULLY_CONNECTED", inputs, "FullyConnectedOptions", _shape(node.output), fusedActivationFunction=_fused(*act)
    )
    w.index[node.output.name] = _activated(w, y, *act)


def _max_pool(w, node):
    kernel = list(node["kernel_shape"])
    x, padding = _padded(w, w.index[node.inputs[0].name], node, kernel, fill=-np.inf)
    w.index[node.output.name] = w.then(
        "MAX_POOL_2D",
        [x],
        "Pool2DOptions",
        _shape(node.output),
        padding=padding,
        strideH=node["strides"][0],
        strideW=node["strides"][1],
        filterHeight=kernel[0],
        filterWidth=kernel[1],
        fusedActivationFunction=_NO_ACT,
    )


def _global_average_pool(w, node):
    inputs = [w.index[node.inputs[0].name], w.ints(1, 2)]
    w.index[node.output.name] = w.then("MEAN", inputs, "ReducerOptions", _shape(node.output), keepDims=True)


def _unary(w, node):
    w.index[node.output.name] = _activated(w, w.index[node.inputs[0].name], node["fn"], node["a"], node["b"])


def _binary(w, node):
    name, options = {"add": ("ADD", "AddOptions"), "mul": ("MUL", "MulOptions")}[node["fn"]]
    act = node["act"], node["act_a"], node["act_b"]
    inputs = [w.index[value.name] for value in node.inputs]
    y = w.then(name, inputs, options, _shape(node.output), fusedActivationFunction=_fused(*act))
    w.index[node.output.name] = _activated(w, y, *act)


def _axis(node):
    return {0: 0, 1: 3, 2: 1, 3: 2}[node["axis"]] if len(node.output.shape) == 4 else node["axis"]


def _concat(w, node):
    inputs = [w.index[value.name] for value in node.inputs]
    w.index[node.output.name] = w.then(
        "CONCATENATION",
        inputs,
        "ConcatenationOptions",
        _shape(node.output),
        axis=_axis(node),
        fusedActivationFunction=_NO_ACT,
    )


def _split(w, node):
    x, axis = w.index[node.inputs[0].name], _axis(node)
    shapes = [_shape(value) for value in node.outputs]
    if len(set(shapes)) == 1:
        outs = [w.tensor(shape) for shape in shapes]
        w.operator("SPLIT", [w.const(np.array(axis, np.int32)), x], outs, "SplitOptions", numSplits=len(outs))
    else:
        starts = np.cumsum([0] + [shape[axis] for shape in shapes])
        begins = [[int(start) * (i == axis) for i in range(4)] for start in starts]
        outs = [
            w.then("SLICE", [x, w.ints(*begin), w.ints(*shape)], "SliceOptions", shape)
            for begin, shape in zip(begins, shapes)
        ]
    w.index.update((value.name, out) for value, out in zip(node.outputs, outs))


def _reshaped(w, index, *shape):
    return w.then("RESHAPE", [index, w.ints(*shape)], "ReshapeOptions", shape, newShape=list(shape))


def _reshape(w, node):
    value, shape = node.inputs[0], node.output.shape
    if len(value.shape) == 4 and math.prod(value.shape[2:]) > 1:
        if shape != (*value.shape[:2], math.prod(value.shape[2:])):
            raise NotImplementedError(f"{node}: {value.shape} -> {shape}")
        w.channels_last.add(node.output.name)
        shape = shape[0], shape[2], shape[1]
    w.index[node.output.name] = _reshaped(w, w.index[value.name], *shape)


def _transpose(w, node):
    if node.inputs[0].name not in w.channels_last or tuple(node["perm"]) != (0, 2, 1):
        raise NotImplementedError(f"{node}: perm {node['perm']}")
    w.index[node.output.name] = w.index[node.inputs[0].name]


def _channel_shuffle(w, node):
    x, group = w.index[node.inputs[0].name], node["group"]
    n, h, width, c = w.shape(x)
    parts = _reshaped(w, x, n, h, width, group, c // group)
    turned = w.then("TRANSPOSE", [parts, w.ints(0, 1, 2, 4, 3)], "TransposeOptions", (n, h, width, c // group, group))
    w.index[node.output.name] = _reshaped(w, turned, n, h, width, c)


def _resize(w, node):
    known = node["mode"], node["coordinate_transformation_mode"], node["nearest_mode"]
    if known != ("nearest", "asymmetric", "floor"):
        raise NotImplementedError(f"{node}: {known}")
    shape = _shape(node.output)
    inputs = [w.index[node.inputs[0].name], w.ints(*shape[1:3])]
    w.index[node.output.name] = w.then(
        "RESIZE_NEAREST_NEIGHBOR",
        inputs,
        "ResizeNearestNeighborOptions",
        shape,
        alignCorners=False,
        halfPixelCenters=False,
    )


_OPS = {
    "Conv": _conv,
    "FullyConnected": _fully_connected,
    "MaxPool": _max_pool,
    "GlobalAveragePool": _global_average_pool,
    "Unary": _unary,
    "Binary": _binary,
    "Concat": _concat,
    "Split": _split,
    "Reshape": _reshape,
    "Flatten": _reshape,
    "Transpose": _transpose,
    "ChannelShuffle": _channel_shuffle,
    "Resize": _resize,
}
