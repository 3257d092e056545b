"""A study's trials as a study of Optuna's in memory, for Optuna's own figures.

Optuna's storage is only read: what is drawn is one moment of a study that may be running.
"""

from collections.abc import Iterable, Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from proxytune.config.search import Choices, SpaceEntry
from proxytune.packs.trial import TrialRecord, TrialState

STATES = {
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
}
"""Trials that Optuna draws. One that diverged or failed has no loss to draw."""


def drawn_study(
    space: Mapping[str, SpaceEntry], trials: Iterable[TrialRecord]
) -> optuna.study.Study:
    """The trials that have a loss, with their curves."""
    shown = [t for t in trials if t.state in STATES and t.value is not None]
    distributions = {
        name: _distribution(entry, [t.params[name] for t in shown if name in t.params])
        for name, entry in space.items()
    }
    study = optuna.create_study()
    study.add_trials([_trial(trial, distributions) for trial in shown])
    return study


def number_of(trial: FrozenTrial) -> int:
    """The number that a trial has in its own study; in memory it may have another."""
    return int(trial.user_attrs["number"])


def _distribution(entry: SpaceEntry, values: Sequence[float]) -> BaseDistribution:
    """An entry of the space, wide enough for trials from before it was changed."""
    if isinstance(entry, Choices):
        return CategoricalDistribution(sorted({*entry.choices, *values}))
    low, high = min([entry.low, *values]), max([entry.high, *values])
    return FloatDistribution(low, high, log=entry.log and low > 0)


def _trial(trial: TrialRecord, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    params = {name: trial.params[name] for name in distributions if name in trial.params}
    return create_trial(
        state=STATES[trial.state],
        value=trial.value,
        params=params,
        distributions={name: distributions[name] for name in params},
        user_attrs={"number": trial.number},
        intermediate_values={
            e.step: e.validation_loss for e in trial.curve if e.validation_loss is not None
        },
    )
