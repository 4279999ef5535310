"""Magnitude pruning: the smallest weights become zero."""

from __future__ import annotations

import difflib
import fnmatch
import numbers
import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from ..errors import ArgumentError
from .layers import Layer, Weight, find, load

_BLOCKS = ((1, 1), (2, 1))
_SCOPES = ("layer", "global")


def magnitude(
    model: str | os.PathLike | bytes | onnx.ModelProto,
    ratio: float | Mapping[str, float] = 0.75,
    block: tuple[int, int] = (1, 1),
    skip: str | Sequence[str] | Callable[[onnx.NodeProto, np.ndarray], bool] | None = None,
    scope: str = "layer",
) -> onnx.ModelProto:
    """A copy of the model in which the smallest weights of the prunable layers (see `layers`) are zero.

    ratio  share of a layer's weights that becomes zero, those that are zero already included; or {layer name: share},
           which leaves all other layers as they are
    block  (1, 1) prunes weight by weight. (2, 1) prunes rows (0, 1), (2, 3) .. of the output channels together, by the
           sum of their magnitudes; an odd last row stands alone, each of its weights a block of its own
    skip   layers to leave alone: names or fnmatch patterns of nodes or weights, or a predicate (node, weight array)
    scope  "layer" prunes every layer to the ratio, "global" all of them together, by one ranking

    Exactly round(ratio * n) of a layer's (of all) n weights or blocks become zero; among equals the first in the order
    of [outputs, inputs] go. A tensor that several nodes share is pruned once, for all of them, and kept if one of them
    is skipped. Raises ArgumentError (a ValueError) where an argument does not fit the model, and for NaN weights.
    """
    if not isinstance(block, (tuple, list)) or tuple(block) not in _BLOCKS:
        raise ArgumentError(f"block {block!r} is not supported; supported: {', '.join(map(str, _BLOCKS))}")
    if scope not in _SCOPES:
        raise ArgumentError(f"scope must be one of {', '.join(map(repr, _SCOPES))}, not {scope!r}")
    height = block[0]
    model = load(model)
    layers = find(model)
    if not layers:
        raise ArgumentError("nothing to prune: no 1x1 convolution (group 1), Gemm or MatMul with constant weights")
    skipped = _skipped(model, layers, skip)
    chosen = _ratios(layers, ratio, scope, skipped)
    scores = {name: _scores(weight, height) for name, (weight, _) in chosen.items()}

    if scope == "global":
        share = next(iter(chosen.values()))[1]
        drop = _smallest(np.concatenate(list(scores.values())), share)
        drops = np.split(drop, np.cumsum([len(s) for s in scores.values()])[:-1])
    else:
        drops = [_smallest(scores[name], share) for name, (_, share) in chosen.items()]
    for (weight, _), drop in zip(chosen.values(), drops):
        _zero(weight, drop, height)
    return model


def _skipped(model, layers, skip) -> set[str]:
    """Names of the weights to leave alone."""
    if skip is None:
        return set()
    if callable(skip):
        return {layer.weight.name for layer in layers if skip(layer.node, layer.weight.array)}
    patterns = [skip] if isinstance(skip, str) else list(skip)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise ArgumentError(f"skip takes names, patterns or a predicate, not {pattern!r}")

    def matches(pattern, names):
        return any(name == pattern or fnmatch.fnmatchcase(name, pattern) for name in names)

    # A pattern may also name what is never pruned, a first convolution say; it must name something, though.
    known = {name for node in model.graph.node for name in (node.name, *node.input, *node.output) if name}
    for pattern in patterns:
        if not matches(pattern, known):
            raise ArgumentError(f"skip pattern {pattern!r} matches no node and no weight; {_names(pattern, layers)}")
    return {
        layer.weight.name
        for layer in layers
        if any(matches(p, (layer.name, layer.node.input[1], layer.weight.name)) for p in patterns)
    }


def _ratios(layers, ratio, scope, skipped) -> dict[str, tuple[Weight, float]]:
    """The weights to prune, by name, in the order of the graph, with their ratios."""
    if not isinstance(ratio, Mapping):
        share = _share(ratio, "ratio")
        chosen = {layer.weight.name: (layer.weight, share) for layer in layers if layer.weight.name not in skipped}
        if not chosen:
            raise ArgumentError(f"nothing to prune: skip leaves none of the {len(layers)} prunable layers")
        return chosen
    if scope == "global":
        raise ArgumentError('scope "global" takes one ratio for all layers, not a ratio per layer')
    if not ratio:
        raise ArgumentError(f"ratio names no layer; {_names('', layers)}")
    names = {layer.name for layer in layers}
    for name in ratio:
        if name not in names:
            raise ArgumentError(f"ratio names {name!r}, which is no prunable layer; {_names(name, layers)}")
    chosen = {}
    for layer in layers:
        if layer.name not in ratio:
            continue
        share = _share(ratio[layer.name], f"ratio of {layer.name!r}")
        weight = layer.weight
        if weight.name in skipped:
            raise ArgumentError(f"layer {layer.name!r} has a ratio and is skipped too; leave out one of the two")
        if weight.name in chosen and chosen[weight.name][1] != share:
            users = ", ".join(user.name for user in weight.layers)
            raise ArgumentError(f"weight {weight.name!r} is shared by {users}: their ratios must be equal")
        chosen[weight.name] = (weight, share)
    return chosen


def _share(value, what) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value <= 1:
        raise ArgumentError(f"{what} must be a number from 0 to 1, not {value!r}")
    return float(value)


def _names(wanted, layers) -> str:
    """The layers to offer: those spelled like the wanted one, else the first few."""
    names = list(dict.fromkeys(layer.name for layer in layers))
    close = difflib.get_close_matches(str(wanted), names, n=3)
    shown = ", ".join(close or names[:8])
    return f"close to it: {shown}" if close else f"prunable layers: {shown}{' ..' if len(names) > 8 else ''}"


def _oriented(weight: Weight, height: int) -> Layer:
    """A layer whose orientation the blocks follow: they are the same for all layers that share the weight."""
    if height > 1 and len({layer.by_columns for layer in weight.layers}) > 1:
        users = ", ".join(layer.name for layer in weight.layers)
        why = "one takes its rows as outputs, another its columns; skip it or use (1, 1)"
        raise ArgumentError(f"weight {weight.name!r} of {users} has no common 2x1 blocks: {why}")
    return weight.layers[0]


def _scores(weight: Weight, height: int) -> np.ndarray:
    """Magnitudes of the blocks, flat in the order of [outputs, inputs]."""
    matrix = np.abs(weight.matrix(_oriented(weight, height)).astype(np.float64))
    if np.isnan(matrix).any():
        raise ArgumentError(f"weight {weight.name!r} of {weight.layers[0].name!r} has NaN values, which have no order")
    return np.add.reduceat(matrix, np.arange(0, len(matrix), height), axis=0).ravel()


def _smallest(scores: np.ndarray, share: float) -> np.ndarray:
    """Mask of the round(share * n) smallest; equal ones go in order."""
    drop = np.zeros(len(scores), bool)
    drop[np.argsort(scores, kind="stable")[: round(share * len(scores))]] = True
    return drop


def _zero(weight: Weight, drop: np.ndarray, height: int):
    weight.array = weight.array.copy()
    matrix = weight.matrix(weight.layers[0])
    matrix[np.repeat(drop.reshape(-1, matrix.shape[1]), height, axis=0)[: len(matrix)]] = 0
    name, doc = weight.tensor.name, weight.tensor.doc_string
    weight.tensor.CopyFrom(numpy_helper.from_array(weight.array, name))
    weight.tensor.doc_string = doc
