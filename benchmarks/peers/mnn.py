"""MNN. Models are converted with and without its search for sparse layers; the faster of the two is taken."""

import tempfile
import time
from pathlib import Path

import _tools  # MNN's converter; the program of that name would install packages and report what it is used for
import MNN
import numpy as np

_TRIALS = 5


def version():
    return MNN.version()


def prepare(model, feeds, threads):
    runs = [_prepare(model, feeds, threads, options) for options in ([], ["--detectSparseSpeedUp"])]
    return min(runs, key=_fastest)


def _fastest(run):
    times = []
    for _ in range(_TRIALS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def _prepare(model, feeds, threads, options):
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "model.mnn"))
        _tools.mnnconvert(
            ["mnnconvert", "-f", "ONNX", "--modelFile", model, "--MNNModel", path, "--bizCode", "benchmark", *options]
        )
        net = MNN.Interpreter(path)
    session = net.createSession({"backend": "CPU", "numThread": threads, "precision": "high"})
    # A host tensor only refers to the array it is made from.
    inputs = [
        (
            net.getSessionInput(session, name),
            MNN.Tensor(array.shape, MNN.Halide_Type_Float, array, MNN.Tensor_DimensionType_Caffe),
        )
        for name, array in feeds.items()
    ]
    outputs = net.getSessionOutputAll(session)

    def run():
        for tensor, host in inputs:
            tensor.copyFrom(host)
        net.runSession(session)
        return {name: np.array(tensor.getNumpyData()).reshape(tensor.getShape()) for name, tensor in outputs.items()}

    return run
