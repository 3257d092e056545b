"""A study in storage: made, found, refused, deleted; the same on a journal and in a database."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage

from proxytune.errors import InputError
from proxytune.packs.selection import Selection
from proxytune.packs.trial import TrialState
from proxytune.search.study import Study, delete_study, study_names
from proxytune.storage.open import open_storage
from proxytune.testing.bowls import evaluation
from tests.studies import FIRST, LAST, next_pack, source_of, study_spec, told, train
from tests.transfer.examples import candidates


class Stores:
    """The same storage, opened anew as every process does."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self._folder, self._url = folder, url

    def open(self) -> BaseStorage:
        return open_storage(self._folder / "new" / "optuna.journal", self._url)


@pytest.fixture(params=["journal", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    if request.param == "journal":
        return Stores(tmp_path, None)
    if request.param == "sqlite":
        return Stores(tmp_path, f"sqlite:///{tmp_path / 'optuna.db'}")
    stores = Stores(tmp_path, request.getfixturevalue("databases").optuna)
    for study in optuna.get_all_study_names(stores.open()):
        optuna.delete_study(study_name=study, storage=stores.open())
    return stores


def test_a_study_is_found_as_it_was_defined(stores: Stores) -> None:
    spec = study_spec(sampler="qmc", pruner="median")
    Study.create(stores.open(), spec)
    found = Study(stores.open(), "small")
    assert found.spec == spec
    assert (found.name, found.state, found.trials()) == ("small", "created", [])


def test_creating_it_again_finds_it(stores: Stores) -> None:
    source = source_of(stores.open(), study_spec())
    next_pack(source)
    assert len(Study.create(stores.open(), study_spec()).trials()) == 4


def test_the_same_name_with_another_definition_is_refused(stores: Stores) -> None:
    Study.create(stores.open(), study_spec())
    with pytest.raises(InputError, match=r"name = 'small'.*proxytune study delete small"):
        Study.create(stores.open(), study_spec(trials=9))
    assert Study(stores.open(), "small").spec == study_spec()


def test_an_unknown_name_lists_the_known_ones(stores: Stores) -> None:
    with pytest.raises(InputError, match=r"study = 'gone'.*none so far"):
        Study(stores.open(), "gone")
    for name in ("one", "two"):
        Study.create(stores.open(), study_spec(name))
    with pytest.raises(InputError, match=r"study = 'gone'.*one, two"):
        Study(stores.open(), "gone")


def test_a_study_is_created_then_unfinished_then_complete(stores: Stores) -> None:
    study = Study.create(stores.open(), study_spec())
    assert (study.state, study.completed, study.selection) == ("created", None, None)
    source = source_of(stores.open(), study_spec())
    train(source, next_pack(source))
    assert Study(stores.open(), "small").state == "unfinished"
    train(source, next_pack(source))
    assert Study(stores.open(), "small").state == "unfinished"  # nothing is confirmed yet
    selection = Selection.of(candidates(2.5, 3.5), tokens=1024)
    study.complete(selection)
    found = Study(stores.open(), "small")
    assert (found.state, found.selection) == ("complete", selection)
    assert found.completed is not None
    assert found.completed.utcoffset() is not None


def test_trials_come_back_in_every_state(stores: Stores) -> None:
    source = source_of(stores.open(), study_spec(pruner="successive-halving"))
    pack = next_pack(source)
    first = told(pack, FIRST)
    first[0] = evaluation(0, FIRST, None, diverged=True)
    dropped = source.report(pack, first)
    source.report(pack, [e for e in told(pack, LAST)[1:] if e.number not in dropped])
    lost = next_pack(source)
    source.report(lost, told(lost, FIRST)[:2])
    source.fail(lost, "lost")
    found = {trial.state for trial in Study(stores.open(), "small").trials()}
    assert found == {
        TrialState.DIVERGED,
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAILED,
    }


def test_deleting_a_study_leaves_the_others(stores: Stores) -> None:
    for name in ("one", "two"):
        next_pack(source_of(stores.open(), study_spec(name)))
    delete_study(stores.open(), "one")
    assert study_names(stores.open()) == ["two"]
    assert len(Study(stores.open(), "two").trials()) == 4
    # The name is free again, and its trials start from 0.
    again = source_of(stores.open(), study_spec("one", trials=5))
    assert next_pack(again).members[0].number == 0


def test_a_half_made_study_is_made_whole(stores: Stores) -> None:
    optuna.create_study(study_name="small", storage=stores.open())  # and here it was killed
    assert Study.create(stores.open(), study_spec()).spec == study_spec()


def test_a_study_of_another_program_is_left_alone(stores: Stores) -> None:
    foreign = optuna.create_study(study_name="small", storage=stores.open())
    foreign.ask()
    with pytest.raises(InputError, match=r"name = 'small'.*another program"):
        Study.create(stores.open(), study_spec())
    assert study_names(stores.open()) == []
    assert foreign.user_attrs == {}
