"""sparse-runtime run"""

import zipfile

import numpy as np

from ..errors import ArgumentError
from ..table import Column, Table, show
from . import common

NAME = "run"
HELP = "Run a model on given arrays and keep its outputs."

_COLUMNS = [
    Column("name", "output", left=True),
    Column("dtype", "type", left=True),
    Column("shape", "shape", left=True),
    *(Column(key, key, "{:.6g}".format) for key in ("min", "max", "mean")),
]


def add_arguments(parser):
    common.add_model(parser)
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=FILE",
        dest="inputs",
        help="a .npy file for an input, an .npz file with the inputs' names in it, or just a .npy file where there "
        "is one input; may be given several times",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="out.npz, with the outputs by name, or out.npy for a sole output"
    )
    common.add_session(parser)
    common.add_input_shape(parser)


def run(args):
    if args.output and not args.output.endswith((".npz", ".npy")):
        raise ArgumentError(f"{args.output}: outputs are written to .npz or .npy files")
    session = common.open_session(
        args.model,
        args.input_shape,
        threads=args.threads,
        sparse=args.sparse,
        isa=args.isa,
        autotune=args.autotune,
    )
    infos = session.inputs
    if not args.inputs:
        listed = ", ".join(f"{info.name}={info.dtype} {_shape(info.shape)}" for info in infos)
        raise ArgumentError(f"give the inputs with --input NAME=FILE; the model has {listed}")
    feeds = common.read_inputs(args.inputs, [info.name for info in infos])
    names = [info.name for info in session.outputs]
    if args.output and args.output.endswith(".npy") and len(names) != 1:
        raise ArgumentError(f"{args.output}: the model has {len(names)} outputs, which an .npz file can hold")
    outputs = dict(zip(names, session.run(None, feeds)))
    if args.output and args.output.endswith(".npy"):
        np.save(args.output, outputs[names[0]])
    elif args.output:
        _save_npz(args.output, outputs)
    show(Table(_COLUMNS, [_row(name, array) for name, array in outputs.items()]))


def _save_npz(path, arrays):
    """np.savez for any names: its own takes "file" for an argument."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(name + ".npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _shape(shape):
    return "x".join("?" if d is None else str(d) for d in shape)


def _row(name, array):
    row = {"name": name, "dtype": array.dtype, "shape": _shape(array.shape)}
    if array.size:
        row.update({"min": float(array.min()), "max": float(array.max()), "mean": float(array.mean())})
    return row
