"""sparse-runtime explain"""

import json

from ..table import show
from . import common

NAME = "explain"
HELP = "Tell per layer what runs on this CPU, how sparse it is, what it takes, and why that kernel."


def add_arguments(parser):
    common.add_model(parser)
    common.add_session(parser)
    common.add_input_shape(parser)
    parser.add_argument(
        "-o", "--output", choices=("text", "md", "csv", "json"), default="text", help="form of the table (text)"
    )


def run(args):
    session = common.open_session(
        args.model,
        args.input_shape,
        threads=args.threads,
        sparse=args.sparse,
        isa=args.isa,
        autotune=args.autotune,
    )
    report = session.explain()
    if args.output == "json":
        print(json.dumps(report.to_dict(), indent=1))
    elif args.output == "text":
        show(report.table())
    else:
        print(report.table().markdown() if args.output == "md" else report.table().csv())
