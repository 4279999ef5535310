"""ncnn; models are converted by pnnx, whose wheel wants all of PyTorch although its program does not."""

import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path

import ncnn
import numpy as np


def version():
    return ncnn.__version__


def prepare(model, feeds, threads):
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    outputs = _load(net, model, feeds)
    # A Mat only refers to the array it is made from, hence the clone; batch is no dimension of it.
    inputs = [(f"in{i}", ncnn.Mat(np.ascontiguousarray(array[0])).clone()) for i, array in enumerate(feeds.values())]

    def run():
        with net.create_extractor() as extractor:
            for name, mat in inputs:
                extractor.input(name, mat)
            return {name: np.array(extractor.extract(f"out{i}")[1])[None] for i, name in enumerate(outputs)}

    return run


def _load(net, model, feeds):
    """Loads the ONNX file; returns the names of its outputs, which ncnn calls out0, out1 .."""
    program = Path(importlib.util.find_spec("pnnx").origin).parent / "pnnx"
    shapes = ",".join(str(list(array.shape)).replace(" ", "") for array in feeds.values())
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "model.onnx")  # results appear beside it
        shutil.copy(model, copy)
        done = subprocess.run(
            [program, copy, f"inputshape={shapes}", "fp16=0"], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"pnnx: {done.stdout[-500:]}{done.stderr[-500:]}")
        if net.load_param(f"{folder}/model.ncnn.param") or net.load_model(f"{folder}/model.ncnn.bin"):
            raise RuntimeError("ncnn does not load what pnnx wrote")
    import onnx

    return [output.name for output in onnx.load(model, load_external_data=False).graph.output]
