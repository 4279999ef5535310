"""What is read from the programs that make the ARM figures."""

import json

import pytest

from benchmarks.arm import armcycles, layers
from benchmarks.arm.__main__ import merged, written


def test_cycles():
    core = {
        "core": "a53", "core_cycles": 90.0, "mispredict_cycles": 10.0, "cycles": 150.4, "sampling_spread": 0.01234,
        "engine": "inorder", "llvm_mca": "llvm-mca-19",
    }  # fmt: skip
    expected = {"plain": 100, "mem": 150, "spread": 0.0123, "engine": "in-order model"}
    assert armcycles.cycles({"cores": [core]}) == {"a53": expected}
    assert armcycles.cycles({"cores": [dict(core, engine="mca")]})["a53"]["engine"] == "llvm-mca-19"


def test_cores_of_one_kind_share_a_run():
    assert armcycles.groups(["a76", "a53", "v1"]) == [("neon,dotprod", ["a76", "v1"]), ("neon,inorder", ["a53"])]


def test_kernels_by_core():
    assert layers.kernel("pw_csr", "neon") == "pw_csr_f32_neon"
    assert layers.kernel("pw_csr", "neon,inorder") == "pw_csr_f32_neon_inorder"
    assert layers.kernel("pw_2x1", "neon,inorder,dotprod") == "pw_2x1_f32_neon_inorder_dotprod"
    with pytest.raises(LookupError, match="no_such"):
        layers.kernel("no_such", "neon")


def test_printed_macs():
    table = "kernel  M,N,K  sparsity  MMAC  us  GFLOP/s  effective\nk  49,8,8  0.750  1.2345  9.00  1.00  4.00\n"
    assert layers.printed_macs(table, "k") == 1234500
    with pytest.raises(RuntimeError):
        layers.printed_macs(table, "other")


def test_merged():
    rows = [{"shape": [1], "kernel": "k1", "cycles": {"a53": {"mem": 1, "engine": "e"}}},
            {"shape": [1], "kernel": "k2", "cycles": {"a76": {"mem": 2}}},
            {"shape": [2], "kernel": "k1", "cycles": {"a53": {"mem": 3}}}]  # fmt: skip
    assert merged(rows) == [
        {"shape": [1], "cycles": {"a53": {"mem": 1, "kernel": "k1"}, "a76": {"mem": 2, "kernel": "k2"}}},
        {"shape": [2], "cycles": {"a53": {"mem": 3, "kernel": "k1"}}},
    ]


@pytest.mark.slow
def test_shapes_of_mobilenet():
    shapes = layers.pointwise_shapes("mobilenet_v1")
    assert sum(shapes.values()) == 13 and shapes[196, 512, 512] == 5 and shapes[12544, 64, 32] == 1


def test_written():
    found = {"a": [{"b": [1, 2], "c": {"d": 3, "e": [{}]}}, {"b": []}], "f": "g"}
    text = written(found)
    assert json.loads(text) == found and len(text.splitlines()) == 7, text
