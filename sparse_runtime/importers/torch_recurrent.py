"""LSTM and GRU as one operator each while torch.onnx exports.

torch traces them step by step, though one ONNX node comes of it: that takes as long as the sequence is, and fails where
the number of steps is free."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_OPTIONS = "Tensor[] params, bool biases, int layers, float dropout, bool train, bool bidirectional, bool batch_first"
torch.library.define("sparse_runtime::lstm", f"(Tensor x, Tensor[] hx, {_OPTIONS}) -> (Tensor, Tensor, Tensor)")
torch.library.define("sparse_runtime::gru", f"(Tensor x, Tensor hx, {_OPTIONS}) -> (Tensor, Tensor)")


@torch.library.register_fake("sparse_runtime::lstm")
def _lstm(x, hx, params, biases, layers, dropout, train, bidirectional, batch_first):
    h, c = hx
    return _steps(x, h, bidirectional), torch.empty_like(h), torch.empty_like(c)


@torch.library.register_fake("sparse_runtime::gru")
def _gru(x, hx, params, biases, layers, dropout, train, bidirectional, batch_first):
    return _steps(x, hx, bidirectional), torch.empty_like(hx)


def _steps(x, h, bidirectional):
    """The outputs of all steps, whose axes are x's but for the last."""
    return x.new_empty((x.shape[0], x.shape[1], h.shape[2] * (2 if bidirectional else 1)))


class _Whole(TorchFunctionMode):
    """Puts the operators above in the place of torch's."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in (torch.lstm, torch.gru) and not kwargs and _plain(args):
            whole = torch.ops.sparse_runtime.lstm if function is torch.lstm else torch.ops.sparse_runtime.gru
            return whole(*args)
        return function(*args, **kwargs)


def _plain(args: Any) -> bool:
    """No packed sequences, whose fourth argument is a list, and no projections, for which ONNX has no operator."""
    hx = args[1]
    return isinstance(args[3], bool) and (isinstance(hx, torch.Tensor) or hx[0].shape[2] == hx[1].shape[2])


@contextmanager
def whole(module: torch.nn.Module | torch.export.ExportedProgram) -> Iterator[dict[Callable, Callable]]:
    """Within it, what is exported has the operators above; gives their translations, {operator: function}, for
    torch.onnx.export(custom_translation_table=). Without onnxscript's functions for torch's own, changes nothing."""
    try:
        from onnxscript.function_libs.torch_lib.ops.core import aten_gru, aten_lstm
    except ImportError:
        yield {}
        return
    ours = torch.ops.sparse_runtime
    table = {ours.lstm.default: aten_lstm, ours.gru.default: aten_gru}
    twins = {torch.ops.aten.lstm.input: ours.lstm.default, torch.ops.aten.gru.input: ours.gru.default}
    changed = []
    if isinstance(module, torch.export.ExportedProgram):
        for node in module.graph.nodes:
            if node.target in twins and _plain(torch.fx.node.map_arg(node.args, lambda n: n.meta["val"])):
                changed.append((node, node.target))
                node.target = twins[node.target]
    try:
        with _Whole():
            yield table
    finally:
        for node, target in changed:
            node.target = target
