"""docs/format.md is enough to read a file: a reader written from its text alone, none of which is the package's."""
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from conftest import make_model
from sparse_runtime import convert

TYPES = {1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8", 12: "<u4",
         13: "<u8"}
DENSE, BITMAP, BITMAP_2X1, GAPS, GAPS_2X1 = range(5)
NONE = 0xFFFFFFFF


def up(size, multiple):
    return -(-size // multiple) * multiple


def bits_of(data):
    return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little").astype(bool)


class Stream:
    def __init__(self, data, at):
        self.data, self.at = data, at

    def number(self, kind):
        value, = struct.unpack_from("<" + kind, self.data, self.at)
        self.at += struct.calcsize("<" + kind)
        return value

    def u32(self):
        return self.number("I")

    def i64(self):
        return self.number("q")

    def string(self):
        size = self.u32()
        text = self.data[self.at:self.at + size]
        assert len(text) == size and 0 not in text
        self.at += size
        return text.decode("utf-8")

    def list(self, one):
        return [one() for _ in range(self.u32())]


def read_gaps(data, count):
    """(bitmap of `count` bits, number of bytes before the elements)."""
    low, = struct.unpack_from("<I", data)
    assert low <= 7
    bits, at, i, ones = bits_of(data[4:]), 0, 0, np.zeros(count, bool)
    while i < count:
        start = at
        while not bits[at]:
            at += 1
        gap = at - start << low
        at += 1
        gap += sum(int(bits[at + k]) << k for k in range(low))
        at += low
        i += gap
        assert i <= count
        if i < count:
            ones[i] = True
        i += 1
    end = up(at, 32)
    assert not bits[at:end].any()
    return ones, 4 + end // 8


def decode(encoding, data, dtype, dims):
    dtype = np.dtype(dtype)
    if encoding == DENSE:
        assert len(data) == np.prod(dims) * dtype.itemsize
        return np.frombuffer(data, dtype).reshape(dims)
    rows, columns = dims[0], int(np.prod(dims[1:]))
    block = 2 if encoding in (BITMAP_2X1, GAPS_2X1) else 1
    lines = -(-rows // block)
    if encoding in (BITMAP, BITMAP_2X1):
        begin = up(lines * columns, 32) // 8
        ones = bits_of(data[:begin])
        assert not ones[lines * columns:].any()
        ones = ones[:lines * columns]
    else:
        ones, begin = read_gaps(data, lines * columns)
    elements, at = np.frombuffer(data, dtype, offset=begin), 0
    dense = np.zeros((rows, columns), dtype)
    for i, line in enumerate(ones.reshape(lines, columns)):
        where, height = np.flatnonzero(line), min(block, rows - i * block)
        stored = elements[at:at + height * len(where)]
        dense[i * block:i * block + height, where] = stored.reshape(len(where), height).T
        at += height * len(where)
    assert at == len(elements)
    return dense.reshape(dims)


def read(data):
    """{"version", "values", "inputs", "outputs", "nodes"}; all that the text promises is checked."""
    assert data[:8] == b"\x89SPR\r\n\x1a\n"
    version, flags, size, meta, data_at = struct.unpack_from("<IIQQQ", data, 8)
    assert version in (1, 2) and flags == 0 and size == len(data) and not any(data[40:60])
    assert data_at == up(64 + meta, 64) and not any(data[64 + meta:data_at])
    assert struct.unpack_from("<I", data, 60)[0] == zlib.crc32(data[64:], zlib.crc32(data[:60]))
    stream, end = Stream(data[:64 + meta], 64), data_at
    stream.string()
    assert stream.u32() in (1, 2, 3)

    def value():
        nonlocal end
        read = {"name": stream.string(), "kind": stream.u32()}
        if read["kind"]:
            read["type"], read["dims"] = TYPES[stream.u32()], stream.list(stream.i64)
        if read["kind"] == 2:
            read["encoding"], count, offset = stream.u32(), stream.number("Q"), stream.number("Q")
            assert offset == up(end, 64) and not any(data[end:offset])
            end = offset + count
            read["array"] = decode(read["encoding"], data[offset:end], read["type"], read["dims"])
        return read

    def attribute():
        name, kind = stream.string(), stream.u32()
        return name, (stream.i64, lambda: stream.number("d"), lambda: stream.list(stream.i64), stream.string)[kind]()

    def node():
        return {"operator": stream.string(), "name": stream.string(), "inputs": stream.list(stream.u32),
                "outputs": stream.list(stream.u32), "attributes": stream.list(attribute)}

    values = stream.list(value)
    inputs, outputs, nodes = stream.list(stream.u32), stream.list(stream.u32), stream.list(node)
    assert stream.at == 64 + meta and end == len(data)
    assert (version == 2) == any(v.get("encoding", 0) >= GAPS for v in values)
    assert inputs == [i for i in inputs if values[i]["kind"] == 1] and len(set(outputs)) == len(outputs) > 0
    known = {i for i, v in enumerate(values) if v["kind"]}
    for each in nodes:
        assert known.issuperset(set(each["inputs"]) - {NONE}) and known.isdisjoint(each["outputs"])
        known.update(each["outputs"])
    assert len(known) == len(values)
    return {"version": version, "values": values, "inputs": inputs, "outputs": outputs, "nodes": nodes}


def weights(dtype, large):
    """{encoding that the writer should choose: weights}; rows and columns are odd. Gaps pay in large sparse layers."""
    rng = np.random.default_rng(11)

    def make(rows, columns, zeros, pairs=False):
        if dtype == np.int8:
            dense = rng.integers(1, 128, (rows, columns, 1, 1)) * rng.choice([-1, 1], (rows, columns, 1, 1))
        else:
            dense = rng.standard_normal((rows, columns, 1, 1))
        kept = rng.random(dense.shape) >= zeros
        if pairs:
            kept[1::2] = kept[0:-1:2]
        return np.where(kept, dense, 0).astype(dtype)

    found = {BITMAP: make(33, 15, .55), BITMAP_2X1: make(15, 33, .6, pairs=True), DENSE: make(97, 15, .1)}
    if large:
        found |= {GAPS: make(65, 97, .93), GAPS_2X1: make(131, 65, .93, pairs=True)}
    return found


def network(dtype, kernels):
    """Convolutions one after the other: float32, or with 8-bit weights between QuantizeLinear and DequantizeLinear."""
    nodes, constants, value = [], {"s": np.float32(0.05), "z": np.uint8(128), "v": np.float32(0.01), "o": np.int8(0)}, "x"
    for i, kernel in enumerate(kernels.values()):
        constants[f"w{i}"], weight = kernel, f"w{i}"
        if dtype == np.int8:
            nodes += [helper.make_node("QuantizeLinear", [value, "s", "z"], [f"q{i}"]),
                      helper.make_node("DequantizeLinear", [f"q{i}", "s", "z"], [f"a{i}"]),
                      helper.make_node("DequantizeLinear", [weight, "v", "o"], [f"b{i}"])]
            value, weight = f"a{i}", f"b{i}"
        nodes.append(helper.make_node("Conv", [value, weight], [f"y{i}"], name=f"conv{i}"))
        value = f"y{i}"
    if dtype == np.int8:
        nodes += [helper.make_node("QuantizeLinear", [value, "s", "z"], ["last"]),
                  helper.make_node("DequantizeLinear", ["last", "s", "z"], ["y"])]
    else:
        constants = {name: c for name, c in constants.items() if name.startswith("w")}
    return make_model(nodes, {"x": ("N", kernels[BITMAP].shape[1], "H", "W")}, ["y" if dtype == np.int8 else value],
                      constants)


@pytest.mark.parametrize("large", [False, True], ids=["version1", "version2"])
@pytest.mark.parametrize("dtype", [np.float32, np.int8])
def test_weights_read_back(dtype, large):
    kernels = weights(dtype, large)
    file = read(bytes(convert(network(dtype, kernels)).data))
    assert file["version"] == (2 if large else 1)
    convolutions = [n for n in file["nodes"] if n["operator"] in ("Conv", "QConv")]
    assert [n["name"] for n in convolutions] == [f"conv{i}" for i in range(len(kernels))]
    for node, (encoding, kernel) in zip(convolutions, kernels.items()):
        stored = file["values"][node["inputs"][1]]
        assert (stored["encoding"], stored["type"]) == (encoding, "i1" if dtype == np.int8 else "<f4"), node["name"]
        np.testing.assert_array_equal(stored["array"], kernel)
    (x,), (y,) = file["inputs"], file["outputs"]
    assert (file["values"][x]["name"], file["values"][x]["dims"]) == ("x", [-1, kernels[BITMAP].shape[1], -1, -1])
    assert file["values"][y]["kind"] == 0 and y in file["nodes"][-1]["outputs"]


def test_example_of_the_text():
    text = (Path(__file__).resolve().parents[1] / "docs/format.md").read_text(encoding="utf-8")
    example = re.search(r"For example, float32 `\[3, 4\]`\n\n```\n(.*?)```", text, re.DOTALL)[1]
    expected = np.float32([[0, 5, 0, 0], [0, 6, 7, 8], [9, 0, 0, 0]])
    assert [re.match(r"(\d \d \d \d) ", line)[1] for line in example.splitlines()[:3]] == [
        " ".join(str(int(v)) for v in row) for row in expected]
    joined = re.sub(r"\s+", " ", example)
    for name, encoding in (("bitmap", BITMAP), ("bitmap 2x1", BITMAP_2X1), ("gaps", GAPS)):
        told = re.search(rf"{name}: .*?bytes ((?:[0-9A-F]{{2}} ?)+), then ((?:\d ?)+)", joined)
        elements = np.float32([int(v) for v in told[2].split()])
        if encoding == BITMAP:  # the next row of the table begins with a number too
            elements = elements[:5]
        elif encoding == BITMAP_2X1:
            elements = elements[:7]
        data = bytes.fromhex(told[1]) + elements.astype("<f4").tobytes()
        np.testing.assert_array_equal(decode(encoding, data, "<f4", [3, 4]), expected)
