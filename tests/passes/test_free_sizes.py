"""Models that leave sizes free, at sizes other than those that the converter looks at, by onnxruntime: where constants
happen to be as large as what is looked at, and where free dimensions of several names have to broadcast."""

import numpy as np
import pytest
from agree import ops, rewritten
from conftest import make_model
from onnx import helper
from oracle import reference

import sparse_runtime as sr
from sparse_runtime.importers import import_model
from sparse_runtime.passes import probes

RNG = np.random.default_rng(71)
SIZES = probes._PLANES[0]  # what a free plane is looked at with first


def f(*shape):
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def node(op, inputs, output="y", **attrs):
    return helper.make_node(op, ["" if i == "-" else i for i in inputs.split()], [output], name=op + output, **attrs)


def compare(nodes, inputs, shapes, **constants):
    """At each of `shapes` [per input]: equal to onnxruntime, or both refuse. Returns how many were run."""
    made = make_model(nodes, inputs, ["y"], constants, 18)
    data, count = sr.convert(made).data, 0
    for shape in shapes:
        feeds = {name: f(*dims) for name, dims in zip(inputs, shape if isinstance(shape, list) else [shape])}
        try:
            expected = reference(made, feeds, optimized=False)["y"]
        except Exception:  # onnxruntime's own, of no common type
            with pytest.raises(sr.SparseRuntimeError):
                sr.Session(data).run(None, feeds)
            continue
        (got,) = sr.Session(data).run(None, feeds)
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
        count += 1
    return count


@pytest.mark.parametrize("size", [*probes._PLANES, 1, 2])
def test_an_expansion_to_a_size_that_is_looked_at(size):
    shapes = [(1, 4, 1, 1), (1, 4, 5, 1), (1, 4, size, 1), (1, 4, 5, size), (1, 4, 5, 7)]
    assert compare([node("Relu", "x", "a"), node("Expand", "a s")], {"x": (1, 4, "h", "w")}, shapes,
                   s=[1, 1, 1, size]) == (5 if size == 1 else 4)


@pytest.mark.parametrize("dims, target, shapes, runs", [
    (("n", "c"), [-1, SIZES], [(1, SIZES), (5, 64), (2, SIZES), (1, 640), (3, 100)], 4),
    ((1, 4, "h", "w"), [1, 4, SIZES, SIZES], [(1, 4, SIZES, SIZES), (1, 4, 160, 640), (1, 4, 32, 32)], 2),
    ((1, 4, "h", "w"), [1, 4, -1, SIZES], [(1, 4, SIZES, SIZES), (1, 4, 160, 640), (1, 4, 32, 32)], 2),
    ((None, 4, None, None), [0, 4, -1, SIZES], [(2, 4, 160, 640), (1, 4, 64, 5), (2, 4, 32, 32)], 2),
])
def test_a_target_of_a_size_that_is_looked_at(dims, target, shapes, runs):
    assert compare([node("Reshape", "x s")], {"x": dims}, shapes, s=target) == runs


@pytest.mark.parametrize("middle", [[1, 2, 2, SIZES, SIZES], [1, 2, 2, -1]])
def test_a_shuffle_of_a_size_that_is_looked_at(middle):
    nodes = [node("Reshape", "x s", "a"), node("Transpose", "a", "b", perm=[0, 2, 1, 3, 4][: len(middle)]),
             node("Reshape", "b t")]
    shapes = [(1, 4, SIZES, SIZES), (1, 4, 160, 640), (1, 4, 64, 64)]
    assert compare(nodes, {"x": (1, 4, "h", "w")}, shapes, s=middle, t=[1, 4, SIZES, SIZES]) == 2


@pytest.mark.parametrize("end", [SIZES, SIZES + 1, 400, 1000, 5000])
def test_a_slice_that_is_longer_than_what_is_looked_at(end):
    """With what is behind it fitting none but some sizes, and all."""
    shapes = [(1, 4, 1), (2, 4, SIZES), (2, 4, 500), (1, 4, 6000)]
    assert compare([node("Slice", "x a b c")], {"x": ("n", 4, "t")}, shapes, a=[0], b=[end], c=[2]) == 4
    nodes = [node("Slice", "x a b c", "s"), node("Add", "s z")]
    runs = 4 if end == SIZES else 2
    assert compare(nodes, {"x": ("n", 4, "t")}, shapes, a=[0], b=[end], c=[2], z=f(1, 4, SIZES)) == runs


@pytest.mark.parametrize("dims, base", [(("a", "b", "c", "d"), (2, 3, 5, 16)), (("n", 64, "h", "w"), (1, 64, 320, 320)),
                                        (("n", 64, "h", "w"), (2, 64, 640, 640))])
def test_tensors_looked_at_are_not_huge(dims, base):
    """Of four free dimensions all sizes together made 2e12 elements, and what follows from shapes is computed."""
    graph = import_model(make_model([node("Relu", "x")], {"x": dims}, ["y"]))
    found = [np.prod(probe["x"], dtype=float) for probe in probes.tries(graph, {"x": base})]
    assert len(found) > 8 and max(found) <= max(2**25, np.prod(base))


def test_indices_that_follow_from_free_sizes():
    """ReverseSequence computes as many indices as its input has elements."""
    compare([node("ReverseSequence", "x s", batch_axis=1, time_axis=0)], {"x": ("a", 1, "c", "d")},
            [(3, 1, 5, 7), (1, 1, 1, 1), (40, 1, 2, 3)], s=[1])
    compare([node("ReverseSequence", "x s", batch_axis=1, time_axis=0)], {"x": ("a", 2, "c", "d")},
            [(3, 2, 5, 7), (4, 2, 1, 1)], s=[3, 2])


def test_a_slice_of_everything_is_still_none():
    nodes = [node("Slice", "x a b c", "s"), node("Abs", "s")]
    constants = {"a": np.array([0]), "b": np.array([2**31 - 1]), "c": np.array([2])}
    graph, _ = rewritten(make_model(nodes, {"x": ("n", 4, "t")}, ["y"], constants, 18))
    assert ops(graph) == {"Unary": 1}


@pytest.mark.parametrize("nodes, inputs, shapes, constants", [
    ([node("Resize", "x - - s")], (1, 3, "h", "w"), [(1, 3, 100, 90), (1, 3, SIZES, SIZES)], {"s": [1, 3, 320, 320]}),
    ([node("Resize", "x - - s", "r"), node("Add", "r z")], (1, 3, "h", "w"), [(1, 3, 100, 90), (1, 3, SIZES, SIZES)],
     {"s": [1, 3, SIZES, SIZES], "z": f(1, 3, SIZES, SIZES)}),
    ([node("Shape", "x", "s"), node("Sub", "k s", "d"), node("Max", "d zero", "e"),
      node("Concat", "zeros e", "p", axis=0), node("Pad", "x p")], ("n", "w"), [(1, 1), (2, 3), (3, SIZES), (5, 600)],
     {"k": np.array([1, SIZES]), "zero": np.array([0]), "zeros": np.array([0, 0])}),
    ([node("Shape", "x", "s"), node("Div", "k s", "r"), node("Tile", "x r")], ("n", "w"), [(1, 1), (2, 64), (1, SIZES)],
     {"k": np.array([2, SIZES])}),
    ([node("Shape", "x", "s"), node("Min", "k s", "e"), node("ConstantOfShape", "e", "c"), node("Add", "x c")],
     ("n", "w"), [(1, 1), (1, SIZES), (1, 900), (3, 1), (3, 900)], {"k": np.array([1, SIZES])}),
    ([node("Shape", "x", "s"), node("Min", "k s", "e"), node("Slice", "x zeros e", "c"), node("Abs", "c")],
     ("n", "w"), [(1, 1), (1, SIZES), (1, 900), (3, 1), (3, 900)], {"k": np.array([1, SIZES]), "zeros": [0, 0]}),
])
def test_what_is_nothing_at_the_size_that_is_looked_at(nodes, inputs, shapes, constants):
    assert compare(nodes, {"x": inputs}, shapes, **constants)


# ---- broadcasting ----------------------------------------------------------------------------------------------------

W1, W3 = f(4, 4, 1, 1), f(4, 3)
ROWS = [[(2, 4), (2, 4)], [(2, 4), (1, 4)], [(1, 4), (5, 4)], [(3, 4), (2, 4)]]
IMAGES = [[(2, 4, 5, 5), (2, 4, 5, 5)], [(2, 4, 5, 5), (1, 4, 1, 1)], [(2, 4, 5, 5), (2, 4, 1, 1)],
          [(1, 4, 5, 1), (2, 4, 1, 7)], [(1, 4, 5, 6), (3, 4, 5, 6)], [(1, 4, 5, 6), (1, 4, 5, 7)]]
LAYERS = [node("Conv", "x w", "c"), node("Conv", "z w", "d")]


@pytest.mark.parametrize("a, b", [
    (("n", 4, "h", "w"), ("m", 4, "a", "b")),
    ((None, 4, None, None), (None, 4, None, None)),
    (("n", 4, "h", "w"), ("n", 4, "a", "b")),
    (("n", 4, "h", "w"), ("m", 4, "h", "w")),
])
@pytest.mark.parametrize("nodes", [
    [LAYERS[0], node("Add", "c z")],
    [*LAYERS, node("Add", "c d")],
    [*LAYERS, node("Add", "d c", "s"), node("Relu", "s")],
    [*LAYERS, node("Mul", "c d")],
    [*LAYERS, node("Sigmoid", "d", "s"), node("Mul", "c s")],
])
def test_layers_of_inputs_with_sizes_of_their_own_add_up(nodes, a, b):
    """Sizes of one name are one, so that some are refused, which onnxruntime does not look at."""
    shapes = [p for p in IMAGES if all(p[0][i] == p[1][i] for i in range(4) if a[i] and a[i] == b[i])]
    assert compare(nodes, {"x": a, "z": b}, shapes, w=W1) >= 2


@pytest.mark.parametrize("nodes", [
    [node("Gemm", "x v", "c"), node("Gemm", "z v", "d"), node("Add", "c d")],
    [node("Gemm", "x v", "c"), node("MatMul", "z v", "d"), node("Sub", "d c")],
    [node("Mul", "x z", "a"), node("Mul", "a k", "b"), node("Mul", "b x")],
    [node("Sigmoid", "z", "s"), node("Mul", "x s")],
    [node("Less", "x z", "b"), node("Where", "b x z")],
    [node("Mean", "x z")],
    [node("Sub", "x z", "a"), node("Add", "a z")],
    [node("Concat", "x z", "a", axis=0), node("ReduceMean", "a")],
    [node("Shape", "z", "s"), node("Expand", "x s")],
])
def test_rows_of_two_names_broadcast(nodes):
    concat = nodes[0].op_type == "Concat"
    assert compare(nodes, {"x": ("n", 4), "z": ("m", 4)}, ROWS, v=W3, k=np.float32(3)) == (4 if concat else 3)


def test_a_sum_with_what_is_turned():
    """Of one input: height and width may both be 1."""
    nodes = [node("Conv", "x w", "c"), node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("Add", "c t")]
    shapes = [(2, 4, 5, 5), (2, 4, 5, 1), (1, 4, 1, 5), (1, 4, 3, 5)]
    assert compare(nodes, {"x": ("n", 4, "h", "w")}, shapes, w=W1) == 3


def test_sums_of_one_input_are_still_residuals():
    """A feature pyramid of free sizes, some of which it does not take; a sum of two inputs of the same names."""
    half, double = {"kernel_shape": [2, 2], "strides": [2, 2]}, np.float32([1, 1, 2, 2])
    pyramid = [node("Conv", "x w", "a"), node("MaxPool", "a", "b", **half), node("Conv", "b w", "c"),
               node("Resize", "c - k", "d"), node("Conv", "a w", "e"), node("Add", "e d")]
    made = make_model(pyramid, {"x": ("n", 4, "h", "w")}, ["y"], {"w": W1, "k": double}, 18)
    assert "Binary" not in ops(rewritten(made)[0])
    dims = ("n", 4, "h", "w")
    made = make_model([*LAYERS, node("Add", "c d")], {"x": dims, "z": dims}, ["y"], {"w": W1}, 18)
    assert ops(rewritten(made)[0]) == {"Conv": 2}


def test_a_pooled_image_of_8_bits_is_a_row_at_one_size_only():
    """What is flattened is one pixel at the size that is looked at; elsewhere it is too long for the layer behind it."""
    quanta = {"s": np.float32(0.02), "o": np.uint8(128), "ws": np.float32(0.01), "wo": np.int8(0),
              "w": RNG.integers(-99, 99, (4, 3)).astype(np.int8)}
    nodes, at = [], "x"
    for op, attrs in (("AveragePool", {"kernel_shape": [SIZES, SIZES]}), ("Flatten", {}), ("MatMul", {})):
        name = op.lower()
        nodes += [node("QuantizeLinear", f"{at} s o", f"{name}_q"),
                  node("DequantizeLinear", f"{name}_q s o", f"{name}_x")]
        weights = " v" if op == "MatMul" else ""
        nodes += [node("DequantizeLinear", "w ws wo", "v")] if weights else []
        nodes.append(node(op, f"{name}_x{weights}", name, **attrs))
        at = name
    nodes += [node("QuantizeLinear", f"{at} s o", "q"), node("DequantizeLinear", "q s o")]
    data = sr.convert(make_model(nodes, {"x": (1, 4, "h", "w")}, ["y"], quanta, 18)).data
    sr.Session(data).run(None, {"x": f(1, 4, SIZES, SIZES)})
    with pytest.raises(sr.SparseRuntimeError):
        sr.Session(data).run(None, {"x": f(1, 4, SIZES + 1, SIZES)})
