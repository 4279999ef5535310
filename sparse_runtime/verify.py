"""Does a model compute here what another runtime computes?"""

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from .errors import ArgumentError


@dataclass(frozen=True)
class OutputError:
    """How far an output is from the reference.

    Where only one of the two is finite, or where types or shapes differ, the errors are infinite; NaN equals NaN,
    and an infinity itself."""

    name: str
    shape: Tuple[int, ...]
    max_abs: float  # largest |ours - reference|
    max_rel: float  # largest |ours - reference| / |reference|, where the reference is not 0
    range: float  # largest minus smallest reference value; where that is 0 their magnitude, or 1

    @property
    def of_range(self):
        """The largest error as a share of the output's range."""
        return self.max_abs / self.range


def compare(name, ours, reference):
    """The OutputError of one array against another."""
    ours, reference = np.asarray(ours), np.asarray(reference)
    if ours.shape != reference.shape or ours.dtype != reference.dtype:
        return OutputError(name, ours.shape, np.inf, np.inf, 1.0)
    a, b = ours.astype(np.float64), reference.astype(np.float64)
    finite = np.isfinite(b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if a.size == 0 or (same.all() and not finite.any()):
        return OutputError(name, ours.shape, 0.0, 0.0, 1.0)
    values = b[finite]
    spread = float(values.max() - values.min()) if values.size else 0.0
    spread = spread or (float(np.abs(values).max()) if values.size else 0.0) or 1.0
    if not same[~(finite & np.isfinite(a))].all():
        return OutputError(name, ours.shape, np.inf, np.inf, spread)
    error = np.abs(a[finite] - values)
    nonzero = values != 0
    relative = error[nonzero] / np.abs(values[nonzero])
    return OutputError(name, ours.shape, float(error.max()), float(relative.max()) if relative.size else 0.0, spread)


def compare_all(ours, reference):
    """A list of OutputErrors, in the order of `ours`; both are {name: array} of the same names."""
    if set(ours) != set(reference):
        raise ArgumentError(f"the outputs differ: {sorted(ours)} here, {sorted(reference)} there")
    return [compare(name, array, reference[name]) for name, array in ours.items()]
