"""The response surface between the recorded trials: a Gaussian process, its error, its noise.

Shapes, as suffixes of names: N trials, D dimensions of the space, E evaluations.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from scipy.stats import qmc
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold, cross_val_predict

from proxytune.config.search import Axis, Choices
from proxytune.config.study import StudySpec

RECORDED = Path(__file__).parent / "results" / "surface.parquet"
FLOOR = 2.3
"""Nats below every loss; what is fitted is the log of the loss above it."""

Array = npt.NDArray[np.float64]


class Surface:
    """The losses of a trial at any point of the space, as trials on the study's seed had them.

    One process is fitted to the curves of the trials that did not diverge; another, to whether a
    trial diverged (1) or not (0), says where there is no curve.
    """

    def __init__(self, spec: StudySpec, recorded: Path = RECORDED) -> None:
        self._space = spec.search.space
        rows = pq.read_table(recorded).to_pylist()
        once = [row for row in rows if row["seed"] == spec.seed]
        points_NxD = self._points(once)
        whole_N = np.array([len(row["losses"]) == spec.training.evaluations for row in once])
        losses_NxE = np.array(
            [row["losses"] for row, whole in zip(once, whole_N, strict=True) if whole]
        )
        self._height = _process(points_NxD[whole_N], np.log(losses_NxE - FLOOR))
        self._diverged = _process(points_NxD, 1.0 - whole_N)
        self.noise = float(
            np.sqrt(self._height.kernel_.k2.noise_level) * self._height._y_train_std[-1]
        )
        self.minimum, self.best = self._lowest()
        self.facts = {
            "trials": len(once),
            "diverged": int((~whole_N).sum()),
            "lowest_recorded": float(losses_NxE[:, -1].min()),
            "minimum": self.minimum,
            "minimum_at": self.best,
            "noise_at_minimum": self.noise * (self.minimum - FLOOR),
            "seed_noise": _seed_noise([row for row in rows if row["seed"] != spec.seed]),
            **self._held_out(points_NxD, whole_N, losses_NxE[:, -1]),
        }

    def curves(self, params: Sequence[Mapping[str, float]]) -> list[Array | None]:
        """The losses (E,) at each point; None where a trial diverges."""
        points_NxD = self._points(params)
        losses_NxE = FLOOR + np.exp(self._height.predict(points_NxD))
        diverged_N = self._diverged.predict(points_NxD) > 0.5
        return [
            None if diverged else losses_E
            for losses_E, diverged in zip(losses_NxE, diverged_N, strict=True)
        ]

    def observed(self, losses_E: Array, deviation: float) -> Array:
        """What a trial shows of its losses: the noise is `deviation` standard deviations."""
        return FLOOR + (losses_E - FLOOR) * np.exp(self.noise * deviation)

    def _points(self, params: Sequence[Mapping[str, float]]) -> Array:
        space = self._space.items()
        return np.array([[_unit(axis, of[name]) for name, axis in space] for of in params])

    def _lowest(self) -> tuple[float, dict[str, float]]:
        """The lowest last loss: Sobol points over the cube, then ever closer around the best."""
        cube_NxD = qmc.Sobol(len(self._space), rng=0).random_base2(12)
        best_D, lowest, points_NxD = cube_NxD[0], np.inf, cube_NxD
        for reach in 0.6 ** np.arange(1, 14):
            points_NxD = self._on_choices(points_NxD)
            heights_N = self._height.predict(points_NxD)[:, -1]
            heights_N[self._diverged.predict(points_NxD) > 0.5] = np.inf
            if heights_N.min() < lowest:
                best_D, lowest = points_NxD[heights_N.argmin()], heights_N.min()
            points_NxD = np.clip(best_D + (cube_NxD - 0.5) * reach, 0, 1)
        at = zip(self._space.items(), best_D, strict=True)
        return FLOOR + float(np.exp(lowest)), {name: _value(axis, u) for (name, axis), u in at}

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
        height_N = _left_out(self._height, points_NxD[whole_N], np.log(last_N - FLOOR))
        error_N = FLOOR + np.exp(height_N) - last_N
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


def _left_out(fitted: GaussianProcessRegressor, points_NxD: Array, values_N: Array) -> Array:
    process = GaussianProcessRegressor(fitted.kernel_, optimizer=None, normalize_y=True)
    return cross_val_predict(
        process, points_NxD, values_N, cv=KFold(10, shuffle=True, random_state=0)
    )


def _seed_noise(rows: Sequence[Mapping[str, Any]]) -> float:
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


def _unit(axis: Axis, value: float) -> float:
    """How far along its axis a value is, 0 to 1; choices in even steps."""
    if isinstance(axis, Choices):
        return axis.choices.index(value) / (len(axis.choices) - 1)
    if axis.log:
        return float(np.log(value / axis.low) / np.log(axis.high / axis.low))
    return (value - axis.low) / (axis.high - axis.low)


def _value(axis: Axis, unit: float) -> float:
    """The value at `unit` of its axis: the inverse of `_unit`."""
    if isinstance(axis, Choices):
        return axis.choices[round(unit * (len(axis.choices) - 1))]
    if axis.log:
        return float(axis.low * (axis.high / axis.low) ** unit)
    return float(axis.low + (axis.high - axis.low) * unit)
