"""Sequences, which exist while importing only: exporters make them of chunk, stack and the like."""

from __future__ import annotations

import numpy as np

from ....ir import Value
from ..registry import Call, TensorList, Unsupported, op


class _Parts(TensorList):
    """What SplitToSequence makes of x, cut where it is asked for: how many parts there are may not be known."""

    def __init__(self, x: Value, axis: int, size: int, keepdims: bool):
        super().__init__([])
        self.x, self.axis, self.size, self.keepdims = x, axis, size, keepdims

    def at(self, c: Call, index: int) -> Value:
        if not self.keepdims:
            return c.emit("Gather", self.x, c.constant(np.int64(index), "index"), axis=self.axis)
        if index < 0 and self.size > 1:
            raise Unsupported(f"part {index} of a sequence of unknown length", "parts counted from the front")
        begin, end = index * self.size, (index + 1) * self.size
        ends = c.ints([np.iinfo(np.int64).max if end == 0 else end], "ends")
        return c.emit("Slice", self.x, c.ints([begin], "starts"), ends, c.ints([self.axis], "axes"))

    def length(self, c: Call) -> Value:
        size = c.binary("add", c.size(self.x, self.axis), c.ints([self.size - 1], "rest"))
        return c.reshape(c.binary("div", size, c.ints([self.size], "size")), [])


def _sequence(c: Call) -> TensorList:
    given = c.x()
    if not isinstance(given, TensorList):
        raise Unsupported("a sequence that is not made in the graph",
                          "sequences of SequenceConstruct, SplitToSequence ...")
    return given


def _known(c: Call) -> list[Value]:
    given = _sequence(c)
    if isinstance(given, _Parts):
        raise Unsupported("a sequence of unknown length", "a SplitToSequence that lists the sizes of its parts")
    return given.values


def _position(c: Call, index: int, default: int) -> int:
    return default if c.get(index) is None else int(c.const(index, "position").reshape(()))


@op("SequenceConstruct")
def sequence_construct(c: Call):
    return TensorList([c.x(i) for i in range(len(c.inputs))])


@op("SequenceEmpty")
def sequence_empty(c: Call):
    return TensorList([])


@op("SequenceInsert")
def sequence_insert(c: Call):
    values = list(_known(c))
    at = _position(c, 2, len(values))
    if not -len(values) <= at <= len(values):
        raise ValueError(f"position {at} of a sequence of {len(values)}")
    values.insert(at, c.x(1))
    return TensorList(values)


@op("SequenceErase")
def sequence_erase(c: Call):
    values = list(_known(c))
    del values[_position(c, 1, len(values) - 1)]
    return TensorList(values)


@op("SequenceAt")
def sequence_at(c: Call):
    given, at = _sequence(c), _position(c, 1, 0)
    return given.at(c, at) if isinstance(given, _Parts) else given.values[at]


@op("SequenceLength")
def sequence_length(c: Call):
    given = _sequence(c)
    return given.length(c) if isinstance(given, _Parts) else c.constant(np.int64(len(given.values)), "length")


@op("SplitToSequence")
def split_to_sequence(c: Call):
    """Parts of one size, of which the last may be smaller, or of the sizes that a vector lists; keepdims=0 counts where
    there are no sizes."""
    axis, keepdims = c.attr("axis", 0), bool(c.attr("keepdims", 1))
    if c.get(1) is None:
        return _Parts(c.x(), axis, 1, keepdims)
    sizes = c.const(1, "sizes of parts")
    if sizes.ndim == 0:
        return _Parts(c.x(), axis, int(sizes), True)
    return TensorList(c.emit_many("Split", [c.x(), c.ints(sizes, "split")], len(sizes), axis=axis))


@op("ConcatFromSequence")
def concat_from_sequence(c: Call):
    axis, values = c.need("axis"), _known(c)
    if c.attr("new_axis", 0):
        values = [c.unsqueeze(v, [axis]) for v in values]
    return c.emit("Concat", *values, axis=axis)
