"""Networks with outputs whose shapes depend on what is computed: planned and run behind the rest, anew in each run."""

import numpy as np
import pytest
from conftest import make_model
from onnx import TensorProto, helper
from oracle import error, reference

import sparse_runtime as sr
from sparse_runtime.importers import import_model

INT64, FLOAT = TensorProto.INT64, TensorProto.FLOAT
RNG = np.random.default_rng(5)


def node(op, inputs, *outputs, **attrs):
    return helper.make_node(op, inputs.split(), list(outputs), **attrs)


def detector():
    """Convolutions and a residual, boxes and scores from them, NonMaxSuppression, and the boxes that it keeps."""
    nodes = [
        node("Conv", "x w0 b0", "c0"), node("Relu", "c0", "r0"),
        node("Conv", "r0 w1", "c1", pads=[1] * 4), node("Add", "c1 r0", "sum"),
        node("Conv", "sum wb", "maps"), node("Conv", "r0 ws", "heat"),
        node("Reshape", "maps box_shape", "rows"), node("Transpose", "rows", "boxes", perm=[0, 2, 1]),
        node("Reshape", "heat score_shape", "raw"), node("Sigmoid", "raw", "scores"),
        node("NonMaxSuppression", "boxes scores most iou least", "found"),
        node("Slice", "found two three one", "columns"), node("Squeeze", "columns one", "which"),
        node("Gather", "boxes which", "kept", axis=1), node("Shape", "found", "shape"), node("Neg", "sum", "planes"),
    ]
    def weights(*shape):
        return (RNG.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    constants = {"w0": weights(16, 3, 1, 1), "b0": weights(16), "w1": weights(16, 16, 3, 3), "wb": weights(4, 16, 1, 1),
                 "ws": weights(2, 16, 1, 1), "box_shape": np.array([0, 4, -1]), "score_shape": np.array([0, 2, -1]),
                 "most": np.array([60]), "iou": np.float32([0.2]), "least": np.float32([0.6]), "one": np.array([1]),
                 "two": np.array([2]), "three": np.array([3])}
    return make_model(nodes, {"x": (1, 3, 9, 7)}, {"kept": FLOAT, "found": INT64, "shape": INT64, "planes": FLOAT},
                      constants)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("rewritten", [False, True])
def test_detector(rewritten, threads):
    model, counts = detector(), set()
    session = sr.Session(sr.convert(model).data if rewritten else import_model(model).to_bytes(), threads=threads)
    assert [o.shape for o in session.outputs] == [None, None, None, (1, 16, 9, 7)]
    for seed in (0, 1, 2, 0):
        feeds = {"x": np.random.default_rng(seed).standard_normal((1, 3, 9, 7)).astype(np.float32) * (seed + 1)}
        outputs, expected = session.run(None, feeds), reference(model, feeds)
        for y, want in zip(outputs, expected.values()):
            assert y.shape == want.shape and (not want.size or error(y, want) < 1e-5)
        assert [o.shape for o in session.outputs] == [y.shape for y in outputs]
        counts.add(len(outputs[1]))
    assert len(counts) > 1
    session.reshape({"x": (1, 3, 12, 5)})
    assert session.outputs[0].shape is None
    assert session.run(["planes"], {"x": np.zeros((1, 3, 12, 5), np.float32)})[0].shape == (1, 16, 12, 5)


def test_second_stage():
    """What is found is cut out of a feature map, and looked at by a second network."""
    corners = RNG.uniform(0, 8, (1, 20, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + RNG.uniform(2, 6, corners.shape).astype(np.float32)], 2)
    nodes = [node("Relu", "x", "map"), node("NonMaxSuppression", "boxes scores most iou", "found"),
             node("Gather", "found two", "which", axis=1), node("Squeeze", "boxes zero", "all"),
             node("Gather", "all which", "rois"), node("Shape", "which", "count"),
             node("ConstantOfShape", "count", "images", value=helper.make_tensor("", INT64, [1], [0])),
             node("RoiAlign", "map rois images", "crops", output_height=3, output_width=3, sampling_ratio=2),
             node("Conv", "crops w", "c"), node("Flatten", "c", "flat"), node("Gemm", "flat fw", "y")]
    constants = {"boxes": boxes, "most": np.array([6]), "iou": np.float32([0.3]), "two": np.int64(2),
                 "zero": np.array([0]), "w": RNG.standard_normal((8, 3, 3, 3)).astype(np.float32),
                 "fw": RNG.standard_normal((8, 5)).astype(np.float32)}
    model = make_model(nodes, {"x": (1, 3, 16, 16), "scores": (1, 2, 20)}, ["y"], constants, 16)
    session = sr.Session(sr.convert(model).data, threads=2)
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        feeds = {"x": rng.standard_normal((1, 3, 16, 16)).astype(np.float32),
                 "scores": rng.random((1, 2, 20), np.float32)}
        assert error(session.run(None, feeds)[0], reference(model, feeds)["y"]) < 1e-5


def test_everything_late():
    """Nothing is known of any shape before the run; what is fed may be read by nothing else."""
    model = make_model([node("Range", "start limit delta", "r"), node("Cast", "r", "f", to=FLOAT),
                        node("Exp", "f", "y")],
                       {n: (np.dtype("int64"), ()) for n in ("start", "limit", "delta")}, ["y"])
    session = sr.Session(model)
    for start, limit, delta in ((0, 5, 1), (3, 3, 1), (7, -2, -3)):
        feeds = {"start": np.array(start), "limit": np.array(limit), "delta": np.array(delta)}
        np.testing.assert_allclose(session.run(None, feeds)[0], np.exp(np.arange(start, limit, delta, np.float32)),
                                   rtol=1e-6)


def test_convolution_behind():
    """On a picture cut to a computed size: slow, as its weights are packed in each run, but right."""
    nodes = [node("Slice", "x zero size two", "cut"), node("Conv", "cut w b", "c"), node("Relu", "c", "y")]
    constants = {"zero": np.array([0]), "two": np.array([2]), "w": RNG.standard_normal((8, 3, 3, 3)).astype(np.float32),
                 "b": RNG.standard_normal(8).astype(np.float32)}
    model = make_model(nodes, {"x": (2, 3, 20, 11), "size": (np.dtype("int64"), (1,))}, ["y"], constants)
    session = sr.Session(model, threads=2)
    for size in (20, 3, 9):
        feeds = {"x": RNG.standard_normal((2, 3, 20, 11)).astype(np.float32), "size": np.array([size])}
        assert error(session.run(None, feeds)[0], reference(model, feeds)["y"]) < 1e-5


def test_other_sizes_at_which_it_cannot_run():
    """A size that is fed is taken for a batch; that there may not be one more of them is no error."""
    model = make_model([node("Split", "size", "a", "b", num_outputs=2), node("Squeeze", "b", "s"),
                        node("Range", "zero s one", "y")], {"size": (np.dtype("int64"), (2,))}, {"y": INT64},
                       {"zero": np.array(0), "one": np.array(1)}, opset=18)
    np.testing.assert_array_equal(sr.Session(model).run(None, {"size": np.array([7, 4])})[0], np.arange(4))


def test_contents_that_do_not_fit():
    """Known when it runs: an error that names the node, and the session goes on."""
    model = make_model([node("Reshape", "x shape", "y", name="late"), node("Neg", "x", "z")],
                       {"x": (2, 6), "shape": (np.dtype("int64"), (2,))}, ["y", "z"])
    session, x = sr.Session(model), np.arange(12, dtype=np.float32).reshape(2, 6)
    np.testing.assert_array_equal(session.run(["y"], {"x": x, "shape": np.array([4, -1])})[0], x.reshape(4, 3))
    with pytest.raises(sr.ShapeError, match=r"'late' \(Reshape\): shape \[5, 5\] has 25 elements"):
        session.run(["y"], {"x": x, "shape": np.array([5, 5])})
    with pytest.raises(sr.ShapeError, match="late"):
        session.run(["y"], {"x": x, "shape": np.array([2**62, 2])})
    np.testing.assert_array_equal(session.run(None, {"x": x, "shape": np.array([12, 1])})[0], x.reshape(12, 1))


def test_more_than_there_is_memory():
    """Of a size that is fed: the system would promise it, and end the process when it is used."""
    model = make_model([node("Expand", "x shape", "y"), node("Neg", "y", "z")],
                       {"x": (1,), "shape": (np.dtype("int64"), (2,))}, ["z"])
    session, x = sr.Session(model), np.ones(1, np.float32)
    with pytest.raises(sr.OutOfMemoryError, match="a folded constant"):
        session.run(None, {"x": x, "shape": np.array([2**18, 2**19])})
    assert session.run(None, {"x": x, "shape": np.array([2, 3])})[0].shape == (2, 3)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "bool", "int8", "uint16", "int64"])
def test_non_zero(dtype):
    for shape in ((4, 5), (2, 3, 4, 5), (7,), (0, 3)):
        x = RNG.integers(0, 2, shape).astype(dtype)
        if x.dtype.kind == "f" and x.size:
            x.reshape(-1)[:3] = [-0.0, np.nan, 6e-8]
        model = make_model([node("NonZero", "x", "y")], {"x": (x.dtype, shape)}, {"y": INT64})
        np.testing.assert_array_equal(sr.Session(model).run(None, {"x": x})[0], np.stack(np.nonzero(x)))


def test_boxes_without_area_and_scores_that_are_equal():
    boxes = np.array([[[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 2], [1, 1, 0, 0], [0, 0, np.nan, 1], [5, 5, 6, 6]]],
                     np.float32)
    scores = np.array([[[0.5, 0.5, 0.5, 0.9, 0.7, np.nan]]], np.float32)
    model = make_model([node("NonMaxSuppression", "b s most iou least", "y")], {"b": boxes.shape, "s": scores.shape},
                       {"y": INT64}, {"most": np.array(10), "iou": np.float32(0.5), "least": np.float32(0.4)})
    (found,) = sr.Session(model).run(None, {"b": boxes, "s": scores})
    assert found[:, 2].tolist() == [3, 4, 2]  # the flipped box covers both that are equal
