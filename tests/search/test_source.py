"""Laws of a study's packs: what Optuna is asked and told, in order and after kills."""

from pathlib import Path

import pytest
from optuna.storages import BaseStorage

from proxytune.packs.ports import PackSource
from proxytune.packs.trial import TrialRecord, TrialState
from proxytune.search.study import Study
from proxytune.search.trials import REASON
from proxytune.storage.open import open_storage
from proxytune.testing import PackSourceContract
from proxytune.testing.bowls import evaluation
from proxytune.testing.packs import TRAINING
from tests.studies import (
    FIRST,
    LAST,
    STEPS,
    Observed,
    in_memory,
    loss_of,
    next_pack,
    source_of,
    study_spec,
    told,
    train,
    train_all,
)

# What Optuna has to remark is nothing that a user could act on.
pytestmark = pytest.mark.filterwarnings("error:::optuna")


@pytest.fixture
def storage() -> BaseStorage:
    return in_memory()


class TestSearchSource(PackSourceContract):
    def source(self, folder: Path) -> PackSource:
        return source_of(in_memory(), study_spec(), checkpoints=folder)


def trials(storage: BaseStorage) -> list[TrialRecord]:
    return Study(storage, "small").trials()


def states(storage: BaseStorage) -> list[TrialState]:
    return [trial.state for trial in trials(storage)]


@pytest.mark.parametrize(("asked", "sizes"), [(8, [4, 4]), (10, [4, 4, 2]), (3, [3])])
def test_packs_have_the_asked_size_and_add_up_to_the_trials(
    storage: BaseStorage, asked: int, sizes: list[int]
) -> None:
    source = source_of(storage, study_spec(trials=asked))
    packs = train_all(source)
    assert [len(pack.members) for pack in packs] == sizes
    assert [m.number for pack in packs for m in pack.members] == list(range(asked))
    assert source.exhausted


def test_packs_and_their_checkpoints_have_names_of_their_own(storage: BaseStorage) -> None:
    packs = train_all(source_of(storage, study_spec()))
    assert len({pack.name for pack in packs}) == len({pack.checkpoint for pack in packs}) == 2


def test_a_source_is_not_exhausted_before_its_last_pack_is_out(storage: BaseStorage) -> None:
    source = source_of(storage, study_spec())
    train(source, next_pack(source))
    assert not source.exhausted
    next_pack(source)
    assert source.exhausted


def test_a_source_is_not_exhausted_while_a_pack_in_training_waits(storage: BaseStorage) -> None:
    spec = study_spec(trials=4)
    next_pack(source_of(storage, spec))
    source = source_of(storage, spec)
    assert not source.exhausted
    next_pack(source)
    assert source.exhausted


def test_members_carry_what_was_suggested(storage: BaseStorage) -> None:
    spec = study_spec()
    pack = next_pack(source_of(storage, spec))
    for member, trial in zip(pack.members, trials(storage), strict=True):
        assert set(trial.params) == set(spec.search.space)
        assert member.hyperparameters == spec.hyperparameters_of(dict(trial.params))
        assert (member.seed, pack.data_seed) == (spec.seed, spec.seed)


def test_the_record_of_a_trial_is_rebuilt_from_storage_alone(tmp_path: Path) -> None:
    observed = Observed()
    train_all(source_of(open_storage(tmp_path / "journal", None), study_spec(), observed))
    rebuilt = trials(open_storage(tmp_path / "journal", None))
    assert rebuilt == [trial for progress in observed.told for trial in progress.finished]
    assert [[e.step for e in trial.curve] for trial in rebuilt] == [list(STEPS)] * 8
    assert [trial.value for trial in rebuilt] == [t.curve[-1].validation_loss for t in rebuilt]
    assert states(open_storage(tmp_path / "journal", None)) == [TrialState.COMPLETE] * 8


def test_telling_twice_changes_nothing(storage: BaseStorage) -> None:
    observed = Observed()
    source = source_of(storage, study_spec(), observed)
    pack = next_pack(source)
    train(source, pack, STEPS[:2])
    source.report(pack, [*told(pack, FIRST), *told(pack, STEPS[1]), *told(pack, LAST)])
    once = trials(storage)
    source.report(pack, told(pack, LAST))
    assert trials(storage) == once
    assert [[e.step for e in trial.curve] for trial in once] == [list(STEPS)] * 4
    heard = [(e.number, e.step) for progress in observed.told for e in progress.evaluations]
    assert len(heard) == len(set(heard)) == 4 * len(STEPS)


def test_a_diverged_member_is_a_result_and_no_reason_to_stop(storage: BaseStorage) -> None:
    source = source_of(storage, study_spec())
    pack = next_pack(source)
    first = told(pack, FIRST)
    first[1] = evaluation(1, FIRST, None, diverged=True)
    source.report(pack, first)
    for step in STEPS[1:]:
        source.report(pack, [e for e in told(pack, step) if e.number != 1])
    train_all(source)
    diverged = trials(storage)[1]
    assert (diverged.state, diverged.value) == (TrialState.DIVERGED, None)
    assert [e.step for e in diverged.curve] == [FIRST]
    assert states(storage).count(TrialState.COMPLETE) == 7


@pytest.mark.parametrize("sampler", ["auto", "tpe", "random", "qmc", "gp"])
def test_samplers_go_on_when_everything_diverges(storage: BaseStorage, sampler: str) -> None:
    source = source_of(storage, study_spec(trials=12, pack_size=10, sampler=sampler))
    while (pack := source.next_pack()) is not None:
        source.report(
            pack, [evaluation(m.number, FIRST, None, diverged=True) for m in pack.members]
        )
        source.finish(pack, ())
    assert states(storage) == [TrialState.DIVERGED] * 12


def test_a_lost_pack_fails_the_members_without_a_result_and_says_why(
    storage: BaseStorage,
) -> None:
    observed = Observed()
    source = source_of(storage, study_spec(), observed)
    pack = next_pack(source)
    source.report(pack, [evaluation(0, FIRST, None, diverged=True), *told(pack, FIRST)[1:]])
    source.fail(pack, "its worker was lost")
    assert states(storage) == [TrialState.DIVERGED] + [TrialState.FAILED] * 3
    reasons = [t.user_attrs.get(REASON) for t in Study(storage, "small")._optuna.trials]
    assert reasons == [None] + ["its worker was lost"] * 3
    assert [t.number for t in observed.told[-1].finished] == [1, 2, 3]
    train_all(source)
    assert len(trials(storage)) == 8


def test_the_checkpoint_goes_with_its_pack(storage: BaseStorage, tmp_path: Path) -> None:
    source = source_of(storage, study_spec(), checkpoints=tmp_path)
    for end in (lambda pack: source.finish(pack, ()), lambda pack: source.fail(pack, "lost")):
        pack = next_pack(source)
        assert pack.checkpoint is not None
        pack.checkpoint.touch()
        train(source, pack, STEPS[:1])
        end(pack)
    assert list(tmp_path.iterdir()) == []


def test_a_new_pack_never_starts_from_another_one_s_checkpoint(
    storage: BaseStorage, tmp_path: Path
) -> None:
    left_by_a_deleted_study = next_pack(source_of(in_memory(), study_spec(), None, tmp_path))
    assert left_by_a_deleted_study.checkpoint is not None
    left_by_a_deleted_study.checkpoint.touch()
    pack = next_pack(source_of(storage, study_spec(), checkpoints=tmp_path))
    assert pack.checkpoint is not None
    assert not pack.checkpoint.exists()


@pytest.mark.parametrize("after", range(3), ids="{} evaluations".format)
def test_packs_in_training_come_again_before_new_ones(tmp_path: Path, after: int) -> None:
    before = source_of(open_storage(tmp_path / "journal", None), study_spec(trials=12))
    done, *cut = (next_pack(before) for _ in range(2))
    train(before, done)
    train(before, cut[0], STEPS[:after])

    after_kill = open_storage(tmp_path / "journal", None)
    source = source_of(after_kill, study_spec(trials=12))
    assert not source.exhausted
    assert next_pack(source) == cut[0]
    # From its checkpoint, or from the start: what was told is told again.
    train(source, cut[0])
    train_all(source)
    assert states(after_kill) == [TrialState.COMPLETE] * 12
    assert [[e.step for e in trial.curve] for trial in trials(after_kill)] == [list(STEPS)] * 12


def test_only_the_members_in_training_come_again(storage: BaseStorage) -> None:
    source = source_of(storage, study_spec())
    pack = next_pack(source)
    source.report(pack, [evaluation(0, FIRST, None, diverged=True), *told(pack, FIRST)[1:]])
    again = next_pack(source_of(storage, study_spec()))
    assert again.members == pack.members[1:]
    assert (again.name, again.checkpoint) == (pack.name, pack.checkpoint)


def test_a_trial_that_was_not_yet_in_a_pack_is_not_lost(storage: BaseStorage) -> None:
    spec = study_spec()
    undisturbed = next_pack(source_of(in_memory(), spec))
    Study.create(storage, spec)._optuna.ask()  # and here the process was killed
    source = source_of(storage, spec)
    assert next_pack(source).members == undisturbed.members[:1]
    assert [m.number for m in next_pack(source).members] == [1, 2, 3, 4]


def test_nothing_is_left_running(storage: BaseStorage) -> None:
    spec = study_spec(trials=10)
    source = source_of(storage, spec)
    next_pack(source)
    source = source_of(storage, spec)
    source.fail(next_pack(source), "lost")
    train_all(source)
    assert all(state.finished for state in states(storage))
    assert Study(storage, "small").source(Path(), Path(), Observed()).exhausted


def prune_second_pack(pruner: str, order: str) -> tuple[BaseStorage, frozenset[int]]:
    """A study whose first pack is complete and whose second is told its first evaluation."""
    storage = in_memory()
    source = source_of(storage, study_spec(trials=16, pack_size=8, pruner=pruner))
    train(source, next_pack(source))
    pack = next_pack(source)
    first = sorted(told(pack, FIRST), key=lambda e: e.validation_loss or 0.0)
    dropped = source.report(pack, first if order == "best first" else first[::-1])
    # A worker that was lost meanwhile tells again, and goes on with all that it had.
    again = source.report(pack, told(pack, FIRST) + told(pack, STEPS[1]))
    assert dropped <= again
    source.report(pack, [e for e in told(pack, LAST) if e.number not in again])
    return storage, dropped


@pytest.mark.parametrize("pruner", ["median", "successive-halving"])
def test_a_pruned_member_is_dropped_and_told_so(pruner: str) -> None:
    storage, dropped = prune_second_pack(pruner, "best first")
    assert dropped
    for trial in trials(storage):
        if trial.number in dropped:
            assert (trial.state, [e.step for e in trial.curve]) == (TrialState.PRUNED, [FIRST])
    assert TrialState.COMPLETE in states(storage)[8:]


@pytest.mark.parametrize("pruner", ["median", "successive-halving"])
def test_all_members_are_told_before_any_is_judged(pruner: str) -> None:
    _, one_way = prune_second_pack(pruner, "best first")
    _, the_other = prune_second_pack(pruner, "worst first")
    assert one_way == the_other != frozenset()


def test_successive_halving_passes_one_in_four(storage: BaseStorage) -> None:
    spec = study_spec(trials=16, pack_size=16, pruner="successive-halving")
    source = source_of(storage, spec)
    train_all(source)
    by_loss = sorted(trials(storage), key=lambda trial: trial.curve[0].validation_loss or 0.0)
    assert [trial.state for trial in by_loss[:4]] == [TrialState.COMPLETE] * 4
    assert [trial.state for trial in by_loss[4:]] == [TrialState.PRUNED] * 12


def test_successive_halving_ranks_a_member_among_all_that_got_to_its_rung(
    storage: BaseStorage,
) -> None:
    search = {"trials": 24, "pack_size": 8, "sampler": "random"}
    spec = study_spec(seed=6, pruner="successive-halving", **search)
    source = source_of(storage, spec)
    # All in training at once, so that each is judged while others have yet to get there.
    packs = [next_pack(source) for _ in range(3)]
    losses = {m.number: loss_of(p, m.number, FIRST) for p in packs for m in p.members}
    for judged, pack in enumerate(packs, 1):
        dropped = source.report(pack, told(pack, FIRST))
        passing = sorted(losses, key=lambda n: losses[n] if n < 8 * judged else 9e9)[: 2 * judged]
        assert dropped == {m.number for m in pack.members} - set(passing)


@pytest.mark.parametrize("order", [1, -1], ids=["best first", "worst first"])
def test_wilcoxon_drops_the_worse_ones_at_their_fourth_evaluation(
    storage: BaseStorage, order: int
) -> None:
    training = TRAINING.model_copy(update={"evaluations": 6})
    spec = study_spec(trials=16, pack_size=8, sampler="random", pruner="wilcoxon")
    source = source_of(storage, spec.model_copy(update={"training": training}))
    steps = training.evaluation_steps()
    train(source, next_pack(source), steps)
    pack = next_pack(source)
    dropped = [source.report(pack, told(pack, step)[::order]) for step in steps[:4]]
    assert dropped[:3] == [frozenset()] * 3
    best = min(t.value for t in trials(storage)[:8] if t.value is not None)
    worse = {m.number for m in pack.members if loss_of(pack, m.number, LAST) > best}
    assert dropped[3] == worse != frozenset()


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("pruner", ["median", "successive-halving", "wilcoxon"])
def test_pruners_go_on_when_everything_before_has_diverged(
    storage: BaseStorage, pruner: str
) -> None:
    source = source_of(storage, study_spec(pruner=pruner))
    pack = next_pack(source)
    source.report(pack, [evaluation(m.number, FIRST, None, diverged=True) for m in pack.members])
    train_all(source)
    assert TrialState.COMPLETE in states(storage)[4:]


def test_without_a_pruner_nobody_is_dropped(storage: BaseStorage) -> None:
    train_all(source_of(storage, study_spec(trials=16)))
    assert states(storage) == [TrialState.COMPLETE] * 16


def test_a_start_far_above_a_guess_is_said_once(storage: BaseStorage) -> None:
    """ln 256 is 5.5; more than 1 nat above it, logits are too large from the start."""
    observed = Observed()
    source = source_of(storage, study_spec(), observed)
    pack = next_pack(source)
    for starts in (6.4, 47.9, 15.9):
        step = STEPS[len(observed.told)]
        high = [e.model_copy(update={"first_loss": starts}) for e in told(pack, step)]
        source.report(pack, high)
    remarks = [remark for progress in observed.told for remark in progress.remarks]
    assert len(remarks) == 1
    for fact in ("trial 0", "47.9", "5.5", "output_multiplier"):
        assert fact in remarks[0]
