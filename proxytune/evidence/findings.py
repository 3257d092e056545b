"""What the curves say: drift, regret and loss at the optimum, with intervals over seeds.

Intervals are the 2.5th to 97.5th percentile of a bootstrap over seeds. The same seeds are drawn
for every shape and parameterization: they started from the same weights and saw the same batches,
so differences are paired. With few seeds such intervals are rough, and too narrow rather than too
wide.

Shapes, as suffixes of names: S seeds, C shapes (by coordinate), P points of the grid, R resamples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from proxytune.evidence.curve import Array, Optimum, loss_at, optimum

RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What one parameterization's curves say; lists go by shape."""

    optima: tuple[Optimum, ...]
    """Of the mean curves."""
    x_at_optimum: tuple[Estimate, ...]
    """log2 of the optimal hyperparameter."""
    loss_at_optimum: tuple[Estimate, ...]
    regret: tuple[Estimate, ...]
    """Loss at the first shape's optimum over the loss at the shape's own, nats a token."""
    drift_octaves: Estimate
    """Size of the optimum's move from the first shape to the last, in powers of two."""
    drift_per_doubling: Estimate
    """Slope of log2 of the optimum over log2 of the coordinate, signed."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two parameterizations, seed by seed; lists go by shape."""

    one: str
    other: str
    loss_difference: tuple[Estimate, ...]
    """Loss of one at its optimum over that of the other at its own, nats a token."""
    optimum_difference: tuple[Estimate, ...]
    """log2 of the optimum of one over that of the other."""


def findings(
    x_P: Array, coordinates: Sequence[int], losses: Mapping[str, Array]
) -> tuple[dict[str, Finding], list[Comparison]]:
    """Findings by parameterization, and all pairs compared; losses are (C, S, P)."""
    seeds = next(iter(losses.values())).shape[1]
    drawn = np.random.default_rng(0).integers(seeds, size=(RESAMPLES, seeds))
    # The first "resample" is every seed once: its figures are the values, the rest the intervals.
    resamples = np.concatenate([np.arange(seeds)[None], drawn])
    resampled = {
        label: _Resampled(x_P, loss_CxSxP, resamples) for label, loss_CxSxP in losses.items()
    }
    found = {label: of_label.finding(coordinates) for label, of_label in resampled.items()}
    compared = [
        Comparison(
            one,
            other,
            _estimates(resampled[one].loss_RxC - resampled[other].loss_RxC),
            _estimates(resampled[one].x_RxC - resampled[other].x_RxC),
        )
        for one, other in combinations(losses, 2)
    ]
    return found, compared


class _Resampled:
    """Optima of mean curves over many draws of seeds."""

    def __init__(
        self, x_P: Array, loss_CxSxP: Array, resamples_RxS: npt.NDArray[np.int64]
    ) -> None:
        curves_RxCxP = np.stack([loss_CxSxP[:, draw].mean(axis=1) for draw in resamples_RxS])
        optima = [[optimum(x_P, curve) for curve in curves] for curves in curves_RxCxP]
        self.optima = tuple(optima[0])
        self.x_RxC = np.array([[found.x for found in row] for row in optima])
        self.loss_RxC = np.array([[found.loss for found in row] for row in optima])
        transferred_RxC = np.array(
            [
                [loss_at(x_P, curve, row[0].x) for curve in curves]
                for curves, row in zip(curves_RxCxP, optima, strict=True)
            ]
        )
        # A parabola beside the lowest one may dip below it by noise; regret has no sign.
        self.regret_RxC = np.maximum(transferred_RxC - self.loss_RxC, 0.0)

    def finding(self, coordinates: Sequence[int]) -> Finding:
        doublings_C = np.log2(np.array(coordinates, dtype=np.float64))
        moves_R = np.abs(self.x_RxC[:, -1] - self.x_RxC[:, 0])
        slopes_R = np.polyfit(doublings_C, self.x_RxC.T, 1)[0]
        return Finding(
            optima=self.optima,
            x_at_optimum=_estimates(self.x_RxC),
            loss_at_optimum=_estimates(self.loss_RxC),
            regret=_estimates(self.regret_RxC),
            drift_octaves=_estimate(moves_R),
            drift_per_doubling=_estimate(slopes_R),
        )


def _estimates(values_RxC: Array) -> tuple[Estimate, ...]:
    return tuple(_estimate(values_R) for values_R in values_RxC.T)


def _estimate(values_R: Array) -> Estimate:
    """The first is the value; the others give the interval."""
    low, high = np.percentile(values_R[1:], PERCENTILES)
    return Estimate(float(values_R[0]), float(low), float(high))
