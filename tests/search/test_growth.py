"""Laws of a study that grows: nothing of it is lost, and it can be cut off anywhere."""

from contextlib import suppress
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage

from proxytune.config.search import Range
from proxytune.config.study import StudySpec
from proxytune.errors import InputError
from proxytune.packs.selection import Selection
from proxytune.search.growth import best_points
from proxytune.search.samplers import distributions
from proxytune.search.study import SPEC, START, Study
from tests.search.conftest import Open
from tests.studies import SPACE, in_memory, source_of, study_spec, train_all
from tests.transfer.examples import candidates

WIDER = {
    **study_spec().search.space,
    "learning_rate": Range(low=1e-3, high=10.0, log=True),
}
POINT = {"learning_rate": 0.02, "weight_decay": 0.25, "beta2": 0.95}
SELECTION = Selection.of(candidates(2.5, 3.5), tokens=1024)


def study_in(storage: BaseStorage) -> Study:
    return Study(storage, "small")


def points(storage: BaseStorage) -> list[dict[str, float]]:
    """What each trial was offered."""
    return [dict(trial.params) for trial in study_in(storage).trials()]


def completed(storage: BaseStorage, spec: StudySpec | None = None) -> Study:
    """A study that has trained all its trials, and whose best is confirmed."""
    train_all(source_of(storage, spec or study_spec()))
    study_in(storage).complete(SELECTION)
    return study_in(storage)


def run_on(storage: BaseStorage) -> None:
    """Trains what is missing, as a process that has just started."""
    train_all(source_of(storage, study_in(storage).spec))


def test_an_extended_study_is_unfinished_and_keeps_its_trials(opened: Open) -> None:
    before = completed(opened()).trials()
    study_in(opened()).extend(3)
    found = study_in(opened())
    assert (found.state, found.selection, found.completed) == ("unfinished", None, None)
    assert found.spec == study_spec(trials=11)
    run_on(opened())
    assert study_in(opened()).trials()[:8] == before
    assert len(points(opened())) == 11
    found.complete(SELECTION)
    assert (study_in(opened()).state, study_in(opened()).selection) == ("complete", SELECTION)


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe"])
def test_a_study_that_grew_ends_like_one_that_was_as_long_from_the_start(sampler: str) -> None:
    """Where it grew by whole packs: a sampler sees what has ended by then."""
    long, grew = in_memory(), in_memory()
    train_all(source_of(long, study_spec(trials=16, sampler=sampler)))
    completed(grew, study_spec(sampler=sampler)).extend(8)
    run_on(grew)
    assert points(grew) == points(long)


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe", "gp"])
def test_a_wider_space_is_searched_by_a_sampler_that_knows_the_old_trials(sampler: str) -> None:
    storage = in_memory()
    completed(storage, study_spec(trials=16, sampler=sampler)).extend(24, WIDER)
    source = source_of(storage, study_in(storage).spec)
    at_hand = optuna.load_study(study_name="small", storage=storage)
    offer = source._sampler(16)
    space = offer.infer_relative_search_space(at_hand, at_hand.ask()._cached_frozen_trial)
    assert space == ({} if sampler == "random" else distributions(study_in(storage).spec.search))
    run_on(storage)
    rates = [point["learning_rate"] for point in points(storage)]
    assert max(rates[:16]) <= 0.1
    assert max(rates[16:]) > 0.1


def test_a_wider_space_keeps_the_trials_in_every_storage(opened: Open) -> None:
    before = completed(opened()).trials()
    study_in(opened()).extend(8, WIDER)
    run_on(opened())
    assert study_in(opened()).trials()[:8] == before
    assert len(points(opened())) == 16


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"learning_rate": {"low": 0.01, "high": 1, "log": True}},
            "learning_rate must hold",
        ),
        ({"learning_rate": {"low": 0.001, "high": 0.1}}, "learning_rate.log must stay true"),
        ({"beta2": {"choices": [0.9]}}, "beta2 cannot change its choices"),
        ({"beta1": {"low": 0.8, "high": 0.95}}, "beta1 was not searched"),
        ({"weight_decay": None}, "weight_decay is missing"),
    ],
)
def test_a_space_that_is_not_wider_is_refused(changes: dict[str, Any], says: str) -> None:
    storage = in_memory()
    study = completed(storage)
    document = {name: entry for name, entry in (SPACE | changes).items() if entry is not None}
    space = study_spec(space=document).search.space
    with pytest.raises(InputError, match=f"{says}.*start_from: small"):
        study.extend(4, space)
    assert (study_in(storage).state, study_in(storage).spec) == ("complete", study_spec())


def test_an_end_that_a_hyperparameter_cannot_have_is_refused() -> None:
    storage = in_memory()
    space = study_spec().search.space | {"weight_decay": Range(low=-1, high=0.5)}
    with pytest.raises(InputError, match="weight_decay: holds -1"):
        completed(storage).extend(4, space)
    assert study_in(storage).state == "complete"


class Killed(BaseException):
    """The process is gone."""


def cut_off(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Kills a study's process at its next write after so many."""
    left = [after]
    for name in ("set_user_attr", "enqueue_trial"):
        write = getattr(optuna.Study, name)

        def counted(study: optuna.Study, *given: Any, _write: Any = write, **named: Any) -> None:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            _write(study, *given, **named)

        monkeypatch.setattr(optuna.Study, name, counted)


# What is written in which order is the same everywhere, so two storages do where time is short.
@pytest.mark.parametrize(
    "opened",
    [
        *("memory", "sqlite"),
        *(
            pytest.param(n, marks=[pytest.mark.slow, pytest.mark.long])
            for n in ("journal", "postgres")
        ),
    ],
    indirect=True,
)
@pytest.mark.parametrize("after", range(5))
@pytest.mark.parametrize("verb", ["extend", "enqueue"])
def test_a_study_that_is_killed_while_it_grows_can_go_on(
    verb: str, after: int, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it had grown or not, it is whole; and the same command again makes it grow."""

    def grow(study: Study) -> None:
        if verb == "enqueue":
            study.enqueue([POINT, {"learning_rate": 0.03}])
        elif study.spec.search.trials == 8:
            study.extend(2, WIDER)

    completed(opened())
    with monkeypatch.context() as kept:
        cut_off(kept, after)
        with suppress(Killed):
            grow(study_in(opened()))
    found = study_in(opened())
    assert found.state == ("complete" if after == 0 else "unfinished")
    run_on(opened())
    # As if it had been told to run before it was told to grow again.
    study_in(opened()).complete(SELECTION)
    grow(study_in(opened()))
    run_on(opened())
    tried = points(opened())
    assert study_in(opened()).waiting == ()
    assert len(tried) == study_in(opened()).spec.search.trials >= 10
    if verb == "enqueue":
        assert [point["learning_rate"] for point in tried].count(0.02) == 1
        assert [point["learning_rate"] for point in tried].count(0.03) == 1
        assert len(tried) <= 12


def test_a_point_is_tried_next_in_place_of_a_suggestion(opened: Open) -> None:
    Study.create(opened(), study_spec())
    study_in(opened()).enqueue([POINT])
    found = study_in(opened())
    assert (found.waiting, found.spec, found.state) == ((POINT,), study_spec(), "created")
    assert found.report().waiting == (POINT,)
    run_on(opened())
    assert points(opened())[0] == POINT
    assert len(points(opened())) == 8


def test_a_complete_study_gets_one_more_trial_for_a_point(opened: Open) -> None:
    completed(opened()).enqueue([POINT])
    assert study_in(opened()).state == "unfinished"
    run_on(opened())
    assert points(opened())[8:] == [POINT]
    study_in(opened()).complete(SELECTION)
    study_in(opened()).enqueue([POINT])
    assert study_in(opened()).state == "complete"  # it was tried


@pytest.mark.parametrize(
    ("point", "says"),
    [({"learning_rate": 5.0}, "learning_rate = 5.0"), ({"beta1": 0.9}, "beta1 = 0.9: .*searched")],
)
def test_a_point_outside_of_the_space_is_refused(point: dict[str, float], says: str) -> None:
    storage = in_memory()
    with pytest.raises(InputError, match=says):
        completed(storage).enqueue([point])
    assert study_in(storage).state == "complete"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"trials": 11}, "proxytune study extend small --trials 3"),
        ({"trials": 11, "space": SPACE | {"weight_decay": {"low": 0, "high": 1}}}, "--space FILE"),
        ({"trials": 5}, "has 8 trials by now; run it with: proxytune study run small"),
        ({"sampler": "random"}, "start_from: small"),
        ({"space": {"beta1": {"low": 0.8, "high": 0.9}}}, "start_from: small"),
    ],
)
def test_another_definition_is_told_how_the_study_can_grow(
    changes: dict[str, Any], says: str
) -> None:
    storage = in_memory()
    Study.create(storage, study_spec())
    with pytest.raises(InputError, match=f"name = 'small'.*{says}"):
        Study.create(storage, study_spec(**changes))


def test_a_study_from_when_tpe_was_the_default_is_told_how_to_grow_as_well() -> None:
    storage = in_memory()
    Study.create(storage, study_spec(sampler="tpe"))
    with pytest.raises(InputError, match="study extend small --trials 3"):
        Study.create(storage, study_spec(trials=11))


def test_the_best_points_of_another_study_are_tried_first(opened: Open) -> None:
    coarse = in_memory()
    train_all(source_of(coarse, study_spec()))
    other = study_in(coarse)
    inside = {"learning_rate": SPACE["learning_rate"], "beta1": {"low": 0.8, "high": 0.95}}
    spec = study_spec("fine", space=inside)
    found = best_points(other.spec, other.selection, other.trials(), spec)
    ranked = sorted(other.trials(), key=lambda trial: trial.value or 0.0)
    expected = [{"learning_rate": trial.params["learning_rate"]} for trial in ranked[:4]]
    assert found == expected
    # Killed before the definition is stored, then made whole.
    made = optuna.create_study(study_name="fine", storage=opened())
    made.set_user_attr(START, found)
    assert SPEC not in made.user_attrs
    Study.create(opened(), spec, found)
    train_all(source_of(opened(), spec))
    tried = [dict(trial.params) for trial in Study(opened(), "fine").trials()]
    assert [{"learning_rate": point["learning_rate"]} for point in tried[:4]] == expected
    assert len(tried) == 8


def test_a_confirmed_point_comes_before_the_trials() -> None:
    spec = study_spec("fine", space={"learning_rate": SPACE["learning_rate"]}, trials=2)
    selection = Selection.of(candidates(2.5, 3.5), tokens=1)
    found = best_points(study_spec(), selection, (), spec)
    chosen = [one.hyperparameters.learning_rate for one in selection.candidates]
    assert found == [{"learning_rate": rate} for rate in chosen]


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({"beta1": {"low": 0.8, "high": 0.9}}, "searches none of beta1"),
        ({"learning_rate": {"low": 1, "high": 2}}, "no good point inside"),
    ],
)
def test_a_study_without_a_point_to_start_from_is_refused(
    space: dict[str, Any], says: str
) -> None:
    spec, found = study_spec("fine", space=space), candidates(2.5)
    with pytest.raises(InputError, match=f"start_from = 'small': .*{says}"):
        best_points(study_spec(), Selection.of(found, tokens=1), (), spec)
    with pytest.raises(InputError, match="no trial with a finite loss"):
        best_points(study_spec(), None, (), spec)
