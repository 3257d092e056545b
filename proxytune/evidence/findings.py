"""What the curves say: drift, regret and loss at the optimum, slopes and exponents.

Where a curve is lowest is read off the mean over seeds, its interval by leaving seeds out. What a
value costs is judged seed by seed, on a seed that had no part in choosing it: otherwise the lowest
point of a noisy curve looks better than it is, and a regret could never be negative.

Notation: S seeds, C shapes (by coordinate n), P points of the grid.

Sources
    exponents   arXiv 2512.22768: loss gap ~ n^−α, optimum gap ~ n^−β; transfer is fast if β > α/2
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from proxytune.config.axis import AnyAxis
from proxytune.evidence.curve import Optimum, loss_at, optimum
from proxytune.intervals import Array, Figure, jackknife, paired

Optima = Sequence[Optimum]
"""Of one parameterization, by shape."""


@dataclass(frozen=True, slots=True)
class Exponents:
    """How fast the loss and the optimum settle as models grow."""

    loss: Figure
    """α"""
    optimum: Figure
    """β"""
    lead: Figure
    """β − α/2: above zero, transfer is fast."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one parameterization's curves say; lists go by shape."""

    optima: tuple[Optimum, ...]
    """Of the mean curves."""
    x_at_optimum: tuple[Figure, ...]
    """log2 of the optimal hyperparameter."""
    loss_at_optimum: tuple[Figure, ...]
    regret: tuple[Figure, ...]
    """Loss at the first shape's optimum less the loss at the shape's own, nats a token, signed."""
    drift: Figure
    """log2 of the optimum at the last shape less that at the first."""
    drift_per_doubling: Figure
    """Slope of log2 of the optimum over log2 of the coordinate."""
    slope: Figure | None
    """Slope of log2 of the optimum over log2 of s(r); along the repeat factor only."""
    exponents: Exponents | None
    """Along width and depth, if there are three shapes or more, evenly spaced in log n."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two parameterizations, seed by seed; lists go by shape."""

    one: str
    other: str
    loss_difference: tuple[Figure, ...]
    """Loss of one at its optimum less that of the other at its own, nats a token."""
    optimum_difference: tuple[Figure, ...]
    """log2 of the optimum of one less that of the other."""


class _Seeds:
    """One parameterization's curves, and their optima with all seeds and with one left out."""

    def __init__(self, x_P: Array, loss_CxSxP: Array) -> None:
        self._x_P, self._loss_CxSxP = x_P, loss_CxSxP
        self.of_all = self._optima(loss_CxSxP)
        seeds = range(loss_CxSxP.shape[1])
        self.without = [
            self._optima(np.delete(loss_CxSxP, s, axis=1)) for s in seeds if len(seeds) > 1
        ]
        # A seed's loss where the optima of the others are: each shape's own, and the first's.
        self.own_CxS = self._losses(lambda optima, c: optima[c].x)
        self.first_CxS = self._losses(lambda optima, c: optima[0].x)

    def figure(self, statistic: Callable[[Optima], float]) -> Figure:
        """A figure of the optima."""
        return jackknife(
            statistic(self.of_all), np.array([statistic(optima) for optima in self.without])
        )

    def x_at(self, c: int) -> Figure:
        """log2 of the optimum of a shape."""
        return self.figure(lambda optima: optima[c].x)

    def x_less(self, other: "_Seeds", c: int) -> Figure:
        """log2 of the optimum of a shape less that of another parameterization."""
        both = zip(self.without, other.without, strict=True)
        return jackknife(
            self.of_all[c].x - other.of_all[c].x,
            np.array([mine[c].x - others[c].x for mine, others in both]),
        )

    def _optima(self, loss_CxSxP: Array) -> Optima:
        return [optimum(self._x_P, curve_P) for curve_P in loss_CxSxP.mean(axis=1)]

    def _losses(self, chosen: Callable[[Optima, int], float]) -> Array:
        """Every seed's loss (C, S) at the value that the other seeds choose for a shape.

        A single seed has no others and chooses for itself.
        """
        choices = self.without or [self.of_all]
        return np.array(
            [
                [
                    loss_at(self._x_P, loss_P, chosen(optima, c))
                    for optima, loss_P in zip(choices, loss_SxP, strict=True)
                ]
                for c, loss_SxP in enumerate(self._loss_CxSxP)
            ]
        )


def findings(
    axis: AnyAxis, x_P: Array, coordinates: Sequence[int], losses: Mapping[str, Array]
) -> tuple[dict[str, Finding], list[Comparison]]:
    """Findings by parameterization, and all pairs compared; losses are (C, S, P)."""
    n_C = np.array(coordinates, dtype=np.float64)
    # Infinity less infinity: where training diverged on both sides, no figure is known.
    with np.errstate(invalid="ignore"):
        seeds = {label: _Seeds(x_P, loss_CxSxP) for label, loss_CxSxP in losses.items()}
        found = {label: _finding(axis, n_C, of_label) for label, of_label in seeds.items()}
        compared = [
            _comparison(one, other, seeds[one], seeds[other])
            for one, other in combinations(losses, 2)
        ]
    return found, compared


def _finding(axis: AnyAxis, n_C: Array, seeds: _Seeds) -> Finding:
    return Finding(
        optima=tuple(seeds.of_all),
        x_at_optimum=tuple(seeds.x_at(c) for c in range(len(n_C))),
        loss_at_optimum=_paired(seeds.own_CxS),
        regret=_paired(seeds.first_CxS - seeds.own_CxS),
        drift=seeds.figure(lambda optima: optima[-1].x - optima[0].x),
        drift_per_doubling=seeds.figure(lambda optima: slope(np.log2(n_C), _x(optima))),
        slope=_slope_over_s(n_C, seeds) if axis == "repeat" else None,
        exponents=_exponents(n_C, seeds) if axis in ("width", "depth") else None,
    )


def _comparison(one: str, other: str, ones: _Seeds, others: _Seeds) -> Comparison:
    return Comparison(
        one,
        other,
        _paired(ones.own_CxS - others.own_CxS),
        tuple(ones.x_less(others, c) for c in range(len(ones.of_all))),
    )


def _slope_over_s(r_C: Array, seeds: _Seeds) -> Figure:
    return seeds.figure(lambda optima: slope(log2_s(r_C), _x(optima)))


def _exponents(n_C: Array, seeds: _Seeds) -> Exponents | None:
    """From the gaps between neighbours, which shrink as the gaps to infinity do.

    That holds where n grows by the same factor each time.
    """
    steps = np.diff(np.log2(n_C))
    if len(steps) < 2 or not np.allclose(steps, steps[0]):
        return None

    def alpha(optima: Optima) -> float:
        return _decay(n_C, -np.diff([found.loss for found in optima]))

    def beta(optima: Optima) -> float:
        return _decay(n_C, np.abs(np.diff(_x(optima))))

    return Exponents(
        loss=seeds.figure(alpha),
        optimum=seeds.figure(beta),
        lead=seeds.figure(lambda optima: beta(optima) - alpha(optima) / 2),
    )


def _decay(n_C: Array, gaps: Array) -> float:
    """The exponent with which gaps shrink along n; NaN where one is not above zero."""
    if not (gaps > 0).all():
        return math.nan
    return -slope(np.log2(n_C[:-1]), np.log2(gaps))


def log2_s(r_C: Array) -> Array:
    """log2 of s(r) = (1 + √r)/2, the growth of repeated K/V weights (arXiv 2605.15290)."""
    return np.log2((1 + np.sqrt(r_C)) / 2)


def slope(u: Array, v: Array) -> float:
    """Least-squares slope of v over u; NaN if a v is."""
    centred = u - u.mean()
    return float((centred * (v - v.mean())).sum() / (centred * centred).sum())


def _x(optima: Optima) -> Array:
    return np.array([found.x for found in optima])


def _paired(values_CxS: Array) -> tuple[Figure, ...]:
    return tuple(paired(values_S) for values_S in values_CxS)
