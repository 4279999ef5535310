"""convert(): what is stored how and why, arguments, the report, the file."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from agree import assert_close, random_feeds
from conftest import make_model
from onnx import TensorProto, helper
from oracle import reference

import sparse_runtime as sr

RNG = np.random.default_rng(31)


def weights(*shape, zeros=0.0, blocks=False):
    """Normal floats of which exactly round(zeros * size) are zero; with blocks, pairs of rows have the same pattern."""
    values = RNG.standard_normal(shape).astype(np.float32)
    matrix = values.reshape(shape[0], -1)
    if blocks:
        even = shape[0] // 2 * 2
        pattern = np.repeat(_pattern((even // 2) * matrix.shape[1], zeros).reshape(even // 2, -1), 2, axis=0)
        matrix[:even][pattern] = 0
    else:
        values.reshape(-1)[_pattern(values.size, zeros)] = 0
    return values


def _pattern(size, zeros):
    pattern = np.zeros(size, bool)
    pattern[RNG.permutation(size)[: round(zeros * size)]] = True
    return pattern


def conv(weight, **attrs):
    group = attrs.get("group", 1)
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="it", **attrs)
    return make_model([node], {"x": (1, weight.shape[1] * group, 5, 7)}, ["y"], {"w": weight})


def gemm(weight):
    node = helper.make_node("Gemm", ["x", "w"], ["y"], name="it", transB=1)
    return make_model([node], {"x": (3, weight.shape[1])}, ["y"], {"w": weight})


def only(model, **kwargs):
    """The report of the only layer, after checking that the file does what the model does."""
    report = sr.convert(model, **kwargs)
    session = sr.Session(report.data)
    feeds = random_feeds(model)
    assert_close(dict(zip([o.name for o in session.outputs], session.run(None, feeds))), reference(model, feeds), 1e-5)
    (layer,) = report.layers
    (explained,) = [entry for entry in session.explain() if entry.op in ("Conv", "FullyConnected")]
    assert layer.sparsity == pytest.approx(explained.sparsity) and layer.stored_bytes == explained.weight_bytes
    return layer


# ---- encodings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "zeros, encoding", [(0.0, "dense"), (0.45, "dense"), (0.5, "bitmap"), (0.9, "bitmap"), (1.0, "bitmap_2x1")]
)
@pytest.mark.parametrize(
    "layer",
    [
        lambda w: conv(w.reshape(24, 40, 1, 1)),
        gemm,
        lambda w: conv(w.reshape(24, 40, 1, 1), strides=[2, 2]),
        lambda w: conv(w.reshape(48, 20, 1, 1), group=2),
        lambda w: conv(w.reshape(24, 10, 2, 2)),
    ],
)
def test_encoding_by_sparsity(layer, zeros, encoding):
    report = only(layer(weights(24, 40, zeros=zeros)))
    assert report.encoding == encoding
    assert (
        report.stored_bytes == report.dense_bytes if encoding == "dense" else report.stored_bytes < report.dense_bytes
    )
    assert ("<" if zeros < 0.5 else ">=") in report.reason and "threshold 0.5" in report.reason


@pytest.mark.parametrize("threshold, encoding", [(0.0, "bitmap"), (0.6, "bitmap"), (0.60001, "dense"), (1.0, "dense")])
def test_threshold(threshold, encoding):
    layer = only(gemm(weights(20, 30, zeros=0.6)), sparse_threshold=threshold)
    assert layer.encoding == encoding
    assert layer.reason.startswith("sparsity 0.60 < threshold 0.60001" if threshold == 0.60001 else "sparsity 0.60")


def test_a_reason_shows_which_side_of_the_threshold():
    assert only(gemm(weights(20, 50, zeros=0.499))).reason == "sparsity 0.499 < threshold 0.5"


@pytest.mark.parametrize("rows", [24, 25])
def test_blocks(rows):
    layer = only(gemm(weights(rows, 40, zeros=0.75, blocks=True)))
    assert layer.encoding == "bitmap_2x1" and layer.fill_2x1 == 1.0 and "2x1 fill 1.00 >= 0.9" in layer.reason


def test_nearly_full_blocks():
    weight = weights(24, 40, zeros=0.75, blocks=True)
    rows, columns = np.nonzero(weight)
    for share, encoding in ((0.15, "bitmap_2x1"), (0.3, "bitmap")):
        holes = weight.copy()
        first = np.flatnonzero(rows % 2 == 0)
        chosen = first[: round(share * len(first))]
        holes[rows[chosen], columns[chosen]] = 0
        layer = only(gemm(holes))
        assert layer.encoding == encoding and layer.fill_2x1 == pytest.approx(1 - share / 2, abs=0.01)


def test_one_row_is_no_block():
    assert only(gemm(weights(1, 40, zeros=0.75))).encoding == "bitmap"


def test_depthwise_stays_dense():
    layer = only(conv(weights(8, 1, 3, 3, zeros=0.9), group=8))
    assert layer.encoding == "dense" and "depthwise" in layer.reason


@pytest.mark.parametrize(
    "sparse, zeros, encoding, reason",
    [
        ("always", 0.3, "bitmap", "sparse='always'"),
        ("always", 0.0, "dense", "no zeros"),
        ("never", 0.9, "dense", "sparse='never'"),
        (False, 0.9, "dense", "sparse='never'"),
        (True, 0.9, "bitmap", "sparsity 0.90"),
        (True, 0.1, "dense", "sparsity 0.10"),
    ],
)
def test_policies(sparse, zeros, encoding, reason):
    layer = only(gemm(weights(20, 30, zeros=zeros)), sparse=sparse)
    assert layer.encoding == encoding and layer.reason.startswith(reason)


def test_negative_zeros_count():
    weight = weights(20, 30, zeros=0.6)
    weight[weight == 0] = -0.0
    assert only(gemm(weight)).encoding == "bitmap"


def test_nan_and_infinite_weights_are_no_zeros():
    weight = weights(20, 30, zeros=0.6)
    weight[0, :2] = np.nan, np.inf
    report = sr.convert(gemm(weight))
    assert report.layers[0].sparsity == pytest.approx(np.mean(weight == 0))


def test_weights_that_are_read_as_data_stay_dense():
    weight = weights(6, 6, 1, 1, zeros=0.8)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], name="it"),
        helper.make_node("Add", ["z", "w"], ["s"], name="sum"),
    ]
    shared = make_model(nodes, {"x": (1, 6, 3, 3), "z": (6, 6, 1, 1)}, ["y", "s"], {"w": weight})
    feeds = random_feeds(shared)
    report = sr.convert(shared)
    assert (report.layers[0].encoding, report.layers[0].reason) == ("dense", "node 'sum' reads these weights as data")
    assert_close(dict(zip(["y", "s"], sr.Session(report.data).run(None, feeds))), reference(shared, feeds))


def test_weights_of_two_layers_are_stored_once():
    weight = weights(64, 64, 1, 1, zeros=0.8)
    nodes = [helper.make_node("Conv", ["x", "w"], ["h"]), helper.make_node("Conv", ["h", "w"], ["y"])]
    twice = make_model(nodes, {"x": (1, 64, 4, 4)}, ["y"], {"w": weight})
    report = sr.convert(twice)
    assert [layer.encoding for layer in report.layers] == ["bitmap", "bitmap"]
    assert report.file_bytes < 1.5 * report.layers[0].stored_bytes


# ---- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", ["true", "True", "TRUE", "false", "on", "Auto", "", "model", None, 1, 0, ["auto"]])
def test_wrong_sparse(sparse):
    with pytest.raises(sr.ArgumentError, match="'auto', 'always', 'never', True .* False"):
        sr.convert(gemm(weights(4, 4)), sparse=sparse)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, "0.5", None, True, float("nan"), [0.5]])
def test_wrong_threshold(threshold):
    with pytest.raises(sr.ArgumentError, match="sparse_threshold"):
        sr.convert(gemm(weights(4, 4)), sparse_threshold=threshold)


@pytest.mark.parametrize("block", [None, (1, 1), (2, 1), "1x1", "2x1"])
def test_prune(block):
    layer = only_pruned(block)
    assert layer.sparsity == pytest.approx(0.75)
    assert layer.encoding == ("bitmap_2x1" if block in ((2, 1), "2x1") else "bitmap")


def only_pruned(block):
    model = gemm(weights(24, 40))
    before = model.SerializeToString()
    (layer,) = sr.convert(model, prune=0.75, block=block).layers
    assert model.SerializeToString() == before
    return layer


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"block": "2x1"}, "prune is not given"),
        ({"prune": 0.5, "block": "2by1"}, "'2x1'"),
        ({"prune": 0.5, "block": (3, 1)}, "3, 1"),
        ({"prune": 1.5}, "ratio"),
        ({"prune": 0.5, "block": 2}, "block"),
    ],
)
def test_wrong_pruning(kwargs, message):
    with pytest.raises(sr.ArgumentError, match=message):
        sr.convert(gemm(weights(4, 4)), **kwargs)


def test_input_shapes():
    model = conv(weights(4, 3, 1, 1))
    report = sr.convert(model, input_shapes={"x": (None, 3, 9, 9)})
    assert report.inputs == {"x": (-1, 3, 9, 9)}
    assert sr.Session(report.data).inputs[0].shape == (None, 3, 9, 9)
    with pytest.raises(sr.ArgumentError, match="the inputs are: x"):
        sr.convert(model, input_shapes={"q": (1,)})


# ---- the report and the file ---------------------------------------------------------------------


def network():
    nodes = [
        helper.make_node("Conv", ["x", "a"], ["h"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Conv", ["r", "b"], ["c"], name="second"),
        helper.make_node("Conv", ["c", "d"], ["y"], name="third"),
    ]
    return make_model(
        nodes,
        {"x": (1, 3, 8, 8)},
        ["y"],
        {"a": weights(16, 3, 3, 3), "b": weights(32, 16, 1, 1, zeros=0.8), "d": weights(10, 32, 1, 1, zeros=0.3)},
    )


def test_report():
    report = sr.convert(network())
    assert [layer.name for layer in report.layers] == ["first", "second", "third"]
    assert report.sparse_layers == 1 and report.passes["fuse_activation"] == 1
    assert report.dense_bytes == 4 * (16 * 27 + 32 * 16 + 10 * 32) and report.stored_bytes < report.dense_bytes
    assert report.file_bytes == len(report.data) and report.free == {"batch": True, "planes": True}
    text = str(report)
    for wanted in (
        "second",
        "32x16x1x1",
        "80.",
        "bitmap",
        "sparsity 0.30 < threshold 0.5",
        "1 of 3 layers sparse",
        "fuse_activation 1",
    ):
        assert wanted in text
    as_dict = json.loads(json.dumps(report.to_dict()))
    assert as_dict["layers"][1]["encoding"] == "bitmap" and as_dict["sparse_layers"] == 1 and "data" not in as_dict


def test_long_names_are_shortened():
    model = network()
    model.graph.node[2].name = "block/" * 40 + "end"
    line = next(line for line in str(sr.convert(model)).splitlines() if line.startswith("block/"))
    assert len(line) < 200 and "end" in line


def test_file(tmp_path):
    source, target = tmp_path / "m.onnx", tmp_path / "m.spr"
    onnx.save(network(), str(source))
    report = sr.convert(source, target)
    assert report.data is None and report.path == str(target) and report.model == str(source)
    assert target.stat().st_size == report.file_bytes
    assert target.read_bytes() == sr.convert(str(source)).data
    assert f"sparse-runtime {sr.__version__}".encode() in target.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx", "m.spr"]


def test_file_that_cannot_be_written(tmp_path):
    with pytest.raises(sr.ModelIOError, match="no/such/folder"):
        sr.convert(network(), tmp_path / "no/such/folder/m.spr")
    for call in (lambda path: sr.convert(network(), path), sr.Session):
        with pytest.raises(sr.ModelIOError, match="zero bytes"):
            call(str(tmp_path / "m.spr\0"))
    with pytest.raises(sr.ArgumentError, match="path=5 is not a path"):
        sr.convert(network(), 5)
    (tmp_path / "m.spr").mkdir()
    with pytest.raises(sr.ModelIOError, match="m.spr"):
        sr.convert(network(), tmp_path / "m.spr")
    assert [p.name for p in tmp_path.iterdir()] == ["m.spr"]


def test_what_is_no_plain_file_is_written_to(tmp_path):
    """It was replaced by the model: /dev/null too, for who may do so."""
    pipe, link, plain = tmp_path / "pipe", tmp_path / "link", tmp_path / "plain"
    os.mkfifo(pipe)
    link.symlink_to(plain)
    model = network()
    data = sr.convert(model).data
    with ThreadPoolExecutor() as pool:
        got = pool.submit(pipe.read_bytes)
        sr.convert(model, pipe)
    assert got.result() == data and pipe.is_fifo()
    sr.convert(model, link)
    assert link.is_symlink() and plain.read_bytes() == data
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "pipe", "plain"]


def test_threads_may_write_one_file(tmp_path):
    """All through a barrier of their writes, as two benchmarks did that needed one network."""
    model, path, start = network().SerializeToString(), str(tmp_path / "m.spr"), threading.Barrier(4)

    def convert():
        start.wait()
        for _ in range(5):
            sr.convert(model, path)

    with ThreadPoolExecutor(4) as pool:
        for job in [pool.submit(convert) for _ in range(4)]:
            job.result()
    assert (tmp_path / "m.spr").read_bytes() == sr.convert(model).data
    assert [p.name for p in tmp_path.iterdir()] == ["m.spr"]


def test_same_model_same_bytes():
    model = network()
    assert sr.convert(model).data == sr.convert(model).data


def test_notes_of_models_whose_sizes_are_not_known():
    model = network()
    for i in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[i].dim_param = "size"
    model.graph.node.append(helper.make_node("Add", ["y", "k"], ["z"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights(1, 10, 21, 23), "k"))
    model.graph.output[0].name = "z"
    report = sr.convert(model)
    assert "note: no passes were run: give input_shapes" in str(report)
    assert not sr.convert(model, input_shapes={"x": (1, 3, 21, 23)}).notes


def test_convert_stays_a_function(tmp_path):
    """Whatever is used first: the module of the same name took its place."""
    path = tmp_path / "m.onnx"
    onnx.save(sr.zoo.build("mobilenet_v1", size=32), path)
    for first in (f"sr.Session({str(path)!r})", "import sparse_runtime.onnx_backend"):
        code = f"import sparse_runtime as sr; {first}; assert sr.convert({str(path)!r}).data"
        subprocess.run([sys.executable, "-c", code], check=True,
                       env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})


@pytest.mark.parametrize("batch", [2, "N"])
def test_all_nodes_that_inference_refuses_are_named(batch):
    """With what each was given and takes; those that follow from others are not."""
    nodes = [
        helper.make_node("Det", ["x"], ["unused"]),
        helper.make_node("Add", ["h", "h"], ["a"], name="first"),
        helper.make_node("Neg", ["a"], ["b"], name="behind"),
        helper.make_node("ReduceSum", ["i"], ["c"], name="second"),
        helper.make_node("CumSum", ["k", "axis"], ["d"], name="third"),
        helper.make_node("Relu", ["x"], ["y"], name="fine"),
    ]
    model = make_model(nodes, {"x": (batch, 3), "h": (np.dtype("bool"), (batch, 3)),
                               "i": (np.dtype("int8"), (batch, 3)),
                               "k": (np.dtype("int8"), (2,))},
                               {"b": TensorProto.BOOL, "c": TensorProto.INT8, "d": TensorProto.INT8,
                                "y": TensorProto.FLOAT}, {"axis": np.array(0)})
    with pytest.raises(sr.UnsupportedError) as raised:
        sr.convert(model)
    text = str(raised.value)
    for wanted in ("node 'first' (Binary): input 'h' bool [", "supported: float32, float64, int8",
                   "node 'second' (Reduce): input 'i' int8 [", "node 'third' (CumSum): input 'k' int8 ["):
        assert wanted in text, text
    assert "behind" not in text and "fine" not in text and "unused" not in text
