"""ONNX's own test cases of single operators (onnx.backend.test), through sr.Session.

A case whose operators the importer knows must give the expected outputs or be refused for one of REFUSED; anything else
fails, so that nothing is lost unnoticed. Cases give weights, axes and the like as graph inputs, which we take as
constants only: a refused case is tried again with all inputs but the first as initializers. `pytest -s` or a failure
shows the scoreboard."""

import re
import warnings
from collections import Counter, defaultdict

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import sparse_runtime as sr
from sparse_runtime.importers.onnx import supported_ops
from sparse_runtime.ir import DTYPES

pytestmark = pytest.mark.slow  # making the cases takes ONNX most of the time

# Why a case may be refused, and a pattern of what the error then says.
REFUSED = [
    ("an element type not known here", r"(?i)(bfloat16|float[48]e\w*|u?int[24]|string); supported: float32, "),
    ("sequences and optional values", r"input .* is a (sequence|optional)_type"),
    ("arithmetic in half precision", r"of type float16; |'.*' float16 \[.* not supported here"),
    ("matrix products and softmax in double precision", r"\((MatMul|Softmax)\): input 0 of type float64"),
    ("training", r"training_mode"),
    ("the mask of Dropout", r"\(Dropout\): the output mask"),
    ("indices of the maximum", r"\(MaxPool\): the output for Indices"),
    ("three spatial axes", r"Pool\): 3 spatial axes"),
    ("scales per block", r"Linear\): block_size=2"),
    ("shapes computed from what is fed", r"\(ConstantOfShape\): the output's shape depends on the contents"),
]
# Cases whose expected outputs are not what the specification says.
DISPUTED = {
    # x_resized * (length_original - 1) / (length_resized - 1): the data are made with a fractional length_resized, the
    # specification and onnxruntime have the number of pixels there.
    "test_resize_downsample_scales_linear_align_corners",
    "test_resize_downsample_scales_cubic_align_corners",
}


class Case:
    """One test case: a model, arrays to feed and arrays to expect."""

    def __init__(self, given):
        self.name, self.model, self.rtol, self.atol = given.name, given.model, given.rtol, given.atol
        (inputs, outputs), = given.data_sets
        names = [i.name for i in self.model.graph.input]
        self.feeds = dict(zip(names, map(_array, inputs)))
        self.expected = [_array(a) for a in outputs]
        self.ops = {node.op_type for node in self.model.graph.node}

    def frozen(self):
        """The model with every input but the first as an initializer."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        del model.graph.input[1:]
        for info in self.model.graph.input[1:]:
            model.graph.initializer.append(numpy_helper.from_array(self.feeds[info.name], info.name))
        return model

    def run(self, model):
        session = sr.Session(sr.convert(model).data)
        return session.run(None, {i.name: self.feeds[i.name] for i in session.inputs})

    def outcome(self):
        """("passed" | "refused" | "failed", why)"""
        if self.name in DISPUTED:
            return "disputed", ""
        try:
            try:
                actual = self.run(self.model)
            except sr.UnsupportedError:
                if not all(isinstance(a, np.ndarray) for a in self.feeds.values()):
                    raise
                actual = self.run(self.frozen())
        except sr.UnsupportedError as error:
            lines = str(error).split("\n")[1:] or [str(error)]  # a line per node, or the only one
            reasons = [reason for reason, pattern in REFUSED if all(re.search(pattern, line) for line in lines)]
            return ("refused", reasons[0]) if reasons else ("failed", str(error))
        except sr.SparseRuntimeError as error:
            return "failed", f"{type(error).__name__}: {error}"
        try:
            assert len(actual) == len(self.expected)
            for a, e in zip(actual, self.expected):
                assert a.shape == e.shape and a.dtype == e.dtype, (a.shape, e.shape, a.dtype, e.dtype)
                np.testing.assert_allclose(a, e, rtol=self.rtol, atol=self.atol)
        except AssertionError as error:
            return "failed", str(error)
        return "passed", ""


def _array(given):
    """Arrays come as such, as numpy scalars or as TensorProtos; what cannot be an array here stays what it is."""
    if isinstance(given, onnx.TensorProto):
        return numpy_helper.to_array(given) if given.data_type in DTYPES else given
    return np.asarray(given) if isinstance(given, (np.ndarray, np.generic)) else given


@pytest.fixture(scope="module")
def cases():
    """{operator: its cases}, "functions" being those of several nodes: operators as ONNX composes them of others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ONNX divides by zero on purpose
        from onnx.backend.test.loader import load_model_tests
        found, known = defaultdict(list), set(supported_ops())
        for given in load_model_tests(kind="node"):
            if given.model is None or not {node.op_type for node in given.model.graph.node} <= known:
                continue
            case = Case(given)
            found[case.ops.copy().pop() if len(given.model.graph.node) == 1 else "functions"].append(case)
    return found


SCORES = {}


@pytest.mark.parametrize("op", [*supported_ops(), "functions"])
def test_node_cases(cases, op):
    assert cases[op], f"ONNX has no test of {op}"
    outcomes = [(case.name, *case.outcome()) for case in cases[op]]
    SCORES[op] = Counter(outcome for _, outcome, _ in outcomes)
    failed = [f"{name}: {why}" for name, outcome, why in outcomes if outcome == "failed"]
    assert not failed, "\n".join(failed)


def test_scoreboard():
    """Runs last, and fails if the suite was not what it should be: a thousand models of which most run."""
    if set(SCORES) != {*supported_ops(), "functions"}:
        pytest.skip("only a part of the operators has run")
    total = sum(SCORES.values(), Counter())
    for op, score in [*sorted(SCORES.items()), ("all", total)]:
        print(f"{op:24}" + "".join(f"{score[what]:5} {what}" for what in total if score[what]))
    assert total["passed"] > 2 * total["refused"]
