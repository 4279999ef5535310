"""Calibration data: what a user gives, checked, as a list of feeds; and where it is read from files."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Dict

import numpy as np

from ..errors import ArgumentError, ModelIOError
from ..ir import Graph, Value

Feed = Dict[str, np.ndarray]


def check(graph: Graph, feeds: Any) -> list[Feed]:
    """The feeds, {input: array} each, as arrays; `feeds` is an iterable of them, or a path (see load). Raises
    ArgumentError naming the feed and the input."""
    if isinstance(feeds, (str, os.PathLike)):
        feeds = load(graph, os.fspath(feeds))
    if isinstance(feeds, Mapping) or not isinstance(feeds, Iterable):
        raise ArgumentError(
            f"calibration data must be an iterable of feeds, {{input name: array}} each, not a {type(feeds).__name__}"
        )
    checked = [_feed(graph, feed, i) for i, feed in enumerate(feeds)]
    if not checked:
        raise ArgumentError("the calibration data is empty: ranges need at least one feed")
    return checked


def _feed(graph: Graph, feed: Any, number: int) -> Feed:
    where = f"calibration feed {number}"
    if not isinstance(feed, Mapping):
        raise ArgumentError(f"{where} is a {type(feed).__name__}, it must be a dict of {{input name: array}}")
    names = [v.name for v in graph.inputs]
    for name in feed:
        if name not in names:
            raise ArgumentError(f"{where}: there is no input {name!r}; the model has {', '.join(map(repr, names))}")
    arrays = {}
    for value in graph.inputs:
        if value.name not in feed:
            raise ArgumentError(f"{where} has no array for input {value.name!r}")
        array = np.asarray(feed[value.name])
        if array.dtype != np.dtype(value.dtype):
            raise ArgumentError(
                f"{where}: input {value.name!r} is given as {array.dtype}, the model takes {value.dtype}"
            )
        if not _fits(value, array.shape):
            shape = [d if d >= 0 else "?" for d in value.dims]
            raise ArgumentError(
                f"{where}: input {value.name!r} is given with shape {list(array.shape)}, the model takes "
                f"[{', '.join(map(str, shape))}]"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ArgumentError(f"{where}: input {value.name!r} has {_strange(array)} values")
        arrays[value.name] = array
    return arrays


def _strange(array: np.ndarray) -> str:
    return "NaN" if np.isnan(array).any() else "infinite"


def _fits(value: Value, shape: tuple[int, ...]) -> bool:
    """Any batch is taken, other dimensions where they are free."""
    return (
        len(shape) == len(value.dims)
        and 0 not in shape
        and all(d < 0 or d == s for d, s in list(zip(value.dims, shape))[1:])
    )


# ---- files -----------------------------------------------------------------------------------------------------------


def load(graph: Graph, path: str) -> list[Feed]:
    """Feeds of an .npz file with one array per input (or an .npy file for a sole input), or of all such files of a
    folder in the order of their names. An array holds any number of samples along its first axis; a feed takes as many
    as the model's batch, one where that is free."""
    if not os.path.exists(path):
        raise ModelIOError(f"cannot read calibration data {path!r}: no such file or folder")
    if not os.path.isdir(path):
        return _file(graph, path)
    files = sorted(str(p) for p in Path(path).iterdir() if p.suffix.lower() in (".npz", ".npy"))
    if not files:
        raise ArgumentError(f"calibration folder {path!r} has no .npz and no .npy files")
    return [feed for file in files for feed in _file(graph, file)]


def _file(graph: Graph, path: str) -> list[Feed]:
    try:
        with open(path, "rb") as file:  # which np.load leaves open where it fails
            loaded = np.load(file, allow_pickle=False)
            arrays = {"": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except OSError as error:
        raise ModelIOError(f"cannot read calibration data {path!r}: {error.strerror or error}") from None
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ArgumentError(f"{path}: not a .npy or .npz file that can be read ({error})") from None
    names = [v.name for v in graph.inputs]
    if len(arrays) == 1 and len(names) == 1:
        arrays = {names[0]: next(iter(arrays.values()))}
    if sorted(arrays) != sorted(names):
        raise ArgumentError(
            f"{path} has {', '.join(map(repr, arrays)) or 'no arrays'}; the model's inputs are "
            f"{', '.join(map(repr, names))}"
        )
    counts = {v.name: _samples(v, arrays[v.name], path) for v in graph.inputs}
    if len(set(counts.values())) != 1:
        raise ArgumentError(f"{path}: the inputs have different numbers of samples: {counts}")
    count = next(iter(counts.values()))
    return [{name: np.split(array, count)[i] for name, array in arrays.items()} for i in range(count)] if count else []


def _samples(value: Value, array: np.ndarray, path: str) -> int:
    batch = value.dims[0] if value.dims and value.dims[0] > 0 else 1
    if array.ndim != len(value.dims) or not array.ndim or len(array) % batch:
        raise ArgumentError(
            f"{path}: input {value.name!r} has shape {list(array.shape)}; it takes rank {len(value.dims)}, "
            f"the samples along the first axis, a multiple of {batch}"
        )
    return len(array) // batch
