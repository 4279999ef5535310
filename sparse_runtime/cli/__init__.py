"""The command line: `sparse-runtime COMMAND`.

One file per command; each has a NAME, a HELP, add_arguments(parser) and run(args)."""

import argparse
import os
import sys

from .. import __version__, _core
from ..errors import SparseRuntimeError
from . import bench, convert, device_bench, explain, kernels, run, verify

_COMMANDS = (convert, run, bench, device_bench, explain, kernels, verify)


def _parser():
    parser = argparse.ArgumentParser(
        prog="sparse-runtime",
        description="Converts pruned networks, runs them, and tells what it did.",
        epilog="MODEL is a .spr file, an .onnx or Paddle file, or zoo:NAME, a network with random weights. "
        "`sparse-runtime COMMAND --help` tells more.",
    )
    parser.add_argument(
        "--version", action="version", version=f"sparse-runtime {__version__} (CPU features: {_core.cpu_features()})"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        sub = commands.add_parser(command.NAME, help=command.HELP, description=command.HELP)
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


def main(argv=None):
    """Runs a command; returns the exit status: 0, 1 where `verify` found a difference, 2 for errors."""
    args = _parser().parse_args(argv)
    try:
        status = args.run(args) or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `| head` has seen enough; nothing more may be written, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (SparseRuntimeError, OSError) as error:
        text = f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else str(error)
        print(f"sparse-runtime: error: {' '.join(text.split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
