"""A quadratic through the trials, held small: the surface where a process cannot be trusted.

Notation
    u = 2x − 1 for a point x of the unit cube; φ(u) = (1, uᵢ, uᵢuⱼ for i ≤ j), F features
    z = log(y − floor), standardised; z = φ·w + noise of variance σ²
    prior: w ~ N(0, σ²/ridge), σ² ~ inverse gamma(a₀, b₀); so w given the trials is a t
    N trials, D axes, C draws, M points; a suffix of a name is a shape: points_NxD
    points_xD stands for points that all draws share (M, D), or that each has its own (C, M, D)

Source
    Bayesian linear regression: Bishop 2006, section 3.3 and exercise 3.12
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import ClassVar, Literal, Self

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular

from proxytune.selection.cube import Array

RIDGE = 0.1
A, B = 1.0, 0.05
"""a₀ and b₀, for z of variance 1: little noise, believed as if two trials had shown it."""
HIGHEST = 50.0
"""Of the log of a loss: a steep quadratic, far from all trials, is still a number."""


@dataclass(frozen=True, slots=True)
class Scale:
    """From z back to losses."""

    floor: float
    middle: float
    spread: float

    def losses(self, z: Array) -> Array:
        """y of z."""
        return self.floor + np.exp(np.minimum(self.middle + self.spread * z, HIGHEST))


@dataclass(frozen=True, slots=True)
class Quadratic:
    """The quadratic and its posterior."""

    kind: ClassVar[Literal["quadratic"]] = "quadratic"
    scale: Scale
    weights_F: Array
    precision_FxF: Array
    a: float
    b: float

    @classmethod
    def fitted(cls, points_NxD: Array, losses_N: Array, floor: float) -> Self:
        """The quadratic of these trials, at least one."""
        z_N = np.log(losses_N - floor)
        scale = Scale(floor, float(z_N.mean()), float(z_N.std()) or 1.0)
        z_N = (z_N - scale.middle) / scale.spread
        phi_NxF = _features(points_NxD)
        precision_FxF = phi_NxF.T @ phi_NxF + RIDGE * np.eye(phi_NxF.shape[1])
        weights_F = cho_solve(cho_factor(precision_FxF), phi_NxF.T @ z_N)
        rest = float(z_N @ z_N - weights_F @ precision_FxF @ weights_F)
        return cls(scale, weights_F, precision_FxF, A + len(z_N) / 2, B + max(rest, 0.0) / 2)

    def mean(self, points_MxD: Array) -> Array:
        """The loss (M,) at each point."""
        return self.scale.losses(_features(points_MxD) @ self.weights_F)

    def draws(self, count: int, rng: np.random.Generator) -> "list[Parabolas]":
        """`count` functions."""
        variance_C = self.b / rng.gamma(self.a, size=count)
        root_FxF = cholesky(self.precision_FxF, lower=True)
        normal_FxC = rng.standard_normal((len(self.weights_F), count))
        away_FxC = solve_triangular(root_FxF.T, normal_FxC, lower=False) * np.sqrt(variance_C)
        return [Parabolas(self.scale, self.weights_F + away_FxC.T)]


@dataclass(frozen=True, slots=True)
class Parabolas:
    """Functions of the posterior."""

    scale: Scale
    weights_CxF: Array

    @property
    def count(self) -> int:
        """How many functions these are."""
        return len(self.weights_CxF)

    def at(self, points_xD: Array) -> Array:
        """Their losses (C, M)."""
        return self.scale.losses((_features(points_xD) @ self.weights_CxF[..., None])[..., 0])


def _features(points_xD: Array) -> Array:
    u_xD = 2 * points_xD - 1
    pairs = combinations_with_replacement(range(u_xD.shape[-1]), 2)
    products = [u_xD[..., i] * u_xD[..., j] for i, j in pairs]
    return np.stack([np.ones(u_xD.shape[:-1]), *np.moveaxis(u_xD, -1, 0), *products], axis=-1)
