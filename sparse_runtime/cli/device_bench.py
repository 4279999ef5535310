"""sparse-runtime device-bench"""

import argparse
import itertools
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .. import __version__, devices
from ..errors import ArgumentError
from ..table import Column, Table, number, show
from . import common

NAME = "device-bench"
HELP = "Time models on boards and phones: converts, sends spr-bench and the models, runs, and compares."

_KEYS = ("model", "prune", "sparse", "threads", "cores")
_FLAT = (
    *("median_ms", "q1_ms", "q3_ms", "min_ms", "mhz_low", "mhz_high", "celsius_before", "celsius_after"),
    "difference",
)


def add_arguments(parser):
    parser.add_argument("models", metavar="MODEL", nargs="+", help="a .spr file, an .onnx or Paddle file, or zoo:NAME")
    parser.add_argument("--adb", metavar="SERIAL", action="append", default=[], help="an Android device; several times")
    parser.add_argument("--ssh", metavar="USER@HOST", action="append", default=[], help="a Linux board; several times")
    parser.add_argument("--local", action="store_true", help="this machine")
    parser.add_argument(
        "--binary",
        metavar="PATH",
        action="append",
        default=[],
        help="spr-bench for the device, or a folder of them, of which the fitting one is taken; several times "
        "(build/bench, where `make bench-binaries` leaves them)",
    )
    parser.add_argument("--abi", choices=("aarch64", "armv7", "x86_64"), help="which of them (what the device says)")
    parser.add_argument("--remote-dir", metavar="DIR", help="where files go there (adb: /data/local/tmp, else /tmp)")
    common.add_prune(parser, common.several(common.ratio), "; comma list")
    common.add_block(parser)
    common.add_combinations(parser)
    parser.add_argument(
        "--cores",
        type=common.several(str),
        default=["any"],
        metavar="big,little",
        help="comma list of any, big (all but the slowest kind), little (the slowest kind), prime (the fastest kind), "
        "or CPUs as 0-3+6 (any)",
    )
    parser.add_argument("--isa", metavar="LIST", help="CPU features that kernels may use (all)")
    common.add_autotune(parser)
    common.add_input_shape(parser)
    parser.add_argument("--free", type=common.positive, metavar="N", help="size of free dimensions but the first")
    common.add_rounds(parser)
    parser.add_argument(
        "--verify",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compare outputs with those of plain C kernels on the device; yes unless --no-verify",
    )
    parser.add_argument("--timeout", type=float, default=1800, metavar="S", help="seconds for one device (1800)")


def run(args):
    there = [devices.Adb(serial, args.timeout, args.remote_dir) for serial in args.adb]
    there += [devices.Ssh(host, args.timeout, args.remote_dir) for host in args.ssh]
    there += [devices.Local(args.timeout, args.remote_dir)] if args.local else []
    if not there:
        raise ArgumentError("no device given: --adb SERIAL, --ssh USER@HOST or --local")
    if args.profile and args.output == "csv":
        raise ArgumentError("--profile and -o csv do not go together; json holds all")
    programs = devices.programs(args.binary)
    with tempfile.TemporaryDirectory() as folder:
        models = list(_models(args, Path(folder)))
        with ThreadPoolExecutor(len(there)) as pool:  # devices do not disturb each other
            waiting = [pool.submit(_bench, device, programs, models, args) for device in there]
            found, failed = {}, []
            for device, future in zip(there, waiting):
                try:
                    found[device.name] = future.result()
                except devices.DeviceError as error:
                    failed.append(error)
    if not found:
        raise failed[0] if len(failed) == 1 else devices.DeviceError("; ".join(map(str, failed)))
    _print(args, found)
    for error in failed:
        print(f"sparse-runtime: error: {error}", file=sys.stderr)
    return 2 if failed else 0


def _models(args, folder):
    """(columns of the table, .spr file) of everything to time."""
    for name in args.models:
        short = name if name.startswith("zoo:") else Path(name).name
        if common.is_spr(name):
            if args.prune:
                raise ArgumentError(f"{name}: --prune needs the model it was made from")
            if not Path(name).is_file():
                raise ArgumentError(f"{name}: there is no such file")
            yield {"model": short}, name
            continue
        proto = common.load_onnx(name)
        for share in args.prune or [0.0]:
            path = folder / f"{len(list(folder.iterdir()))}.spr"
            pruned = common.prune(proto, share, args.block if args.prune else None)
            common.convert(pruned, path, input_shapes=dict(args.input_shape))
            yield {"model": short, "prune": share}, path


def _arguments(args):
    """Those of spr-bench."""
    yield from ("--threads", ",".join(map(str, args.threads)), "--sparse", ",".join(args.sparse))
    yield from ("--cores", ",".join(args.cores), "--repeat", str(args.repeat), "--warmup", str(args.warmup))
    for name, shape in args.input_shape:
        yield from ("--input-shape", f"{name}={'x'.join(map(str, shape))}")
    for option in ("isa", "free"):
        if getattr(args, option):
            yield from (f"--{option}", str(getattr(args, option)))
    for option in ("profile", "verify", "autotune"):
        if getattr(args, option):
            yield f"--{option}"


def _bench(device, programs, models, args):
    """spr-bench's results on a device, with the models named as the user does."""
    abi = args.abi or device.abi()
    if abi not in programs:
        have = f"there are only those for {', '.join(sorted(programs))}" if programs else "none is built"
        raise devices.DeviceError(
            f"{device.name}: needs spr-bench for {abi}, and {have}: `make bench-binaries` in the project's sources "
            "builds them; --binary says where they are"
        )
    with device:
        found = device.bench(programs[abi], [path for _, path in models], list(_arguments(args)))
    for result in found["results"]:
        result.update(models[int(Path(result["model"]).stem)][0])
    return found


def _print(args, found):
    if args.output == "json":
        print(json.dumps({"version": __version__, "devices": found}, indent=1))
    elif args.output == "csv":
        keys = ("device", *_KEYS, *_FLAT)
        rows = [{"device": name, **result} for name, one in found.items() for result in one["results"]]
        print(Table([Column(key, key) for key in keys], rows).csv())
    else:
        _show(args, _table(args, found))
        for name, one in found.items():
            for result in one["results"] if args.profile else ():
                _show_layers(args, name, result)


def _table(args, found):
    """One row per way of computing; for every device its median, spread and speed against its first row."""
    rows = {}
    for name, one in found.items():
        for result in one["results"]:
            row = rows.setdefault(tuple(result.get(key) for key in _KEYS), {key: result.get(key) for key in _KEYS})
            row[name] = result["median_ms"]
            row[name, "spread"] = (result["q3_ms"] - result["q1_ms"]) / 2
            row[name, "speedup"] = one["results"][0]["median_ms"] / result["median_ms"]
    columns = [
        Column("model", "model", left=True, shrink=12),
        Column("prune", "pruned %", lambda share: f"{100 * share:g}"),
        Column("sparse", "sparse", left=True),
        Column("threads", "threads"),
        Column("cores", "cores", left=True),
    ]
    if not args.prune:
        del columns[1]
    for name in found:
        columns.append(Column(name, f"{name} ms", number(3)))
        columns.append(Column((name, "spread"), "+-", number(3)))
        columns.append(Column((name, "speedup"), "x first", number(2)))
    notes = [
        "",
        f"medians of {args.repeat} rounds in turns after {args.warmup} unmeasured",
        "+-: half the distance of the quartiles; x first: median of the device's first row / this one's",
        *itertools.chain.from_iterable(_about(name, one) for name, one in found.items()),
    ]
    return Table(columns, list(rows.values()), notes)


def _about(name, one):
    """Lines about a device, and about how its results came."""
    device, results = one["device"], one["results"]
    yield f"{name}: {', '.join(filter(None, (device['model'], device['system'], device['features'])))}"
    for cluster in device["clusters"]:
        speed = f", up to {cluster['max_mhz']:.0f} MHz" if cluster["max_mhz"] else ""
        cpus = ",".join(map(str, cluster["cpus"]))
        yield f"  CPU {cpus}: {cluster['core'] or 'unknown core'}{speed}"
    clocks = [r[key] for r in results for key in ("mhz_low", "mhz_high") if r[key]]
    degrees = [r[key] for r in results for key in ("celsius_before", "celsius_after") if r[key] is not None]
    if clocks:
        yield f"  clocks read: {min(clocks):.0f} to {max(clocks):.0f} MHz"
    if degrees:
        yield f"  temperatures read: {min(degrees):.0f} to {max(degrees):.0f} Celsius"
    for note in one["notes"]:
        yield f"  {note}"
    if "difference" in results[0]:
        worst = max((r["difference"] if r["difference"] is not None else float("inf")) for r in results)
        yield f"  outputs differ from those of plain C kernels by at most {worst:.1e} of the largest value"


def _show_layers(args, name, result):
    columns = [
        Column("name", "layer", left=True, shrink=20),
        Column("op", "op", left=True),
        Column("kernel", "kernel", left=True),
        Column("sparsity", "zeros", lambda share: f"{100 * share:.1f}%"),
        Column("ms", "median ms", number(4)),
        Column("share", "share", lambda share: f"{100 * share:.1f}%"),
    ]
    total = sum(layer["ms"] for layer in result["layers"]) or 1
    rows = [{**layer, "share": layer["ms"] / total} for layer in result["layers"]]
    print(f"\n{name}: {', '.join(f'{key} {result[key]}' for key in _KEYS if result.get(key) is not None)}\n")
    _show(args, Table(columns, rows))


def _show(args, table):
    if args.output == "md":
        print(table.markdown())
    else:
        show(table)
