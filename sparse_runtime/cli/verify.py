"""sparse-runtime verify"""

import itertools

from .. import peers
from ..table import Column, Table, number, show
from ..verify import compare_all
from . import common

NAME = "verify"
HELP = "Compare the outputs of an ONNX model with those of another runtime; exit status 1 where they differ."

_COLUMNS = [
    Column("sparse", "sparse", left=True),
    Column("threads", "threads"),
    Column("name", "output", left=True, shrink=20),
    Column("shape", "shape", lambda shape: "x".join(map(str, shape)), left=True),
    Column("max_abs", "max abs error", "{:.3e}".format),
    Column("max_rel", "max rel error", "{:.3e}".format),
    Column("range", "range", number(4)),
    Column("of_range", "error / range", "{:.3e}".format),
    Column("verdict", "", left=True),
]


def add_arguments(parser):
    common.add_model(parser, "an .onnx file, a Paddle model (.pdmodel, .json) or zoo:NAME")
    parser.add_argument(
        "--against", choices=peers.NAMES, default=peers.NAMES[0], help=f"the other runtime ({peers.NAMES[0]})"
    )
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=FILE",
        dest="inputs",
        help="arrays as for `run`; random ones where not given",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random inputs (0)")
    common.add_prune(parser)
    common.add_block(parser)
    common.add_combinations(parser, ["auto", "always", "never"], "auto, always and never (all three)")
    parser.add_argument("--isa", metavar="LIST", help="CPU features that kernels may use, e.g. avx2 or ref (all)")
    parser.add_argument(
        "--tolerance",
        type=common.ratio,
        default=1e-4,
        metavar="SHARE",
        help="largest error allowed, as a share of the output's range (1e-4)",
    )
    common.add_input_shape(parser)


def run(args):
    proto = common.prune(common.load_onnx(args.model), args.prune, args.block)
    model = common.convert(proto, input_shapes=dict(args.input_shape)).data
    rows, reference, feeds, failed = [], None, None, 0
    for sparse, threads in itertools.product(args.sparse, args.threads):
        session = common.open_session(model, args.input_shape, sparse=sparse, threads=threads, isa=args.isa)
        if reference is None:
            feeds = common.feeds_for(session, args.inputs, args.seed)
            reference = peers.open_peer(args.against, proto)(feeds)
        names = [info.name for info in session.outputs]
        for error in compare_all(dict(zip(names, session.run(None, feeds))), reference):
            good = error.of_range <= args.tolerance
            failed += not good
            rows.append(
                {
                    "sparse": sparse,
                    "threads": threads,
                    "name": error.name,
                    "shape": error.shape,
                    "max_abs": error.max_abs,
                    "max_rel": error.max_rel,
                    "range": error.range,
                    "of_range": error.of_range,
                    "verdict": "ok" if good else "TOO LARGE",
                }
            )
    verdict = (
        f"{failed} of {len(rows)} outputs differ from {args.against} by more than"
        if failed
        else (f"all outputs agree with {args.against} within")
    )
    show(Table(_COLUMNS, rows, ["", f"{verdict} {args.tolerance:g} of their range"]))
    return 1 if failed else 0
