"""The pipe to a runtime's process, and what is said of runtimes that are not there."""

import os

import numpy as np
import pytest

from benchmarks.peers import PEERS, Peer
from benchmarks.peers.client import PeerError, Worker
from benchmarks.peers.measure import difference
from benchmarks.variants import VARIANTS
from sparse_runtime import zoo

CPU = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
pytestmark = pytest.mark.skipif(CPU is None, reason="no CPU affinity on this system")


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(zoo.build("mobilenet_v3_small", size=32).SerializeToString())
    return path


@pytest.mark.slow
def test_runtimes_agree(model, tmp_path):
    feeds = {"x": np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32)}
    results = []
    for title in ("onnxruntime", "sparse-runtime"):
        with Worker(PEERS[title], [CPU], tmp_path / "log") as worker:
            results.append(worker.load("a", model, feeds))
            for clock in ("wall", "cpu"):
                times, busy = worker.time("a", 3, clock)
                assert len(times) == 3 and min(times) > 0 and busy > 0
            worker.drop()
            with pytest.raises(PeerError, match="KeyError"):
                worker.time("a", 1)
    assert difference(*results) < 1e-4


@pytest.mark.slow
def test_runtime_that_is_not_there(tmp_path):
    with pytest.raises(PeerError, match="ModuleNotFoundError"):
        Worker(Peer("none", "no_such_runtime"), [CPU], tmp_path / "log")
    with pytest.raises(PeerError, match="not installed"):
        Worker(Peer("none", "ort", own_venv="build/no-such-venv"), [CPU], tmp_path / "log")


@pytest.mark.slow
def test_model_that_is_refused(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"bad")
    with Worker(PEERS["onnxruntime"], [CPU], tmp_path / "log") as worker:
        with pytest.raises(PeerError, match="InvalidProtobuf|Protobuf"):
            worker.load("bad", tmp_path / "bad.onnx", {})


def test_difference():
    expected = {"y": np.float32([0, 10])}
    assert difference({"y": np.float32([0, 9])}, expected) == pytest.approx(0.1)
    assert difference({"y": np.float32([0, np.nan])}, expected) == float("inf")
    assert difference({"z": expected["y"]}, expected) == float("inf")
    assert difference({"y": np.float32([[0, 10]])}, expected) == float("inf")


def test_variants():
    assert list(VARIANTS) == ["dense", "75", "85", "90", "75-2x1", "85-2x1", "90-2x1"]
    assert VARIANTS["85-2x1"].block == 2 and VARIANTS["85-2x1"].title == "85 %, 2x1 blocks"
