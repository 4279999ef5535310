"""What several commands share: reading options, models and arrays."""

import argparse
import os

import numpy as np

from ..arrays import load as load_arrays
from ..errors import ArgumentError
from ..peers import random_feeds
from ..importers import SUFFIXES, as_onnx, is_convertible
from ..session import Session

BLOCKS = {"1x1": (1, 1), "2x1": (2, 1)}
SPARSE = ("auto", "always", "never")


# ---- types of options ----------------------------------------------------------------------------------------------


def shape(text):
    """ "x=1x3x224x224" -> ("x", (1, 3, 224, 224))."""
    name, _, dims = text.rpartition("=")
    try:
        dims = tuple(int(d) for d in dims.split("x"))
    except ValueError:
        dims = ()
    if not name or not dims or min(dims) < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=1x3x224x224")
    return name, dims


def ratio(text):
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def several(kind, choices=None):
    """A type for comma lists: "1,2" -> [1, 2]."""

    def read(text):
        values = [kind(part) for part in text.split(",")]
        wrong = [value for value in values if choices and value not in choices]
        if wrong:
            raise argparse.ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(map(str, choices))}")
        return values

    return read


# ---- options -------------------------------------------------------------------------------------------------------


def add_model(parser, help_text="a .spr file, an .onnx or Paddle file, or zoo:NAME"):
    parser.add_argument("model", metavar="MODEL", help=help_text)


def add_input_shape(parser):
    parser.add_argument(
        "--input-shape",
        metavar="NAME=1x3x224x224",
        type=shape,
        action="append",
        default=[],
        help="shape of an input; may be given for several inputs",
    )


_POLICIES = "auto, always, never, and model: as it was converted (model)"


def add_combinations(parser, sparse=("model",), of=_POLICIES):
    """--threads and --sparse of the commands that try every combination of what is listed; `sparse` if not given."""
    parser.add_argument("--threads", type=several(positive), default=[1], metavar="1,2", help="comma list (1)")
    parser.add_argument(
        "--sparse",
        type=several(str, ("model", *SPARSE)),
        default=list(sparse),
        metavar="auto,never",
        help=f"comma list of {of}",
    )


def add_rounds(parser):
    """What the commands that time have in common: how often, and how it is shown."""
    parser.add_argument("--repeat", type=positive, default=30, metavar="N", help="measured rounds (30)")
    parser.add_argument("--warmup", type=positive, default=3, metavar="N", help="rounds before them (3)")
    parser.add_argument("--profile", action="store_true", help="also time every layer, in further runs")
    parser.add_argument(
        "-o", "--output", choices=("text", "md", "csv", "json"), default="text", help="form of the tables (text)"
    )


def add_prune(parser, kind=ratio, more=""):
    parser.add_argument(
        "--prune",
        metavar="RATIO",
        type=kind,
        help="first set this share of the weights of 1x1 convolutions and fully connected layers to zero, the "
        "smallest" + more,
    )


def add_block(parser):
    parser.add_argument(
        "--block", choices=BLOCKS, help="shape of the blocks of output and input channels that --prune zeroes (1x1)"
    )


def add_session(parser):
    """Options of one session."""
    parser.add_argument("--threads", type=positive, default=1, metavar="N", help="threads that compute (1)")
    parser.add_argument(
        "--sparse",
        choices=("model", *SPARSE),
        default="model",
        help="which kernels: as the model was converted, the fastest per layer, sparse or dense ones only (model)",
    )
    parser.add_argument("--isa", metavar="LIST", help="CPU features that kernels may use, e.g. avx2 or ref (all)")
    add_autotune(parser)


def add_autotune(parser):
    parser.add_argument(
        "--autotune",
        action="store_true",
        help="choose kernels by measuring them on this device; what is found is kept beside a .spr file, as FILE.tune",
    )


# ---- models --------------------------------------------------------------------------------------------------------


def is_spr(model):
    return not model.startswith("zoo:") and not is_convertible(model)


def _need_onnx():
    try:
        import onnx
    except ImportError:
        raise ArgumentError("the onnx package is not installed: pip install 'sparse-runtime[convert]'") from None
    return onnx


def load_onnx(model):
    """The onnx.ModelProto of an ONNX or Paddle file or a zoo:NAME, weights in external files included."""
    onnx = _need_onnx()
    from google.protobuf.message import DecodeError

    if model.startswith("zoo:"):
        from .. import zoo

        name = model[len("zoo:") :]
        if name not in zoo.names():
            raise ArgumentError(f"there is no zoo model {name!r}; there are {', '.join(zoo.names())}")
        return zoo.build(name)
    if is_spr(model):
        raise ArgumentError(f"{model}: this needs the model itself ({', '.join(SUFFIXES)} or zoo:NAME)")
    proto = as_onnx(model)
    if proto is not model:
        return proto
    try:
        return onnx.load(model)
    except DecodeError as error:
        raise ArgumentError(f"{model}: not an ONNX model ({error})") from None


def prune(proto, share, block=None):
    """The model pruned by magnitude; as it is where `share` is None or 0."""
    if share is None and block is not None:
        raise ArgumentError("--block says how to prune, but --prune is not given")
    if not share:
        return proto
    from ..prune import magnitude

    return magnitude(proto, share, block=BLOCKS[block or "1x1"])


def convert(model, output=None, **options):
    """The report of sparse_runtime.convert of a path, a zoo:NAME or an onnx.ModelProto."""
    if isinstance(model, str):
        _need_onnx()
        model = model if is_convertible(model) else load_onnx(model)
    from .. import convert as convert_model

    return convert_model(model, output, **options)


def open_session(model, input_shapes, **options):
    """A Session of a path, a zoo:NAME, or the bytes of a .spr; `input_shapes`: list of (name, shape)."""
    shapes = dict(input_shapes)
    if isinstance(model, str) and not is_spr(model):
        model = convert(model, input_shapes=shapes).data
    return Session(model, input_shapes=shapes, **options)


# ---- arrays --------------------------------------------------------------------------------------------------------


def read_inputs(texts, names):
    """{input name: array} of --input options: NAME=file, file.npz with names in it, or file.npy for a sole input."""
    feeds = {}
    for text in texts:
        name = max((n for n in names if text.startswith(n + "=")), key=len, default=None)
        path = text if name is None else text[len(name) + 1 :]
        if name is None and "=" in text and not os.path.exists(text):
            raise ArgumentError(
                f"--input {text}: there is no input {text.partition('=')[0]!r}; the model has "
                f"{', '.join(map(repr, names))}"
            )
        loaded = load_arrays(path)
        if isinstance(loaded, dict):
            if name is not None:
                if name not in loaded and len(loaded) != 1:
                    raise ArgumentError(f"{path} has no array {name!r}; it has {', '.join(map(repr, loaded))}")
                loaded = {name: loaded[name] if name in loaded else next(iter(loaded.values()))}
        elif name is None and len(names) != 1:
            raise ArgumentError(
                f"--input {text}: say which input it is for, as NAME={path}; the model has "
                f"{', '.join(map(repr, names))}"
            )
        else:
            loaded = {name or names[0]: loaded}
        for key, array in loaded.items():
            if key in feeds:
                raise ArgumentError(f"input {key!r} is given twice")
            feeds[key] = array
    return feeds


def feeds_for(session, texts, seed=0):
    """The arrays given, or random ones where none are."""
    infos = session.inputs
    return read_inputs(texts, [info.name for info in infos]) if texts else random_feeds(infos, seed)
