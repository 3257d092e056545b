"""A study in storage: made, found, refused, deleted; the same on a journal and in a database."""

import json
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage

from proxytune.config.execution import ExecutionSpec
from proxytune.config.parameterization import Parameterization
from proxytune.errors import InputError
from proxytune.packs.selection import Selection
from proxytune.packs.trial import TrialState
from proxytune.search.study import SPEC, Study, delete_study, study_names
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
    return Stores(tmp_path, request.getfixturevalue("empty_database"))


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
    with pytest.raises(InputError, match=r"name = 'small'.*proxytune study extend small"):
        Study.create(stores.open(), study_spec(trials=9))
    assert Study(stores.open(), "small").spec == study_spec()


def test_a_study_may_train_elsewhere_from_now_on(stores: Stores) -> None:
    next_pack(source_of(stores.open(), study_spec()))
    larger = ExecutionSpec(executor="ray", cpus_per_pack=64)
    before = study_spec()
    found = Study.create(stores.open(), before.model_copy(update={"execution": larger}))
    assert len(found.trials()) == 4
    assert found.spec == Study(stores.open(), "small").spec
    assert found.spec.execution == larger
    assert found.spec.model_copy(update={"execution": before.execution}) == before


def test_a_study_from_when_tpe_was_the_default_keeps_it(stores: Stores) -> None:
    Study.create(stores.open(), study_spec(sampler="tpe"))
    assert study_spec().search.sampler == "auto"
    assert Study.create(stores.open(), study_spec()).spec.search.sampler == "tpe"
    with pytest.raises(InputError, match=r"name = 'small'.*another definition"):
        Study.create(stores.open(), study_spec(sampler="auto"))


def stored_as_of_old(storage: BaseStorage, **rules: object) -> None:
    """A study of a program before rules had versions, which took every option everywhere."""
    spec = json.loads(study_spec().model_dump_json())
    written = {"kv_rule": "paper", "wd_width_exponent": 1.0, "depth_alpha": 1.0}
    written |= {"embedding_lr_width_exponent": 0.0, "embedding_weight_decay": False}
    spec["parameterization"] = {"name": "gqa-mup"} | written | rules
    for name in ("key_lr_multiplier", "value_lr_multiplier"):
        del spec["hyperparameters"][name]
    optuna.create_study(study_name="small", storage=storage).set_user_attr(SPEC, json.dumps(spec))


def test_a_study_of_old_keeps_the_rules_it_was_tuned_with(stores: Stores) -> None:
    stored_as_of_old(stores.open())
    old = Study(stores.open(), "small").spec
    assert old.parameterization == Parameterization(rules_version=1)
    assert study_spec().parameterization.rules_version == 2
    with pytest.raises(InputError, match=r"name = 'small'.*older version of the rules"):
        Study.create(stores.open(), study_spec())


def test_a_study_of_old_with_options_that_it_ignored_is_read(stores: Stores) -> None:
    stored_as_of_old(stores.open(), name="mup", kv_rule="spectral", depth_alpha=0.5)
    old = Study(stores.open(), "small").spec
    assert old.parameterization == Parameterization(name="mup", rules_version=1)


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


@pytest.mark.parametrize("decided", [True, False])
def test_packs_compile_as_was_decided_once(stores: Stores, decided: bool) -> None:
    study = Study.create(stores.open(), study_spec())
    assert study.compiling is None
    study.choose_compiling(decided)
    found = Study(stores.open(), "small")
    assert found.compiling is decided
    assert found.settled.execution.compile == ("always" if decided else "never")
    assert found.spec == study_spec()
