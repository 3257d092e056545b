"""Laws of `sampler: auto`: gp where suggesting costs less than training, by what is stored."""

import json
import math

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from proxytune.search.auto import ASK_SECONDS, START, auto
from proxytune.search.trials import CURVE, PACK
from tests.studies import in_memory

SLOW, INSTANT = 10 * ASK_SECONDS, 0.1 * ASK_SECONDS


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(storage=in_memory())


def add(
    study: optuna.Study,
    count: int,
    seconds: float,
    loss: float = 2.5,
    state: TrialState = TrialState.COMPLETE,
    pack: str = "pack",
) -> None:
    """Adds trials that took so long."""
    attributes = {CURVE: json.dumps([{"seconds": seconds / 2}, {"seconds": seconds}]), PACK: pack}
    value = loss if state is TrialState.COMPLETE else None
    for _ in range(count):
        study.add_trial(create_trial(state=state, value=value, user_attrs=attributes))


def test_a_study_starts_with_an_even_sequence(study: optuna.Study) -> None:
    assert auto(study) == "qmc"
    add(study, START - 1, SLOW)
    add(study, 5, SLOW, state=TrialState.RUNNING)
    assert auto(study) == "qmc"
    add(study, 1, SLOW)
    assert auto(study) != "qmc"


def test_gp_suggests_where_a_trial_takes_longer_than_a_suggestion(study: optuna.Study) -> None:
    add(study, START, SLOW)
    assert auto(study) == "gp"


def test_tpe_suggests_where_trials_are_instant(study: optuna.Study) -> None:
    add(study, START, INSTANT)
    assert auto(study) == "tpe"


def test_tpe_suggests_where_many_packs_finish_trials_faster(study: optuna.Study) -> None:
    add(study, START, SLOW)
    for number in range(4):
        add(study, 1, SLOW, state=TrialState.RUNNING, pack=f"pack {number}")
    assert auto(study) == "gp"
    for number in range(4, 20):
        add(study, 1, SLOW, state=TrialState.RUNNING, pack=f"pack {number}")
    assert auto(study) == "tpe"


def test_tpe_suggests_where_many_trials_in_training_make_gp_slow(study: optuna.Study) -> None:
    add(study, START, SLOW)
    add(study, 300, SLOW, state=TrialState.RUNNING)
    assert auto(study) == "tpe"


def test_what_trials_take_is_measured_once(study: optuna.Study) -> None:
    add(study, START, SLOW)
    assert auto(study) == "gp"
    add(study, 10 * START, INSTANT)
    assert auto(study) == "gp"


def test_diverged_trials_do_not_tell_what_a_trial_takes(study: optuna.Study) -> None:
    add(study, 2 * START, INSTANT, loss=math.inf)
    assert auto(study) == "qmc"
    add(study, 1, SLOW)
    assert auto(study) == "gp"
