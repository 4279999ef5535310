"""LiteRT (TensorFlow Lite) with its XNNPACK delegate, which it applies by itself; the model is written by tflite.py.

TFLite's images have their channels last, so the input is transposed once, outside what is timed."""

import importlib.metadata

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from . import tflite


def version():
    return importlib.metadata.version("ai-edge-litert")


def prepare(model, feeds, threads):
    data, outputs = tflite.convert(model)
    interpreter = Interpreter(model_content=data, num_threads=threads)
    interpreter.allocate_tensors()
    inputs = {i["name"]: i["index"] for i in interpreter.get_input_details()}
    arrays = [
        (inputs[name], np.ascontiguousarray(array.transpose(0, 2, 3, 1) if array.ndim == 4 else array))
        for name, array in feeds.items()
    ]
    indices = [o["index"] for o in interpreter.get_output_details()]  # in the order in which they were written

    def run():
        for index, array in arrays:
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        return dict(zip(outputs, map(interpreter.get_tensor, indices)))

    return run
