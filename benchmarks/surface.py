"""The response surface between the recorded trials: two surrogates, their errors, the noise.

Shapes, as suffixes of names: N trials, D dimensions of the space, E evaluations.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from scipy.stats import qmc
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold, cross_val_predict

from proxytune.config.search import Choices, SpaceEntry

RECORDED = Path(__file__).parent / "results" / "surface.parquet"
FLOOR = 2.3
"""Nats below every recorded loss; what is fitted is the log of the loss above it."""

Array = npt.NDArray[np.float64]
Row = Mapping[str, Any]
"""A trial: its searched values, its `seed`, and its `losses`, which end where it diverged."""


def recorded() -> list[Row]:
    """The trials that record_surface.py left."""
    rows: list[Row] = pq.read_table(RECORDED).to_pylist()
    return rows


class Surface:
    """The losses of a trial at any point of the space, through those of a trial at each point.

    One surrogate is fitted to the curves of the trials that did not diverge; another, to whether
    a trial diverged (1) or not (0), says where there is no curve. `noise` is the deviation of the
    log of a loss above `floor`, in nats; None takes that of the fitted process.
    """

    def __init__(
        self,
        space: Mapping[str, SpaceEntry],
        rows: Sequence[Row],
        surrogate: str = "process",
        noise: float | None = None,
        floor: float = FLOOR,
    ) -> None:
        fit = SURROGATES[surrogate]
        self._space, self._floor = space, floor
        points_NxD = self._points(rows)
        evaluations = max(len(row["losses"]) for row in rows)
        whole_N = np.array([len(row["losses"]) == evaluations for row in rows])
        losses_NxE = np.array([row["losses"] for row in rows if len(row["losses"]) == evaluations])
        self._height = fit(points_NxD[whole_N], np.log(losses_NxE - floor))
        self._diverged = fit(points_NxD, 1.0 - whole_N)
        self.noise = white_noise(self._height) if noise is None else noise
        self.minimum, self.best = self._lowest()
        self.facts = {
            "trials": len(rows),
            "diverged": int((~whole_N).sum()),
            "lowest_recorded": float(losses_NxE[:, -1].min()),
            "minimum": self.minimum,
            "minimum_at": self.best,
            "noise_at_minimum": self.noise * (self.minimum - floor),
            **self._held_out(points_NxD, whole_N, losses_NxE[:, -1]),
        }

    def curves(self, params: Sequence[Mapping[str, float]]) -> list[Array | None]:
        """The losses (E,) at each point; None where a trial diverges."""
        points_NxD = self._points(params)
        losses_NxE = self._floor + np.exp(self._heights(points_NxD))
        diverged_N = self._diverged.predict(points_NxD) > 0.5
        return [
            None if diverged else losses_E
            for losses_E, diverged in zip(losses_NxE, diverged_N, strict=True)
        ]

    def regrets(self, params: Sequence[Mapping[str, float]]) -> list[float]:
        """The last loss at each point above the lowest; infinite where a trial diverges."""
        return [
            math.inf if losses_E is None else float(losses_E[-1]) - self.minimum
            for losses_E in self.curves(params)
        ]

    def observed(self, losses_E: Array, deviation: float) -> Array:
        """What a trial shows of its losses: the noise is `deviation` standard deviations."""
        return self._floor + (losses_E - self._floor) * np.exp(self.noise * deviation)

    def _heights(self, points_NxD: Array) -> Array:
        """Shape (N, E), also of a single evaluation."""
        return np.asarray(self._height.predict(points_NxD)).reshape(len(points_NxD), -1)

    def _points(self, params: Sequence[Mapping[str, float]]) -> Array:
        space = self._space.items()
        return np.array([[_unit(axis, of[name]) for name, axis in space] for of in params])

    def _lowest(self) -> tuple[float, dict[str, float]]:
        """The lowest last loss: Sobol points over the cube, then ever closer around the best."""
        cube_NxD = qmc.Sobol(len(self._space), rng=0).random_base2(12)
        best_D, lowest, points_NxD = cube_NxD[0], np.inf, cube_NxD
        for reach in 0.6 ** np.arange(1, 14):
            points_NxD = self._on_choices(points_NxD)
            heights_N = self._heights(points_NxD)[:, -1]
            heights_N[self._diverged.predict(points_NxD) > 0.5] = np.inf
            if heights_N.min() < lowest:
                best_D, lowest = points_NxD[heights_N.argmin()], heights_N.min()
            points_NxD = np.clip(best_D + (cube_NxD - 0.5) * reach, 0, 1)
        at = zip(self._space.items(), best_D, strict=True)
        return self._floor + float(np.exp(lowest)), {
            name: _value(axis, u) for (name, axis), u in at
        }

    def _on_choices(self, points_NxD: Array) -> Array:
        """The points, moved to where each axis of choices has one."""
        columns = [
            np.round(column_N * (len(axis.choices) - 1)) / (len(axis.choices) - 1)
            if isinstance(axis, Choices)
            else column_N
            for axis, column_N in zip(self._space.values(), points_NxD.T, strict=True)
        ]
        return np.stack(columns, 1)

    def _held_out(
        self, points_NxD: Array, whole_N: npt.NDArray[np.bool_], last_N: Array
    ) -> dict[str, Any]:
        """Errors at trials left out of the fit, a tenth at a time, in nats at the last step."""
        height_N = _left_out(self._height, points_NxD[whole_N], np.log(last_N - self._floor))
        error_N = self._floor + np.exp(height_N) - last_N
        best_N = last_N < np.quantile(last_N, 0.25)
        diverged_N = _left_out(self._diverged, points_NxD, 1.0 - whole_N) > 0.5
        return {
            "held_out_error": float(np.sqrt(np.mean(error_N**2))),
            "held_out_error_of_best_quarter": float(np.sqrt(np.mean(error_N[best_N] ** 2))),
            "held_out_divergence_told_right": float(np.mean(diverged_N != whole_N)),
        }


def _process(points_NxD: Array, values: Array) -> GaussianProcessRegressor:
    """A process with a length scale for each axis, and white noise."""
    scales = [0.5] * points_NxD.shape[1]
    kernel = ConstantKernel(1.0) * Matern(scales, (0.05, 30), nu=2.5) + WhiteKernel(0.01)
    return GaussianProcessRegressor(kernel, normalize_y=True).fit(points_NxD, values)


def _forest(points_NxD: Array, values: Array) -> ExtraTreesRegressor:
    """Extra trees: steps instead of a smooth surface, so that no process is at home on it."""
    return ExtraTreesRegressor(300, min_samples_leaf=2, random_state=0).fit(points_NxD, values)


SURROGATES: Mapping[str, Callable[[Array, Array], Any]] = {
    "process": _process,
    "forest": _forest,
}
"""What is fitted to points (N, D) and values (N,) or (N, E), by name."""


def white_noise(fitted: GaussianProcessRegressor) -> float:
    """Its standard deviation, in what the process was fitted to, at the last evaluation."""
    return float(np.sqrt(fitted.kernel_.k2.noise_level) * fitted._y_train_std[-1])


def _left_out(fitted: BaseEstimator, points_NxD: Array, values_N: Array) -> Array:
    again = clone(fitted)
    if isinstance(fitted, GaussianProcessRegressor):
        # With the kernel of the whole, which takes long to find.
        again = again.set_params(kernel=fitted.kernel_, optimizer=None)
    folds = KFold(10, shuffle=True, random_state=0)
    return cross_val_predict(again, points_NxD, values_N, cv=folds)


def seed_noise(rows: Sequence[Row]) -> float:
    """Median over points of the deviation between seeds, in nats, past what a seed does to all."""
    by_seed: dict[int, float] = {
        seed: mean(row["losses"][-1] for row in rows if row["seed"] == seed)
        for seed in {row["seed"] for row in rows}
    }
    by_point: dict[float, list[float]] = {}
    for row in rows:
        by_point.setdefault(row["learning_rate"], []).append(
            row["losses"][-1] - by_seed[row["seed"]]
        )
    return median(stdev(losses) for losses in by_point.values())


def _unit(axis: SpaceEntry, value: float) -> float:
    """How far along its axis a value is, 0 to 1; choices in even steps."""
    if isinstance(axis, Choices):
        return axis.choices.index(value) / (len(axis.choices) - 1)
    if axis.log:
        return float(np.log(value / axis.low) / np.log(axis.high / axis.low))
    return (value - axis.low) / (axis.high - axis.low)


def _value(axis: SpaceEntry, unit: float) -> float:
    """The value at `unit` of its axis: the inverse of `_unit`."""
    if isinstance(axis, Choices):
        return axis.choices[round(unit * (len(axis.choices) - 1))]
    if axis.log:
        return float(axis.low * (axis.high / axis.low) ** unit)
    return float(axis.low + (axis.high - axis.low) * unit)
