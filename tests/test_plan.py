"""Where the memory plan places, aliases and overwrites tensors: random graphs, and chosen ones."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import reference
from random_graphs import Graph, graphs

import sparse_runtime as sr
from sparse_runtime.importers import import_model


def assert_close(actual, expected, tolerance=2e-5):
    """Relative to the largest magnitude of the expected outputs, at least 1."""
    largest = max([1.0] + [np.abs(e).max() for e in expected if e.size])
    for a, e in zip(actual, expected):
        assert a.shape == e.shape and a.dtype == e.dtype
        np.testing.assert_allclose(a, e, rtol=0, atol=tolerance * largest)


def check_graph(graph, rewrite=False, threads=(1,), **options):
    """Against onnxruntime, twice with other inputs in between, and equal bit for bit for all numbers of threads.

    The graph goes through the passes, or is compiled operator by operator."""
    model = graph.model()
    feeds, others = graph.feeds(), graph.feeds(1)
    expected = list(reference(model, feeds).values())
    data, results = sr.convert(model, **options).data if rewrite else import_model(model).to_bytes(), []
    for count in threads:
        session = sr.Session(data, threads=count)
        first = session.run(None, feeds)
        assert_close(first, expected)
        session.run(None, others)
        results += [first, session.run(None, feeds)]
    for result in results[1:]:
        for a, b in zip(results[0], result):
            np.testing.assert_array_equal(a, b)


# ---- random graphs -----------------------------------------------------------------------------------------

QUIET = {"deadline": None, "derandomize": True,
         "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}


@settings(max_examples=400, **QUIET)
@given(graphs(), st.booleans())
def test_random_graphs(graph, rewrite):
    check_graph(graph, rewrite)


@settings(max_examples=30, **QUIET)
@given(graphs(steps=6, big=True), st.booleans())
def test_random_large_graphs_on_several_threads(graph, rewrite):
    check_graph(graph, rewrite, threads=(1, 2, 3))


# ---- chosen graphs -----------------------------------------------------------------------------------------

PLANES = [(2, 8, 5, 7), (1, 8, 4, 4), (2, 4, 1, 1), (3, 4, 2, 3), (2, 16, 31, 33)]  # with padding lanes, and without


def conv(g, x, oc):
    n, c, h, w = g.shapes[x]
    return g.add("Conv", [x, g.weights(oc, c, 1, 1), g.weights(oc)], (n, oc, h, w))


def depthwise(g, x):
    c = g.shapes[x][1]
    return g.add("Conv", [x, g.weights(c, 1, 3, 3)], g.shapes[x], group=c, pads=[1] * 4)


def concat(g, *parts, axis=1):
    made = list(g.shapes[parts[0]])
    made[axis] = sum(g.shapes[p][axis] for p in parts)
    return g.add("Concat", list(parts), made, axis=axis)


def split(g, x, *sizes):
    n, _, h, w = g.shapes[x]
    first = g.add("Split", [x, g.ints(sizes)], *[(n, s, h, w) for s in sizes], axis=1)
    start = list(g.shapes).index(first)
    return list(g.shapes)[start:start + len(sizes)]


def add(g, a, b):
    return g.add("Add", [a, b], g.shapes[a])


def relu(g, x):
    return g.add("Relu", [x], g.shapes[x])


def shuffle_block(g, x):
    """Concatenation of splits of a concatenation: every part has two homes to choose from."""
    c = g.shapes[x][1]
    a, b = split(g, concat(g, conv(g, x, c), relu(g, x)), c // 2, 2 * c - c // 2)
    return [concat(g, a, relu(g, b), a)]


def nested_concat(g, x):
    inner = concat(g, conv(g, x, 3), depthwise(g, x))
    outer = concat(g, conv(g, x, 2), inner, relu(g, inner))
    return [outer, inner]


def part_of_two_concats(g, x):
    a, b = conv(g, x, 4), conv(g, x, 3)
    return [concat(g, a, b), concat(g, b, a, b), a]


def concat_of_images(g, x):
    a, b = conv(g, x, 4), conv(g, x, 4)
    return [conv(g, concat(g, a, concat(g, b, a, axis=0), axis=0), 2)]


def concat_of_one(g, x):
    return [relu(g, concat(g, conv(g, x, 3)))]


def same_twice(g, x):
    y = conv(g, x, 4)
    return [concat(g, y, y), add(g, y, y)]


def views_of_views(g, x):
    n, c, h, w = g.shapes[x]
    y = conv(g, x, 8)
    part = g.add("Slice", [y, g.ints([2]), g.ints([7]), g.ints([1])], (n, 5, h, w))
    part = g.add("Slice", [part, g.ints([1]), g.ints([4]), g.ints([1])], (n, 3, h, w))
    a, b = split(g, part, 1, 2)
    flat = g.add("Reshape", [b, g.ints([n, 2, h * w])], (n, 2, h * w))
    return [relu(g, a), relu(g, flat), conv(g, part, 4), y]


def one_image_of_many(g, x):
    n, c, h, w = g.shapes[x]
    y = conv(g, x, 5)
    last = g.add("Slice", [y, g.ints([-1]), g.ints([2**62]), g.ints([0])], (1, 5, h, w))
    return [conv(g, last, 3), add(g, relu(g, last), last)]


def residual(g, x):
    """y and conv(y) die in their sum."""
    y = conv(g, x, 8)
    return [relu(g, add(g, y, conv(g, y, 8)))]


def residual_of_itself(g, x):
    """conv(y) + conv(y), y + y, y + relu(y)."""
    y = conv(g, x, 8)
    z = conv(g, y, 8)
    return [add(g, add(g, z, z), add(g, y, relu(g, y)))]


def residual_of_a_part(g, x):
    """The addend is a part of a concatenation, or a view of one, and the sum is a part of another."""
    y = concat(g, conv(g, x, 4), relu(g, conv(g, x, 4)))
    a, b = split(g, y, 4, 4)
    return [concat(g, add(g, conv(g, a, 4), b), add(g, a, depthwise(g, b)))]


def residual_chain(g, x):
    y = conv(g, x, 8)
    for _ in range(3):
        y = add(g, depthwise(g, relu(g, y)), y)
    return [y]


def diamond(g, x):
    y = conv(g, x, 6)
    a, b = relu(g, y), depthwise(g, y)
    c = add(g, a, b)
    return [add(g, c, add(g, a, y)), y]


def outputs_on_the_way(g, x):
    """Every value is an output, none may be overwritten by those after it."""
    a = relu(g, conv(g, x, 4))
    b = relu(g, a)
    c = add(g, a, b)
    return [a, b, c, relu(g, c)]


def an_input_as_output(g, x):
    y = relu(g, x)
    return [x, y, add(g, x, y)]


def inputs_are_not_overwritten(g, x):
    y = add(g, x, x)
    return [add(g, relu(g, x), y)]


def flattened_in_place(g, x):
    n, c, h, w = g.shapes[x]
    flat = g.add("Flatten", [relu(g, conv(g, x, 4))], (n, 4 * h * w), axis=1)
    flat = g.add("Sigmoid", [flat], (n, 4 * h * w))
    return [add(g, flat, g.add("Reshape", [conv(g, x, 4), g.ints([n, 4 * h * w])], (n, 4 * h * w)))]


def moved_between_layouts(g, x):
    n, c, h, w = g.shapes[x]
    y = g.add("Transpose", [conv(g, x, 4)], (n, h, w, 4), perm=[0, 2, 3, 1])
    y = g.add("Reshape", [y, g.ints([n, h * w, 4])], (n, h * w, 4))
    y = concat(g, y, g.add("Softmax", [y], (n, h * w, 4), axis=-1), axis=2)
    y = g.add("Transpose", [y], (n, 8, h * w), perm=[0, 2, 1])
    return [conv(g, g.add("Reshape", [y, g.ints([n, 8, h, w])], (n, 8, h, w)), 3)]


def linear_on_planes(g, x):
    """Matrix products with the last axis of an image."""
    n, c, h, w = g.shapes[x]
    y = g.add("MatMul", [conv(g, x, 4), g.weights(w, 5)], (n, 4, h, 5))
    return [relu(g, y), g.add("Softmax", [y], (n, 4, h, 5), axis=1)]


def broadcast_both_ways(g, x):
    n, c, h, w = g.shapes[x]
    y = conv(g, x, 4)
    row = g.add("ReduceMean", [y, g.ints([2])], (n, 4, 1, w))
    column = g.add("ReduceMax", [y, g.ints([1, 3])], (n, 1, h, 1))
    return [g.add("Sub", [row, column], (n, 4, h, w)), g.add("Mul", [column, row], (n, 4, h, w))]


CHOSEN = [shuffle_block, nested_concat, part_of_two_concats, concat_of_images, concat_of_one, same_twice,
          views_of_views, one_image_of_many, residual, residual_of_itself, residual_of_a_part, residual_chain, diamond,
          outputs_on_the_way, an_input_as_output, inputs_are_not_overwritten, flattened_in_place,
          moved_between_layouts, linear_on_planes, broadcast_both_ways]


def one_input(*shape):
    g = Graph(7)
    g.inputs["x0"] = g.shapes["x0"] = shape
    return g


@pytest.mark.parametrize("shape", PLANES, ids=str)
@pytest.mark.parametrize("build", CHOSEN, ids=lambda f: f.__name__)
def test_chosen_graphs(build, shape):
    g = one_input(*shape)
    g.outputs = build(g, "x0")
    check_graph(g)
    check_graph(g, rewrite=True, threads=(1, 2, 3), sparse="always")


def test_single_pixels_and_channels_in_a_concat():
    """[4, 1, 1, 1] as a part of [4, 4, 1, 1]: even its elements are apart. Binary took it for contiguous."""
    g = one_input(4, 1, 1, 1)
    g.inputs["x1"] = g.shapes["x1"] = (4, 3, 1, 1)
    g.outputs = [concat(g, add(g, "x0", g.weights()), relu(g, "x1"))]
    check_graph(g)
