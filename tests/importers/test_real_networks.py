"""Real networks, imported and rewritten, given back as ONNX and run by onnxruntime: this checks the importer and the
passes by themselves. What our runtime makes of the same networks is in test_networks.py."""

import os
from pathlib import Path

import numpy as np
import pytest
from agree import rewritten
from onnx_export import to_onnx
from oracle import error, reference

import sparse_runtime as sr

MODELS = os.environ.get("SPARSE_RUNTIME_MODELS")
pytestmark = [pytest.mark.models, pytest.mark.skipif(not MODELS, reason="SPARSE_RUNTIME_MODELS is not set")]

# name -> (peak of the input's values, what the passes have to find, operators that must be gone)
NETWORKS = {
    "mp_hand_sparse_2106": (1, {"fold_pad": 5, "fuse_residual": 9, "fuse_activation": 34}, {"Pad", "Unary", "Binary"}),
    "mp_pose_det_sparse": (1, {"fold_pad": 5, "fuse_residual": 13, "fuse_activation": 40}, {"Unary"}),
    "mp_hand_dense_2109": (1, {"fuse_residual": 10, "fuse_activation": 34}, {"Unary", "Binary"}),
    "mp_face_full_dense": (1, {"fuse_residual": 20, "fuse_activation": 47}, {"Unary"}),
    "coral_mobilenet_v1_0.75_192_fp32": (255, {"fuse_activation": 27}, {"Unary"}),
    "coral_mobilenet_v2_1.0_224_fp32": (255, {"fuse_residual": 10, "fuse_activation": 35}, {"Unary"}),
    "nanodet_m_320": (1, {"fuse_shuffle": 32, "fuse_activation": 48}, set()),
    "picodet_xs_320": (1, {"fuse_functions": 78, "fuse_activation": 98}, {"Unary"}),
    "yolox_nano": (255, {"fuse_functions": 104, "fuse_activation": 110}, {"Unary"}),
    "yunet_n_320": (255, {"fuse_activation": 24}, {"Unary"}),
    "ulfd_rfb320_raw": (1, {"fold_affine": 35, "fuse_activation": 38}, {"BatchNormalization", "Unary"}),
}
# Largest error as a share of the output range. Folding batch norms and spelled-out functions rounds differently;
# picodet_xs amplifies that.
TOLERANCE = {"picodet_xs_320": 1e-3}


@pytest.mark.parametrize("name", NETWORKS)
def test_network(name):
    peak, found, gone = NETWORKS[name]
    path = str(Path(MODELS, name + ".onnx"))
    graph, outcome = rewritten(path)
    rng = np.random.default_rng(1)
    feeds = {v.name: rng.uniform(0, peak, v.dims).astype(v.dtype) for v in graph.inputs}
    expected, actual = reference(path, feeds, optimized=False), reference(to_onnx(graph), feeds, optimized=False)
    assert list(actual) == list(expected)
    for output, want in expected.items():
        assert error(actual[output], want) <= TOLERANCE.get(name, 1e-4), output
    assert outcome.free["batch"] and not outcome.note
    assert {key: outcome.counts[key] for key in found} == found
    assert not gone & {node.op for node in graph.nodes}


def test_other_sizes_than_exported_with():
    """The same detector exists with free dimensions: its answers at another size are those of the one exported for 320
    x 320."""
    feeds = {"input": np.random.default_rng(2).uniform(0, 255, (2, 3, 352, 416)).astype(np.float32)}
    expected = reference(Path(MODELS, "yunet_n_dynamic.onnx"), feeds)
    graph, outcome = rewritten(str(Path(MODELS, "yunet_n_320.onnx")))
    assert outcome.free == {"batch": True, "planes": True}
    session = sr.Session(str(Path(MODELS, "yunet_n_320.onnx")))
    for actual in (
        reference(to_onnx(graph), feeds),
        dict(zip([o.name for o in session.outputs], session.run(None, feeds))),
    ):
        for output, want in expected.items():
            assert error(actual[output], want) <= 1e-4, output
