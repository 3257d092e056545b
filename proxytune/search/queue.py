"""Points that wait in a study: they are tried before what its sampler suggests."""

from collections.abc import Iterable

import optuna
from optuna.trial import TrialState

from proxytune.config.search import Point

START = "proxytune.start"
"""User attribute of a study: points of another study, to be tried first."""
FIXED = "fixed_params"
"""Optuna's system attribute of a trial that waits, or waited: its values."""


def enqueue(study: optuna.Study, points: Iterable[Point]) -> None:
    """Adds points to those that wait, in this order.

    A point that waits already, or was tried, is not added again: a process that was killed in
    here can repeat it. What a point leaves out, the sampler suggests.
    """
    for point in points:
        study.enqueue_trial(dict(point), skip_if_exists=True)


def waiting(study: optuna.Study) -> tuple[Point, ...]:
    """The points that wait, in the order in which they are tried."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    return tuple(dict(trial.system_attrs.get(FIXED, {})) for trial in trials)


def holds(study: optuna.Study, point: Point) -> bool:
    """Whether a point waits already, or was tried as one that waited."""
    trials = study.get_trials(deepcopy=False)
    return any(trial.system_attrs.get(FIXED, trial.params) == point for trial in trials)


def next_number(study: optuna.Study) -> int:
    """The number of the trial that Optuna asks next: the first that waits, or a new one."""
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    return waiting[0].number if waiting else len(study.get_trials(deepcopy=False))


def asked(study: optuna.Study) -> int:
    """How many trials have been asked for; those that wait have not."""
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    return len(study.get_trials(deepcopy=False)) - len(waiting)
