"""Random small ONNX graphs of the operators that move, cut, join and combine tensors, for tests of the memory plan.

`graphs()` is a hypothesis strategy of Graph: chains and diamonds over a few inputs, with views of views, tensors used
twice, and any intermediate value among the outputs. Values stay within moderate magnitudes, so that results can be
compared."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import sparse_runtime as sr

LARGEST = 60_000  # elements of a tensor


@dataclass
class Graph:
    """An ONNX model in the making, and what is known of its values."""

    seed: int
    nodes: list = field(default_factory=list)
    constants: list = field(default_factory=list)
    inputs: dict = field(default_factory=dict)  # name -> shape
    shapes: dict = field(default_factory=dict)  # name -> shape
    outputs: list = field(default_factory=list)

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weights(self, *shape):
        """Normal, scaled by the fan-in; a third of them zero."""
        rng = np.random.default_rng([self.seed, len(self.constants)])
        array = rng.standard_normal(shape) * (rng.random(shape) < 0.67) / np.sqrt(max(1, np.prod(shape[1:])))
        return self.constant(array.astype(np.float32))

    def ints(self, values):
        return self.constant(np.asarray(values, np.int64))

    def add(self, op, inputs, *shapes, **attrs):
        """Adds a node with an output of each shape."""
        names = [f"v{len(self.shapes) + i}" for i in range(len(shapes))]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"{op}_{len(self.nodes)}", **attrs))
        self.shapes.update(zip(names, map(tuple, map(lambda s: [int(d) for d in s], shapes))))
        return names[0]

    def model(self):
        inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in self.inputs.items()]
        outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, self.shapes[n]) for n in self.outputs]
        graph = helper.make_graph(self.nodes, "random", inputs, outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)

    def feeds(self, seed=0):
        rng = np.random.default_rng([self.seed, seed])
        return {n: rng.uniform(-1, 1, s).astype(np.float32) for n, s in self.inputs.items()}

    def _repr_pretty_(self, printer, cycle):
        """What hypothesis prints of a counterexample."""
        lines = [f"input {n} {list(s)}" for n, s in self.inputs.items()]
        arrays = {t.name: numpy_helper.to_array(t) for t in self.constants}
        for node in self.nodes:
            args = [f"{arrays[i].tolist()}" if i in arrays and arrays[i].size < 9 else i for i in node.input]
            attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            made = ", ".join(f"{o} {list(self.shapes[o])}" for o in node.output)
            lines.append(f"{made} = {node.op_type}({', '.join(args)}) {attrs or ''}")
        printer.text("\n".join([*lines, f"outputs {', '.join(self.outputs)}", f"seed {self.seed}"]))


# Each takes (graph, draw, name of a value, its shape), and returns False where it does not apply.
_STEPS = []


def step(function):
    _STEPS.append(function)
    return function


def _axis(draw, shape):
    return draw(st.integers(0, len(shape) - 1))


def _signed(draw, axis, rank):
    return axis - rank if draw(st.booleans()) else axis


@step
def conv(g, draw, x, shape):
    if len(shape) != 4:
        return False
    n, c, h, w = shape
    kind = draw(st.sampled_from(["1x1", "1x1", "3x3", "depthwise", "1x1 stride", "5x3 stride"]))
    if kind == "depthwise":
        return g.add("Conv", [x, g.weights(c, 1, 3, 3), g.weights(c)], shape, group=c, pads=[1] * 4)
    oc = draw(st.integers(1, 9))
    if kind == "1x1":
        return g.add("Conv", [x, g.weights(oc, c, 1, 1), g.weights(oc)], (n, oc, h, w))
    if kind == "3x3":
        return g.add("Conv", [x, g.weights(oc, c, 3, 3)], (n, oc, h, w), pads=[1] * 4)
    half = (n, oc, (h + 1) // 2, (w + 1) // 2)
    if kind == "1x1 stride":
        return g.add("Conv", [x, g.weights(oc, c, 1, 1)], half, strides=[2, 2])
    return g.add("Conv", [x, g.weights(oc, c, 5, 3)], half, strides=[2, 2], pads=[2, 1, 2, 1])


@step
def residual(g, draw, x, shape):
    """x + f(x), the sum in either order, an activation behind it."""
    if len(shape) != 4:
        return False
    c = shape[1]
    if draw(st.booleans()):
        y = g.add("Conv", [x, g.weights(c, c, 1, 1), g.weights(c)], shape)
    else:
        y = g.add("Conv", [x, g.weights(c, 1, 3, 3)], shape, group=c, pads=[1] * 4)
    y = g.add("Add", [x, y] if draw(st.booleans()) else [y, x], shape)
    return g.add("Relu", [y], shape) if draw(st.booleans()) else y


@step
def unary(g, draw, x, shape):
    return g.add(draw(st.sampled_from(["Relu", "Sigmoid", "HardSwish", "Neg", "Tanh", "Abs", "Identity"])), [x], shape)


@step
def binary(g, draw, x, shape):
    """With itself, another value of its shape, or one that it is broadcast with."""
    def fits(other):
        padded = (1,) * (len(shape) - len(other)) + other if len(other) <= len(shape) else None
        return padded is not None and all(a == b or 1 in (a, b) for a, b in zip(shape, padded))

    other = draw(st.sampled_from([v for v, s in g.shapes.items() if fits(s)]))
    made = np.broadcast_shapes(shape, g.shapes[other])
    if np.prod(made) > LARGEST:
        return False
    op = draw(st.sampled_from(["Add", "Sub", "Max", "Min"]))
    return g.add(op, [x, other] if draw(st.booleans()) else [other, x], made)


@step
def affine(g, draw, x, shape):
    """By a constant per channel, per column, for all, or of every element."""
    kinds = [(), shape[-1:], shape]
    if len(shape) == 4:
        kinds.append((shape[1], 1, 1))
    return g.add(draw(st.sampled_from(["Mul", "Add"])), [x, g.weights(*draw(st.sampled_from(kinds)))], shape)


@step
def concat(g, draw, x, shape):
    axis = _axis(draw, shape) if shape else None
    if axis is None:
        return False
    around = shape[:axis], shape[axis + 1:]
    rest = [v for v, s in g.shapes.items() if len(s) == len(shape) and (s[:axis], s[axis + 1:]) == around]
    parts = [x] + draw(st.lists(st.sampled_from(rest), min_size=0, max_size=3))
    if draw(st.integers(0, 4)) == 0:
        constant = g.weights(*shape)
        g.shapes[constant] = shape
        parts.append(constant)
    parts = draw(st.permutations(parts))
    made = shape[:axis] + (sum(g.shapes[p][axis] for p in parts),) + shape[axis + 1:]
    for p in parts:
        if p[0] == "c":
            del g.shapes[p]
    return np.prod(made) <= LARGEST and g.add("Concat", parts, made, axis=_signed(draw, axis, len(shape)))


@step
def split(g, draw, x, shape):
    axes = [i for i, d in enumerate(shape) if d > 1]
    if not axes:
        return False
    axis = draw(st.sampled_from(axes))
    cuts = sorted(draw(st.lists(st.integers(1, shape[axis] - 1), min_size=1, max_size=3, unique=True)))
    sizes = np.diff([0] + cuts + [shape[axis]])
    made = [shape[:axis] + (s,) + shape[axis + 1:] for s in sizes]
    return g.add("Split", [x, g.ints(sizes)], *made, axis=_signed(draw, axis, len(shape)))


@step
def slice_(g, draw, x, shape):
    if not shape:
        return False
    axes = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, max_size=2, unique=True))
    made, starts, ends, steps = list(shape), [], [], []
    for axis in axes:
        first = draw(st.integers(0, shape[axis] - 1))
        last = draw(st.integers(first, shape[axis] - 1))
        pace = draw(st.sampled_from([1, 1, 1, 2, 3, -1, -2]))
        start, end = (first, last + 1) if pace > 0 else (last, first - 1 if first else -shape[axis] - 1)
        made[axis] = len(range(*slice(start, end, pace).indices(shape[axis])))
        starts.append(start), ends.append(end), steps.append(pace)
    axes = [_signed(draw, a, len(shape)) for a in axes]
    return g.add("Slice", [x, g.ints(starts), g.ints(ends), g.ints(axes), g.ints(steps)], made)


@step
def transpose(g, draw, x, shape):
    perm = draw(st.permutations(range(len(shape))))
    return g.add("Transpose", [x], [shape[p] for p in perm], perm=perm) if shape else False


@step
def reshape(g, draw, x, shape):
    """To random factors of the number of elements, of rank 1 to 5, often keeping the leading dimensions."""
    kept = draw(st.integers(0, len(shape)))
    made, left = list(shape[:kept]), int(np.prod(shape[kept:]))
    for _ in range(draw(st.integers(0, max(0, 4 - kept)))):
        divisors = [d for d in range(1, left + 1) if left % d == 0]
        made.append(draw(st.sampled_from(divisors)))
        left //= made[-1]
    made.append(left)
    return g.add("Reshape", [x, g.ints(made)], made)


@step
def flatten(g, draw, x, shape):
    axis = draw(st.integers(0, len(shape)))
    return g.add("Flatten", [x], (np.prod(shape[:axis], dtype=int), np.prod(shape[axis:], dtype=int)), axis=axis)


@step
def squeeze(g, draw, x, shape):
    axes = [i for i, d in enumerate(shape) if d == 1]
    if not axes:
        return len(shape) < 6 and g.add("Unsqueeze", [x, g.ints([0, -1])], (1,) + shape + (1,))
    return g.add("Squeeze", [x, g.ints(axes[:1])], shape[:axes[0]] + shape[axes[0] + 1:])


@step
def pad(g, draw, x, shape):
    mode = draw(st.sampled_from(["constant", "constant", "edge", "reflect"]))
    low = -1 if mode == "constant" else 0
    pads = [[draw(st.integers(low, 2)) for _ in shape] for _ in range(2)]
    made = [d + a + b for d, a, b in zip(shape, *pads)]
    if not shape or min(made) <= 0 or np.prod(made) > LARGEST:
        return False
    if mode == "reflect" and any(max(a, b) >= d for d, a, b in zip(shape, *pads)):
        return False
    value = [g.constant(np.float32(0.5))] if mode == "constant" and draw(st.booleans()) else []
    return g.add("Pad", [x, g.ints(pads[0] + pads[1])] + value, made, mode=mode)


@step
def tile(g, draw, x, shape):
    repeats = [draw(st.sampled_from([1, 1, 2, 3])) for _ in shape]
    made = [d * r for d, r in zip(shape, repeats)]
    return bool(shape) and np.prod(made) <= LARGEST and g.add("Tile", [x, g.ints(repeats)], made)


@step
def expand(g, draw, x, shape):
    made = [draw(st.integers(1, 5)) if d == 1 else d for d in shape]
    if len(shape) < 5 and draw(st.booleans()):
        made.insert(0, draw(st.integers(1, 3)))
    return bool(shape) and np.prod(made) <= LARGEST and g.add("Expand", [x, g.ints(made)], made)


@step
def gather(g, draw, x, shape):
    if not shape:
        return False
    axis = _axis(draw, shape)
    index = st.integers(-shape[axis], shape[axis] - 1)
    square = st.lists(index, min_size=4, max_size=4).map(lambda v: [v[:2], v[2:]])
    indices = draw(st.one_of(index, st.lists(index, min_size=1, max_size=4), square))
    made = shape[:axis] + np.shape(indices) + shape[axis + 1:]
    return len(made) <= 6 and np.prod(made) <= LARGEST and g.add("Gather", [x, g.ints(indices)], made, axis=axis)


@step
def resize(g, draw, x, shape):
    if len(shape) != 4:
        return False
    mode, factor = draw(st.sampled_from(["nearest", "linear"])), draw(st.integers(1, 3))
    made = shape[:2] + (shape[2] * factor, shape[3] * 2)
    return np.prod(made) <= LARGEST and g.add("Resize", [x, "", "", g.ints(made)], made, mode=mode)


@step
def reduce(g, draw, x, shape):
    if not shape:
        return False
    axes = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, max_size=2, unique=True))
    keep = draw(st.booleans())
    made = [1 if i in axes else d for i, d in enumerate(shape) if keep or i not in axes]
    op = draw(st.sampled_from(["ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2"]))
    return g.add(op, [x, g.ints(axes)], made, keepdims=int(keep))


@step
def softmax(g, draw, x, shape):
    return g.add("Softmax", [x], shape, axis=_signed(draw, _axis(draw, shape), len(shape))) if shape else False


@step
def space(g, draw, x, shape):
    """DepthToSpace or SpaceToDepth where the sizes allow one."""
    if len(shape) != 4:
        return False
    n, c, h, w = shape
    if c % 4 == 0:
        mode = draw(st.sampled_from(["DCR", "CRD"]))
        return g.add("DepthToSpace", [x], (n, c // 4, h * 2, w * 2), blocksize=2, mode=mode)
    if h % 2 == 0 and w % 2 == 0:
        return g.add("SpaceToDepth", [x], (n, c * 4, h // 2, w // 2), blocksize=2)
    return False


@step
def shuffle(g, draw, x, shape):
    """As ShuffleNet spells it."""
    if len(shape) != 4 or shape[1] % 2:
        return False
    n, c, h, w = shape
    y = g.add("Reshape", [x, g.ints([n, 2, c // 2, h, w])], (n, 2, c // 2, h, w))
    y = g.add("Transpose", [y], (n, c // 2, 2, h, w), perm=[0, 2, 1, 3, 4])
    return g.add("Reshape", [y, g.ints(shape)], shape)


@step
def interleave(g, draw, x, shape):
    """The shuffle of a concatenation, whose parts are computed where they end up."""
    if len(shape) != 4 or 2 * np.prod(shape) > LARGEST:
        return False
    parts = draw(st.permutations([x, g.add("Relu", [x], shape)]))
    whole = (shape[0], 2 * shape[1]) + shape[2:]
    return shuffle(g, draw, g.add("Concat", parts, whole, axis=1), whole)


@step
def pool(g, draw, x, shape):
    if len(shape) != 4:
        return False
    op = draw(st.sampled_from(["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"]))
    if op.startswith("Global"):
        return g.add(op, [x], shape[:2] + (1, 1))
    return g.add(op, [x], shape[:2] + ((shape[2] + 1) // 2, (shape[3] + 1) // 2), kernel_shape=[3, 3], strides=[2, 2],
                 pads=[1, 1, 1, 1])


@step
def matmul(g, draw, x, shape):
    """By a constant matrix, or by its own transpose."""
    if len(shape) < 2:
        return False
    if draw(st.booleans()):
        n = draw(st.integers(1, 9))
        return g.add("MatMul", [x, g.weights(shape[-1], n)], shape[:-1] + (n,))
    turned = shape[:-2] + (shape[-1], shape[-2])
    if np.prod(shape[:-2] + (shape[-2],) * 2) > LARGEST:
        return False
    t = g.add("Transpose", [x], turned, perm=list(range(len(shape) - 2)) + [len(shape) - 1, len(shape) - 2])
    y = g.add("MatMul", [x, t], shape[:-1] + (shape[-2],))
    return g.add("Tanh", [y], g.shapes[y])


@st.composite
def graphs(draw, steps=10, big=False):
    """A Graph; `big` ones have tensors that are worth several threads."""
    g = Graph(draw(st.integers(0, 1000)))
    side = st.integers(20, 30) if big else st.sampled_from([1, 2, 3, 4, 4, 5, 7])
    channels = st.integers(24, 32) if big else st.integers(1, 8)
    n, h, w = draw(st.integers(1, 3)), draw(side), draw(side)
    for i in range(draw(st.integers(1, 2))):
        g.inputs[f"x{i}"] = g.shapes[f"x{i}"] = (n, draw(channels), h, w)
    for _ in range(draw(st.integers(1, steps))):
        chosen = draw(st.sampled_from(list(g.shapes)[-4:]))
        draw(st.sampled_from(_STEPS))(g, draw, chosen, g.shapes[chosen])
    names = list(g.shapes)
    more = draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
    g.outputs = more + [names[-1]] if names[-1] not in more else more
    return g


# ---- blocks of convolutions that run in stripes ------------------------------------------------------------

# Elements of a tensor between two layers from which on they run together: csrc/runtime/chain_stripes.c
FEATURES = sr._core.cpu_features()
LARGE = 426_000 if "avx512" in FEATURES or "avx2" not in FEATURES else 2_098_000
STRIPED = [(None, LARGE), ("ref", 263_000)]  # (isa, elements)


def _activation(g, draw, x):
    op = draw(st.sampled_from([None, "Relu", "Relu", "HardSwish", "Sigmoid"]))
    return g.add(op, [x], g.shapes[x]) if op else x


def _windowed(g, draw, x, oc, group):
    """A convolution with a window and any geometry that leaves rows; None where none are left."""
    n, c, h, w = g.shapes[x]
    kernel = draw(st.sampled_from([(3, 3), (3, 3), (5, 5), (2, 4), (1, 3)]))
    strides = draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (2, 1), (3, 2)]))
    dilations = draw(st.sampled_from([(1, 1), (1, 1), (1, 1), (2, 1)]))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    pads = [draw(st.integers(0, r - 1)) if draw(st.booleans()) else r // 2 for r in reach * 2]
    made = [(d + a + b - r) // s + 1 for d, a, b, r, s in zip((h, w), pads[:2], pads[2:], reach, strides)]
    if min(made) < 1:
        return None
    bias = [g.weights(oc)] if draw(st.booleans()) else []
    y = g.add("Conv", [x, g.weights(oc, c // group, *kernel), *bias], (n, oc, *made), group=group, strides=strides,
              dilations=dilations, pads=pads)
    return _activation(g, draw, y)


def _pointwise(g, draw, x, oc):
    n, c, h, w = g.shapes[x]
    return g.add("Conv", [x, g.weights(oc, c, 1, 1), g.weights(oc)], (n, oc, h, w))


@st.composite
def blocks(draw, least):
    """A Graph of one or two blocks as MobileNets have them, [1x1 or stem] -> depthwise -> 1x1 [+ residual], whose
    tensors between the layers have more than `least` elements."""
    g = Graph(draw(st.integers(0, 1000)))
    longest = 90 if least < 1_000_000 else 200
    h, w = draw(st.integers(17, longest)), draw(st.integers(17, longest))
    wide = least // (h * w) + draw(st.integers(1, 9))
    first = draw(st.sampled_from(["1x1", "1x1", "stem", "depthwise"]))
    narrow = wide if first == "depthwise" else 3 if first == "stem" else draw(st.integers(1, 24))
    g.inputs["x0"] = g.shapes["x0"] = (draw(st.sampled_from([1, 1, 2])), narrow, h, w)
    x = "x0"
    for _ in range(draw(st.integers(1, 2))):
        start = y = x
        if first == "1x1":
            y = _activation(g, draw, _pointwise(g, draw, y, wide))
        elif first == "stem":
            y = _windowed(g, draw, y, wide, 1)
        y = y and _windowed(g, draw, y, g.shapes[y][1], g.shapes[y][1])
        if not y:
            break
        if draw(st.integers(0, 9)):
            y = _pointwise(g, draw, y, g.shapes[start][1] if draw(st.booleans()) else draw(st.integers(1, 24)))
            if g.shapes[y] == g.shapes[start]:
                y = g.add("Add", [start, y] if draw(st.booleans()) else [y, start], g.shapes[y])
            y = _activation(g, draw, y)
        x, first = y, "1x1" if draw(st.booleans()) else "depthwise"
        wide = least // int(np.prod(g.shapes[x][2:])) + 1
        if g.shapes[x][1] * wide > 60_000:  # weights
            break
    names = list(g.shapes)[1:] or ["x0"]
    inner = [draw(st.sampled_from(names))] if draw(st.integers(0, 7)) == 0 else []
    g.outputs = list(dict.fromkeys([names[-1], *inner]))
    if g.outputs == ["x0"]:
        g.outputs = [g.add("Identity", ["x0"], g.shapes["x0"])]
    return g
