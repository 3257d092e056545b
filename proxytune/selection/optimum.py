"""Where the optimum lies, as far as the trials tell: minima of functions drawn from a posterior.

Notation
    C draws, D axes, M points; a suffix of a name is a shape: argmins_CxD
    interval: the 10 % and 90 % quantiles of the argmins on one axis
"""

from collections.abc import Iterator

import numpy as np

from proxytune.config.search import Range
from proxytune.selection.cube import Array, rounded
from proxytune.selection.surface import Draws, Surface, spread

DRAWS = 512
START, STEPS = 1024, 16
"""Points at which every draw is searched first; around its best one, at a time."""
WIDTHS = (0.5, 0.25, 0.25, 0.12, 0.12, 0.06, 0.03)
"""Of the boxes around the best point so far."""
LOW, HIGH = 0.1, 0.9
END = 0.05
"""An optimum in this share of a range, at its end, may as well be at or beyond the end."""


def argmins(surface: Surface) -> Array:
    """The points (C, D) of the lowest loss of 512 functions drawn from the posterior."""
    rng = np.random.default_rng(0)
    axes = len(surface.cube.names)
    start_MxD = surface.cube.snapped(spread(axes, START))
    start_MxD = np.vstack([start_MxD[~surface.diverges(start_MxD)], surface.trained_NxD])
    drawn = surface.model.draws(DRAWS, rng)
    return np.vstack([_argmins(surface, draws, start_MxD, rng) for draws in drawn])


def _argmins(surface: Surface, draws: Draws, start_MxD: Array, rng: np.random.Generator) -> Array:
    losses_CxM = draws.at(start_MxD)
    best_CxD, lowest_C = start_MxD[losses_CxM.argmin(1)], losses_CxM.min(1)
    each = np.arange(draws.count)
    for steps_CxMxD in _steps(draws.count, best_CxD.shape[1], rng):
        points_CxMxD = best_CxD[:, None] + steps_CxMxD
        flat_xD = surface.cube.snapped(points_CxMxD.reshape(-1, best_CxD.shape[1]))
        points_CxMxD = flat_xD.reshape(points_CxMxD.shape)
        losses_CxM = draws.at(points_CxMxD)
        losses_CxM[surface.diverges(flat_xD).reshape(losses_CxM.shape)] = np.inf
        place_C = losses_CxM.argmin(1)
        better_C = losses_CxM[each, place_C] < lowest_C
        best_CxD[better_C] = points_CxMxD[each, place_C][better_C]
        lowest_C = np.where(better_C, losses_CxM[each, place_C], lowest_C)
    return best_CxD


def _steps(draws: int, axes: int, rng: np.random.Generator) -> Iterator[Array]:
    """Steps (C, M, D) in ever smaller boxes: along each axis, and anywhere."""
    along_MxD = np.vstack([np.eye(axes), -np.eye(axes)])
    for width in WIDTHS:
        anywhere_CxMxD = rng.uniform(-1, 1, (draws, STEPS, axes))
        along_CxMxD = np.broadcast_to(along_MxD, (draws, 2 * axes, axes))
        yield width * np.concatenate([along_CxMxD, anywhere_CxMxD], axis=1)


def interval(surface: Surface, argmins_CxD: Array) -> dict[str, tuple[float, float]]:
    """The 80 % interval of the optimum of each searched hyperparameter."""
    found = {}
    for name, of_axis_C in zip(surface.cube.names, argmins_CxD.T, strict=True):
        # Of those that were drawn: between two choices there is none.
        low, high = np.quantile(of_axis_C, (LOW, HIGH), method="nearest")
        ends = np.array([0.0 if low <= END else low, 1.0 if high >= 1 - END else high])
        entry = surface.cube.space[name]
        first, last = (rounded(entry, end) for end in surface.cube.values(name, ends))
        found[name] = (first, last)
    return found


def at_ends(surface: Surface, argmins_CxD: Array, name: str) -> tuple[float, float]:
    """Chances that the optimum is at the low, and at the high end of a range."""
    if not isinstance(surface.cube.space[name], Range):
        return 0.0, 0.0
    of_axis_C = argmins_CxD[:, surface.cube.names.index(name)]
    return float(np.mean(of_axis_C <= END)), float(np.mean(of_axis_C >= 1 - END))
