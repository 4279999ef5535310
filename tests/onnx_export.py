"""The IR back as ONNX, operator by operator, so that onnxruntime can say whether importing and rewriting kept the
meaning.

The IR's own operators are spelled out by ONNX primitives. Shapes must be annotated for prelu, ChannelShuffle and
interleaving Concat."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sparse_runtime.ir import DTYPES

OPSET = 21
_NUMBER = {name: number for number, name in DTYPES.items()}
_UNARY = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "gelu": "Gelu",
    "softplus": "Softplus",
    "mish": "Mish",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "reciprocal": "Reciprocal",
    "abs": "Abs",
    "neg": "Neg",
    "floor": "Floor",
    "ceil": "Ceil",
    "round": "Round",
    "sign": "Sign",
    "erf": "Erf",
    "sin": "Sin",
    "cos": "Cos",
    "tan": "Tan",
    "asin": "Asin",
    "acos": "Acos",
    "atan": "Atan",
    "sinh": "Sinh",
    "cosh": "Cosh",
    "asinh": "Asinh",
    "acosh": "Acosh",
    "atanh": "Atanh",
    "none": "Identity",
}
_BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "min": "Min", "max": "Max", "pow": "Pow"}
_COMPARE = {"equal": "Equal", "less": "Less", "less_equal": "LessOrEqual"}
_REDUCE = {
    "mean": "ReduceMean",
    "sum": "ReduceSum",
    "max": "ReduceMax",
    "min": "ReduceMin",
    "prod": "ReduceProd",
    "l1": "ReduceL1",
    "l2": "ReduceL2",
    "sum_square": "ReduceSumSquare",
    "log_sum": "ReduceLogSum",
    "log_sum_exp": "ReduceLogSumExp",
}


class _Exporter:
    def __init__(self, graph):
        self.graph, self.nodes, self.extra, self.count = graph, [], [], 0

    def fresh(self, hint):
        self.count += 1
        return f"export/{hint}/{self.count}"

    def node(self, op, inputs, output=None, **attrs):
        output = output or self.fresh(op)
        self.nodes.append(helper.make_node(op, inputs, [output] if isinstance(output, str) else output, **attrs))
        return output

    def const(self, array):
        name = self.fresh("const")
        self.extra.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def f32(self, value):
        return self.const(np.float32(value))

    def unary(self, fn, a, b, x, out, slope=None, rank=None, axis=1):
        if fn == "clip":
            return self.node("Clip", [x, self.f32(a), self.f32(b)], out)
        if fn in ("hard_sigmoid", "hard_swish"):
            y = self.node("HardSigmoid", [x], out if fn == "hard_sigmoid" else None, alpha=a, beta=b)
            return y if fn == "hard_sigmoid" else self.node("Mul", [x, y], out)
        if fn == "silu":
            return self.node("Mul", [x, self.node("Sigmoid", [x])], out)
        if fn == "leaky_relu":
            return self.node("LeakyRelu", [x], out, alpha=a)
        if fn == "elu":
            return self.node("Elu", [x], out, alpha=a)
        if fn == "prelu":
            shape = [-1] + [1] * (rank - 1 - axis)
            return self.node("PRelu", [x, self.node("Reshape", [slope, self.const(np.int64(shape))])], out)
        return self.node(_UNARY[fn], [x], out)

    def act(self, node, x, out, slope=None, axis=1):
        return self.unary(node["act"], node["act_a"], node["act_b"], x, out, slope, node.output.rank, axis)

    def convert(self, node):
        names = [v.name if v is not None else "" for v in node.inputs]
        out = [v.name for v in node.outputs]
        method = getattr(self, "do_" + node.op, None)
        if method:
            method(node, names, out)
        else:
            known = onnx.defs.get_schema(node.op).attributes
            attrs = {k: node[k] for k in node.schema.attrs if k in known}
            attrs = {k: list(v) if isinstance(v, tuple) else v for k, v in attrs.items() if v != ()}
            self.node(node.op, names, out, **attrs)

    def window(self, node):
        attrs = {"strides": list(node["strides"]), "dilations": list(node["dilations"]), "auto_pad": node["auto_pad"]}
        if node["auto_pad"] == "NOTSET":
            attrs["pads"] = list(node["pads"])
        return attrs

    def do_Conv(self, node, names, out):
        names += [""] * (5 - len(names))
        y = self.node("Conv", names[:3] if names[2] else names[:2], group=node["group"], **self.window(node))
        if names[3]:
            y = self.node("Add", [y, names[3]])
        self.act(node, y, out[0], names[4])

    def do_FullyConnected(self, node, names, out):
        names += [""] * (5 - len(names))
        y = self.node("MatMul", [names[0], self.node("Transpose", [names[1]], perm=[1, 0])])
        for name in names[2:4]:
            y = self.node("Add", [y, name]) if name else y
        self.act(node, y, out[0], names[4], axis=node.output.rank and node.output.rank - 1)

    def pool(self, node, names, out, *more):
        self.node(
            node.op,
            names,
            out,
            kernel_shape=list(node["kernel_shape"]),
            ceil_mode=node["ceil_mode"],
            **{k: node[k] for k in more},
            **self.window(node),
        )

    def do_MaxPool(self, node, names, out):
        self.pool(node, names, out)

    def do_AveragePool(self, node, names, out):
        self.pool(node, names, out, "count_include_pad")

    def do_Unary(self, node, names, out):
        self.unary(
            node["fn"], node["a"], node["b"], names[0], out[0], names[1] if len(names) > 1 else None, node.output.rank
        )

    def do_Binary(self, node, names, out):
        if node["fn"] in ("mod", "fmod"):
            self.node("Mod", names, out, fmod=int(node["fn"] == "fmod"))
        elif node["fn"] in ("min", "max") and node.inputs[0].dtype == "bool":
            self.node("And" if node["fn"] == "min" else "Or", names, out)
        else:
            self.act(node, self.node(_BINARY[node["fn"]], names), out[0])

    def do_Recurrent(self, node, names, out):
        """As the operator of ONNX whose input weights are the identity."""
        names += [""] * (7 - len(names))
        kind, rows = node["cell"].upper(), node.inputs[1].const.shape[0]
        hidden = node.inputs[1].const.shape[1]
        bias = ""
        if names[2]:
            bias = self.const(np.concatenate([np.zeros(2 * rows - hidden),
                                              node.inputs[2].const])[None].astype(np.float32))
        states = [self.node("Unsqueeze", [n, self.const(np.int64([0]))]) if n else "" for n in names[3:5]]
        peephole = self.node("Unsqueeze", [names[6], self.const(np.int64([0]))]) if names[6] else ""
        given = [names[0], self.const(np.eye(rows, dtype=np.float32)[None]), self.const(node.inputs[1].const[None]),
                 bias,
                 names[5], states[0], *([states[1], peephole] if kind == "LSTM" else [])]
        functions = {"clip": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "hard_sigmoid": "HardSigmoid",
                     "softplus": "Softplus"}
        attrs = {"activations": [functions[node[f]] for f in "fgh"[: {"LSTM": 3, "GRU": 2, "RNN": 1}[kind]]]}
        if node["clip"]:
            attrs["clip"] = node["clip"]
        if kind == "GRU":
            attrs["linear_before_reset"] = node["linear_before_reset"]
        if kind == "LSTM":
            attrs["input_forget"] = node["input_forget"]
        made = [self.fresh(kind) for _ in range(3 if kind == "LSTM" else 2)]
        self.node(kind, given, made, hidden_size=hidden, direction="reverse" if node["reverse"] else "forward", **attrs)
        for output, name, axis in zip(out, made, (1, 0, 0)):
            self.node("Squeeze", [name, self.const(np.int64([axis]))], output)

    def do_Compare(self, node, names, out):
        self.node(_COMPARE[node["fn"]], names, out)

    def do_Bitwise(self, node, names, out):
        if node["fn"] in ("shl", "shr"):
            self.node("BitShift", names, out, direction={"shl": "LEFT", "shr": "RIGHT"}[node["fn"]])
        else:
            self.node(f"Bitwise{node['fn'].capitalize()}", names, out)

    def do_RoiAlign(self, node, names, out):
        attrs = {k: node[k] for k in ("mode", "output_height", "output_width", "sampling_ratio", "spatial_scale")}
        mode = "half_pixel" if node["half_pixel"] else "output_half_pixel"
        self.node("RoiAlign", names, out, coordinate_transformation_mode=mode, **attrs)

    def do_GridSample(self, node, names, out):
        if node["pixels"]:
            size = self.node("Gather", [self.node("Shape", names[:1]), self.const(np.int64([3, 2]))])
            twice = self.node("Add", [self.node("Add", [names[1], names[1]]), self.f32(1)])
            place = self.node("Div", [twice, self.node("Cast", [size], to=1)])
            names = [names[0], self.node("Sub", [place, self.f32(1)])]
        self.node("GridSample", names, out, **{k: node[k] for k in ("mode", "padding_mode", "align_corners")})

    def do_ArgReduce(self, node, names, out):
        attrs = {k: node[k] for k in ("axis", "keepdims", "select_last_index")}
        self.node("ArgMax" if node["fn"] == "max" else "ArgMin", names, out, **attrs)

    def do_Reduce(self, node, names, out):
        self.node(
            _REDUCE[node["fn"]],
            names,
            out,
            keepdims=node["keepdims"],
            noop_with_empty_axes=node["noop_with_empty_axes"],
        )

    def do_Split(self, node, names, out):
        attrs = {} if len(names) > 1 else {"num_outputs": len(out)}
        self.node("Split", names, out, axis=node["axis"], **attrs)

    def do_SpaceToDepth(self, node, names, out):
        assert node["mode"] == "DCR"  # which is all that ONNX has before opset 28
        self.node("SpaceToDepth", names, out, blocksize=node["blocksize"])

    def do_ChannelShuffle(self, node, names, out):
        channels, group = node.output.shape[1], node["group"]
        c = np.arange(channels)
        order = (c % group) * (channels // group) + c // group
        self.node("Gather", [names[0], self.const(order.astype(np.int64))], out, axis=1)

    def do_Concat(self, node, names, out):
        if not node["interleave"]:
            self.node("Concat", names, out, axis=node["axis"])
            return
        order = np.arange(node.output.shape[node["axis"]]).reshape(len(names), -1).T.ravel()
        joined = self.node("Concat", names, axis=node["axis"])
        self.node("Gather", [joined, self.const(order.astype(np.int64))], out, axis=node["axis"])

    def do_ConstantOfShape(self, node, names, out):
        value = node.input("value")
        array = np.zeros(1, np.float32) if value is None else value.const
        self.node("ConstantOfShape", names[:1], out, value=numpy_helper.from_array(array))


def to_onnx(graph, outputs=None):
    """An onnx.ModelProto that computes `graph`; `outputs`: values to return instead of the graph's outputs."""
    exporter = _Exporter(graph)
    for node in graph.nodes:
        exporter.convert(node)
    inputs = [helper.make_tensor_value_info(v.name, _NUMBER[v.dtype], [None] * len(v.dims)) for v in graph.inputs]
    made = [onnx.ValueInfoProto(name=v.name) for v in (graph.outputs if outputs is None else outputs)]
    for info in made:
        info.type.tensor_type.elem_type = TensorProto.UNDEFINED
    constants = [numpy_helper.from_array(v.const, v.name) for v in graph.constants()]
    proto = helper.make_graph(
        exporter.nodes, "export", inputs, [onnx.ValueInfoProto(name=m.name) for m in made], constants + exporter.extra
    )
    return helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
