"""Operators between DequantizeLinear and QuantizeLinear compute on the integers themselves (docs/quantization.md).

An operator is taken if all it reads is dequantized, with one scale for the tensor, and, unless it is a layer, if only a
QuantizeLinear reads its result; what only moves integers is taken where they are in groups of channels already.
Everything else stays as it is, between conversions: an island of floats. `graph.floats` says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..ir import DTYPES, Graph, Node, Shape, Value
from .integers import TYPES, Integers, Quantum, Stays, Tensor, bias_of, check_sums, quantum, weights_of
from .match import ints, is_float, same_shape, scalar
from .move_integers import is_move

# Activations that layers have in registers; the others are computed on their float32 results.
_ACTIVATIONS = ("none", "clip", "hard_swish", "hard_sigmoid", "leaky_relu")
_RESHAPING = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")
# Not told of: they are what islands begin and end with, or have nothing to compute.
_SILENT = ("DequantizeLinear", "QuantizeLinear", "Shape")


def run(graph: Graph) -> int:
    made, count, floats = Integers(graph), 0, {}
    for node in graph:
        try:
            if node.op in _CONVERT:
                count += _CONVERT[node.op](made, node)
            elif node.op not in _SILENT and any(quantum(v.producer, "DequantizeLinear") for v in node.inputs if v):
                raise Stays(f"{node.op} has no form in 8 bits")
        except Stays as why:
            floats[node.name] = str(why)
    if count or any(node.op in ("QuantizeLinear", "DequantizeLinear") for node in graph.nodes):
        graph.floats = floats
    made.finish()
    return count


# ---- layers ----------------------------------------------------------------------------------------------------------


def _conv(made: Integers, node: Node) -> bool:
    x, z = made.source(node.input("X")), node.input("Z")
    attrs = {k: v for k, v in node.attrs.items() if not k.startswith("act")}
    integers, attrs["pads"] = _with_padding(node, x[0])
    return _layer(made, node, (integers, x[1]), made.source(z) if z else None, attrs, node.output.shapes)


def _with_padding(node: Node, integers: Value) -> tuple[Value, tuple[int, ...]]:
    """What a convolution reads and its pads, those of a Pad before it included."""
    pad, window = integers.producer, node["pads"]
    if pad is None or pad.op != "Pad" or pad["mode"] != "constant" or pad.input("axes") or node["auto_pad"] != "NOTSET":
        return integers, window
    zero, pads = node.input("X").producer.input("zero_point"), ints(pad.input("pads"))
    values = [0.0 if v is None else scalar(v) for v in (pad.input("value"), zero)]
    if values[0] != values[1] or pads is None or min(pads) < 0 or any(pads[0:2] + pads[4:6]):
        return integers, window
    return pad.inputs[0], tuple(a + b for a, b in zip(window, pads[2:4] + pads[6:8]))


def _fully_connected(made: Integers, node: Node) -> bool:
    """As a 1x1 convolution: of images of one pixel, or, batches of matrices, of images of one column."""
    x = made.source(node.input("X"), image=False)
    if x[0].rank not in (2, 3):
        raise Stays(f"its input has rank {x[0].rank}; in 8 bits it may be a matrix or a batch of them")
    if node.input("Z") is not None:
        raise Stays("what is added to its result has no form in 8 bits")
    weights_of(made.graph, node.input("W"))
    matrices = x[0].rank == 3
    shapes = [(s[0], s[2], s[1], 1) if matrices else (*s, 1, 1) for s in node.output.shapes]
    return _layer(made, node, (_image(made, node, x[0]), x[1]), None, {}, shapes)


def _image(made: Integers, node: Node, integers: Value) -> Value:
    """[M, K] as [M, K, 1, 1], [B, M, K] as [B, K, M, 1]."""
    if integers.rank == 3:
        turned = [(s[0], s[2], s[1]) for s in integers.shapes]
        value = made.add("Transpose", [integers], node, integers.dtype, turned, perm=(0, 2, 1))
        return made.add("Unsqueeze", [value, made.axes(node, 3)], node, value.dtype, [(*s, 1) for s in turned])
    origin = integers
    while not _is_pixels(origin, integers) and origin.producer is not None and origin.producer.op in _RESHAPING:
        origin = origin.producer.inputs[0]
    if _is_pixels(origin, integers):
        return origin
    shapes = tuple((*s, 1, 1) for s in integers.shapes)
    return made.add("Unsqueeze", [integers, made.axes(node, 2, 3)], node, integers.dtype, shapes)


def _is_pixels(image: Value, matrix: Value) -> bool:
    """Whether a value is [M, K, 1, 1] where what was reshaped from it is [M, K]."""
    return image.shapes == tuple((*s, 1, 1) for s in matrix.shapes) and all(
        a is None or (b is not None and a == (*b, 1, 1)) for a, b in zip(image.tries, matrix.tries)
    )


def _matrix(made: Integers, node: Node, value: Value) -> Value:
    """What _image did, undone."""
    if node.output.rank == 2:
        return made.add("Flatten", [value], node, value.dtype, [s[:2] for s in value.shapes])
    lines = made.add("Squeeze", [value, made.axes(node, 3)], node, value.dtype, [s[:3] for s in value.shapes])
    shapes = [(s[0], s[2], s[1]) for s in lines.shapes]
    return made.add("Transpose", [lines], node, value.dtype, shapes, perm=(0, 2, 1))


def _layer(
    made: Integers, node: Node, x: Tensor, z: Tensor | None, attrs: dict[str, Any], shapes: Sequence[Shape]
) -> bool:
    """The QConv for a Conv or FullyConnected, its result of these shapes, and what remains to be done behind it."""
    graph, y, simple = made.graph, node.output, node["act"] in _ACTIVATIONS
    w, zero, scale = weights_of(graph, node.input("W"))
    bias = bias_of(graph, node.input("B"), x[1].scale * scale.astype("float64"))
    check_sums(w, zero, bias, x[1].zero)
    w = w.reshape(w.shape + (1,) * (4 - w.ndim))
    constants = [
        None if a is None else graph.add_const(f"{node.name}/{name}", a)
        for name, a in (("w", w), ("w_scale", scale), ("bias", bias))
    ]
    inputs = [made.take(x[0], node), *constants, made.take(z[0], node) if z else None]
    attrs = {**attrs, **x[1].attrs("x"), "w_zero": zero, **(z[1].attrs("z") if z else {})}
    if simple:
        attrs.update({k: node[k] for k in ("act", "act_a", "act_b") if k in node.attrs})
    try:
        target = made.target(y) if simple else None
    except Stays:  # then the result is float32
        target = None
    if target is not None and y.rank == 4:
        made.put(target[0], "QConv", node, inputs, **attrs, **target[1].attrs("y"))
        return True
    quanta = target[1].attrs("y") if target else {"y_scale": 0.0}
    value = graph.add_node("QConv", inputs, node.name, (f"{y.name}/layer",), before=node, **attrs, **quanta).output
    value.dtype, value.shapes = ("quantized" if target else "float32"), tuple(shapes)
    if target is not None:
        integers = made.add("Dequantize", [value], node, target[0].dtype, shapes, to=TYPES[target[0].dtype])
        made.quantized[integers] = value
        made.become(target[0], _matrix(made, node, integers))
        return True
    value = value if y.rank == 4 else _matrix(made, node, value)
    if not simple:
        act = {"fn": node["act"], "a": node["act_a"], "b": node["act_b"]}
        value = made.add("Unary", [value, node.input("slope")], node, "float32", value.shapes, **act)
    made.become(y, value)
    return True


# ---- functions -------------------------------------------------------------------------------------------------------


def _pool(made: Integers, node: Node) -> bool:
    attrs = {k: v for k, v in node.attrs.items() if k != "count_include_pad"}
    kind = "max" if "Max" in node.op else "average"
    if node.op == "AveragePool" and node["count_include_pad"]:
        kind = "average_include_pad"
    bytes_ = _between_casts(made, node) if kind == "max" else None
    if bytes_ is not None:
        made.put(bytes_[1], "QPool", node, [made.take(bytes_[0], node)], kind=kind, **attrs)
        return True
    source, target = made.source(node.inputs[0]), made.target(node.output)
    if kind == "average" and _means_lie_between(node, source, target):
        attrs["in_order"] = 1
    attrs.update({**source[1].attrs("x"), **target[1].attrs("y")})
    made.put(target[0], "QPool", node, [made.take(source[0], node)], kind=kind, **attrs)
    return True


def _between_casts(made: Integers, node: Node) -> tuple[Value, Value] | None:
    """(the integers that a node computes on as floats, the integers that the result is made again), between two
    Casts."""
    before, after = node.inputs[0].producer, made.graph.sole_user(node.output)
    if before is None or after is None or before.op != "Cast" or after.op != "Cast":
        return None
    x = before.inputs[0]
    return (x, after.output) if x.dtype == DTYPES.get(after["to"]) and made.at_hand(x) else None


def _means_lie_between(node: Node, x: Tensor, y: Tensor) -> bool:
    """Whether means of windows often lie right between two int8: onnxruntime has floats there, whose rounding
    decides."""
    even = node.op == "AveragePool" and node["kernel_shape"][0] * node["kernel_shape"][1] % 2 == 0
    return even and y[0].dtype == "int8" and x[1].scale == y[1].scale


def _binary(made: Integers, node: Node) -> bool:
    if not is_float(node.output):
        return False
    for i in (0, 1):
        if scalar(node.inputs[i]) is not None and same_shape(node.inputs[1 - i], node.output):
            return _with_number(made, node, i)
    sources = [made.source(v) for v in node.inputs]
    if node["fn"] not in ("add", "sub", "mul") or node["act"] not in ("none", "clip"):
        raise Stays(f"'{node['fn']}' of two tensors has no form in 8 bits")
    target = made.target(node.output)
    for v in node.inputs:
        if v.shapes != node.output.shapes and any(s != (*o[:2], 1, 1) for s, o in zip(v.shapes, node.output.shapes)):
            raise Stays("its inputs are neither of one shape nor one of them a pixel")
    attrs = {**sources[0][1].attrs("a"), **sources[1][1].attrs("b"), **target[1].attrs("y")}
    made.put(target[0], "QBinary", node, [made.take(s[0], node) for s in sources], **node.attrs, **attrs)
    return True


def _with_number(made: Integers, node: Node, i: int) -> bool:
    """Sum, difference, product or quotient with input i, a number: a table."""
    number, fn = scalar(node.inputs[i]), node["fn"]
    forms = {"add": (1.0, number), "mul": (number, 0.0), "sub": (-1.0, number) if i == 0 else (1.0, -number)}
    if i == 1 and number:
        forms["div"] = (1.0 / number, 0.0)
    if fn not in forms:
        raise Stays(f"'{fn}' with a number has no form in 8 bits")
    attrs = {"fn": node["act"], "a": node["act_a"], "b": node["act_b"], "mul": forms[fn][0], "add": forms[fn][1]}
    return _table(made, node, node.inputs[1 - i], node.output, attrs)


def _unary(made: Integers, node: Node) -> bool:
    if not is_float(node.output):
        return False
    if node["fn"] == "prelu":
        raise Stays("prelu has no form in 8 bits")
    return _table(made, node, node.input("X"), node.output, dict(node.attrs))


def _table(made: Integers, node: Node, x: Value, y: Value, attrs: dict[str, Any]) -> bool:
    source, target = made.source(x), made.target(y)
    attrs.update({**source[1].attrs("x"), **target[1].attrs("y")})
    made.put(target[0], "QUnary", node, [made.take(source[0], node)], **attrs)
    return True


def _requantize(made: Integers, node: Node) -> bool:
    """QuantizeLinear of what was dequantized with other numbers."""
    found = quantum(node, "QuantizeLinear")
    if found is None or quantum(node.inputs[0].producer, "DequantizeLinear") is None or node.inputs[0].rank != 4:
        return False
    source = made.source(node.inputs[0])
    attrs = {**source[1].attrs("x"), **found.attrs("y")}
    made.put(node.output, "QUnary", node, [made.take(source[0], node)], **attrs)
    return True


def _resize(made: Integers, node: Node) -> bool:
    x, attrs = node.inputs[0], dict(node.attrs)
    if x.dtype in TYPES:
        if not made.at_hand(x) or not _planes_only(node) or not is_move(node):
            return False
        made.put(node.output, "Resize", node, [made.take(x, node), *node.inputs[1:]], **attrs)
        return True
    if not is_float(node.output):
        return False
    if node["mode"] != "linear" or node["antialias"] or node["coordinate_transformation_mode"] == "tf_crop_and_resize":
        raise Stays("only nearest and plain linear resizing has a form in 8 bits")
    if not _planes_only(node):
        raise Stays("it resizes more than the planes of images")
    bytes_ = _between_casts(made, node)
    if bytes_ is not None:  # integers as numbers, the results rounded towards zero
        itself = Quantum(1.0, -128 if bytes_[0].dtype == "uint8" else 0)
        attrs.update({**itself.attrs("x"), **itself.attrs("y"), "truncate": 1})
        made.put(bytes_[1], "Resize", node, [made.take(bytes_[0], node), *node.inputs[1:]], **attrs)
        return True
    source, target = made.source(x), made.target(node.output)
    attrs.update({**source[1].attrs("x"), **target[1].attrs("y")})
    made.put(target[0], "Resize", node, [made.take(source[0], node), *node.inputs[1:]], **attrs)
    return True


def _planes_only(node: Node) -> bool:
    return node.inputs[0].rank == 4 and all(
        a[:2] == b[:2] for a, b in zip(node.inputs[0].shapes, node.output.shapes)
    ) and node["keep_aspect_ratio_policy"] == "stretch"


# ---- moves -----------------------------------------------------------------------------------------------------------


def _concat(made: Integers, node: Node) -> bool:
    if node.output.rank != 4 or node["axis"] not in (1, -3):
        if any(quantum(v.producer, "DequantizeLinear") for v in node.inputs):
            raise Stays("only channels of images are concatenated in 8 bits")
        return False
    if node.output.dtype not in TYPES:  # parts of different scales: QuantizeLinear would be before them by now
        if any(quantum(v.producer, "DequantizeLinear") for v in node.inputs):
            raise Stays("its result is not only quantized to 8 bits with one scale")
        return False
    if not any(made.at_hand(v) for v in node.inputs):
        return False
    group = len(node.inputs) if node["interleave"] else 1
    made.put(node.output, "QConcat", node, [made.take(v, node) for v in node.inputs], group=group)
    return True


def _shuffle(made: Integers, node: Node) -> bool:
    if not made.at_hand(node.inputs[0]):
        return False
    _channels(made, node, node.output, group=node["group"])
    return True


def _split(made: Integers, node: Node) -> bool:
    x = node.inputs[0]
    if not made.at_hand(x) or node["axis"] not in (1, -3):
        return False
    begin = [0] * len(x.shapes)
    for value in node.outputs:
        counts = [s[1] for s in value.shapes]
        if len(set(counts)) != 1 or len(set(begin)) != 1 or not counts[0]:
            return False
        begin = [b + c for b, c in zip(begin, counts)]
    at = 0
    for value in node.outputs:
        _channels(made, node, value, begin=at, count=value.shapes[0][1])
        at += value.shapes[0][1]
    return True


def _slice(made: Integers, node: Node) -> bool:
    """Of channels in a row."""
    x = node.inputs[0]
    starts, axes, steps = ints(node.input("starts")), node.input("axes"), node.input("steps")
    if not made.at_hand(x) or starts is None or (axes is not None and ints(axes) is None) or len(starts) != 1:
        return False
    axis = ints(axes)[0] if axes is not None else 0
    if axis not in (1, -3) or (steps is not None and ints(steps) != [1]):
        return False
    found = {
        (max(0, min(s[1], starts[0] + (s[1] if starts[0] < 0 else 0))), o[1])
        for s, o in zip(x.shapes, node.output.shapes)
    }
    if len(found) != 1:
        return False
    begin, count = found.pop()
    if not count:
        return False
    _channels(made, node, node.output, begin=begin, count=count)
    return True


def _channels(made: Integers, node: Node, integers: Value, group: int = 1, begin: int = 0, count: int = 0) -> None:
    """Some channels of what a node reads; if that only deals out channels itself, of what it reads."""
    x = made.take(node.inputs[0], node)
    inputs, maker = [x], x.producer
    if maker.op == "QConcat" and group == 1 and _is_cut(made, node.inputs[0]):
        inputs, group, begin = list(maker.inputs), maker["group"], begin + maker["begin"]
    made.put(integers, "QConcat", node, inputs, group=group, begin=begin, count=count)


def _is_cut(made: Integers, integers: Value) -> bool:
    """Whether only parts of a value are read, so that it need not be there as a whole."""
    return integers not in made.graph.outputs and all(u.op in ("Slice", "Split") for u in integers.uses)


_CONVERT: dict[str, Callable[[Integers, Node], bool]] = {
    "Conv": _conv,
    "FullyConnected": _fully_connected,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _pool,
    "GlobalMaxPool": _pool,
    "Binary": _binary,
    "Unary": _unary,
    "QuantizeLinear": _requantize,
    "Resize": _resize,
    "Concat": _concat,
    "ChannelShuffle": _shuffle,
    "Split": _split,
    "Slice": _slice,
}
