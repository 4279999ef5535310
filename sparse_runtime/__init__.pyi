"""Types of what __init__.py loads when it is first used."""
from . import prune as prune
from . import quantize as quantize
from . import zoo as zoo
from .convert import convert as convert
from .errors import ArgumentError as ArgumentError
from .errors import ModelFormatError as ModelFormatError
from .errors import ModelIOError as ModelIOError
from .errors import OutOfMemoryError as OutOfMemoryError
from .errors import ShapeError as ShapeError
from .errors import SparseRuntimeError as SparseRuntimeError
from .errors import UnsupportedError as UnsupportedError
from .session import Session as Session
from .session import TensorInfo as TensorInfo

__version__: str
