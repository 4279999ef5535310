"""The ONNX backend test suite: its runner, its data, our sparse_runtime.onnx_backend.

What uses only supported operators and element types passes, or is on the list in onnx_backend_missing.py with the
reason; anything else fails, and so does a listed test that passes. `pytest -s` shows the scoreboard, which
`python tools/operators_md.py --suite > docs/operators.md` writes down."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_suite
import pytest
from conftest import make_model
from onnx import helper

import sparse_runtime as sr
import sparse_runtime.onnx_backend as backend

CATEGORIES = ("Node", "Real", "Simple", "PyTorchConverted", "PyTorchOperator")
SCORES = {}


@pytest.fixture(scope="module", autouse=True)
def light_models(tmp_path_factory):
    """The runner writes the data of the light models to a folder, by default in the home directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONNX_HOME", str(tmp_path_factory.mktemp("onnx")))
        yield


@pytest.mark.slow  # making the cases takes ONNX most of the time
@pytest.mark.parametrize("category", CATEGORIES)
def test_suite(category):
    cases, failed = onnx_suite.categories()[category], []
    score = SCORES[category] = Counter()
    for name, function in cases.items():
        what, why = onnx_suite.outcome(name, function)
        score[what, why if what == "not supported" else ""] += 1
        if what == "failed":
            failed.append(f"{name}: {why}")
    assert not failed, "\n".join(failed)


@pytest.mark.slow
def test_scoreboard():
    """Runs last: the suite was what it should be, and docs/operators.md tells of it."""
    if set(SCORES) != set(CATEGORIES):
        pytest.skip("only a part of the suite has run")
    made = onnx_suite.table(SCORES)
    print(f"\nonnx {onnx.__version__}\n{made}")
    page = (Path(__file__).parent.parent / "docs" / "operators.md").read_text(encoding="utf-8")
    if f"onnx {onnx.__version__}:" not in page:
        pytest.skip(f"the scoreboard in docs/operators.md is not of onnx {onnx.__version__}")
    assert made in page, "run: python tools/operators_md.py --suite > docs/operators.md"


@pytest.mark.slow
def test_categories_are_all_there():
    assert set(onnx_suite.categories()) == set(CATEGORIES)


# ---- the interface -----------------------------------------------------------------------------------------

@pytest.fixture
def doubled():
    return make_model([helper.make_node("Add", ["x", "x"], ["y"]), helper.make_node("Neg", ["x"], ["z"])],
                      {"x": (2, 3)},
                      ["y", "z"])


def test_run_model(doubled):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for given in (x, [x], {"x": x}):
        outputs = backend.run_model(doubled, given)
        np.testing.assert_array_equal(outputs[0], x + x)
        np.testing.assert_array_equal(outputs.z, -x)
    prepared = backend.prepare(doubled, "CPU", threads=2)
    np.testing.assert_array_equal(prepared.run(x)[0], x + x)
    with pytest.raises(sr.ArgumentError, match="2 inputs given"):
        prepared.run([x, x])


def test_run_node():
    x, w = np.random.default_rng(0).standard_normal((2, 1, 4, 5, 5)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="VALID")
    (y,) = backend.run_node(node, [x, w[:, :4]])  # weights that are fed
    assert y.shape == (1, 1, 1, 1)
    np.testing.assert_allclose(y.item(), (x.astype(np.float64) * w).sum(), rtol=1e-5)
    (y,) = backend.run_node(helper.make_node("Softmax", ["x"], ["y"]), [x], opset_version=11)
    np.testing.assert_allclose(y.sum((1, 2, 3)), 1, rtol=1e-6)


def test_weights_that_are_fed_may_change(doubled):
    model = make_model([helper.make_node("Reshape", ["x", "shape"], ["y"])],
                       {"x": (2, 3), "shape": (np.dtype("int64"), (2,))}, ["y"])
    x, prepared = np.arange(6, dtype=np.float32).reshape(2, 3), backend.prepare(model)
    for shape in ((3, 2), (6, 1)):
        np.testing.assert_array_equal(prepared.run([x, np.array(shape)])[0], x.reshape(shape))


def test_devices(doubled):
    assert backend.supports_device("CPU") and not backend.supports_device("CUDA:0")
    with pytest.raises(sr.ArgumentError, match="'CUDA' is not supported"):
        backend.prepare(doubled, "CUDA")


def test_what_cannot_run_is_refused_when_prepared():
    model = make_model([helper.make_node("Det", ["x"], ["y"], name="it")], {"x": (3, 3)}, ["y"])
    with pytest.raises(sr.UnsupportedError, match=r"'it' \(Det\)"):
        backend.prepare(model)
