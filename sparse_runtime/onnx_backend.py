"""sparse-runtime as a backend in the sense of onnx.backend, for tools and test suites that take one.

    import sparse_runtime.onnx_backend as backend
    outputs = backend.run_model(onnx_model, [x])

Weights, axes and other arguments may come as inputs here, where `convert` wants constants: a model that is refused when
it is prepared is converted again when it runs, with all inputs but the first fixed to what is fed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.backend import base

from . import convert
from .errors import ArgumentError, UnsupportedError
from .session import Session

__all__ = ["Backend", "BackendRep", "prepare", "run_model", "run_node", "supports_device"]


class BackendRep(base.BackendRep):
    """A model ready to run. `options` go to Session."""

    def __init__(self, model: onnx.ModelProto, **options: Any):
        self._model, self._options = model, options
        stored = {t.name for t in model.graph.initializer}
        self._names = [i.name for i in model.graph.input if i.name not in stored]
        self._session: Session | None = None
        try:
            self._session = Session(convert(model).data, **options)
        except UnsupportedError:
            if len(self._names) < 2:
                raise

    def run(self, inputs: Any, **kwargs: Any) -> tuple[np.ndarray, ...]:
        """Outputs in the model's order. `inputs`: arrays in the model's order, {name: array}, or one array."""
        if isinstance(inputs, dict):
            feeds = inputs
        else:
            given = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
            if len(given) != len(self._names):
                raise ArgumentError(f"{len(given)} inputs given; the model takes {len(self._names)}: {self._names}")
            feeds = dict(zip(self._names, given))
        session = self._session or Session(self._fixed(feeds), **self._options)
        outputs = session.run(None, {i.name: np.asarray(feeds[i.name], i.dtype) for i in session.inputs})
        return base.namedtupledict("Outputs", [o.name for o in self._model.graph.output])(*outputs)

    def _fixed(self, feeds: dict[str, Any]) -> bytes:
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        fixed = self._names[1:]
        kept = [i for i in model.graph.input if i.name not in fixed]
        del model.graph.input[:]
        model.graph.input.extend(kept)
        model.graph.initializer.extend(numpy_helper.from_array(np.asarray(feeds[name]), name) for name in fixed)
        return convert(model).data


class Backend(base.Backend):
    """prepare(), run_model(), run_node() and supports_device() of the interface."""

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> BackendRep:
        """`kwargs` go to Session: threads, sparse, isa, ..."""
        if not cls.supports_device(device):
            raise ArgumentError(f"device {device!r} is not supported; supported: 'CPU'")
        return BackendRep(model, **kwargs)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Sequence[Any],
        device: str = "CPU",
        outputs_info: Sequence[tuple[np.dtype, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[np.ndarray, ...]:
        """One node of the default domain. `opset_version`: of the operator, by default the newest that onnx knows."""
        version = kwargs.pop("opset_version", onnx.defs.onnx_opset_version())
        names = [name for name in node.input if name]
        arrays = [np.asarray(i) for i in (inputs.values() if isinstance(inputs, dict) else inputs)]
        graph = helper.make_graph(
            [node],
            node.name or node.op_type,
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                for name, array in zip(names, arrays)
            ],
            [onnx.ValueInfoProto(name=name) for name in node.output],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
        return cls.prepare(model, device, **kwargs).run(arrays)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device.split(":")[0] == "CPU"


prepare = Backend.prepare
run_model = Backend.run_model
run_node = Backend.run_node
supports_device = Backend.supports_device
