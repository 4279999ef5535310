"""The IR: what follows the schema and what does not, rewriting, order, text."""

import numpy as np
import pytest

import sparse_runtime as sr
from sparse_runtime import _core
from sparse_runtime.ir import Graph, schema


def chain():
    """x -> Unary (a) -> Binary with a constant (b) -> Unary (c), the output."""
    graph = Graph("chain")
    x = graph.add_input("x", "float32", (-1, 4), ("batch", ""))
    two = graph.add_const("two", np.float32(2))
    a = graph.add_node("Unary", [x], "a", fn="abs").output
    b = graph.add_node("Binary", [a, two], "b", fn="mul").output
    graph.outputs.append(graph.add_node("Unary", [b], "c", fn="exp").output)
    return graph


def test_schema_is_that_of_the_core():
    assert set(schema()) == set(_core.schema())
    conv = schema()["Conv"]
    assert [(p.name, p.optional) for p in conv.inputs] == [
        ("X", False),
        ("W", False),
        ("B", True),
        ("Z", True),
        ("slope", True),
    ]
    assert (
        conv.attrs["strides"] == (tuple, (1, 1))
        and conv.attrs["act"] == (str, "none")
        and conv.attrs["act_a"] == (float, 0.0)
    )
    assert schema()["Concat"].inputs[0].variadic


def test_attributes_have_defaults_and_types():
    graph = chain()
    node = graph.nodes[0]
    assert node["fn"] == "abs" and node["a"] == 0.0
    node["a"] = 3
    assert node["a"] == 3.0 and isinstance(node["a"], float)


@pytest.mark.parametrize(
    "op, inputs, attrs, error, message",
    [
        ("Foo", 1, {}, sr.UnsupportedError, "no operator 'Foo'"),
        ("Unary", 1, {"gn": "abs"}, sr.ModelFormatError, "no attribute 'gn'"),
        ("Unary", 1, {"fn": 3}, sr.ModelFormatError, "fn of Unary"),
        ("Unary", 1, {"a": "much"}, sr.ModelFormatError, "a of Unary"),
        ("Softmax", 1, {"axis": 1.5}, sr.ModelFormatError, "axis of Softmax"),
        ("Unary", 3, {"fn": "abs"}, sr.ModelFormatError, "at most 2 inputs, got 3"),
        ("Binary", 1, {"fn": "add"}, sr.ModelFormatError, "needs input 1 \\(B\\)"),
    ],
)
def test_nodes_outside_the_schema(op, inputs, attrs, error, message):
    graph = chain()
    before = str(graph)
    with pytest.raises(error, match=message):
        graph.add_node(op, [graph.inputs[0]] * inputs, "new", **attrs)
    assert str(graph) == before
    graph.check()


def test_optional_inputs():
    graph = Graph()
    x = graph.add_input("x", "float32", (1, 2, 3, 3))
    weight = graph.add_const("w", np.ones((2, 2, 1, 1), np.float32))
    node = graph.add_node("Conv", [x, weight, None], "conv")
    assert node.inputs == [x, weight] and node.input("Z") is None
    node.set_input("Z", x)
    assert node.inputs == [x, weight, None, x] and len(x.uses) == 2
    with pytest.raises(sr.ModelFormatError, match="needs input 1"):
        node.set_input("W", None)


def test_text():
    graph = chain()
    assert str(graph).splitlines() == [
        "graph chain",
        "  input x: float32[batch,4]",
        "  a = Unary(x)  fn=abs",
        "  b = Binary(a, two=2.)  fn=mul",
        "  c = Unary(b)  fn=exp",
        "  output c",
    ]
    graph.annotate([{"x": (3, 4)}])
    assert "  a: float32[3,4] = Unary(x)  fn=abs" in str(graph)


def test_annotate():
    graph = chain()
    graph.annotate([{"x": (3, 4)}, {"x": (5, 4)}])
    assert (
        graph.outputs[0].shapes == ((3, 4), (5, 4))
        and graph.outputs[0].dtype == "float32"
        and graph.outputs[0].rank == 2
    )
    with pytest.raises(sr.ShapeError):
        graph.infer({})


def test_names_are_unique():
    graph = chain()
    assert graph.add_const("two", np.float32(2)).name == "two_1"
    with pytest.raises(sr.ModelFormatError, match="two graph inputs are called 'x'"):
        graph.add_input("x", "float32", (1,))


def test_replace_and_remove():
    graph = chain()
    a, b, c = graph.nodes
    graph.replace(b.output, a.output)
    assert c.inputs == [a.output] and not b.output.uses
    assert graph.remove_dead() == 1 and graph.nodes == [a, c]
    graph.check()


def test_outputs_keep_their_names():
    graph = chain()
    _, b, c = graph.nodes
    assert not graph.can_replace(c.output, graph.inputs[0])  # an input cannot be called c
    graph.replace(c.output, b.output)
    graph.remove_dead()
    assert [v.name for v in graph.outputs] == ["c"] and graph.outputs[0].producer is b
    graph.check()


def test_rewrite_keeps_names():
    graph = chain()
    node = graph.rewrite(graph.nodes[1].output, "Unary", [graph.nodes[0].output], fn="neg")
    assert (node.name, node.output.name) == ("b", "b") and len(graph.nodes) == 3
    node = graph.rewrite(graph.outputs[0], "Unary", [graph.inputs[0]], fn="tanh")
    assert (node.name, node.output.name) == ("c", "c") and graph.nodes == [node]
    graph.check()


def test_sort_and_check():
    graph = chain()
    order = list(graph.nodes)
    graph.nodes.reverse()
    with pytest.raises(sr.ModelFormatError, match="before anything makes it"):
        graph.check()
    graph.sort()
    assert graph.nodes == order
    graph.nodes[0].set_input(0, graph.nodes[2].output)
    with pytest.raises(sr.ModelFormatError, match="its own result"):
        graph.sort()


def test_check_finds_what_is_wrong():
    graph = chain()
    graph.nodes[0].output.uses.append(graph.nodes[0])
    with pytest.raises(sr.ModelFormatError, match="out of step"):
        graph.check()
    graph = chain()
    graph.nodes[1].set_input(1, graph.add_const("odd", np.zeros(2, np.complex64)))
    with pytest.raises(sr.UnsupportedError, match="'odd' has type complex64"):
        graph.check()


def test_clone_and_upto():
    graph = chain()
    graph.annotate([{"x": (3, 4)}])
    copy = graph.clone()
    assert str(copy) == str(graph) and copy.nodes[0] is not graph.nodes[0]
    copy.rewrite(copy.outputs[0], "Unary", [copy.inputs[0]], fn="neg")
    assert len(graph.nodes) == 3
    graph.check()
    part = graph.upto([graph.nodes[1].output])
    assert [n.name for n in part.nodes] == ["a", "b"] and len(graph.nodes) == 3
    part.check()


def test_to_bytes_runs():
    session = sr.Session(chain().to_bytes())
    x = np.array([[-1, 0, 0.5, 1]], np.float32)
    np.testing.assert_allclose(session.run(None, {"x": x})[0], np.exp(2 * np.abs(x)), rtol=1e-6)


def test_errors_are_builtins_too():
    for error, builtin in (
        (sr.ArgumentError, ValueError),
        (sr.OutOfMemoryError, MemoryError),
        (sr.ModelIOError, OSError),
        (sr.ModelFormatError, ValueError),
        (sr.UnsupportedError, NotImplementedError),
        (sr.ShapeError, ValueError),
    ):
        assert issubclass(error, builtin) and issubclass(error, sr.SparseRuntimeError)
