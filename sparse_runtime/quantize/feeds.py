"""Calibration data: what a user gives, checked, as a list of feeds; and where it is read from files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Dict

import numpy as np

from ..arrays import load as load_arrays
from ..errors import ArgumentError, ModelIOError
from ..ir import Graph, Value

Feed = Dict[str, np.ndarray]


def check(graph: Graph, feeds: Any) -> list[Feed]:
    """The feeds, {input: array} each, as arrays; `feeds` is an iterable of them, or a path (see load). Raises
    ArgumentError naming the feed and the input."""
    if isinstance(feeds, (str, os.PathLike)):
        checked = [_feed(graph, feed, where) for where, feed in _samples_of(graph, os.fspath(feeds))]
    elif isinstance(feeds, Mapping) or not isinstance(feeds, Iterable):
        raise ArgumentError(
            f"calibration data must be an iterable of feeds, {{input name: array}} each, not a {type(feeds).__name__}"
        )
    else:
        checked = [_feed(graph, feed, f"calibration feed {i}") for i, feed in enumerate(feeds)]
    if not checked:
        raise ArgumentError("the calibration data is empty: ranges need at least one feed")
    return checked


def _feed(graph: Graph, feed: Any, where: str) -> Feed:
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
    return [feed for _, feed in _samples_of(graph, path)]


def _samples_of(graph: Graph, path: str) -> list[tuple[str, Feed]]:
    """The feeds, each with where it is from."""
    if not os.path.exists(path):
        raise ModelIOError(f"cannot read calibration data {path!r}: no such file or folder")
    if not os.path.isdir(path):
        return _file(graph, path)
    files = sorted(str(p) for p in Path(path).iterdir() if p.suffix.lower() in (".npz", ".npy"))
    if not files:
        raise ArgumentError(f"calibration folder {path!r} has no .npz and no .npy files")
    return [found for file in files for found in _file(graph, file)]


def _file(graph: Graph, path: str) -> list[tuple[str, Feed]]:
    loaded = load_arrays(path)
    arrays = {"": loaded} if isinstance(loaded, np.ndarray) else loaded
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
    parts = {name: np.split(array, count) for name, array in arrays.items()} if count else {}
    return [(f"{path}, sample {i}", {name: part[i] for name, part in parts.items()}) for i in range(count)]


def _samples(value: Value, array: np.ndarray, path: str) -> int:
    batch = value.dims[0] if value.dims and value.dims[0] > 0 else 1
    if array.ndim != len(value.dims) or not array.ndim or len(array) % batch:
        raise ArgumentError(
            f"{path}: input {value.name!r} has shape {list(array.shape)}; it takes rank {len(value.dims)}, "
            f"the samples along the first axis, a multiple of {batch}"
        )
    return len(array) // batch
