"""DeepSparse (last release 1.8; it wants Python 3.8 to 3.11, and its own versions of numpy and onnx)."""

import os

os.environ["NM_DISABLE_ANALYTICS"] = "1"

import deepsparse


def version():
    return deepsparse.__version__


def prepare(model, feeds, threads):
    engine = deepsparse.Engine(model, batch_size=1, num_cores=threads)
    arrays = [feeds[name] for name in engine.input_names]
    names = engine.output_names
    return lambda: dict(zip(names, engine.run(arrays, val_inp=False)))
