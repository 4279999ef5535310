"""The QDQ graph: what is int8 in it, by which scales, and that onnxruntime computes the same from it."""

import numpy as np
import onnx
import pytest
from conftest import make_model
from nets import between_net, exported, feeds, graph_of, int8_tensors, node, params_of, residual_net, weights
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from oracle import reference

import sparse_runtime as sr
from sparse_runtime.quantize import Range, calibrate, insert


def quantized(model, **options):
    graph = graph_of(model)
    skipped = insert(graph, calibrate(graph, feeds(), "minmax"), **options)
    graph.check()
    return graph, skipped


def run(graph, values, feed):
    copy = graph.clone()
    copy.outputs = [copy._values[v.name] for v in values]
    return sr.Session(copy.to_bytes()).run(None, feed)


# ---- against onnxruntime ---------------------------------------------------------------------------------------------


MIDDLES = {
    "same": lambda: between_net([node("Identity", "a", "b")]),
    "max_pool": lambda: between_net([node("MaxPool", "a", "b", kernel_shape=[3, 3], pads=[1] * 4)]),
    "average_pool": lambda: between_net([node("AveragePool", "a", "b", kernel_shape=[3, 3])]),
    "global_average_pool": lambda: between_net([node("GlobalAveragePool", "a", "b")]),
    "sigmoid": lambda: between_net([node("Sigmoid", "a", "b")]),
    "leaky_relu": lambda: between_net([node("Sigmoid", "a", "s"), node("LeakyRelu", "s", "b", alpha=0.2)]),
    "mul": lambda: between_net([node("Sigmoid", "a", "s"), node("Mul", "a s", "b")]),
    "resize": lambda: between_net([node("Resize", "a - n", "b", mode="linear")], {"n": np.float32([1, 1, 3, 3])}),
    "pad": lambda: between_net(
        [node("MaxPool", "a", "m", kernel_shape=[2, 2]), node("Pad", "m p", "b")],
        {"p": np.int64([0, 0, 1, 1, 0, 0, 1, 1])},
    ),
    "transpose": lambda: between_net(
        [node("Transpose", "a", "t", perm=[0, 1, 3, 2]), node("Tile", "t r", "b")], {"r": np.int64([1, 1, 2, 1])}
    ),
    "split_concat": lambda: between_net(
        [node("Split", "a n", "p q", axis=1), node("Relu", "p", "r"), node("Concat", "r q", "b", axis=1)],
        {"n": np.int64([2, 6])},
    ),
    "residual_net": residual_net,
    "pruned": lambda: residual_net(0.75),
}


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("name", MIDDLES)
def test_against_onnxruntime(name, symmetric):
    """Every int8 tensor of the graph, run in FP32 here and by onnxruntime: the same but where a value lies on the edge
    of two quanta, and there one apart."""
    graph, _ = quantized(MIDDLES[name](), symmetric=symmetric)
    values = int8_tensors(graph)
    assert len(values) >= 2
    feed = feeds(seed=9)[0]
    expected = list(reference(exported(graph, values + graph.outputs), feed, optimized=False).values())
    actual = run(graph, values + graph.outputs, feed)
    for value, a, b in zip(values, actual, expected):
        assert a.dtype == b.dtype == np.int8
        steps = np.abs(a.astype(int) - b.astype(int))
        assert steps.max() <= 1 and (steps > 0).mean() <= 0.005, value.name
        assert len(np.unique(b)) >= min(6, b.size), value.name  # the comparison says something
    span = np.ptp(expected[-1])
    assert np.abs(actual[-1] - expected[-1]).max() <= 0.01 * span


def test_close_to_fp32():
    model = residual_net()
    graph, skipped = quantized(model)
    assert not skipped
    feed = feeds(seed=9)[0]
    exact = reference(model, feed)["y"]
    (actual,) = sr.Session(graph.to_bytes()).run(None, feed)
    assert 0 < np.abs(actual - exact).max() <= 0.03


class Reader(CalibrationDataReader):
    def __init__(self, all_feeds):
        self.feeds = iter(all_feeds)

    def get_next(self):
        return next(self.feeds, None)


def test_scales_are_onnxruntimes(tmp_path):
    """Those of static quantization with the same ranges, where networks have nothing that it does not fuse."""
    constants = weights(w0=(8, 3, 3, 3), b0=(8,), w1=(8, 8, 1, 1), b1=(8,), w2=(4, 8, 1, 1))
    nodes = [
        node("Conv", "x w0 b0", "c0"),
        node("Relu", "c0", "r0"),
        node("Conv", "r0 w1 b1", "c1"),
        node("Conv", "c1 w2", "y"),
    ]
    model = make_model(nodes, {"x": (1, 3, 12, 12)}, ["y"], constants)
    onnx.save(model, tmp_path / "m.onnx")
    quantize_static(
        tmp_path / "m.onnx", tmp_path / "q.onnx", Reader(feeds()), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax,
    )  # fmt: skip
    theirs = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(tmp_path / "q.onnx").graph.initializer}
    graph, _ = quantized(model)
    ours = params_of(graph)
    assert set(ours) == {"x", "c0", "c1"}
    for name, (scale, zero) in ours.items():
        name = "r0" if name == "c0" else name  # where the relu is fused
        np.testing.assert_allclose(scale, theirs[f"{name}_scale"], rtol=1e-5)
        assert zero == theirs[f"{name}_zero_point"]
    for name in ("w0", "w1", "w2"):
        np.testing.assert_allclose(graph._values[f"{name}/scale"].const, theirs[f"{name}_scale"], rtol=1e-5)
        assert np.abs(graph._values[f"{name}/int8"].const.astype(int) - theirs[f"{name}_quantized"]).max() <= 1


# ---- what becomes int8 -----------------------------------------------------------------------------------------------


def test_form():
    """Weights int8 per channel, bias int32 at x_scale * w_scale, activations behind what is fused into the layer."""
    graph, _ = quantized(residual_net(0.75))
    by_name = {n.name: n for n in graph.nodes}
    params = params_of(graph)
    assert set(params) == {"x", "c0", "c1", "c2", "m", "a", "k", "c3", "g", "f"}
    conv = by_name["c2"]
    w, b, z = conv.input("W").producer, conv.input("B").producer, conv.input("Z").producer
    assert conv["act"] == "clip" and [n.op for n in (w, b, z)] == ["DequantizeLinear"] * 3
    assert w.input("X").const.dtype == np.int8 and w["axis"] == 0 and w.input("zero_point") is None
    assert b.input("X").const.dtype == np.int32
    w_scale, x_scale = w.input("scale").const, np.float32(params["c1"][0])
    np.testing.assert_array_equal(b.input("scale").const, x_scale * w_scale)
    assert z.input("X").producer.input("X").name == "c0"
    floats = residual_net(0.75).graph.initializer
    (original,) = [np.frombuffer(t.raw_data, np.float32) for t in floats if t.name == "w2"]
    assert (original == 0).sum() == 48 and not w.input("X").const.reshape(-1)[original == 0].any()


def test_same_scales_where_values_are_only_moved():
    params = params_of(quantized(residual_net())[0])
    assert params["c2"] == params["m"] == params["a"] == params["k"]  # pool and concatenation
    assert params["g"] == params["f"] and params["c3"] != params["g"]  # a mean has a range of its own


def test_concatenation_of_very_different_ranges():
    """A part whose numbers are much smaller keeps its own scale, or nothing would be left of it."""
    middle = [node("Mul", "a u", "v"), node("Conv", "v e", "s"), node("Concat", "a s", "b", axis=1)]
    for factor, same in ((0.05, False), (0.9, True)):
        held = {"u": np.float32(1.0), "e": np.eye(8, dtype=np.float32).reshape(8, 8, 1, 1) * np.float32(factor)}
        params = params_of(quantized(between_net(middle, held, channels=16))[0])
        assert (params["s"] == params["a"]) == same and params["b"] == params["a"]


def test_starts_and_ends_in_fp32():
    """What no layer follows stays FP32, and so does what comes before the first."""
    pool = node("MaxPool", "t", "y", kernel_shape=[2, 2])
    nodes = [node("Sigmoid", "x", "s"), node("Conv", "s w", "c"), node("Tanh", "c", "t"), pool]
    graph, _ = quantized(make_model(nodes, {"x": (1, 3, 12, 12)}, ["y"], weights(w=(4, 3, 1, 1))))
    assert set(params_of(graph)) == {"s"}
    assert graph.outputs[0].dtype == "float32"


@pytest.mark.parametrize(
    "middle",
    [
        [node("Exp", "a", "e"), node("Softmax", "e", "b", axis=1)],
        [node("Pad", "a p v", "b")],
        [node("Resize", "a - n", "b", mode="cubic")],
        [node("Div", "a d", "b")],
    ],
    ids=["softmax", "pad", "cubic", "div"],
)
def test_islands_of_fp32(middle):
    constants = {
        "p": np.int64([0, 0, 1, 1, 0, 0, 1, 1]), "v": np.float32(0.5), "n": np.float32([1, 1, 2, 2]),
        "d": np.float32([2.0, 3.0]).repeat(6),
    }  # fmt: skip
    constants = {k: v for k, v in constants.items() if any(k in n.input for n in middle)}
    graph, _ = quantized(between_net(middle, constants))
    assert set(params_of(graph)) == {"x", "b"}


def test_outputs_keep_their_names_and_precision():
    """A graph output inside the network is what the layer computes, not its int8."""
    model = residual_net()
    model.graph.output.append(helper.make_tensor_value_info("h0", TensorProto.FLOAT, None))
    graph, _ = quantized(model)
    assert [v.name for v in graph.outputs] == ["y", "h0"]
    feed = feeds(seed=9)[0]
    _, h0 = sr.Session(graph.to_bytes()).run(None, feed)
    assert len(np.unique(h0)) > 256


def test_skip():
    graph, skipped = quantized(residual_net(), skip=["c3"])
    assert skipped == {"c3": "skipped by name"}
    conv = next(n for n in graph.nodes if n.name == "c3")
    assert conv.input("W").is_const and conv.input("W").const.dtype == np.float32
    assert {"k", "c3", "g"}.isdisjoint(params_of(graph)) and "f" in params_of(graph)
    graph, skipped = quantized(residual_net(), skip=["c[012]"])
    assert set(skipped) == {"c0", "c1", "c2"}
    with pytest.raises(sr.ArgumentError, match="'c00' matches no node and no tensor; close to it: c0"):
        quantized(residual_net(), skip=["c00"])
    with pytest.raises(sr.ArgumentError, match="names and patterns, not 3"):
        quantized(residual_net(), skip=[3])


def test_computed_weights_stay_fp32():
    nodes = [node("Conv", "x w0", "a"), node("MatMul", "a v", "b"), node("Conv", "b w1", "y")]
    model = make_model(
        nodes, {"x": (1, 3, 12, 12), "v": (1, 1, 12, 12)}, ["y"], weights(w0=(4, 3, 1, 1), w1=(4, 4, 1, 1))
    )
    graph = graph_of(model)
    both = [{**f, **g} for f, g in zip(feeds(), feeds((1, 1, 12, 12), name="v", seed=3))]
    insert(graph, calibrate(graph, both))
    assert set(params_of(graph)) == {"x", "b"}


def test_shared_weights_stay_one():
    nodes = [node("Conv", "x w", "a"), node("Conv", "a w", "b"), node("Conv", "b w", "y")]
    graph, _ = quantized(make_model(nodes, {"x": (1, 3, 12, 12)}, ["y"], weights(w=(3, 3, 1, 1))))
    assert sum(v.const.dtype == np.int8 and v.const.ndim == 4 for v in graph.constants()) == 1


def test_biases_keep_the_means():
    """Rounding the weights moves the means of a layer's outputs; its bias takes that back, also where there was
    none."""
    constants = weights(w=(16, 24, 1, 1))
    model = make_model([node("Conv", "x w", "y")], {"x": (1, 24, 12, 12)}, ["y"], constants)
    data = [{"x": np.abs(f["x"])} for f in feeds((1, 24, 12, 12), 8)]
    ranges = calibrate(model, data, "minmax")
    graph, plain = graph_of(model), graph_of(model)
    insert(graph, ranges)
    insert(plain, {name: Range(r.low, r.high) for name, r in ranges.items()})
    assert plain.nodes[-1].input("B") is None and graph.nodes[-1].input("B") is not None

    def shift(of):
        session = sr.Session(of.to_bytes())
        return np.mean([session.run(None, f)[0] - reference(model, f)["y"] for f in data], axis=(0, 1, 3, 4))

    assert np.abs(shift(graph)).max() < 0.2 * np.abs(shift(plain)).max()


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_ranges_that_do_not_do():
    graph = graph_of(residual_net())
    ranges = calibrate(graph, feeds())
    for wrong, message in (
        ({k: v for k, v in ranges.items() if k != "m"}, "no range for tensor 'm'"),
        ({**ranges, "m": (0, 1)}, "the range of tensor 'm' is \\(0, 1\\), it must be a Range"),
        (
            {**ranges, "m": Range(2, 2, constant=True)},
            "tensor 'm' is 2 throughout the calibration data.*'m', 'k'.*int8_skip",
        ),
        (
            {**ranges, "m": Range(2, 2, constant=True), "g": Range(0, 0, constant=True)},
            "tensor 'm' is 2, tensor 'g' is 0 throughout .*'m', 'k', 'g', 'f'",
        ),
        ({**ranges, "c1": Range(0.0, 1e-41)}, "scale of 'c1' is"),
    ):
        with pytest.raises(sr.ArgumentError, match=message):
            insert(graph.clone(), wrong)


def test_weights_that_are_not_finite():
    constants = weights(w=(4, 3, 1, 1))
    constants["w"][1, 2] = np.inf
    graph = graph_of(make_model([node("Conv", "x w", "y")], {"x": (1, 3, 12, 12)}, ["y"], constants))
    with pytest.raises(sr.ArgumentError, match="weights 'w' are not all finite"):
        insert(graph, {"x": Range(-1.0, 1.0)})
