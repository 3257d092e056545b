"""The lucky trial loses to a steadier one: candidates are judged on seeds they never saw."""

from collections.abc import Callable
from pathlib import Path

import pytest

from proxytune.execution.local import LocalExecutor
from proxytune.packs.pack import Evaluation, PackSpec
from proxytune.packs.ports import PackSource
from proxytune.packs.selection import Candidate
from proxytune.selection.race import Race, standing
from proxytune.testing import PackSourceContract
from proxytune.training.pack import PackTrainer, start_pack
from tests.transfer.examples import STUDY, candidates, evaluation

Formula = Callable[[int, int], float | None]
"""Final loss by candidate and seed."""


def race_of(
    of: list[Candidate],
    folder: Path = Path("packs"),
    tokens: Path = Path("tokens"),
    **selection: int,
) -> Race:
    spec = STUDY.selection.model_copy(update={"seeds": 2} | selection)
    return Race(STUDY.model_copy(update={"selection": spec}), of, tokens, folder)


class TestRace(PackSourceContract):
    def source(self, folder: Path) -> PackSource:
        return race_of(candidates(3.0, 3.1, 3.2), folder)


def tell(source: Race, losses: Formula) -> list[PackSpec]:
    """Trains all packs, with these losses at their end; what was told before is told again."""
    packs = []
    while (pack := source.next_pack()) is not None:
        ends: dict[int, Evaluation] = {
            m.number: evaluation(pack.training.steps, losses(m.number, m.seed), m.number)
            for m in pack.members
        }
        before = [evaluation(10, 0.5, number) for number in ends]
        for told in (before, list(ends.values()), before):
            assert source.report(pack, told) == frozenset(), "nobody drops out within a pack"
        source.finish(pack, ())
        packs.append(pack)
    return packs


def close(number: int, seed: int) -> float:
    """Candidates that seeds cannot tell apart."""
    return 3.0 + 0.1 * ((number + seed) % 3)


def numbers(pack: PackSpec) -> list[int]:
    return [member.number for member in pack.members]


def test_a_pack_a_fresh_seed_with_all_candidates_as_in_the_search() -> None:
    packs = tell(race_of(candidates(3.0, 3.1), max_seeds=2), close)
    assert [pack.data_seed for pack in packs] == [1, 2], "none is the study's own"
    assert len({pack.name for pack in packs}) == 2
    for pack in packs:
        assert {member.seed for member in pack.members} == {pack.data_seed}
        assert numbers(pack) == [0, 1]
        assert (pack.shape, pack.training) == (STUDY.proxy, STUDY.training)
        assert pack.purpose == "confirmation"


def test_whoever_is_clearly_behind_drops_out_but_not_before_three_seeds() -> None:
    packs = tell(race_of(candidates(3.0, 3.1, 3.2)), lambda n, s: close(n, s) + (n == 1))
    assert [numbers(pack) for pack in packs[:6]] == [[0, 1, 2]] * 4 + [[0, 2]] * 2


def test_a_race_ends_when_one_is_left() -> None:
    race = race_of(candidates(3.0, 3.1))
    assert len(tell(race, lambda n, s: 3.0 + n + 0.1 * s)) == 4
    assert race.exhausted


def test_a_race_ends_when_the_differences_are_known_well_enough() -> None:
    race = race_of(candidates(3.0, 3.1))
    assert len(tell(race, lambda n, s: 3.0 + 0.001 * n + 0.1 * s)) == 4


def test_a_race_ends_after_max_seeds_and_takes_no_fewer_than_seeds() -> None:
    of = candidates(3.0, 3.1)
    for seeds, most, taken in ((2, 8, 8), (2, 5, 5), (4, 1, 4), (1, 1, 1), (1, 3, 3)):
        race = race_of(of, seeds=seeds, max_seeds=most)
        assert len(tell(race, close)) == taken
        assert race.seeds == list(range(1, taken + 1))


def test_without_seeds_nothing_trains() -> None:
    race = race_of(candidates(3.0), seeds=0)
    assert race.exhausted
    assert race.next_pack() is None


def test_whoever_diverges_is_out_at_once_and_nobody_left_ends_the_race() -> None:
    packs = tell(race_of(candidates(3.0, 3.1, 3.2)), lambda n, s: None if n == 1 else close(n, s))
    assert [numbers(pack) for pack in packs[:4]] == [[0, 1, 2]] * 2 + [[0, 2]] * 2
    assert len(tell(race_of(candidates(3.0, 3.1)), lambda *_: None)) == 2


def test_points_between_trials_have_numbers_after_all_trials() -> None:
    trial, other = candidates(3.0, 3.1)
    between = other.model_copy(update={"number": None, "origin": "surface", "value": None})
    (pack, *_) = tell(race_of([trial, between, between]), close)
    assert numbers(pack) == [0, STUDY.search.trials, STUDY.search.trials + 1]


def test_a_lost_pack_ends_the_race_and_is_told() -> None:
    race = race_of(candidates(3.0, 3.1))
    first = race.next_pack()
    assert first is not None
    race.fail(first, "its worker was lost")
    assert len(tell(race, close)) == 1, "the rest of the round"
    assert race.exhausted
    assert race.lost == ["confirmation-1 was lost (its worker was lost)"]


def test_who_drops_out_does_not_depend_on_which_pack_ends_first() -> None:
    def ends(order: slice) -> list[list[int]]:
        race = race_of(candidates(3.0, 3.1, 3.2), seeds=3)
        packs = list(iter(race.next_pack, None))[order]
        for pack in packs:
            race.report(
                pack,
                [
                    evaluation(pack.training.steps, close(m.number, m.seed), m.number)
                    for m in pack.members
                ],
            )
            race.finish(pack, ())
        return list(race.losses.values())  # type: ignore[arg-type]

    assert ends(slice(None)) == ends(slice(None, None, -1))


def test_a_leader_is_the_lowest_mean_and_small_or_noisy_differences_put_nobody_behind() -> None:
    now = standing(
        {
            0: [3.0, 3.1, 3.2],
            1: [2.9, 3.0, 3.1],
            2: [2.9015, 3.0015, 3.1015],  # less than what anybody would care about
            3: [3.4, 2.9, 3.0],  # far off, but only once
            4: [2.0, 2.0, None],
        }
    )
    assert now.order == (1, 2, 0, 3)
    assert now.behind == {0}
    assert now.half_width == pytest.approx(1.886 * 0.3464 / 3**0.5, rel=1e-3)


def test_two_seeds_put_someone_behind_only_if_they_agree() -> None:
    assert standing({0: [3.0, 3.1], 1: [3.1, 3.2]}).behind == {1}
    assert standing({0: [3.0, 3.1], 1: [3.1, 3.5]}).behind == frozenset()
    assert standing({0: [3.0], 1: [9.0]}).behind == frozenset()


def test_a_race_that_was_stopped_is_not_trained_again(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> Race:
        race = race_of(candidates(3.0, 3.1), tmp_path, tokens, max_seeds=3)
        with LocalExecutor(start_pack) as executor:
            executor.run(race)
        return race

    first = run()
    monkeypatch.setattr(PackTrainer, "_train_to", lambda *_: pytest.fail("trained again"))
    again = run()
    assert again.losses == first.losses
    again.forget()
    assert list(tmp_path.iterdir()) == []
