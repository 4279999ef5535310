"""The zoo against the published facts of its networks; shapes and multiply-adds come from onnx shape inference."""

import functools

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, shape_inference

from sparse_runtime import zoo

# Trainable parameters with BatchNormalization left in place, multiply-adds of all Conv, Gemm and MatMul.
FACTS = {
    "mobilenet_v1": (4_231_976, 568_740_352),
    "mobilenet_v2": (3_504_872, 300_774_272),
    "mobilenet_v3_small": (2_542_856, 56_510_400),
    "mobilenet_v3_large": (5_483_032, 216_589_760),
    "pp_lcnet": (2_952_520, 155_700_480),
    "shufflenet_v2": (2_278_604, 144_907_992),
    "picodet_m": (2_152_554, 716_313_120),
    "resnet18": (11_689_512, 1_814_073_344),
}
SMALL = {"picodet_m": 64}  # pixels for quick runs, else 48
OPSETS = [9, 10, 11, 14, 21]  # where an operator is spelled differently; 13 is the default


build = functools.cache(zoo.build)


def weights(model):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def shapes(model):
    graph = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    infos = [*graph.value_info, *graph.output, *graph.input]
    return {v.name: [d.dim_value or d.dim_param for d in v.type.tensor_type.shape.dim] for v in infos}


def attribute(node, name):
    return next(onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name)


def kind(node, weight):
    """Of a convolution: pointwise, depthwise or full."""
    if weight.shape[2:] == (1, 1):
        return "pointwise"
    return "depthwise" if attribute(node, "group") == len(weight) > 1 else "full"


def multiply_adds(model):
    """{node name: (kind, multiply-adds)}."""
    shape, weight, macs = shapes(model), weights(model), {}
    for node in model.graph.node:
        if node.op_type == "Conv":
            w = weight[node.input[1]]
            macs[node.name] = kind(node, w), int(np.prod(shape[node.output[0]])) * w[0].size
        elif node.op_type in ("Gemm", "MatMul"):
            macs[node.name] = "fc", shape[node.output[0]][0] * weight[node.input[1]].size
    return macs


def run(model, seed=0, shape=None, outputs=None):
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    shape = shape or session.get_inputs()[0].shape
    x = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return dict(zip(outputs or [o.name for o in session.get_outputs()], session.run(outputs, {"x": x})))


def relative_error(got, wanted):
    return np.abs(got - wanted).max() / np.ptp(wanted)


def test_names():
    assert zoo.names() == list(FACTS)


@pytest.mark.parametrize("name", FACTS)
def test_published_size(name):
    model = build(name, fold_bn=False)
    trained = [w for key, w in weights(model).items() if not key.startswith("const_")]
    statistics = sum(w.size for key, w in weights(model).items() if key.endswith((".bn.mean", ".bn.var")))
    parameters, macs = FACTS[name]
    assert sum(w.size for w in trained) - statistics == parameters
    assert sum(m for _, m in multiply_adds(model).values()) == macs
    assert multiply_adds(build(name)) == multiply_adds(model)


def test_mobilenet_v1_is_mostly_pointwise():
    macs = [(k, m) for k, m in multiply_adds(build("mobilenet_v1")).values() if k != "fc"]
    pointwise = sum(m for k, m in macs if k == "pointwise")
    assert pointwise / sum(m for _, m in macs) == pytest.approx(0.95, abs=0.001)
    assert [k for k, _ in macs] == ["full"] + ["depthwise", "pointwise"] * 13


def test_picodet_structure():
    model = build("picodet_m")
    macs = multiply_adds(model)
    kinds = [k for k, _ in macs.values()]
    assert (len(kinds), kinds.count("pointwise"), kinds.count("depthwise"), kinds.count("full")) == (149, 105, 43, 1)
    shape = shapes(model)
    pooled = [n for n in model.graph.node if n.op_type == "Conv" and shape[n.output[0]][2:] == [1, 1]]
    assert len(pooled) == 26 and all(".se." in n.name for n in pooled)

    total = sum(m for _, m in macs.values())
    pointwise = {name: m for name, (k, m) in macs.items() if k == "pointwise"}
    assert sum(pointwise.values()) / total == pytest.approx(0.918, abs=0.0005)
    # The published recipe leaves the four outputs (and six SE convolutions, next to nothing) dense.
    recipe = sum(m for name, m in pointwise.items() if not name.endswith(".out")) / total
    assert recipe == pytest.approx(0.876, abs=0.0005)
    assert 1 / (1 - 0.75 * recipe) == pytest.approx(2.91, abs=0.01)
    assert 1 / (1 - 0.85 * recipe) == pytest.approx(3.91, abs=0.01)

    rows = [40 * 40, 20 * 20, 10 * 10, 5 * 5]
    outputs = [[d.dim_value for d in o.type.tensor_type.shape.dim] for o in model.graph.output]
    assert outputs == [[1, n, 80] for n in rows] + [[1, n, 32] for n in rows]


@pytest.mark.slow
@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("name", FACTS)
def test_every_opset_is_valid_and_the_same_function(name, opset):
    model = zoo.build(name, opset=opset, size=SMALL.get(name, 48), batch=2)
    onnx.checker.check_model(model, full_check=True)
    assert [i.version for i in model.opset_import] == [opset]
    reference = run(build(name, size=SMALL.get(name, 48), batch=2))
    for output, got in run(model).items():
        assert relative_error(got, reference[output]) < 1e-5, output


@pytest.mark.slow
@pytest.mark.parametrize("name", FACTS)
def test_activations_stay_of_order_one(name):
    model = zoo.build(name, seed=3)
    ends = [o.name for o in model.graph.output]
    inner = [o for n in model.graph.node if n.op_type in ("Conv", "Gemm", "MatMul") for o in n.output if o not in ends]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(o, onnx.TensorProto.FLOAT, None) for o in inner)
    values = run(model)
    for output, value in values.items():
        assert np.isfinite(value).all(), output
        if output in inner or output == "logits":
            assert 0.3 < np.sqrt(np.mean(np.square(value))) < 6, output
    other = run(model, seed=1, outputs=ends)
    for output in ends:
        assert values[output].std() > 0.05, output
        # Random networks tend to ignore their input, which would blind every comparison made with them.
        assert np.sqrt(np.mean(np.square(values[output] - other[output]))) > 0.01 * np.ptp(values[output]), output


@pytest.mark.slow
@pytest.mark.parametrize("name", FACTS)
def test_batch_norm_left_or_folded_is_the_same_function(name):
    size = SMALL.get(name, 48)
    left, folded = zoo.build(name, size=size, fold_bn=False), build(name, size=size)
    onnx.checker.check_model(left, full_check=True)
    ops = [n.op_type for n in left.graph.node]
    assert ops.count("BatchNormalization") > 10
    assert "BatchNormalization" not in [n.op_type for n in folded.graph.node]
    reference = run(folded)
    for output, got in run(left).items():
        assert relative_error(got, reference[output]) < 1e-4, output


@pytest.mark.slow
@pytest.mark.parametrize("name", FACTS)
def test_dynamic_takes_any_batch_and_size(name):
    model = zoo.build(name, dynamic=True)
    onnx.checker.check_model(model, full_check=True)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ["N", 3, "H", "W"]
    assert all(o.type.tensor_type.shape.dim[0].dim_param == "N" for o in model.graph.output)
    static = zoo.build(name, size=(64, 96), batch=3)
    reference = run(static)
    for output, got in run(model, shape=(3, 3, 64, 96)).items():
        assert got.shape == reference[output].shape
        assert relative_error(got, reference[output]) < 1e-5, output


@pytest.mark.slow
@pytest.mark.parametrize("name", FACTS)
def test_seed_decides_the_weights(name):
    first, again, other = build(name), zoo.build(name), zoo.build(name, seed=1)
    assert first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    mine, its = weights(first), weights(other)
    assert mine.keys() == its.keys()
    for key in mine:
        assert mine[key].shape == its[key].shape
        assert np.array_equal(mine[key], its[key]) == key.startswith("const_"), key


@pytest.mark.slow
@pytest.mark.parametrize("name", ["picodet_m", "mobilenet_v3_small", "shufflenet_v2"])
def test_options_do_not_change_the_weights(name):
    def layers(model):
        return {key: w for key, w in weights(model).items() if not key.startswith("const_")}

    reference = layers(build(name))
    for options in ({"size": 64}, {"batch": 4}, {"opset": 18}, {"dynamic": True}):
        got = layers(zoo.build(name, **options))
        assert got.keys() == reference.keys()
        assert all(np.array_equal(got[key], reference[key]) for key in got), options


@pytest.mark.parametrize("name", FACTS)
def test_weights_are_signed_and_biases_nonzero(name):
    for key, w in weights(build(name)).items():
        if key.endswith(".weight"):
            assert 0.3 < (w > 0).mean() < 0.7, key
        elif key.endswith(".bias"):
            assert w.all(), key


@functools.cache
def ops(name, **options):
    return [node.op_type for node in zoo.build(name, size=SMALL.get(name, 48), **options).graph.node]


def test_exporter_habits():
    for name in ("mobilenet_v3_small", "mobilenet_v3_large"):
        assert {"Add", "Clip", "Mul", "Div"} <= set(ops(name)) and "HardSwish" not in ops(name)
        assert "HardSwish" in ops(name, opset=14) and not {"Clip", "Div"} & set(ops(name, opset=14))
    clip = next(n for n in build("mobilenet_v2", opset=10).graph.node if n.op_type == "Clip")
    assert (len(clip.input), attribute(clip, "min"), attribute(clip, "max")) == (1, 0, 6)
    clip = next(n for n in build("mobilenet_v2", opset=11).graph.node if n.op_type == "Clip")
    assert len(clip.input) == 3 and not clip.attribute
    assert "Constant" in ops("mobilenet_v2") and "Constant" not in ops("mobilenet_v3_large")
    assert "Flatten" in ops("mobilenet_v2") and "Reshape" in ops("mobilenet_v1")
    assert "ReduceMean" in ops("shufflenet_v2") and "MatMul" in ops("pp_lcnet")
    assert {"Reshape", "Transpose", "Split"} <= set(ops("shufflenet_v2"))
    assert "Upsample" in ops("picodet_m", opset=9) and "Resize" in ops("picodet_m", opset=10)
    for name in ("mobilenet_v1", "mobilenet_v3_large", "resnet18"):
        gemm = next(n for n in build(name).graph.node if n.op_type == "Gemm")
        assert attribute(gemm, "transB") == 1


def test_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match="'mobilenet'") as error:
        zoo.build("mobilenet")
    assert all(name in str(error.value) for name in zoo.names())


@pytest.mark.parametrize(
    "options, message",
    [
        ({"opset": 8}, "opset must be an integer from 9 to .*, not 8"),
        ({"opset": 1000}, "not 1000"),
        ({"seed": -1}, "seed must be an integer of at least 0, not -1"),
        ({"batch": 0}, "batch must be an integer of at least 1, not 0"),
        ({"batch": 1.5}, "not 1.5"),
        ({"size": 0}, "size must be an integer of at least 1, not 0"),
        ({"size": (32, 32, 32)}, "height, width"),
        ({"size": 330}, "multiples of 32, not 330"),
        ({"size": "320"}, "not '320'"),
        ({"dynamic": True, "size": 64}, "dynamic"),
        ({"dynamic": True, "batch": 2}, "dynamic"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        zoo.build("picodet_m", **options)
