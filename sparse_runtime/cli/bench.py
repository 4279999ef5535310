"""sparse-runtime bench"""

import itertools
import json

from .. import __version__, _core, peers
from .. import bench as timing
from ..errors import ArgumentError
from ..table import Column, Table, number, show
from . import common

NAME = "bench"
HELP = "Time a model: every combination of the comma lists, run in turns in one process."

_COLUMNS = [
    Column("runtime", "runtime", left=True),
    Column("prune", "pruned %", lambda share: f"{100 * share:g}"),
    Column("block", "block", left=True),
    Column("sparse", "sparse", left=True),
    Column("isa", "isa", left=True),
    Column("threads", "threads"),
    Column("median", "median ms", number(3)),
    Column("iqr", "IQR ms", number(3)),
    Column("best", "best ms", number(3)),
    Column("speedup", "x first", number(2)),
]
_OPTIONAL = ("prune", "block", "isa")  # columns that only stand where the option is given


def add_arguments(parser):
    common.add_model(parser)
    common.add_combinations(parser)
    parser.add_argument(
        "--isa",
        action="append",
        metavar="LIST",
        help="CPU features that kernels may use, e.g. avx2 or ref; may be given several times (all)",
    )
    common.add_autotune(parser)
    common.add_prune(parser, common.several(common.ratio), "; comma list")
    parser.add_argument(
        "--block",
        type=common.several(str, tuple(common.BLOCKS)),
        default=["1x1"],
        metavar="1x1,2x1",
        help="shape of the blocks that --prune zeroes; comma list (1x1)",
    )
    parser.add_argument("--against", choices=peers.NAMES, help="time another runtime as well, for all but .spr files")
    common.add_rounds(parser)
    common.add_input_shape(parser)


def run(args):
    if args.profile and args.output == "csv":
        raise ArgumentError(
            "--profile and -o csv do not go together: it is one table per configuration; json holds all"
        )
    if (args.prune or args.against) and common.is_spr(args.model):
        raise ArgumentError(f"{args.model}: --prune and --against need the model it was made from")
    rows, runs, feeds, sessions = [], [], None, []
    for key, model, proto in _models(args):
        for sparse, isa, threads in itertools.product(args.sparse, args.isa or [None], args.threads):
            options = {"sparse": sparse, "isa": isa, "threads": threads, "autotune": args.autotune}
            session = common.open_session(model, args.input_shape, **options)
            feeds = feeds or common.feeds_for(session, [])
            rows.append({"runtime": "sparse-runtime", **key, **options})
            runs.append(lambda session=session: session.run(None, feeds))
            sessions.append((model, options))
        for threads in args.threads if args.against else ():
            peer = peers.open_peer(args.against, proto, threads)
            rows.append({"runtime": args.against, **key, "threads": threads})
            runs.append(lambda peer=peer: peer(feeds))
            sessions.append(None)
    timings = timing.measure(runs, args.repeat, args.warmup)
    for row, times in zip(rows, timings):
        row.update(median=times.median, iqr=times.iqr, best=times.best, speedup=timings[0].median / times.median)
    del runs
    profiles = [_profile(args, feeds, *made) if args.profile and made else None for made in sessions]
    _print(args, rows, profiles)


def _models(args):
    """(columns of the table, path or bytes of the .spr, onnx.ModelProto or None) of every model to time."""
    if common.is_spr(args.model):
        yield {}, args.model, None
        return
    proto = common.load_onnx(args.model)
    for share, block in itertools.product(args.prune or [0.0], args.block):
        if not share and block != args.block[0]:
            continue  # not pruned: the same model
        pruned = common.prune(proto, share, block)
        key = {"prune": share, "block": block if share else None}
        yield key, common.convert(pruned, input_shapes=dict(args.input_shape)).data, pruned if args.against else None


def _profile(args, feeds, model, options):
    session = common.open_session(model, args.input_shape, profile=True, **options)
    return timing.profile(session, feeds, args.repeat, args.warmup)


def _print(args, rows, profiles):
    given = {"prune": args.prune, "block": args.prune and any(args.prune), "isa": args.isa}
    columns = [column for column in _COLUMNS if column.key not in _OPTIONAL or given[column.key]]
    notes = [
        "",
        f"{args.model}: medians of {args.repeat} rounds in turns after {args.warmup} unmeasured; "
        "IQR: interquartile range; x first: median of the first row / this one's",
        f"cpu: {_core.cpu_features()}",
    ]
    table = Table(columns, rows, notes)
    if args.output == "csv":
        print(table.csv())
    elif args.output == "json":
        results = [
            {**row, "layers": report and report.to_dict()["layers"]} if args.profile else row
            for row, report in zip(rows, profiles)
        ]
        print(
            json.dumps(
                {
                    "model": args.model,
                    "version": __version__,
                    "cpu": _core.cpu_features(),
                    "repeat": args.repeat,
                    "warmup": args.warmup,
                    "results": results,
                },
                indent=1,
            )
        )
    else:
        _show(args, table)
        for row, report in zip(rows, profiles):
            if report:
                title = ", ".join(f"{c.title} {c.text(row)}" for c in columns[1:-4] if row.get(c.key) is not None)
                print(f"\n{title}: median times of the layers\n")
                _show(args, report.table())


def _show(args, table):
    if args.output == "md":
        print(table.markdown())
    else:
        show(table)
