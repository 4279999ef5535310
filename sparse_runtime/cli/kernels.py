"""sparse-runtime kernels"""

from .. import _core
from ..table import Column, Table, show

NAME = "kernels"
HELP = "List the kernel variants of this build and whether this CPU runs them."

_COLUMNS = [
    Column("cls", "class", left=True),
    Column("name", "kernel", left=True),
    Column("isa", "needs", left=True),
    Column("runs", "runs here", lambda runs: "yes" if runs else "no", left=True),
]


def add_arguments(parser):
    del parser  # there are none


def run(args):
    del args
    rows = [{**kernel, "style": None if kernel["runs"] else "dim"} for kernel in _core.kernels()]
    show(Table(_COLUMNS, rows, ["", f"cpu: {_core.cpu_features()}"]))
