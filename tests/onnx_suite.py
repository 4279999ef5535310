"""ONNX's backend test suite (onnx.backend.test), run by its own runner through sparse_runtime.onnx_backend."""

import functools
import re
import unittest
import warnings
from collections import Counter

import onnx
from onnx.backend.test import BackendTest

import sparse_runtime as sr
from onnx_backend_missing import MISSING
from sparse_runtime.importers.onnx import supported_ops
from sparse_runtime.ir import DTYPES
from sparse_runtime.onnx_backend import Backend

OUTCOMES = ("passed", "not supported", "failed")
LARGE = {"vgg19", "zfnet512", "bvlc_alexnet", "resnet50"}  # light models that take seconds


class _Recording(Backend):
    """Remembers the model it was given last."""

    last = None

    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        cls.last = model
        return super().prepare(model, device, **kwargs)


@functools.lru_cache(maxsize=1)
def categories():
    """{category: {test name: function}}: Node, Real (the light models, without downloads), Simple, PyTorch..."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # making the cases, ONNX divides by zero on purpose
        classes = BackendTest(_Recording, __name__).test_cases
    found = {}
    for title, cls in classes.items():
        category = re.fullmatch(r"OnnxBackend(\w+?)(Model)?Test", title)[1]
        names = [n for n in dir(cls) if n.startswith("test_") and n.endswith("_cpu")]
        found[category] = {n[5:-4]: getattr(cls(n), n) for n in names}
    return found


def foreign(model):
    """Why a model is beyond what is supported by design: operators and element types that are not there."""
    reasons = set()
    known = set(supported_ops())
    for info in [*model.graph.input, *model.graph.output]:
        kind = info.type.WhichOneof("value")
        if kind != "tensor_type" or info.type.tensor_type.elem_type not in DTYPES:
            reasons.add("element types and sequences")
    reasons.update("element types and sequences" for t in model.graph.initializer if t.data_type not in DTYPES)
    for node in _nodes([*model.graph.node, *(n for f in model.functions for n in f.node)]):
        local = any(f.name == node.op_type and f.domain == node.domain for f in model.functions)
        if not local and (node.op_type not in known or node.domain not in ("", "ai.onnx")):
            reasons.add("operators")
        if node.op_type == "Cast" and node.attribute[0].i not in DTYPES:
            reasons.add("element types and sequences")
    return sorted(reasons, reverse=True)


def _nodes(nodes):
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _nodes(attribute.g.node)


def outcome(name, function):
    """(one of OUTCOMES, why)."""
    reasons = [reason for reason, pattern in MISSING if re.fullmatch(pattern, name)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function()
    except unittest.SkipTest as skipped:
        return "failed", f"skipped: {skipped}"
    except sr.SparseRuntimeError as error:
        beyond = foreign(_Recording.last)
        if beyond:
            return "not supported", beyond[0]
        return ("not supported", reasons[0]) if reasons else ("failed", f"{type(error).__name__}: {error}")
    except Exception as error:  # an assertion of the suite, mostly
        beyond = foreign(_Recording.last)
        if "element types and sequences" in beyond and not isinstance(error, AssertionError):
            return "not supported", "element types and sequences"  # the suite hands over what is no array
        return ("not supported", reasons[0]) if reasons else ("failed", f"{type(error).__name__}: {error}")
    return ("failed", f"passes, but is listed: {reasons[0]}") if reasons else ("passed", "")


def table(scores):
    """The scoreboard in Markdown from {category: Counter of (outcome, why)}."""
    lines = ["| set | passed | not supported | failed |", "|---|---|---|---|"]
    total, why = Counter(), Counter()
    for category, score in scores.items():
        counts = Counter()
        for (what, reason), n in score.items():
            counts[what] += n
            if what == "not supported":
                why[reason] += n
        total += counts
        lines.append(f"| {category} | " + " | ".join(str(counts[what]) for what in OUTCOMES) + " |")
    lines.append("| all | " + " | ".join(str(total[what]) for what in OUTCOMES) + " |")
    lines += ["", "| not supported | tests |", "|---|---|"]
    lines += [f"| {reason} | {n} |" for reason, n in sorted(why.items(), key=lambda item: (-item[1], item[0]))]
    return "\n".join(lines)
