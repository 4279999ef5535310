"""Gradual magnitude pruning: the ratios to prune to while a network is trained on."""

from __future__ import annotations

import operator

from ..errors import ArgumentError


def gmp_ratios(steps: int, initial: float, target: float) -> list[float]:
    """Ratios of the steps 0 .. steps-1, rising from `initial` along a cubic that flattens towards `target`.

    `target` itself is what the tuning phase after the last step prunes to; it is not in the list.
    Raises ArgumentError (a ValueError) unless steps >= 1 and 0 <= initial <= target <= 1.
    """
    try:
        count = operator.index(steps)
    except TypeError:
        count = 0
    if count < 1:
        raise ArgumentError(f"steps must be an integer of at least 1, not {steps!r}")
    if not 0 <= initial <= target <= 1:
        raise ArgumentError(f"needs 0 <= initial <= target <= 1, not initial={initial!r}, target={target!r}")
    return [initial + (target - initial) * ((i / count - 1) ** 3 + 1) for i in range(count)]
