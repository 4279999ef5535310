"""Other runtimes beside ours: one file per runtime, each in a process of its own (worker.py, driven by client.py).

A file offers

    version() -> str
    prepare(model, feeds, threads) -> run      # model: path of an ONNX file; feeds: {input name: array}
    run() -> {output name: array}              # one inference, from arrays to arrays; this call is what is timed

and imports its runtime at the top, so that an ImportError says that it is not installed. Models in floats are computed
in FP32: runtimes that would compute in less where the CPU can are told not to. Quantized models go to those that run
them in integers.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Peer:
    title: str
    module: str  # in this package
    int8: bool = False  # runs QDQ models in integers
    own_venv: str = ""  # folder of its virtual environment where it cannot share ours (`make peers`)

    @property
    def python(self) -> str:
        return str(ROOT / self.own_venv / "bin" / "python") if self.own_venv else sys.executable


PEERS = {
    peer.title: peer
    for peer in [
        Peer("sparse-runtime", "ours", int8=True),
        Peer("onnxruntime", "ort", int8=True),
        Peer("openvino", "ov", int8=True),
        Peer("LiteRT", "litert"),
        Peer("MNN", "mnn"),
        Peer("ncnn", "ncnn_", own_venv="build/ncnn"),
        Peer("DeepSparse", "deepsparse_", int8=True, own_venv="build/deepsparse"),
    ]
}
OURS, REFERENCE = "sparse-runtime", "onnxruntime"
EXACT = Peer("onnxruntime, exact", "ort_exact", int8=True)  # to compare quantized outputs with, not timed
