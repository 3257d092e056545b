"""What every executor promises to whoever gives it packs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxytune.search.executor import Executor, PackSource
from proxytune.spec.pack import PackSpec
from tests.packs import TRAINING
from tests.search.fakes import Recording, bowl_pack

STEPS = list(TRAINING.evaluation_steps())
FIRST = STEPS[0]


class ExecutorContract:
    """Subclassed with an `executor` that has been entered and starts packs with `start_bowl`."""

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls) -> Iterator[Executor]:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def ran(cls, executor: Executor, tmp_path_factory: pytest.TempPathFactory) -> Recording:
        """One run of well-behaved packs and others, which most laws look at."""
        folder = tmp_path_factory.mktemp("packs")
        names = ["first", "stillborn", "thinned", "broken", "emptied", "last"]
        drops = {
            ("thinned", FIRST): frozenset({0, 2}),
            ("emptied", FIRST): frozenset({0, 1, 2}),
        }
        source = Recording([bowl_pack(name, folder) for name in names], drops)
        executor.run(source)
        return source

    def test_runs_until_the_source_is_exhausted(self, ran: Recording) -> None:
        assert ran.exhausted
        assert ran.given == ["first", "stillborn", "thinned", "broken", "emptied", "last"]

    def test_every_pack_is_finished_or_failed_exactly_once(self, ran: Recording) -> None:
        ended = [*ran.finished, *(name for name, _ in ran.failed)]
        assert sorted(ended) == sorted(ran.given)

    def test_evaluations_arrive_in_order_and_the_last_one_too(self, ran: Recording) -> None:
        for name in ("first", "last"):
            for number in range(3):
                assert ran.steps(name, number) == STEPS

    def test_dropped_members_are_out_before_the_next_evaluation(self, ran: Recording) -> None:
        assert [ran.steps("thinned", n) for n in range(3)] == [[FIRST], STEPS, [FIRST]]

    def test_a_pack_without_members_left_is_finished(self, ran: Recording) -> None:
        assert [ran.steps("emptied", n) for n in range(3)] == [[FIRST]] * 3
        assert "emptied" in ran.finished

    def test_an_exception_fails_its_pack_alone_and_is_the_reason(self, ran: Recording) -> None:
        assert sorted(ran.failed) == [
            ("broken", "ValueError: a bad batch"),
            ("stillborn", "OSError: no tokens"),
        ]

    def test_what_a_pack_told_before_it_failed_has_arrived(self, ran: Recording) -> None:
        assert [ran.steps("broken", n) for n in range(3)] == [[FIRST]] * 3

    def test_runs_again(self, executor: Executor, ran: Recording, tmp_path: Path) -> None:
        source = Recording([bowl_pack("again", tmp_path)])
        executor.run(source)
        assert source.finished == ["again"]
        assert [source.steps("again", n) for n in range(3)] == [STEPS] * 3

    def test_a_source_without_packs_is_run_at_once(self, executor: Executor) -> None:
        source: PackSource = Recording([])
        executor.run(source)
        assert source.exhausted

    def test_a_mistake_of_the_source_is_no_pack_s_failure(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        source = Forgetful([bowl_pack("innocent", tmp_path)])
        with pytest.raises(ConnectionError, match="the record store is gone"):
            executor.run(source)
        assert source.failed == []


class Forgetful(Recording):
    """Cannot keep what it hears."""

    def report(self, pack: PackSpec, evaluations: object) -> frozenset[int]:
        raise ConnectionError("the record store is gone")
