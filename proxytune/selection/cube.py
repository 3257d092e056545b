"""The searched space as a unit cube, in which equal distances mean about equal changes.

Notation
    D searched hyperparameters, N points; a suffix of a name is a shape: points_NxD
    a range is log or linear as its search is; choices are numbers, in even steps by size
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from proxytune.config.search import Range, SpaceEntry

Array = npt.NDArray[np.float64]
DIGITS = 4
"""Significant digits of values between trials: more would only look exact."""


class Cube:
    """The coordinates of a study's space."""

    def __init__(self, space: Mapping[str, SpaceEntry]) -> None:
        self.space = dict(space)
        self.names = list(space)

    def units(self, params: Sequence[Mapping[str, float]]) -> Array:
        """Points in the cube (N, D) from their hyperparameters."""
        rows = [[unit(entry, of[name]) for name, entry in self.space.items()] for of in params]
        return np.array(rows, dtype=float).reshape(len(params), len(self.names))

    def values(self, name: str, units_N: Array) -> list[float]:
        """Values of one hyperparameter."""
        return [value(self.space[name], float(of)) for of in units_N]

    def params(self, point_D: Array) -> dict[str, float]:
        """The hyperparameters of a point, rounded, within their ranges."""
        pairs = zip(self.space.items(), point_D, strict=True)
        return {name: rounded(entry, value(entry, float(of))) for (name, entry), of in pairs}

    def snapped(self, points_NxD: Array) -> Array:
        """The points, moved to where the choices are."""
        moved_NxD = np.clip(points_NxD, 0.0, 1.0)
        for axis, entry in enumerate(self.space.values()):
            steps = _last_step(entry)
            if steps is not None:
                moved_NxD[:, axis] = np.round(moved_NxD[:, axis] * steps) / max(steps, 1)
        return moved_NxD

    def shifted(self, points_NxD: Array, name: str, octaves: float) -> Array:
        """The points with one hyperparameter at 2^octaves of its value; may leave the cube.

        A choice stays as it is.
        """
        axis, entry = self.names.index(name), self.space[name]
        moved_NxD = points_NxD.copy()
        if isinstance(entry, Range) and entry.high > entry.low:
            if entry.log:
                moved_NxD[:, axis] += octaves / math.log2(entry.high / entry.low)
            else:
                width = entry.high - entry.low
                values_N = 2.0**octaves * (entry.low + width * points_NxD[:, axis])
                moved_NxD[:, axis] = (values_N - entry.low) / width
        return moved_NxD


def unit(entry: SpaceEntry, of: float) -> float:
    """How far along its range a value is: 0 to 1, or beyond."""
    if not isinstance(entry, Range):
        steps = sorted(set(entry.choices))
        return 0.5 if len(steps) == 1 else steps.index(of) / (len(steps) - 1)
    if entry.high == entry.low:
        return 0.5
    if entry.log:
        return math.log(of / entry.low) / math.log(entry.high / entry.low)
    return (of - entry.low) / (entry.high - entry.low)


def value(entry: SpaceEntry, at: float) -> float:
    """The value at `at` of its range: the inverse of `unit`."""
    if not isinstance(entry, Range):
        steps = sorted(set(entry.choices))
        return steps[round(min(max(at, 0.0), 1.0) * (len(steps) - 1))]
    if entry.log:
        return entry.low * (entry.high / entry.low) ** at
    return entry.low + (entry.high - entry.low) * at


def rounded(entry: SpaceEntry, of: float) -> float:
    """A value in few digits, within its range; a choice as it is."""
    if not isinstance(entry, Range):
        return of
    return min(max(float(f"{of:.{DIGITS}g}"), entry.low), entry.high)


def _last_step(entry: SpaceEntry) -> int | None:
    """The number of the last choice; None for a range."""
    return None if isinstance(entry, Range) else len(set(entry.choices)) - 1
