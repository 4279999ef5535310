"""The Python API: what it returns, and what it says when used wrongly."""

import gc
import mmap
import threading
import time

import numpy as np
import pytest
from conftest import make_model
from onnx import TensorProto, helper
from oracle import error, reference

import sparse_runtime as sr


@pytest.fixture(scope="module")
def spr(pointwise_model):
    return sr.convert(pointwise_model).data


@pytest.fixture
def x():
    return np.random.default_rng(5).standard_normal((1, 16, 9, 7)).astype(np.float32)


def test_every_source_gives_the_same(spr, pointwise_model, x, tmp_path):
    path, onnx_path = tmp_path / "m.spr", tmp_path / "m.onnx"
    path.write_bytes(spr)
    onnx_path.write_bytes(pointwise_model.SerializeToString())
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        sources = [path, str(path), spr, bytearray(spr), memoryview(spr), onnx_path, pointwise_model, mapped]
        outputs = [sr.Session(source)(x) for source in sources]
        gc.collect()  # sessions let go of the map before it closes
    for output in outputs[1:]:
        np.testing.assert_array_equal(output, outputs[0])
    assert error(outputs[0], reference(pointwise_model, {"x": x})["y"]) < 1e-5


def test_bytes_at_any_address(spr, x):
    for shift in range(8):
        padded = memoryview(b"\0" * shift + spr)[shift:]
        np.testing.assert_array_equal(sr.Session(padded)(x), sr.Session(spr)(x))


def test_bytes_may_go_away(spr, x):
    expected = sr.Session(spr)(x)
    buffer = bytearray(spr)
    session = sr.Session(buffer)
    with pytest.raises(BufferError):
        buffer.clear()  # borrowed
    del buffer
    gc.collect()
    np.testing.assert_array_equal(session(x), expected)


def test_inputs_and_outputs(spr):
    session = sr.Session(spr)
    assert session.inputs == [sr.TensorInfo("x", np.dtype("float32"), (1, 16, 9, 7))]
    assert session.outputs == [sr.TensorInfo("y", np.dtype("float32"), (1, 24, 9, 7))]


def test_run_returns_what_was_asked_for():
    model = make_model([helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Neg", ["x"], ["n"])], {"x": (2, 3)},
                       ["r", "n"])
    session = sr.Session(model)
    x = np.array([[1, -2, 3], [-4, 5, -6]], np.float32)
    r, n = session.run(None, {"x": x})
    np.testing.assert_array_equal(r, np.maximum(x, 0))
    np.testing.assert_array_equal(n, -x)
    (n,) = session.run(["n"], {"x": x})
    np.testing.assert_array_equal(n, -x)
    assert [a.shape for a in session(x)] == [(2, 3), (2, 3)]
    n[:] = 7  # ours to change
    np.testing.assert_array_equal(session.run(["n"], {"x": x})[0], -x)


def test_feeds_may_have_any_strides(spr, x):
    session = sr.Session(spr)
    expected = session(x)
    np.testing.assert_array_equal(session(np.asfortranarray(x)), expected)
    np.testing.assert_array_equal(session(np.repeat(x, 2, axis=3)[..., ::2]), expected)
    np.testing.assert_array_equal(session(x[..., ::-1][..., ::-1]), expected)


def test_input_of_a_run_is_not_kept(spr, x):
    session = sr.Session(spr)
    expected = session(x)
    session(x * 3)
    np.testing.assert_array_equal(session(x), expected)


@pytest.mark.parametrize("side", [16, 15])  # planes of whole lines are read where they are, others copied
def test_inputs_are_left_alone_wherever_they_lie(side):
    rng = np.random.default_rng(0)
    model = make_model([helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4)], {"x": (1, 3, side, side)}, ["y"],
                       {"w": rng.standard_normal((4, 3, 3, 3)).astype(np.float32)})
    session, x = sr.Session(model), rng.standard_normal((1, 3, side, side)).astype(np.float32)
    x.flags.writeable = False
    before = x.copy()
    expected = session(x)
    assert error(expected, reference(model, {"x": x})["y"]) < 1e-5
    for shift in range(8):
        shifted = np.frombuffer(b"\0" * shift + x.tobytes(), np.float32, x.size, shift).reshape(x.shape)
        np.testing.assert_array_equal(session(shifted), expected)
    kept = expected.copy()
    session(x * 3)
    np.testing.assert_array_equal(expected, kept)  # results are no views of what runs use
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("feeds, message", [
    ({}, "no array given for 1 input: 'x'"),
    ({"z": np.zeros(1, np.float32)}, "there is no input 'z'; the model has 1 input: 'x'"),
    ({"x": np.zeros((1, 16, 9, 7))}, "input 'x' is given as float64, the model takes float32"),
    ({"x": np.zeros((16, 9, 7), np.float32)}, "rank 3; the model takes rank 4"),
    ({"x": np.zeros((1, 15, 9, 7), np.float32)}, "15"),
    ([1], "feeds is a list"),
])
def test_wrong_feeds(spr, x, feeds, message):
    session = sr.Session(spr)
    with pytest.raises((sr.ArgumentError, sr.ShapeError)) as info:
        session.run(None, feeds)
    assert message in str(info.value)
    assert isinstance(info.value, ValueError)
    assert session(x).shape == (1, 24, 9, 7)  # and lives


def test_wrong_output_name(spr, x):
    with pytest.raises(sr.ArgumentError, match="no output 'q'; the model has 1 output: 'y'"):
        sr.Session(spr).run(["q"], {"x": x})
    with pytest.raises(sr.ArgumentError, match="output_names is 'y', it must be a list"):
        sr.Session(spr).run("y", {"x": x})


def test_wrong_number_of_arrays(spr, x):
    with pytest.raises(sr.ArgumentError, match="2 arrays given, the model has 1 input"):
        sr.Session(spr)(x, x)


@pytest.mark.parametrize("options, message", [
    ({"threads": 0}, "threads is 0"),
    ({"threads": 1000}, "threads is 1000"),
    ({"threads": 10**30}, "threads is 10*, it must be from 1 to 256"),
    ({"threads": 1.5}, "threads is 1.5, it must be a whole number"),
    ({"cpu_mask": -1}, "cpu_mask is -1"),
    ({"cpu_mask": 2**64}, "cpu_mask is 1844"),
    ({"isa": 5}, "isa is 5"),
    ({"input_shapes": {"x": (1, 16, None, 7)}}, "the shape of 'x' is not a sequence of whole numbers"),
    ({"input_shapes": {"x": 5}}, "the shape of 'x' is not"),
    ({"sparse": "yes"}, "'auto', 'always', 'never'"),
    ({"isa": "sse9"}, "sse9"),
    ({"input_shapes": {"q": (1,)}}, "no input 'q'"),
    ({"input_shapes": {"x": (1, 16, 9)}}, "rank 3"),
    ({"input_shapes": {"x": (1, 16, -2, 7)}}, "-2"),
])
def test_wrong_options(spr, options, message):
    with pytest.raises(sr.SparseRuntimeError, match=message):
        sr.Session(spr, **options)


def test_not_a_model(tmp_path):
    for source in (b"", b"x", b"\x08\x07hello" * 100, tmp_path / "missing.spr", tmp_path, 17):
        with pytest.raises(sr.SparseRuntimeError) as info:
            sr.Session(source)
        assert str(info.value)
    with pytest.raises(OSError, match="missing.spr"):
        sr.Session(tmp_path / "missing.spr")


def test_close_is_idempotent_and_final(spr, x):
    with sr.Session(spr) as session:
        session(x)
    session.close()
    with pytest.raises(sr.ArgumentError, match="closed"):
        session(x)


def test_batch_and_size_change_from_run_to_run(spr, pointwise_model, x):
    session = sr.Session(spr)
    for shape in ((3, 16, 9, 7), (1, 16, 1, 1), (2, 16, 32, 31), (5, 16, 1, 1), (1, 16, 9, 7)):
        feed = np.random.default_rng(shape[0]).standard_normal(shape).astype(np.float32)
        alone = [session(image[None])[0] for image in feed]
        np.testing.assert_array_equal(session(feed), np.stack(alone))
        del pointwise_model.graph.input[0].type.tensor_type.shape.dim[:]
        for d in shape:
            pointwise_model.graph.input[0].type.tensor_type.shape.dim.add().dim_value = d
        assert error(session(feed), reference(pointwise_model, {"x": feed})["y"]) < 1e-5


@pytest.mark.parametrize("shape", [(0, 16, 9, 7), (1, 16, 0, 7), (1, 16, 9, 0), (0, 16, 0, 0)])
def test_empty_inputs(spr, x, shape):
    session = sr.Session(spr, threads=2)
    assert session(np.zeros(shape, np.float32)).shape == (shape[0], 24, *shape[2:])
    assert session(x).shape == (1, 24, 9, 7)


@pytest.mark.parametrize("sparse", ["always", "never"])
def test_nan_and_infinity_pass_through(sparse):
    weight = np.zeros((4, 3, 1, 1), np.float32)
    weight[0, 0], weight[1, 1], weight[2, 2], weight[3, 0] = 2, np.nan, np.inf, -np.inf
    model = make_model([helper.make_node("Conv", ["x", "w"], ["y"])], {"x": (1, 3, 5, 5)}, ["y"], {"w": weight})
    x = np.ones((1, 3, 5, 5), np.float32)
    y = sr.Session(sr.convert(model, sparse=sparse).data)(x)[0, :, 2, 3]
    assert np.isnan(y[1])
    if sparse == "always":  # zero weights are not multiplied: what is infinite elsewhere does not reach this row
        np.testing.assert_array_equal(y[[0, 2, 3]], [2, np.inf, -np.inf])
    x[0, 0, 2, 3] = np.nan
    y = sr.Session(sr.convert(model, sparse=sparse).data)(x)
    assert np.isnan(y[0, 0, 2, 3]) and y[0, 0, 0, 0] == 2


def test_runs_from_several_threads(spr):
    session = sr.Session(spr, threads=2)
    rng = np.random.default_rng(9)
    feeds = [rng.standard_normal((1 + i % 2, 16, 9, 7)).astype(np.float32) for i in range(8)]
    expected = [session(feed) for feed in feeds]
    wrong = []

    def work(i):
        for _ in range(20):
            if not np.array_equal(session(feeds[i]), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_one_call_at_a_time(spr, x):
    """explain() planned for the new shape of another thread's run in the middle of that, which then lost its input."""
    session = sr.Session(spr)
    core, busy, wrong = session._session, threading.Lock(), []

    class Watched:
        def __getattr__(self, name):
            def call(*args):
                if not busy.acquire(blocking=False):
                    wrong.append(name)
                    return getattr(core, name)(*args)
                time.sleep(1e-4)
                try:
                    return getattr(core, name)(*args)
                finally:
                    busy.release()

            return call

    session._session = Watched()
    calls = [lambda: session(x), session.explain, lambda: session.outputs, lambda: session.inputs,
             lambda: session.reshape({"x": x.shape})]
    threads = [threading.Thread(target=lambda c=call: [c() for _ in range(20)]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("size", [-(2**70), -1, 2**31, 2**70])
def test_impossible_sizes(spr, size):
    session = sr.Session(spr)
    with pytest.raises(sr.ShapeError, match="shape .* has a dimension that is not in"):
        session.reshape({"x": (1, 16, size, 7)})


def test_explain_and_profile(spr, x):
    session = sr.Session(spr, profile=True)
    session(x)
    (layer,) = session.profile()
    assert layer.op == "Conv" and layer.shape == (1, 24, 9, 7) and layer.ns > 0
    assert layer.macs == 24 * 16 * 63
    assert 0.6 < layer.sparsity < 0.8 and 0.5 <= layer.fill_2x1 <= 1
    with pytest.raises(sr.ArgumentError, match="profile=True"):
        sr.Session(spr).profile()


def test_sparse_policies_choose_kernels(spr):
    def kernel(**options):
        return sr.Session(spr, **options).explain()[0].kernel

    assert kernel(sparse="never").startswith("pw_dense")
    assert kernel(sparse="always").startswith(("pw_csr", "pw_2x1"))
    assert kernel(isa="ref").endswith("_ref")


def test_integer_graphs():
    model = make_model([helper.make_node("Add", ["a", "b"], ["y"])],
                       {"a": (np.dtype("int64"), (2, 1)), "b": (np.dtype("int64"), (3,))},
                       {"y": TensorProto.INT64})
    a, b = np.array([[1], [2**40]]), np.array([1, -2, 3])
    np.testing.assert_array_equal(sr.Session(model)(a, b), a + b)


def test_truncated_and_damaged_models(spr):
    """Every length, and every byte with one bit flipped, is refused with a message."""
    assert len(spr) < 10_000
    damaged = [spr[:n] for n in range(len(spr))] + [spr + b"\0"]
    for i in range(len(spr)):
        flipped = bytearray(spr)
        flipped[i] ^= 1 << i % 8
        damaged.append(bytes(flipped))
    for data in damaged:
        with pytest.raises(sr.ModelFormatError) as info:
            sr.Session(data)
        assert str(info.value)
