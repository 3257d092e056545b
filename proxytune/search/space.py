"""The search space in Optuna's words."""

import warnings
from typing import Any

import optuna

from proxytune.spec.search import Choices, SearchSpec


def suggest(trial: optuna.Trial, search: SearchSpec) -> dict[str, Any]:
    """A value for each searched hyperparameter; those that the trial already has stay."""
    with warnings.catch_warnings():
        # Diverged trials have an infinite loss, which the gp sampler remarks on each time.
        warnings.filterwarnings("ignore", message="Clip non-finite values", category=UserWarning)
        for name, axis in search.space.items():
            if isinstance(axis, Choices):
                trial.suggest_categorical(name, axis.choices)
            else:
                trial.suggest_float(name, axis.low, axis.high, log=axis.log)
    return trial.params
