"""The error of quantization: its measure, the report, and layers left in FP32 because of it."""

import json
import math

import numpy as np
import pytest
from conftest import make_model
from nets import exported, feeds, graph_of, node, params_of, residual_net
from onnx import numpy_helper
from oracle import reference

import sparse_runtime as sr
from sparse_runtime.quantize import calibrate, quantize, report
from sparse_runtime.quantize.measure import _too_much, error

RNG = np.random.default_rng(2)


def sensitive_net():
    """A layer, c1, that takes small differences of large numbers: 8 bits of its input tell nothing of them."""
    eye = np.eye(4, dtype=np.float32)
    w1 = np.zeros((4, 4), np.float32)
    w1[:, 0], w1[:, 1] = 1, -1
    constants = {
        "w0": np.float32([[1, 0, 0], [1, 0.002, 0], [0, 0, 1], [0, 1, 0]]).reshape(4, 3, 1, 1) * 8,
        "w1": w1.reshape(4, 4, 1, 1), "w2": eye.reshape(4, 4, 1, 1),
    }  # fmt: skip
    nodes = [node("Conv", "x w0", "c0"), node("Conv", "c0 w1", "c1"), node("Conv", "c1 w2", "y")]
    return make_model(nodes, {"x": (1, 3, 12, 12)}, ["y"], constants)


def test_error():
    a = [RNG.standard_normal((3, 4)).astype(np.float32) for _ in range(2)]
    b = [x + 0.1 * RNG.standard_normal(x.shape).astype(np.float32) for x in a]
    x, y = np.concatenate([v.ravel() for v in a]).astype(float), np.concatenate([v.ravel() for v in b]).astype(float)
    found = error(a, b)
    assert found.sqnr == pytest.approx(
        10 * np.log10(np.var(x - y) + np.mean(x - y) ** 2) * -1 + 10 * np.log10(np.mean(x**2))
    )
    assert found.cosine == pytest.approx(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    assert (error(a, a).sqnr, error(a, a).cosine) == (None, 1.0) and error(a, a).order == math.inf
    nothing = [np.zeros_like(v) for v in a]
    assert error(nothing, a).sqnr == -math.inf and error(a, nothing) == type(found)(0.0, 0.0)


def test_each_layer_alone():
    """The last layer's error, computed here from FP32 inputs and quantized weights and bias."""
    model, data = residual_net(), feeds(count=4)
    ranges = calibrate(model, data, "minmax")
    found = {layer.name: layer for layer in report(model, data, ranges=ranges, min_sqnr=None).layers}
    assert list(found) == ["c0", "c1", "c2", "a", "c3", "g", "e"]
    assert all(20 < layer.sqnr < 70 and 0.99 < layer.cosine <= 1 for layer in found.values())
    graph = graph_of(model)
    x = np.concatenate([reference(exported(graph, [graph._values["f"]]), feed, optimized=False)["f"] for feed in data])
    w, b = (numpy_helper.to_array(t) for t in model.graph.initializer if t.name in ("w4", "b4"))
    w_scale = np.abs(w).max(axis=1, keepdims=True) / 127.0
    w_int8 = np.rint(w / w_scale) * w_scale
    b_scale = (max(x.max(), 0) - min(x.min(), 0)) / 255.0 * w_scale[:, 0]
    b_int8 = np.rint((b - (w_int8 - w) @ x.mean(axis=0)) / b_scale) * b_scale
    expected = error([x.astype(float) @ w.T + b], [x.astype(float) @ w_int8.T + b_int8])
    assert found["e"].sqnr == pytest.approx(expected.sqnr, abs=0.01) == found["e"].output_sqnr
    assert found["e"].cosine == pytest.approx(expected.cosine, abs=1e-7)


def test_all_together():
    model, data = residual_net(), feeds(count=4)
    graph = graph_of(model)
    found = quantize(graph, data, "minmax")
    exact = [reference(model, feed)["y"] for feed in data]
    actual = [sr.Session(graph.to_bytes()).run(None, feed)[0] for feed in data]
    assert error(exact, actual).sqnr > 20
    assert found.output_sqnr < min(layer.output_sqnr for layer in found.layers)
    assert found.skipped == [] and found.feeds == 4 and found.method == "minmax"


def test_sensitive_layers_stay_fp32():
    data = feeds(count=4)
    everything = report(sensitive_net(), data, "minmax", min_sqnr=None)
    worst = min((layer for layer in everything.layers if layer.output_sqnr is not None), key=lambda n: n.output_sqnr)
    assert everything.skipped == [] and worst.name == "c0" and worst.output_sqnr < 3
    graph = graph_of(sensitive_net())
    found = quantize(graph, data, "minmax", min_sqnr=15)
    assert "c0" in found.skipped
    reasons = {layer.name: layer.reason for layer in found.layers}
    assert reasons["c0"] == f"{worst.output_sqnr:.1f} dB at the end, all may leave 15"
    assert "x" not in params_of(graph)


def test_fewest_layers_whose_noise_is_too_much():
    """Four layers of 20 dB leave 14 together, three 15.2."""
    even = dict.fromkeys("abcd", 20.0)
    assert _too_much(even, 13.9) == [] and _too_much(even, 15) == ["a"] and _too_much(even, 18) == ["a", "b", "c"]
    assert _too_much({"a": 30.0, "b": 5.0, "c": -math.inf, "d": math.inf}, 10) == ["c", "b"]
    assert _too_much({"a": -math.inf}, None) == [] and _too_much({}, 10) == []


def test_report_changes_nothing():
    graph = graph_of(residual_net())
    before = str(graph)
    report(graph, feeds(count=2))
    assert str(graph) == before


def test_text():
    text = str(report(residual_net(), feeds(count=2), skip=["c1"]))
    assert "6 of 7 layers INT8, calibrated by percentile on 2 feeds; the worst stay FP32" in text
    assert "skipped by name" in text and "all together at the end: SQNR" in text


def test_everything_skipped():
    graph = graph_of(residual_net())
    found = quantize(graph, feeds(count=2), skip=["*"])
    assert not params_of(graph) and all(not layer.int8 for layer in found.layers) and found.output_sqnr is None
    assert "0 of" in str(found)


def test_names_with_wildcards_in_them():
    """What is skipped by its error is skipped by its exact name."""
    model = sensitive_net()
    for n in model.graph.node[:2]:
        n.output[0] = n.output[0].replace("c", "c[0]*")
    model.graph.node[1].input[0], model.graph.node[2].input[0] = "c[0]*0", "c[0]*1"
    assert "c0" in quantize(graph_of(model), feeds(count=2), "minmax", min_sqnr=15).skipped


def test_progress():
    told = []
    report(residual_net(), feeds(count=2), "minmax", progress=lambda *state: told.append(state))
    assert told == [("calibrating", 1, 2), ("calibrating", 2, 2)] + [("measuring", i + 1, 7) for i in range(7)]


def test_arguments():
    for wrong in (float("nan"), "10"):
        with pytest.raises(sr.ArgumentError, match="min_sqnr="):
            report(residual_net(), feeds(), min_sqnr=wrong)
    with pytest.raises(sr.ArgumentError, match="matches no node"):
        report(residual_net(), feeds(), skip="nothing")


def test_quantized_already():
    graph = graph_of(residual_net())
    quantize(graph, feeds(count=2))
    with pytest.raises(sr.ArgumentError, match="quantized already"):
        quantize(graph, feeds(count=2))
    with pytest.raises(sr.ArgumentError, match="quantized already"):
        sr.convert(exported(graph, graph.outputs), int8=True, calibration=feeds(count=2))


# ---- convert() -------------------------------------------------------------------------------------------------------


def test_convert(tmp_path):
    model, data = residual_net(), feeds(count=4)
    done = sr.convert(model, tmp_path / "m.spr", int8=True, calibration=data, int8_skip=["c3"])
    assert done.quantization.skipped == ["c3"] and "skipped by name" in str(done)
    json.dumps(done.to_dict())
    feed = feeds(seed=9)[0]
    (actual,) = sr.Session(tmp_path / "m.spr").run(None, feed)
    assert np.abs(actual - reference(model, feed)["y"]).max() < 0.03
    assert sr.convert(model).quantization is None


@pytest.mark.parametrize("zeros, encoding", [(0.0, "dense"), (0.7, "bitmap"), (0.9, "bitmap")])
def test_sparse_weights_of_int8(zeros, encoding):
    """Decided on quantized weights; the file holds a byte for each that is not zero, and the zeros survive."""
    w = RNG.standard_normal((64, 64, 1, 1)).astype(np.float32)
    w.reshape(-1)[RNG.permutation(w.size)[: round(zeros * w.size)]] = 0
    model = make_model([node("Conv", "x w", "y")], {"x": (1, 64, 5, 5)}, ["y"], {"w": w})
    done = sr.convert(model, int8=True, calibration=feeds((1, 64, 5, 5)))
    (layer,) = done.layers
    quanta = np.rint(w.reshape(64, -1) / (np.abs(w).reshape(64, -1).max(axis=1, keepdims=True) / 127.0))
    assert layer.sparsity == pytest.approx((quanta == 0).mean()) and layer.sparsity >= (w == 0).mean()
    assert layer.encoding == encoding and layer.dense_bytes == w.size
    if encoding == "bitmap":
        nonzero = (quanta != 0).mean()
        entropy = -nonzero * np.log2(nonzero) - (1 - nonzero) * np.log2(1 - nonzero)
        positions = layer.stored_bytes - (quanta != 0).sum()  # a bitmap, or gaps where they take less
        assert 0.98 * entropy * w.size <= 8 * positions <= w.size and layer.stored_bytes < layer.dense_bytes
    feed = feeds((1, 64, 5, 5), seed=4)[0]
    (actual,) = sr.Session(done.data).run(None, feed)
    assert error([reference(model, feed)["y"]], [actual]).sqnr > 35


def test_convert_arguments():
    with pytest.raises(sr.ArgumentError, match="int8 needs calibration data"):
        sr.convert(residual_net(), int8=True)
    with pytest.raises(sr.ArgumentError, match="int8 is not asked for"):
        sr.convert(residual_net(), calibration=feeds())
    with pytest.raises(sr.ArgumentError, match="int8='false' is neither True nor False"):
        sr.convert(residual_net(), int8="false", calibration=feeds())
    with pytest.raises(sr.ArgumentError, match="'best' is none of"):
        sr.convert(residual_net(), int8=True, calibration=feeds(), calibration_method="best")


def test_pruned_first():
    done = sr.convert(residual_net(), prune=0.75, int8=True, calibration=feeds(count=2))
    sparsity = {layer.name: layer.sparsity for layer in done.layers}
    assert sparsity["c2"] >= 0.75 and sparsity["e"] >= 22 / 30
