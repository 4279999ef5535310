"""Images in strips, one for each thread (csrc/runtime/strips.h), against onnxruntime and against one thread."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import error, reference
from random_graphs import Graph

import sparse_runtime as sr

IN_STRIPS = "avx2" in sr._core.cpu_features() and not Path("/sys/devices/cpu_atom").exists()  # hybrid CPUs share finer
THREADS = (1, 2, 3, 4, 5)


def stripped(session):
    return [layer.name for layer in session.explain() if "strips" in layer.reason]


def compare(graph, tolerance=1e-5):
    """Against onnxruntime, and bit for bit the same on all numbers of threads, after other inputs too; returns the
    layers that lie in strips, by number of threads."""
    model, feeds = graph.model(), graph.feeds()
    expected, file, first = list(reference(model, feeds, optimized=False).values()), sr.convert(model).data, None
    found = {}
    for threads in THREADS:
        session = sr.Session(file, threads=threads)
        session.run(None, graph.feeds(1))
        outputs = session.run(None, feeds)
        first = first or outputs
        for y, want, same in zip(outputs, expected, first):
            assert error(y, want) < tolerance
            np.testing.assert_array_equal(y, same)
        found[threads] = stripped(session)
    return found


# Layers on an image: each takes (graph, name of a value) and returns the name of its output.


def window(g, x, oc=None, kernel=3, stride=1, pad=None, dilation=1, group=None, act=None):
    """A depthwise convolution, or with `oc` any other."""
    n, c, h, w = g.shapes[x]
    group = group or (1 if oc else c)
    oc = oc or c
    pad = (kernel - 1) * dilation // 2 if pad is None else pad
    reach = (kernel - 1) * dilation + 1
    made = [(d + 2 * pad - reach) // stride + 1 for d in (h, w)]
    y = g.add("Conv", [x, g.weights(oc, c // group, kernel, kernel), g.weights(oc)], (n, oc, *made), group=group,
              strides=[stride] * 2, pads=[pad] * 4, dilations=[dilation] * 2)
    return unary(g, y, act) if act else y


def pointwise(g, x, oc, act=None):
    n, c, h, w = g.shapes[x]
    y = g.add("Conv", [x, g.weights(oc, c, 1, 1), g.weights(oc)], (n, oc, h, w))
    return unary(g, y, act) if act else y


def unary(g, x, op="Relu"):
    return g.add(op, [x], g.shapes[x])


def scaled(g, x):
    """Squeeze and excitation."""
    n, c, h, w = g.shapes[x]
    s = pointwise(g, g.add("GlobalAveragePool", [x], (n, c, 1, 1)), c, "Sigmoid")
    return g.add("Mul", [x, s], (n, c, h, w))


def pooled(g, x, op="MaxPool", kernel=3, stride=2, pad=1, **attrs):
    n, c, h, w = g.shapes[x]
    made = [(d + 2 * pad - kernel) // stride + 1 for d in (h, w)]
    return g.add(op, [x], (n, c, *made), kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, **attrs)


def doubled(g, x, **attrs):
    n, c, h, w = g.shapes[x]
    return g.add("Resize", [x, "", g.constant(np.float32([1, 1, 2, 2]))], (n, c, 2 * h, 2 * w), mode="nearest", **attrs)


def joined(g, *parts):
    n, _, h, w = g.shapes[parts[0]]
    return g.add("Concat", list(parts), (n, sum(g.shapes[p][1] for p in parts), h, w), axis=1)


def cut(g, x):
    n, c, h, w = g.shapes[x]
    first = g.add("Split", [x, g.ints([c // 2, c - c // 2])], (n, c // 2, h, w), (n, c - c // 2, h, w), axis=1)
    return first, "v%d" % (int(first[1:]) + 1)


def shuffled(g, *parts):
    n, c, h, w = g.shapes[parts[0]]
    y = g.add("Reshape", [joined(g, *parts), g.ints([n, 2, c, h, w])], (n, 2, c, h, w))
    y = g.add("Transpose", [y], (n, c, 2, h, w), perm=[0, 2, 1, 3, 4])
    return g.add("Reshape", [y, g.ints([n, 2 * c, h, w])], (n, 2 * c, h, w))


def image(channels=32, h=24, w=20, seed=0):
    g = Graph(seed)
    g.inputs["x"] = g.shapes["x"] = (1, channels, h, w)
    return g


def closed(g, x, *more):
    """Ends with a layer that takes images as a whole."""
    n, c, h, w = g.shapes[x]
    g.outputs = [g.add("Reshape", [x, g.ints([n, c * h * w])], (n, c * h * w)), *more]
    return g


def separable(g, x, oc, act="Relu", **attrs):
    return pointwise(g, window(g, x, act=act, **attrs), oc, act)


def separable_layers(g):
    x = separable(g, separable(g, "x", 40), 32, "HardSwish", kernel=5)
    return closed(g, window(g, separable(g, x, 48), act="Relu"))


def strided(g):
    x = separable(g, "x", 64)
    return closed(g, window(g, separable(g, x, 128, stride=2), stride=2))


def residuals(g):
    x = window(g, "x", act="Relu")
    y = pointwise(g, window(g, pointwise(g, x, 48, "Relu")), 32)
    return closed(g, window(g, g.add("Add", [x, y], g.shapes[x])))


def excited(g):
    x = pointwise(g, scaled(g, window(g, "x", act="HardSwish")), 32, "Relu")
    return closed(g, window(g, x))


def shuffles(g):
    a, b = cut(g, window(g, "x"))
    b = pointwise(g, scaled(g, window(g, pointwise(g, b, 16, "Relu"))), 16, "Relu")
    a, b = cut(g, shuffled(g, a, b))
    return closed(g, window(g, shuffled(g, a, pointwise(g, window(g, b), 16))))


def pyramid(g):
    low = window(g, pooled(g, window(g, "x")))
    up = joined(g, pointwise(g, window(g, "x"), 32), doubled(g, low, coordinate_transformation_mode="asymmetric",
                                                            nearest_mode="floor"))
    return closed(g, window(g, separable(g, up, 32, kernel=5), stride=2))


def windows(g):
    x = window(g, pooled(g, window(g, "x", oc=48, act="Relu"), stride=1), oc=32, kernel=5)
    x = pooled(g, window(g, x, oc=32, group=4), "AveragePool", stride=1, count_include_pad=1)
    return closed(g, pooled(g, window(g, x, dilation=2), "AveragePool", stride=1))


def tapped(g):
    """A value in strips that is read as a whole too, and one that is an output."""
    x = separable(g, "x", 32)
    y = g.add("GlobalMaxPool", [x], (1, 32, 1, 1))
    z = separable(g, x, 32)
    return closed(g, window(g, unary(g, z, "Sigmoid")), y, z)


def unpadded(g):
    return closed(g, window(g, pointwise(g, window(g, "x", pad=0), 32), pad=0, kernel=5))


def constants(g):
    """Per channel, per column, for all; and images, which are not cut."""
    x = window(g, "x")
    for shape in ((32, 1, 1), (1, 32, 1, 1), (20,), ()):
        x = window(g, g.add("Mul", [x, g.weights(*shape)], g.shapes[x]))
    x = window(g, g.add("Add", [x, g.weights(1, 32, 24, 20)], g.shapes[x]))
    return closed(g, window(g, g.add("Concat", [x, g.weights(1, 4, 24, 20)], (1, 36, 24, 20), axis=1)))


NETWORKS = [separable_layers, strided, residuals, excited, shuffles, pyramid, windows, tapped, unpadded, constants]


@pytest.mark.parametrize("network", NETWORKS)
def test_network(network):
    found = compare(network(image()))
    assert not found[1]
    if IN_STRIPS:
        assert found[2]


@pytest.mark.parametrize("width", [13, 20, 32, 41])
@pytest.mark.parametrize("height", [16, 20, 28, 40, 60])
def test_sizes(height, width):
    """All lines are computed, and each number of threads that divides them takes strips."""
    found = compare(separable_layers(image(32, height, width)))
    if IN_STRIPS:
        assert [t for t in THREADS if found[t]] == [t for t in THREADS[1:] if height % t == 0 and height // t >= 4]


@pytest.mark.skipif(not IN_STRIPS, reason="no strips on this CPU")
def test_what_lies_in_strips():
    """From the first layer with a window to the last; what is small, or computed as a whole, does not."""
    g = image()
    assert compare(separable_layers(g))[2] == [n.name for n in g.nodes if n.op_type == "Conv"]
    g = image(4)
    assert not compare(closed(g, window(g, separable(g, "x", 8))))[2]  # 15 KB at most
    assert not compare(separable_layers(image(h=25)))[2]
    data = sr.convert(separable_layers(image()).model()).data
    convs = [layer for layer in sr.Session(data, threads=2).explain() if layer.op == "Conv"]
    assert all(layer.shape[0] == 1 and layer.shape[2] == 24 and layer.balance == 1 for layer in convs)
    assert not stripped(sr.Session(data, threads=2, isa="ref"))


def layer(g, draw, x):
    """Some layer behind x, or one that joins it with another value."""
    n, c, h, w = g.shapes[x]
    one_of = lambda *choice: draw(st.sampled_from(choice))  # noqa: E731
    same = [v for v, s in g.shapes.items() if len(s) == 4 and s[2:] == (h, w) and v not in (x, "x")]
    if h < 10 or w < 10:
        return pointwise(g, x, 16)
    choices = {
        "depthwise": lambda: window(g, x, kernel=one_of(3, 5), stride=one_of(1, 1, 2), dilation=one_of(1, 1, 2),
                                    pad=one_of(None, None, 0, 1), act=one_of(None, "Relu", "HardSwish", "Sigmoid")),
        "window": lambda: window(g, x, one_of(16, 24), stride=one_of(1, 2)),
        "pointwise": lambda: pointwise(g, x, one_of(16, 24, 40), one_of(None, "Relu")),
        "pool": lambda: pooled(g, x, one_of("MaxPool", "AveragePool"), stride=one_of(1, 2)),
        "unary": lambda: unary(g, x, one_of("Relu", "Sigmoid", "Neg", "HardSwish")),
        "scaled": lambda: scaled(g, x),
        "sum": lambda: g.add("Add", [x, one_of(*[v for v in same if g.shapes[v][1] == c], x)], (n, c, h, w)),
        "joined": lambda: joined(g, x, one_of(*[v for v in same if g.shapes[v][1] + c <= 96], x)),
        "cut": lambda: cut(g, x)[one_of(0, 1)],
        "shuffled": lambda: shuffled(g, *cut(g, x)) if c % 2 == 0 else x,
        "doubled": lambda: doubled(g, x, nearest_mode=one_of("round_prefer_floor", "floor", "ceil"),
                                   coordinate_transformation_mode=one_of("half_pixel", "asymmetric"))
        if c * h * w < 40_000 else x,
    }
    return choices[one_of(*choices, "depthwise", "pointwise", "depthwise", "pointwise")]()


IN_RANDOM = []  # layers in strips of random networks, with two threads


@settings(max_examples=200, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_random_networks(data):
    draw = data.draw
    g = image(draw(st.sampled_from([16, 24, 32, 33])), draw(st.sampled_from([16, 20, 24, 28, 40])),
              draw(st.integers(12, 41)), draw(st.integers(0, 1000)))
    window(g, "x")
    for _ in range(draw(st.integers(6, 14))):
        x = draw(st.sampled_from([v for v, s in g.shapes.items() if len(s) == 4 and s[2] > 1 and v != "x"][-3:]))
        layer(g, draw, x)
    images = [v for v, s in g.shapes.items() if len(s) == 4 and v != "x"]
    more = draw(st.lists(st.sampled_from(images), max_size=2, unique=True)) if draw(st.booleans()) else []
    IN_RANDOM.append(len(compare(closed(g, images[-1], *more))[2]))


@pytest.mark.skipif(not IN_STRIPS, reason="no strips on this CPU")
def test_random_networks_lay_in_strips():
    if not IN_RANDOM:
        pytest.skip("test_random_networks has not run")
    assert sum(count > 1 for count in IN_RANDOM) > len(IN_RANDOM) / 3
