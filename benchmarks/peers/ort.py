"""onnxruntime, its CPU provider with all graph optimizations."""

import onnxruntime


def version():
    return onnxruntime.__version__


def prepare(model, feeds, threads):
    return session_run(model, feeds, threads, onnxruntime.SessionOptions())


def session_run(model, feeds, threads, options):
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda: dict(zip(names, session.run(names, feeds)))
