"""LSTM, GRU and RNN: for each direction the product with the whole input, a fully connected layer, and the
recurrence."""

from __future__ import annotations

import numpy as np

from ..registry import Call, Unsupported, op

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_FUNCTIONS = {
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Relu": "clip",
    "HardSigmoid": "hard_sigmoid",
    "Softplus": "softplus",
}
_DIRECTIONS = ("forward", "reverse", "bidirectional")


def _activations(c: Call, directions: int) -> list[dict[str, str]]:
    """{f, g, h: function} for each direction."""
    names = [n.decode("utf-8", "replace") if isinstance(n, bytes) else n for n in c.attr("activations") or ()]
    names = names or list(_DEFAULTS[c.op]) * directions
    count, known = len(_DEFAULTS[c.op]), {n.lower(): f for n, f in _FUNCTIONS.items()}
    if len(names) != count * directions:
        raise ValueError(f"{len(names)} activations for {directions} directions of {count} each")
    for name in names:
        if name.lower() not in known:
            raise Unsupported(f"activation {name}", ", ".join(_FUNCTIONS))
    if c.attr("activation_alpha") or c.attr("activation_beta"):
        raise Unsupported("activation_alpha or activation_beta", "activations with their default parameters")
    return [
        dict(zip("fgh", (known[n.lower()] for n in names[d * count : (d + 1) * count]))) for d in range(directions)
    ]


@op("LSTM", "GRU", "RNN")
def recurrent(c: Call):
    c.float32(0, 1, 2, 3)
    w, r = c.weights(1, "W"), c.weights(2, "R")
    if w.ndim != 3 or r.ndim != 3 or len(w) != len(r):
        raise ValueError(f"W of shape {list(w.shape)} and R of shape {list(r.shape)}")
    directions, rows, hidden = r.shape
    direction = c.choice("direction", c.text("direction", "forward"), _DIRECTIONS)
    if directions != 1 + (direction == "bidirectional") or rows != _GATES[c.op] * hidden or w.shape[1] != rows:
        raise ValueError(f"W of shape {list(w.shape)} and R of shape {list(r.shape)} for a {direction} {c.op}")
    bias = c.weights(3, "B") if c.get(3) is not None else np.zeros((directions, 2 * rows), np.float32)
    peephole = c.weights(7, "P") if c.op == "LSTM" and c.get(7) is not None else None
    batch_first, before = c.attr("layout", 0), c.attr("linear_before_reset", 0)
    x = c.emit("Transpose", c.x(), perm=(1, 0, 2)) if batch_first else c.x()
    lengths = None if c.get(4) is None else c.cast(c.get(4), "int32")
    starts = [_states(c, i, directions, batch_first) for i in (5, 6)]
    functions, made = _activations(c, directions), []
    for d in range(directions):
        late = c.op == "GRU" and before  # the state's bias of the last gate is not added to the input's product
        added = bias[d, :rows] + np.where(late & (np.arange(rows) >= rows - hidden), 0, bias[d, rows:])
        product = c.emit("FullyConnected", x, c.constant(w[d], "W"), c.constant(added.astype(np.float32), "bias"))
        made.append(
            c.emit_many(
                "Recurrent",
                [
                    product,
                    c.constant(r[d], "R"),
                    c.constant(bias[d, 2 * rows - hidden :], "B") if late else None,
                    starts[0][d],
                    starts[1][d] if c.op == "LSTM" else None,
                    lengths,
                    None if peephole is None else c.constant(peephole[d], "P"),
                ],
                3,
                cell=c.op.lower(),
                reverse=int(direction == "reverse" or d == 1),
                linear_before_reset=before,
                input_forget=c.attr("input_forget", 0),
                clip=c.attr("clip", 0.0),
                **functions[d],
            )
        )
    # [time, batch, hidden] of each direction to [time, directions, batch, hidden], or [batch, time, directions, hidden]
    y = _joined(c, [c.unsqueeze(outs[0], [1]) for outs in made], 1)
    last = [_joined(c, [c.unsqueeze(outs[i], [0]) for outs in made], 0) for i in (1, 2)]
    if batch_first:
        y = c.emit("Transpose", y, perm=(2, 0, 1, 3))
        last = [c.emit("Transpose", v, perm=(1, 0, 2)) for v in last]
    return [y, *last][: 3 if c.op == "LSTM" else 2]


def _states(c: Call, index: int, directions: int, batch_first: int):
    """An initial state for each direction, None where it is not given."""
    value = c.get(index)
    if value is None:
        return [None] * directions
    return [
        c.emit("Gather", value, c.constant(np.int64(d), "direction"), axis=1 if batch_first else 0)
        for d in range(directions)
    ]


def _joined(c: Call, parts, axis: int):
    return parts[0] if len(parts) == 1 else c.emit("Concat", *parts, axis=axis)
