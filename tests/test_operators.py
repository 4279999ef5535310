"""Operators one by one, in what ONNX's own cases (test_onnx_backend.py) leave out: empty tensors, all element types,
extremes."""

import itertools

import numpy as np
import pytest
from conftest import make_model
from onnx import TensorProto, helper, shape_inference
from oracle import reference

import sparse_runtime as sr
from sparse_runtime.importers import import_model
from sparse_runtime.ir import Graph

F32, I64 = np.float32, np.int64


# ---- nothing at all ----------------------------------------------------------------------------------------

def empty_cases():
    def w(*shape):
        return np.ones(shape, F32)

    yield "Conv", {"w": w(2, 3, 1, 1)}, {}
    yield "Conv", {"w": w(2, 3, 1, 1)}, {"strides": [2, 2]}
    yield "Conv", {"w": w(2, 3, 3, 3)}, {"pads": [1] * 4}
    yield "Conv", {"w": w(3, 1, 3, 3)}, {"pads": [1] * 4, "group": 3, "strides": [2, 2]}
    yield "Conv", {"w": w(2, 3, 3, 3)}, {"auto_pad": "SAME_LOWER"}
    for op in ("MaxPool", "AveragePool"):
        yield op, {}, {"kernel_shape": [1, 1]}
        yield op, {}, {"kernel_shape": [3, 3], "pads": [1] * 4, "strides": [2, 2]}
    for op in ("Relu", "Sigmoid", "Softmax", "Identity", "LeakyRelu"):
        yield op, {}, {}
    yield "PRelu", {"slope": w(3, 1, 1)}, {}
    yield "Add", {"b": w(3, 1, 1)}, {}
    yield "Add", {"b": w(1)}, {}
    yield "BatchNormalization", {k: w(3) for k in "abcd"}, {}
    for axes in ([1], [0, 1]):
        yield "ReduceMean", {"axes": np.array(axes)}, {"keepdims": 0}
        yield "ReduceSum", {"axes": np.array(axes)}, {}
    yield "Flatten", {}, {"axis": 1}
    yield "Transpose", {}, {"perm": [3, 1, 0, 2]}
    yield "Unsqueeze", {"axes": np.array([0])}, {}
    yield "Tile", {"repeats": np.array([1, 2, 1, 3])}, {}
    slices = {"starts": [0, -1], "ends": [9, -9], "axes": [1, 3], "steps": [2, -1]}
    yield "Slice", {name: np.array(values) for name, values in slices.items()}, {}
    yield "Gather", {"indices": np.array([2, 0])}, {"axis": 1}
    yield "Pad", {"pads": np.array([0, 1, 0, 0, 0, 0, 0, 0])}, {}
    yield "Concat", {"b": w(0, 0, 0, 0)}, {"axis": 1}
    yield "Resize", {"roi": w(0), "scales": np.array([1, 1, 2, 2], F32)}, {"mode": "linear"}
    yield "MatMul", {}, {}
    yield "Equal", {"b": w(3, 1, 1)}, {}
    yield "ArgMax", {}, {"axis": 1}
    yield "TopK", {"K": np.array([2])}, {"axis": 1}
    yield "CumSum", {"axis": np.array(1)}, {}
    yield "GatherND", {"indices": np.zeros((0, 2), I64)}, {}
    yield "ScatterND", {"indices": np.zeros((0, 4), I64), "updates": w(0)}, {}
    yield "Cast", {}, {"to": TensorProto.INT8}
    yield "Reshape", {"shape": np.array([0, 0, -1])}, {}
    yield "Split", {"split": np.array([1, 2])}, {"axis": 1}


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0), (0, 3, 0, 0)], ids=str)
@pytest.mark.parametrize("op, constants, attrs",
                         [pytest.param(*case, id=f"{case[0]}{i}") for i, case in enumerate(empty_cases())])
def test_empty_tensors(op, constants, attrs, shape):
    """Of empty tensors, only the shape can be wrong, which ONNX's inference tells."""
    inputs, feeds, outputs = ["x", *constants], {"x": shape}, ["y", "z"] if op in ("Split", "TopK") else ["y"]
    if op == "Concat":
        constants = {"b": np.ones((shape[0], 2, *shape[2:]), F32)}
    elif op == "MatMul":
        inputs, feeds = ["x", "b"], {"x": shape, "b": (*shape[:2], shape[3], 6)}
    model = make_model([helper.make_node(op, inputs, outputs, **attrs)], feeds, outputs, constants, opset=18)
    for info in model.graph.output:
        kinds = {"ArgMax": TensorProto.INT64, "Equal": TensorProto.BOOL, "TopKz": TensorProto.INT64}
        kind = kinds.get(op, kinds.get(op + info.name, TensorProto.FLOAT))
        info.type.tensor_type.elem_type = attrs.get("to", kind)
    inferred = shape_inference.infer_shapes(model)
    expected = [tuple(d.dim_value for d in o.type.tensor_type.shape.dim) for o in inferred.graph.output]
    if "strides" in attrs:  # there it divides -1 by 2 towards zero, where the specification has floor
        kernel = attrs.get("kernel_shape") or constants["w"].shape[2:]
        planes = [(d + 2 * attrs.get("pads", [0])[0] - k) // 2 + 1 for d, k in zip(shape[2:], kernel)]
        expected = [(*expected[0][:2], *planes)]
    elif op == "Reshape":  # which ONNX's inference knows where the dimensions taken over are not empty
        expected = [(*shape[:2], shape[2] * shape[3])]
    arrays = [np.zeros(s, F32) for s in feeds.values()]
    for threads in (1, 2):
        actual = sr.Session(import_model(model).to_bytes(), threads=threads).run(None, dict(zip(feeds, arrays)))
        assert [a.shape for a in actual] == expected
        for a in actual:  # not empty are only sums of nothing, and means, 0 / 0
            assert np.isnan(a).all() if op == "ReduceMean" else not a.any()


@pytest.mark.parametrize("rows, inner, columns", [((2,), 0, 3), ((2,), 3, 0), ((2, 4), 0, 3), ((0,), 0, 0)])
@pytest.mark.parametrize("op, attrs", [("MatMul", {}), ("FusedMatMul", {"domain": "com.microsoft"}), ("Gemm", {}),
                                       ("Gemm", {"transB": 1, "alpha": 0.5, "beta": 2.0}),
                                       ("Einsum", {"equation": "...a,ab->...b"})])
def test_products_with_empty_constants(op, attrs, rows, inner, columns):
    """Sums of nothing, and matrices without columns."""
    shape = (*rows, inner)
    weights = np.ones((columns, inner) if "transB" in attrs else (inner, columns), F32)
    constants = {"w": weights} | ({"b": np.full(columns, 5, F32)} if op == "Gemm" else {})
    if op == "Gemm" and len(rows) > 1:
        shape = (8, inner)
    model = make_model([helper.make_node(op, ["x", *constants], ["y"], **attrs)], {"x": shape}, ["y"], constants)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    feeds = {"x": np.ones(shape, F32)}
    (y,) = sr.Session(sr.convert(model).data).run(None, feeds)
    np.testing.assert_array_equal(y, reference(model, feeds)["y"])


OF_NOTHING = {"Sum": (0, 0), "L1": (0, 0), "SumSquare": (0, 0), "Prod": (1, 1), "Max": (-np.inf, "min"),
              "Min": (np.inf, "max"), "L2": (0,), "LogSum": (-np.inf,), "LogSumExp": (-np.inf,), "Mean": (np.nan, 0)}


@pytest.mark.parametrize("op, dtype", [(op, dtype) for op, numbers in OF_NOTHING.items()
                                       for dtype in (F32, np.float64, I64, np.int32)[: 2 * len(numbers)]])
def test_reductions_of_nothing(op, dtype):
    """As ONNX defines them; the mean, which it calls undefined, is NaN for its reference and 0 for onnxruntime."""
    number = OF_NOTHING[op][dtype not in (F32, np.float64)]
    number = getattr(np.iinfo(dtype), number) if isinstance(number, str) else number
    for shape, axes, left in (((2, 0, 3), [1], (2, 1, 3)), ((0, 3), [0, 1], (1, 1)), ((0, 0), [1], (0, 1))):
        kind = np.dtype(dtype)
        model = make_model([helper.make_node("Reduce" + op, ["x", "a"], ["y"])], {"x": (kind, shape)},
                           {"y": helper.np_dtype_to_tensor_dtype(kind)}, {"a": np.array(axes)}, 18)
        (y,) = sr.Session(sr.convert(model).data).run(None, {"x": np.zeros(shape, dtype)})
        np.testing.assert_array_equal(y, np.full(left, number, dtype))
        if op != "Mean":
            np.testing.assert_array_equal(y, reference(model, {"x": np.zeros(shape, dtype)})["y"])


def test_concatenation_needs_equal_shapes_of_empty_parts_too():
    """As ONNX has it. onnxruntime takes these where shapes are free, and makes a row of [2, 7] of which 3 columns are
    not written."""
    model = make_model([helper.make_node("Concat", ["x", "z"], ["y"], axis=1)], {"x": ("a", "b"), "z": ("c", "d")},
                       ["y"])
    session = sr.Session(sr.convert(model).data)
    for shape in ((0, 3), (0, 0), (3, 0)):
        with pytest.raises(sr.ShapeError, match="should agree"):
            session.run(None, {"x": np.zeros(shape, F32), "z": np.ones((2, 4), F32)})
    (y,) = session.run(None, {"x": np.zeros((2, 0), F32), "z": np.ones((2, 4), F32)})
    np.testing.assert_array_equal(y, np.ones((2, 4), F32))


def test_windows_of_nothing_but_padding():
    """An image without lines, padded by as many as the kernel has, has an output line: of zeros, or of the bias."""
    model = make_model([helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[2] * 4)], {"x": (1, 3, 0, 5)}, ["y"],
                       {"w": np.ones((2, 3, 3, 3), F32), "b": np.array([1, -2], F32)})
    y = sr.Session(import_model(model).to_bytes())(np.zeros((1, 3, 0, 5), F32))
    np.testing.assert_array_equal(y, np.broadcast_to(np.array([1, -2], F32)[:, None, None], (1, 2, 2, 7)))


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pool_of_nothing(op):
    model = make_model([helper.make_node(op, ["x"], ["y"])], {"x": (1, 3, 0, 5)}, ["y"])
    with pytest.raises(sr.ShapeError, match="no pixels"):
        sr.Session(import_model(model).to_bytes())


# ---- single operators --------------------------------------------------------------------------------------

def run(op, *arrays, constants=(), out=None, opset=18, **attrs):
    """The output of one operator for `arrays`, with arrays of `constants` as its further inputs."""
    feeds = {f"x{i}": np.asarray(a) for i, a in enumerate(arrays)}
    stored = {f"c{i}": np.asarray(c) for i, c in enumerate(constants)}
    model = make_model([helper.make_node(op, [*feeds, *stored], ["y"], **attrs)],
                       {n: (a.dtype, a.shape) for n, a in feeds.items()},
                       {"y": helper.np_dtype_to_tensor_dtype(np.dtype(out or feeds["x0"].dtype))}, stored, opset)
    return sr.Session(import_model(model).to_bytes()).run(None, feeds)[0]


DTYPES = [np.dtype(d) for d in ("float32", "float64", "float16", "uint8", "int8", "uint16", "int16", "uint32", "int32",
                                "uint64", "int64", "bool")]


@pytest.mark.parametrize("to", DTYPES, ids=str)
@pytest.mark.parametrize("source", DTYPES, ids=str)
def test_cast(source, to):
    """As numpy, of what both types can hold; integers wrap."""
    if source.kind == "f":
        values = np.array([0, -0.0, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 99.99, 127, 6e-8, 3.1e-5])
        values = np.append(values, [-1, -1.5, -127.5] if to.kind != "u" else [])
        more = [np.inf, -np.inf, np.nan, 65519, 1e-8] + [65520] * (source != np.float16)
        values = np.append(values, more if to.kind in "fb" else []).astype(source)
    elif source.kind == "b":
        values = np.array([True, False])
    else:
        limits = np.iinfo(source)
        values = np.array([0, 1, 2, 100, limits.max, limits.max - 1, limits.min, limits.min // 2 + 1], source)
    for x in (values, np.resize(values, (2, 3, 5, 7))):
        with np.errstate(over="ignore"):
            expected = x.astype(to)
        actual = run("Cast", x, out=to, to=helper.np_dtype_to_tensor_dtype(to))
        np.testing.assert_array_equal(actual, expected)
        np.testing.assert_array_equal(np.signbit(actual), np.signbit(expected))


def test_every_half_is_kept():
    """0 became 0.25."""
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    wide = run("Cast", halves, out=F32, to=TensorProto.FLOAT)
    with np.errstate(invalid="ignore"):  # of signalling NaNs
        np.testing.assert_array_equal(wide, halves.astype(F32))
    back = run("Cast", wide, out=np.float16, to=TensorProto.FLOAT16)
    np.testing.assert_array_equal(back, halves)
    between = (wide[1:31743].astype(np.float64) + wide[2:31744]) / 2  # ties, and next to them
    for values in (between, np.nextafter(between, 0), np.nextafter(between, np.inf)):
        actual = run("Cast", values, out=np.float16, to=TensorProto.FLOAT16)
        np.testing.assert_array_equal(actual, values.astype(np.float16))


REDUCTIONS = {"ReduceMax": np.max, "ReduceMin": np.min, "ReduceSum": np.sum, "ReduceProd": np.prod,
              "ReduceMean": lambda x, axis, keepdims: np.trunc(np.mean(x, axis, keepdims=keepdims)),
              "ReduceL1": lambda x, axis, keepdims: np.sum(np.abs(x), axis, keepdims=keepdims),
              "ReduceSumSquare": lambda x, axis, keepdims: np.sum(x * x, axis, keepdims=keepdims)}


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32", "uint64"])
@pytest.mark.parametrize("op", REDUCTIONS)
def test_reduce_integers(op, dtype):
    rng = np.random.default_rng(3)
    x = rng.integers(-9 if dtype[0] == "i" else 0, 9, (2, 3, 5, 7)).astype(dtype)
    for axes, keep in (((1,), 1), ((0, 3), 0), ((2, 3), 1), ((0, 1, 2, 3), 0)):
        actual = run(op, x, constants=[np.array(axes)], keepdims=keep)
        np.testing.assert_array_equal(actual, REDUCTIONS[op](x, axis=axes, keepdims=bool(keep)).astype(dtype))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "bool", "uint64", "int64", "float64"])
@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMin"])
def test_reduce_to_extremes(op, dtype):
    """The largest numbers too, which a double does not hold; of nothing, the type's own limit."""
    limits = {"bool": (False, True), "float64": (-np.inf, np.inf)}
    low, high = limits[dtype] if dtype in limits else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    near = high if dtype in limits else high - 1
    x = np.array([[high, low], [low, low], [near, high], [high, near], [high, high]], dtype)
    axis = [np.array([1])]
    np.testing.assert_array_equal(run(op, x, constants=axis, opset=20), REDUCTIONS[op](x, axis=1, keepdims=True))
    empty = run(op, np.zeros((2, 0), dtype), constants=axis, opset=20)
    np.testing.assert_array_equal(empty, np.full((2, 1), low if op == "ReduceMax" else high, dtype))


def test_integer_sums_are_exact():
    x = np.array([2**62, 2**62 - 1, 3, -(2**61)])
    assert run("ReduceSum", x, constants=[np.array([0])]) == x.sum()
    assert run("ReduceProd", np.array([3037000499, 3037000499]), constants=[np.array([0])]) == 3037000499**2


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32", "uint64"])
def test_integer_powers_are_exact(dtype):
    base = np.array([3, 7, 10, 2, 1, 0, 0, 5, 2**16 + 1, 3], dtype)
    exponent = np.array([13, 9, 9, 31, 60, 0, 5, 1, 2, 40], dtype)
    np.testing.assert_array_equal(run("Pow", base, exponent), base**exponent)
    if dtype[0] == "i":
        base, exponent = np.array([-3, 2, 1, -1, -1, 0], dtype), np.array([3, -1, -5, -5, -4, -2], dtype)
        np.testing.assert_array_equal(run("Pow", base, exponent), np.array([-27, 0, 1, -1, 1, 0], dtype))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float64"])
@pytest.mark.parametrize("op, f", [("Add", np.add), ("Sub", np.subtract), ("Mul", np.multiply), ("Max", np.maximum),
                                   ("Min", np.minimum)])
def test_arithmetic_of_all_types(op, f, dtype):
    """Integers wrap as numpy's."""
    a = np.random.default_rng(4).integers(0, 256, (2, 3, 5, 7)).astype("uint8").astype(dtype)
    b = np.random.default_rng(5).integers(0, 256, (3, 1, 7)).astype("uint8").astype(dtype)
    np.testing.assert_array_equal(run(op, a, b), f(a, b))
    np.testing.assert_array_equal(run(op, b, a), f(b, a))


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint64"])
def test_integer_division(dtype):
    """Towards zero; the smallest number by -1 wraps, by zero gives zero: neither may end the process."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    a, b = np.array([7, high, 5, high, 0], dtype), np.array([2, 3, 0, high, 9], dtype)
    np.testing.assert_array_equal(run("Div", a, b), np.array([3, high // 3, 0, 1, 0], dtype))
    if low:
        a, b = np.array([-7, low, low, 7, -7], dtype), np.array([2, -1, 1, -2, -2], dtype)
        np.testing.assert_array_equal(run("Div", a, b), np.array([-3, low, low, -3, 3], dtype))


@pytest.mark.parametrize("shape", [(2, 3, 7), (2, 3, 2, 3, 4), (2, 3, 5, 7), (1, 4, 1, 1)])
@pytest.mark.parametrize("op, f", [("GlobalAveragePool", np.mean), ("GlobalMaxPool", np.max)])
def test_global_pools_of_any_rank(op, f, shape):
    """Signals and volumes were pooled as if they were images."""
    x = np.random.default_rng(6).standard_normal(shape).astype(F32)
    np.testing.assert_allclose(run(op, x), f(x, axis=tuple(range(2, x.ndim)), keepdims=True), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("isa", [None, "avx2", "ref"])
def test_mean_of_many_equal_numbers(isa):
    """Each step of one long sum of them is rounded the same way: by 0.06 % of the mean for 0.1, as in onnxruntime."""
    x = np.full((1, 2, 512, 511), 0.1, F32)
    model = make_model([helper.make_node("GlobalAveragePool", ["x"], ["y"])], {"x": x.shape}, ["y"])
    try:
        session = sr.Session(import_model(model).to_bytes(), isa=isa)
    except sr.UnsupportedError:
        pytest.skip(f"this CPU has no {isa}")
    np.testing.assert_allclose(session(x), x[:, :, :1, :1], rtol=1e-5)


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("shape, axis", [((2, 5, 9, 70), 1), ((3, 200), 1), ((3, 70), 0), ((2, 3, 5, 7), 2), ((9,), 0)])
def test_arg_of_floats_as_of_doubles(op, last, shape, axis):
    """Floats have loops of their own; NaN is above all numbers, ties and both zeros are equal."""
    x = np.random.default_rng(8).choice(np.array([-1, -0.0, 0, 1, 2, np.nan, np.inf], F32), shape)
    for array in (x, np.nan_to_num(x)):
        found = run(op, array, out=np.int64, axis=axis, select_last_index=last)
        exact = run(op, array.astype(np.float64), out=np.int64, axis=axis, select_last_index=last)
        np.testing.assert_array_equal(found, exact)
        if not np.isnan(array).any():
            flipped = np.flip(array, axis) if last else array
            best = getattr(np, op.lower())(flipped, axis=axis, keepdims=True)
            np.testing.assert_array_equal(found, array.shape[axis] - 1 - best if last else best)


@pytest.mark.parametrize("zero", [-128, -7, 0, 127])
def test_quantizing_of_everything(zero):
    """To the even one of two; what is out of range, and infinite, at the end; NaN is low."""
    x = np.concatenate([np.arange(-300, 300, 0.25), [1e10, -1e10, 3e38, np.inf, -np.inf, np.nan]]).astype(F32)
    exact = np.clip(np.rint(np.nan_to_num(x.astype(np.float64), nan=-1e9)) + zero, -128, 127).astype(np.int8)
    for shift, dtype in ((0, np.int8), (128, np.uint8)):
        found = run("QuantizeLinear", x, constants=[F32(1), dtype(zero + shift)],
                    out=dtype)
        np.testing.assert_array_equal(found.astype(int), exact.astype(int) + shift)


@pytest.mark.parametrize("shape, axis", [((7, 300, 2), 2), ((300, 3, 5), 1), ((2, 600), 1), ((2, 511, 2), 1)])
def test_softmax_of_short_and_long_lines(shape, axis):
    """Some are done at a time; NaN and infinities stay in their line."""
    x = np.random.default_rng(9).uniform(-9, 9, shape).astype(F32)
    lines = np.moveaxis(x, axis, -1).reshape(-1, shape[axis])
    lines[3 % len(lines), 0], lines[1, 1] = np.nan, -np.inf
    x = np.moveaxis(lines.reshape(np.moveaxis(x, axis, -1).shape), -1, axis)
    e = np.exp(x.astype(np.float64) - x.max(axis, keepdims=True))
    np.testing.assert_allclose(run("Softmax", x, axis=axis), e / e.sum(axis, keepdims=True), rtol=1e-5, atol=1e-30)


def test_work_of_roi_align_is_counted():
    boxes = helper.make_node("RoiAlign", ["x", "b", "i"], ["y"], sampling_ratio=3, output_height=2, output_width=5)
    model = make_model([boxes], {"x": (1, 3, 9, 9), "b": (7, 4)}, ["y"], {"i": np.zeros(7, np.int64)})
    (layer,) = sr.Session(import_model(model).to_bytes()).explain()
    assert layer.macs == 4 * 3**2 * 7 * 3 * 2 * 5


@pytest.mark.parametrize("step", [1, 3, -1, -2, 2**63 - 1, -(2**63), 2**62])
@pytest.mark.parametrize("start, end",
                         [(0, 2**63 - 1), (-1, -(2**63)), (2, -1), (-(2**63), 2**63 - 1), (4, -9), (1, 2)])
def test_slices_beyond_all_bounds(start, end, step):
    x = np.random.default_rng(7).standard_normal((2, 3, 5, 6)).astype(F32)
    for axis in (2, 0, 3):
        clamped = step < 0 and start < -x.shape[axis]  # into the axis, says ONNX, where numpy takes nothing
        begin = -x.shape[axis] if clamped else start
        index = (slice(None),) * axis + (slice(begin, end, step),)
        actual = run("Slice", x, constants=[np.array([v]) for v in (start, end, axis, step)])
        np.testing.assert_array_equal(actual, x[index])


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 6, 4, 8), (2, 5, 6, 1), (1, 11, 2, 9), (2, 7, 9, 3)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8])
def test_transpose(dtype, shape):
    """Every order, of even and odd sizes: rows that become columns go by fours and pairs."""
    x = np.random.default_rng(3).integers(0, 256, shape).astype(dtype)
    for rank in (2, 3, 4):
        part = x.reshape(*shape[: rank - 1], -1)
        for perm in itertools.permutations(range(rank)):
            np.testing.assert_array_equal(run("Transpose", part, perm=list(perm)), part.transpose(perm))


@pytest.mark.parametrize("perm", [(0, 2, 3, 1), (0, 3, 1, 2)])
@pytest.mark.parametrize("shape", [(1, 81, 33, 37), (2, 65, 83, 3)], ids=str)
def test_transpose_by_threads(shape, perm):
    x = np.random.default_rng(4).standard_normal(shape).astype(F32)
    model = make_model([helper.make_node("Transpose", ["x"], ["y"], perm=perm)], {"x": x.shape}, ["y"])
    with sr.Session(import_model(model).to_bytes(), threads=3) as session:
        np.testing.assert_array_equal(session(x), x.transpose(perm))


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8, 11, 16, 33])
@pytest.mark.parametrize("threads", [1, 3])
def test_every_other_element(width, threads):
    """Slices with a step of 2 and blocks of 2, in vectors where there are enough; with threads, lines cut in two."""
    x = np.random.default_rng(5).standard_normal((2, 8, 34, width)).astype(F32)
    for start, step in ((0, 2), (1, 2), (2, 3), (-1, -2)):
        end = 2**31 - 1 if step > 0 else -(2**31)
        sliced = run("Slice", x, constants=[np.array([v]) for v in (start, end, 3, step)])
        np.testing.assert_array_equal(sliced, x[..., start::step])
    for b in (1, 2):
        for mode in ("DCR", "CRD"):
            split = (b, b, 8 // b**2) if mode == "DCR" else (8 // b**2, b, b)
            order = (0, 3, 4, 1, 5, 2) if mode == "DCR" else (0, 1, 4, 2, 5, 3)
            wide = x.reshape(2, *split, 34, width).transpose(order).reshape(2, 8 // b**2, 34 * b, width * b)
            node = helper.make_node("DepthToSpace", ["x"], ["y"], blocksize=b, mode=mode)
            model = import_model(make_model([node], {"x": x.shape}, ["y"]))
            with sr.Session(model.to_bytes(), threads=threads) as session:
                np.testing.assert_array_equal(session(x), wide)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_moving_elements_of_any_type(dtype):
    """Padding lanes of planes are counted in elements of each size."""
    x = (np.random.default_rng(8).integers(0, 256, (2, 4, 3, 7)) % (2 if dtype.kind == "b" else 256)).astype(dtype)
    take, pads = np.array([3, 0, -2]), np.array([0, 1, 1, 0, 0, 0, 2, 3])
    widths, four = list(zip(pads[:4], pads[4:])), np.array([1, 4, 1, 1])
    np.testing.assert_array_equal(run("Transpose", x, perm=[0, 3, 1, 2]), x.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(run("Gather", x, constants=[take], axis=1), x[:, take])
    np.testing.assert_array_equal(run("Pad", x, constants=[pads]), np.pad(x, widths))
    np.testing.assert_array_equal(run("Pad", x, constants=[pads], mode="edge"), np.pad(x, widths, mode="edge"))
    np.testing.assert_array_equal(run("Tile", x, constants=[np.array([1, 2, 1, 2])]), np.tile(x, (1, 2, 1, 2)))
    np.testing.assert_array_equal(run("Expand", x[:, :1], constants=[four]), x[:, :1].repeat(4, 1))
    np.testing.assert_array_equal(run("Concat", x, x[:, :1], axis=1), np.concatenate([x, x[:, :1]], 1))
    np.testing.assert_array_equal(run("Concat", x, x[..., :2], axis=3), np.concatenate([x, x[..., :2]], 3))
    np.testing.assert_array_equal(run("Reshape", x, constants=[np.array([7, -1])]), x.reshape(7, -1))
    np.testing.assert_array_equal(run("Slice", x, constants=[np.array([v]) for v in (-1, -9, 3, -2)]), x[..., ::-2])
    np.testing.assert_array_equal(run("ConstantOfShape", np.zeros(0, I64), out=F32), np.float32(0))
    blocks = x.reshape(2, 1, 2, 2, 3, 7).transpose(0, 1, 4, 2, 5, 3).reshape(2, 1, 6, 14)
    np.testing.assert_array_equal(run("DepthToSpace", x, blocksize=2, mode="CRD"), blocks)
    np.testing.assert_array_equal(run("SpaceToDepth", blocks, blocksize=2, mode="CRD", opset=28), x)
    bigger = run("Resize", x, constants=[np.zeros(0, F32), np.zeros(0, F32), np.array([2, 4, 6, 14])], mode="nearest")
    np.testing.assert_array_equal(bigger, x.repeat(2, 2).repeat(2, 3))


def test_nan_and_infinity_in_reductions():
    x = np.array([[1, np.nan, 3], [np.inf, 1, 2], [-np.inf, 0, 1], [-np.inf] * 3], F32)
    axis = [np.array([1])]
    np.testing.assert_array_equal(run("ReduceMax", x, constants=axis, keepdims=0), [np.nan, np.inf, 1, -np.inf])
    np.testing.assert_array_equal(run("ReduceMin", x, constants=axis, keepdims=0), [np.nan, 1, -np.inf, -np.inf])
    y = run("ReduceLogSumExp", x, constants=axis, keepdims=0)
    np.testing.assert_array_equal(y[[0, 1, 3]], [np.nan, np.inf, -np.inf])
    y = run("Softmax", x, axis=1)
    assert np.isnan(y[[0, 1, 3]]).any(1).all()
    np.testing.assert_allclose(y[2], [0, 1 / (1 + np.e), np.e / (1 + np.e)], rtol=1e-5)


# ---- comparing and searching -------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != np.float16], ids=str)
def test_comparisons_of_all_types(dtype):
    """With the extremes of the type, broadcast from the left and the right; NaN equals nothing."""
    limits = {"f": [np.nan, np.inf, -np.inf, -0.0, 0.0, 1.5], "b": [False, True]}
    edges = limits.get(dtype.kind) or [np.iinfo(dtype).min, np.iinfo(dtype).max, 0, 1, np.iinfo(dtype).max - 1]
    rng = np.random.default_rng(9)
    a, b = (rng.choice(np.array(edges, dtype), shape) for shape in ((2, 3, 5, 7), (3, 1, 7)))
    table = [("Equal", np.equal), ("Less", np.less), ("Greater", np.greater), ("LessOrEqual", np.less_equal),
             ("GreaterOrEqual", np.greater_equal)]
    for op, f in table if dtype.kind != "b" else table[:1]:
        np.testing.assert_array_equal(run(op, a, b, out=bool), f(a, b))
        np.testing.assert_array_equal(run(op, b, a, out=bool), f(b, a))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_where_of_all_types(dtype):
    rng = np.random.default_rng(10)
    a, b = (rng.integers(0, 2, shape).astype(dtype) * (1 if dtype.kind == "b" else 100)
            for shape in ((2, 3, 5, 7), (5, 1)))
    condition = rng.integers(0, 2, (3, 1, 7)).astype(bool)
    a, b = a.astype(dtype), b.astype(dtype)
    np.testing.assert_array_equal(run("Where", condition, a, b, out=dtype), np.where(condition, a, b))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64", "float32", "float64"])
def test_searching_ties_and_extremes(dtype):
    """The first of equals counts, the largest numbers too, which a double does not hold; NaN is above all."""
    if dtype[0] == "f":
        x = np.array([1, -np.inf, np.inf, 1, -0.0, 0.0, np.inf, np.nan, -1], dtype)
        order = np.array([7, 2, 6, 0, 3, 4, 5, 8, 1])
    else:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        x = np.array([1, low, high, 1, low, high - 1, high, 0, 2], dtype)
        order = np.array(sorted(range(9), key=lambda i: -int(x[i])))
    assert run("ArgMax", x, out=I64, axis=0) == order[0]
    assert run("ArgMin", x, out=I64, axis=0) == 1
    for k in range(len(x) + 1):
        for shape in ((9,), (1, 9, 1, 1), (1, 1, 1, 9)):
            axis = shape.index(9)
            model = make_model([helper.make_node("TopK", ["x", "k"], ["v", "i"], axis=axis)],
                               {"x": (x.dtype, shape)}, {"v": helper.np_dtype_to_tensor_dtype(x.dtype),
                                                         "i": TensorProto.INT64}, {"k": np.array([k])})
            values, indices = sr.Session(import_model(model).to_bytes()).run(None, {"x": x.reshape(shape)})
            np.testing.assert_array_equal(indices.ravel(), order[:k])
            np.testing.assert_array_equal(values.ravel(), x[order[:k]])


def test_searching_on_threads():
    x = np.random.default_rng(11).standard_normal((2, 50, 33, 31)).astype(F32)
    model = make_model([helper.make_node("TopK", ["x", "k"], ["v", "i"], axis=1),
                        helper.make_node("CumSum", ["x", "a"], ["s"]),
                        helper.make_node("ArgMax", ["x"], ["m"], axis=1)], {"x": x.shape},
                       {"v": TensorProto.FLOAT, "i": TensorProto.INT64, "s": TensorProto.FLOAT, "m": TensorProto.INT64},
                       {"k": np.array([7]), "a": np.array(1)})
    data, order = import_model(model).to_bytes(), np.argsort(-x, 1, kind="stable")[:, :7]
    for threads in (1, 3):
        v, i, s, m = sr.Session(data, threads=threads).run(None, {"x": x})
        np.testing.assert_array_equal(i, order)
        np.testing.assert_array_equal(v, np.take_along_axis(x, order, 1))
        np.testing.assert_allclose(s, x.astype(np.float64).cumsum(1), atol=1e-5)
        np.testing.assert_array_equal(m, x.argmax(1, keepdims=True))


@pytest.mark.parametrize("op", ["GatherElements", "GatherND", "ScatterElements", "ScatterND"])
def test_indices_out_of_range_stay_inside(op):
    """They come at run time: undefined by the specification, they may not read or write beyond the tensor."""
    x, wild = np.arange(12, dtype=F32).reshape(3, 4), np.array([[2**62, -(2**63)], [2**63 - 1, -9]])
    if op.startswith("Gather"):
        assert np.isin(run(op, x, wild), x).all()
    else:
        updates = np.full((2, 2) if op == "ScatterElements" else (2,), 99, F32)
        assert np.isin(run(op, x, wild, updates), [99, *x.ravel()]).all()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "uint64", "float64"])
def test_mod_of_all_types(dtype):
    """The sign of the divisor, or of the dividend; by zero, zero, and the smallest number by -1: neither may end the
    process."""
    signed = np.dtype(dtype).kind != "u"
    a = np.array([7, 8, 100, 0, 5] + ([-7, -8, 7, -7] if signed else []), dtype)
    b = np.array([3, 4, 7, 9, 6] + ([3, 4, -3, -3] if signed else []), dtype)
    if dtype != "float64":
        np.testing.assert_array_equal(run("Mod", a, b), np.mod(a, b))
        low = np.array([np.iinfo(dtype).min, 5], dtype)
        assert not run("Mod", low, np.array([-1 if signed else 1, 0]).astype(dtype)).any()
    np.testing.assert_array_equal(run("Mod", a, b, fmod=1), np.fmod(a, b))


def test_ranges_of_extremes():
    """Counted exactly, though the difference of the bounds overflows; too long ones are refused."""
    low, high = -(2**63), 2**63 - 1
    cases = [(low, high, 2**62), (high, low, -(2**62)), (high - 5, high, 2), (0, 0, 1), (5, 1, 1),
             (2**53, 2**53 + 3, 1)]
    for start, limit, delta in cases:
        actual = _range(start, limit, delta)
        np.testing.assert_array_equal(actual, np.array(range(start, limit, delta), I64))
    with pytest.raises(sr.SparseRuntimeError, match="2\\^31 elements"):
        _range(0, 2**40, 1)
    with pytest.raises(sr.SparseRuntimeError, match="should not be 0"):
        _range(0, 1, 0)


def _range(start, limit, delta):
    """By the core: the importer would compute a Range of constants."""
    graph = Graph()
    given = [graph.add_const(name, np.array(v, I64)) for name, v in zip("sld", (start, limit, delta))]
    graph.add_input("unused", "float32", [1])
    graph.outputs.append(graph.add_node("Range", given, "range").output)
    return sr.Session(graph.to_bytes()).run(None, {"unused": np.zeros(1, F32)})[0]


@pytest.mark.parametrize("op, gates", [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_sequences_without_times_or_members(op, gates):
    """Of nothing, the state stays what it was."""
    rng = np.random.default_rng(12)
    w, r = rng.standard_normal((1, gates * 5, 3)), rng.standard_normal((1, gates * 5, 5))
    start = np.ones((1, 2, 5), F32)
    for time, batch in ((0, 2), (4, 0)):
        model = make_model([helper.make_node(op, ["x", "w", "r", "", "", "h"], ["y", "last"], hidden_size=5)],
                           {"x": (time, batch, 3)}, ["y", "last"],
                           {"w": w.astype(F32), "r": r.astype(F32), "h": start[:, :batch]}, 14)
        session = sr.Session(import_model(model).to_bytes(), threads=2)
        y, last = session.run(None, {"x": np.zeros((time, batch, 3), F32)})
        assert y.shape == (time, 1, batch, 5)
        np.testing.assert_array_equal(last, start[:, :batch])


@pytest.mark.parametrize("op, gates", [("LSTM", 4), ("GRU", 3)])
def test_sequences_on_threads(op, gates):
    rng = np.random.default_rng(13)
    x = rng.standard_normal((20, 7, 24)).astype(F32)
    model = make_model([helper.make_node(op, ["x", "w", "r"], ["y"], hidden_size=40, direction="bidirectional")],
                       {"x": x.shape},
                       ["y"], {"w": rng.standard_normal((2, gates * 40, 24)).astype(F32) / 5,
                               "r": rng.standard_normal((2, gates * 40, 40)).astype(F32) / 6}, 14)
    data, expected = import_model(model).to_bytes(), reference(model, {"x": x})["y"]
    outputs = [sr.Session(data, threads=threads).run(None, {"x": x})[0] for threads in (1, 3)]
    np.testing.assert_allclose(outputs[0], expected, atol=1e-5)
    np.testing.assert_array_equal(*outputs)
