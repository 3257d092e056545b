"""Packs that do not fit into memory go on in halves, and nothing else changes."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from optuna.storages import BaseStorage

from proxytune.config.evidence import EvidenceSpec
from proxytune.errors import PackTooLarge
from proxytune.evidence.source import Point, evidence_packs, points_of
from proxytune.execution.local import LocalExecutor
from proxytune.packs.fixed import FixedPacks
from proxytune.packs.pack import Evaluation, PackSpec
from proxytune.packs.trial import TrialRecord, TrialState
from proxytune.search.source import Progress
from proxytune.search.study import Study
from proxytune.search.trials import PACK
from proxytune.selection.race import Race
from proxytune.testing.bowls import SHAPE, evaluation
from proxytune.testing.packs import TRAINING, hyperparameters, members, pack
from proxytune.training.pack import PackTrainer, start_pack
from tests.studies import (
    FIRST,
    STEPS,
    Observed,
    in_memory,
    next_pack,
    source_of,
    study_spec,
    told,
    train,
    train_all,
)
from tests.transfer.examples import STUDY, candidates

LIMIT = 2


class Limited(PackTrainer):
    """Runs out of memory after its first evaluation with more than two members."""

    def advance(self) -> Sequence[Evaluation]:
        if self._reported and self.model.members > LIMIT:
            raise PackTooLarge("does not fit into memory")
        return super().advance()


@pytest.fixture
def storage() -> BaseStorage:
    return in_memory()


def sizes(packs: Sequence[PackSpec]) -> list[int]:
    return [len(pack.members) for pack in packs]


def trained(study: BaseStorage, tokens: Path, checkpoints: Path, limited: bool) -> list[float]:
    """The losses of a study of 6 trials in packs of 5."""
    source = Study.create(study, study_spec(trials=6, pack_size=5, sampler="random")).source(
        tokens, checkpoints, Observed()
    )
    LocalExecutor(Limited if limited else start_pack).run(source)
    trials: list[TrialRecord] = Study(study, "small").trials()
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    return [e.validation_loss or 0.0 for trial in trials for e in trial.curve]


def test_losses_after_a_split_are_those_without(tokens: Path, tmp_path: Path) -> None:
    whole = trained(in_memory(), tokens, tmp_path / "whole", limited=False)
    split = trained(in_memory(), tokens, tmp_path / "split", limited=True)
    assert split == pytest.approx(whole, rel=1e-5)
    assert list((tmp_path / "split").iterdir()) == []


def test_halves_go_on_where_the_pack_was(tokens: Path, tmp_path: Path) -> None:
    whole = pack(SHAPE, tokens, members(*[hyperparameters()] * 3), checkpoint=tmp_path / "pack.pt")
    source = source_of(in_memory(), study_spec(trials=4), checkpoints=tmp_path)
    trainer = start_pack(asked := next_pack(source).model_copy(update={"tokens": tokens}))
    source.report(asked, trainer.advance())
    source.too_large(asked)
    half = next_pack(source).model_copy(update={"tokens": tokens})
    resumed = start_pack(half).advance()
    assert [e.step for e in resumed if e.number == 0] == list(STEPS[:2])
    assert whole.halves()[1].checkpoint == tmp_path / "pack-2.pt"


def test_halves_come_before_new_packs_which_are_smaller(storage: BaseStorage) -> None:
    source = source_of(storage, study_spec(trials=12, pack_size=6))
    whole = next_pack(source)
    train(source, whole, STEPS[:1])
    source.too_large(whole)
    packs = train_all(source)
    assert sizes(packs) == [3, 3, 3, 3]
    assert [m for half in packs[:2] for m in half.members] == list(whole.members)
    assert source.exhausted
    assert Study(storage, "small").pack_size == 3
    assert all(t.state is TrialState.COMPLETE for t in Study(storage, "small").trials())


@pytest.mark.parametrize("retagged", range(5))
def test_a_study_killed_while_splitting_goes_on(storage: BaseStorage, retagged: int) -> None:
    """Whether no member has been given to its half, some, or all."""
    spec = study_spec(trials=6, pack_size=4)
    whole = next_pack(source_of(storage, spec))
    for half in whole.halves():
        for member in half.members:
            if member.number < retagged:
                storage.set_trial_user_attr(member.number, PACK, half.name)

    source = source_of(storage, spec)
    left: list[PackSpec] = []
    while (pack := source.next_pack()) is not None:
        if len(pack.members) > LIMIT:
            source.too_large(pack)
        else:
            train(source, pack)
            left.append(pack)
    assert sorted(m.number for pack in left for m in pack.members) == list(range(6))
    assert len({pack.name for pack in left}) == len(left)
    assert all(t.state is TrialState.COMPLETE for t in Study(storage, "small").trials())


def test_what_was_found_is_kept_for_the_next_process(storage: BaseStorage) -> None:
    spec = study_spec(trials=8, pack_size=4)
    source = source_of(storage, spec)
    source.too_large(next_pack(source))
    packs = train_all(source_of(storage, spec))
    assert sizes(packs) == [2, 2, 2, 2]


def test_only_members_in_training_are_split(storage: BaseStorage) -> None:
    source = source_of(storage, study_spec())
    whole = next_pack(source)
    source.report(whole, [evaluation(0, FIRST, None, diverged=True), *told(whole, FIRST)[1:]])
    source.too_large(whole)
    halves = [next_pack(source), next_pack(source)]
    assert [m.number for half in halves for m in half.members] == [1, 2, 3]


def test_a_split_is_told(storage: BaseStorage) -> None:
    observed = Observed()
    source = source_of(storage, study_spec(), observed)
    source.too_large(next_pack(source))
    assert observed.told == [Progress(too_large=4)]


def test_a_race_is_the_same_in_halves(tokens: Path, tmp_path: Path) -> None:
    def confirm(start: type[PackTrainer]) -> list[float | None]:
        selection = STUDY.selection.model_copy(update={"max_seeds": 2})
        study = STUDY.model_copy(update={"selection": selection})
        race = Race(study, candidates(3.0, 3.1, 3.2), tokens, tmp_path / start.__name__)
        LocalExecutor(start).run(race)
        assert race.tokens == 3 * 2 * STUDY.training.tokens(STUDY.proxy.seq_len)
        race.forget()
        assert list((tmp_path / start.__name__).iterdir()) == []
        return [loss for number in sorted(race.losses) for loss in race.losses[number]]

    assert confirm(Limited) == pytest.approx(confirm(PackTrainer), rel=1e-5)


def test_evidence_is_the_same_in_halves(tokens: Path) -> None:
    spec = EvidenceSpec.model_validate(
        {
            "name": "depth",
            "axis": "depth",
            "values": [1, 2],
            "proxy": SHAPE,
            "parameterizations": ["sp"],
            "grid": {"low": 0.01, "high": 0.04, "points": 5},
            "training": TRAINING,
            "seeds": 1,
        }
    )

    def points(start: type[PackTrainer]) -> list[Point]:
        kept: list[Point] = []
        packs = FixedPacks(
            evidence_packs(spec, tokens, ()),
            on_finished=lambda run: kept.extend(points_of(spec, run)),
        )
        LocalExecutor(start).run(packs)
        assert packs.lost == []
        return kept

    whole, halves = points(PackTrainer), points(Limited)
    assert [(p.key, p.value) for p in halves] == [(p.key, p.value) for p in whole]
    assert [p.loss for p in halves] == pytest.approx([p.loss for p in whole], rel=1e-5)
