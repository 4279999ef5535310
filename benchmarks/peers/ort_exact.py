"""onnxruntime with products of bytes that do not saturate, as its usual ones do without VNNI: slower, but right."""

import onnxruntime

from .ort import session_run, version  # noqa: F401


def prepare(model, feeds, threads):
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    return session_run(model, feeds, threads, options)
