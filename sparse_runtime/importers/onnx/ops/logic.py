"""Comparisons, truth values and choice."""

from __future__ import annotations

import numpy as np

from ..registry import Call, Unsupported, op


@op("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
def compare(c: Call):
    if c.op.startswith("Greater"):
        return c.compare("less" if c.op == "Greater" else "less_equal", c.x(1), c.x(0))
    return c.compare({"Equal": "equal", "Less": "less", "LessOrEqual": "less_equal"}[c.op], c.x(0), c.x(1))


def _negate(c: Call, x):
    return c.compare("equal", x, c.constant(np.zeros((), np.bool_), "false"))


@op("And", "Or", "Xor")
def logic(c: Call):
    if c.op == "Xor":
        return _negate(c, c.compare("equal", c.x(0), c.x(1)))
    return c.binary("min" if c.op == "And" else "max", c.x(0), c.x(1))


@op("Not")
def not_(c: Call):
    return _negate(c, c.x())


@op("IsNaN")
def is_nan(c: Call):
    return _negate(c, c.compare("equal", c.x(), c.x()))


@op("IsInf")
def is_inf(c: Call):
    found = [
        c.compare("equal", c.x(), c.scalar(value))
        for flag, value in (("detect_positive", np.inf), ("detect_negative", -np.inf))
        if c.attr(flag, 1)
    ]
    if not found:
        raise Unsupported("detect_positive=0 and detect_negative=0", "at least one of them")
    return found[0] if len(found) == 1 else c.binary("max", *found)


@op("BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor")
def bitwise(c: Call):
    fn = c.op[7:].lower()
    if c.op == "BitShift":
        fn = {"LEFT": "shl", "RIGHT": "shr"}[c.choice("direction", c.text("direction", ""), ("LEFT", "RIGHT"))]
    return c.emit("Bitwise", c.x(0), c.x(1), fn=fn)


@op("BitwiseNot")
def bitwise_not(c: Call):
    return c.emit("Bitwise", c.x(), c.constant(np.invert(np.zeros((), c.dtype() or "int32")), "ones"), fn="xor")


@op("Where")
def where(c: Call):
    return c.where(c.x(0), c.x(1), c.x(2))
