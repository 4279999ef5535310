"""Sessions: a model made ready to run on this machine, with the manners of ONNX Runtime."""
import operator
import os
import threading
from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

from . import _core
from .errors import ArgumentError, ShapeError
from .importers import is_convertible


@dataclass(frozen=True)
class TensorInfo:
    """An input or output. Free dimensions are None; shape is None for outputs of a session without known input
    shapes."""

    name: str
    dtype: np.dtype
    shape: Optional[Tuple[Optional[int], ...]]


@dataclass(frozen=True)
class Layer:
    """One step of a session, as explain() tells of it."""

    name: str  # of the ONNX node
    op: str
    kernel: str  # "" where the operator has only one way
    reason: str  # why that kernel
    dtype: np.dtype
    shape: Tuple[int, ...]  # of the first output
    macs: float  # multiply-accumulates a dense kernel would do
    sparsity: Optional[float]  # share of zeros in the weights
    fill_2x1: Optional[float]  # share of nonzeros in the nonempty 2x1 blocks
    weight_bytes: int  # in the file
    packed_bytes: int  # in memory
    ns: int  # time of the last run; 0 unless the session was made with profile=True
    balance: Optional[float] = None  # mean by largest share of the work per thread, counted; None where it is not split


def _open(model):
    """A _core.Model of a path, bytes, or anything that convert() takes."""
    from_onnx = hasattr(model, "SerializeToString")
    if isinstance(model, (str, os.PathLike)):
        from_onnx = is_convertible(model)
    if not from_onnx:
        return _core.Model(model)
    from . import convert  # needs onnx; the function: importing the module would put that in its place

    return _core.Model(convert(model).data)


def _whole(what, value, least, most):
    try:
        number = operator.index(value)
    except TypeError:
        raise ArgumentError(f"{what} is {value!r}, it must be a whole number") from None
    if not least <= number <= most:
        raise ArgumentError(f"{what} is {number}, it must be from {least} to {most}")
    return number


class Session:
    """Runs a model.

    model: path of a .spr file (memory-mapped) or of an ONNX or Paddle model (converted in memory), the bytes of a .spr
        file, any object with the buffer protocol such as an mmap, or an onnx.ModelProto.
    threads: how many threads compute, the calling one included.
    cpu_mask: bit i lets the session's own threads run on CPU i; 0: anywhere.
    sparse: "model" as it was converted, "auto" the fastest kernel per layer, "always", or "never" (dense kernels only).
    isa: comma list of CPU features the kernels may use, e.g. "avx2" or "ref"; None: all this CPU has.
    input_shapes: {input name: shape} where other sizes are wanted than the model was converted with.
    profile: time every layer; see profile().
    autotune: choose each layer's kernel by measuring on this device, not by estimates. Takes from a fraction of a
        second to some seconds; what is found is kept beside the model, as <model>.spr.tune, and used by the next
        session with equal options on a CPU of this kind. explain() tells.

    Sessions may be used from several threads: calls follow one after the other. Close one by deleting it, with close(),
    or as a context manager.
    """

    def __init__(self, model, *, threads=1, cpu_mask=0, sparse="model", isa=None, input_shapes=None, profile=False,
                 autotune=False):
        self._lock = threading.Lock()
        threads, cpu_mask = _whole("threads", threads, 1, 256), _whole("cpu_mask", cpu_mask, 0, 2**64 - 1)
        if isa is not None and not isinstance(isa, str):
            raise ArgumentError(f"isa is {isa!r}, it must be a comma list of CPU features, or None")
        self._session = _core.Session(_open(model), threads=threads, cpu_mask=cpu_mask, sparse=sparse, isa=isa,
                                      profile=profile, autotune=autotune)
        self._profiling = profile
        self._input_index = {name: i for i, (name, _, _) in enumerate(self._session.inputs())}
        self._output_index = {name: i for i, (name, _, _) in enumerate(self._session.outputs())}
        if input_shapes:
            self.reshape(input_shapes)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        """Frees the session's memory; calling it again does nothing."""
        with self._lock:
            self._session = None

    def _core_session(self):
        if self._session is None:
            raise ArgumentError("the session is closed")
        return self._session

    @property
    def inputs(self):
        """List of TensorInfo."""
        with self._lock:
            return [TensorInfo(*info) for info in self._core_session().inputs()]

    @property
    def outputs(self):
        """List of TensorInfo."""
        with self._lock:
            return [TensorInfo(*info) for info in self._core_session().outputs()]

    def reshape(self, input_shapes):
        """Plans for other input shapes: {input name: shape}; inputs not named keep theirs."""
        with self._lock:
            session = self._core_session()
            for name, shape in input_shapes.items():
                try:
                    dims = tuple(map(operator.index, shape))
                except TypeError:
                    raise ArgumentError(f"the shape of {name!r} is not a sequence of whole numbers: {shape!r}") from None
                session.set_input_shape(self._index("input", name, self._input_index), dims)
            session.prepare()

    def run(self, output_names, feeds):
        """Runs the model.

        output_names: list of names, or None for all outputs.
        feeds: {input name: array}, every input, with the input's element type. Another batch or spatial size than
            before makes the session plan anew. Arrays are read while the run lasts, and not written.
        Returns a list of new arrays. Raises ArgumentError for wrong names and element types, ShapeError for shapes that
        the network cannot take.
        """
        with self._lock:
            session = self._core_session()
            if isinstance(output_names, str):
                raise ArgumentError(f"output_names is {output_names!r}, it must be a list of names, or None for all")
            wanted = range(len(self._output_index)) if output_names is None else [
                self._index("output", name, self._output_index) for name in output_names]
            arrays = self._check_feeds(session, feeds)
            for index, array in enumerate(arrays):
                session.set_input_shape(index, array.shape)
            session.run(arrays)
            return [session.get_output(index) for index in wanted]

    def __call__(self, *arrays):
        """Runs the model on its inputs in order; returns the output, or a list of them if there are several."""
        if len(arrays) != len(self._input_index):
            raise ArgumentError(f"{len(arrays)} arrays given, the model has {self._listed('input', self._input_index)}")
        outputs = self.run(None, dict(zip(self._input_index, arrays)))
        return outputs[0] if len(outputs) == 1 else outputs

    def explain(self):
        """What runs, layer by layer, and why: a Report of Layers; print it or iterate over it."""
        from .report import Report

        with self._lock:  # a run of another thread may be planning anew
            session = self._core_session()
            session.prepare()  # says which dimensions are free
            layers = [Layer(**layer) for layer in session.layers()]
            return Report(layers, session.memory(), _core.cpu_features(), session.tune_note())

    def profile(self):
        """The Report of explain() with the times of the last run; the session must have been made with profile=True."""
        if not self._profiling:
            raise ArgumentError("the session was made without profile=True")
        return self.explain()

    @staticmethod
    def _listed(what, index):
        return f"{len(index)} {what}{'s' * (len(index) != 1)}: {', '.join(map(repr, index))}"

    def _index(self, what, name, index):
        if name not in index:
            raise ArgumentError(f"there is no {what} {name!r}; the model has {self._listed(what, index)}")
        return index[name]

    def _check_feeds(self, session, feeds):
        if not hasattr(feeds, "items"):
            raise ArgumentError(f"feeds is a {type(feeds).__name__}, it must be a dict of {{input name: array}}")
        for name in feeds:
            self._index("input", name, self._input_index)
        missing = [name for name in self._input_index if name not in feeds]
        if missing:
            raise ArgumentError(f"no array given for {self._listed('input', missing)}")
        arrays = []
        for name, dtype, shape in session.inputs():
            array = np.asarray(feeds[name])
            if array.dtype != dtype:
                raise ArgumentError(f"input {name!r} is given as {array.dtype}, the model takes {dtype}")
            if array.ndim != len(shape):
                raise ShapeError(f"input {name!r} is given with shape {array.shape}, rank {array.ndim}; the model "
                                 f"takes rank {len(shape)}, shape {shape}")
            arrays.append(np.ascontiguousarray(array).reshape(array.shape))
        return arrays
