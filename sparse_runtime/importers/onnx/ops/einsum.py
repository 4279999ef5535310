"""Einsum by sums, transposes and matrix products."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ....ir import Value
from ..registry import Call, op


class _Term:
    """A tensor and what its axes are called."""

    def __init__(self, value: Value, labels: Sequence[str]):
        self.value, self.labels = value, list(labels)


@op("Einsum")
def einsum(c: Call):
    c.floats(*range(len(c.inputs)))
    equation = c.text("equation", "").replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = [_Term(c.x(i), _labels(text, c.known_rank(i))) for i, text in enumerate(left.split(","))]
    if len(terms) != len(c.inputs):
        raise ValueError(f"{len(c.inputs)} inputs for the equation {equation!r}")
    there = [label for term in terms for label in term.labels]
    rest = sorted({label for label in there if label.startswith(".")}, reverse=True)
    if arrow:
        wanted = _labels(right, len(right.replace("...", "")) + len(rest), rest)
    else:  # what the ellipses stand for, then in alphabetical order all that are there once
        wanted = rest + sorted(label for label in set(there) - set(rest) if there.count(label) == 1)
    if len(set(wanted)) < len(wanted) or not set(wanted) <= set(there):
        raise ValueError(f"the result of the equation {equation!r}")
    for i, term in enumerate(terms):
        _diagonals(c, term)
        _sum(c, term, [label for other in terms[:i] + terms[i + 1 :] for label in other.labels] + wanted)
    y = terms[0]
    for i, term in enumerate(terms[1:], 2):
        y = _product(c, y, term, [label for other in terms[i:] for label in other.labels] + wanted)
    _sum(c, y, wanted)
    return _ordered(c, y, wanted)


def _labels(text: str, rank: int, ellipsis: Sequence[str] | None = None) -> list[str]:
    """A label for each axis; those of the ellipsis are numbered from the right, as they are broadcast."""
    if not re.fullmatch(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*", text):
        raise ValueError(f"the term {text!r}")
    before, dots, behind = text.partition("...")
    count = rank - len(before) - len(behind)
    if count < 0 or (count and not dots):
        raise ValueError(f"the term {text!r} for a tensor of rank {rank}")
    if ellipsis is None:
        ellipsis = [f".{i:02}" for i in reversed(range(count))]
    return [*before, *(ellipsis if dots else ()), *behind]


def _diagonals(c: Call, term: _Term) -> None:
    """Of axes of the same name, one with the elements at which all their indices are equal."""
    for label in dict.fromkeys(term.labels):
        while term.labels.count(label) > 1:
            first = term.labels.index(label)
            second = term.labels.index(label, first + 1)
            rank = len(term.labels)
            rows, columns = (
                c.reshape(c.range(c.size(term.value, axis)), [-1] + [1] * (rank - 1 - axis)) for axis in (first, second)
            )
            kept = c.where(c.compare("equal", rows, columns), term.value, c.scalar(0.0))
            term.value = c.reduce("sum", kept, [first], keepdims=0)
            del term.labels[first]


def _sum(c: Call, term: _Term, wanted: Sequence[str]) -> None:
    """Over the axes that nothing asks for."""
    axes = [i for i, label in enumerate(term.labels) if label not in wanted]
    if axes:
        term.value = c.reduce("sum", term.value, axes, keepdims=0)
        term.labels = [label for label in term.labels if label in wanted]


def _ordered(c: Call, term: _Term, labels: Sequence[str]) -> Value:
    perm = [term.labels.index(label) for label in labels]
    if perm == sorted(perm):
        return term.value
    if term.value.is_const:
        return c.constant(term.value.const.transpose(perm), "turned")
    return c.emit("Transpose", term.value, perm=perm)


def _product(c: Call, a: _Term, b: _Term, wanted: Sequence[str]) -> _Term:
    """Both terms' labels but those that are in both and that nothing else asks for: over these is summed."""
    both = [label for label in a.labels if label in b.labels]
    summed = [label for label in both if label not in wanted]
    batch = [label for label in both if label in wanted]
    rows, columns = ([label for label in term.labels if label not in both] for term in (a, b))
    if not summed:
        labels = batch + rows + columns
        return _Term(c.binary("mul", _spread(c, a, labels), _spread(c, b, labels)), labels)
    result = _Term(a.value, batch + rows + columns)
    x, w = _ordered(c, a, batch + rows + summed), b.value
    if w.is_const and w.const.size and not batch and c.dtype() != "float64":
        x = _merge(c, x, [1] * len(rows) + [len(summed)])
        turned = _ordered(c, b, columns + summed).const
        count = int(np.prod(turned.shape[: len(columns)], dtype=np.int64))
        result.value = c.emit("FullyConnected", x, c.constant(turned.reshape(count, -1), "W"))
        if len(columns) == 1:
            return result
    else:
        x = _merge(c, x, [1] * len(batch) + [len(rows), len(summed)])
        w = _merge(c, _ordered(c, b, batch + summed + columns), [1] * len(batch) + [len(summed), len(columns)])
        result.value = c.emit("MatMul", x, w)
        if len(rows) == 1 == len(columns):
            return result
    shape = [c.emit("Shape", result.value, start=0, end=len(batch))] if batch else []
    for term, labels in ((a, rows), (b, columns)):
        shape += [c.size(term.value, term.labels.index(label)) for label in labels]
    if shape:
        result.value = c.emit("Reshape", result.value, c.emit("Concat", *shape, axis=0), allowzero=1)
    else:
        result.value = c.reshape(result.value, [])
    return result


def _spread(c: Call, term: _Term, labels: Sequence[str]) -> Value:
    """The axes in this order, with ones for those that it does not have."""
    value = _ordered(c, term, [label for label in labels if label in term.labels])
    missing = [i for i, label in enumerate(labels) if label not in term.labels]
    return c.unsqueeze(value, missing) if missing else value


def _merge(c: Call, x: Value, groups: Sequence[int]) -> Value:
    """Neighbouring axes as one, of none as an axis of 1; `groups` says how many go together."""
    if all(n == 1 for n in groups):
        return x
    shape, at = [], 0
    for n in groups:
        if n:
            shape.append(c.reduce("prod", c.emit("Shape", x, start=at, end=at + n), [0]))
        else:
            shape.append(c.ints([1], "one"))
        at += n
    return c.emit("Reshape", x, c.emit("Concat", *shape, axis=0), allowzero=1)
