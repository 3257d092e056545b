"""What every executor promises to whoever gives it packs."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from proxytune.errors import Interrupted, PackTooLarge, RunError
from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec
from proxytune.packs.ports import Executor, PackSource
from proxytune.testing.bowls import bowl_pack, start_bowl
from proxytune.testing.packs import TRAINING
from proxytune.testing.recording import Recording

STEPS = list(TRAINING.evaluation_steps())
FIRST = STEPS[0]


class ExecutorContract:
    """Subclassed with a fixture `executor`, entered once a class, which starts `start_bowl`.

    It has a pack lose its worker once at least, and four times at most, without progress.
    """

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

    def test_details_arrive_where_they_are_asked_for(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        asked, plain = bowl_pack("asked", tmp_path), bowl_pack("plain", tmp_path)
        source = Recording([asked.model_copy(update={"details": True}), plain])
        executor.run(source)
        assert source.details["asked"] == [
            MemberDetails(number=number, step_losses=(2.0, None)) for number in range(3)
        ]
        assert source.details["plain"] == []

    def test_a_pack_that_ended_unheard_is_heard(self, executor: Executor, tmp_path: Path) -> None:
        pack = bowl_pack("whole", tmp_path)
        unheard = start_bowl(pack)
        while not unheard.done:
            unheard.advance()  # and here its driver was killed
        source = Recording([pack])
        executor.run(source)
        assert [source.steps("whole", number) for number in range(3)] == [STEPS] * 3
        assert source.finished == ["whole"]

    @pytest.fixture(scope="class")
    @classmethod
    def squeezed(cls, executor: Executor, tmp_path_factory: pytest.TempPathFactory) -> Recording:
        """A run of packs that do not fit into memory as they are."""
        folder = tmp_path_factory.mktemp("packs")
        source = Recording([bowl_pack(name, folder) for name in ("vast", "boundless", "plain")])
        executor.run(source)
        return source

    def test_a_pack_that_does_not_fit_is_given_back_for_its_halves(
        self, squeezed: Recording
    ) -> None:
        # Packs train beside each other, so only a pack and its own halves have an order.
        assert sorted(squeezed.split) == ["boundless", "boundless-0", "vast"]
        assert squeezed.split.index("boundless") < squeezed.split.index("boundless-0")
        assert {"vast-0", "vast-2", "plain"} == set(squeezed.finished)
        assert squeezed.steps("vast", 0) == [FIRST]
        assert [squeezed.steps("vast-0", n) for n in range(3)] == [STEPS, STEPS, []]
        assert squeezed.steps("vast-2", 2) == STEPS

    def test_a_member_that_does_not_fit_alone_has_failed(self, squeezed: Recording) -> None:
        reason = "does not fit into memory (1 members)"
        names = ("boundless-0-0", "boundless-0-1", "boundless-2")
        assert sorted(squeezed.failed) == [(name, reason) for name in names]

    @pytest.fixture(scope="class")
    @classmethod
    def deserted(cls, executor: Executor, tmp_path_factory: pytest.TempPathFactory) -> Recording:
        """A run of packs whose training is lost."""
        folder = tmp_path_factory.mktemp("packs")
        source = Recording([bowl_pack(name, folder) for name in ("flighty", "forlorn", "plain")])
        executor.run(source)
        return source

    def test_a_pack_that_was_lost_is_resumed(self, deserted: Recording) -> None:
        assert deserted.finished.count("flighty") == 1
        assert sorted(set(deserted.steps("flighty", 0))) == STEPS

    def test_a_pack_that_is_lost_again_and_again_fails_alone(self, deserted: Recording) -> None:
        ((name, reason),) = deserted.failed
        assert name == "forlorn"
        assert "times in a row" in reason
        assert "it was preempted" in reason
        assert sorted(deserted.finished) == ["flighty", "plain"]

    def test_there_is_room_for_one_pack_at_least(self, executor: Executor) -> None:
        assert executor.slots >= 1

    def test_a_call_returns_what_its_function_returns(self, executor: Executor) -> None:
        assert executor.call(double, 7) == 14

    def test_a_call_raises_what_its_function_raises(self, executor: Executor) -> None:
        with pytest.raises(PackTooLarge, match="does not fit"):
            executor.call(give_up, "does not fit")

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
        for step in (FIRST, STEPS[-1]):
            source = Forgetful([bowl_pack(f"innocent-{step}", tmp_path)], at=step)
            with pytest.raises(ConnectionError, match="the record store is gone"):
                executor.run(source)
            assert (source.failed, source.finished) == ([], [])

    def test_what_is_not_the_pack_s_own_ends_the_run_and_fails_nobody(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        source = Recording([bowl_pack(name, tmp_path) for name in ("unlucky", "next")])
        with pytest.raises(RunError, match=r"^the disk is full$"):
            executor.run(source)
        assert source.failed == []
        assert "unlucky" not in source.finished

    def test_a_time_limit_ends_the_run_and_fails_nobody(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        names = ("limited-1", "limited-2")
        source = Recording([bowl_pack(name, tmp_path) for name in names])
        with pytest.raises(Interrupted, match=r"^the time limit came$"):
            executor.run(source)
        assert (source.failed, source.finished) == ([], [])
        # Whoever trained beside the first came to its own limit, and was not cut off.
        assert [source.steps(name, 0) for name in source.given] == [[FIRST]] * len(source.given)


def double(number: int) -> int:
    """Works on a worker."""
    return 2 * number


def give_up(reason: str) -> None:
    """Fails on a worker."""
    raise PackTooLarge(reason)


class Forgetful(Recording):
    """Cannot keep what it hears at one step."""

    def __init__(self, packs: Sequence[PackSpec], at: int) -> None:
        super().__init__(packs)
        self._at = at

    def report(self, pack: PackSpec, evaluations: Sequence[Evaluation]) -> frozenset[int]:
        if any(evaluation.step == self._at for evaluation in evaluations):
            raise ConnectionError("the record store is gone")
        return super().report(pack, evaluations)
