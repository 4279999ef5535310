"""Whole networks against onnxruntime: those of the zoo, dense and pruned, and real ones where SPARSE_RUNTIME_MODELS names them."""

import functools
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from oracle import error, feeds_for, reference

import sparse_runtime as sr
from sparse_runtime import zoo

MODELS = os.environ.get("SPARSE_RUNTIME_MODELS")
# name -> largest error as a share of the output range. onnxruntime differs from itself by 2.4e-4 between 1 and 2 threads on picodet_xs.
REAL = {
    "mp_hand_sparse_2106": 1e-4, "mp_pose_det_sparse": 1e-4, "mp_hand_dense_2109": 1e-4, "mp_face_full_dense": 1e-4,
    "coral_mobilenet_v1_0.75_192_fp32": 1e-4, "coral_mobilenet_v2_1.0_224_fp32": 1e-4, "nanodet_m_320": 1e-4,
    "picodet_xs_320": 1e-3, "yolox_nano": 1e-4, "yunet_n_320": 1e-4, "ulfd_rfb320_raw": 1e-4,
}
# Inputs on the scale of what the network was trained on, so that its outputs say something: 0..255 or 0..1 pictures.
PIXELS = {"yunet_n_320": 255.0, "yolox_nano": 255.0}
QUICK = {"picodet_m": 96}  # pixels, else 64: the zoo's networks work at any size


def pictures(session, shapes=None, peak=1.0):
    feeds = feeds_for(session, shapes)
    rng = np.random.default_rng(1)
    return {name: rng.uniform(0, peak, array.shape).astype(array.dtype) if array.dtype == np.float32 else array
            for name, array in feeds.items()}


def compare(session, feeds, expected, tolerance):
    names = [o.name for o in session.outputs]
    assert names == list(expected)
    for name, output in zip(names, session.run(None, feeds)):
        if expected[name].dtype.kind == "f":
            assert error(output, expected[name]) <= tolerance, name
        else:  # quantized at the end: one step where a value lies on the edge of two
            assert np.abs(output.astype(int) - expected[name].astype(int)).max() <= 1, name


@functools.lru_cache(maxsize=1)
def real_network(name):
    """(session arguments' model bytes, feeds, expected outputs), kept for the tests of one network."""
    path = str(Path(MODELS, name + ".onnx"))
    data = sr.convert(path).data
    feeds = pictures(sr.Session(data), peak=PIXELS.get(name, 1.0))
    return path, data, feeds, reference(path, feeds)


@pytest.mark.models
@pytest.mark.skipif(not MODELS, reason="SPARSE_RUNTIME_MODELS is not set")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("sparse", ["auto", "never", pytest.param("always", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", REAL)
def test_real_network(name, sparse, threads):
    _, data, feeds, expected = real_network(name)
    compare(sr.Session(data, sparse=sparse, threads=threads), feeds, expected, REAL[name])


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.skipif(not MODELS, reason="SPARSE_RUNTIME_MODELS is not set")
@pytest.mark.parametrize("name", REAL)
def test_real_network_batch(name):
    """Batch 3 from the same model equals three runs, and each image counts."""
    _, data, _, _ = real_network(name)
    session = sr.Session(data)
    feeds = pictures(session, {i.name: (3, *i.shape[1:]) for i in session.inputs}, PIXELS.get(name, 1.0))
    feeds = {k: (v * np.array([1, 0.5, 0.25]).reshape(-1, *[1] * (v.ndim - 1))).astype(v.dtype) for k, v in feeds.items()}
    together = session.run(None, feeds)
    for i in range(3):
        alone = session.run(None, {k: v[i:i + 1] for k, v in feeds.items()})
        for one, all_three in zip(alone, together):
            np.testing.assert_array_equal(one[0], all_three[i])
    assert all((t[0] != t[1]).any() for t in together if t[0].size > 4)


@functools.lru_cache(maxsize=4)
def zoo_network(name, ratio, block=(1, 1)):
    model = zoo.build(name, size=QUICK.get(name, 64))
    if ratio:
        model = sr.prune.magnitude(model, ratio=ratio, block=block)
    return model, sr.convert(model).data


# Emulated cores run every network unstructured, and one of them in each form.
FORMS = [pytest.param(name, ratio, block, marks=[] if block == (1, 1) and ratio or name == "mobilenet_v1" else pytest.mark.slow)
         for name in zoo.names() for ratio, block in ((0, (1, 1)), (0.8, (1, 1)), (0.8, (2, 1)))]


@pytest.mark.parametrize("name, ratio, block", FORMS)
def test_zoo_network(name, ratio, block):
    model, data = zoo_network(name, ratio, block)
    expected, feeds = None, None
    for sparse in ("auto", "always", "never"):
        for threads in (1, 2):
            session = sr.Session(data, sparse=sparse, threads=threads)
            if feeds is None:
                feeds = feeds_for(session)
                expected = reference(model, feeds)
            compare(session, feeds, expected, 1e-4)


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v3_small", "shufflenet_v2", "picodet_m"])
def test_threads_do_not_change_a_bit(name):
    _, data = zoo_network(name, 0.8)
    feeds, outputs = None, []
    for threads in (1, 2, 3, 4):
        session = sr.Session(data, threads=threads)
        feeds = feeds or feeds_for(session)
        outputs.append(session.run(None, feeds))
    for other in outputs[1:]:
        for a, b in zip(outputs[0], other):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.names())
def test_other_sizes_from_the_same_model(name):
    """A model converted at one size runs at another size and batch, as the network built for them does."""
    _, data = zoo_network(name, 0.8)
    session = sr.Session(data)
    (info,) = session.inputs
    for batch, size in ((3, 64), (1, 96)):
        model = sr.prune.magnitude(zoo.build(name, batch=batch, size=size), ratio=0.8)
        feeds = feeds_for(session, {info.name: (batch, 3, size, size)}, seed=batch)
        compare(session, feeds, reference(model, feeds), 1e-4)


def test_dynamic_dimensions():
    model = zoo.build("mobilenet_v2", dynamic=True)
    session = sr.Session(model)
    (info,) = session.inputs
    assert None in info.shape
    with pytest.raises(sr.ShapeError, match="free"):
        session.explain()
    for shape in ((1, 3, 64, 64), (2, 3, 96, 64)):
        feeds = feeds_for(session, {info.name: shape})
        compare(session, feeds, reference(model, feeds), 1e-4)
    assert sr.Session(model, input_shapes={info.name: (1, 3, 32, 32)}).inputs[0].shape == (1, 3, 32, 32)


def test_sparse_kernels_are_chosen():
    """A pruned network runs sparse kernels where they pay, a 2x1-pruned one the 2x1 kernels, and says why."""
    for block, kernel in (((1, 1), "pw_csr"), ((2, 1), "pw_2x1")):
        _, data = zoo_network("mobilenet_v1", 0.9, block)
        layers = [layer for layer in sr.Session(data).explain() if layer.op == "Conv" and layer.sparsity > 0.5]
        assert layers
        assert sum(layer.kernel.startswith(kernel) for layer in layers) > len(layers) / 2
        assert all(layer.reason for layer in layers)
        never = [layer for layer in sr.Session(data, sparse="never").explain() if layer.op == "Conv"]
        assert not any("csr" in layer.kernel or "2x1" in layer.kernel for layer in never)


@pytest.mark.slow
@pytest.mark.parametrize("ratio, limit_mb", [(0.75, 5.6), (0.85, 4.1)])
def test_picodet_file_is_smaller_than_paddle_lites(ratio, limit_mb):
    """Published for Paddle Lite: 8.9 MB dense, 5.6 MB at 75 % and 4.1 MB at 85 % of 1x1 weights pruned."""
    model = zoo.build("picodet_m")
    assert len(sr.convert(sr.prune.magnitude(model, ratio=ratio)).data) < limit_mb * 1e6


def test_onnx_model_unchanged_by_conversion():
    model = zoo.build("shufflenet_v2", size=64)
    before = model.SerializeToString(deterministic=True)
    sr.convert(model)
    assert model.SerializeToString(deterministic=True) == before
    onnx.checker.check_model(model)
