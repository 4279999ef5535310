"""Exceptions of sparse_runtime. Each inherits SparseRuntimeError and the builtin that Python code would expect."""


class SparseRuntimeError(Exception):
    """Base of everything that sparse_runtime raises on purpose."""


class ArgumentError(SparseRuntimeError, ValueError):
    """An argument is out of range, of the wrong kind, or names something that does not exist."""


class OutOfMemoryError(SparseRuntimeError, MemoryError):
    """Memory could not be allocated."""


class ModelIOError(SparseRuntimeError, OSError):
    """A file cannot be opened, read or written."""


class ModelFormatError(SparseRuntimeError, ValueError):
    """Not a model, truncated, damaged, inconsistent, or of an unknown version."""


class UnsupportedError(SparseRuntimeError, NotImplementedError):
    """The model is valid but asks for something that this version cannot do."""


class ShapeError(SparseRuntimeError, ValueError):
    """Shapes or types that do not fit together."""


# spr_status of csrc/include/spr/spr.h -> exception; SPR_OK is 0.
BY_STATUS = {
    1: ArgumentError,
    2: OutOfMemoryError,
    3: ModelIOError,
    4: ModelFormatError,
    5: UnsupportedError,
    6: ShapeError,
}
