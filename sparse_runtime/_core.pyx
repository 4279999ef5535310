# cython: language_level=3, binding=True, freethreading_compatible=False
"""Binding of the C core: models, sessions, the operator schema, the kernel list, and building graphs to be written."""
from cpython.buffer cimport (PyBUF_C_CONTIGUOUS, PyBUF_SIMPLE, PyBUF_WRITABLE, Py_buffer, PyBuffer_Release,
                             PyObject_CheckBuffer, PyObject_GetBuffer)
from libc.stdint cimport int32_t, int64_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

import os

import numpy as np

from sparse_runtime import errors

from ._spr cimport *

_SPARSE = {"model": SPR_SPARSE_MODEL, "auto": SPR_SPARSE_AUTO, "always": SPR_SPARSE_ALWAYS, "never": SPR_SPARSE_NEVER}
_ENCODINGS = {"dense": SPR_ENC_DENSE, "bitmap": SPR_ENC_BITMAP, "bitmap_2x1": SPR_ENC_BITMAP_2X1}
# numpy names of element types -> spr_dtype
_DTYPES = {(<bytes>spr_dtype_name(<spr_dtype>i)).decode(): i for i in range(1, 32) if spr_dtype_size(<spr_dtype>i)}


# and back; looked up in every run
_NUMPY = {i: np.dtype(name) for name, i in _DTYPES.items() if i != SPR_QUANTIZED}
_NUMPY[SPR_QUANTIZED] = np.dtype("int8")


cdef int _check(spr_status status, spr_error *err) except -1:
    if status != SPR_OK:
        raise errors.BY_STATUS[<int>err.status](err.message.decode("utf-8", "replace"))
    return 0


cdef object _choice(str what, object value, dict choices):
    if value not in choices:
        raise errors.ArgumentError(f"{what} is {value!r}, it must be one of {', '.join(map(repr, choices))}")
    return choices[value]


cdef object _text(const char *text):
    return text.decode("utf-8", "replace")


cdef int _fill_desc(spr_desc *desc, str name, object dtype, object shape) except -1:
    if len(shape) > SPR_MAX_RANK:
        raise errors.ShapeError(f"tensor {name!r} has rank {len(shape)}, supported are ranks up to {SPR_MAX_RANK}")
    memset(desc, 0, sizeof(spr_desc))
    desc.dtype = <spr_dtype><int>_choice(f"element type of {name!r}", str(dtype), _DTYPES)
    desc.rank = len(shape)
    for i, dim in enumerate(shape):
        desc.dim[i] = dim
    return 0


cdef tuple _tensor(const spr_tensor_info *info):
    """(name, dtype, shape), free dimensions None."""
    shape = tuple([info.dim[i] if info.dim[i] >= 0 else None for i in range(info.rank)])
    return _text(info.name), _NUMPY[<int>info.dtype], shape


def version():
    """Version of the C core."""
    return _text(spr_version())


def cpu_features():
    """Names of this CPU's features that kernels may use, comma separated."""
    cdef char text[256]
    spr_cpu_describe(text, sizeof(text))
    return _text(text)


def kernels():
    """Every kernel variant, best first within its class: list of dicts name, cls, isa, runs."""
    cdef spr_kernel_info info
    info.struct_size = sizeof(info)
    found = []
    for i in range(spr_kernel_list_count()):
        spr_kernel_list(i, &info)
        found.append(
            {"name": _text(info.name), "cls": _text(info.cls), "isa": _text(info.isa), "runs": bool(info.runs)}
        )
    return found


def schema():
    """The IR's operators: {op: {"inputs": str, "outputs": str, "attrs": {name: (type, default)}}}.

    All as text, as it stands in ops.inc; types are INT, FLOAT, INTS and STRING."""
    cdef spr_op_schema op
    kinds = {
        <int>SPR_TYPE_INT: "INT", <int>SPR_TYPE_FLOAT: "FLOAT", <int>SPR_TYPE_INTS: "INTS",
        <int>SPR_TYPE_STRING: "STRING",
    }
    ops = {}
    for i in range(SPR_OP_COUNT):
        op = spr_op_get_schema(<spr_op>i)
        attrs = {_text(op.attrs[k].name): (kinds[<int>op.attrs[k].type], _text(op.attrs[k].value))
                 for k in range(op.attr_count)}
        ops[_text(op.name)] = {"inputs": _text(op.inputs), "outputs": _text(op.outputs), "attrs": attrs}
    return ops


# ---- building --------------------------------------------------------------------------------------------------------


cdef class GraphBuilder:
    """A graph to be written to a model file. Values are numbered in the order in which they are added."""
    cdef spr_graph *graph

    def __cinit__(self):
        self.graph = spr_graph_new(NULL)
        if self.graph == NULL:
            raise errors.OutOfMemoryError("cannot allocate a graph")

    def __dealloc__(self):
        if self.graph != NULL:
            spr_graph_free(self.graph)

    cdef int _index(self, int index, spr_error *err) except -1:
        if index < 0:
            _check(err.status, err)
        return index

    def add_input(self, str name, dtype, shape):
        """A graph input; free dimensions are -1. Returns the value's number."""
        cdef spr_desc desc
        cdef spr_error err
        _fill_desc(&desc, name, dtype, shape)
        return self._index(spr_graph_add_input(self.graph, name.encode(), &desc, &err), &err)

    def add_const(self, str name, array, str encoding="dense"):
        """A constant from a numpy array, stored as "dense", "bitmap" or "bitmap_2x1". Returns the value's number.

        The file has gaps in place of a bitmap where they take less (csrc/model/gaps.h)."""
        cdef spr_desc desc
        cdef spr_error err
        cdef Py_buffer view
        cdef int index
        array = np.asarray(array)
        array = array if array.flags.c_contiguous else np.ascontiguousarray(array)
        _fill_desc(&desc, name, array.dtype.name, array.shape)
        code = _choice("encoding", encoding, _ENCODINGS)
        PyObject_GetBuffer(array, &view, PyBUF_SIMPLE)
        try:
            index = spr_graph_add_const(
                self.graph, name.encode(), &desc, <spr_encoding><int>code, view.buf, view.len, &err
            )
        finally:
            PyBuffer_Release(&view)
        return self._index(index, &err)

    def stored_bytes(self, int constant):
        """What a constant takes in the file."""
        if not 0 <= constant < self.graph.value_count:
            raise errors.ArgumentError(f"the graph has no value {constant}")
        return self.graph.values[constant].bytes

    def add_value(self, str name):
        """A value that a node will produce."""
        cdef spr_error err
        return self._index(spr_graph_add_value(self.graph, name.encode(), &err), &err)

    def add_node(self, str op, str name, inputs, outputs, attrs=None):
        """A node over value numbers; -1 stands for an optional input that is not given. attrs: {name: value}."""
        cdef spr_error err
        cdef int32_t *numbers = <int32_t *>calloc(len(inputs) + len(outputs) + 1, sizeof(int32_t))
        cdef int node
        if numbers == NULL:
            raise errors.OutOfMemoryError("cannot allocate a node")
        try:
            for i, number in enumerate([*inputs, *outputs]):
                numbers[i] = number
            node = spr_graph_add_node(self.graph, op.encode(), name.encode(), len(inputs), numbers, len(outputs),
                                      numbers + len(inputs), &err)
        finally:
            free(numbers)
        self._index(node, &err)
        for key, value in (attrs or {}).items():
            self._set(node, key, value)
        return node

    cdef int _set(self, int node, str key, value) except -1:
        cdef spr_error err
        cdef int64_t *ints
        cdef bytes attr = key.encode()
        if isinstance(value, str):
            return _check(spr_graph_set_string(self.graph, node, attr, value.encode(), &err), &err)
        if isinstance(value, (bool, int, np.integer)):
            return _check(spr_graph_set_int(self.graph, node, attr, int(value), &err), &err)
        if isinstance(value, (float, np.floating)):
            return _check(spr_graph_set_float(self.graph, node, attr, value, &err), &err)
        value = [int(v) for v in value]
        ints = <int64_t *>calloc(len(value) + 1, sizeof(int64_t))
        if ints == NULL:
            raise errors.OutOfMemoryError("cannot allocate an attribute")
        try:
            for i, v in enumerate(value):
                ints[i] = v
            return _check(spr_graph_set_ints(self.graph, node, attr, ints, len(value), &err), &err)
        finally:
            free(ints)

    def add_output(self, int value):
        """Makes a value a graph output."""
        cdef spr_error err
        _check(spr_graph_add_output(self.graph, value, &err), &err)

    def set_sparse(self, str policy):
        """How sessions treat sparse layers unless told otherwise: "auto", "always" or "never"."""
        policies = {k: v for k, v in _SPARSE.items() if k != "model"}
        self.graph.sparse = <spr_sparse><int>_choice("sparse", policy, policies)

    def to_bytes(self):
        """The model file."""
        cdef spr_error err
        cdef void *data = NULL
        cdef size_t size = 0
        cdef spr_status status
        cdef bytes producer = f"sparse-runtime {version()}".encode()
        _check(spr_graph_set_producer(self.graph, producer, &err), &err)
        with nogil:
            status = spr_graph_write(self.graph, &data, &size, &err)
        _check(status, &err)
        try:
            return (<char *>data)[:size]
        finally:
            free(data)


# ---- running ---------------------------------------------------------------------------------------------------------


cdef class Model:
    """An open model: from a path (memory-mapped) or from any object with the buffer protocol (borrowed)."""
    cdef spr_model *model
    cdef Py_buffer view
    cdef bint borrowed

    def __cinit__(self, source):
        cdef spr_error err
        cdef bytes path
        self.borrowed = False
        if isinstance(source, (str, os.PathLike)):
            path = os.fsencode(source)
            if b"\0" in path:
                raise errors.ModelIOError(f"cannot open {source!r}: a path has no zero bytes")
            _check(spr_model_open(path, NULL, &self.model, &err), &err)
            return
        if not PyObject_CheckBuffer(source):
            raise errors.ArgumentError(f"a model comes as a path or as bytes, not as {type(source).__name__}")
        PyObject_GetBuffer(source, &self.view, PyBUF_SIMPLE)
        self.borrowed = True
        if <uintptr_t>self.view.buf % 4:  # the core wants 4-byte alignment; a copy has it
            PyBuffer_Release(&self.view)
            self.borrowed = False
            PyObject_GetBuffer(bytes(source), &self.view, PyBUF_SIMPLE)
            self.borrowed = True
        _check(spr_model_open_memory(self.view.buf, self.view.len, NULL, &self.model, &err), &err)

    def __dealloc__(self):
        if self.model != NULL:
            spr_model_close(self.model)
        if self.borrowed:
            PyBuffer_Release(&self.view)

    @property
    def inputs(self):
        """List of (name, dtype, shape), free dimensions None."""
        cdef spr_tensor_info info
        found = []
        for i in range(spr_model_input_count(self.model)):
            spr_model_input(self.model, i, &info)
            found.append(_tensor(&info))
        return found

    @property
    def output_names(self):
        cdef spr_tensor_info info
        found = []
        for i in range(spr_model_output_count(self.model)):
            spr_model_output(self.model, i, &info)
            found.append(_text(info.name))
        return found

    def nodes(self):
        """What the nodes are: list of dicts op, inputs and outputs (names), attrs (ints and strings by name), weights
        (shape of the second input where that is constant, else None), sparse (whether that is stored sparse)."""
        cdef const spr_graph *graph = spr_model_graph(self.model)
        cdef const spr_value *weights
        cdef const spr_node *node
        cdef spr_op_schema schema
        found = []
        for i in range(graph.node_count):
            node = &graph.nodes[i]
            schema = spr_op_get_schema(node.op)
            attrs = {}
            for k in range(schema.attr_count):
                if schema.attrs[k].type == SPR_TYPE_INT:
                    attrs[_text(schema.attrs[k].name)] = node.attr[k].i
                elif schema.attrs[k].type == SPR_TYPE_STRING:
                    attrs[_text(schema.attrs[k].name)] = _text(node.attr[k].s)
            shape, sparse = None, False
            if node.in_count > 1 and node.in_[1] >= 0:
                weights = &graph.values[node.in_[1]]
                if weights.is_const:
                    shape = tuple(weights.desc.dim[k] for k in range(weights.desc.rank))
                    sparse = weights.encoding != SPR_ENC_DENSE
            inputs = [_text(graph.values[node.in_[k]].name) for k in range(node.in_count) if node.in_[k] >= 0]
            outputs = [_text(graph.values[node.out[k]].name) for k in range(node.out_count)]
            found.append({"op": _text(schema.name), "inputs": inputs, "outputs": outputs, "attrs": attrs,
                          "weights": shape, "sparse": sparse})
        return found

    def infer(self, shapes=None, partial=False):
        """Types and shapes of all values whose shapes do not depend on contents: {name: (dtype, shape)}, for the given
        or the model's input shapes. partial: where nodes refuse these, of all values before them."""
        cdef const spr_graph *graph = spr_model_graph(self.model)
        cdef spr_desc *inputs = <spr_desc *>calloc(graph.input_count + 1, sizeof(spr_desc))
        cdef spr_plan_options options
        cdef spr_plan *plan = NULL
        cdef spr_error err
        cdef spr_status status
        if inputs == NULL:
            raise errors.OutOfMemoryError("cannot allocate shapes")
        try:
            for i in range(graph.input_count):
                inputs[i] = graph.values[graph.inputs[i]].desc
                name = _text(graph.values[graph.inputs[i]].name)
                if shapes and name in shapes:
                    _fill_desc(&inputs[i], name, _text(spr_dtype_name(inputs[i].dtype)), shapes[name])
                for k in range(inputs[i].rank):
                    if inputs[i].dim[k] < 0:
                        raise errors.ShapeError(f"input {name!r} has free dimensions: give its shape")
            memset(&options, 0, sizeof(options))
            options.threads = 1
            options.sparse = SPR_SPARSE_NEVER
            options.shapes_only = 1
            options.partial = bool(partial)
            with nogil:
                status = spr_plan_create(graph, inputs, &options, &plan, &err)
            _check(status, &err)
            found = {}
            for i in range(graph.value_count):
                if plan.is_late[i]:
                    continue
                desc = plan.views[i].desc
                found[_text(graph.values[i].name)] = (_text(spr_dtype_name(desc.dtype)),
                                                      tuple(desc.dim[k] for k in range(desc.rank)))
            return found
        finally:
            spr_plan_free(plan)
            free(inputs)


def infer(model, shapes=None):
    """Model(model).infer(shapes)."""
    return Model(model).infer(shapes)


cdef class Session:
    """A model made ready to run. Not for two threads at once: session.py guards it."""
    cdef spr_session *session
    cdef readonly Model model

    def __cinit__(self, Model model, int threads=1, cpu_mask=0, sparse="model", isa=None, bint profile=False,
                  bint autotune=False):
        cdef spr_session_options options
        cdef spr_error err
        cdef spr_status status
        cdef bytes isa_text = isa.encode() if isa is not None else None
        self.model = model
        spr_session_options_init(&options)
        options.threads = threads
        options.cpu_mask = cpu_mask
        options.sparse = <spr_sparse><int>_choice("sparse", sparse, _SPARSE)
        if isa_text is not None:
            options.isa = isa_text
        options.profile = profile
        options.autotune = autotune
        with nogil:
            status = spr_session_create(model.model, &options, &self.session, &err)
        _check(status, &err)

    def __dealloc__(self):
        if self.session != NULL:
            spr_session_free(self.session)

    def set_input_shape(self, int index, shape):
        cdef spr_error err
        cdef int64_t dim[8]
        if len(shape) > SPR_MAX_RANK:
            raise errors.ShapeError(f"rank {len(shape)}: supported are ranks up to {SPR_MAX_RANK}")
        for i, d in enumerate(shape):
            if not -1 << 63 <= d < 1 << 63:
                raise errors.ShapeError(f"shape {list(shape)} has a dimension that is not in [0, 2^31)")
            dim[i] = d
        _check(spr_session_set_input_shape(self.session, index, len(shape), dim, &err), &err)

    def prepare(self):
        cdef spr_error err
        cdef spr_status status
        with nogil:
            status = spr_session_prepare(self.session, &err)
        _check(status, &err)

    def inputs(self):
        """Present inputs: list of (name, dtype, shape)."""
        cdef spr_tensor_info info
        found = []
        for i in range(spr_model_input_count(self.model.model)):
            spr_session_input(self.session, i, &info)
            found.append(_tensor(&info))
        return found

    def outputs(self):
        """Outputs with the shapes of the present plan, None instead of a shape before there is one."""
        cdef spr_tensor_info info
        found = []
        for i, name in enumerate(self.model.output_names):
            if spr_session_output(self.session, i, &info) == SPR_OK and info.rank >= 0:
                found.append(_tensor(&info))
            else:
                spr_model_output(self.model.model, i, &info)
                found.append((name, np.dtype(_text(spr_dtype_name(info.dtype))), None))
        return found

    def run(self, list arrays):
        """Runs on C-contiguous arrays of exactly the inputs' types and shapes, all of them in order."""
        cdef int count = spr_model_input_count(self.model.model), held = 0, i = 0
        cdef spr_error err
        cdef spr_status status = SPR_OK
        cdef Py_buffer *views = <Py_buffer *>calloc(count + 1, sizeof(Py_buffer))
        if views == NULL:
            raise errors.OutOfMemoryError("cannot allocate buffers")
        try:
            if len(arrays) != count:
                raise errors.ArgumentError(f"{len(arrays)} arrays for {count} inputs")
            while held < count:
                PyObject_GetBuffer(arrays[held], &views[held], PyBUF_SIMPLE)
                held += 1
            with nogil:
                while i < count and status == SPR_OK:
                    status = spr_session_lend_input(self.session, i, views[i].buf, views[i].len, &err)
                    i += 1
                if status == SPR_OK:
                    status = spr_session_run(self.session, &err)
            _check(status, &err)
        finally:
            while held:
                held -= 1
                PyBuffer_Release(&views[held])
            free(views)

    def get_output(self, int index):
        """A new array."""
        cdef Py_buffer view
        cdef spr_tensor_info info
        cdef spr_error err
        cdef spr_status status
        if spr_session_output(self.session, index, &info) != SPR_OK:
            raise errors.ArgumentError(f"there is no output {index}, or the session has not run")
        array = np.empty([info.dim[i] for i in range(info.rank)], _NUMPY[<int>info.dtype])
        PyObject_GetBuffer(array, &view, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS)
        try:
            with nogil:
                status = spr_session_get_output(self.session, index, view.buf, view.len, &err)
        finally:
            PyBuffer_Release(&view)
        _check(status, &err)
        return array

    def layers(self):
        """What runs, in order: list of dicts with the fields of spr_layer_info."""
        cdef spr_layer_info info
        info.struct_size = sizeof(info)
        found = []
        for i in range(spr_session_layer_count(self.session)):
            spr_session_layer(self.session, i, &info)
            _, dtype, shape = _tensor(&info.output)
            found.append({
                "name": _text(info.name), "op": _text(info.op), "kernel": _text(info.kernel),
                "reason": _text(info.reason),
                "dtype": dtype, "shape": shape, "macs": info.macs,
                "sparsity": info.sparsity if info.sparsity >= 0 else None,
                "fill_2x1": info.fill_2x1 if info.fill_2x1 >= 0 else None,
                "weight_bytes": info.weight_bytes, "packed_bytes": info.packed_bytes, "ns": info.ns,
                "balance": info.balance if info.balance > 0 else None,
            })
        return found

    def memory(self):
        """Bytes: {"activations": ..., "weights": ..., "scratch": ..., "live": what must be of the activations}."""
        cdef spr_memory_info info
        info.struct_size = sizeof(info)
        if spr_session_memory(self.session, &info) != SPR_OK:
            return {"activations": 0, "weights": 0, "scratch": 0, "live": 0}
        return {"activations": info.activations, "weights": info.weights, "scratch": info.scratch, "live": info.live}

    def tune_note(self):
        """What came of autotune, "" without it."""
        return _text(spr_session_tune_note(self.session))
