"""Packs in training tell how much of their work is done, and how long the rest takes."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from proxytune.packs.fixed import FixedPacks
from proxytune.packs.pack import Evaluation, PackSpec
from proxytune.packs.phase import Pace, Phase
from proxytune.packs.ports import PackSource
from proxytune.packs.watched import WatchedPacks, work_of, work_of_all
from proxytune.testing import PackSourceContract
from proxytune.testing.bowls import bowl_pack, evaluation
from proxytune.testing.packs import TRAINING

FIRST, SECOND, LAST = TRAINING.evaluation_steps()
MEMBERS = 3


class TestWatchedPacks(PackSourceContract):
    def source(self, folder: Path) -> PackSource:
        packs = [bowl_pack(name, folder) for name in ("first", "second", "third")]
        return WatchedPacks(FixedPacks(packs), "training", lambda phase: None, work_of_all(packs))


class Watch:
    """Packs whose phases are kept, at a time that tests set."""

    def __init__(self, folder: Path, *names: str, before: float = 0.0, after: float = 0.0) -> None:
        self.packs = [bowl_pack(name, folder) for name in names]
        self.now, self.phases = 1000.0, list[Phase]()
        one = work_of(self.packs[0])
        self.source = WatchedPacks(
            FixedPacks(self.packs),
            "training",
            self.phases.append,
            work_of_all(self.packs) + before * one,
            before=before * one,
            after=after * one,
            pace=lambda: Pace(lambda: self.now),
        )

    def take(self) -> PackSpec:
        pack = self.source.next_pack()
        assert pack is not None
        return pack

    @property
    def share(self) -> float:
        """Of the work, as told last."""
        phase = self.phases[-1]
        assert phase.total is not None
        return phase.done / phase.total


def after(seconds: float, step: int, numbers: Sequence[int] = range(MEMBERS)) -> list[Evaluation]:
    """A pack's evaluation after so many seconds of its own training."""
    each = {"seconds": seconds / len(numbers)}
    return [evaluation(number, step, 2.0).model_copy(update=each) for number in numbers]


def test_a_phase_is_told_before_anything_trains(tmp_path: Path) -> None:
    watch = Watch(tmp_path, "one")
    (phase,) = watch.phases
    assert (phase.name, phase.done, phase.left) == ("training", 0, None)
    assert phase.total == work_of_all(watch.packs)


def test_start_up_does_not_count_for_the_time_left(tmp_path: Path) -> None:
    watch = Watch(tmp_path, "one")
    pack = watch.take()
    # A minute until its worker is there, of which training takes two seconds.
    watch.now += 60
    watch.source.report(pack, after(2.0, FIRST))
    assert watch.share == pytest.approx(1 / 3)
    assert watch.phases[-1].left == pytest.approx(4.0)


def test_there_is_a_pace_once_all_packs_in_training_have_reported(tmp_path: Path) -> None:
    watch = Watch(tmp_path, "one", "two", "three", "four")
    first, second = watch.take(), watch.take()
    watch.now += 60
    watch.source.report(first, after(2.0, FIRST))
    assert (watch.share, watch.phases[-1].left) == (pytest.approx(1 / 12), None)
    watch.source.report(second, after(2.0, FIRST))
    assert watch.phases[-1].left == pytest.approx(10.0)


def test_a_pack_that_nobody_foresaw_counts_from_when_it_is_given_out(tmp_path: Path) -> None:
    watch = Watch(tmp_path, "one", "two")
    watch.source = WatchedPacks(
        FixedPacks(watch.packs),
        "training",
        watch.phases.append,
        work_of_all(watch.packs[:1]),
        pace=lambda: Pace(lambda: watch.now),
    )
    pack = watch.take()
    watch.now += 6
    watch.source.report(pack, after(6.0, LAST))
    assert (watch.share, watch.phases[-1].left) == (1, 0)
    watch.take()
    assert (watch.share, watch.phases[-1].left) == (0.5, pytest.approx(6.0))


def test_what_a_resumed_pack_tells_again_was_not_trained_now(tmp_path: Path) -> None:
    watch = Watch(tmp_path, "one")
    pack = watch.take()
    watch.now += 2
    watch.source.report(pack, [*after(100.0, FIRST), *after(102.0, SECOND)])
    assert watch.share == pytest.approx(2 / 3)
    assert watch.phases[-1].left == pytest.approx(2.0)


def test_work_before_and_after_counts(tmp_path: Path) -> None:
    watch = Watch(tmp_path, "one", before=MEMBERS, after=MEMBERS)
    pack = watch.take()
    watch.now += 2
    watch.source.report(pack, after(2.0, FIRST))
    assert watch.share == pytest.approx((1 + 1 / 3) / 2)
    # Two more of this pack's evaluations, and three of what follows.
    assert watch.phases[-1].left == pytest.approx(10.0)


def test_members_that_end_early_are_done(tmp_path: Path) -> None:
    watch = Watch(tmp_path, "one")
    pack = watch.take()
    diverged = evaluation(0, FIRST, 2.0).model_copy(update={"diverged": True})
    watch.source.report(pack, [diverged, *after(2.0, FIRST, [1, 2])])
    assert watch.share == pytest.approx((1 + 2 / 3) / 3)
    watch.source.fail(pack, "its worker was lost")
    watch.source.report(pack, ())
    assert watch.share == 1


def test_halves_of_a_pack_have_its_work(tmp_path: Path) -> None:
    watch = Watch(tmp_path, "one")
    pack = watch.take()
    watch.source.report(pack, after(2.0, FIRST))
    watch.source.too_large(pack)
    for numbers in ([0, 1], [2]):
        half = watch.take()
        for step in (FIRST, SECOND, LAST):
            watch.source.report(half, after(2.0, step, numbers))
    assert watch.share == 1
    assert watch.phases[-1].total == work_of_all(watch.packs)
