"""A Gaussian process through the trials: where it can be trusted, the surface of a study.

Notation
    x point of the unit cube; y loss; z = log(y − floor), standardised, which is fitted
    k Matérn kernel of order ν = 5/2 with a length scale for each axis; white noise beside it
    N trials, D axes, F waves, C draws, M points; a suffix of a name is a shape: points_NxD
    points_xD stands for points that all draws share (M, D), or that each has its own (C, M, D)

Sources
    kernel, likelihood   Rasmussen, Williams 2006, equations 4.17 and 5.8; by scikit-learn
    acceptance           standardised residuals of what is left out: Jones, Schonlau, Welch 1998
    draws                pathwise conditioning: Wilson et al., arXiv 2002.09309, equation 13
    resamples            kernels are as uncertain as the function: bagged posteriors, Huggins,
                         Miller, arXiv 1912.07104
"""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from scipy.linalg import cho_solve
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold

from proxytune.selection.cube import Array

NU = 2.5
FOLDS = 5
MEAN, DEVIATION = 0.3, (0.7, 1.4)
"""Standardised residuals of an accepted process: |mean| below, standard deviation within."""
RESAMPLES = 8
FEATURES = 512
"""Waves whose sum is a draw of the prior."""


@dataclass(frozen=True, slots=True)
class Process:
    """The process, without its noise: what the loss is on average over seeds."""

    kind: ClassVar[Literal["gp"]] = "gp"
    floor: float
    _whole: Any
    """Of all trials."""
    _resampled: tuple[Any, ...]
    """Of trials drawn from them with replacement, each with a kernel of its own."""

    @classmethod
    def fitted(cls, points_NxD: Array, losses_N: Array, floor: float) -> Self | None:
        """The process of these trials; None where leaving trials out shows that it is wrong."""
        z_N = np.log(losses_N - floor)
        noisy = _fit(points_NxD, z_N)
        residuals_N = _residuals(noisy.kernel_, points_NxD, z_N)
        low, high = DEVIATION
        if abs(residuals_N.mean()) >= MEAN or not low <= residuals_N.std() <= high:
            return None
        rng = np.random.default_rng(0)
        resamples = (rng.integers(len(z_N), size=len(z_N)) for _ in range(RESAMPLES))
        return cls(
            floor,
            _smooth(noisy.kernel_, points_NxD, z_N),
            tuple(
                _smooth(_fit(points_NxD[of], z_N[of]).kernel_, points_NxD[of], z_N[of])
                for of in resamples
            ),
        )

    def mean(self, points_MxD: Array) -> Array:
        """The loss (M,) at each point: the median of what it may be."""
        return self.floor + np.exp(self._whole.predict(points_MxD))

    def draws(self, count: int, rng: np.random.Generator) -> "list[Paths]":
        """`count` functions, as many of each resample."""
        each = count // RESAMPLES
        return [Paths.drawn(of, each, self.floor, rng) for of in self._resampled]


@dataclass(frozen=True, slots=True)
class Paths:
    """Functions of a posterior: waves drawn from the prior, moved to what was observed."""

    floor: float
    of: Any
    omega_FxD: Array
    phase_F: Array
    waves_CxF: Array
    update_CxN: Array

    @classmethod
    def drawn(cls, of: Any, count: int, floor: float, rng: np.random.Generator) -> Self:
        """`count` functions of a process without noise."""
        points_NxD, kernel = of.X_train_, of.kernel_
        # The spectrum of a Matérn kernel is a t with 2ν degrees of freedom.
        normal_FxD = rng.standard_normal((FEATURES, points_NxD.shape[1]))
        stretch_F = np.sqrt(2 * NU / rng.chisquare(2 * NU, FEATURES))
        omega_FxD = normal_FxD * stretch_F[:, None] / kernel.k2.length_scale
        phase_F = rng.uniform(0, 2 * np.pi, FEATURES)
        size = np.sqrt(2 * kernel.k1.constant_value / FEATURES)
        waves_CxF = size * rng.standard_normal((count, FEATURES))
        noise_CxN = np.sqrt(of.alpha) * rng.standard_normal((count, len(points_NxD)))
        prior_CxN = waves_CxF @ np.cos(points_NxD @ omega_FxD.T + phase_F).T
        update_NxC = cho_solve((of.L_, True), (of.y_train_ - prior_CxN - noise_CxN).T)
        return cls(floor, of, omega_FxD, phase_F, waves_CxF, update_NxC.T)

    @property
    def count(self) -> int:
        """How many functions these are."""
        return len(self.waves_CxF)

    def at(self, points_xD: Array) -> Array:
        """Their losses (C, M)."""
        waves_xF = np.cos(points_xD @ self.omega_FxD.T + self.phase_F)
        flat_xD = points_xD.reshape(-1, points_xD.shape[-1])
        near_xN = self.of.kernel_(flat_xD, self.of.X_train_).reshape(*points_xD.shape[:-1], -1)
        z_CxM = (waves_xF @ self.waves_CxF[..., None] + near_xN @ self.update_CxN[..., None])[
            ..., 0
        ]
        return self.floor + np.exp(self.of._y_train_mean + self.of._y_train_std * z_CxM)


def diverging(points_NxD: Array, diverged_N: Array) -> Any:
    """A process of whether trials diverged (1) or not (0): above ½, they do."""
    return _fit(points_NxD, diverged_N)


def _fit(points_NxD: Array, z_N: Array) -> Any:
    """The process of the likeliest kernel, with its noise."""
    matern = Matern([0.5] * points_NxD.shape[1], (0.05, 30), nu=NU)
    kernel = ConstantKernel(1.0, (1e-2, 1e3)) * matern + WhiteKernel(0.05, (1e-6, 1.0))
    with warnings.catch_warnings():
        # A scale at its bound: the loss hardly depends on that axis.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianProcessRegressor(kernel, normalize_y=True).fit(points_NxD, z_N)


def _smooth(kernel: Any, points_NxD: Array, z_N: Array) -> Any:
    """The process of the mean over seeds: the trials have noise, it has none."""
    smooth = GaussianProcessRegressor(
        kernel.k1, alpha=kernel.k2.noise_level, optimizer=None, normalize_y=True
    )
    return smooth.fit(points_NxD, z_N)


def _residuals(kernel: Any, points_NxD: Array, z_N: Array) -> Array:
    """Of trials left out, a fifth at a time, in standard deviations of what was foretold."""
    residuals_N = np.empty_like(z_N)
    for rest, out in KFold(FOLDS, shuffle=True, random_state=0).split(points_NxD):
        process = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True)
        process.fit(points_NxD[rest], z_N[rest])
        mean, deviation = process.predict(points_NxD[out], return_std=True)
        residuals_N[out] = (z_N[out] - mean) / deviation
    return residuals_N
