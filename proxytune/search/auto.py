"""`sampler: auto`: which of the samplers suggests a trial."""

import json
import math
from collections.abc import Sequence
from statistics import median

import optuna
from optuna.trial import FrozenTrial, TrialState

from proxytune.search.trials import CURVE, PACK

START = 10
"""Results that a model needs; until then, points come from a Sobol sequence."""

ASK_SECONDS, ASK_SECONDS_PER_RUNNING = 0.1, 0.004
"""What gp takes to suggest a trial, at most, and for each trial in training beside it: on one
core, with as many results as a sampler is shown at most (docs/search.md)."""

TRIAL_SECONDS = "proxytune.trial_seconds"
"""User attribute of a study: what its first trials took, each its share of its pack's time."""


def auto(study: optuna.Study) -> str:
    """The name of the sampler for the next trial: gp, unless trials end faster than it suggests.

    It depends on the study's storage alone, so an interrupted study gets the same: the time that
    trials take is stored when there are results enough, and never again.
    """
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.RUNNING))
    running = [trial for trial in trials if trial.state is TrialState.RUNNING]
    seconds = _trial_seconds(study, [t for t in trials if t.state is TrialState.COMPLETE])
    if seconds is None:
        return "qmc"
    packs = len({trial.user_attrs[PACK] for trial in running if PACK in trial.user_attrs})
    ask_seconds = ASK_SECONDS + ASK_SECONDS_PER_RUNNING * len(running)
    # As many packs as train at the same time finish as many trials in that time.
    return "gp" if ask_seconds * max(1, packs) <= seconds else "tpe"


def _trial_seconds(study: optuna.Study, complete: Sequence[FrozenTrial]) -> float | None:
    """What a trial takes; None as long as there are too few results, or all have diverged."""
    stored: float | None = study.user_attrs.get(TRIAL_SECONDS)
    if stored is not None:
        return stored
    whole = [trial for trial in complete if math.isfinite(trial.values[0])]
    if len(complete) < START or not whole:
        return None
    measured = median(json.loads(trial.user_attrs[CURVE])[-1]["seconds"] for trial in whole)
    study.set_user_attr(TRIAL_SECONDS, measured)
    return measured
