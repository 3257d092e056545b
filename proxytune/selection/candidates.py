"""Which points are raced on fresh seeds: trials, and two points between them."""

from collections.abc import Iterator

import numpy as np

from proxytune.config.study import StudySpec
from proxytune.packs.selection import Candidate, Origin
from proxytune.selection.cube import Array
from proxytune.selection.robust import robust
from proxytune.selection.surface import Surface

POINTS = 512
ALIKE = 0.02
"""Points closer than this on every axis of the cube are one."""


def candidates(study: StudySpec, surface: Surface, trials: list[Candidate]) -> list[Candidate]:
    """The trials with the lowest loss by the surface, its minimum, and the robust point.

    `trials` are those with a loss, best first; where the surface is no process, their own losses
    rank them. A study of few trials has no points between them.
    """
    points_NxD = surface.cube.units([_params(surface, trial) for trial in trials])
    predicted_N = surface.mean(points_NxD)
    order = list(range(len(trials)))
    if surface.model.kind == "gp":
        order = [int(place) for place in np.argsort(predicted_N, kind="stable")]
    chosen = order[: study.selection.top]
    found = [trials[i].model_copy(update={"predicted": float(predicted_N[i])}) for i in chosen]
    taken = [points_NxD[i] for i in chosen]
    for origin, point_D in _between(surface) if surface.proposes else ():
        if all(np.abs(point_D - other_D).max() > ALIKE for other_D in taken):
            taken.append(point_D)
            found.append(_candidate(study, surface, origin, point_D))
    return found


def _between(surface: Surface) -> Iterator[tuple[Origin, Array]]:
    yield "surface", surface.lowest(surface.mean, POINTS)
    steady_D = robust(surface)
    if steady_D is not None:
        yield "robust", steady_D


def _candidate(study: StudySpec, surface: Surface, origin: Origin, point_D: Array) -> Candidate:
    return Candidate(
        number=None,
        origin=origin,
        hyperparameters=study.hyperparameters_of(surface.cube.params(point_D)),
        value=None,
        predicted=float(surface.mean(point_D[None])[0]),
    )


def _params(surface: Surface, trial: Candidate) -> dict[str, float]:
    return {name: getattr(trial.hyperparameters, name) for name in surface.cube.names}
