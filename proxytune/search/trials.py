"""An Optuna trial as a record; everything about it is in Optuna's storage."""

import json
import math
from datetime import UTC, datetime

from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from proxytune.config.study import StudySpec
from proxytune.packs.pack import Evaluation
from proxytune.packs.trial import TrialRecord, TrialState

PACK, SEED, CURVE, REASON = (f"proxytune.{name}" for name in ("pack", "seed", "curve", "reason"))
"""User attributes of a trial."""


def record_of(trial: FrozenTrial, spec: StudySpec) -> TrialRecord:
    """The record of a trial that is in a pack."""
    curve = tuple(
        Evaluation.model_validate(e) for e in json.loads(trial.user_attrs.get(CURVE, "[]"))
    )
    tokens = curve[-1].tokens if curve else 0
    has_value = bool(curve) and not curve[-1].diverged
    return TrialRecord(
        study=spec.name,
        number=trial.number,
        state=_state(trial),
        params=trial.params,
        hyperparameters=spec.hyperparameters_of(trial.params),
        value=curve[-1].validation_loss if has_value else None,
        bits_per_byte=curve[-1].bits_per_byte if has_value else None,
        seed=trial.user_attrs[SEED],
        pack=trial.user_attrs[PACK],
        started=_utc(trial.datetime_start),
        finished=None if trial.datetime_complete is None else _utc(trial.datetime_complete),
        seconds=curve[-1].seconds if curve else 0.0,
        tokens=tokens,
        flops=float(tokens * spec.proxy.training_flops_per_token()),
        reason=trial.user_attrs.get(REASON),
        curve=curve,
    )


def _state(trial: FrozenTrial) -> TrialState:
    if trial.state is OptunaState.COMPLETE:
        finite = trial.value is not None and math.isfinite(trial.value)
        return TrialState.COMPLETE if finite else TrialState.DIVERGED
    if trial.state is OptunaState.PRUNED:
        return TrialState.PRUNED
    return TrialState.FAILED if trial.state is OptunaState.FAIL else TrialState.RUNNING


def _utc(local: datetime | None) -> datetime:
    """Optuna stores local time without a time zone."""
    return (local or datetime.now()).astimezone(UTC)
