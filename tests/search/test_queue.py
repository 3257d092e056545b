"""Laws of the points that a study tries first: all, in order, once, wherever it was cut off."""

from optuna.storages import BaseStorage

from proxytune.search.queue import enqueue
from proxytune.search.study import Study
from tests.search.conftest import Open
from tests.studies import STEPS, in_memory, next_pack, source_of, study_spec, train, train_all

RECIPE = {"learning_rate": 0.01, "weight_decay": 0.1, "beta2": 0.95}
LOW_RATE = {"learning_rate": 0.002}
START = [RECIPE, LOW_RATE]


def points(storage: BaseStorage) -> list[dict[str, float]]:
    """What each trial was offered."""
    return [dict(trial.params) for trial in Study(storage, "small").trials()]


def test_the_start_of_a_space_is_tried_first(opened: Open) -> None:
    train_all(source_of(opened(), study_spec(start=START)))
    first, second, *_ = tried = points(opened())
    assert first == RECIPE
    assert second["learning_rate"] == LOW_RATE["learning_rate"]
    assert len(tried) == 8


def test_one_point_is_a_list_of_one() -> None:
    assert study_spec(start=RECIPE) == study_spec(start=[RECIPE])


def test_what_a_point_leaves_out_is_suggested(opened: Open) -> None:
    spec = study_spec(start=[LOW_RATE, LOW_RATE | {"beta2": 0.99}])
    train_all(source_of(opened(), spec))
    first, second, *_ = points(opened())
    assert first.keys() == second.keys() == spec.search.space.keys()
    assert first["weight_decay"] != second["weight_decay"]


def test_a_study_that_was_cut_off_tries_each_point_once(opened: Open) -> None:
    spec = study_spec(trials=10, start=START)
    undisturbed = in_memory()
    train_all(source_of(undisturbed, spec))
    Study.create(opened(), spec)
    # Killed when one point waited, when one was asked for, and in training.
    enqueue(Study(opened(), "small")._optuna, START[:1])
    Study(opened(), "small")._optuna.ask()
    first = source_of(opened(), spec)
    train(first, next_pack(first))
    cut = source_of(opened(), spec)
    train(cut, next_pack(cut), STEPS[:1])
    train_all(source_of(opened(), spec))
    assert points(opened())[:2] == points(undisturbed)[:2]
    assert len(points(opened())) == 10


def test_a_point_that_is_added_to_a_running_study_comes_next(opened: Open) -> None:
    source = source_of(opened(), study_spec())
    train(source, next_pack(source))
    enqueue(Study(opened(), "small")._optuna, [RECIPE])
    train_all(source)
    tried = points(opened())
    assert tried[4] == RECIPE
    assert len(tried) == 8


def test_a_point_takes_the_place_of_one_suggestion_and_changes_no_other() -> None:
    with_start, without = in_memory(), in_memory()
    train_all(source_of(with_start, study_spec(sampler="random", start=START)))
    train_all(source_of(without, study_spec(sampler="random")))
    assert points(with_start)[2:] == points(without)[2:]
