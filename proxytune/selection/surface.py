"""The loss over a study's space, fitted to its trials; where trials diverged, there is none.

Notation
    N trials that trained to their end, V trials that diverged, C draws, D axes, M points;
    a suffix of a name is a shape: points_MxD
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from proxytune.packs.trial import TrialRecord, TrialState
from proxytune.selection.cube import Array, Cube
from proxytune.selection.quadratic import Quadratic

LEAST = 10
"""Trials without which no process is fitted, and no point between trials is proposed."""
BEST, REST = 96, 32
"""Trials that are fitted of a long study: the best, and some of the rest, to know where the loss
is high. A process takes N³."""
FLOOR = 0.5
"""How far the floor of the losses is below the lowest, in distances of that to the median."""
MARGIN = 0.05
"""Points are spread this far beyond the cube and moved to its faces, so that these have some."""
WIDTHS = (1.0, 0.5, 0.25, 0.25, 0.12, 0.12, 0.06)
"""Of the ever smaller boxes in which a minimum is searched."""
GRID = 256
"""Steps of an axis on which a minimum is settled. It is then the same for losses that differ by
rounding, as those of a study do that was stopped and resumed elsewhere."""
SAME = 1e-7
"""Nats: a neighbour that is lower by less is not lower."""


class Draws(Protocol):
    """Functions drawn from a posterior."""

    @property
    def count(self) -> int:
        """C, how many functions these are."""

    def at(self, points_xD: Array) -> Array:
        """Losses (C, M), of points that all share (M, D) or that each has its own (C, M, D)."""


class Model(Protocol):
    """What is fitted: a process or a quadratic."""

    @property
    def kind(self) -> Literal["gp", "quadratic"]:
        """Its name."""

    def mean(self, points_MxD: Array) -> Array:
        """The loss (M,) at each point."""

    def draws(self, count: int, rng: np.random.Generator) -> Sequence[Draws]:
        """`count` functions of the posterior."""


@dataclass(frozen=True, slots=True)
class Surface:
    """The fitted loss, and where it ends."""

    cube: Cube
    model: Model
    trained_NxD: Array
    """Points of the trials that trained to their end."""
    divergence: Any
    """A process of whether trials diverged, 1 or 0; None if none did."""
    worst: float
    """The highest loss of a trial: the least that divergence costs."""

    @classmethod
    def of(cls, cube: Cube, trials: Sequence[TrialRecord]) -> Self:
        """The surface of a study's trials, of which at least one trained to its end."""
        valued = sorted(
            (trial.value, trial.number, trial)
            for trial in trials
            if trial.state is TrialState.COMPLETE and trial.value is not None
        )
        points_NxD = cube.units([trial.params for _, _, trial in valued])
        losses_N = np.array([value for value, _, _ in valued], dtype=float)
        diverged = [trial.params for trial in trials if trial.state is TrialState.DIVERGED]
        kept = _some(len(valued))
        model = _fitted(points_NxD[kept], losses_N[kept])
        divergence = _divergence(points_NxD[kept], cube.units(diverged))
        return cls(cube, model, points_NxD, divergence, float(losses_N[-1]))

    @property
    def proposes(self) -> bool:
        """Whether it rests on enough trials to propose points between them."""
        return len(self.trained_NxD) >= _least(self.trained_NxD.shape[1])

    def mean(self, points_MxD: Array) -> Array:
        """The loss (M,), at least `worst` where training diverges."""
        losses_M = self.model.mean(points_MxD)
        return np.where(self.diverges(points_MxD), np.maximum(losses_M, self.worst), losses_M)

    def diverges(self, points_MxD: Array) -> npt.NDArray[np.bool_]:
        """Whether (M,) training diverges at a point, by the trials that did and did not."""
        if self.divergence is None:
            return np.zeros(len(points_MxD), dtype=bool)
        return np.asarray(self.divergence.predict(points_MxD) > 0.5)

    def lowest(self, losses: Callable[[Array], Array], points: int) -> Array:
        """The point (D,) of the cube at which a function of points (M, D) is lowest.

        It is searched around the best so far, `points` at a time, in ever smaller boxes, and at
        last on a grid, where no neighbour is lower.
        """
        even_MxD = spread(self.trained_NxD.shape[1], points)
        best_D, lowest = np.full(even_MxD.shape[1], 0.5), np.inf
        for width in WIDTHS:
            points_MxD = self.cube.snapped(best_D + (even_MxD - 0.5) * width)
            losses_M = losses(points_MxD)
            if losses_M.min() < lowest:
                best_D, lowest = points_MxD[losses_M.argmin()], float(losses_M.min())
        along_MxD = np.vstack([np.eye(len(best_D)), -np.eye(len(best_D))]) / GRID
        best_D = self.cube.snapped(np.round(best_D[None] * GRID) / GRID)[0]
        while True:
            near_MxD = self.cube.snapped(np.vstack([best_D, best_D + along_MxD]))
            losses_M = losses(near_MxD)
            if losses_M.min() > losses_M[0] - SAME:
                return best_D
            best_D = near_MxD[losses_M.argmin()]


def spread(axes: int, points: int) -> Array:
    """Points (M, D) spread evenly over the cube and a margin around it; a power of 2 of them."""
    even_MxD = qmc.Sobol(axes, scramble=True, seed=0).random(points)
    return (1 + 2 * MARGIN) * np.asarray(even_MxD, dtype=float) - MARGIN


def _fitted(points_NxD: Array, losses_N: Array) -> Model:
    """A process if it fits, else a quadratic. Losses ascend."""
    floor = losses_N[0] - max(FLOOR * (float(np.median(losses_N)) - losses_N[0]), 1e-3)
    if len(losses_N) >= _least(points_NxD.shape[1]):
        # Not before it is needed: scikit-learn takes a second to import.
        from proxytune.selection.process import Process

        process = Process.fitted(points_NxD, losses_N, floor)
        if process is not None:
            return process
    return Quadratic.fitted(points_NxD, losses_N, floor)


def _divergence(trained_NxD: Array, diverged_VxD: Array) -> Any:
    if not len(diverged_VxD):
        return None
    from proxytune.selection.process import diverging

    some_VxD = diverged_VxD[_some(len(diverged_VxD))]
    points_xD = np.vstack([trained_NxD, some_VxD])
    return diverging(points_xD, np.r_[np.zeros(len(trained_NxD)), np.ones(len(some_VxD))])


def _some(trials: int) -> npt.NDArray[np.int_]:
    """The places of those that are fitted, of trials with the best first."""
    if trials <= BEST + REST:
        return np.arange(trials)
    return np.r_[:BEST, np.linspace(BEST, trials - 1, REST).astype(int)]


def _least(axes: int) -> int:
    return max(LEAST, 2 * (axes + 1))
