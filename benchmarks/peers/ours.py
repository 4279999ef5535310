"""sparse-runtime itself: the kernel per layer chosen automatically."""

import sparse_runtime as sr


def version():
    return sr.__version__


def prepare(model, feeds, threads):
    session = sr.Session(sr.convert(model).data, threads=threads, sparse="auto")
    names = [output.name for output in session.outputs]
    return lambda: dict(zip(names, session.run(None, feeds)))
