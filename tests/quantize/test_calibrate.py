"""calibrate(): ranges of the tensors of a network against onnxruntime's tensors, and calibration data that does not
do."""

import numpy as np
import onnx
import pytest
from conftest import make_model
from nets import exported, feeds, graph_of, node, residual_net, weights
from oracle import reference

import sparse_runtime as sr
from sparse_runtime.quantize import Range, calibrate
from sparse_runtime.quantize import feeds as feeds_module


def test_ends_and_means_are_onnxruntimes():
    graph, data = graph_of(residual_net()), feeds(count=5)
    ranges = calibrate(graph, data, "minmax")
    assert set(ranges) == {"x", "c0", "c1", "c2", "m", "a", "k", "c3", "g", "f"}
    values = [graph._values[name] for name in ranges if name != "x"]
    runs = [reference(exported(graph, values), feed, optimized=False) for feed in data]
    arrays = {v.name: np.concatenate([run[v.name] for run in runs]) for v in values}
    arrays["x"] = np.concatenate([feed["x"] for feed in data])
    for name, array in arrays.items():
        assert ranges[name].low == pytest.approx(array.min(), abs=1e-5), name
        assert ranges[name].high == pytest.approx(array.max(), abs=1e-5), name
        axes = tuple(i for i in range(array.ndim) if i != (1 if array.ndim == 4 else array.ndim - 1))
        np.testing.assert_allclose(ranges[name].mean, array.mean(axis=axes, dtype=np.float64), atol=1e-5, err_msg=name)


@pytest.mark.parametrize("method", ["percentile", "entropy", "mse"])
def test_other_methods_lie_within(method):
    graph, data = graph_of(residual_net()), feeds(count=3)
    whole, found = calibrate(graph, data, "minmax"), calibrate(graph, data, method)
    assert list(found) == list(whole)
    assert all(whole[n].low <= found[n].low and found[n].high <= whole[n].high for n in whole)
    assert any(whole[n] != found[n] for n in whole)


def test_a_model_and_its_graph_give_the_same():
    assert calibrate(residual_net(), feeds(count=2)) == calibrate(graph_of(residual_net()), feeds(count=2))


def test_generators_and_batches():
    model = residual_net()
    one = calibrate(model, (feed for feed in feeds(count=4)), "minmax")
    together = [{"x": np.concatenate([f["x"] for f in feeds(count=4)])}]
    for name, found in calibrate(model, together, "minmax").items():
        assert found.low == pytest.approx(one[name].low, rel=1e-6) and found.high == pytest.approx(
            one[name].high, rel=1e-6
        )


def test_progress():
    told = []
    calibrate(residual_net(), feeds(count=3), "mse", progress=lambda *state: told.append(state))
    assert told == [("calibrating", i + 1, 6) for i in range(6)]


def test_free_sizes():
    model = make_model([node("Conv", "x w", "y")], {"x": ("N", 3, "H", "W")}, ["y"], weights(w=(4, 3, 1, 1)))
    data = feeds((1, 3, 5, 9), 1) + feeds((2, 3, 8, 4), 1)
    assert calibrate(model, data, "minmax")["x"].high == max(f["x"].max() for f in data)


# ---- data that does not do -------------------------------------------------------------------------------------------


def bad(value):
    array = feeds()[0]["x"].copy()
    array[0, 1, 2, 3] = value
    return {"x": array}


GOOD = feeds(count=1)[0]


@pytest.mark.parametrize(
    "data, message",
    [
        ([], "calibration data is empty"),
        (iter(()), "calibration data is empty"),
        (GOOD, "iterable of feeds.*not a dict"),
        (3, "iterable of feeds.*not a int"),
        ([GOOD["x"]], "calibration feed 0 is a ndarray"),
        ([GOOD, {"z": GOOD["x"]}], "calibration feed 1: there is no input 'z'; the model has 'x'"),
        ([{}], "calibration feed 0 has no array for input 'x'"),
        ([{"x": GOOD["x"].astype(np.float64)}], "'x' is given as float64, the model takes float32"),
        ([{"x": GOOD["x"][0]}], r"'x' is given with shape \[3, 12, 12\], the model takes \[1, 3, 12, 12\]"),
        ([{"x": GOOD["x"][:, :2]}], r"'x' is given with shape \[1, 2, 12, 12\], the model takes \[1, 3, 12, 12\]"),
        ([{"x": GOOD["x"][:0]}], r"'x' is given with shape \[0, 3, 12, 12\]"),
        ([GOOD, bad(np.nan)], "calibration feed 1: input 'x' has NaN values"),
        ([bad(-np.inf)], "calibration feed 0: input 'x' has infinite values"),
    ],
)
def test_bad_data(data, message):
    with pytest.raises(sr.ArgumentError, match=message):
        calibrate(residual_net(), data)


def test_tensor_that_is_not_finite():
    """a: what the convolution makes with the exponential fused into it."""
    nodes = [node("Conv", "x w", "a"), node("Exp", "a", "e"), node("Mul", "e e", "b"), node("Conv", "b v", "y")]
    model = make_model(nodes, {"x": (1, 3, 4, 4)}, ["y"], weights(w=(4, 3, 1, 1), v=(4, 4, 1, 1)))
    data = [*feeds((1, 3, 4, 4), 1), {"x": np.full((1, 3, 4, 4), 1e3, np.float32)}]
    with pytest.raises(sr.ArgumentError, match="tensor 'a' is not finite with calibration feed 1"):
        calibrate(model, data)


def test_constant_data():
    """A network that only ever saw one value has no ranges, and is told so."""
    data = [{"x": np.zeros((1, 3, 12, 12), np.float32)}] * 3
    assert calibrate(residual_net(), data)["x"] == Range(0.0, 0.0, True, (0.0, 0.0, 0.0))
    with pytest.raises(sr.ArgumentError, match="tensor 'x' is 0 throughout the calibration data.*'c0'"):
        sr.convert(residual_net(), int8=True, calibration=data)


def test_nothing_to_quantize():
    model = make_model([node("Relu", "x", "y")], {"x": (1, 3, 12, 12)}, ["y"])
    with pytest.raises(sr.ArgumentError, match="nothing to quantize"):
        calibrate(model, feeds())


def test_unknown_method():
    with pytest.raises(sr.ArgumentError, match="'magic' is none of"):
        calibrate(residual_net(), feeds(), "magic")


# ---- files -----------------------------------------------------------------------------------------------------------


def load(path, model=None):
    return feeds_module.load(graph_of(model or residual_net()), str(path))


def two_inputs(batch=1):
    nodes = [node("Add", "p q", "s"), node("Conv", "s w", "y")]
    return make_model(nodes, {"p": (batch, 3, 4, 4), "q": (batch, 3, 1, 1)}, ["y"], weights(w=(4, 3, 1, 1)))


def test_npz(tmp_path):
    p, q = feeds((6, 3, 4, 4), 1, name="p")[0], feeds((6, 3, 1, 1), 1, name="q")[0]
    np.savez(tmp_path / "c.npz", **p, **q)
    for batch in (1, 2, 3):
        found = load(tmp_path / "c.npz", two_inputs(batch))
        assert len(found) == 6 // batch
        for i, feed in enumerate(found):
            np.testing.assert_array_equal(feed["p"], p["p"][i * batch : (i + 1) * batch])
            np.testing.assert_array_equal(feed["q"], q["q"][i * batch : (i + 1) * batch])


def test_folder(tmp_path):
    """Its files in the order of their names; a sole input goes by any name."""
    for i, feed in enumerate(feeds(count=3)):
        np.save(tmp_path / f"{i}.npy", feed["x"])
    np.savez(tmp_path / "3.npz", anything=np.concatenate([f["x"] for f in feeds(count=2, seed=4)]))
    (tmp_path / "notes.txt").write_text("not an array")
    found = load(tmp_path)
    expected = [*feeds(count=3), *feeds(count=2, seed=4)]
    assert len(found) == 5
    for a, b in zip(found, expected):
        np.testing.assert_array_equal(a["x"], b["x"])


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"p": (4, 3, 4, 4)}, "has 'p'; the model's inputs are 'p', 'q'"),
        ({"p": (4, 3, 4, 4), "r": (4, 3, 1, 1)}, "has 'p', 'r'; the model's inputs are"),
        ({"p": (4, 3, 4, 4), "q": (2, 3, 1, 1)}, "different numbers of samples.*'p': 4, 'q': 2"),
        ({"p": (4, 3, 4), "q": (4, 3, 1, 1)}, r"'p' has shape \[4, 3, 4\]; it takes rank 4"),
    ],
)
def test_bad_npz(tmp_path, arrays, message):
    np.savez(tmp_path / "c.npz", **{name: np.zeros(shape, np.float32) for name, shape in arrays.items()})
    with pytest.raises(sr.ArgumentError, match=message):
        load(tmp_path / "c.npz", two_inputs())


def test_bad_files(tmp_path):
    with pytest.raises(sr.ModelIOError, match="nowhere.npz': no such file"):
        load(tmp_path / "nowhere.npz")
    with pytest.raises(sr.ArgumentError, match="has no .npz and no .npy files"):
        load(tmp_path)
    (tmp_path / "c.npz").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(sr.ArgumentError, match="not a .npy or .npz file"):
        load(tmp_path / "c.npz")
    np.save(tmp_path / "five.npy", np.zeros((5, 3, 4, 4), np.float32))
    model = make_model([node("Conv", "x w", "y")], {"x": (2, 3, 4, 4)}, ["y"], weights(w=(4, 3, 1, 1)))
    with pytest.raises(sr.ArgumentError, match="a multiple of 2"):
        load(tmp_path / "five.npy", model)
    np.save(tmp_path / "bytes.npy", np.zeros((2, 3, 12, 12), np.uint8))
    with pytest.raises(sr.ArgumentError, match="bytes.npy, sample 0: input 'x' is given as uint8"):
        calibrate(residual_net(), tmp_path / "bytes.npy")
    np.save(tmp_path / "none.npy", np.zeros((0, 3, 12, 12), np.float32))
    with pytest.raises(sr.ArgumentError, match="empty"):
        calibrate(residual_net(), tmp_path / "none.npy")


def test_path(tmp_path):
    onnx.save(residual_net(), tmp_path / "m.onnx")
    np.savez(tmp_path / "c.npz", x=np.concatenate([f["x"] for f in feeds(count=4)]))
    assert calibrate(tmp_path / "m.onnx", tmp_path / "c.npz") == calibrate(residual_net(), feeds(count=4))
