"""Loss against a hyperparameter, and where it is lowest.

Notation: P points of the grid, evenly spaced in log2; x = log2 of the hyperparameter; losses are
infinite where training diverged.
"""

import math
from dataclasses import dataclass

import numpy as np

from proxytune.intervals import Array

NEAR = 0.25
"""Nats above the lowest point within which a bowl is still close to a cubic."""
FEWEST = 4
"""Points that determine a cubic."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """The minimum of a curve."""

    x: float
    """NaN if every point diverged."""
    loss: float
    """Infinite if every point diverged."""
    at_edge: bool
    """The lowest point is the first or the last of the grid: the true one may lie outside."""


def optimum(x_P: Array, loss_P: Array) -> Optimum:
    """The minimum of the cubic through all points near the lowest.

    Where the cubic has no minimum among those points, or they are too few: the vertex of the
    parabola through the lowest point and its neighbours. Where a neighbour is missing or diverged:
    the lowest point itself.
    """
    if not np.isfinite(loss_P).any():
        return Optimum(math.nan, math.inf, at_edge=False)
    near = loss_P <= loss_P.min() + NEAR
    return _of_cubic(x_P[near], loss_P[near]) or _of_parabola(x_P, loss_P)


def _of_cubic(x_P: Array, loss_P: Array) -> Optimum | None:
    if len(x_P) < FEWEST:
        return None
    centre = float(x_P.mean())
    cubic = np.polyfit(x_P - centre, loss_P, 3)
    a, b, c = np.polyder(cubic)
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    # Of the two places where a·z² + b·z + c = 0, the one at which it rises. Each form divides by
    # what is not near zero: a parabola, a = 0, is a cubic too.
    over, under = (-2 * c, b + root) if b >= 0 else (root - b, 2 * a)
    if root == 0 or under == 0:
        return None
    z = over / under
    lowest = float(centre + z)
    inside = x_P[0] <= lowest <= x_P[-1]
    return Optimum(lowest, float(np.polyval(cubic, z)), at_edge=False) if inside else None


def _of_parabola(x_P: Array, loss_P: Array) -> Optimum:
    lowest = int(np.argmin(loss_P))
    at_edge = lowest in (0, len(x_P) - 1)
    around = loss_P[max(lowest - 1, 0) : lowest + 2]
    if at_edge or not np.isfinite(around).all():
        return Optimum(float(x_P[lowest]), float(loss_P[lowest]), at_edge)
    below, here, above = (float(loss) for loss in around)
    bend = below - 2 * here + above
    # Three equal losses have no vertex; the middle one is as good as any.
    shift = (below - above) / (2 * bend) if bend > 0 else 0.0
    step = float(x_P[1] - x_P[0])
    return Optimum(
        float(x_P[lowest]) + shift * step, here - (below - above) * shift / 4, at_edge=False
    )


def loss_at(x_P: Array, loss_P: Array, x: float) -> float:
    """The loss between grid points: on the parabola through the three nearest to x.

    Infinite if a point next to x diverged, or x is NaN; beyond the grid, the loss at its end.
    """
    if math.isnan(x):
        return math.inf
    x = min(max(x, float(x_P[0])), float(x_P[-1]))
    middle = int(np.clip(np.argmin(np.abs(x_P - x)), 1, len(x_P) - 2))
    near = slice(middle - 1, middle + 2)
    if np.isfinite(loss_P[near]).all():
        return float(np.polyval(np.polyfit(x_P[near] - x, loss_P[near], 2), 0.0))
    left = int(np.clip(np.searchsorted(x_P, x, side="right") - 1, 0, len(x_P) - 2))
    share = (x - float(x_P[left])) / float(x_P[left + 1] - x_P[left])
    ends = [(1 - share, loss_P[left]), (share, loss_P[left + 1])]
    return math.fsum(weight * float(loss) for weight, loss in ends if weight > 0)
