"""The lucky trial loses to a steadier one: candidates are judged on seeds they never saw."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from proxytune.config.study import StudySpec
from proxytune.errors import RunError
from proxytune.execution.local import LocalExecutor
from proxytune.packs.fixed import FixedPacks
from proxytune.packs.pack import Evaluation, PackSpec
from proxytune.packs.ports import PackSource
from proxytune.packs.selection import Candidate, Selection
from proxytune.testing import PackSourceContract
from proxytune.training.pack import start_pack
from proxytune.transfer.selection import confirmation_packs, select
from tests.transfer.examples import STUDY, candidates, evaluation

Losses = Callable[[int, int], float | None]
"""Final loss by candidate and seed."""


def confirmation(of: list[Candidate], seeds: int = 2) -> FixedPacks:
    selection = STUDY.selection.model_copy(update={"seeds": seeds})
    study = STUDY.model_copy(update={"selection": selection})
    return FixedPacks(confirmation_packs(study, of, Path("tokens")))


class TestConfirmation(PackSourceContract):
    def source(self, folder: Path) -> PackSource:
        return confirmation(candidates(3.0, 3.1, 3.2))


def tell(source: PackSource, losses: Losses) -> None:
    """Trains all packs, with these losses at their end; what was told before is told again."""
    while (pack := source.next_pack()) is not None:
        ends: dict[int, Evaluation] = {
            m.number: evaluation(pack.training.steps, losses(m.number, m.seed), m.number)
            for m in pack.members
        }
        before = [evaluation(10, 0.5, number) for number in ends]
        for told in (before, list(ends.values()), before):
            source.report(pack, told)
        source.finish(pack, ())


def selected(of: list[Candidate], losses: Losses, seeds: int = 2) -> Selection:
    packs = confirmation(of, seeds)
    tell(packs, losses)
    return select(STUDY.name, of, packs)


def test_the_lucky_trial_loses_to_a_steadier_one() -> None:
    selection = selected(candidates(3.0, 3.1), lambda number, seed: [3.4, 3.2][number])
    assert [c.number for c in selection.candidates] == [1, 0]
    assert selection.best.hyperparameters == candidates(3.0, 3.1)[1].hyperparameters


def test_mean_and_standard_error_are_those_of_the_fresh_seeds() -> None:
    best = selected(candidates(9.0), lambda _, seed: 3.0 + 0.2 * seed, seeds=3).best
    # Seeds 1, 2, 3: none is the study's own.
    assert best.confirmed == pytest.approx((3.2, 3.4, 3.6))
    assert best.mean == pytest.approx(3.4)
    assert best.standard_error == pytest.approx(0.2 / math.sqrt(3))


def test_one_seed_leaves_the_error_unknown() -> None:
    assert selected(candidates(9.0), lambda *_: 3.0, seeds=1).best.standard_error is None


def test_divergence_on_one_fresh_seed_ranks_last() -> None:
    selection = selected(
        candidates(3.0, 3.1, 3.2),
        lambda number, seed: None if (number, seed) == (0, 2) else 3.0 + number,
    )
    assert [c.number for c in selection.candidates] == [1, 2, 0]
    assert selection.candidates[-1].confirmed == (3.0, None)


def test_without_seeds_the_search_s_best_is_taken_as_it_is() -> None:
    selection = selected(candidates(3.2, 3.0, 3.1), lambda *_: 9.0, seeds=0)
    assert [c.number for c in selection.candidates] == [1, 2, 0]
    assert selection.best.mean == 3.0
    assert selection.best.standard_error is None


def test_equal_losses_leave_the_search_s_order() -> None:
    selection = selected(candidates(3.1, 3.0), lambda *_: 3.5)
    assert [c.number for c in selection.candidates] == [1, 0]


def test_candidates_that_all_diverge_are_refused() -> None:
    with pytest.raises(RunError, match=r"^study 'small': each of its best 2 trials diverged"):
        selected(candidates(3.0, 3.1), lambda number, seed: None if seed == number + 1 else 3.0)


def test_a_lost_pack_is_not_taken_for_divergence() -> None:
    of = candidates(3.0, 3.1)
    source = confirmation(of)
    first = source.next_pack()
    assert first is not None
    source.fail(first, "its worker was lost")
    tell(source, lambda number, _: [3.4, 3.2][number])
    message = (
        r"^study 'small': confirmation-1 was lost \(its worker was lost\); .*study run small$"
    )
    with pytest.raises(RunError, match=message):
        select(STUDY.name, of, source)


def test_a_pack_a_fresh_seed_with_all_candidates_as_in_the_search() -> None:
    source, packs = confirmation(candidates(3.0, 3.1)), list[PackSpec]()
    while (pack := source.next_pack()) is not None:
        assert source.exhausted is (len(packs) == 1)
        packs.append(pack)
    assert [pack.data_seed for pack in packs] == [1, 2]
    assert len({pack.name for pack in packs}) == 2
    for pack in packs:
        assert {member.seed for member in pack.members} == {pack.data_seed}
        assert [member.number for member in pack.members] == [0, 1]
        assert (pack.shape, pack.training) == (STUDY.proxy, STUDY.training)


def test_nobody_is_dropped() -> None:
    source = confirmation(candidates(3.0, 3.1))
    pack = source.next_pack()
    assert pack is not None
    assert source.report(pack, [evaluation(10, 99.0, 0)]) == frozenset()


def test_real_training_is_confirmed(tokens: Path) -> None:
    study: StudySpec = STUDY
    good, bad = candidates(3.0, 2.9)
    hopeless = bad.hyperparameters.model_copy(update={"learning_rate": 1e30})
    of = [good, bad.model_copy(update={"hyperparameters": hopeless})]
    packs = FixedPacks(confirmation_packs(study, of, tokens))
    with LocalExecutor(start_pack) as executor:
        executor.run(packs)
    selection = select(study.name, of, packs)
    assert [c.number for c in selection.candidates] == [0, 1]
    first, second = selection.best.confirmed
    assert first is not None
    assert second is not None
    assert first != second
    assert selection.candidates[1].confirmed == (None, None)
