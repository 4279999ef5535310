"""Networks in 8 bit integers against onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import sparse_runtime as sr
from sparse_runtime import passes
from sparse_runtime.importers.onnx import import_model

ort = pytest.importorskip("onnxruntime")
oracle = pytest.importorskip("oracle")
ort.set_default_logger_severity(3)


class Net:
    """A network whose tensors are quantized and dequantized between operators."""

    def __init__(self, kind: str, seed: int = 0):
        self.kind, self.rng = kind, np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def const(self, array) -> str:
        name = self.name()
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, op: str, *inputs: str, **attrs) -> str:
        name = self.name()
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=f"{op}_{name}", **attrs))
        return name

    def qdq(self, x: str, scale: float, zero: int) -> str:
        s, z = self.const(np.float32(scale)), self.const(np.array(zero, self.kind))
        return self.node("DequantizeLinear", self.node("QuantizeLinear", x, s, z), s, z)

    def weights(self, shape, scale, zeros: float = 0, zero: int | None = None) -> str:
        """int8 with scales by row, or uint8 with a zero."""
        if zero is not None:
            q = self.rng.integers(0, 255, shape).astype(np.uint8)
            return self.node("DequantizeLinear", self.const(q), self.const(np.float32(scale)),
                             self.const(np.uint8(zero)))
        q = self.rng.integers(-127, 128, shape).astype(np.int8)
        q[self.rng.random(shape) < zeros] = 0
        s = (scale * self.rng.uniform(0.5, 1, shape[0])).astype(np.float32)
        z = self.const(np.zeros(shape[0], np.int8))
        return self.node("DequantizeLinear", self.const(q), self.const(s), z, axis=0)

    def model(self, inputs, outputs) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def compare(model: onnx.ModelProto, feeds, quantum: float, share: float = 0.0, exact: bool = False,
            **options) -> list[str]:
    """All but a share of the results are onnxruntime's, and all are within one quantum. Returns the operators run.
    optimized: for products of uint8 and int8 that are no floats when taken literally, see oracle.settings()."""
    data = sr.convert(model, sparse_threshold=0.3).data
    settings = oracle.settings(optimized=exact, exact=exact)
    session = ort.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    expected = session.run(None, feeds)
    with sr.Session(data, **options) as session:
        found = session.run(None, feeds)
        kinds = [layer.op for layer in session.explain()]
    for got, want in zip(found, expected):
        assert got.shape == want.shape
        off = np.abs(got.astype(np.float64) - want) / quantum
        assert off.max() <= 1.01
        assert (off > 0.01).mean() <= share
    return kinds


@pytest.mark.parametrize("shape", [(2, 5, 8, 10), (2, 5, 7, 9)], ids=["as it lies", "copied"])
def test_input(shape):
    """Planes of a multiple of 16 pixels are quantized where the caller has them, at any address, anew in each run."""
    net = Net("uint8")
    y = net.qdq(net.node("Conv", net.qdq("x", 0.02, 100), net.weights((6, 5, 1, 1), 0.01)), 0.05, 120)
    model = net.model({"x": list(shape)}, [y])
    size = int(np.prod(shape))
    memory = np.full(size + 8, np.nan, np.float32)
    settings = oracle.settings(exact=True)
    reference = ort.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    with sr.Session(sr.convert(model).data) as session:
        for start in (3, 0, 8):
            x = memory[start : start + size].reshape(shape)
            x[...] = net.rng.normal(0, 1, shape)
            before = x.copy()
            (got,), (want,) = session.run(None, {"x": x}), reference.run(None, {"x": x})
            assert np.abs(got.astype(np.float64) - want).max() / 0.05 <= 1.01
            assert (np.abs(got - want) > 0.0005).mean() <= 0.02
            assert np.array_equal(x, before)
            memory[...] = np.nan
        assert session.explain()[0].op == "Quantize"


CONVS = {
    "pointwise": ((24, 13, 1, 1), {}),
    "window": ((10, 6, 3, 3), {"pads": [1, 1, 1, 1]}),
    "stride": ((9, 3, 3, 3), {"pads": [0, 0, 1, 1], "strides": [2, 2]}),
    "subsampled": ((16, 8, 1, 1), {"strides": [2, 2]}),
    "dilated": ((7, 5, 3, 3), {"dilations": [2, 2], "pads": [2, 2, 2, 2]}),
    "grouped": ((12, 3, 3, 3), {"group": 4, "pads": [1, 1, 1, 1]}),
    "depthwise": ((18, 1, 3, 3), {"group": 18, "pads": [1, 1, 1, 1]}),
    "depthwise stride": ((8, 1, 5, 5), {"group": 8, "pads": [2, 2, 2, 2], "strides": [2, 2]}),
    "one pixel": ((11, 6, 9, 10), {}),
}


@pytest.mark.parametrize("zero", [None, 113])
@pytest.mark.parametrize("kind", ["int8", "uint8"])
@pytest.mark.parametrize("name", CONVS)
def test_conv(name, kind, zero):
    shape, attrs = CONVS[name]
    net = Net(kind, seed=len(name))
    channels = shape[1] * attrs.get("group", 1)
    x = net.qdq("x", 0.02, 7 if kind == "int8" else 131)
    taps = int(np.prod(shape[1:]))
    bias = net.const(net.rng.integers(-500, 500, shape[0]).astype(np.float32) * np.float32(1e-4))
    w = net.weights(shape, 0.005, zero=zero)
    y = net.qdq(net.node("Conv", x, w, bias, **attrs), 0.02 * np.sqrt(taps) / 5, 3)
    model = net.model({"x": [2, channels, 9, 10]}, [y])
    feeds = {"x": net.rng.normal(0, 1, (2, channels, 9, 10)).astype(np.float32)}
    kinds = compare(model, feeds, 0.02 * np.sqrt(taps) / 5, share=0.01)
    assert kinds == ["Quantize", "QConv", "Dequantize"]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("zero", [None, 5, 113])
def test_fully_connected(zero, threads):
    """Images of one pixel have kernels of their own; a batch, more rows than a task, and 9 bits of a weight less its
    zero."""
    net = Net("uint8", seed=threads)
    x = net.qdq(net.node("GlobalAveragePool", net.qdq("x", 0.02, 131)), 0.005, 120)
    bias = net.const(net.rng.integers(-500, 500, 301).astype(np.float32) * np.float32(1e-4))
    y = net.qdq(net.node("Relu", net.node("Conv", x, net.weights((301, 1022, 1, 1), 0.005, zero=zero), bias)), 0.05, 3)
    model = net.model({"x": [3, 1022, 4, 3]}, [y])
    feeds = {"x": net.rng.normal(0, 1, (3, 1022, 4, 3)).astype(np.float32)}
    assert compare(model, feeds, 0.05, share=0.01, threads=threads) == ["Quantize", "QPool", "QConv", "Dequantize"]
    with sr.Session(sr.convert(model).data, threads=threads) as session:
        assert [layer.kernel.startswith("fc_dense_q8") for layer in session.explain() if layer.op == "QConv"] == [True]


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_pools_and_rows(kind):
    """Threads share the groups of several images; one pixel's channels lie in memory as an array has them, as bytes
    (before Flatten) and as floats."""
    net = Net(kind)
    x = net.qdq(net.node("MaxPool", net.qdq("x", 0.02, 9), kernel_shape=[3, 3], strides=[2, 2]), 0.02, 9)
    y = net.qdq(net.node("GlobalAveragePool", x), 0.01, 20)
    rows = net.node("Flatten", y)
    model = net.model({"x": [3, 22, 61, 64]}, [x, y, rows])
    feeds = {"x": net.rng.normal(0, 1, (3, 22, 61, 64)).astype(np.float32)}
    for threads in (1, 3):
        assert "QPool" in compare(model, feeds, 0.01, share=0.01, threads=threads)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("sparse", ["never", "always"])
@pytest.mark.parametrize("zeros", [0.0, 0.9, 1.0])
def test_sparse(zeros, sparse, threads):
    net = Net("int8")
    x = net.qdq("x", 0.02, 0)
    w = net.weights((33, 48, 1, 1), 0.005, zeros=zeros)
    y = net.qdq(net.node("Relu", net.node("Conv", x, w)), 0.05, -128)
    model = net.model({"x": [1, 48, 20, 21]}, [y])
    feeds = {"x": net.rng.normal(0, 1, (1, 48, 20, 21)).astype(np.float32)}
    compare(model, feeds, 0.05, share=0.01, sparse=sparse, threads=threads)


def test_network_of_all_operators():
    net = Net("uint8")
    x = net.qdq("x", 0.02, 128)
    a = net.qdq(net.node("Conv", x, net.weights((12, 6, 1, 1), 0.01)), 0.03, 120)
    b = net.qdq(net.node("LeakyRelu", a, alpha=0.1), 0.03, 40)
    c = net.qdq(net.node("Add", a, b), 0.05, 100)
    d = net.qdq(net.node("Concat", c, b, x, axis=1), 0.05, 110)
    e = net.qdq(net.node("MaxPool", d, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), 0.05, 110)
    f = net.qdq(net.node("GlobalAveragePool", e), 0.02, 90)
    g = net.qdq(net.node("Mul", e, net.qdq(net.node("Sigmoid", f), 1 / 256, 0)), 0.05, 100)
    h = net.qdq(net.node("AveragePool", g, kernel_shape=[2, 2], strides=[2, 2]), 0.05, 100)
    model = net.model({"x": [1, 6, 15, 17]}, [h])
    feeds = {"x": net.rng.normal(0, 1, (1, 6, 15, 17)).astype(np.float32)}
    kinds = compare(model, feeds, 0.05, share=0.05)
    assert set(kinds) == {"Quantize", "QConv", "QUnary", "QBinary", "QConcat", "QPool", "Dequantize"}


def test_floats_stay_where_they_are_needed():
    """A convolution without QuantizeLinear gives float32, an operator without a quantized form is between
    conversions."""
    net = Net("int8")
    x = net.qdq("x", 0.02, 0)
    y = net.qdq(net.node("Transpose", x, perm=[0, 1, 3, 2]), 0.02, 0)
    z = net.node("Conv", y, net.weights((5, 4, 1, 1), 0.01))
    model = net.model({"x": [1, 4, 6, 7]}, [z])
    feeds = {"x": net.rng.normal(0, 1, (1, 4, 6, 7)).astype(np.float32)}
    kinds = compare(model, feeds, 1e-4)
    assert "QConv" in kinds and "Transpose" in kinds and kinds[-1] == "QConv"


@pytest.mark.parametrize("channels", [1, 3, 4, 6])
@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_bytes_at_the_border(kind, channels):
    """Inputs and outputs of bytes are taken as they are."""
    net = Net(kind)
    s, z = net.const(np.float32(0.1)), net.const(np.array(100, kind))
    x = net.node("DequantizeLinear", "x", s, z)
    y = net.node("QuantizeLinear", net.node("Conv", x, net.weights((5, channels, 1, 1), 0.01)), s, z)
    most = net.node("QuantizeLinear", net.node("MaxPool", x, kernel_shape=[1, 2]), s, z)
    for ends, share in (([y], 0.01), ([most], 0)):
        model = net.model({"x": [2, channels, 6, 17]}, ends)
        for end in (model.graph.input[0], model.graph.output[0]):
            end.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        limits = np.iinfo(kind)
        feeds = {"x": net.rng.integers(limits.min, limits.max + 1, (2, channels, 6, 17)).astype(kind)}
        kinds = compare(model, feeds, 1, share=share)
        assert kinds == ["Quantize", "QConv" if ends == [y] else "QPool", "Dequantize"]


def test_sparse_file_is_smaller():
    sizes = {}
    for zeros in (0.5, 0.75):
        net = Net("int8")
        y = net.qdq(net.node("Conv", net.qdq("x", 0.02, 0), net.weights((256, 256, 1, 1), 0.01, zeros=zeros)), 0.05, 0)
        model = net.model({"x": [1, 256, 8, 8]}, [y])
        for sparse in ("auto", "never"):
            sizes[zeros, sparse] = len(sr.convert(model, sparse=sparse, sparse_threshold=0.4).data)
    assert sizes[0.5, "auto"] < 0.7 * sizes[0.5, "never"]
    assert sizes[0.75, "auto"] < 0.45 * sizes[0.75, "never"]


def test_own_quantization_runs_in_integers():
    """With residuals and activations fused; against the same network in float32."""
    rng = np.random.default_rng(0)
    f = lambda *shape: numpy_helper.from_array(rng.normal(0, 0.3, shape).astype(np.float32), f"w{shape}")  # noqa: E731
    constants = [f(16, 8, 1, 1), f(16, 1, 3, 3), f(16, 16, 1, 1)]
    names = [c.name for c in constants]
    nodes = [
        helper.make_node("Conv", ["x", names[0]], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", names[1]], ["c"], group=16, pads=[1, 1, 1, 1]),
        helper.make_node("LeakyRelu", ["c"], ["d"], alpha=0.1),
        helper.make_node("Conv", ["d", names[2]], ["e"]),
        helper.make_node("Add", ["e", "b"], ["f"]),
        helper.make_node("Relu", ["f"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, c, 12, 13]) for n, c in (("x", 8), ("y", 16))]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    feeds = [{"x": rng.normal(0, 1, (1, 8, 12, 13)).astype(np.float32)} for _ in range(8)]
    expected = sr.Session(sr.convert(model).data).run(None, feeds[0])[0]
    with sr.Session(sr.convert(model, int8=True, calibration=feeds, int8_min_sqnr=None).data) as session:
        found = session.run(None, feeds[0])[0]
        kinds = [layer.op for layer in session.explain()]
    assert kinds.count("QConv") == 3 and "Conv" not in kinds
    assert np.abs(found - expected).std() < 0.05 * expected.std()


@pytest.mark.parametrize("isa", [None, "ref"])
@pytest.mark.parametrize("shape, attrs", CONVS.values(), ids=CONVS)
def test_outputs_too_fine_for_a_float(shape, attrs, isa):
    """Scales of sums beyond float32: a sum of 0 is 0, all others are out of range."""
    net = Net("int8", seed=len(shape))
    channels = shape[1] * attrs.get("group", 1)
    w = net.weights(shape, 1e17)
    y = net.qdq(net.node("Conv", net.qdq("x", 1e20, 0), w, **attrs), 1e-20, 3)
    quanta = net.rng.integers(-3, 4, (2, channels, 9, 10))
    quanta[:, :, :, 5:] = 0
    data = sr.convert(net.model({"x": [2, channels, 9, 10]}, [y])).data
    with sr.Session(data, isa=isa) as session:
        found = session.run(None, {"x": (quanta * 1e20).astype(np.float32)})[0]
        assert "QConv" in [layer.op for layer in session.explain()]
    exact = Net("int8")
    weights = next(numpy_helper.to_array(c) for c in net.constants if len(c.dims) == 4)
    exact.constants.append(numpy_helper.from_array(weights.astype(np.float64), "w"))
    model = exact.model({}, [exact.node("Conv", "x", "w", **attrs)])
    model.graph.input.append(helper.make_tensor_value_info("x", TensorProto.DOUBLE, quanta.shape))
    sums = ReferenceEvaluator(model).run(None, {"x": quanta.astype(np.float64)})[0]
    np.testing.assert_array_equal(np.rint(found / 1e-20), np.select([sums > 0, sums < 0], [127 - 3, -128 - 3], 0))


def test_bad_scales_are_refused():
    net = Net("int8")
    y = net.qdq(net.node("Conv", net.qdq("x", 0.02, 0), net.weights((4, 4, 1, 1), 0.01)), 0.05, 0)
    graph = import_model(net.model({"x": [1, 4, 6, 7]}, [y]))
    passes.optimize(graph)
    conv = next(node for node in graph.nodes if node.op == "QConv")
    for key, value in (("x_scale", 0.0), ("x_scale", float("nan")), ("y_scale", -1.0), ("x_zero", 200)):
        old = conv[key]
        conv[key] = value
        with pytest.raises(sr.SparseRuntimeError, match=key):
            graph.to_bytes()
        conv[key] = old
