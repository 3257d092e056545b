"""Trials whose loss is a formula of their hyperparameters."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from proxytune.config.study import StudySpec
from proxytune.packs.trial import TrialRecord, TrialState
from proxytune.selection.cube import Cube
from proxytune.testing.bowls import SHAPE
from proxytune.testing.packs import TRAINING

Formula = Callable[[Mapping[str, float]], float | None]
"""The loss of a trial; None if it diverges."""
SPACE: dict[str, Any] = {
    "learning_rate": {"low": 1e-3, "high": 0.1, "log": True},
    "weight_decay": {"low": 0.001, "high": 1.0, "log": True},
    "beta2": {"choices": [0.99, 0.9, 0.95]},
}


def study_of(space: Mapping[str, Any] = SPACE, **fields: Any) -> StudySpec:
    """A study of that space."""
    search = {"space": dict(space), "trials": 40}
    spec = {"name": "small", "proxy": SHAPE, "training": TRAINING, "search": search}
    return StudySpec.model_validate(spec | fields)


def octaves(rate: float, best: float = 0.02) -> float:
    """How far a rate is from the best."""
    return float(np.log2(rate / best))


def bowl(params: Mapping[str, float]) -> float:
    """Lowest, at 2.5, where the rate is 0.02 and the decay 0.1; the rate matters most."""
    decay = float(np.log2(params["weight_decay"] / 0.1))
    return 2.5 + 0.04 * octaves(params["learning_rate"]) ** 2 + 0.002 * decay**2


def trials_of(
    study: StudySpec, formula: Formula = bowl, count: int = 40, noise: float = 0.0, seed: int = 0
) -> list[TrialRecord]:
    """Random trials of a study."""
    rng, cube = np.random.default_rng(seed), Cube(study.search.space)
    points = cube.snapped(rng.uniform(size=(count, len(cube.names))))
    errors = noise * rng.standard_normal(count)
    made: Sequence[dict[str, float]] = [cube.params(point) for point in points]
    return [
        trial(study, number, params, formula(params), error)
        for number, (params, error) in enumerate(zip(made, errors, strict=True))
    ]


def trial(
    study: StudySpec,
    number: int,
    params: dict[str, float],
    loss: float | None,
    error: float = 0.0,
) -> TrialRecord:
    """A finished trial; diverged if it has no loss."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return TrialRecord(
        study=study.name,
        number=number,
        state=TrialState.DIVERGED if loss is None else TrialState.COMPLETE,
        params=params,
        hyperparameters=study.hyperparameters_of(params),
        value=None if loss is None else loss + error,
        seed=0,
        pack="pack",
        started=now,
        finished=now,
        seconds=1.0,
        tokens=64,
        flops=1.0,
        curve=(),
    )
