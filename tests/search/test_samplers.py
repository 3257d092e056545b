"""Laws of the samplers: what a trial is offered, and on what that depends."""

from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from proxytune.config.search import Choices
from proxytune.config.study import StudySpec
from proxytune.packs.pack import PackSpec
from proxytune.search.samplers import BEST, LATEST, window
from proxytune.storage.open import open_storage
from tests.studies import (
    STEPS,
    in_memory,
    next_pack,
    source_of,
    study_spec,
    train,
    train_all,
)

Offer = dict[str, float]


def offers(*packs: PackSpec) -> list[Offer]:
    """What is searched of the members' hyperparameters."""
    fields = {"learning_rate", "weight_decay", "beta2"}
    return [m.hyperparameters.model_dump(include=fields) for pack in packs for m in pack.members]


@pytest.fixture(scope="module", params=["auto", "tpe", "random", "qmc", "gp"])
def spec(request: pytest.FixtureRequest) -> StudySpec:
    """In the last of its three packs, samplers that model the losses have begun to."""
    return study_spec(trials=15, pack_size=5, sampler=request.param)


@pytest.fixture(scope="module")
def undisturbed(spec: StudySpec) -> list[PackSpec]:
    """The packs of a study that was run in one go."""
    return train_all(source_of(in_memory(), spec))


def test_an_interrupted_study_is_offered_the_same(
    spec: StudySpec, undisturbed: list[PackSpec], tmp_path: Path
) -> None:
    packs: list[PackSpec] = []
    for evaluations in range(len(STEPS)):
        # A process trains what is left in training, starts one more pack, and is killed in it.
        source = source_of(open_storage(tmp_path / "journal", None), spec)
        while (pack := next_pack(source)) in packs:
            train(source, pack)
        train(source, pack, STEPS[:evaluations])
        packs.append(pack)
    assert offers(*packs) == offers(*undisturbed)


def test_the_seed_decides_what_is_offered(spec: StudySpec, undisturbed: list[PackSpec]) -> None:
    other = spec.model_copy(update={"seed": spec.seed + 1})
    again, differently = (next_pack(source_of(in_memory(), of)) for of in (spec, other))
    assert offers(again) == offers(undisturbed[0])
    assert offers(differently) != offers(undisturbed[0])


def test_offers_stay_within_the_space_and_spread_over_it(
    spec: StudySpec, undisturbed: list[PackSpec]
) -> None:
    for name, axis in spec.search.space.items():
        values = {offer[name] for offer in offers(*undisturbed)}
        if isinstance(axis, Choices):
            assert values <= set(axis.choices)
        else:
            assert axis.low <= min(values) <= max(values) <= axis.high
        assert len(values) > 1


def test_no_two_members_of_a_pack_are_the_same_point(undisturbed: list[PackSpec]) -> None:
    for pack in undisturbed:
        assert len({tuple(offer.values()) for offer in offers(pack)}) == len(pack.members)


def test_a_trial_cut_off_while_it_was_asked_for_is_offered_the_same(
    spec: StudySpec, undisturbed: list[PackSpec]
) -> None:
    storage = in_memory()
    source = source_of(storage, spec)
    for _ in range(2):
        train(source, next_pack(source))
    study = optuna.load_study(study_name=spec.name, storage=storage)
    study.sampler = source._sampler(10)
    study.ask().suggest_float("learning_rate", 1e-3, 0.1, log=True)
    cut_off = next_pack(source_of(storage, spec))
    assert offers(cut_off) == offers(undisturbed[2])[:1]


def test_qmc_is_one_even_sequence_over_the_study() -> None:
    space = {"weight_decay": {"low": 0.0, "high": 0.8}}
    source = source_of(in_memory(), study_spec(trials=9, sampler="qmc", space=space))
    # Before there is a first trial, Optuna knows no space to lay the sequence in.
    _, *sequence = offers(*train_all(source))
    assert sorted(int(offer["weight_decay"] / 0.1) for offer in sequence) == list(range(8))


def finished(
    losses: Sequence[float], state: TrialState = TrialState.COMPLETE
) -> list[FrozenTrial]:
    """Trials with these losses, numbered from 0."""
    made = [optuna.trial.create_trial(value=loss) for loss in losses]
    for number, trial in enumerate(made):
        trial.number, trial.state = number, state
    return made


def test_a_short_history_is_shown_whole() -> None:
    trials = finished([float(n) for n in range(LATEST)])
    assert window(trials) == trials


def test_of_a_long_history_the_best_and_the_latest_are_shown() -> None:
    trials = finished([float(n) for n in range(1000)])
    numbers = [trial.number for trial in window(trials)]
    assert numbers == [*range(BEST), *range(1000 - LATEST, 1000)]


def test_all_that_is_in_training_is_shown() -> None:
    trials = finished([float(n) for n in range(1000)])
    for trial in trials[300:500]:
        trial.state = TrialState.RUNNING
    assert set(range(300, 500)) <= {trial.number for trial in window(trials)}


def test_failures_are_not_shown() -> None:
    assert window(finished([1.0, 2.0], TrialState.FAIL)) == []
