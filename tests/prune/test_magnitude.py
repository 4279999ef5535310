"""Magnitude pruning against a plain reference on small graphs made by hand."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sparse_runtime import prune, zoo
from sparse_runtime.prune import magnitude, report


def random(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def graph(nodes, weights):
    """A model whose shapes need not fit: pruning looks at nodes and weights only."""
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("x", "y")]
    tensors = [numpy_helper.from_array(w, name) for name, w in weights.items()]
    return helper.make_model(helper.make_graph(nodes, "g", info[:1], info[1:], tensors))


def node(op, *inputs, name="layer", **attributes):
    return helper.make_node(op, ["x", *inputs], [f"{name}_out"], name=name, **attributes)


def single(op, weight, **attributes):
    return graph([node(op, "w", **attributes)], {"w": weight})


def stored(model, name="w"):
    tensors = {t.name: t for t in model.graph.initializer}
    for n in model.graph.node:
        if n.op_type == "Constant":
            tensors[n.output[0]] = n.attribute[0].t
    return numpy_helper.to_array(tensors[name])


def two_layers():
    weights = {"w1": random(8, 6, 1, 1), "w2": random(5, 7, seed=1) * 3}
    return graph([node("Conv", "w1", name="first"), node("Gemm", "w2", name="second", transB=1)], weights)


# [outputs, inputs] -> as the layer stores it
LAYOUTS = {
    "conv": (lambda m: single("Conv", m[:, :, None, None].copy()), lambda w: w[:, :, 0, 0]),
    "conv1d": (lambda m: single("Conv", m[:, :, None].copy()), lambda w: w[:, :, 0]),
    "gemm": (lambda m: single("Gemm", m.T.copy()), lambda w: w.T),
    "gemm_transb": (lambda m: single("Gemm", m, transB=1), lambda w: w),
    "matmul": (lambda m: single("MatMul", m.T.copy()), lambda w: w.T),
}


def reference(matrix, ratio, height):
    """The kept entries, the slow way: blocks as (score, order, entries), sorted."""
    rows, columns = matrix.shape
    blocks = []
    for top in range(0, rows, height):
        for column in range(columns):
            entries = [(row, column) for row in range(top, min(top + height, rows))]
            blocks.append((sum(abs(float(matrix[e])) for e in entries), len(blocks), entries))
    kept = matrix.copy()
    for _, _, entries in sorted(blocks)[: round(ratio * len(blocks))]:
        for entry in entries:
            kept[entry] = 0
    return kept


@pytest.mark.parametrize("block", [(1, 1), (2, 1)])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rows, columns", [(8, 12), (7, 5), (1, 9), (2, 1), (1, 1)])
@pytest.mark.parametrize("ratio", [0, 0.3, 0.5, 0.75, 1])
def test_smallest_go(layout, rows, columns, ratio, block):
    make, read = LAYOUTS[layout]
    matrix = random(rows, columns, seed=rows)
    pruned = read(stored(magnitude(make(matrix), ratio, block)))
    assert np.array_equal(pruned, reference(matrix, ratio, block[0]))


@pytest.mark.parametrize("block", [(1, 1), (2, 1)])
def test_ties_go_in_order(block):
    matrix = np.ones((4, 6), np.float32) * np.where(np.arange(6) % 2, 1, -1)
    for layout, (make, read) in LAYOUTS.items():
        pruned = read(stored(magnitude(make(matrix.astype(np.float32)), 0.5, block)))
        assert np.array_equal(pruned, reference(matrix, 0.5, block[0])), layout
        assert (pruned == 0).sum() == 12


def test_opposite_signs_do_not_cancel():
    matrix = np.array([[1, 0.1], [-1, 0.1]], np.float32)
    assert np.array_equal(stored(magnitude(single("Gemm", matrix, transB=1), 0.5, (2, 1))), [[1, 0], [-1, 0]])


def test_input_stays_as_it_is(tmp_path):
    model = two_layers()
    before = model.SerializeToString()
    pruned = magnitude(model, 0.5)
    assert model.SerializeToString() == before != pruned.SerializeToString()
    path = tmp_path / "m.onnx"
    path.write_bytes(before)
    wanted = pruned.SerializeToString(deterministic=True)
    for source in (path, str(path), before, bytearray(before)):
        assert magnitude(source, 0.5).SerializeToString(deterministic=True) == wanted
    assert path.read_bytes() == before


def test_everything_but_the_weights_stays():
    model = zoo.build("pp_lcnet", size=32)
    pruned = magnitude(model, 0.8)
    assert [t.name for t in pruned.graph.initializer] == [t.name for t in model.graph.initializer]
    assert list(pruned.graph.node) == list(model.graph.node)
    changed = {
        a.name for a, b in zip(model.graph.initializer, pruned.graph.initializer) if a.raw_data != b.raw_data
    }
    assert changed == {entry.weight for entry in report(model)}


def test_weights_in_an_external_file(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(two_layers(), path, save_as_external_data=True, size_threshold=0, location="weights.bin")
    wanted = magnitude(two_layers(), 0.5)
    pruned = magnitude(path, 0.5)
    for name in ("w1", "w2"):
        assert np.array_equal(stored(pruned, name), stored(wanted, name))
    with pytest.raises(ValueError, match="'w1' lies in an external file"):
        magnitude(path.read_bytes(), 0.5)


def test_what_is_prunable():
    weights = {
        "point": random(4, 4, 1, 1),
        "grouped": random(4, 2, 1, 1),
        "full": random(4, 4, 3, 3),
        "batched": random(2, 4, 4),
        "integer": np.arange(16).reshape(4, 4),
        "half": random(4, 4, dtype=np.float16),
        "double": random(4, 4, dtype=np.float64),
    }
    nodes = [
        node("Conv", "point", name="point"),
        node("Conv", "grouped", name="grouped", group=2),
        node("Conv", "full", name="full"),
        node("MatMul", "batched", name="batched"),
        node("MatMul", "integer", name="integer"),
        node("MatMul", "half", name="half"),
        node("Gemm", "double", name="double"),
        node("MatMul", "x", name="computed"),
        helper.make_node("MatMul", ["point", "x"], ["left"], name="left"),
        helper.make_node("Gemm", ["x", "half"], ["other"], name="other", domain="com.example"),
    ]
    model = graph(nodes, weights)
    assert [entry.name for entry in report(model)] == ["point", "half", "double"]
    pruned = magnitude(model, 0.5)
    for name, weight in weights.items():
        kept = stored(pruned, name)
        assert kept.dtype == weight.dtype
        assert (kept == 0).sum() == (8 if name in ("point", "half", "double") else (weight == 0).sum()), name


def test_weights_behind_constants_and_identities():
    nodes = [
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(random(4, 4), "c")),
        helper.make_node("Identity", ["c"], ["c1"]),
        helper.make_node("Identity", ["c1"], ["c2"]),
        helper.make_node("Identity", ["i"], ["i1"]),
        helper.make_node("Identity", ["loop"], ["loop"]),
        node("MatMul", "c2", name="constant"),
        node("MatMul", "i1", name="initializer"),
        node("MatMul", "loop", name="endless"),
    ]
    model = graph(nodes, {"i": random(4, 4, seed=1)})
    assert [(entry.name, entry.weight) for entry in report(model)] == [("constant", "c"), ("initializer", "i")]
    pruned = magnitude(model, 0.5)
    assert (stored(pruned, "c") == 0).sum() == (stored(pruned, "i") == 0).sum() == 8
    assert (stored(model, "c") == 0).sum() == 0


def shared(first, second):
    return graph([node("Gemm", "w", name="a", **first), node("Gemm", "w", name="b", **second)], {"w": random(6, 5)})


def test_shared_weights_are_pruned_once():
    model = shared({"transB": 1}, {"transB": 1})
    assert np.array_equal(stored(magnitude(model, 0.5, (2, 1))), reference(random(6, 5), 0.5, 2))
    assert [(entry.name, entry.weight) for entry in report(model)] == [("a", "w"), ("b", "w")]
    # Ranked once as well: twelve weights of twelve different layers would come out otherwise.
    assert (stored(magnitude(model, 0.4, scope="global")) == 0).sum() == 12
    for keep in ("a", "b"):
        with pytest.raises(ValueError, match="skip leaves none of the 2"):
            magnitude(model, 0.5, skip=keep)
    assert (stored(magnitude(model, {"b": 0.4})) == 0).sum() == 12
    with pytest.raises(ValueError, match="'w' is shared by a, b"):
        magnitude(model, {"a": 0.4, "b": 0.5})


def test_shared_weights_of_two_orientations():
    model = shared({"transB": 1}, {"transB": 0})
    assert (stored(magnitude(model, 0.4)) == 0).sum() == 12
    with pytest.raises(ValueError, match="'w' of a, b has no common 2x1 blocks"):
        magnitude(model, 0.4, (2, 1))


def test_global_scope_ranks_all_together():
    model = two_layers()
    pruned = magnitude(model, 0.5, scope="global")
    before = np.concatenate([np.abs(stored(model, n)).ravel() for n in ("w1", "w2")])  # 83 values
    after = np.concatenate([stored(pruned, n).ravel() for n in ("w1", "w2")])
    assert np.array_equal(np.sort(before)[:42], np.sort(before[after == 0]))
    counts = [(stored(pruned, n) == 0).mean() for n in ("w1", "w2")]
    assert counts[0] > 0.5 > counts[1]
    blocks = magnitude(model, 0.5, (2, 1), scope="global")
    matrices = [stored(blocks, name).reshape(rows, -1) for name, rows in (("w1", 8), ("w2", 5))]
    gone = sum((np.add.reduceat(np.abs(m), range(0, len(m), 2)) == 0).sum() for m in matrices)
    assert gone == round(0.5 * (4 * 6 + 3 * 7))


def test_ratio_per_layer():
    model = two_layers()
    pruned = magnitude(model, {"second": 0.4})
    assert np.array_equal(stored(pruned, "w1"), stored(model, "w1"))
    assert (stored(pruned, "w2") == 0).sum() == 14


@pytest.mark.parametrize("skip", ["first", ["first"], ["fir*"], ["w1"], ["w[1]"], lambda n, w: w.ndim == 4])
def test_skip(skip):
    pruned = magnitude(two_layers(), 0.5, skip=skip)
    assert (stored(pruned, "w1") == 0).sum() == 0
    assert (stored(pruned, "w2") == 0).sum() == round(0.5 * 35)


def test_skip_may_name_what_is_never_pruned():
    model = zoo.build("resnet18", size=32)
    assert prune.report(magnitude(model, 0.5, skip="stem"))[0].sparsity == pytest.approx(0.5)


def test_nodes_without_names_go_by_their_output():
    model = graph([helper.make_node("MatMul", ["x", "w"], ["product"])], {"w": random(4, 4)})
    assert (stored(magnitude(model, {"product": 0.25})) == 0).sum() == 4
    assert report(model)[0].name == "product"


def test_zeros_count_as_pruned():
    matrix = random(4, 5)
    matrix[:2] = 0
    pruned = stored(magnitude(single("Gemm", matrix, transB=1), 0.5))
    assert np.array_equal(pruned, matrix)


def test_infinities_are_the_largest():
    matrix = random(4, 4)
    matrix[0, :] = [np.inf, -np.inf, np.inf, -np.inf]
    pruned = stored(magnitude(single("Gemm", matrix, transB=1), 0.75))
    assert np.array_equal(pruned[0], matrix[0]) and not pruned[1:].any()


def test_nan_is_an_error_unless_skipped():
    model = two_layers()
    weight = stored(model, "w1").copy()
    weight[3, 2] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w1"))
    with pytest.raises(ValueError, match="'w1' .*'first'.* NaN"):
        magnitude(model)
    assert np.isnan(stored(magnitude(model, skip="first"), "w1")).sum() == 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({"ratio": 1.01}, "ratio must be a number from 0 to 1, not 1.01"),
        ({"ratio": -0.1}, "not -0.1"),
        ({"ratio": float("nan")}, "not nan"),
        ({"ratio": True}, "not True"),
        ({"ratio": "0.5"}, "not '0.5'"),
        ({"ratio": {"first": 2}}, "ratio of 'first' must be a number from 0 to 1, not 2"),
        ({"ratio": {"frist": 0.5}}, "'frist', which is no prunable layer; close to it: first"),
        ({"ratio": {"zzz": 0.5}}, "'zzz'.*prunable layers: first, second"),
        ({"ratio": {}}, "no layer; prunable layers: first, second"),
        ({"ratio": {"first": 0.5}, "scope": "global"}, "one ratio for all"),
        ({"ratio": {"first": 0.5}, "skip": "first"}, "'first' has a ratio and is skipped"),
        ({"block": (4, 1)}, r"block \(4, 1\) is not supported; supported: \(1, 1\), \(2, 1\)"),
        ({"block": (1, 2)}, r"block \(1, 2\)"),
        ({"block": 2}, "block 2 is not supported"),
        ({"scope": "model"}, "'layer', 'global', not 'model'"),
        ({"skip": "thrid*"}, "'thrid.' matches no node and no weight; .*first, second"),
        ({"skip": ["first", "zzz"]}, "'zzz' matches no node"),
        ({"skip": [3]}, "not 3"),
        ({"skip": "*"}, "skip leaves none of the 2"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        magnitude(two_layers(), **options)


def test_bad_models(tmp_path):
    with pytest.raises(ValueError, match="nothing to prune: no 1x1 convolution"):
        magnitude(single("Conv", random(4, 4, 3, 3)))
    with pytest.raises(ValueError, match="the given bytes: not an ONNX model"):
        magnitude(b"not a model")
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError, match="broken.onnx: not an ONNX model"):
        magnitude(path)
    with pytest.raises(FileNotFoundError):
        magnitude(tmp_path / "missing.onnx")
    with pytest.raises(TypeError, match="not int"):
        magnitude(3)


def test_report():
    matrix = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 4]], np.float32)
    for layout, (make, _) in LAYOUTS.items():
        (entry,) = report(make(matrix))
        assert (entry.name, entry.weight, entry.shape) == ("layer", "w", (3, 4)), layout
        assert entry.sparsity == pytest.approx(8 / 12)
        # Pairs at (rows 0-1, column 0), (rows 0-1, column 1); the last row is no pair.
        assert entry.fill_2x1 == pytest.approx(4 / 5)
    (empty,) = report(single("Gemm", np.zeros((4, 4), np.float32)))
    assert (empty.op, empty.sparsity, empty.fill_2x1) == ("Gemm", 1, 1)
    assert report(single("Conv", random(4, 4, 3, 3))) == []


def test_whole_network():
    model = zoo.build("mobilenet_v1", size=32)
    plain, blocks = magnitude(model, 0.9), magnitude(model, 0.9, (2, 1))
    for entries, full in ((report(plain), False), (report(blocks), True)):
        assert [e.op for e in entries] == ["Conv"] * 13 + ["Gemm"]
        assert all(e.sparsity == pytest.approx(0.9, abs=1e-3) for e in entries)
        assert all((e.fill_2x1 == 1) == full for e in entries)
    onnx.checker.check_model(blocks, full_check=True)


def test_published_picodet_recipe():
    entries = {e.name: e for e in report(magnitude(zoo.build("picodet_m", size=32), skip=["head.*.out", "*.se.*"]))}
    assert len(entries) == 105
    assert all(e.sparsity == (0 if n.endswith(".out") or ".se." in n else 0.75) for n, e in entries.items())
